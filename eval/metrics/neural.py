"""Metrics by trained models, through RadEval (Delbrouck et al. 2025, EMNLP demos): reported, never gating.

They need the `radeval` extra, and fetch their models from a hub when they are first used. RadGraph, CheXbert,
RaTEScore and GREEN were made for chest radiographs; BERTScore gives a flipped negation 0.89.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from radimpress.reports.errors import ConfigError

PREFIX = "neural:"
# Our name -> RadEval's name, and the keys of its scores a case.
NEURAL: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "radgraph": ("radgraph", ("radgraph_simple", "radgraph_partial", "radgraph_complete")),
    "chexbert": ("f1chexbert", ("f1chexbert_sample_acc_5", "f1chexbert_sample_acc_all")),
    "green": ("green", ("green",)),
    "ratescore": ("ratescore", ("ratescore",)),
    "bertscore": ("bertscore", ("bertscore",)),
}


class NeuralMetrics:
    """The chosen metrics, with their models loaded.

    Args:
        names: of NEURAL.

    Raises:
        ConfigError: a name is none of them, RadEval is not installed, or a model cannot be had.
    """

    def __init__(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in NEURAL:
                raise ConfigError(f"neural: {name!r} is none of {', '.join(NEURAL)}")
        self._keys = [key for name in names for key in NEURAL[name][1]]
        try:
            package = importlib.import_module("radeval")
        except ImportError:
            raise ConfigError(
                f"neural: {', '.join(names)} need RadEval; install it with: pip install 'radimpress[radeval]'"
            ) from None
        try:
            wanted = [NEURAL[name][0] for name in names]
            self._score: Any = package.RadEval(metrics=wanted, per_sample=True, show_progress=False)
        # Whatever a hub that cannot be reached raises: it differs from model to model.
        except Exception as error:
            raise ConfigError(f"neural: RadEval could not load {', '.join(names)} ({type(error).__name__})") from None

    def __call__(self, impressions: Sequence[str], references: Sequence[str]) -> list[dict[str, float]]:
        """ "neural:<RadEval's key>" -> value, for each pair; an empty impression scores 0 without being asked.

        A pair of which a metric made no number lacks that metric.

        Raises:
            ConfigError: RadEval failed, or did not give one value a pair.
        """
        asked = [at for at, impression in enumerate(impressions) if impression.strip()]
        rows: list[dict[str, float]] = [
            {} if impression.strip() else {PREFIX + key: 0.0 for key in self._keys} for impression in impressions
        ]
        if not asked:
            return rows
        try:
            found = self._score(refs=[references[at] for at in asked], hyps=[impressions[at] for at in asked])
        # Its text could quote an impression.
        except Exception as error:
            raise ConfigError(f"neural: RadEval failed ({type(error).__name__})") from None
        for key in self._keys:
            values = found.get(key)
            if values is None or len(values) != len(asked):
                raise ConfigError(f"neural: RadEval gave no {key} for each of {len(asked)} cases")
            for at, value in zip(asked, values, strict=True):
                if value is not None and math.isfinite(float(value)):
                    rows[at][PREFIX + key] = float(value)
        return rows
