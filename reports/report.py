"""The two values that everything else travels on: `Report` and `Modality`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from radimpress.reports.errors import ModalityError


class Modality(StrEnum):
    """Imaging modality; the names are DICOM's (PS3.3 C.7.3.1.1.1) where DICOM has one.

    UNSPECIFIED is what nobody stated; OTHER is a stated modality that has no slice of its own.
    """

    MR = "MR"
    CT = "CT"
    CR = "CR"
    XR = "XR"
    US = "US"
    NM = "NM"
    MG = "MG"
    PT = "PT"
    RF = "RF"
    OTHER = "OTHER"
    UNSPECIFIED = "UNSPECIFIED"


_SPELLINGS: dict[Modality, str] = {
    Modality.MR: "mr mri mra mrv mrcp magneticresonance magneticresonanceimaging",
    Modality.CT: "ct cta cat catscan ctscan computedtomography",
    Modality.CR: "cr computedradiography chestradiograph chestxray cxr",
    Modality.XR: "xr dx dr rg xray xrays radiograph radiography digitalradiography plainfilm",
    Modality.US: "us ultrasound sonography sonogram doppler ivus",
    Modality.NM: "nm nuclear nuclearmedicine scintigraphy bonescan spect st",
    Modality.MG: "mg mammo mammogram mammography",
    Modality.PT: "pt pet petct positronemissiontomography",
    Modality.RF: "rf fluoro fluoroscopy radiofluoroscopy",
    Modality.OTHER: "ot other others xa angiography dxa dexa bmd bonedensitometry ecg op io px es",
    Modality.UNSPECIFIED: "unspecified unknown none na",
}
_QUOTED = 16
_BY_SPELLING = {word: modality for modality, words in _SPELLINGS.items() for word in words.split()}


def parse_modality(text: str) -> Modality:
    """Reads a DICOM code or a spelling people use; case, spaces and punctuation do not matter.

    Empty text is UNSPECIFIED.

    Raises:
        ModalityError: the text is none that is known.
    """
    if not text.strip():
        return Modality.UNSPECIFIED
    modality = _BY_SPELLING.get(re.sub(r"[\s._/-]", "", text.lower()))
    if modality is None:
        # Longer text may be a report that stands in the wrong field.
        said = repr(text) if len(text) <= _QUOTED else f"text of {len(text)} characters"
        raise ModalityError("modality", f"{said} is not a known modality; use one of {' '.join(Modality)}")
    return modality


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One radiology report.

    Attributes:
        id: unique within its file.
        clinic: who wrote it; empty when not known.
        modality: what was scanned with.
        findings: what is seen.
        impression: the conclusion; empty in a request, which asks for it.
        exam: the examination's name, as in "MRI lumbar spine without contrast".
        indication: why it was asked for.
        comparison: earlier examinations it was compared with.
        patient: whose report, a pseudonym; reports of one patient never part in a split.
        source: the collection it came from.
    """

    id: str
    findings: str
    modality: Modality = Modality.UNSPECIFIED
    clinic: str = ""
    impression: str = ""
    exam: str = ""
    indication: str = ""
    comparison: str = ""
    patient: str = ""
    source: str = ""
