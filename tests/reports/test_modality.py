from __future__ import annotations

import pytest

from radimpress.reports.modality import guess_modality
from radimpress.reports.report import Modality


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("CT Chest W contrast IV", "CT"),
        ("MR Brain WO contrast", "MR"),
        ("XR Chest 2 Views", "XR"),
        ("Chest x-ray, 2 views", "CR"),
        ("US Abdomen", "US"),
        ("PET/CT whole body", "PT"),
        ("NM Heart Perfusion SPECT", "NM"),
        ("MG Breast - bilateral Screening", "MG"),
        ("CT angiogram of the head", "CT"),
        ("CTA chest", "CT"),
        ("MRA neck", "MR"),
        ("V/Q scan", "NM"),
        ("transthoracic echocardiogram", "US"),
        ("modified barium swallow", "RF"),
        ("cerebral angiography", "OTHER"),
        ("DEXA", "OTHER"),
        ("Chest, PA & lateral", "CR"),
        ("DX", "XR"),
        ("Left foot, three views", "CR"),
        ("Skull, complete, five images", "CR"),
        ("Right shoulder 3V", "CR"),
        ("Cervical spine, flexion and extension", "CR"),
        ("AP portable chest", "CR"),
        ("Metastatic bone survey", "CR"),
        ("Persantine stress test", "NM"),
        ("Gastric emptying study", "NM"),
        ("Ventilation/perfusion", "NM"),
        ("Intraoperative cholangiogram", "RF"),
        ("CT perfusion of the brain", "CT"),
        ("CT myelogram", "CT"),
        ("U/S abdomen", "US"),
        ("us thyroid", "US"),
        ("Knee pain, tell us about it", "UNSPECIFIED"),
        ("Mr. Smith has pain", "UNSPECIFIED"),
        ("mr brain", "MR"),
        # By its sequences; an echo alone is ultrasound.
        ("Multiplanar T1 and T2 spin echo sequences were obtained", "MR"),
        ("sagittal FLAIR and gradient-recalled echo", "MR"),
        ("diffusion-weighted imaging of the brain", "MR"),
        ("fast spin-echo, echo planar", "MR"),
        ("stress echo", "US"),
        ("x-ray of T1 and T2", "CR"),
        ("computed tomography", "CT"),
        ("Consultation", "UNSPECIFIED"),
        ("structure of the heart", "UNSPECIFIED"),
        ("", "UNSPECIFIED"),
    ],
)
def test_the_name_of_an_examination_tells_its_modality(name: str, modality: str) -> None:
    assert guess_modality(name) is Modality(modality)


def test_the_first_text_that_tells_counts() -> None:
    assert guess_modality("RAD", "MRI knee", "CT head") is Modality.MR
    assert guess_modality("XA", "CT head") is Modality.OTHER
