"""What a fit says of clinics and clusters: the small values that `Clusters` is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Row = tuple[float, ...]


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
class Member:
    """How one clinic was read and placed.

    Attributes:
        reports: how many were read.
        units: how many independent units they are: patients where known, else reports.
        adjusted: style feature -> mean as it would be at the corpus's average case mix.
        error: style feature -> standard error of `adjusted`, by bootstrap over units.
        sure: share of bootstrap fits, in [0, 1], in which it lies with the rest of its cluster.
        place: where it lies, in the space's coordinates; empty where there is no space.
        x: of the clinic on the map, first principal component.
        y: second.
        spread: standard error of x and y, as a radius on the map.
        note: in words, what is special: moved in from a cluster too small, too few reports; empty for nothing.
    """

    reports: int
    units: int
    adjusted: Mapping[str, float] = field(default_factory=dict)
    error: Mapping[str, float] = field(default_factory=dict)
    sure: float = 1.0
    place: Row = ()
    x: float = 0.0
    y: float = 0.0
    spread: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Clinics that write alike.

    Attributes:
        title: what people call it; a person may edit it, and a refit keeps it. Cells, adapters and routes
            go by the cluster's key, which never changes.
        reports: of all its clinics, in the corpus.
        adjusted: style feature -> mean over its clinics, as it would be at the corpus's average case mix.
        error: style feature -> standard error of `adjusted`, between its clinics and within them.
        centre: where it lies, in the space's coordinates; empty where there is no space.
        radius: a clinic farther from the centre than this writes in no known style; 1 is how far clinics of one
            cluster lie where styles differ (root mean square).
        unified: in words, why it is left to the unified adapter; empty where it has enough reports for its own.
    """

    title: str
    reports: int
    adjusted: Mapping[str, float] = field(default_factory=dict)
    error: Mapping[str, float] = field(default_factory=dict)
    centre: Row = ()
    radius: float = 0.0
    unified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One way of parting the clinics.

    Attributes:
        method: "ward", "mixture" or "hdbscan".
        number: of clusters that it made.
        silhouette: mean over clinics, in [-1, 1] (Rousseeuw 1987).
        stability: mean adjusted Rand index of the same method on bootstrap profiles, in [-1, 1].
        chosen: whether this is how the clinics were parted.
    """

    method: str
    number: int
    silhouette: float
    stability: float
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A clinic that an earlier fit had elsewhere.

    Attributes:
        clinic: whose.
        before: its cluster then; empty where it was not known or not sure.
        after: its cluster now; empty where it is gone or not sure.
        why: in words, with the features that changed most.
    """

    clinic: str
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The straight line from a report's vector to the place where clinics are compared.

    With F style features, E coordinates kept of a D-dimensional embedding and P = F + E:
    place = whiten @ ([features, basis @ embedding] - origin - modality's effect - exam's effect).
    All arrays are in the units that `whiten` makes: 1 is the standard deviation of a report about its clinic,
    with a floor under differences too small to be named.

    Attributes:
        features: names of the style features, [F].
        basis: of the embedding, [E, D].
        origin: mean report, [P].
        whiten: [P, P].
        modalities: modality -> its effect before whitening, [P].
        exams: exam -> its effect beside its modality's, [P]; exams too rare to tell have none.
        noise: covariance of a report about its clinic, [P, P].
        habits: covariance of a clinic about its cluster beside that noise, [P, P].
        mixing: covariance that a clinic's case mix leaves, for a clinic of one modality alone, [P, P].
        counted: SHA-256, in hex, over the sources that counted the style features.
    """

    features: tuple[str, ...]
    basis: tuple[Row, ...]
    origin: Row
    whiten: tuple[Row, ...]
    modalities: Mapping[str, Row]
    exams: Mapping[str, Row]
    noise: tuple[Row, ...]
    habits: tuple[Row, ...]
    mixing: tuple[Row, ...]
    counted: str
