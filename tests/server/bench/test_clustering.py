"""The benchmark of clusters, as small as it can be; hashed words stand for the embedding model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from radimpress.clustering.clusters import Clusters
from radimpress.server.bench import clustering
from radimpress.server.bench.clustering import GROUPS, ClusteringBench, agreement, measure
from radimpress.server.bench.scale import Words

TRUTH = {"a": "list", "b": "list", "c": "prose", "d": "prose"}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ClusteringBench:
    for name, size in {
        "CLINICS": 24,
        "_PER_CLINIC": 16,
        "_ONE": 8,
        "_NEW": 1,
        "_STRANGERS": 2,
        "_YEARS": 8,
        "_BEFORE": 30,
        "_MONTHS": 2,
        "_MONTHLY": 40,
    }.items():
        monkeypatch.setattr(clustering, name, size)
    return ClusteringBench(embedder=Words(), cache=None, seeds=1)


def _clusters(**homes: str) -> Clusters:
    return Clusters(clinics=homes, profiles={}, embedder="none", data="", why="")


def test_agreement_is_1_for_the_truth_and_a_clinic_in_no_cluster_costs() -> None:
    assert agreement(_clusters(a="x", b="x", c="y", d="y"), TRUTH) == 1
    assert 0 < agreement(_clusters(a="x", b="x", c="y"), TRUTH) < 1
    assert agreement(_clusters(a="x", b="y", c="x", d="y"), TRUTH) < 0
    assert agreement(_clusters(), TRUTH) == 0


def test_six_clinics_of_three_styles_are_found_and_every_seed_is_told(bench: ClusteringBench) -> None:
    told: list[str] = []
    figures = measure(replace(bench, seeds=2, told=told.append), ("small",))
    assert [line.partition(":")[0] for line in told] == ["small 0", "small 1"]
    assert (figures["ari_small"].value, figures["ari_small"].low) == (1.0, 1.0)


def test_a_fit_that_finds_nothing_shows_in_every_figure(
    bench: ClusteringBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = ClusteringBench.fit

    def blind(self: ClusteringBench, reports: object, made: object, seed: int) -> Clusters:
        made_clusters = fit(self, reports, made, seed)  # type: ignore[arg-type]
        return replace(made_clusters, clinics={clinic: f"{at}" for at, clinic in enumerate(made_clusters.clinics)})

    monkeypatch.setattr(ClusteringBench, "fit", blind)
    figures = measure(bench, ("small", "one"))
    assert (figures["ari_small"].value, figures["one_style_found"].value) == (0.0, 0.0)


def test_every_group_says_what_is_promised_of_it(bench: ClusteringBench) -> None:
    figures = measure(bench)
    assert list(figures) == [
        "ari_small",
        "ari_confounded",
        "ari_naive",
        "one_style_found",
        "new_clinic_right",
        "new_style_unsure",
        "drift_caught",
        "drift_false_year",
    ]
    assert all(-1 <= figure.low <= figure.value <= figure.high <= 1 for figure in figures.values())
    assert figures["ari_confounded"].value > figures["ari_naive"].value
    assert figures["one_style_found"].value == 1
    assert figures["drift_caught"].value > 0.8
    assert figures["drift_false_year"].value < 0.2
    assert set(GROUPS) == {"small", "confounded", "one", "newcomers", "drift"}
