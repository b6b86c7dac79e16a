"""The published experiment, replayed: what the gate would have said of it."""

from __future__ import annotations

import pytest

from radimpress.eval.gate import Outcome, Rule, Verdict, judge, judge_overall
from radimpress.eval.published import CANDIDATE, INCUMBENT, SLICES, published_scores
from radimpress.reports.report import Modality

SEEDS = range(10)


def _verdicts(cases: int | None, seed: int) -> dict[Modality, Verdict]:
    verdicts = judge(published_scores(cases, seed=seed), CANDIDATE, {}, INCUMBENT, Rule())
    return {v.cell.modality: v for v in verdicts if v.cell and v.cell.cluster == "any"}


def test_sizes_and_means_are_the_published_ones() -> None:
    scores = published_scores()
    assert len(scores.cases) == 138
    for name, mean in ((INCUMBENT, 0.3465), (CANDIDATE, 0.4146)):
        found = scores.mean(name, "rouge1")
        assert found is not None
        assert found.mean == pytest.approx(mean, abs=5e-5)
    for modality, verdict in _verdicts(None, 0).items():
        assert verdict.difference is not None
        assert (verdict.cases, verdict.difference.mean) == pytest.approx(SLICES[modality])


@pytest.mark.parametrize("seed", SEEDS)
def test_as_published_mr_passes_and_nm_and_other_are_not_called_passed(seed: int) -> None:
    found = _verdicts(None, seed)
    assert found[Modality.MR].outcome is Outcome.PASS
    for modality, size in ((Modality.NM, 16), (Modality.OTHER, 2)):
        verdict = found[modality]
        assert (verdict.outcome, verdict.cases) == (Outcome.INSUFFICIENT, size)
        assert f"needs 150 cases of as many patients for a verdict (sd 0.20 assumed): {150 - size} more" in verdict.why


@pytest.mark.parametrize("seed", SEEDS)
def test_with_200_a_slice_the_same_drops_are_regressions(seed: int) -> None:
    found = _verdicts(200, seed)
    worse = {modality for modality, verdict in found.items() if verdict.outcome is Outcome.REGRESSION}
    assert worse == {Modality.NM, Modality.OTHER}
    assert found[Modality.MR].improved


def test_the_average_hides_what_the_slices_show() -> None:
    overall = judge_overall(published_scores(200), CANDIDATE, INCUMBENT, Rule())
    assert (overall.outcome, overall.improved) == (Outcome.PASS, True)
