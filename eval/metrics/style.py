"""Style conformance: how near an impression's style is to how its clinic writes.

A cluster's clinics share a way of writing; the mark of a list and the case are each clinic's own habit,
so an impression is held against its clinic's profile, and the summary averages over the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from radimpress.clustering.features import NAMES, bulleted, numbered, style

# What a radiologist would name, and the features that tell it.
PARTS: Mapping[str, tuple[str, ...]] = {
    "form": ("numbered", "bulleted", "listed"),
    "length": ("length",),
    "telegraphic": ("fullness", "sentence_length"),
    "case": ("upper_case",),
}
STYLE = "style"
STYLES = (STYLE, *(f"{STYLE}:{part}" for part in PARTS))
FORMS = ("numbered", "bulleted", "paragraph")


def conformance(impression: str, profile: Mapping[str, float]) -> dict[str, float]:
    """1 minus the mean absolute difference of style features, in [0, 1]; empty scores 0.

    `profile` is the clinic's mean style features, as clusters.json holds them. "style" is over all
    features, "style:<part>" over those of PARTS.
    """
    if not impression.strip():
        return dict.fromkeys(STYLES, 0.0)
    apart = np.abs(style(impression) - np.array([profile[name] for name in NAMES]))
    by_name = dict(zip(NAMES, apart.tolist(), strict=True))
    parts = {f"{STYLE}:{part}": 1 - sum(by_name[name] for name in names) / len(names) for part, names in PARTS.items()}
    return {STYLE: float(1 - apart.mean()), **parts}


def form(impression: str) -> str:
    """One of FORMS: a list when more than half of the lines have a mark; empty for an empty impression."""
    if not impression.strip():
        return ""
    shares = {"numbered": numbered(impression), "bulleted": bulleted(impression)}
    if sum(shares.values()) <= 0.5:
        return "paragraph"
    return max(shares, key=lambda name: shares[name])


def words(impression: str) -> int:
    """How many words it has, by white space."""
    return len(impression.split())
