"""What one TGI holds, by proof: an adapter that it does not know it answers with the base model, and says nothing.

TGI tells nobody which adapters it holds, and looks an adapter_id up with the base model as the default
(flash_causal_lm.py, `ADAPTER_TO_INDEX.get(r.adapter_id, 0)`). So it is asked what is likeliest after some fixed
prompts, once without an adapter and once with. A fingerprint that could be the base model's is no proof; nor is one
that is not what the adapter's was when it was first seen.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from weakref import WeakKeyDictionary

import structlog

from radimpress.reports.errors import EngineError, OverloadError, RadimpressError
from radimpress.server.engines.fingerprint import APART, Fingerprint, apart, distance
from radimpress.server.engines.tgi_wire import LIKELIEST, Room, Wire

_TIMES = 4.0
_log = structlog.get_logger()


class Seen:
    """The base model's fingerprint and each adapter's, as they were first seen on any TGI.

    Args:
        reference: the base model's, where it was taken from its weights; then no TGI has to be believed.
    """

    def __init__(self, reference: Fingerprint | None = None) -> None:
        self._base: Fingerprint | None = None
        if reference is not None:
            # So many as TGI tells: one that only one side lists counts as the other side's last.
            self._base = [dict(sorted(one.items(), key=itemgetter(1))[-LIKELIEST:]) for one in reference]
        # Requests and looks have threads of their own.
        self._first = threading.Lock()
        self._known: dict[str, Fingerprint] = {}

    def is_base(self, found: Fingerprint) -> bool:
        """Whether a TGI's base model is that of the reference, or of the first TGI."""
        with self._first:
            self._base = self._base or found
        return not apart(found, self._base)

    def knows(self, digest: str) -> bool:
        """Whether an adapter was seen before."""
        return digest in self._known

    def is_new(self, digest: str, found: Fingerprint, plain: Fingerprint) -> bool:
        """Whether an adapter that was not seen before does something; from now on it is known by this.

        Args:
            digest: the adapter's.
            found: its fingerprint.
            plain: the base model's, taken beside it; how far it is from that taken first is rounding.
        """
        assert self._base is not None
        # bfloat16 rounds in another direction as other requests stand beside it: less than APART proves nothing.
        acts = distance(found, plain) > max(APART, _TIMES * distance(plain, self._base))
        if acts:
            self._known[digest] = found
        return acts

    def is_still(self, digest: str, found: Fingerprint) -> bool:
        """Whether a fingerprint is nearer to what the adapter's was than to the base model's and every other's."""
        assert self._base is not None
        others: Mapping[str, Fingerprint] = {"": self._base, **self._known}
        return min(others, key=lambda name: distance(found, others[name])) == digest


class Replica:
    """One TGI.

    Args:
        wire: asks it.
        texts: the fixed prompts.
        seen: shared by all replicas.

    Attributes:
        asked: requests that it works on for us.
        why: what keeps it from being counted on; empty once a look found it fit.
        away: whether it failed, and no look found it fit since.
    """

    def __init__(self, wire: Wire, texts: Sequence[str], seen: Seen) -> None:
        self.wire = wire
        self.asked = 0
        self.why = f"TGI {wire.url} was not looked at yet"
        self.away = False
        self._texts = texts
        self._seen = seen
        self._room: Room | None = None
        self._based = False
        # Digest -> when the last proof began, on the clock of `time.monotonic`.
        self._proved: dict[str, float] = {}
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, defaultdict[str, asyncio.Lock]] = WeakKeyDictionary()

    @property
    def proved(self) -> frozenset[str]:
        """Digests of the adapters that it was seen to hold."""
        return frozenset(self._proved)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Counts a request."""
        self.asked += 1
        try:
            yield
        finally:
            self.asked -= 1

    async def watch(self, every: float) -> None:
        """Looks again and again whether it is there; until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(every)

    async def look(self) -> None:
        """Asks whether it is there; of one that is new or was lost also what it takes, and which base model it has."""
        try:
            await self.wire.healthy()
            await self.fit()
        except OverloadError:
            # It is there; whether it is fit is seen the next time.
            return
        except RadimpressError as error:
            self.lost(str(error))
        except Exception as error:
            # Whoever watches must not end, whatever a foreign server sends.
            self.lost(f"TGI {self.wire.url} cannot be looked at ({type(error).__name__})")
        else:
            if self.why:
                _log.info("replica_up", server=self.wire.url)
            self.why, self.away = "", False

    def lost(self, why: str) -> None:
        """Whatever was proved of it is not so any longer, and it is left alone until a look finds it fit."""
        if self.why != why:
            _log.warning("replica_out", server=self.wire.url, why=why)
        self.why, self.away = why, True
        self._room, self._based = None, False
        self._proved.clear()

    def forget(self, digest: str) -> None:
        """Drops the proof of an adapter."""
        self._proved.pop(digest, None)

    async def fit(self) -> Room:
        """What it takes; looked at once until it is lost.

        Raises:
            EngineError: it is no TGI, or has another base model.
            UnavailableError, OverloadError: it cannot answer now.
        """
        room = self._room or await self.wire.room()
        if not await self.is_base():
            raise EngineError(
                f"TGI {self.wire.url} has another base model than that whose fingerprint was kept or seen first"
            )
        self._room = room
        return room

    async def is_base(self) -> bool:
        """Whether its base model is that of the reference, or of the first TGI; asked once until it is lost.

        Raises:
            EngineError: as `Wire.likeliest`.
        """
        async with self._lock(""):
            if not self._based:
                self._based = self._seen.is_base(await self.wire.likeliest(self._texts, None))
            return self._based

    async def holds(self, digest: str, since: float) -> bool:
        """Whether it holds an adapter, by a proof that began at `since` or later, on the clock of `time.monotonic`.

        Those who wait for a proof at the same time share it.

        Raises:
            EngineError: as `Wire.likeliest`.
        """
        async with self._lock(digest):
            if self._proved.get(digest, -1.0) >= since:
                return True
            began = time.monotonic()
            if self._seen.knows(digest):
                found = self._seen.is_still(digest, await self.wire.likeliest(self._texts, digest))
            else:
                plain = await self.wire.likeliest(self._texts, None)
                found = self._seen.is_new(digest, await self.wire.likeliest(self._texts, digest), plain)
            if found:
                self._proved[digest] = began
            else:
                self.forget(digest)
            return found

    def _lock(self, name: str) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        return self._locks.setdefault(loop, defaultdict(asyncio.Lock))[name]
