"""Verified adapters in the host's memory, loaded on a thread of their own."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from radimpress.server.engines.slots import Packed
from radimpress.server.engines.threads import forgo_team
from radimpress.trainer.bundle import AdapterBundle

_NICE = 5


class Host:
    """Holds what `load` gave for an adapter, by digest; the one not asked for longest leaves.

    Args:
        load: verifies and packs an adapter.
        limit: adapters held at most.
        loaded: called on the loading thread after each.
    """

    def __init__(self, load: Callable[[AdapterBundle], Packed], limit: int, loaded: Callable[[], None]) -> None:
        self._load = load
        self.limit = limit
        self._loaded = loaded
        self._held: OrderedDict[str, Future[Packed]] = OrderedDict()
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "radimpress-loader", _step_back)

    def want(self, adapter: AdapterBundle) -> Future[Packed]:
        """The adapter, now or later; its loading begins if it is not held."""
        with self._lock:
            held = self._held.get(adapter.digest)
            future = held or self._thread.submit(self._load, adapter)
            self._held[adapter.digest] = future
            self._held.move_to_end(adapter.digest)
            # One that is being loaded is wanted by somebody.
            spare = [key for key, one in self._held.items() if one.done() and key != adapter.digest]
            for key in spare[: max(0, len(self._held) - self.limit)]:
                del self._held[key]
        if held is None:
            # Not under the lock: one that is loaded already calls back at once.
            future.add_done_callback(lambda _: self._loaded())
        return future

    def forget(self, digest: str) -> None:
        """Drops an adapter, so that the next one who wants it has it verified anew."""
        with self._lock:
            self._held.pop(digest, None)

    def close(self) -> None:
        """Waits for the thread."""
        self._thread.shutdown(cancel_futures=True)


def _step_back() -> None:
    """Lets decoding go first: one core at most, and on Linux each thread has its own niceness."""
    forgo_team()
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
