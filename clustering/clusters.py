"""`Clusters`: which clinics write alike, how sure, and why; the contract is clusters.json."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from radimpress.clustering.values import Cluster, Member, Move, Point, Space, Tried
from radimpress.reports.errors import ConfigError, InputError, NotFoundError
from radimpress.reports.files import digest_of, read_json, write_atomic

_FORMAT = 3
# A row of numbers stands on one line.
_ROW = re.compile(r"\[\n([^\[\]{}\"]*?)\n\s*\]")
_TITLE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Clinics grouped by how they write.

    Attributes:
        clinics: clinic -> cluster's key. A clinic that is not in it is served by the unified adapter.
        profiles: clinic -> style feature -> mean over its impressions, in [0, 1], as they are; clinics that
            nobody is sure of have one too.
        embedder: the embedding model's name.
        embedder_digest: SHA-256, in hex, over the embedding model's files.
        data: SHA-256, in hex, over the reports that were read and the settings.
        why: in words, why there are that many.
        version: 1, and one more with each refit.
        before: digest of the clusters that this fit was matched with; empty for a first fit.
        former: keys of clusters of earlier fits that are no more; no cluster gets one of them again.
        clusters: key -> what is known of it.
        members: clinic -> how it was read and placed.
        unsure: clinic -> in words, why it is in no cluster.
        tried: every method and number.
        moved: what a refit changed.
        points: the map.
        leaves: clinics in the dendrogram's order of numbering.
        merges: the dendrogram as scipy's linkage has it: two nodes, height, clinics; empty under two clinics.
        space: what places a new report; None where there was nothing to compare.
    """

    clinics: Mapping[str, str]
    profiles: Mapping[str, Mapping[str, float]]
    embedder: str
    data: str
    why: str
    embedder_digest: str = ""
    version: int = 1
    before: str = ""
    former: tuple[str, ...] = ()
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    members: Mapping[str, Member] = field(default_factory=dict)
    unsure: Mapping[str, str] = field(default_factory=dict)
    tried: tuple[Tried, ...] = ()
    moved: tuple[Move, ...] = ()
    points: tuple[Point, ...] = ()
    leaves: tuple[str, ...] = ()
    merges: tuple[tuple[float, ...], ...] = ()
    space: Space | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The clusters' keys, sorted: what cells, adapters and routes call them."""
        return tuple(sorted(set(self.clinics.values())))

    @property
    def digest(self) -> str:
        """SHA-256, in hex, over who belongs where; bundles and certificates are bound to it."""
        return digest_of(dict(self.clinics))

    @property
    def chosen(self) -> Tried | None:
        """How the clinics were parted; None where they are one cluster."""
        return next((tried for tried in self.tried if tried.chosen), None)

    def of(self, clinic: str) -> str | None:
        """The clinic's cluster; None when the clinic was not in the training data, or nobody is sure of it."""
        return self.clinics.get(clinic)

    def title(self, name: str) -> str:
        """What people call the cluster of this key."""
        known = self.clusters.get(name)
        return known.title if known else name

    def key(self, name: str) -> str:
        """The key of the cluster of this key or title.

        Raises:
            NotFoundError: there is none.
        """
        for key, cluster in self.clusters.items():
            if name in (key, cluster.title):
                return key
        raise NotFoundError(f"no cluster is called {name!r}; there are {', '.join(self.names)}")

    def titled(self, name: str, title: str) -> Clusters:
        """The same clusters, one with another title; its key, and all that is bound to it, stays.

        Raises:
            NotFoundError: there is no cluster of this key or title.
            InputError: the title is empty, too long, has control characters, or another cluster's.
        """
        found = self.key(name)
        title = " ".join(title.split())
        if not title or len(title) > _TITLE or not title.isprintable():
            raise InputError("title", f"needs 1 to {_TITLE} printable characters")
        if any(title in (key, cluster.title) for key, cluster in self.clusters.items() if key != found):
            raise InputError("title", f"{title!r} is another cluster's")
        return replace(self, clusters={**self.clusters, found: replace(self.clusters[found], title=title)})

    def profile(self, clinic: str) -> Mapping[str, float]:
        """The clinic's style features; the mean of all clinics when the clinic is not known."""
        known = self.profiles.get(clinic)
        if known is not None:
            return known
        lot = list(self.profiles.values())
        return {name: sum(profile[name] for profile in lot) / len(lot) for name in lot[0]}

    def check_embedder(self, name: str, digest: str) -> None:
        """Whether these clusters may be used with an embedding model.

        Raises:
            ConfigError: they were fitted with another.
        """
        if digest != self.embedder_digest:
            raise ConfigError(
                f"the clusters were fitted with the embedding model {self.embedder} "
                f"({self.embedder_digest[:12] or 'no digest'}), not {name} ({digest[:12] or 'no digest'}); fit again"
            )

    def save(self, path: Path) -> None:
        """Writes clusters.json."""
        text = json.dumps({"format": _FORMAT, "digest": self.digest, **asdict(self)}, indent=2, ensure_ascii=False)
        write_atomic(path, (_ROW.sub(lambda row: f"[{' '.join(row[1].split())}]", text) + "\n").encode())


def load_clusters(path: Path) -> Clusters:
    """Reads clusters.json.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is not one, of another format, or changed by hand without its digest.
    """
    data: dict[str, Any] = read_json(path)
    if not isinstance(data, dict) or data.pop("format", None) != _FORMAT:
        raise InputError(str(path), f"is not a clusters file of format {_FORMAT}; fit the clusters again")
    digest = data.pop("digest", None)
    try:
        clusters = _read(data)
        made = clusters.digest
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(str(path), f"is not a clusters file: {error}") from None
    if made != digest:
        raise InputError("digest", f"{path} says {digest}, its clinics make {made}")
    return clusters


def _read(data: dict[str, Any]) -> Clusters:
    known, members = data["clusters"].items(), data["members"].items()
    clusters = Clusters(
        **{
            **data,
            "clusters": {key: Cluster(**{**row, "centre": _row(row["centre"])}) for key, row in known},
            "members": {key: Member(**{**row, "place": _row(row["place"])}) for key, row in members},
            # Files of before there was such a list have none.
            "former": tuple(data.get("former", ())),
            "tried": tuple(Tried(**row) for row in data["tried"]),
            "moved": tuple(Move(**row) for row in data["moved"]),
            "points": tuple(Point(**row) for row in data["points"]),
            "leaves": tuple(data["leaves"]),
            "merges": _rows(data["merges"]),
            "space": None if data["space"] is None else _space(data["space"]),
        }
    )
    if set(clusters.names) - set(clusters.clusters or clusters.names):
        raise ValueError("a clinic's cluster is not among the clusters")
    if clusters.space and any(len(c.centre) != len(clusters.space.origin) for c in clusters.clusters.values()):
        raise ValueError("a centre lies in another space")
    return clusters


def _space(data: dict[str, Any]) -> Space:
    rows = {name: _rows(data[name]) for name in ("basis", "whiten", "noise", "habits", "mixing")}
    effects = {name: {key: _row(row) for key, row in data[name].items()} for name in ("modalities", "exams")}
    space = Space(**{**data, **rows, **effects, "features": tuple(data["features"]), "origin": _row(data["origin"])})
    size = len(space.origin)
    if size != len(space.features) + len(space.basis) or len({len(row) for row in space.basis}) > 1:
        raise ValueError("the space's features and basis do not make its origin")
    squares = (space.whiten, space.noise, space.habits, space.mixing)
    effect = (*space.modalities.values(), *space.exams.values())
    if any(len(square) != size or any(len(row) != size for row in square) for square in squares) or any(
        len(row) != size for row in effect
    ):
        raise ValueError(f"the space is not of {size} coordinates throughout")
    return space


def _row(values: Sequence[float]) -> tuple[float, ...]:
    row = tuple(float(value) for value in values)
    if not all(map(math.isfinite, row)):
        raise ValueError("a number is not finite")
    return row


def _rows(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(_row(row) for row in rows)
