from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.clustering.clusters import Clusters
from radimpress.reports.report import Modality, Report
from radimpress.trainer.plan import UNIFIED, Plan, plan, take


def _clusters(**clinics: str) -> Clusters:
    return Clusters(clinics=clinics, profiles={}, embedder="", data="", why="")


def _reports(clinic: str, count: int, modality: Modality = Modality.CT) -> list[Report]:
    return [Report(id=f"{clinic}{modality}{at}", findings="f", clinic=clinic, modality=modality) for at in range(count)]


def _plan(reports: list[Report], clusters: Clusters, *, cluster_reports: int = 0, minimum: int = 5) -> Plan:
    return plan(reports, clusters, unified_reports=0, cluster_reports=cluster_reports, cluster_minimum=minimum, seed=0)


TWO = _clusters(alder="list", elm="telegraphic")


def test_unified_comes_first_and_each_cluster_starts_from_it() -> None:
    planned = _plan(_reports("alder", 5) + _reports("elm", 6), TWO)
    assert [(a.name, a.cluster, a.start_from) for a in planned.adapters] == [
        (UNIFIED, None, None),
        ("cluster-list", "list", UNIFIED),
        ("cluster-telegraphic", "telegraphic", UNIFIED),
    ]
    assert planned.left_out == ()


def test_a_cluster_can_start_afresh() -> None:
    reports = _reports("alder", 5) + _reports("elm", 6)
    planned = plan(reports, TWO, unified_reports=0, cluster_reports=0, cluster_minimum=5, seed=0, afresh=True)
    assert [adapter.start_from for adapter in planned.adapters] == [None, None, None]


def test_unified_learns_from_all_and_a_cluster_from_its_own() -> None:
    alder, elm = _reports("alder", 5), _reports("elm", 6)
    unified, lists, telegrams = _plan(alder + elm, TWO).adapters
    assert (unified.reports, lists.reports, telegrams.reports) == ((*alder, *elm), tuple(alder), tuple(elm))


@pytest.mark.parametrize(("count", "left_out"), [(4, ("list",)), (5, ())])
def test_a_cluster_with_too_few_reports_gets_no_adapter(count: int, left_out: tuple[str, ...]) -> None:
    assert _plan(_reports("alder", count) + _reports("elm", 9), TWO).left_out == left_out


def test_one_cluster_alone_gets_no_adapter_of_its_own() -> None:
    planned = _plan(_reports("alder", 50), _clusters(alder="list"))
    assert [adapter.name for adapter in planned.adapters] == [UNIFIED]
    assert planned.left_out == ("list",)


def test_a_clinic_without_a_cluster_teaches_the_unified_adapter_only() -> None:
    planned = _plan(_reports("alder", 5) + _reports("elm", 5) + _reports("new", 5), TWO)
    assert {report.clinic for report in planned.adapters[1].reports} == {"alder"}
    assert Counter(report.clinic for report in planned.adapters[0].reports)["new"] == 5


def test_a_cluster_takes_no_more_reports_than_asked_for() -> None:
    planned = _plan(_reports("alder", 9) + _reports("elm", 9), TWO, cluster_reports=3)
    assert [len(adapter.reports) for adapter in planned.adapters] == [18, 3, 3]


def test_each_modality_with_enough_reports_gets_an_adapter_that_starts_from_the_unified_one() -> None:
    mr, few = _reports("alder", 5, Modality.MR), _reports("elm", 4, Modality.NM)
    unstated = _reports("elm", 9, Modality.UNSPECIFIED)
    sizes: dict[str, Any] = {"unified_reports": 0, "cluster_reports": 3, "cluster_minimum": 5, "seed": 0}
    planned = plan([*mr, *few, *unstated], TWO, **sizes, each_modality=True)
    own = [adapter for adapter in planned.adapters if adapter.modality]
    assert [(a.name, a.cluster, a.start_from, a.modality) for a in own] == [
        ("modality-MR", None, UNIFIED, Modality.MR),
    ]
    assert len(own[0].reports) == 3
    assert set(own[0].reports) <= set(mr)
    assert planned.modalities_left_out == (Modality.NM,)
    assert all(own[0].learns_from(report, TWO) for report in mr)
    assert not any(own[0].learns_from(report, TWO) for report in few)
    assert plan([*mr, *few], TWO, **sizes).modalities_left_out == ()


def test_one_modality_alone_gets_no_adapter_of_its_own() -> None:
    sizes: dict[str, Any] = {"unified_reports": 0, "cluster_reports": 0, "cluster_minimum": 5, "seed": 0}
    planned = plan(_reports("alder", 9), _clusters(alder="list"), **sizes, each_modality=True)
    assert [adapter.name for adapter in planned.adapters] == [UNIFIED]
    assert planned.modalities_left_out == (Modality.CT,)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 90), st.integers(0, 5))
def test_taking_gives_different_reports_and_at_most_the_limit(common: int, rare: int, limit: int, seed: int) -> None:
    reports = _reports("a", common, Modality.MR) + _reports("a", rare, Modality.NM)
    taken = take(reports, limit, seed)
    assert len({report.id for report in taken}) == len(taken)
    assert len(taken) <= (limit or len(reports))
    assert set(taken) <= set(reports)


@pytest.mark.parametrize("limit", [0, 10, 11])
def test_a_limit_of_zero_or_above_all_takes_all_in_order(limit: int) -> None:
    reports = _reports("a", 10)
    assert take(reports, limit, 0) == tuple(reports)


def test_taking_is_seeded() -> None:
    reports = _reports("a", 50)
    assert take(reports, 10, 1) == take(reports, 10, 1)
    assert set(take(reports, 10, 1)) != set(take(reports, 10, 2))


def test_modalities_share_places_by_the_square_root_of_their_counts() -> None:
    taken = take(_reports("a", 900, Modality.MR) + _reports("a", 100, Modality.CT), 80, 0)
    assert Counter(report.modality for report in taken) == {Modality.MR: 60, Modality.CT: 20}
