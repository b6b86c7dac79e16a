"""Adapters whose files were read and found good, for engines that have them read elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from radimpress.server.engines.threads import forgo_team
from radimpress.server.engines.verified import Stamps, stamps
from radimpress.trainer.bundle import AdapterBundle


class Examined:
    """Examines an adapter when it is first asked for, and again only when one of its files was touched.

    For one event loop: whoever asks while it is examined waits for the same outcome.

    Args:
        examine: reads and checks all of an adapter; called on a thread of its own.
    """

    def __init__(self, examine: Callable[[AdapterBundle], None]) -> None:
        self._examine = examine
        self._good: dict[str, Stamps] = {}
        self._asked: dict[tuple[str, Stamps], asyncio.Future[None]] = {}
        self._thread = ThreadPoolExecutor(1, "radimpress-examiner", forgo_team)

    async def check(self, adapter: AdapterBundle) -> None:
        """Returns where every file is as it should be.

        Raises:
            BundleError: what `examine` raises.
        """
        now = stamps(adapter)
        if self._good.get(adapter.digest) == now:
            return
        key = adapter.digest, now
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.wrap_future(self._thread.submit(self._examine, adapter))
            asked.add_done_callback(lambda done: self._settle(key, done))
        # Whoever leaves must not take the others' examination along.
        await asyncio.shield(asked)

    def forget(self, digest: str) -> None:
        """Has an adapter examined anew when it is asked for again."""
        self._good.pop(digest, None)

    def close(self) -> None:
        """Waits for the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _settle(self, key: tuple[str, Stamps], done: asyncio.Future[None]) -> None:
        self._asked.pop(key, None)
        self._good.pop(key[0], None)
        # Taken before the files were read, so that a change meanwhile is seen the next time.
        if not done.cancelled() and done.exception() is None:
            self._good[key[0]] = key[1]
