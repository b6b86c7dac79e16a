"""How much memory a process had at most."""

from __future__ import annotations

from pathlib import Path

_KIB = 1024


def peak_mebibytes() -> float:
    """The most that this process had resident, in MiB, as Linux tells it.

    getrusage would tell what the process had that this one was forked from, too.
    """
    status = Path("/proc/self/status").read_text("utf-8").splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / _KIB
