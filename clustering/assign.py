"""Which cluster a clinic writes like, from a handful of its reports, and whether it writes like any.

The clinic's mean lies about its cluster's centre by its habits, by the chance of the handful and by its case mix. The
probability of each cluster follows by Bayes' rule, with clusters as likely as they have clinics. A mean that is too far
from every centre for how clinics of one cluster lie is in no known style, however near one of them is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.placing import Placer, Seen, between, stretch
from radimpress.clustering.vectors import StyleVectors
from radimpress.reports.errors import InputError
from radimpress.reports.report import Report

Floats = NDArray[np.float64]

# Under this probability nobody is sure, and the unified adapter serves.
SURE = 0.9
# Fewer reports than this say too little, whatever they say.
LEAST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a handful of reports says.

    Attributes:
        cluster: the key; None where nobody is sure, so that the unified adapter serves.
        nearest: the most likely cluster, sure or not.
        probabilities: cluster -> probability, given that it is one of them.
        distance: from the nearest where styles differ, 1 being how far that one's own clinics lie (root mean
            square); over `radius` it is in no known style.
        radius: of the nearest cluster.
        reports: how many were read.
        why: in words.
    """

    cluster: str | None
    nearest: str
    probabilities: Mapping[str, float]
    distance: float
    radius: float
    reports: int
    why: str


def assign(clusters: Clusters, reports: Sequence[Report], made: StyleVectors) -> Assignment:
    """Assigns one clinic by its reports and their vectors, which the caller makes with the clusters' own embedder.

    Raises:
        InputError: there are no reports, the clusters hold no space, or the vectors do not fit it.
    """
    if clusters.space is None:
        raise InputError("clusters", f"place nobody: {clusters.why}")
    placer = Placer(clusters.space)
    return decide(clusters, placer, placer.see(reports, made), len(reports))


def decide(clusters: Clusters, placer: Placer, seen: Seen, reports: int) -> Assignment:
    """The same for reports that are placed already."""
    back = np.linalg.inv(placer.whiten)
    names = clusters.names
    counts = {name: sum(other == name for other in clusters.clinics.values()) for name in names}
    centres = np.array([clusters.clusters[name].centre for name in names]) @ back
    logs = []
    for name, centre in zip(names, centres, strict=True):
        apart, covariance = seen.mean - centre, spread(placer, seen, counts[name])
        _, log_size = np.linalg.slogdet(covariance)
        logs.append(np.log(counts[name]) - 0.5 * (apart @ np.linalg.solve(covariance, apart) + log_size))
    weights = np.exp(np.array(logs) - max(logs))
    chances = dict(zip(names, (weights / weights.sum()).tolist(), strict=True))
    nearest = max(names, key=lambda name: chances[name])
    radius, title = clusters.clusters[nearest].radius, clusters.title(nearest)
    apart = seen.mean - centres[names.index(nearest)]
    far = stretch(apart, spread(placer, seen, counts[nearest]), between(centres, len(placer.names)))
    if reports < LEAST:
        why = f"{reports} reports are too few to tell; {LEAST} are needed"
    elif far > radius:
        why = f"it lies {far:.2f} times as far from {title} as its clinics do, over {radius:.2f}: "
        why += "it writes in no known style"
    elif chances[nearest] < SURE:
        why = f"{title} has a probability of {chances[nearest]:.0%}, under {SURE:.0%}"
    else:
        why = ""
    return Assignment(
        cluster=None if why else nearest,
        nearest=nearest,
        probabilities={name: round(chance, 4) for name, chance in chances.items()},
        distance=round(far, 2),
        radius=radius,
        reports=reports,
        why=f"unsure: {why}" if why else f"{title} has a probability of {chances[nearest]:.0%}",
    )


def spread(placer: Placer, seen: Seen, clinics: int) -> Floats:
    """Covariance of a clinic's mean about the centre of a cluster of so many clinics, which is itself not sure."""
    covariance: Floats = placer.habits * (1 + 1 / clinics) + seen.chance + seen.mixing
    return covariance
