from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.clustering.cell import Cell
from radimpress.eval.cases import Case
from radimpress.eval.predict import Prediction, Predictions, Written, predict
from radimpress.reports.prompt import render, render_with_examples
from radimpress.reports.report import Modality, Report
from radimpress.trainer.bundle import WEIGHTS, AdapterBundle


class FakeWriter:
    tokens: Callable[[str], int] | None = None
    context: int | None = None

    def __init__(self, base_digest: str = "b" * 64, text: str = " Impression: Mass {at}.<|end|> more") -> None:
        self.base_digest = base_digest
        self.asked: list[tuple[list[str], str | None, int]] = []
        self._text = text

    def write_all(self, prompts: Sequence[str], adapter: AdapterBundle | None, max_tokens: int) -> Iterator[Written]:
        self.asked.append((list(prompts), adapter.digest if adapter else None, max_tokens))
        for at in range(len(prompts)):
            yield Written(self._text.format(at=at), "stop" if at else "length", 7 + at, 0.5)


def _case(name: str, **changes: str) -> Case:
    fields = {"findings": f"Findings {name}.", "impression": "Reference.", **changes}
    return Case(Report(id=name, modality=Modality.CT, **fields), Cell(Modality.CT, "list"), name, 1.0)


CASES = [_case("a"), _case("b")]


def _adapter(digest: str = "d" * 64, name: str = "unified") -> AdapterBundle:
    return AdapterBundle(Path("nowhere"), {"name": name, "files": {WEIGHTS: digest}})


def _predict(
    writer: FakeWriter,
    folder: Path,
    *,
    cases: Sequence[Case] = CASES,
    adapter: AdapterBundle | None = None,
    max_tokens: int = 64,
) -> tuple[int, Predictions]:
    *progress, last = predict(cases, writer, adapter, max_tokens, folder)
    assert last is not None
    assert not any(progress)
    return len(progress), last


def test_every_case_is_asked_for_and_its_impression_extracted(tmp_path: Path) -> None:
    steps, found = _predict(FakeWriter(), tmp_path)
    assert steps == 2
    assert found == Predictions(
        "base", "", "b" * 64, (Prediction("a", "Mass 0.", "length", 7, 0.5), Prediction("b", "Mass 1.", "stop", 8, 0.5))
    )


def test_a_model_is_asked_with_the_prompts_of_the_cases(tmp_path: Path) -> None:
    writer = FakeWriter()
    _predict(writer, tmp_path, adapter=_adapter(), max_tokens=99)
    assert writer.asked == [([render(case.report) for case in CASES], "d" * 64, 99)]
    assert "Reference" not in str(writer.asked)


def test_an_adapters_predictions_carry_its_name_and_digest(tmp_path: Path) -> None:
    _, found = _predict(FakeWriter(), tmp_path, adapter=_adapter(name="cluster-list"))
    assert (found.system, found.digest) == ("cluster-list", "d" * 64)
    assert [path.name for path in tmp_path.iterdir()] == ["cluster-list.jsonl"]


def test_the_same_question_is_not_asked_again(tmp_path: Path) -> None:
    _, first = _predict(FakeWriter(), tmp_path)
    writer = FakeWriter(text="something else")
    assert _predict(writer, tmp_path) == (0, first)
    assert writer.asked == []


@pytest.mark.parametrize(
    "cases",
    [
        CASES[:1],
        [CASES[1], CASES[0]],
        [_case("a", findings="Other."), CASES[1]],
        [_case("a", impression="Other."), CASES[1]],
        [_case("a", indication="Other."), CASES[1]],
        [_case("a", exam="Other."), CASES[1]],
        [_case("a", comparison="Other."), CASES[1]],
    ],
)
def test_other_cases_are_asked_for_again(tmp_path: Path, cases: list[Case]) -> None:
    _predict(FakeWriter(), tmp_path)
    writer = FakeWriter()
    _predict(writer, tmp_path, cases=cases)
    assert len(writer.asked) == 1


def test_another_base_another_adapter_and_another_limit_are_asked_again(tmp_path: Path) -> None:
    _predict(FakeWriter(), tmp_path, adapter=_adapter())
    other = FakeWriter(base_digest="f" * 64)
    same = FakeWriter()
    _predict(other, tmp_path, adapter=_adapter())
    _predict(same, tmp_path, adapter=_adapter(digest="e" * 64))
    _predict(same, tmp_path, adapter=_adapter(digest="e" * 64), max_tokens=65)
    assert (len(other.asked), len(same.asked)) == (1, 2)


def test_another_prompt_version_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _predict(FakeWriter(), tmp_path)
    monkeypatch.setattr("radimpress.eval.predict.PROMPT_VERSION", "next")
    writer = FakeWriter()
    _predict(writer, tmp_path)
    assert len(writer.asked) == 1


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xff", b"[]\n", b'{"system": "base"}\n{"x": 1}\n'])
def test_a_broken_cache_is_asked_again_and_replaced(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "base.jsonl").write_bytes(data)
    _, found = _predict(FakeWriter(), tmp_path)
    assert len(found.rows) == 2
    assert _predict(FakeWriter(), tmp_path) == (0, found)


class Breaking(FakeWriter):
    """Breaks off after the first answer."""

    def write_all(self, prompts: Sequence[str], adapter: AdapterBundle | None, max_tokens: int) -> Iterator[Written]:
        yield next(super().write_all(prompts, adapter, max_tokens))
        raise RuntimeError("broke off")


def test_a_run_that_broke_off_goes_on_with_what_is_left(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broke off"):
        _predict(Breaking(), tmp_path)
    writer = FakeWriter(text="Later.")
    steps, found = _predict(writer, tmp_path)
    assert [asked for asked, _, _ in writer.asked] == [[render(CASES[1].report)]]
    assert [row.impression for row in found.rows] == ["Mass 0.", "Later."]
    # The bar goes over what was there too, or it would never end.
    assert steps == 2
    assert _predict(FakeWriter(), tmp_path) == (0, found)


def test_a_line_that_was_not_finished_is_asked_again(tmp_path: Path) -> None:
    _, whole = _predict(FakeWriter(), tmp_path)
    path = tmp_path / "base.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    writer = FakeWriter(text="Again.")
    _, found = _predict(writer, tmp_path)
    assert [row.impression for row in found.rows] == ["Mass 0.", "Again."]
    assert [row.case for row in found.rows] == [row.case for row in whole.rows]
    assert len(path.read_bytes().splitlines()) == 3


@pytest.mark.parametrize("tail", [b'{"case": "zebra"}\n', b"not JSON\n", b"\n"])
def test_anything_else_that_is_wrong_begins_anew(tmp_path: Path, tail: bytes) -> None:
    _predict(FakeWriter(), tmp_path)
    path = tmp_path / "base.jsonl"
    head, first, _ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + first + tail)
    writer = FakeWriter()
    _predict(writer, tmp_path)
    assert len(writer.asked[0][0]) == 2


@pytest.mark.parametrize("field", ["impression", "finish", "tokens", "seconds", "copied", "case"])
def test_a_row_of_another_kind_begins_anew(tmp_path: Path, field: str) -> None:
    _predict(FakeWriter(), tmp_path)
    path = tmp_path / "base.jsonl"
    head, first, second = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    path.write_text("".join(json.dumps(row) + "\n" for row in (head, first, {**second, field: None})), "utf-8")
    writer = FakeWriter()
    _predict(writer, tmp_path)
    assert len(writer.asked[0][0]) == 2


def test_a_case_that_stands_twice_begins_anew(tmp_path: Path) -> None:
    _predict(FakeWriter(), tmp_path)
    path = tmp_path / "base.jsonl"
    head, first, _ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + first + first)
    writer = FakeWriter()
    _predict(writer, tmp_path)
    assert len(writer.asked[0][0]) == 2


def test_short_prompts_are_asked_first_and_the_order_of_the_cases_is_kept(tmp_path: Path) -> None:
    cases = [_case("long", findings="Long findings. " * 9), _case("short")]
    writer = FakeWriter()
    _, found = _predict(writer, tmp_path, cases=cases)
    assert writer.asked[0][0] == [render(cases[1].report), render(cases[0].report)]
    assert [(row.case, row.impression) for row in found.rows] == [("long", "Mass 1."), ("short", "Mass 0.")]


def test_only_its_owner_may_read_what_was_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        _predict(Breaking(), tmp_path)
    assert (tmp_path / "base.jsonl").stat().st_mode & 0o777 == 0o600
    _predict(FakeWriter(), tmp_path)
    assert (tmp_path / "base.jsonl").stat().st_mode & 0o777 == 0o600


_SLOW = """
import sys, time
from pathlib import Path
from radimpress.eval.predict import Written, predict
from tests.eval.test_predict import FakeWriter, many

class Slow(FakeWriter):
    def write_all(self, prompts, adapter, max_tokens):
        for written in super().write_all(prompts, adapter, max_tokens):
            time.sleep(0.05)
            yield written

list(predict(many(), Slow(), None, 64, Path(sys.argv[1])))
"""


def many() -> list[Case]:
    return [_case(f"{at:03}") for at in range(200)]


def test_a_process_that_was_killed_leaves_what_the_next_one_goes_on_with(tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    with subprocess.Popen([sys.executable, "-c", _SLOW, str(tmp_path)]) as process:
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            if path.exists() and path.read_bytes().count(b"\n") > 5:
                break
            time.sleep(0.02)
        process.kill()
    left = path.read_bytes().count(b"\n") - 1
    assert 5 <= left < 200
    writer = FakeWriter(text="Second run {at}.")
    _, found = _predict(writer, tmp_path, cases=many())
    assert len(writer.asked[0][0]) == 200 - left
    said = [row.impression for row in found.rows]
    assert said[:left] == [f"Mass {at}." for at in range(left)]
    assert said[left:] == [f"Second run {at}." for at in range(200 - left)]


EXAMPLES = [Report(id="x", findings="Example findings.", impression="Worked example.", modality=Modality.CT)]


def test_the_few_shot_system_is_asked_with_examples_and_named(tmp_path: Path) -> None:
    writer = FakeWriter()
    *_, found = predict(CASES, writer, None, 64, tmp_path, [EXAMPLES, ()])
    assert found is not None
    assert (found.system, found.digest) == ("base-few-shot", "")
    asked = set(writer.asked[0][0])
    assert asked == {render_with_examples(CASES[0].report, EXAMPLES), render(CASES[1].report)}
    assert [path.name for path in tmp_path.iterdir()] == ["base-few-shot.jsonl"]


def test_other_examples_are_asked_for_again(tmp_path: Path) -> None:
    list(predict(CASES, FakeWriter(), None, 64, tmp_path, [EXAMPLES, EXAMPLES]))
    same, other = FakeWriter(), FakeWriter()
    list(predict(CASES, same, None, 64, tmp_path, [EXAMPLES, EXAMPLES]))
    list(predict(CASES, other, None, 64, tmp_path, [EXAMPLES, ()]))
    assert (len(same.asked), len(other.asked)) == (0, 1)


def test_an_answer_that_is_an_examples_is_marked(tmp_path: Path) -> None:
    examples = [replace(EXAMPLES[0], id="y", impression="Another."), EXAMPLES[0]]
    *_, found = predict(CASES, FakeWriter(text="worked  EXAMPLE."), None, 64, tmp_path, [examples, ()])
    assert found is not None
    assert [row.copied for row in found.rows] == [2, 0]


def test_an_answer_with_a_line_separator_is_cached_like_any_other(tmp_path: Path) -> None:
    _, first = _predict(FakeWriter(text="Mass\u2028seen {at}."), tmp_path)
    assert first.rows[0].impression == "Mass\u2028seen 0."
    assert _predict(FakeWriter(), tmp_path) == (0, first)


def test_an_empty_answer_is_a_prediction(tmp_path: Path) -> None:
    _, found = _predict(FakeWriter(text="<|end|>"), tmp_path)
    assert [row.impression for row in found.rows] == ["", ""]
    assert found.rows[1] == replace(found.rows[0], case="b", finish="stop", tokens=8)
