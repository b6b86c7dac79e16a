"""What of the held-out reports a model may have seen in training, and how the parts are mixed.

Near duplicates by MinHash over runs of five words (Broder 1997), found by locality-sensitive hashing (datasketch) and
then compared exactly, by Jaccard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from radimpress.reports.near import runs
from radimpress.reports.progress import Track
from radimpress.reports.report import Report
from radimpress.reports.split import Split
from radimpress.reports.text import plain

NEAR = 0.8
_PERMUTATIONS = 64
# So many reports of training and of test are looked at; a sample is told to be one.
_LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class Leak:
    """What a split shares between training and test.

    Attributes:
        tests: held-out reports that were looked at.
        trained: training reports that were looked at.
        sampled: whether there are more than were looked at.
        near: held-out reports whose findings are nearly those of a training report: Jaccard of 0.8 or more.
        impressions: share of held-out impressions that stand in training word for word, in [0, 1].
        patients: patients that are in both.
        mixes: part -> "modality clinic" -> reports.
    """

    tests: int
    trained: int
    sampled: bool
    near: int
    impressions: float
    patients: int
    mixes: Mapping[str, Mapping[str, int]]

    def as_json(self) -> dict[str, Any]:
        """The same as JSON; no report text."""
        return asdict(self)


def leak(parts: Split, track: Track) -> Leak:
    """Compares a split's test part with its training part."""
    trained, tests = parts.train[:_LOOKED_AT], parts.test[:_LOOKED_AT]
    known = {plain(report.impression) for report in parts.train}
    patients = {(report.source, report.patient) for report in parts.train if report.patient}
    return Leak(
        tests=len(tests),
        trained=len(trained),
        sampled=len(trained) < len(parts.train) or len(tests) < len(parts.test),
        near=_near(trained, tests, track),
        impressions=sum(plain(one.impression) in known for one in parts.test) / max(1, len(parts.test)),
        patients=len({(one.source, one.patient) for one in parts.test if one.patient} & patients),
        mixes={
            name: dict(Counter(f"{one.modality.value} {one.clinic}" for one in getattr(parts, name)).most_common())
            for name in ("train", "validation", "test")
        },
    )


def _near(trained: Sequence[Report], tests: Sequence[Report], track: Track) -> int:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=NEAR, num_perm=_PERMUTATIONS)
    known = [runs(report.findings) for report in trained]
    made: Any = MinHash.generator(([run.encode() for run in one] for one in known), num_perm=_PERMUTATIONS)
    with index.insertion_session() as session:
        for at, sketch in enumerate(track(made, "sketch training reports", len(known))):
            session.insert(at, sketch)
    found = 0
    for report in track(tests, "look for near duplicates", len(tests)):
        own = runs(report.findings)
        sketch = MinHash(num_perm=_PERMUTATIONS)
        sketch.update_batch([run.encode() for run in own])
        found += any(len(own & known[at]) >= NEAR * len(own | known[at]) for at in index.query(sketch))
    return found
