"""Style conformance: how near an impression's style is to how its clinic writes.

A cluster's clinics share a way of writing; the mark of a list and the case are each clinic's own habit,
so an impression is held against its clinic's profile, and the summary averages over the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping

from radimpress.clustering.features import NAMES, bulleted, numbered, style
from radimpress.clustering.written import take_apart

# What a radiologist would name, and the features that tell it.
PARTS: Mapping[str, tuple[str, ...]] = {
    "form": ("numbered", "bulleted", "listed"),
    "length": ("length",),
    "telegraphic": ("fullness", "sentence_length"),
    "case": ("upper_case",),
}
# What "style" is over: of the impression alone, and moved little by what is said in it.
COUNTED = (*(name for names in PARTS.values() for name in names), "recommends", "hedges")
STYLE = "style"
STYLES = (STYLE, *(f"{STYLE}:{part}" for part in PARTS))
FORMS = ("numbered", "bulleted", "paragraph")


def conformance(impression: str, profile: Mapping[str, float]) -> dict[str, float]:
    """1 minus the mean absolute difference of style features, in [0, 1]; empty scores 0.

    `profile` is the clinic's mean style features, as clusters.json holds them. "style" is over
    COUNTED, "style:<part>" over those of PARTS.
    """
    if not impression.strip():
        return dict.fromkeys(STYLES, 0.0)
    written = dict(zip(NAMES, style(impression).tolist(), strict=True))
    by_name = {name: abs(written[name] - profile[name]) for name in COUNTED}
    parts = {f"{STYLE}:{part}": 1 - sum(by_name[name] for name in names) / len(names) for part, names in PARTS.items()}
    return {STYLE: 1 - sum(by_name.values()) / len(by_name), **parts}


def form(impression: str) -> str:
    """One of FORMS: a list when more than half of the lines have a mark; empty for an empty impression."""
    if not impression.strip():
        return ""
    of = take_apart(impression)
    shares = {"numbered": numbered(of), "bulleted": bulleted(of)}
    if sum(shares.values()) <= 0.5:
        return "paragraph"
    return max(shares, key=lambda name: shares[name])


def words(impression: str) -> int:
    """How many words it has, by white space."""
    return len(impression.split())
