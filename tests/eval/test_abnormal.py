from __future__ import annotations

import pytest

from radimpress.eval.abnormal import abnormal


@pytest.mark.parametrize(
    "impression",
    [
        "No acute intracranial abnormality.",
        "NO FRACTURE, DISLOCATION, OR EFFUSION.",
        "1. Normal chest.\n2. No rib fracture.",
        "- Unremarkable study.",
        "Negative left ankle.",
        "There is no evidence of acute disease.",
        "Lungs are clear; heart size is within normal limits.",
        "No fracture, no dislocation.",
    ],
)
def test_negatives_and_normals_alone_are_normal(impression: str) -> None:
    assert not abnormal(impression)


@pytest.mark.parametrize(
    "impression",
    [
        "",
        "1.",
        "Small left pleural effusion.",
        "Small left pleural effusion. No pneumothorax.",
        "1. No pneumothorax.\n2. A 4 mm nodule.",
        "No change in the large mass.",
        "No significant interval change.",
        "No acute fracture, but there is a healed one.",
        "Normal except for a small cyst.",
        "No fracture other than the known one.",
        "Otherwise normal study.",
        "Renal stones, no obstruction.",
        "Cannot exclude a fracture.",
        "Nonobstructing stone.",
        "No longer seen with certainty, may be a nodule.",
        "Stable cardiomegaly with no focal airspace disease.",
    ],
)
def test_whatever_says_more_than_that_is_abnormal(impression: str) -> None:
    assert abnormal(impression)
