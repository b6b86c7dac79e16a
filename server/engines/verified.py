"""Bundles that were verified on this machine, and are again once one of their files was touched."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from radimpress.reports.files import stamp
from radimpress.trainer.bundle import CONFIG, WEIGHTS, AdapterBundle


class Verified:
    """Verifies an adapter, as a real engine reads it once.

    Args:
        base_digest: of the base model that is served.
        allowed: the modules that may be adapted; None where no table tells.
    """

    def __init__(self, base_digest: str, allowed: Sequence[str] | None = None) -> None:
        self._base_digest = base_digest
        self._allowed = allowed
        self._seen: dict[str, tuple[tuple[int, int, int, int] | None, ...]] = {}
        self._reading = threading.Lock()

    def check(self, adapter: AdapterBundle) -> None:
        """Reads the adapter's files where they were not read before; whoever asks meanwhile waits for it.

        Raises:
            BundleError: it must not be served; says why.
        """
        folder = str(adapter.path)
        stamps = stamp(f"{folder}/{WEIGHTS}"), stamp(f"{folder}/{CONFIG}")
        if self._seen.get(adapter.digest) == stamps:
            return
        with self._reading:
            if self._seen.get(adapter.digest) != stamps:
                adapter.read(self._base_digest, self._allowed)
                self._seen[adapter.digest] = stamps

    def held(self) -> frozenset[str]:
        """Digests of those that were verified."""
        return frozenset(self._seen)

    def forget(self, digest: str) -> None:
        """Has an adapter verified anew when it is asked again."""
        self._seen.pop(digest, None)
