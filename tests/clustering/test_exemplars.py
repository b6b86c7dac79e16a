from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.exemplars import _varied, exemplars
from radimpress.clustering.fit import fit_clusters
from radimpress.clustering.placing import Placer
from radimpress.clustering.vectors import vectors_of
from radimpress.reports.errors import InputError
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize
from tests.clustering.hashing import HashEmbedder

# Nearest first; the first text comes again at the end.
TURNS = [("Mass.", "alder"), ("Stone.", "alder"), ("Mass.", "birch"), ("Cyst.", "birch"), ("Mass.", "alder")]
REPORTS = tuple(synthesize(400, 0, 0.0))


@pytest.fixture(scope="module")
def clusters() -> Clusters:
    return fit_clusters(REPORTS, HashEmbedder())


def test_each_cluster_has_reports_of_its_own_nearest_to_its_centre(clusters: Clusters) -> None:
    made = vectors_of(REPORTS, HashEmbedder())
    found = exemplars(clusters, REPORTS, made, 2)
    assert set(found) == set(clusters.names)
    assert clusters.space is not None
    placer = Placer(clusters.space)
    places = placer.vectors(REPORTS, made) @ placer.whiten
    for name, reports in found.items():
        assert len({report.impression for report in reports}) == 2
        assert {clusters.of(report.clinic) for report in reports} == {name}
        # A clinic each, as the cluster has several.
        several = len({clinic for clinic, other in clusters.clinics.items() if other == name}) > 1
        assert len({report.clinic for report in reports}) == 1 + several
        far = np.linalg.norm(places - np.array(clusters.clusters[name].centre), axis=1)
        own = min(at for at, report in enumerate(REPORTS) if report is reports[0])
        assert far[own] == min(far[at] for at, r in enumerate(REPORTS) if clusters.of(r.clinic) == name)


def test_a_text_that_stands_near_and_far_counts_by_where_it_is_nearest() -> None:
    order = [Report(id=str(at), findings="", impression=text, clinic=clinic) for at, (text, clinic) in enumerate(TURNS)]
    assert [report.id for report in _varied(order, 3)] == ["0", "3", "1"]


def test_reports_of_clinics_in_no_cluster_show_nothing(clusters: Clusters) -> None:
    strangers = [replace(report, clinic="nobody") for report in REPORTS[:5]]
    found = exemplars(clusters, strangers, vectors_of(strangers, HashEmbedder()))
    assert set(found.values()) == {()}


def test_clusters_without_a_space_have_none(clusters: Clusters) -> None:
    assert exemplars(replace(clusters, space=None), REPORTS, vectors_of(REPORTS, HashEmbedder())) == {}


def test_vectors_of_another_model_are_refused(clusters: Clusters) -> None:
    report = Report(id="r", findings="", impression="Mass.", clinic="alder")
    made = vectors_of([report], HashEmbedder())
    with pytest.raises(InputError, match="vectors: have"):
        exemplars(clusters, [report], replace(made, embeddings=made.embeddings[:, :5]))
