"""Bundles that were verified on this machine, and are again once one of their files was touched."""

from __future__ import annotations

import threading
from collections.abc import Callable

from radimpress.reports.files import stamp
from radimpress.trainer.bundle import CONFIG, WEIGHTS, AdapterBundle

Stamps = tuple[tuple[int, int, int, int] | None, ...]


def stamps(adapter: AdapterBundle) -> Stamps:
    """What changes when one of an adapter's files is touched."""
    folder = str(adapter.path)
    return stamp(f"{folder}/{WEIGHTS}"), stamp(f"{folder}/{CONFIG}")


class Verified:
    """Verifies an adapter, as a real engine reads it once; asked from any thread.

    Args:
        examine: reads and checks all of an adapter.
    """

    def __init__(self, examine: Callable[[AdapterBundle], None]) -> None:
        self._examine = examine
        self._seen: dict[str, Stamps] = {}
        self._reading = threading.Lock()

    def check(self, adapter: AdapterBundle) -> None:
        """Reads the adapter's files where they were not read before; whoever asks meanwhile waits for it.

        Raises:
            BundleError: it must not be served; says why.
        """
        now = stamps(adapter)
        if self._seen.get(adapter.digest) == now:
            return
        with self._reading:
            if self._seen.get(adapter.digest) != now:
                self._examine(adapter)
                self._seen[adapter.digest] = now

    def held(self) -> frozenset[str]:
        """Digests of those that were verified."""
        return frozenset(self._seen)

    def forget(self, digest: str) -> None:
        """Has an adapter verified anew when it is asked again."""
        self._seen.pop(digest, None)
