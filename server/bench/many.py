"""A thousand adapters: what they cost in throughput beside eight, and whether memory stays flat.

Requests choose adapters by Zipf's law, as clinics of very different size would, so that most adapters in
the end are read from disk, verified, and leave again. The files are in the system's page cache as far as
its memory reaches.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from radimpress.reports.progress import Track, silent
from radimpress.server.bench.material import Figure, make_adapter, make_prompts
from radimpress.server.engines import Limits
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import LoadedBase

_FEW = 8
_CLIENTS = 16
_READ = 256
_WRITE = 64
_SAMPLES = 360

Asked = Iterator[tuple[str, AdapterBundle]]


@dataclass(frozen=True, slots=True)
class Many:
    """What many adapters cost.

    Attributes:
        throughput: tokens written a second with all adapters, over the same with eight.
        growth: of resident memory in MiB: the median of the soak's last sixth less that of its second, and
            the least and the most that two samples of these sixths differ by. Its first sixth is warm-up.
        samples: seconds since the soak began, and resident memory in MiB.
        answered: requests of the soak.
    """

    throughput: Figure
    growth: Figure
    samples: list[tuple[float, float]]
    answered: int

    @property
    def figures(self) -> dict[str, Figure]:
        """H, throughput, and H_growth, MiB."""
        return {"H": self.throughput, "H_growth": self.growth}


def many(
    load: Callable[[], LoadedBase],
    folder: Path,
    count: int = 1000,
    rounds: int = 5,
    minutes: float = 30.0,
    requests: int = 96,
    track: Track = silent,
) -> Many:
    """Both figures; adapters of rank 8 (10 MB each for the default base) are made in `folder` and removed.

    Args:
        load: gives the base model.
        folder: for bundles.
        count: of adapters; more than the eight they are compared with.
        rounds: of throughput, both sides each; one more is for warm-up.
        minutes: of the soak.
        requests: of one side of a round.
        track: draws progress.
    """
    with TemporaryDirectory(dir=folder) as bundles:
        engine = InProcessEngine(load(), batch=_CLIENTS, resident=16, host=64, context=512, stop=False)
        try:
            adapters = [
                make_adapter(engine.loaded, engine.decoder, Path(bundles), number)
                for number in track(range(count), "adapters", count)
            ]
            prompts = make_prompts(engine.loaded, _CLIENTS, _READ)
            throughput = _throughput(engine, prompts, adapters, rounds, requests, track)
            samples, answered = _soak(engine, _zipf(prompts, adapters, 0), 60 * minutes, track)
        finally:
            engine.close()
    return Many(throughput, _growth(samples), samples, answered)


def _throughput(
    engine: InProcessEngine,
    prompts: Sequence[str],
    adapters: Sequence[AdapterBundle],
    rounds: int,
    requests: int,
    track: Track,
) -> Figure:
    """Time that `requests` requests take with few adapters, over the same with all."""

    def seconds(some: Sequence[AdapterBundle], seed: int) -> float:
        begun = time.perf_counter()
        asyncio.run(_serve(engine, itertools.islice(_zipf(prompts, some, seed), requests)))
        return time.perf_counter() - begun

    ratios = []
    for number in track(range(rounds + 1), f"throughput, {len(adapters)} adapters beside {_FEW}", rounds + 1):
        few = seconds(adapters[:_FEW], number)
        ratios.append(few / seconds(adapters, number))
    # The first round warms both sides up.
    return Figure.of(ratios[1:])


def _soak(engine: InProcessEngine, asked: Asked, seconds: float, track: Track) -> tuple[list[tuple[float, float]], int]:
    """Samples of memory, and how many requests were answered meanwhile."""
    begun = time.perf_counter()
    samples: list[tuple[float, float]] = []

    async def sample() -> None:
        for number in track(range(1, _SAMPLES + 1), "soak", _SAMPLES):
            await asyncio.sleep(begun + seconds * number / _SAMPLES - time.perf_counter())
            samples.append((time.perf_counter() - begun, _resident()))

    async def both() -> int:
        in_time = itertools.takewhile(lambda _: time.perf_counter() < begun + seconds, asked)
        answered, _ = await asyncio.gather(_serve(engine, in_time), sample())
        return answered

    return samples, asyncio.run(both())


async def _serve(engine: InProcessEngine, asked: Asked) -> int:
    """Has each client ask for the next as soon as its last is answered; tells how many were."""

    async def client() -> int:
        answered = 0
        for prompt, adapter in asked:
            async with aclosing(engine.generate(prompt, adapter, Limits(_WRITE))) as pieces:
                async for _ in pieces:
                    pass
            answered += 1
        return answered

    return sum(await asyncio.gather(*(client() for _ in range(_CLIENTS))))


def _zipf(prompts: Sequence[str], adapters: Sequence[AdapterBundle], seed: int) -> Asked:
    """Requests without end: the adapter at place n is asked for in proportion to 1/n."""
    chance = np.random.default_rng(seed)
    weights = 1 / np.arange(1, len(adapters) + 1)
    weights /= weights.sum()
    for prompt in itertools.cycle(prompts):
        yield prompt, adapters[int(chance.choice(len(adapters), p=weights))]


def _resident() -> float:
    """This process's resident memory in MiB, as Linux tells it."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _growth(samples: Sequence[tuple[float, float]]) -> Figure:
    sixth = len(samples) // 6
    before = [memory for _, memory in samples[sixth : 2 * sixth]]
    after = [memory for _, memory in samples[-sixth:]]
    return Figure(
        statistics.median(after) - statistics.median(before), min(after) - max(before), max(after) - min(before)
    )
