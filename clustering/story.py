"""Puts a fit into words and numbers that a file can hold: profiles, how sure, radius, map and dendrogram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.adjust import Cells
from radimpress.clustering.assign import decide, spread
from radimpress.clustering.choose import Choice, nearest_centre, style_axes
from radimpress.clustering.clusters import Clusters
from radimpress.clustering.features import NAMES
from radimpress.clustering.metric import Metric, Places
from radimpress.clustering.placing import Placer, between, stretch
from radimpress.clustering.settle import Settled
from radimpress.clustering.values import Cluster, Member, Point, Row, Space
from radimpress.clustering.vectors import StyleVectors, features_version
from radimpress.reports.report import Report

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

BAG = 15
# A handful as a new clinic brings it, and how many are drawn of each clinic to see how far they lie.
_HANDFUL = 20
_DRAWS = 3
# Share of the clusters' own handfuls that may be taken for strangers. With too few handfuls to see that, no radius is
# under what clinics come to on average, and with none it is what 1% of normal ones pass.
_STRANGE = 0.01
_AVERAGE, _UNTRIED = 1.0, 1.5
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Tell:
    """A settled fit, and what it was made of.

    Attributes:
        reports: that were fitted.
        made: their vectors.
        plain: the same beside each other, what is scanned taken away, [n, P].
        cells: of the reports.
        metric: of the fit, before it was settled.
        places: of the clinics.
        settled: who belongs where.
        totals: reports of each clinic in the corpus.
        seed: of handfuls.
    """

    reports: Sequence[Report]
    made: StyleVectors
    plain: Floats
    cells: Cells
    metric: Metric
    places: Places
    settled: Settled
    totals: Counter[str]
    seed: int

    def groups(self) -> list[list[str]]:
        """Clinics of each label."""
        count = len(self.settled.centres)
        return [
            [c for c, label in zip(self.cells.clinics, self.settled.labels.tolist(), strict=True) if label == one]
            for one in range(count)
        ]

    def cluster_profiles(self) -> list[dict[str, float]]:
        """Adjusted features of each label."""
        return [self._features(centre) for centre in self.settled.centres]

    def clusters(self, keys: Sequence[str], choice: Choice, titles: Mapping[str, str]) -> Clusters:
        """The whole value, clusters called by `keys`."""
        labels, owner = self.settled.labels.tolist(), self.cells.owner
        rows = [np.flatnonzero(owner == at) for at in range(len(self.cells.clinics))]
        clinics = {c: keys[label] for c, label in zip(self.cells.clinics, labels, strict=True) if label >= 0}
        space = self._space()
        told = {key: self._cluster(label, titles.get(key, key)) for label, key in enumerate(keys)}
        made = Clusters(
            clinics=clinics,
            profiles=self._profiles(rows),
            embedder="",
            data="",
            why=choice.why,
            clusters=told,
            unsure=dict(self.settled.unsure),
            tried=choice.tried,
            leaves=self.cells.clinics,
            merges=self._merges(),
            space=space,
        )
        placer = Placer(space)
        made = replace(made, clusters=self._radii(made, placer, rows))
        members, points = self._members(rows)
        return replace(made, members=members, points=points)

    def late(
        self, made: Clusters, reports: Sequence[Report], vectors: StyleVectors, rows: Sequence[int], minimum: int
    ) -> Clusters:
        """Assigns clinics that had too few reports to be fitted; those nobody is sure of are in no cluster.

        With their reports a cluster may come to the `minimum` that an adapter of its own needs.
        """
        if not reports:
            return made
        assert made.space is not None
        placer = Placer(made.space)
        clinics, profiles = dict(made.clinics), dict(made.profiles)
        members, unsure, told = dict(made.members), dict(made.unsure), dict(made.clusters)
        for clinic in sorted({report.clinic for report in reports}):
            inside = [at for at, report in enumerate(reports) if report.clinic == clinic]
            own = [rows[at] for at in inside]
            some = StyleVectors(vectors.features[own], vectors.embeddings[own])
            seen = placer.see([reports[at] for at in inside], some)
            said = decide(made, placer, seen, len(inside))
            profiles[clinic] = _rounded(some.features.mean(axis=0))
            members[clinic] = Member(
                reports=len(inside),
                units=seen.units,
                sure=round(said.probabilities[said.nearest], 4),
                note=f"{len(inside)} reports are too few to be fitted; assigned afterwards",
            )
            if said.cluster:
                clinics[clinic], home = said.cluster, told[said.cluster]
                count = home.reports + self.totals[clinic]
                told[said.cluster] = replace(home, reports=count, unified="" if count >= minimum else home.unified)
            else:
                unsure[clinic] = said.why
        return replace(made, clinics=clinics, profiles=profiles, clusters=told, members=members, unsure=unsure)

    def _features(self, place: Floats) -> dict[str, float]:
        size = len(NAMES)
        return _rounded(place[:size] + self.metric.origin[:size])

    def _profiles(self, rows: Sequence[Ints]) -> dict[str, dict[str, float]]:
        return {
            clinic: _rounded(self.made.features[own].mean(axis=0))
            for clinic, own in zip(self.cells.clinics, rows, strict=True)
        }

    def _space(self) -> Space:
        metric = self.settled.metric
        return Space(
            features=NAMES,
            basis=_rows(metric.basis),
            origin=_row(metric.origin),
            whiten=_rows(metric.whiten),
            modalities={n: _row(e) for n, e in zip(self.cells.modalities, metric.effects.modality, strict=True)},
            exams={n: _row(e) for n, e in zip(self.cells.exams, metric.effects.exam, strict=True)},
            noise=_rows(metric.noise),
            habits=_rows(metric.habits),
            mixing=_rows(metric.mixing),
            counted=features_version(),
        )

    def _cluster(self, label: int, title: str) -> Cluster:
        inside = self.settled.labels == label
        size = len(NAMES)
        # Between clinics, where there are several, and within them: the mean of resampled means moves by both.
        between = self.places.plain[inside][:, :size].std(axis=0, ddof=1) if inside.sum() > 1 else np.zeros(size)
        within = self.places.again[:, inside].mean(axis=1)[:, :size].std(axis=0)
        error = np.sqrt(between**2 / inside.sum() + within**2)
        return Cluster(
            title=title,
            reports=sum(self.totals[c] for c, one in zip(self.cells.clinics, inside, strict=True) if one),
            adjusted=self._features(self.settled.centres[label]),
            error=_rounded(error),
            centre=_row(self.settled.centres[label] @ self.settled.metric.whiten),
            unified=self.settled.unified.get(label, ""),
        )

    def _radii(self, made: Clusters, placer: Placer, rows: Sequence[Ints]) -> dict[str, Cluster]:
        """Radius of each cluster: handfuls of its own clinics, each left out of the centre, seldom lie beyond it."""
        chance = np.random.default_rng(self.seed)
        labels, centres = self.settled.labels, self.settled.centres
        size = np.bincount(labels[labels >= 0], minlength=len(centres))
        far = []
        for at, label in enumerate(labels.tolist()):
            own = rows[at]
            if label < 0 or size[label] < 2 or len(own) < _HANDFUL // 2:
                continue
            others = centres.copy()
            others[label] = (size[label] * centres[label] - self.places.plain[at]) / (size[label] - 1)
            styles = between(others, len(NAMES))
            for _ in range(_DRAWS):
                some = chance.choice(own, min(_HANDFUL, len(own)), replace=False)
                seen = placer.gather(
                    self.plain[some], [self._patient(row) for row in some], [self.reports[row].modality for row in some]
                )
                far.append(stretch(seen.mean - others[label], spread(placer, seen, int(size[label] - 1)), styles))
        radius = float(np.quantile(far, 1 - _STRANGE)) if far else _UNTRIED
        if len(far) < 1 / _STRANGE:
            radius = max(_AVERAGE, radius)
        return {key: replace(cluster, radius=round(radius, 2)) for key, cluster in made.clusters.items()}

    def _patient(self, row: int) -> str:
        return self.reports[row].patient or f"\n{row}"

    def _members(self, rows: Sequence[Ints]) -> tuple[dict[str, Member], tuple[Point, ...]]:
        whiten, settled = self.metric.whiten, self.settled
        where, again = self.places.plain @ whiten, self.places.again @ whiten
        plane = self._plane(where)
        middle = where.mean(axis=0)
        on_map, moved = (where - middle) @ plane.T, (again - middle) @ plane.T
        centres = settled.centres @ whiten
        stays = np.stack([nearest_centre(places, centres) == settled.labels for places in again]).mean(axis=0)
        errors = self.places.again[:, :, : len(NAMES)].std(axis=0)
        comparable = self.cells.comparable
        scatter = np.sqrt(((moved - moved.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0) / 2)
        members = {
            clinic: Member(
                reports=int(self.places.reports[at]),
                units=int(self.places.units[at]),
                adjusted=self._features(self.places.plain[at]),
                error=_rounded(errors[at]),
                sure=round(float(stays[at]), 4) if settled.labels[at] >= 0 else 0.0,
                place=_row(where[at]) if comparable[at] else (),
                x=round(float(on_map[at, 0]), 4),
                y=round(float(on_map[at, 1]), 4),
                spread=round(float(scatter[at]), 4),
                note=settled.notes.get(clinic, ""),
            )
            for at, clinic in enumerate(self.cells.clinics)
        }
        return members, tuple(self._points(plane @ whiten, middle @ plane.T, rows))

    def _plane(self, where: Floats) -> Floats:
        """The two directions in which clinics differ most, [2, P]."""
        axes = style_axes(where, -1.0) if len(where) > 1 else np.zeros((0, where.shape[1]))
        return np.vstack([axes, np.eye(2, where.shape[1])])[:2]

    def _points(self, to_map: Floats, middle: Floats, rows: Sequence[Ints]) -> Sequence[Point]:
        points = []
        for at, clinic in enumerate(self.cells.clinics):
            own = self.plain[rows[at]]
            # Islands were put upon each other; bags go with their clinics.
            moved = self.places.plain[at] - own.mean(axis=0)
            for bag in np.array_split(own, max(1, len(own) // BAG)):
                x, y = (to_map @ (bag.mean(axis=0) + moved) - middle).tolist()
                points.append(Point(clinic=clinic, x=round(x, 4), y=round(y, 4)))
        return points

    def _merges(self) -> tuple[Row, ...]:
        from scipy.cluster.hierarchy import linkage

        where = self.places.plain @ self.metric.whiten
        if len(where) < 2:
            return ()
        return _rows(linkage(where @ self._plane_axes(where).T, "ward"))

    def _plane_axes(self, where: Floats) -> Floats:
        axes = style_axes(where, 1.0)
        return axes if len(axes) else self._plane(where)


def _rounded(values: Floats) -> dict[str, float]:
    return dict(zip(NAMES, np.round(values, 4).tolist(), strict=True))


def _row(values: Floats) -> Row:
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values.tolist())


def _rows(values: Floats) -> tuple[Row, ...]:
    return tuple(_row(row) for row in values)
