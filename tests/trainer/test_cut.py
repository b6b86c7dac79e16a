from __future__ import annotations

import pytest

from radimpress.trainer.cut import Cuts, is_normal


def test_normal_sentences_go_first_then_the_rest_each_from_the_end() -> None:
    findings = "Lungs are clear. Nodule of 8 mm.\nNo effusion. The heart is large."
    assert list(Cuts(findings)) == [
        "Lungs are clear. Nodule of 8 mm. The heart is large.",
        "Nodule of 8 mm. The heart is large.",
        "Nodule of 8 mm.",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        *("No pneumothorax.", "The heart is normal.", "Ducts are patent.", "Without acute fracture."),
        *("Lungs are clear, without effusion.", "The ribs are without fracture.", "Ribs are intact with no fracture."),
        *("No pneumothorax, no effusion.", "Otherwise, no effusion.", "Normal heart with normal vessels."),
    ],
)
def test_what_is_as_it_should_be_is_normal(sentence: str) -> None:
    assert is_normal(sentence)


@pytest.mark.parametrize(
    "sentence",
    ["No change in the mass.", "Fracture cannot be excluded, no prior.", "No nodule above 4 mm.", "Large effusion."],
)
def test_change_doubt_and_numbers_are_not(sentence: str) -> None:
    assert not is_normal(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Mild congestion without edema.",
        "Blunting of the right sulcus, without definite effusion.",
        "Mild cardiomegaly, no effusion.",
        "Left lower lobe consolidation with no effusion.",
        "Normal heart with a large pericardial effusion.",
    ],
)
def test_what_is_found_beside_something_normal_is_not_normal(sentence: str) -> None:
    assert not is_normal(sentence)


@pytest.mark.parametrize("findings", ["", "One sentence only.", "word " * 1000])
def test_the_last_sentence_is_never_left_out(findings: str) -> None:
    assert list(Cuts(findings)) == []


def test_ten_thousand_sentences_are_not_all_written_down_at_once() -> None:
    cuts = Cuts("No effusion. " * 10_000)
    assert (len(cuts), cuts[-1]) == (9_999, "No effusion.")
