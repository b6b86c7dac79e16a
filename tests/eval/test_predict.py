from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.clustering.cell import Cell
from radimpress.eval.cases import Case
from radimpress.eval.predict import Prediction, Predictions, Written, predict
from radimpress.reports.prompt import render
from radimpress.reports.report import Modality, Report
from radimpress.trainer.bundle import WEIGHTS, AdapterBundle


class FakeWriter:
    def __init__(self, base_digest: str = "b" * 64, text: str = " Impression: Mass {at}.<|end|> more") -> None:
        self.base_digest = base_digest
        self.asked: list[tuple[list[str], str | None, int]] = []
        self._text = text

    def write_all(self, prompts: Sequence[str], adapter: AdapterBundle | None, max_tokens: int) -> Iterator[Written]:
        self.asked.append((list(prompts), adapter.digest if adapter else None, max_tokens))
        for at in range(len(prompts)):
            yield Written(self._text.format(at=at), "stop" if at else "length", 7 + at)


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
        "base", "", "b" * 64, (Prediction("a", "Mass 0.", "length", 7), Prediction("b", "Mass 1.", "stop", 8))
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


def test_a_model_that_breaks_off_leaves_no_cache(tmp_path: Path) -> None:
    class Breaking(FakeWriter):
        def write_all(
            self, prompts: Sequence[str], adapter: AdapterBundle | None, max_tokens: int
        ) -> Iterator[Written]:
            yield next(super().write_all(prompts, adapter, max_tokens))
            raise RuntimeError("broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        _predict(Breaking(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_with_a_line_separator_is_cached_like_any_other(tmp_path: Path) -> None:
    _, first = _predict(FakeWriter(text="Mass\u2028seen {at}."), tmp_path)
    assert first.rows[0].impression == "Mass\u2028seen 0."
    assert _predict(FakeWriter(), tmp_path) == (0, first)


def test_an_empty_answer_is_a_prediction(tmp_path: Path) -> None:
    _, found = _predict(FakeWriter(text="<|end|>"), tmp_path)
    assert [row.impression for row in found.rows] == ["", ""]
    assert found.rows[1] == replace(found.rows[0], case="b", finish="stop", tokens=8)
