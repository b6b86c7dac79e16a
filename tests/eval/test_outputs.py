from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from radimpress.eval.gate import Outcome
from radimpress.eval.outputs import as_json, exit_code, junit, markdown
from tests.eval.test_certificate import CERTIFICATE, OPEN, PASSED, WAIVED

REGRESSED = replace(PASSED, outcome=Outcome.REGRESSION, why='-0.1 <worse> & "so"', improved=False)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [((PASSED,), 0), ((REGRESSED, OPEN, PASSED), 1), ((OPEN, PASSED), 3), ((), 3)],
)
def test_the_exit_code_is_the_worst_of_the_slices(verdicts: tuple[object, ...], code: int) -> None:
    assert exit_code(replace(CERTIFICATE, verdicts=verdicts)) == code  # type: ignore[arg-type]


def test_junit_has_a_test_a_slice_and_counts_what_did_not_pass() -> None:
    made = replace(CERTIFICATE, verdicts=(PASSED, replace(REGRESSED, cell=PASSED.cell), OPEN))
    (suite,) = ElementTree.fromstring(junit(made))
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["3", "1", "1", "0"]
    passed, failed, unsure = suite.findall("testcase")
    assert (passed.get("name"), passed.find("failure"), passed.find("error")) == ("CT/list", None, None)
    failure, error = failed.find("failure"), unsure.find("error")
    assert failure is not None
    assert failure.get("message") == REGRESSED.why
    assert error is not None
    assert error.get("type") == "INSUFFICIENT"


def test_markdown_is_a_table_of_every_slice_and_keeps_to_its_cells() -> None:
    text = markdown(replace(WAIVED, verdicts=(replace(PASSED, why="a | b"), OPEN)))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 5
    assert rows[2].startswith("| CT/list | PASS, IMPROVED | base | 40 |")
    assert r"a \| b" in rows[2]
    assert rows[3].startswith("| MR/any | INSUFFICIENT, waived | unified | 0 | 130 |")
    assert "waived by Dr A. Alder until 2026-12-24" in rows[3]
    assert "opens nothing" in rows[4]


def test_json_says_the_same_and_is_json() -> None:
    told = json.loads(json.dumps(as_json(WAIVED)))
    assert (told["adapter"], told["exit"], told["passed"], told["judged"]) == ("unified", 3, 1, 2)
    first, second = told["slices"]
    assert (first["slice"], first["verdict"], first["improved"], first["patients"]) == ("CT/list", "PASS", True, 38)
    assert (second["needs"], second["more"], second["mean"]) == (130, 114, None)
    assert second["waiver"].startswith("waived by Dr A. Alder")
    assert told["overall"]["verdict"] == "REGRESSION"
