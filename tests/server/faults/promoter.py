"""Promotes in children that are killed on the way; run by test_kill_promote.py in a process of its own.

Reads one JSON object a line and answers with one a line. This process never touches a database, so that
its children may be forked: what they need is imported once, and a child starts in milliseconds.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from radimpress.server.registry import Registry

_BEGUN, _DONE = struct.Struct("<i"), struct.Struct("<id")


def main() -> None:
    """Answers each line of standard input: {url, bundles, name, certificate, step, after}."""
    for line in sys.stdin:
        print(json.dumps(_child(json.loads(line))), flush=True)


def _child(asked: dict[str, Any]) -> dict[str, Any]:
    """Forks, kills the child after `after` seconds where that is set, and tells how it ended."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        _promote(theirs, **{key: value for key, value in asked.items() if key != "after"})
    os.close(theirs)
    os.read(ours, _BEGUN.size)
    if asked["after"]:
        time.sleep(asked["after"])
        os.kill(pid, signal.SIGKILL)
    done = os.read(ours, _DONE.size)
    os.close(ours)
    _, status = os.waitpid(pid, 0)
    steps, seconds = _DONE.unpack(done) if done else (0, 0.0)
    return {"code": os.waitstatus_to_exitcode(status), "steps": steps, "seconds": seconds}


def _promote(pipe: int, url: str, bundles: str, name: str, certificate: str, step: int) -> NoReturn:
    """Promotes, and dies at the step of this number; 0 lives."""
    count = 0

    def reached(*_: object) -> None:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    registry = Registry(url, bundles)
    data = Path(certificate).read_bytes()
    adapter = registry.adapter(name)
    _listen(reached)
    os.write(pipe, _BEGUN.pack(1))
    began = time.monotonic()
    registry.promote(adapter, data)
    os.write(pipe, _DONE.pack(count, time.monotonic() - began))
    os._exit(0)


def _listen(reached: Callable[..., None]) -> None:
    """Calls back before each statement and commit, and after the last; between these the database hears nothing."""
    for name in ("before_cursor_execute", "commit", "rollback"):
        event.listen(Engine, name, reached)
    event.listen(Pool, "reset", reached)


if __name__ == "__main__":
    main()
