"""Each check on sentences that it has to notice something in, and on their likes that it may not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.eval.checks import Notice, annotate
from radimpress.eval.checks.measurement import quantities
from radimpress.reports.prompt import SYSTEM
from radimpress.reports.report import Report

Noticed = Callable[..., Notice | None]

_NORMAL = "The lungs are clear. Heart size is normal. No effusion or pneumothorax."


def _rows(check: str, rows: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    return [(check, findings, impression) for findings, impression in rows]


NOTICED = [
    *_rows(
        "laterality",
        [
            ("There is a left pleural effusion.", "Right pleural effusion."),
            ("Left effusion. Right mass.", "RIGHT EFFUSION."),
            ("The right ureter holds a stone.", "1. Left ureteral stone.\n2. No other abnormality."),
            ("Opacity in the left base. Right apical granuloma.", "Pneumonia of the right base."),
            ("Effusions, left greater than right.", "Effusions, right greater than left."),
            ("Infiltrate in the RUL.", "Left upper lobe pneumonia."),
        ],
    ),
    *_rows(
        "negation",
        [
            ("No effusion or pneumothorax.", "Pneumothorax."),
            ("Fracture of the fifth rib.", "No fracture."),
            ("There is no evidence of a meniscal tear.", "Meniscal tear."),
            ("No craniosynostosis is seen.", "Craniosynostosis."),
            (_NORMAL, "Acute cardiopulmonary abnormality."),
            (_NORMAL, "Active tuberculosis."),
            ("No zebrosis of the liver.", "Zebrosis."),
            ("The menisci are intact.", "Other internal derangement."),
            ("The menisci are of normal height.", "Fracture of the tibia."),
        ],
    ),
    *_rows(
        "measurement",
        [
            ("A 12 mm nodule.", "13 mm nodule."),
            ("A 12 mm nodule.", "12 cm nodule."),
            ("A 12 mm nodule.", "1.2 x 1.3 cm nodule."),
            ("A 12 mm nodule.", "1.25 cm nodule."),
            ("A nodule.", "8-mm nodule."),
            ("Disc bulge at L4-5.", "Disc bulge at L3-L4."),
            ("BI-RADS 2.", "BI-RADS category 4."),
            ("Density of 10 HU.", "Density of 40 HU."),
            ("SUV max 3.1.", "SUV of 9.4."),
            ("Ejection fraction 60%.", "Ejection fraction of 35%."),
            ("Grade 1 anterolisthesis.", "Grade III anterolisthesis."),
        ],
    ),
    *_rows(
        "organ",
        [
            (_NORMAL, "Renal cyst."),
            (_NORMAL, "No acute disease. Gallstones."),
            ("The meniscus is intact.", "Enlarged prostate."),
            ("Brain parenchyma is normal.", "Hydronephrosis."),
        ],
    ),
    *_rows(
        "critical",
        [
            ("Moderate right pneumothorax.", "Normal heart."),
            ("Filling defect in the pulmonary artery, a pulmonary embolism.", "Clear lungs."),
            ("Subdural hematoma with midline shift.", "Sinus disease."),
            ("The appendix is inflamed: appendicitis.", "No stone."),
            ("Compression of the spinal cord at T5.", "Degenerative change."),
            ("Acute infarct of the thalamus. Small vessel disease.", "Chronic small vessel ischemic change."),
            ("Uptake suspicious for metastasis.", "Normal kidneys."),
            ("Spiculated 9 mm nodule.", "No nodule of the liver."),
        ],
    ),
    *_rows(
        "comparison",
        [
            ("Small effusion.", "Unchanged effusion."),
            ("8 mm nodule.", "Nodule has increased since the prior study."),
            ("Opacity of the base.", "Interval worsening of the opacity."),
        ],
    ),
    *_rows(
        "form",
        [
            ("A cyst.", "There is a cyst. " + " ".join(f"word{at}" for at in range(90))),
            ("Cyst of the liver. Stone of the kidney. Mass in the lung. Tear of a knee.",) * 2,
            ("A cyst.", "TECHNIQUE: axial images.\nCyst."),
        ],
    ),
    *_rows("followup", [(_NORMAL, "Normal chest. Recommend biopsy."), (_NORMAL, "Follow-up CT in 3 months.")]),
    *_rows(
        "leak",
        [
            ("", text)
            for text in (
                "Findings: clear.",
                "Mass.\nModality: CT",
                "  modality : CT",
                "INDICATION: pain",
                SYSTEM,
                SYSTEM.upper(),
                "Normal.<|im_end|>",
                "Nor<|end|>mal.",
                "Normal.<|assistant",
                "Normal. [/INST]",
                "Normal.</s>",
                "Normal.<end_of_turn>",
                "Normal.\nassistant\n",
                "Human: is it normal?",
                "As an AI language model, I cannot say.",
                "Here is the impression: normal.",
                "system\nNormal.",
                "Normal.\nsystem\nNormal.",
                "Normal.\nSystem: normal",
                "Normal chest\nsystem\nNormal.",
                "User: is it normal?",
                "Normal chest\n  user : is it normal?",
                "### Response:\nNormal.",
                "[INST] Normal.",
                "Certainly! Normal.",
                "Sure, here is a summary.",
                "Of course. The impression is normal.",
                "Normal. Findings: clear.",
                "I'm sorry, but I cannot say.",
                "Based on the provided findings, it is normal.",
            )
        ],
    ),
    *_rows(
        "degenerate",
        [
            ("", text)
            for text in (
                "",
                " \n",
                "...",
                "no acute osseous abnormality. " * 4,
                "normal chest. " * 3 + "normal chest.",
                "no mass seen. " * 3,
                "no no no no",
                "There is a",
                "No mass of the liver, kidney,",
                "Mass \ufffd\ufffd of the liver",
                "No fracture. . . . . . .",
                "No fracture......",
                "No fracture. - - - - -",
                "-- 3 4 5 :: // 77 % % % 8 8 ++ 9 a",
            )
        ],
    ),
    *_rows(
        "phi",
        [
            ("A cyst.", text)
            for text in (
                "Discussed with Dr. Kowalczyk.",
                "Mr. Vandermeer was told.",
                "MRN 1234567.",
                "Accession number A7654321.",
                "Compared with 03/04/2021.",
                "Compared with 2021-03-04.",
                "Compared with March 4, 2021.",
                "Call 555-123-4567.",
                "Mail to someone@clinic.example.org.",
                "Patient name: Montague.",
                "John Kowalczyk has a cyst.",
                "SSN 123-45-6789.",
                "Signed, A. Halloran, MD",
            )
        ],
    ),
]
SILENT = [
    *_rows(
        "laterality",
        [
            ("There is a left pleural effusion.", "Left pleural effusion."),
            ("Bilateral pleural effusions.", "Left pleural effusion."),
            ("Left and right renal stones.", "Right renal stone."),
            ("The lungs are clear.", "Left pleural effusion."),
            ("", "Left pleural effusion."),
            ("Effusions, left greater than right.", "Bilateral effusions, left larger than right."),
        ],
    ),
    *_rows(
        "negation",
        [
            ("Old fracture of the fifth rib.", "No acute fracture."),
            ("No effusion or pneumothorax.", "No pneumothorax."),
            ("No large effusion. Small left effusion.", "Small left effusion."),
            ("Opacity of the right base.", "Pneumonia of the right base."),
            ("The effusion is unchanged.", "No change in the effusion."),
            (_NORMAL, "No acute cardiopulmonary abnormality."),
            ("No fracture.", "Fracture cannot be excluded."),
            ("Opacity.", "Internal derangement of the medial meniscus with a 3 mm flap."),
            ("Known fracture of the hand, not imaged. Cast in place.", "Fracture of the hand."),
            ("The dilated appendix has a stone in it.", "Appendicitis."),
        ],
    ),
    *_rows(
        "measurement",
        [
            ("A 12 mm nodule.", "1.2 cm nodule."),
            ("A 1.2cm nodule.", "12-mm nodule."),
            ("A 2 x 3 cm mass.", "3.0 cm mass."),
            ("A 20 x 30 x 40 mm mass.", "2 x 3 x 4 cm mass."),
            ("A 2 cm x 3 cm mass.", "2 x 3 cm mass."),
            ("A 2 × 3 cm mass.", "2 cm mass."),
            ("A .5 cm nodule.", "0.5 cm nodule."),
            ("A volume of 1,200 mL.", "1200 mL."),
            ("A nodule of 12  -  mm.", "12\u00a0mm nodule."),
            ("A nodule.", "A 5 cm\u017f nodule with 5 m\u0131llimeters."),
            ("A 12.4 mm nodule.", "1.2 cm nodule."),
            ("", "Follow-up in 6 weeks."),
            ("Bulges from C4 through C7.", "Bulge at C5-6."),
            ("Osteophytes at L4-5.", "L4-L5 osteophytes."),
            ("T2 hyperintense lesion.", "Lesion bright on T2 images."),
            ("BI-RADS: 4", "BIRADS category 4."),
        ],
    ),
    *_rows(
        "organ",
        [
            ("The hemithoraces are clear.", "No lung opacity."),
            ("Lobar opacity.", "Pneumonia."),
            ("Cardiac silhouette is enlarged.", "Enlarged heart."),
            ("8 mm nodule in the right upper lobe.", "Nodule. CT of chest and abdomen is recommended."),
        ],
    ),
    *_rows(
        "critical",
        [
            ("Infarct in the left MCA territory.", "Acute stroke."),
            ("Old healed rib fracture.", "No acute disease."),
            ("No pneumothorax.", "Normal chest."),
            ("Possible pneumothorax.", "Normal chest."),
            ("Spiculated mass.", "Malignancy of the lung."),
            ("Opacity, doubtful for pneumonia.", "No acute disease."),
            ("Left-to-right mediastinal shift.", "No acute disease."),
        ],
    ),
    *_rows(
        "comparison",
        [
            ("Nodule, as seen on the previous study.", "Stable nodule."),
            ("8 mm nodule.", "Comparison with prior images is recommended."),
            ("8 mm nodule.", "8 mm nodule. Interval follow-up in 3 months."),
        ],
    ),
    *_rows("form", [("A cyst of the liver.", "Cyst of the liver."), ("A. B. C.", "Normal.")]),
    *_rows(
        "followup",
        [
            ("8 mm nodule in the right upper lobe.", "Recommend chest CT."),
            ("Limited examination.", "Repeat examination in 3 days."),
            (_NORMAL, "Normal."),
        ],
    ),
    *_rows(
        "leak",
        [
            ("", text)
            for text in (
                "Findings are normal.",
                "See findings: above",
                "Size < 3 | mass",
                "Limited exam.",
                "Score <5>",
                "Ventricular system: No hydrocephalus.",
                "1. Collecting system: no dilatation.",
                "Dilatation of the collecting\nsystem: unchanged.",
                "Dilated collecting\nsystem",
                "Nodule is almost certainly, given its size, benign.",
                "Benign, of course, by its size.",
                "Certainly benign.",
                "Exam: limited by motion.",
                "Comparison: unchanged nodule.",
                "Response: stable disease.",
                "I am unable to compare with earlier studies.",
                "Based on the findings above, biopsy is advised.",
                "Imaging modality: of choice is MR.",
            )
        ],
    ),
    *_rows(
        "degenerate",
        [
            ("", text)
            for text in (
                "Left knee normal. Right knee normal.",
                "Normal chest",
                "Bulge at L4-5. Bulge at L5-S1.",
                "XXXX XXXX XXXX XXXX XXXX mass.",
                "HEPATITIS A",
                "No fracture...",
                "No fracture (see above). . .",
            )
        ],
    ),
    *_rows(
        "phi",
        [
            ("A cyst.", "Discussed with Dr. XXXX."),
            ("A cyst.", "Told Dr. X on mm/dd/yy."),
            ("Told Dr. Montague on 03/04/2021.", "Discussed with Dr. Montague on 03/04/2021."),
            ("A cyst.", "L4-5 bulge, 3/4 of the disc, 1.2 x 3.4 cm, May be a cyst."),
            ("A cyst.", "Baker cyst. Hill-Sachs deformity. Chiari malformation."),
        ],
    ),
]


@pytest.mark.parametrize(("check", "findings", "impression"), NOTICED)
def test_it_is_noticed(noticed: Noticed, check: str, findings: str, impression: str) -> None:
    assert noticed(check, findings, impression)


@pytest.mark.parametrize(("check", "findings", "impression"), SILENT)
def test_its_like_is_silent(noticed: Noticed, check: str, findings: str, impression: str) -> None:
    assert noticed(check, findings, impression) is None


def test_a_notice_points_at_what_it_is_about(noticed: Noticed) -> None:
    impression = "Normal heart. Right pleural effusion."
    notice = noticed("laterality", "There is a left pleural effusion.", impression)
    assert notice
    assert impression[notice.start : notice.stop] == "Right"


def test_exam_and_indication_are_ground_for_an_organ(noticed: Noticed) -> None:
    assert noticed("organ", "Both lobes are even.", "Thyroid nodule.") is not None
    assert noticed("organ", "Both lobes are even.", "Thyroid nodule.", exam="US thyroid") is None
    assert noticed("organ", "Both lobes are even.", "Thyroid nodule.", indication="Thyroid mass.") is None
    assert noticed("organ", "Soft tissues are normal.", "Normal liver.", exam="CT abdomen") is None


@pytest.mark.parametrize(
    ("comparison", "silent"), [("", False), ("None.", False), ("N/A", False), ("CT of May.", True)]
)
def test_the_comparison_field_says_whether_there_was_an_earlier_study(
    noticed: Noticed, comparison: str, silent: bool
) -> None:
    assert (noticed("comparison", "A cyst.", "Unchanged cyst.", comparison=comparison) is None) is silent


def test_an_answer_cut_off_at_the_limit_is_unfinished(noticed: Noticed) -> None:
    assert noticed("degenerate", "A cyst.", "A cyst.", finish="length")
    assert noticed("degenerate", "A cyst.", "A cyst.") is None


def test_length_is_judged_by_what_is_usual() -> None:
    findings = " ".join(f"finding{at}." for at in range(200))
    impression = " ".join(f"word{at}" for at in range(100)) + "."
    report = Report(id="r", findings=findings)
    assert "form" in annotate(report, impression, usual=20)
    assert "form" not in annotate(report, impression, usual=60)
    assert "form" not in annotate(report, impression)


@given(st.decimals(min_value="0.1", max_value=99, places=1))
def test_centimetres_and_millimetres_are_one_measurement(size: object) -> None:
    millimetres = float(str(size)) * 10
    report = Report(id="r", findings=f"{size} cm")
    assert "measurement" not in annotate(report, f"{millimetres:.0f} mm")


@given(st.integers(1, 99), st.sampled_from(["mm", "cm"]))
def test_another_unit_is_another_measurement(size: int, unit: str) -> None:
    other = {"mm": "cm", "cm": "mm"}[unit]
    assert "measurement" in annotate(Report(id="r", findings=f"A {size} {unit} cyst."), f"A {size} {other} cyst.")


def test_all_numbers_of_a_product_are_read() -> None:
    assert [(q.kind, q.value) for q in quantities("2.0 x 3 × 4 cm; 5 mL; 12 HU")] == [
        ("length", 20.0),
        ("length", 30.0),
        ("length", 40.0),
        ("volume", 5.0),
        ("density", 12.0),
    ]
