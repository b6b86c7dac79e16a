"""`Clusters`: which clinics write alike; the contract is clusters.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from radimpress.reports.errors import InputError
from radimpress.reports.files import digest_of, read_json, write_json

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A bag of one clinic's reports on the map.

    Attributes:
        clinic: whose.
        x: first principal component.
        y: second principal component.
    """

    clinic: str
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Clinics grouped by how they write.

    Attributes:
        clinics: clinic -> cluster's name.
        profiles: clinic -> style feature -> mean over its impressions, in [0, 1].
        silhouettes: number of clusters -> silhouette, in [-1, 1], of each number that was tried.
        stability: share of all bags of reports that lie nearest to their own clinic's cluster.
        embedder: the embedding model's name.
        data: SHA-256, in hex, over the reports that were read.
        why: in words, why there are that many.
        points: the map.
    """

    clinics: Mapping[str, str]
    profiles: Mapping[str, Mapping[str, float]]
    silhouettes: Mapping[str, float]
    stability: float
    embedder: str
    data: str
    why: str
    points: tuple[Point, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The clusters' names, sorted."""
        return tuple(sorted(set(self.clinics.values())))

    @property
    def digest(self) -> str:
        """SHA-256, in hex, over who belongs where; bundles and certificates are bound to it."""
        return digest_of(dict(self.clinics))

    def of(self, clinic: str) -> str | None:
        """The clinic's cluster; None when the clinic was not in the training data."""
        return self.clinics.get(clinic)

    def profile(self, clinic: str) -> Mapping[str, float]:
        """The clinic's style features; the mean of all clinics when the clinic is not known."""
        known = self.profiles.get(clinic)
        if known is not None:
            return known
        lot = list(self.profiles.values())
        return {name: sum(profile[name] for profile in lot) / len(lot) for name in lot[0]}

    def save(self, path: Path) -> None:
        """Writes clusters.json."""
        write_json(path, {"format": _FORMAT, "digest": self.digest, **asdict(self)})


def load_clusters(path: Path) -> Clusters:
    """Reads clusters.json.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is not one, of another format, or changed by hand without its digest.
    """
    data: dict[str, Any] = read_json(path)
    if not isinstance(data, dict) or data.pop("format", None) != _FORMAT:
        raise InputError(str(path), f"is not a clusters file of format {_FORMAT}")
    digest = data.pop("digest", None)
    try:
        clusters = Clusters(**{**data, "points": tuple(Point(**point) for point in data.get("points", ()))})
        made = clusters.digest
    except (TypeError, ValueError) as error:
        raise InputError(str(path), f"is not a clusters file: {error}") from None
    if made != digest:
        raise InputError("digest", f"{path} says {digest}, its clinics make {made}")
    return clusters
