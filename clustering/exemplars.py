"""Reports that show how a cluster writes: those nearest to its centre."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.placing import Placer
from radimpress.clustering.vectors import StyleVectors
from radimpress.reports.report import Report


def exemplars(
    clusters: Clusters, reports: Sequence[Report], made: StyleVectors, count: int = 3
) -> dict[str, tuple[Report, ...]]:
    """Cluster's key -> its `count` reports nearest to the centre, of as many clinics and impressions as there are.

    Args:
        clusters: without a space they have no exemplars.
        reports: of the clusters' clinics; others are passed over.
        made: the reports' vectors, by the clusters' own embedder.
        count: for each cluster.

    Raises:
        InputError: the vectors are of other features or of another embedding model.
    """
    if clusters.space is None:
        return {}
    placer = Placer(clusters.space)
    places = placer.vectors(reports, made) @ placer.whiten
    found = {}
    for name in clusters.names:
        rows = [at for at, report in enumerate(reports) if clusters.of(report.clinic) == name]
        apart = np.linalg.norm(places[rows] - np.array(clusters.clusters[name].centre), axis=1)
        found[name] = _varied([reports[rows[at]] for at in np.argsort(apart, kind="stable")], count)
    return found


def _varied(order: Sequence[Report], count: int) -> tuple[Report, ...]:
    """The first `count`, no impression twice, and no clinic twice while another has one."""
    first: dict[str, Report] = {}
    for report in order:
        first.setdefault(report.impression, report)
    clinics: Counter[str] = Counter()
    turns = []
    for at, report in enumerate(first.values()):
        clinics[report.clinic] += 1
        turns.append((clinics[report.clinic], at, report))
    return tuple(report for _, _, report in sorted(turns, key=lambda turn: turn[:2])[:count])
