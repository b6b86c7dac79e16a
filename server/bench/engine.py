"""`radimpress bench engine`: the in-process engine beside its own base model, its floor, and PEFT.

Every figure is a ratio of two sides measured in turn, round by round. Not covered: vLLM as a peer, int8,
a thousand adapters, a GPU.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from peft import PeftModel
from torch import nn

from radimpress.reports.progress import Track, silent
from radimpress.server.bench.material import Figure, make_adapter, make_prompts
from radimpress.server.engines import Limits
from radimpress.server.engines.inprocess import InProcessEngine, StepTime
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import LoadedBase

_BATCH = 16
_ADAPTERS = 8
_READ = 512
_WRITE = 64

Asked = tuple[str, AdapterBundle | None]


def measure(load: Callable[[], LoadedBase], folder: Path, rounds: int, track: Track = silent) -> dict[str, Figure]:
    """All figures by name; adapters are made in `folder`.

    Args:
        load: gives the base model; called once for us and once for PEFT, which changes it.
        folder: for bundles.
        rounds: of each pair of sides.
        track: draws progress.
    """
    steps: list[StepTime] = []
    engine = InProcessEngine(load(), context=1024, stop=False, observe=steps.append)
    adapters = [
        make_adapter(engine.loaded, engine.decoder, folder, number)
        for number in track(range(4 * _ADAPTERS), "adapters", 4 * _ADAPTERS)
    ]
    try:
        figures = _throughput(engine, steps, load(), adapters[:_ADAPTERS], rounds, track)
        figures |= _loading(engine, load(), adapters[_ADAPTERS:], rounds, track)
        figures["F"] = _gaps(engine, adapters, rounds, track)
    finally:
        engine.close()
    figures["G"] = _slots(load, adapters, rounds, track)
    return figures


def _throughput(
    engine: InProcessEngine,
    steps: list[StepTime],
    peer: LoadedBase,
    adapters: list[AdapterBundle],
    rounds: int,
    track: Track,
) -> dict[str, Figure]:
    prompts = make_prompts(engine.loaded, _BATCH, _READ)
    asked: dict[str, list[Asked]] = {
        "base": [(prompt, None) for prompt in prompts],
        "mixed": [(prompt, adapters[at % _ADAPTERS]) for at, prompt in enumerate(prompts)],
    }
    peft = _Peft(peer, prompts, adapters)
    # The first round warms both sides up and is not counted.
    read: dict[str, list[float]] = {"base": [], "mixed": []}
    wrote: dict[str, list[float]] = {"base": [], "mixed": [], "peft": [], "floor": []}
    for _ in track(range(rounds + 1), "throughput beside base and PEFT", rounds + 1):
        wrote["floor"].append(_floor(engine))
        for name, side in asked.items():
            steps.clear()
            _seconds(engine, side, _WRITE)
            # A whole batch that writes on, and a chunk that is read alone: everything else is in between.
            wrote[name].append(statistics.median(one.seconds for one in steps if one.wrote == _BATCH and not one.read))
            steps.clear()
            _seconds(engine, side, 1)
            read[name].append(statistics.median(one.seconds / one.read for one in steps if one.read and not one.wrote))
        wrote["peft"].append((peft.seconds(1 + _WRITE // 4) - peft.seconds(1)) / (_WRITE // 4))

    def ratio(above: list[float], below: list[float]) -> Figure:
        return Figure.of([one / other for one, other in zip(above[1:], below[1:], strict=True)])

    return {
        "base_decode": Figure.of([_BATCH / seconds for seconds in wrote["base"][1:]]),
        "mixed_decode": Figure.of([_BATCH / seconds for seconds in wrote["mixed"][1:]]),
        "A_decode": ratio(wrote["base"], wrote["mixed"]),
        "A_prefill": ratio(read["base"], read["mixed"]),
        "B": ratio(wrote["peft"], wrote["mixed"]),
        "D_floor": ratio(wrote["floor"], wrote["base"]),
    }


def _seconds(engine: InProcessEngine, asked: Sequence[Asked], tokens: int) -> float:
    """How long it takes until all have their `tokens`."""

    async def all_of_them() -> float:
        begun = time.perf_counter()
        await asyncio.gather(*(_stamps(engine, prompt, adapter, tokens) for prompt, adapter in asked))
        return time.perf_counter() - begun

    return asyncio.run(all_of_them())


async def _stamps(engine: InProcessEngine, prompt: str, adapter: AdapterBundle | None, tokens: int) -> list[float]:
    """When each piece came."""
    async with aclosing(engine.generate(prompt, adapter, Limits(tokens))) as pieces:
        return [time.perf_counter() async for _ in pieces]


@torch.inference_mode()
def _floor(engine: InProcessEngine) -> float:
    """Seconds of the model's linear layers and head alone, as it has them, for one token a sequence."""
    layers = [module for module in engine.loaded.model.modules() if isinstance(module, nn.Linear)]
    given = {width: torch.randn(_BATCH, width) for width in {layer.in_features for layer in layers}}
    begun = time.perf_counter()
    for _ in range(5):
        for layer in layers:
            F.linear(given[layer.in_features], layer.weight)
    return (time.perf_counter() - begun) / 5


class _Peft:
    """transformers and PEFT with `adapter_names`, one batch."""

    def __init__(self, loaded: LoadedBase, prompts: Sequence[str], adapters: Sequence[AdapterBundle]) -> None:
        self.model: Any = PeftModel.from_pretrained(loaded.model, adapters[0].path, adapters[0].name)
        for adapter in adapters[1:]:
            self.model.load_adapter(adapter.path, adapter.name)
        self.model.eval()
        rows = [loaded.prompt_ids(prompt) for prompt in prompts]
        width = max(len(row) for row in rows)
        pad = loaded.tokenizer.pad_token_id
        self._ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
        self._mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        self._names = [adapters[at % len(adapters)].name for at in range(len(rows))]

    @torch.inference_mode()
    def seconds(self, tokens: int) -> float:
        """How long it takes until all have their `tokens`."""
        begun = time.perf_counter()
        self.model.generate(
            input_ids=self._ids,
            attention_mask=self._mask,
            adapter_names=self._names,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
        )
        return time.perf_counter() - begun


def _loading(
    engine: InProcessEngine, peer: LoadedBase, adapters: list[AdapterBundle], rounds: int, track: Track
) -> dict[str, Figure]:
    model: Any = PeftModel.from_pretrained(peer.model, adapters[0].path, adapters[0].name)
    ours, theirs = [], []
    for _ in track(range(rounds), "loading beside PEFT", rounds):
        for adapter in adapters[1:5]:
            begun = time.perf_counter()
            engine.load(adapter)
            ours.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            model.load_adapter(adapter.path, adapter.name)
            theirs.append(time.perf_counter() - begun)
            model.delete_adapter(adapter.name)
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    return {"E": Figure.of(ratios), "E_ms": Figure.of([1000 * our for our in ours])}


def _gaps(engine: InProcessEngine, adapters: list[AdapterBundle], rounds: int, track: Track) -> Figure:
    """p99 of the gaps between tokens while others' adapters are loaded, over the same without."""
    prompts = make_prompts(engine.loaded, 8, 128)

    async def run(busy: bool) -> float:
        stop = asyncio.Event()

        async def load() -> None:
            for number in range(10_000):
                if stop.is_set():
                    return
                await asyncio.to_thread(engine.load, adapters[8 + number % 24])
                await asyncio.sleep(0.1)

        loading = asyncio.create_task(load()) if busy else None
        stamps = await asyncio.gather(
            *(_stamps(engine, prompt, adapters[at], 2 * _WRITE) for at, prompt in enumerate(prompts))
        )
        stop.set()
        if loading is not None:
            await loading
        # Pieces wait for whole characters, so gaps are those of the sequence that has most pieces.
        most = max(stamps, key=len)
        return float(np.percentile(np.diff(most[1:]), 99))

    asyncio.run(run(False))
    ratios = []
    for _ in track(range(rounds), "gaps while adapters load", rounds):
        quiet = asyncio.run(run(False))
        ratios.append(asyncio.run(run(True)) / quiet)
    return Figure.of(ratios)


def _slots(load: Callable[[], LoadedBase], adapters: list[AdapterBundle], rounds: int, track: Track) -> Figure:
    """Time to first token, median, with a quarter of the adapters' number as slots, over a slot for each."""
    many = InProcessEngine(load(), context=1024, resident=len(adapters), stop=False)
    few = InProcessEngine(load(), context=1024, resident=len(adapters) // 4, host=len(adapters) // 2, stop=False)
    prompts = make_prompts(many.loaded, 8, 128)
    weights = 1 / np.arange(1, len(adapters) + 1)

    async def first(engine: InProcessEngine, seed: int) -> float:
        chance = np.random.default_rng(seed)
        picked = chance.choice(len(adapters), 96, p=weights / weights.sum())
        asked = iter([(prompts[at % 8], adapters[which]) for at, which in enumerate(picked)])
        waits: list[float] = []

        async def client() -> None:
            for prompt, adapter in asked:
                begun = time.perf_counter()
                waits.append((await _stamps(engine, prompt, adapter, 16))[0] - begun)

        await asyncio.gather(*(client() for _ in range(8)))
        return float(np.median(waits))

    try:
        asyncio.run(first(many, 0))
        asyncio.run(first(few, 0))
        ratios = []
        for number in track(range(rounds), "four adapters a slot", rounds):
            base = asyncio.run(first(many, number))
            ratios.append(asyncio.run(first(few, number)) / base)
    finally:
        many.close()
        few.close()
    return Figure.of(ratios)
