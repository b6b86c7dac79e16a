"""Fits that are killed at random moments: do they end with the weights of one that nobody killed?

Each fit is a process of its own, forked from one that has everything loaded, so that a kill falls into the fit and
not into imports. It is killed with SIGKILL once, and then run again to its end.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from radimpress.reports.errors import EngineError
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize
from radimpress.trainer.bases import BaseModel
from radimpress.trainer.bundle import AdapterBundle, open_bundle
from radimpress.trainer.plan import PlannedAdapter
from radimpress.trainer.settings import FitSettings

# Some sixty steps, so that they and not loading take most of a fit.
_REPORTS = 64
_NAME = "killed"
# Beside the fit, what transformers and peft load when they are first used.
_PRELOADED = (
    "radimpress.trainer.fit",
    "transformers.models.llama.modeling_llama",
    "transformers.models.phi3.modeling_phi3",
    "bitsandbytes",
)
# Dropout draws random numbers at every step, and each step but the last is a checkpoint.
SETTINGS = FitSettings(
    rank=2, alpha=4, dropout=0.1, batch=1, accumulation=1, learning_rate=5e-3, max_tokens=320, checkpoint_steps=1
)


@dataclass(frozen=True, slots=True)
class Kills:
    """What became of the fits that were killed.

    Attributes:
        runs: how many were killed before their end.
        midway: of those, how many had left a checkpoint to go on from.
        different: of those, how many ended with other weights or another history.
    """

    runs: int
    midway: int
    different: int


def measure_kills(
    base: BaseModel, folder: Path, into: Path, runs: int, seed: int = 0, told: Callable[[str], None] = lambda _: None
) -> Kills:
    """Kills `runs` fits of the base model in `folder`, each at a moment drawn from the time that a whole one takes.

    Raises:
        EngineError: a fit that nobody killed failed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOADED])
    chance = random.Random(seed)

    def start(where: Path) -> BaseProcess:
        process = context.Process(target=_fit, args=(base, folder, where))
        process.start()
        return process

    # The first loads the server that the others are forked from: its time says nothing.
    _whole(start(into / "warm"))
    began = time.monotonic()
    _whole(start(into / "whole"))
    takes = time.monotonic() - began
    expected = _outcome(into / "whole")
    killed = midway = different = 0
    while killed < runs:
        where = into / f"run-{killed}"
        process = start(where)
        time.sleep(chance.uniform(0, takes))
        if process.exitcode is not None:
            # It was quicker than the one that was timed: no kill.
            killed_now = False
        else:
            process.kill()
            process.join()
            killed_now = True
        left = bool(list(where.glob(".fit-*/checkpoint.pt")))
        _whole(start(where))
        if killed_now:
            killed += 1
            midway += left
            different += _outcome(where) != expected
            told(f"kill {killed}: {'at a checkpoint' if left else 'outside'}, {different} different so far")
        else:
            # The folder is of a whole fit; the next kill wants an empty one.
            where.rename(into / f"whole-{time.monotonic_ns()}")
    return Kills(killed, midway, different)


def reports() -> tuple[Report, ...]:
    """What the fits learn from."""
    return tuple(synthesize(_REPORTS, 0, 0.0))


def _fit(base: BaseModel, folder: Path, into: Path) -> None:
    import torch

    from radimpress.trainer.fit import fit

    torch.set_num_threads(1)
    fit(
        PlannedAdapter(_NAME, None, None, reports()),
        list(synthesize(2, 1, 0.0)),
        base=base,
        base_folder=folder,
        settings=SETTINGS,
        start=None,
        clusters_digest="0" * 64,
        into=into,
    )


def _whole(process: BaseProcess) -> None:
    process.join()
    if process.exitcode:
        raise EngineError(f"a fit ended with exit code {process.exitcode}")


def _outcome(into: Path) -> tuple[str, Any]:
    bundles: list[AdapterBundle] = [open_bundle(path) for path in sorted((into / _NAME).iterdir())]
    return bundles[-1].digest, bundles[-1].manifest["history"]
