"""Style conformance: how near an impression's style is to how its clinic writes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from radimpress.clustering.features import NAMES, style


def conformance(impression: str, profile: Mapping[str, float]) -> float:
    """1 minus the mean absolute difference of style features, in [0, 1]; empty scores 0.

    `profile` is the clinic's mean style features, as clusters.json holds them.
    """
    if not impression.strip():
        return 0.0
    own = style(impression)
    theirs = np.array([profile[name] for name in NAMES])
    return float(1 - np.abs(own - theirs).mean())
