"""Which adapters one vLLM server holds, and who uses them now.

An adapter's name there is its digest, so that a new version is another adapter and nothing is ever loaded in
place. It is loaded once for all who wait, tried on a probe, and unloaded only while no request uses it. No more
are held than vLLM keeps in memory: it would read the files of any other again, at a moment nobody knows of.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from radimpress.reports.errors import BundleError, EngineError, RadimpressError
from radimpress.server.engines.fingerprint import Fingerprint, acts, apart
from radimpress.server.engines.vllm_client import Model, VllmClient
from radimpress.trainer.bundle import AdapterBundle

_HEX = frozenset("0123456789abcdef")
_log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Resident:
    """An adapter that requests ask for here.

    Attributes:
        loading: done once it may be asked.
        users: requests that it is kept for.
        retired: to be unloaded when the last of them has left.
    """

    loading: asyncio.Task[None]
    users: int = 0
    retired: bool = False


@dataclass(slots=True, eq=False)
class Residence:
    """The adapters of one server; for one event loop.

    Args:
        client: asks the server.
        path: where the server finds an adapter's files.
        prints: each model's fingerprint, on whichever server it was taken: by digest, "" for the base model.
        probes: token ids of what fingerprints are taken with.
        room: adapters at most.
        still: the adapter under which the base model alone is asked for; always there.
        changed: called after every change.
        plain: the base model's fingerprint here, when the server was last looked at.
    """

    client: VllmClient
    path: Callable[[AdapterBundle], str]
    prints: dict[str, Fingerprint]
    probes: list[list[int]]
    room: int
    still: AdapterBundle
    changed: Callable[[], None]
    plain: Fingerprint = ()
    # Digest -> path of all that the server holds, whoever had it loaded; of these we use those in _held.
    _there: dict[str, str] = field(default_factory=dict)
    # The one not asked for longest stands first.
    _held: dict[str, _Resident] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    # One change at a time, so that nobody's room is given to another.
    _door: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def there(self) -> frozenset[str]:
        """Digests of the adapters that the server holds."""
        return frozenset(self._there) - {self.still.digest}

    @property
    def full(self) -> bool:
        """Whether one more would push another out."""
        return len({*self._there, *self._held}) >= self.room

    def holds(self, digest: str) -> bool:
        """Whether an adapter is there, or on its way."""
        return digest in self._held or digest in self._there

    @asynccontextmanager
    async def holding(self, adapter: AdapterBundle) -> AsyncIterator[str]:
        """The name to ask for; what it means stays loaded while the block runs.

        Raises:
            BundleError: vLLM refuses it, or answers with it as it does without.
            EngineError: another server answers differently with it.
            UnavailableError: vLLM cannot be reached.
        """
        one = self._wanted(adapter)
        one.users += 1
        try:
            # Whoever leaves must not take the loading along that others wait for.
            await asyncio.shield(one.loading)
            yield adapter.digest
        finally:
            one.users -= 1
            self._look()

    async def prepare(self, adapter: AdapterBundle) -> None:
        """Loads an adapter before it is asked for.

        Raises:
            RadimpressError: as `holding`.
        """
        async with self.holding(adapter):
            pass

    def forget(self, digest: str) -> None:
        """Unloads an adapter as soon as no request uses it."""
        one = self._held.get(digest)
        if one is not None:
            one.retired = True
            self._look()
        elif digest in self._there:
            self._start(self._let_go(digest))

    def lost(self, digest: str) -> None:
        """The server says that it does not hold an adapter after all."""
        self._there.pop(digest, None)
        self._held.pop(digest, None)
        self._look()

    async def reconcile(self) -> list[Model]:
        """Takes over what the server says that it holds, after a start of either side; gives all that it lists."""
        async with self._door:
            listed = await self.client.models()
            self._there = {one.name: one.root for one in listed if one.adapter and _is_digest(one.name)}
            for digest in [key for key, one in self._held.items() if one.loading.done() and key not in self._there]:
                del self._held[digest]
        self._look()
        return listed

    async def close(self) -> None:
        """Breaks off what is being loaded; the server keeps what it holds."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _wanted(self, adapter: AdapterBundle) -> _Resident:
        one = self._held.pop(adapter.digest, None) or _Resident(self._start(self._take_in(adapter)))
        self._held[adapter.digest] = one
        return one

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # Who waits is told; asked for here, an error that nobody waits for is none of asyncio's business.
        if task.cancelled() or task.exception() is not None:
            for digest in [key for key, one in self._held.items() if one.loading is task]:
                del self._held[digest]
        self._look()

    def _look(self) -> None:
        """Something changed: what is retired and unused goes, and who waits for room looks again."""
        for digest, one in list(self._held.items()):
            if one.retired and not one.users and one.loading.done():
                del self._held[digest]
                self._start(self._let_go(digest))
        self._moved.set()
        self.changed()

    async def _take_in(self, adapter: AdapterBundle) -> None:
        path, digest = self.path(adapter), adapter.digest
        async with self._door:
            adopted = self._there.get(digest) == path
            if not adopted:
                if digest in self._there:
                    await self._unload(digest)
                await self._make_room()
                await self._load(digest, path)
        try:
            await self._try_out(adapter)
        except BaseException:
            # Whatever is wrong with it, nobody must find it there later.
            with suppress(RadimpressError):
                await self._unload(digest)
            raise
        _log.info("adapter_adopted" if adopted else "adapter_loaded", digest=digest, server=self.client.url)

    async def _load(self, digest: str, path: str) -> None:
        try:
            await self.client.load(digest, path)
        except BundleError:
            # Another server of ours may have been first; then it is there, from the same files.
            if path not in [one.root for one in await self.client.models() if one.name == digest]:
                raise
        self._there[digest] = path

    async def _try_out(self, adapter: AdapterBundle) -> None:
        """Takes the fingerprints of base and adapter side by side, and compares them with those of other servers."""
        if adapter.digest == self.still.digest:
            # What it says is compared when the server is looked at.
            return
        reads = (self.client.likeliest(name, self.probes) for name in (self.still.digest, adapter.digest))
        plain, adapted = await asyncio.gather(*reads)
        if not acts(self.plain, plain, adapted):
            raise BundleError(f"{adapter.name}: vLLM answers with it as it does without")
        if apart(self.prints.setdefault(adapter.digest, adapted), adapted):
            raise EngineError(f"{adapter.name}: two servers of vLLM answer differently with it")

    async def _make_room(self) -> None:
        """Unloads until one more fits; the door is held."""
        while len(self._there) >= self.room:
            strange = [key for key in self._there if key not in self._held and key != self.still.digest]
            loaded = [key for key, one in self._held.items() if one.loading.done() and key != self.still.digest]
            idle = [key for key in loaded if not self._held[key].users]
            # What nobody here asked for may serve another server of ours, which would have it loaded again.
            if chosen := (strange or idle or loaded)[:1]:
                leaving = self._held.pop(chosen[0], None)
                # Who asks for it from now on waits at the door, so that it does become free.
                while leaving is not None and leaving.users:
                    self._moved.clear()
                    await self._moved.wait()
                await self._unload(chosen[0])
            else:
                self._moved.clear()
                await self._moved.wait()

    async def _let_go(self, digest: str) -> None:
        async with self._door:
            # It may have been asked for again meanwhile.
            if digest not in self._held and digest in self._there:
                await self._unload(digest)

    async def _unload(self, digest: str) -> None:
        self._there.pop(digest, None)
        await self.client.unload(digest)
        _log.info("adapter_unloaded", digest=digest, server=self.client.url)
        self.changed()


def _is_digest(name: str) -> bool:
    return len(name) == 64 and {*name} <= _HEX
