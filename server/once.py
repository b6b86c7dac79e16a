"""A request that comes twice is worked on once: the second waits for the first, and is known by what it asks."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from radimpress.reports.errors import OverloadError
from radimpress.reports.files import canonical
from radimpress.reports.report import Report

_WAITING = 16


class Once:
    """Turns for equal keys, in order of arrival; different keys do not meet."""

    def __init__(self) -> None:
        # Key -> its lock, and how many are within or wait.
        self._turns: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncIterator[None]:
        """Lets one of equal keys in at a time.

        Raises:
            OverloadError: too many wait for the same already.
        """
        lock, inside = self._turns.get(key) or (asyncio.Lock(), 0)
        if inside > _WAITING:
            raise OverloadError(f"{_WAITING} requests of the same request_id are waiting already")
        self._turns[key] = lock, inside + 1
        try:
            async with lock:
                yield
        finally:
            lock, inside = self._turns.pop(key)
            if inside > 1:
                self._turns[key] = lock, inside - 1

    def __len__(self) -> int:
        return len(self._turns)


def fingerprint(report: Report, key: bytes) -> str:
    """HMAC-SHA-256, in hex, over what a report asks; without the key nobody can tell which report it was."""
    asked = [
        report.clinic,
        report.modality.value,
        report.findings,
        report.exam,
        report.indication,
        report.comparison,
    ]
    return hmac.digest(key, canonical(asked), "sha256").hex()
