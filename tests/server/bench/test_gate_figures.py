from __future__ import annotations

import json

import pytest

from radimpress.clustering.cell import ANY
from radimpress.eval.gate import Rule
from radimpress.eval.simulate import Rate
from radimpress.server.bench import gate
from radimpress.server.bench.gate import judge_all, material, measure


def test_the_material_has_cases_in_every_slice() -> None:
    cases, predictions, _ = material()
    assert len(cases) == 1915
    assert len({case.cell for case in cases}) == 48
    assert [len(written.rows) for written in predictions] == [1915] * 3


def test_everything_but_generation_ends_with_a_verdict_a_slice() -> None:
    certificate = judge_all(*material(240))
    cells = [verdict.cell for verdict in certificate.verdicts if verdict.cell]
    assert len([cell for cell in cells if cell.cluster != ANY]) == 48
    assert len([cell for cell in cells if cell.cluster == ANY]) == 8


def test_the_figures_are_those_of_the_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = [Rate("x", "worse", 20, 4, 100), Rate("y", "worse", 20, 2, 100), Rate("x", "equal", 150, 90, 100)]
    monkeypatch.setattr(gate, "simulate", lambda runs, rule: iter(rates) if rule == Rule() else None)
    monkeypatch.setattr(gate, "CASES", 60)
    monkeypatch.setattr(gate, "material", lambda: material(60))
    heard: list[Rate] = []
    figures = measure(100, heard.append)
    assert list(figures) == ["worse_passes", "equal_passes", "seconds", "negation_right"]
    assert (figures["worse_passes"].value, figures["worse_passes"].low, figures["worse_passes"].high) == (
        0.03,
        0.02,
        0.04,
    )
    assert figures["equal_passes"].value == 0.9
    assert 0 < figures["seconds"].low <= figures["seconds"].value <= figures["seconds"].high
    assert heard == rates
    json.dumps({name: figure.value for name, figure in figures.items()})
