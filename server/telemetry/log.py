"""The server's log: one JSON object a line on standard error; names, digests and numbers, never a report.

A call has one line: its rpc, code, milliseconds and caller, and what was noted on the way. A line of a
library keeps the first line of what it was about to say, before anything was filled in. An error is its
type and its place: its text may quote what it was given.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

import grpc
import structlog

_SAID_MAX = 200
# One for all lines, as `json.dumps` would make one for each. A value that JSON does not know is told by its
# type: its text could be a report's.
_ENCODER = json.JSONEncoder(default=lambda value: type(value).__name__)
_log = structlog.get_logger()
_noted: ContextVar[dict[str, str | int]] = ContextVar("radimpress_noted")


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Sets this process's log up, also that of the libraries, and what is told of threads that die.

    Args:
        level: "debug", "info", "warning" or "error".
        stream: where it goes; None is standard error.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    lines(least, stream)
    root = logging.getLogger()
    root.handlers = [_Libraries()]
    root.setLevel(max(least, logging.WARNING))
    threading.excepthook = _uncaught
    sys.unraisablehook = _uncaught


def lines(least: int = logging.NOTSET, stream: TextIO | None = None) -> None:
    """Sets our own lines up, and nothing else.

    Args:
        least: the level from which on they are written.
        stream: as in `configure`.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=_encoded),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
    )


def note(**facts: str | int) -> None:
    """Adds to the line of the call whose task this is, as in note(adapter="unified@1", table=3)."""
    _noted.set({**_noted.get({}), **facts})


def request(method: str, code: grpc.StatusCode, seconds: float, subject: str) -> None:
    """Writes the line of a call, once, at its end; health checks and reflection only at level "debug".

    Args:
        method: as gRPC gives it, "/package.Service/Method".
        code: it ended with.
        seconds: from its arrival to its end.
        subject: the caller, as its token says.
    """
    say = _log.debug if method.startswith("/grpc.") else _log.info
    facts = {"rpc": method.rpartition("/")[2], "code": code.name, "ms": round(seconds * 1e3, 2), "subject": subject}
    say("request", **{**_noted.get({}), **facts})


def where(error: BaseException) -> str:
    """Where an error was raised, as in "decoder.py:88"; empty for one that never was."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""


def _encoded(event: Any, **_: Any) -> str:
    return _ENCODER.encode(event)


class _Libraries(logging.Handler):
    """Hands the lines of libraries over, without their arguments."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        told = {"kind": type(error).__name__, "where": where(error)} if error else {}
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        said = str(record.msg).partition("\n")[0][:_SAID_MAX]
        _log.log(level, "library", logger=record.name, said=said, **told)


def _uncaught(given: Any) -> None:
    if given.exc_type is not SystemExit:
        place = where(given.exc_value) if given.exc_value else ""
        _log.error("uncaught", kind=given.exc_type.__name__, where=place)
