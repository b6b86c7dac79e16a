"""Does a clinic still write as it did when the clusters were fitted? Asked month by month.

A month's mean is held against the fitted profile, feature by feature: an alarm has to say what changed, which an
embedding cannot. Both are uncertain, and so is what another case mix leaves. An alarm is a difference that chance makes
in YEARLY of years at most: each feature of each of twelve months is a question, and all are allowed for (Bonferroni),
so that looking every month costs nothing but a little delay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.placing import SMALL, Placer, deviate
from radimpress.clustering.vectors import StyleVectors
from radimpress.reports.errors import InputError, NotFoundError
from radimpress.reports.report import Report

YEARLY = 0.05
MONTHS = 12
LEAST = 8
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One feature in a month.

    Attributes:
        feature: its name.
        before: at the fit, as it would be at the corpus's average case mix.
        now: in the month, likewise.
        deviate: how far apart they are, in standard errors.
    """

    feature: str
    before: float
    now: float
    deviate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What one month says.

    Attributes:
        month: as the caller calls it.
        reports: how many were read.
        alarm: whether the clinic writes otherwise than when the clusters were fitted.
        distance: of the whole month, as a standard normal deviate, 0 where chance makes every second month as far;
            over `limit` it is an alarm. None where there are too few reports to tell.
        limit: that chance exceeds in YEARLY of years at most.
        changed: the features that differ most, first what differs most; in an alarm only.
        why: in words.
    """

    month: str
    reports: int
    alarm: bool
    distance: float | None
    limit: float
    changed: tuple[Change, ...]
    why: str


def limit() -> float:
    """What a month's distance may come to."""
    return deviate(float(np.log(YEARLY / MONTHS)))


def drift(
    clusters: Clusters, clinic: str, months: Mapping[str, tuple[Sequence[Report], StyleVectors]]
) -> tuple[Month, ...]:
    """Holds each month's reports of a clinic against its fitted profile.

    Raises:
        NotFoundError: the clinic was not fitted.
        InputError: the clusters hold no space, or the vectors do not fit it.
    """
    if clusters.space is None:
        raise InputError("clusters", f"place nobody: {clusters.why}")
    member = clusters.members.get(clinic)
    if member is None or not member.place:
        raise NotFoundError(f"{clinic}: has no fitted profile")
    return tuple(Watch(clusters, clinic).look(months.items()))


class Watch:
    """One clinic's fitted profile, to hold months against.

    Args:
        clusters: with a space.
        clinic: one of its members that has a place.
    """

    def __init__(self, clusters: Clusters, clinic: str) -> None:
        assert clusters.space is not None
        member = clusters.members[clinic]
        self.placer = Placer(clusters.space)
        self._mean = np.array(member.place) @ np.linalg.inv(self.placer.whiten)
        self._names = self.placer.names
        own = np.diag(self.placer.noise) / max(member.units, 1)
        # Features have an error of their own by bootstrap; few reports that agree by chance are not sure.
        told = np.array([member.error.get(name, 0.0) for name in self._names]) ** 2
        own[: len(told)] = np.maximum(told, 0.5 * own[: len(told)])
        self._error = own
        self._shift = np.array([member.adjusted.get(name, 0.0) for name in self._names]) - self._mean[: len(told)]

    def look(self, months: Iterable[tuple[str, tuple[Sequence[Report], StyleVectors]]]) -> Iterable[Month]:
        """What each month says."""
        for month, (reports, made) in months:
            if len(reports) < LEAST:
                why = f"{len(reports)} reports are too few to tell; {LEAST} are needed"
                yield Month(
                    month=month,
                    reports=len(reports),
                    alarm=False,
                    distance=None,
                    limit=round(limit(), 2),
                    changed=(),
                    why=why,
                )
            else:
                yield self._month(month, reports, made)

    def _month(self, month: str, reports: Sequence[Report], made: StyleVectors) -> Month:
        from scipy.stats import t

        seen = self.placer.see(reports, made)
        apart = seen.mean - self._mean
        errors = np.sqrt(np.diag(seen.chance) + self._error + np.diag(seen.mixing) + SMALL**2)
        ratios = (apart / errors)[: len(self._names)]
        # Each ratio has about as many degrees of freedom as the month has reports and the corpus lends.
        log_chance = float(t.logsf(np.abs(ratios).max(), seen.units + 20)) + float(np.log(2 * len(ratios)))
        distance = max(0.0, deviate(log_chance))
        alarm = distance > limit()
        order = np.argsort(-np.abs(ratios))[:_SHOWN]
        changed = tuple(
            Change(
                feature=self._names[at],
                before=round(float(self._mean[at] + self._shift[at]), 3),
                now=round(float(seen.mean[at] + self._shift[at]), 3),
                deviate=round(float(ratios[at]), 1),
            )
            for at in order
            if abs(ratios[at]) > 2
        )
        told = ", ".join(f"{c.feature.replace('_', ' ')} {c.before:.2f} to {c.now:.2f}" for c in changed)
        chance = float(np.exp(min(log_chance, 0)))
        why = f"chance makes such a month once in {1 / max(chance, 1e-12):,.0f}" + (f": {told}" if told else "")
        return Month(
            month=month,
            reports=len(reports),
            alarm=alarm,
            distance=round(distance, 2),
            limit=round(limit(), 2),
            changed=changed if alarm else (),
            why=why if alarm else "as at the fit",
        )
