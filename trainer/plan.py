"""Which adapters to fit, from which reports: one unified, one a cluster and, where asked for, one a modality."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from radimpress.clustering.clusters import Clusters
from radimpress.reports.files import digest_of
from radimpress.reports.report import Modality, Report

UNIFIED = "unified"


@dataclass(frozen=True, slots=True)
class PlannedAdapter:
    """One adapter to fit.

    Attributes:
        name: the adapter's name.
        cluster: the cluster it is for; None learns from all of them.
        start_from: the adapter whose weights it starts from; None starts afresh.
        reports: what it learns from.
        modality: the only one that it is for; None learns from all of them.
    """

    name: str
    cluster: str | None
    start_from: str | None
    reports: tuple[Report, ...]
    modality: Modality | None = None

    @property
    def digest(self) -> str:
        """SHA-256, in hex, over which reports it learns from and what they conclude."""
        return digest_of([[report.id, report.impression] for report in self.reports])

    def learns_from(self, report: Report, clusters: Clusters) -> bool:
        """Whether it is for reports of this clinic and modality."""
        return self.cluster in (None, clusters.of(report.clinic)) and self.modality in (None, report.modality)


@dataclass(frozen=True, slots=True)
class Plan:
    """The adapters in the order to fit them.

    Attributes:
        adapters: the unified one first.
        left_out: clusters that get none.
        modalities_left_out: modalities that get none, where each was to get one.
    """

    adapters: tuple[PlannedAdapter, ...]
    left_out: tuple[str, ...]
    modalities_left_out: tuple[Modality, ...] = ()


def plan(
    reports: Sequence[Report],
    clusters: Clusters,
    *,
    unified_reports: int,
    cluster_reports: int,
    cluster_minimum: int,
    seed: int,
    afresh: bool = False,
    each_modality: bool = False,
) -> Plan:
    """Plans the unified adapter and one for each cluster with at least `cluster_minimum` reports.

    A cluster adapter starts from the unified one unless `afresh`. One cluster alone is what the unified adapter
    learns anyway, so it gets none of its own. With `each_modality` each modality with so many reports gets one
    as well, which starts from the unified one; where none is stated, base answers, and no adapter learns that.
    """
    adapters = [PlannedAdapter(UNIFIED, None, None, take(reports, unified_reports, seed))]
    left_out = []
    for cluster in clusters.names:
        own = [report for report in reports if clusters.of(report.clinic) == cluster]
        if len(clusters.names) < 2 or len(own) < cluster_minimum:
            left_out.append(cluster)
            continue
        start = None if afresh else UNIFIED
        adapters.append(PlannedAdapter(f"cluster-{cluster}", cluster, start, take(own, cluster_reports, seed)))
    without = []
    stated = sorted({report.modality for report in reports} - {Modality.UNSPECIFIED}) if each_modality else []
    for modality in stated:
        own = [report for report in reports if report.modality is modality]
        if len(stated) < 2 or len(own) < cluster_minimum:
            without.append(modality)
            continue
        taken = take(own, cluster_reports, seed)
        adapters.append(PlannedAdapter(f"modality-{modality}", None, UNIFIED, taken, modality))
    return Plan(tuple(adapters), tuple(left_out), tuple(without))


def take(reports: Sequence[Report], limit: int, seed: int) -> tuple[Report, ...]:
    """At most `limit` reports, seeded; 0 takes all.

    Modalities share the places by the square root of their counts, so that a rare one is neither
    drowned nor repeated.
    """
    if limit == 0 or limit >= len(reports):
        return tuple(reports)
    shelves: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        shelves[report.modality].append(report)
    chance = random.Random(seed)
    weights = {modality: len(shelf) ** 0.5 for modality, shelf in sorted(shelves.items())}
    taken: list[Report] = []
    for modality, weight in weights.items():
        share = max(1, round(limit * weight / sum(weights.values())))
        taken += chance.sample(shelves[modality], min(share, len(shelves[modality])))
    chance.shuffle(taken)
    return tuple(taken[:limit])
