"""One vLLM server as the engine sees it: looked at before it is asked, watched, and left out while it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import blake2b

import structlog
from httpx2 import ConnectError

from radimpress.reports.errors import ConfigError, RadimpressError
from radimpress.server.engines.fingerprint import apart
from radimpress.server.engines.vllm_client import GoneError, RefusedError, UnknownModelError, VllmClient, Written
from radimpress.server.engines.vllm_residence import Residence
from radimpress.trainer.bundle import AdapterBundle

_FAILURES = 3
_BROKEN = 500
_ROOM = 2
# Requests that a server without the adapter must be ahead by before it is asked to load it.
_LOADING = 8
_log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Replica:
    """A server and what is known of it; for one event loop.

    It is asked only between a look that found it fit and the next failure: three in a row, or one connection
    that nobody took. Only another look opens it again, so that no request is spent on finding out.

    Args:
        client: asks it.
        residence: its adapters.
        context: tokens of prompt and answer that it must have room for.
        resident: adapters at most, where it could hold more.
        risen: called when it may be asked again.

    Attributes:
        up: whether it may be asked.
        why: what keeps it from being asked.
        renewing: whether it answered, and must be looked at again before it is asked anything else.
        running: requests that it works on.
    """

    client: VllmClient
    residence: Residence
    context: int
    resident: int
    risen: Callable[[], None]
    up: bool = False
    why: str = "not looked at yet"
    renewing: bool = False
    running: int = 0
    _failures: int = 0
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def url(self) -> str:
        """Where it is."""
        return self.client.url

    def cost(self, digest: str) -> tuple[int, bytes]:
        """What it would cost to ask it now; among equals, every server of ours prefers the same for an adapter."""
        loading = 0 if not digest or self.residence.holds(digest) else _LOADING
        return self.running + loading, blake2b(f"{digest} {self.url}".encode(), digest_size=8).digest()

    async def write(
        self, adapter: AdapterBundle | None, ids: list[int], max_tokens: int, stop: list[int], *, whole: bool
    ) -> AsyncGenerator[Written, None]:
        """Yields what an adapter (None: the base model) writes; see `VllmClient.write` and `Residence.holding`."""
        self.running += 1
        asked = adapter or self.residence.still
        try:
            async with (
                self.residence.holding(asked) as name,
                aclosing(self.client.write(name, ids, max_tokens, stop, whole=whole)) as pieces,
            ):
                async for piece in pieces:
                    yield piece
            self._failures = 0
        except GoneError as error:
            self.failed(error)
            raise
        except RefusedError as error:
            if error.status >= _BROKEN:
                self.failed(error)
            raise
        except UnknownModelError:
            # It was started anew, perhaps with another model; or another server of ours wanted the room.
            self.residence.lost(asked.digest)
            self.up, self.renewing = False, True
            raise
        finally:
            self.running -= 1

    async def watch(self, every: float) -> None:
        """Looks again and again whether it answers; until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(every)

    async def look(self) -> None:
        """Asks whether it is there; one that was not asked until now is first looked at closely."""
        async with self._looking:
            try:
                await self.client.healthy()
                if not self.up:
                    await self._greet()
            except RadimpressError as error:
                self.failed(error)
            except Exception as error:
                # Whoever watches must not end, whatever a foreign server sends.
                _log.error("replica_look_failed", server=self.url, kind=type(error).__name__)
                self._out(f"it cannot be looked at ({type(error).__name__})")
            else:
                self._failures = 0

    def failed(self, error: RadimpressError) -> None:
        """It could not answer, or must not be asked."""
        self._failures += 1
        nobody = isinstance(error.__cause__, ConnectError)
        if not self.up or nobody or self._failures >= _FAILURES:
            self._out(str(error))

    async def _greet(self) -> None:
        """Finds out what it holds and whether that is what the others hold.

        Raises:
            ConfigError: it was started in a way that does not do, or its base model is another one.
        """
        listed = await self.residence.reconcile()
        bases = [one for one in listed if not one.adapter]
        if not bases:
            raise ConfigError("vLLM lists no base model")
        if bases[0].context < self.context:
            raise ConfigError(f"vLLM has room for {bases[0].context} tokens (--max-model-len), not for {self.context}")
        still = self.residence.still
        async with self.residence.holding(still):
            found = await self.client.likeliest(still.digest, self.residence.probes)
        if apart(self.residence.prints.setdefault("", found), found):
            raise ConfigError("its base model answers differently from the fingerprint that was kept or taken first")
        self.residence.plain = found
        room = await self.client.room()
        # The still adapter takes a place of its own.
        self.residence.room = min(self.resident + 1, room or self.resident + 1)
        if self.residence.room < _ROOM:
            raise ConfigError("vLLM holds one adapter only (--max-loras); two are needed, as one stands for base")
        self.up, self.why, self.renewing = True, "", False
        adapters = len(self.residence.there)
        _log.info("replica_up", server=self.url, root=bases[0].root, room=self.residence.room, adapters=adapters)
        self.risen()

    def _out(self, why: str) -> None:
        if self.up or self.why != why:
            _log.warning("replica_out", server=self.url, why=why)
        self.up, self.why, self.renewing = False, why, False
