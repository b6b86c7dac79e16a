"""What the server's process must not leave behind: core files, memory that others read, files that others read."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

_PR_SET_DUMPABLE = 4


def harden() -> None:
    """Allows no core file, no tracing of the memory by others (Linux), and makes new files private (umask 077).

    Call it once, before files are made and threads are started; none of it can be undone by a caller.
    A core file would hold the reports that are being answered.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # The limit alone does not hold where core_pattern is a pipe, as with systemd-coredump.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    os.umask(0o077)
