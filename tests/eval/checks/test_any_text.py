"""Long and odd texts: no check raises on any, and none takes more than a moment on the longest that are let in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.eval.abnormal import abnormal
from radimpress.eval.checks import annotate
from radimpress.eval.checks.assertion import said
from radimpress.eval.checks.phrases import listed
from radimpress.eval.checks.text import Text
from radimpress.reports.prompt import FIELD_MAX, FINDINGS_MAX
from radimpress.reports.report import Report

_UNITS = (
    *(" ", "\n", "\t", " \n", ", ", ". ", ".", "; ", ": ", "-", "#", "# ", "'", '"', "(", "<|", "{{", "=", "_"),
    *(
        "1",
        "1 ",
        "1,",
        "1.",
        "1-",
        "1/",
        "1_",
        "1 x ",
        "1 1 1 cm ",
        "555-",
        "a",
        "a ",
        "A ",
        "A-",
        "a-",
        "a_",
        "a.",
        "a@",
    ),
    *("a, ", "no ", "no mass. ", "no mass, or ", "no effusion, ", "is absent ", "and is absent ", "no a and the "),
    *("a and b is not seen ", "and the ", "cannot exclude ", "not excluded ", "possible ", "resolved, ", "no change "),
    *(
        "but ",
        "with ",
        "none ",
        "left ",
        "left, ",
        "left mass, right mass, ",
        "left effusion. ",
        "effusion ",
        "mass and ",
    ),
    *("effusion, ", "mass of the right lung and a nodule ", "abnormality ", "acute disease ", "liver, ", "interval "),
    *("unchanged. ", "recommend ", "xxxx ", "mrn ", "Mr A ", "James ", "name:", "patient name: ", "March ", "http://"),
    *("L4-", "c4 ", "grade ", "SUV ", "bi rads ", "birads,v1.", "write ", "you are a ", "system", "\u017f", "\u0130"),
)
_PERIODIC = [(unit * FINDINGS_MAX)[:FINDINGS_MAX] for unit in _UNITS]
_BLANK = " " * (FINDINGS_MAX - 20)
_ONCE = [
    *(
        f"{begin}{_BLANK}{end}"
        for begin, end in (("1", "a"), ("mrn", "x"), ("mrn no", "x"), ("Dr", "1"), ("name:", "1"))
    ),
    *(f"{begin}{_BLANK}{end}" for begin, end in (("SUV", "a"), ("lung rads", "a"), ("L4", "-"), ("findings", "a"))),
    "\n" * 4000,
    "." * 19_000 + "a",
    "a, " * 3000 + "and is absent " * 30,
    "no " + "a, " * 6000 + "mass is absent",
    "no " + "and the a " * 1900,
    "a" * 19_000 + "@",
]


@pytest.mark.parametrize("text", [*_PERIODIC, *_ONCE], ids=lambda text: ascii(text[:24] + ".." + text[-4:]))
def test_the_longest_texts_are_read(text: str) -> None:
    # pytest's own limit of time is the guard: what was cubic took hours.
    known = Report(id="r", findings=text, exam=text[:FIELD_MAX], indication=text[:FIELD_MAX])
    annotate(known, "No mass. 1 cm nodule of the left lung.")
    annotate(Report(id="r", findings="No mass. 1 cm nodule of the left lung."), text)
    annotate(known, text)
    abnormal(text)


def test_a_cue_reaches_no_further_than_a_sentence_has_words() -> None:
    states = said(Text("no " + "a " * 500 + "is absent"))
    assert 50 < sum(state > 0 for state in states) < 200


_WORDS = (
    "no not left right mass effusion cannot exclude and or but is absent unchanged Dr. Mr. name: MRN grade SUV BI-RADS "
    "L4 c3 1 .5 12 1,200 x - , . : ; mm cm cms cm\u017f m\u0131llimeters \u212am % HU mmHg \u00b0 degrees inche\u017f "
    "\u017fUV gr\u00e4de \u0131\u0131 \u0130 \u0661\u0662 \u00b2 \u00df \ufb01nding system: findings: <| ### {{"
)
_FRAGMENT = st.sampled_from(sorted(listed(_WORDS)))
_TEXT = st.lists(_FRAGMENT | st.text(max_size=8), max_size=30).flatmap(
    lambda parts: st.sampled_from([" ", "", "\n", "\u00a0"]).map(lambda between: between.join(parts))
)


@given(_TEXT, _TEXT)
def test_no_check_raises_on_any_text(findings: str, impression: str) -> None:
    for notice in annotate(Report(id="r", findings=findings), impression).values():
        assert 0 <= notice.start <= notice.stop <= len(impression)
    abnormal(impression)


@pytest.mark.parametrize(
    "text", ["A 5 cm\u017f nodule", "5 m\u0131llimeters", "5 inche\u017f", "grade \u0131\u0131", "C\u0663"]
)
def test_letters_that_only_fold_to_those_of_a_unit_are_no_error(text: str) -> None:
    annotate(Report(id="r", findings=text), text)
