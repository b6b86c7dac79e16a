"""Keeps torch's threads to as many as there are cores.

libgomp keeps a team for every thread that has run a parallel loop. With more threads in teams than cores it no
longer spins between loops but sleeps, and a decoding step, which is some thousand short loops, takes a third
longer. So only one thread at a time may have a team.
"""

from __future__ import annotations

import ctypes

import torch

_SOFT = 1


def release_team() -> None:
    """Ends the calling thread's team; its next parallel loop makes a new one (OpenMP 5.0, 3.2.44)."""
    pause = getattr(ctypes.CDLL(None), "omp_pause_resource_all", None)
    if pause is not None:
        pause(_SOFT)


def forgo_team() -> None:
    """Has the calling thread run its parallel loops alone from now on; `torch.set_num_threads` is everybody's."""
    # torch sets the number itself at a thread's first question, so that it must come before.
    torch.get_num_threads()
    limit = getattr(ctypes.CDLL(None), "omp_set_num_threads", None)
    if limit is not None:
        limit(1)
