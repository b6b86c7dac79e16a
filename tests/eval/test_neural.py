from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from radimpress.eval.metrics.neural import NEURAL, NeuralMetrics
from radimpress.reports.errors import ConfigError


class FakeRadEval:
    """RadEval's face: keys by metric, one value a pair; here the length of the impression."""

    made: dict[str, Any]
    asked: list[tuple[list[str], list[str]]]

    def __init__(self, metrics: list[str], per_sample: bool, show_progress: bool) -> None:
        FakeRadEval.made = {"metrics": metrics, "per_sample": per_sample, "show_progress": show_progress}
        FakeRadEval.asked = []
        self._keys = [key for name, keys in NEURAL.values() if name in metrics for key in keys]

    def __call__(self, refs: list[str], hyps: list[str]) -> dict[str, Any]:
        FakeRadEval.asked.append((refs, hyps))
        return {key: [float(len(text)) for text in hyps] for key in self._keys}


def _install(monkeypatch: pytest.MonkeyPatch, kind: Any = FakeRadEval) -> None:
    monkeypatch.setitem(sys.modules, "radeval", SimpleNamespace(RadEval=kind))


def test_each_pair_gets_each_metric_under_neural(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch)
    found = NeuralMetrics(["bertscore", "radgraph"])(["One.", "Three."], ["Ref one.", "Ref two."])
    keys = {"neural:bertscore", "neural:radgraph_simple", "neural:radgraph_partial", "neural:radgraph_complete"}
    assert found == [dict.fromkeys(keys, 4.0), dict.fromkeys(keys, 6.0)]
    assert FakeRadEval.made == {"metrics": ["bertscore", "radgraph"], "per_sample": True, "show_progress": False}
    assert FakeRadEval.asked == [(["Ref one.", "Ref two."], ["One.", "Three."])]


def test_an_empty_impression_scores_zero_and_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch)
    found = NeuralMetrics(["green"])(["", "Mass.", " "], ["A", "B", "C"])
    assert [row["neural:green"] for row in found] == [0.0, 5.0, 0.0]
    assert FakeRadEval.asked == [(["B"], ["Mass."])]
    assert NeuralMetrics(["green"])([""], ["A"]) == [{"neural:green": 0.0}]


@pytest.mark.parametrize("odd", [math.nan, math.inf, None])
def test_what_is_no_number_is_left_out(monkeypatch: pytest.MonkeyPatch, odd: float | None) -> None:
    class Odd(FakeRadEval):
        def __call__(self, refs: list[str], hyps: list[str]) -> dict[str, Any]:
            return {"ratescore": [odd, 0.5]}

    _install(monkeypatch, Odd)
    assert NeuralMetrics(["ratescore"])(["A", "B"], ["A", "B"]) == [{}, {"neural:ratescore": 0.5}]


def test_without_radeval_the_option_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "radeval", None)
    with pytest.raises(ConfigError, match=r"green need RadEval; .*radimpress\[radeval\]"):
        NeuralMetrics(["green"])


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(ConfigError, match="'bleurt' is none of radgraph, chexbert, green"):
        NeuralMetrics(["radgraph", "bleurt"])


def test_a_model_that_cannot_be_fetched_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError("no hub")

    _install(monkeypatch, refuse)
    with pytest.raises(ConfigError, match=r"could not load chexbert \(OSError\)"):
        NeuralMetrics(["chexbert"])


def test_a_failure_quotes_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(FakeRadEval):
        def __call__(self, refs: list[str], hyps: list[str]) -> dict[str, Any]:
            raise ValueError(f"cannot read {hyps}")

    _install(monkeypatch, Failing)
    with pytest.raises(ConfigError) as caught:
        NeuralMetrics(["green"])(["Secret mass."], ["Ref."])
    assert "Secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("given", [{}, {"green": [1.0]}])
def test_a_metric_that_does_not_answer_each_case_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, list[float]]
) -> None:
    class Short(FakeRadEval):
        def __call__(self, refs: list[str], hyps: list[str]) -> dict[str, Any]:
            return given

    _install(monkeypatch, Short)
    with pytest.raises(ConfigError, match="gave no green for each of 2 cases"):
        NeuralMetrics(["green"])(["A", "B"], ["A", "B"])
