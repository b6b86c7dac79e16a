"""A thread that looks at something every so often, and knows whether it could."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from radimpress.reports.errors import RadimpressError

# A look that hangs for so long is one that fails.
_PATIENCE_SECONDS = 10.0
_log = structlog.get_logger()


class Watch:
    """Looks until it is closed; a look that fails is tried again at the next time.

    Args:
        look: raises what hinders it.
        seconds: between two looks.
    """

    def __init__(self, look: Callable[[], None], seconds: float) -> None:
        self._look = look
        self._seconds = seconds
        self._end = threading.Event()
        self._failed = False
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="radimpress-registry-watch", daemon=True)
        self._thread.start()

    @property
    def failing(self) -> bool:
        """Whether the last look failed, or does not end."""
        return self._failed or time.monotonic() - self._last > self._seconds + _PATIENCE_SECONDS

    def close(self) -> None:
        """Ends the thread; waits for a look that is going on, but not for one that hangs."""
        self._end.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE_SECONDS)

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            why = ""
            try:
                self._look()
            except RadimpressError as error:
                why = str(error)
            except Exception as error:
                why = type(error).__name__
            failed = bool(why)
            if failed and not self._failed:
                _log.error("registry not reached", why=why)
            elif self._failed and not failed:
                _log.info("registry reached again")
            self._failed, self._last = failed, time.monotonic()
