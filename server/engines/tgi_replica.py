"""What one TGI holds, by proof: an adapter that it does not know it answers with the base model, and says nothing.

TGI tells nobody which adapters it holds, and looks an adapter_id up with the base model as the default
(flash_causal_lm.py, `ADAPTER_TO_INDEX.get(r.adapter_id, 0)`). So it is asked how likely each token of a fixed
prompt is, once without an adapter and once with: those likelihoods are an adapter's profile. One that could be the
base model's is no proof; nor is one that is not what the adapter's was when it was first seen.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from radimpress.server.engines.tgi_wire import Room, Wire

Profile = tuple[float, ...]
# In nats a token: bfloat16 rounds a score of 16 to 0.06, in another direction as other requests stand beside it.
ACTS = 0.1
_TIMES = 4.0
AGAIN_SECONDS = 2.0


class Profiles:
    """The base model's profile and each adapter's, as they were first seen on any TGI."""

    def __init__(self) -> None:
        self._base: Profile | None = None
        self._known: dict[str, Profile] = {}

    def is_base(self, profile: Profile) -> bool:
        """Whether a TGI's base model is that of the first TGI."""
        self._base = self._base or profile
        return _apart(profile, self._base) < ACTS

    def knows(self, digest: str) -> bool:
        """Whether an adapter was seen before."""
        return digest in self._known

    def is_new(self, digest: str, profile: Profile, plain: Profile) -> bool:
        """Whether an adapter that was not seen before does something; from now on it is known by this profile.

        Args:
            digest: the adapter's.
            profile: its profile.
            plain: the base model's, taken beside it; how far it is from that taken first is rounding.
        """
        assert self._base is not None
        found = _apart(profile, plain) >= max(ACTS, _TIMES * _apart(plain, self._base))
        if found:
            self._known[digest] = profile
        return found

    def is_still(self, digest: str, profile: Profile) -> bool:
        """Whether a profile is nearer to what the adapter's was than to the base model's and every other's."""
        assert self._base is not None
        others: Mapping[str, Profile] = {"": self._base, **self._known}
        return min(others, key=lambda name: _apart(profile, others[name])) == digest


class Replica:
    """One TGI.

    Args:
        wire: asks it.
        text: the fixed prompt.
        profiles: shared by all replicas.

    Attributes:
        asked: requests that it works on for us.
    """

    def __init__(self, wire: Wire, text: str, profiles: Profiles) -> None:
        self.wire = wire
        self.asked = 0
        self._text = text
        self._profiles = profiles
        self._room: Room | None = None
        self._based = False
        # Digest -> when the last proof began, on the clock of `time.monotonic`.
        self._proved: dict[str, float] = {}
        self._away_until = 0.0
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, defaultdict[str, asyncio.Lock]] = WeakKeyDictionary()

    @property
    def away(self) -> bool:
        """Whether it failed a moment ago."""
        return time.monotonic() < self._away_until

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

    def lost(self) -> None:
        """It cannot be reached: whatever was proved of it is not so any longer, and for a moment it is left alone."""
        self._away_until = time.monotonic() + AGAIN_SECONDS
        self._room, self._based = None, False
        self._proved.clear()

    def forget(self, digest: str) -> None:
        """Drops the proof of an adapter."""
        self._proved.pop(digest, None)

    async def room(self) -> Room:
        """What it takes.

        Raises:
            EngineError: as `Wire.room`.
        """
        if self._room is None:
            self._room = await self.wire.room()
        return self._room

    async def is_base(self) -> bool:
        """Whether its base model is that of the first TGI; asked once until it is lost.

        Raises:
            EngineError: as `Wire.profile`.
        """
        async with self._lock(""):
            if not self._based:
                self._based = self._profiles.is_base(await self.wire.profile(self._text, None))
            return self._based

    async def holds(self, digest: str, since: float) -> bool:
        """Whether it holds an adapter, by a proof that began at `since` or later, on the clock of `time.monotonic`.

        Those who wait for a proof at the same time share it.

        Raises:
            EngineError: as `Wire.profile`.
        """
        async with self._lock(digest):
            if self._proved.get(digest, -1.0) >= since:
                return True
            began = time.monotonic()
            if self._profiles.knows(digest):
                found = self._profiles.is_still(digest, await self.wire.profile(self._text, digest))
            else:
                plain = await self.wire.profile(self._text, None)
                found = self._profiles.is_new(digest, await self.wire.profile(self._text, digest), plain)
            if found:
                self._proved[digest] = began
            else:
                self.forget(digest)
            return found

    def _lock(self, name: str) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        return self._locks.setdefault(loop, defaultdict(asyncio.Lock))[name]


def _apart(one: Profile, other: Profile) -> float:
    """Mean difference, in nats a token; profiles of different prompts are as far apart as can be."""
    if len(one) != len(other):
        return float("inf")
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)
