"""`radimpress bench engine`: the in-process engine beside its own base model, its floor, PEFT and vLLM.

Every figure is a ratio of two sides measured in turn, round by round, or a count.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from peft import PeftModel
from torch import Tensor, nn

from radimpress.reports.progress import Track, silent
from radimpress.server.bench.churn import churn
from radimpress.server.bench.faults import missed
from radimpress.server.bench.many import many
from radimpress.server.bench.material import Figure, make_adapter, make_prompts
from radimpress.server.bench.vllm import figures_beside_vllm
from radimpress.server.engines import Limits
from radimpress.server.engines.inprocess import InProcessEngine, StepTime
from radimpress.server.engines.linear import int8_is_exact
from radimpress.server.engines.threads import release_team
from radimpress.trainer.bases import BaseModel
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import LoadedBase, load_base

_BATCH = 16
_ADAPTERS = 8
# Tokens of a prompt as reports make them, with the conversation around it; of one that only reading is timed on.
_REPORT = 192
_READ = 512
_WRITE = 64

Asked = tuple[str, AdapterBundle | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What is measured on, and for how long.

    Attributes:
        base: the base model.
        model: its folder.
        folder: for bundles.
        rounds: of each pair of sides.
        adapters: registered in H.
        minutes: of H's soak.
        requests: of I.
        track: draws progress.
    """

    base: BaseModel
    model: Path
    folder: Path
    rounds: int = 5
    adapters: int = 1000
    minutes: float = 30.0
    requests: int = 10_000
    track: Track = silent

    def load(self) -> LoadedBase:
        """The base model, anew: PEFT changes the one it gets."""
        return load_base(self.base, self.model)

    @contextmanager
    def engine(self, count: int, **given: Any) -> Iterator[tuple[InProcessEngine, list[AdapterBundle]]]:
        """An engine that writes as long as it may and reads every prompt whole, and `count` adapters."""
        engine = InProcessEngine(self.load(), context=1024, reuse=False, stop=False, **given)
        try:
            numbers = self.track(range(count), "adapters", count)
            yield engine, [make_adapter(engine.loaded, engine.decoder, self.folder, number) for number in numbers]
        finally:
            engine.close()


def measure(bench: Bench, groups: Sequence[str] = ()) -> dict[str, Figure]:
    """All figures by name, or those of some of GROUPS."""
    figures: dict[str, Figure] = {}
    for name in groups or GROUPS:
        figures |= GROUPS[name](bench)
    return figures


def _throughput(bench: Bench) -> dict[str, Figure]:
    """A, B and D; D_int8 where the processor can."""
    steps: list[StepTime] = []
    int8_steps: list[StepTime] = []
    whole = replace(bench, base=replace(bench.base, quantisation="int8"))
    with ExitStack() as stack:
        int8 = None
        if int8_is_exact():
            int8, _ = stack.enter_context(whole.engine(0, observe=int8_steps.append))
        with bench.engine(_ADAPTERS, observe=steps.append) as (engine, adapters):
            prompts = make_prompts(engine.loaded, _BATCH, _REPORT)
            long = make_prompts(engine.loaded, _BATCH, _READ)
            peer = bench.load()
            # PEFT puts layers of its own around these.
            layers = [module.weight for module in peer.model.modules() if isinstance(module, nn.Linear)]
            peft = _Peft(peer, prompts, adapters)
            read: dict[str, list[float]] = {"base": [], "mixed": []}
            wrote: dict[str, list[float]] = {"base": [], "mixed": [], "peft": [], "floor": []}
            if int8 is not None:
                wrote["int8"] = []
            # The first round warms all sides up and is not counted.
            for _ in bench.track(range(bench.rounds + 1), "throughput beside base and PEFT", bench.rounds + 1):
                wrote["floor"].append(_floor(layers))
                for name, some in (("base", [None]), ("mixed", adapters)):
                    wrote[name].append(_write_step(engine, steps, prompts, some))
                    read[name].append(_read_token(engine, steps, long, some))
                if int8 is not None:
                    wrote["int8"].append(_write_step(int8, int8_steps, prompts, [None]))
                wrote["peft"].append((peft.seconds(1 + _WRITE // 4) - peft.seconds(1)) / (_WRITE // 4))

    def ratio(above: list[float], below: list[float]) -> Figure:
        return Figure.of([one / other for one, other in zip(above[1:], below[1:], strict=True)])

    def speed(done: int, times: list[float]) -> Figure:
        return Figure.of([done / seconds for seconds in times[1:]])

    return {
        **{f"{name}_decode": speed(_BATCH, times) for name, times in wrote.items()},
        **{f"{name}_prefill": speed(1, times) for name, times in read.items()},
        "A_decode": ratio(wrote["base"], wrote["mixed"]),
        "A_prefill": ratio(read["base"], read["mixed"]),
        "B": ratio(wrote["peft"], wrote["mixed"]),
        "D_floor": ratio(wrote["floor"], wrote["base"]),
        **({"D_int8": ratio(wrote["base"], wrote["int8"])} if "int8" in wrote else {}),
    }


def _write_step(
    engine: InProcessEngine, steps: list[StepTime], prompts: list[str], adapters: Sequence[AdapterBundle | None]
) -> float:
    """Seconds of a step in which the whole batch writes on and nobody reads."""
    steps.clear()
    _seconds(engine, _share(prompts, adapters), _WRITE)
    return statistics.median(one.seconds for one in steps if one.wrote == _BATCH and not one.read)


def _read_token(
    engine: InProcessEngine, steps: list[StepTime], prompts: list[str], adapters: Sequence[AdapterBundle | None]
) -> float:
    """Seconds for each token of prompts that are read while nobody writes."""
    steps.clear()
    _seconds(engine, _share(prompts, adapters), 1)
    return statistics.median(one.seconds / one.read for one in steps if one.read)


def _share(prompts: list[str], adapters: Sequence[AdapterBundle | None]) -> list[Asked]:
    return [(prompt, adapters[at % len(adapters)]) for at, prompt in enumerate(prompts)]


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
def _floor(weights: Sequence[Tensor]) -> float:
    """Seconds of the model's linear layers and head alone, as torch computes them, for one token a sequence."""
    given = {weight.shape[1]: torch.randn(_BATCH, weight.shape[1]) for weight in weights}
    begun = time.perf_counter()
    for _ in range(5):
        for weight in weights:
            F.linear(given[weight.shape[1]], weight)
    taken = (time.perf_counter() - begun) / 5
    release_team()
    return taken


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
        taken = time.perf_counter() - begun
        release_team()
        return taken


def _beside_vllm(bench: Bench) -> dict[str, Figure]:
    """C."""
    with bench.engine(_ADAPTERS) as (engine, adapters):
        return figures_beside_vllm(engine, adapters, bench.model, bench.rounds, bench.track)


def _loading(bench: Bench) -> dict[str, Figure]:
    """E, F and G."""
    # The host's memory holds fewer than are wanted in turn, so that each is loaded from disk again.
    with bench.engine(4 * _ADAPTERS, host=_ADAPTERS) as (engine, adapters):
        figures = {**_load_times(engine, bench, adapters), "F": _gaps(engine, bench, adapters)}
    return {**figures, "G": _slots(bench)}


def _load_times(engine: InProcessEngine, bench: Bench, adapters: list[AdapterBundle]) -> dict[str, Figure]:
    model: Any = PeftModel.from_pretrained(bench.load().model, adapters[0].path, adapters[0].name)
    ours, theirs = [], []
    for _ in bench.track(range(bench.rounds), "loading beside PEFT", bench.rounds):
        for adapter in adapters[1 : 2 * _ADAPTERS]:
            begun = time.perf_counter()
            engine.host.want(adapter).result()
            ours.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            model.load_adapter(adapter.path, adapter.name)
            theirs.append(time.perf_counter() - begun)
            model.delete_adapter(adapter.name)
    release_team()
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    return {"E": Figure.of(ratios), "E_ms": Figure.of([1000 * our for our in ours])}


def _gaps(engine: InProcessEngine, bench: Bench, adapters: list[AdapterBundle]) -> Figure:
    """p99 of the gaps between tokens while others' adapters are loaded, over the same without."""
    prompts = make_prompts(engine.loaded, 8, 128)

    async def run(busy: bool) -> float:
        stop = asyncio.Event()

        async def load() -> None:
            for number in range(10_000):
                if stop.is_set():
                    return
                await asyncio.wrap_future(engine.host.want(adapters[_ADAPTERS + number % (3 * _ADAPTERS)]))
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
    for _ in bench.track(range(bench.rounds), "gaps while adapters load", bench.rounds):
        quiet = asyncio.run(run(False))
        ratios.append(asyncio.run(run(True)) / quiet)
    return Figure.of(ratios)


def _slots(bench: Bench) -> Figure:
    """Time to first token, median, with a quarter of the adapters' number as slots, over a slot for each."""
    count = 4 * _ADAPTERS
    with (
        bench.engine(count, resident=count) as (many, adapters),
        bench.engine(0, resident=_ADAPTERS, host=2 * _ADAPTERS) as (few, _),
    ):
        return _first_tokens(many, few, bench, adapters)


def _first_tokens(many: InProcessEngine, few: InProcessEngine, bench: Bench, adapters: list[AdapterBundle]) -> Figure:
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

    asyncio.run(first(many, 0))
    asyncio.run(first(few, 0))
    ratios = []
    for number in bench.track(range(bench.rounds), "four adapters a slot", bench.rounds):
        base = asyncio.run(first(many, number))
        ratios.append(asyncio.run(first(few, number)) / base)
    return Figure.of(ratios)


def _many(bench: Bench) -> dict[str, Figure]:
    """H."""
    return many(
        bench.load, bench.folder, bench.adapters, bench.rounds, minutes=bench.minutes, track=bench.track
    ).figures


def _churn(bench: Bench) -> dict[str, Figure]:
    """I."""
    return churn(bench.load, bench.folder, bench.requests, bench.track).figures


def _faults(bench: Bench) -> dict[str, Figure]:
    """J."""
    with bench.engine(1) as (engine, adapters):
        count = len(missed(engine.load, adapters[0], bench.folder / "faults"))
    return {"J_missed": Figure(count, count, count)}


GROUPS: dict[str, Callable[[Bench], dict[str, Figure]]] = {
    "throughput": _throughput,
    "vllm": _beside_vllm,
    "loading": _loading,
    "many": _many,
    "churn": _churn,
    "faults": _faults,
}
