"""`radimpress bench vllm`: what radimpress in front of vLLM costs, beside vLLM that is called directly.

The server, vLLM and whoever asks have a process each. The server is reached over gRPC and keeps tokens, audit
trail, journal, metrics and checks as in production; vLLM is called by as little code as there can be, with prompts
that were made before the clock started. Both sides get the same requests, in turn, round by round; what vLLM
remembers of prompts is dropped before each.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from radimpress.reports.errors import EngineError
from radimpress.reports.progress import Track, silent
from radimpress.reports.prompt import extract, render
from radimpress.server.bench.asking import GENERATE, ask, requests
from radimpress.server.bench.hosting import Host, Made, hosted
from radimpress.server.bench.material import Figure, make_adapter
from radimpress.server.bench.references import references
from radimpress.server.bench.site import CLINICS, TOKEN, production, promote_all
from radimpress.server.bench.vllm import VllmPeer
from radimpress.server.bench.vllm_server import ADAPTERS, vllm_python, vllm_server
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.server.engines.vllm import Shared, VllmEngine
from radimpress.server.messages import report_of
from radimpress.server.registry import Registry
from radimpress.trainer.bases import BaseModel
from radimpress.trainer.bundle import MANIFEST, AdapterBundle, open_bundle
from radimpress.trainer.load import load_base, load_tokens
from radimpress.v1 import impression_pb2

_CLIENTS = 32
_CONTEXT = 1024
_TOKENS = 32
# Of a request alone: what vLLM needs for more words would hide what is added.
_FEW = 4


@dataclass(slots=True, kw_only=True)
class FrontBench:
    """What is measured, and for how long.

    Attributes:
        base: the base model.
        model: its folder.
        folder: for registries, bundles and the servers' words.
        rounds: of each pair of sides.
        requests: of a side's round under load.
        alone: of a round of one request at a time.
        track: draws progress.
    """

    base: BaseModel
    model: Path
    folder: Path
    rounds: int = 5
    requests: int = 2 * _CLIENTS
    alone: int = 20
    track: Track = silent
    # Clinic -> its adapter.
    adapters: dict[str, AdapterBundle] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request for both sides: to radimpress, and the same as vLLM takes it."""

    message: bytes
    prompt: str
    ids: list[int]
    adapter: AdapterBundle


@dataclass(frozen=True, slots=True)
class _Said:
    """Texts by request id, seconds of each request, and of all."""

    texts: dict[str, str]
    latencies: list[float]
    seconds: float


def measure(bench: FrontBench) -> dict[str, Figure]:
    """throughput_ratio, p50_added_ms and wrong_answers.

    Raises:
        ConfigError: vLLM cannot be installed.
        EngineError: its server failed; shows the end of its log.
    """
    python = vllm_python(bench.track)
    bundles = bench.folder / "bundles"
    _make_adapters(bench, bundles)
    tokens = load_tokens(bench.base, bench.model)
    stop = sorted(tokens.stop_ids())
    with ExitStack() as stack:
        # Its own way to drop what it remembers of prompts.
        developing = {"VLLM_SERVER_DEV_MODE": "1"}
        # One more than there are adapters, as one stands for base.
        options: dict[str, str | int] = {"--max-loras": ADAPTERS + 1}
        server = stack.enter_context(
            vllm_server(python, bench.model, context=_CONTEXT, options=options, environment=developing)
        )
        peer = VllmPeer(server.group, server.port, server.log, tokens.prompt_ids)
        hosts = {}
        for many in (_TOKENS, _FEW):
            made = partial(vllm_site, bench.folder / f"site-{many}", bundles, bench.base, bench.model, server.url, many)
            hosts[many] = stack.enter_context(hosted(made, bench.folder / f"server-{many}.log"))
        stream = requests(CLINICS)
        ratios, added, differing = list[float](), list[float](), list[tuple[_Asked, str]]()
        answers = 0
        # The first round loads adapters and warms both sides up.
        for number in bench.track(range(bench.rounds + 1), "vLLM with and without radimpress", bench.rounds + 1):
            some = [_asked(bench, message, tokens.prompt_ids) for message in itertools.islice(stream, bench.requests)]
            through, direct = _both(peer, hosts[_TOKENS], some, stop, ours_first=bool(number % 2))
            differing += [(one, text) for one in some if (text := through.texts[_id(one)]) != direct.texts[_id(one)]]
            answers += len(some)
            few = [_asked(bench, message, tokens.prompt_ids) for message in itertools.islice(stream, bench.alone)]
            extra = _added(peer, hosts[_FEW], few, stop)
            if number:
                ratios.append(direct.seconds / through.seconds)
                added.append(1000 * extra)
    wrong = _wrong(bench, differing)
    return {
        "throughput_ratio": Figure.of(ratios),
        "p50_added_ms": Figure.of(added),
        "wrong_answers": Figure(wrong, wrong, wrong),
        "answers": Figure(answers, answers, answers),
    }


def vllm_site(folder: Path, bundles: Path, base: BaseModel, model: Path, url: str, max_tokens: int) -> Made:
    """A server in front of vLLM, every clinic with an adapter of its own."""
    folder.mkdir(exist_ok=True)
    engine = VllmEngine(base, model, [url], Shared(bundles), context=_CONTEXT, patience=60.0)
    settings = production(folder, bundles=str(bundles), max_tokens=max_tokens)
    registry = Registry(settings.registry, settings.bundles)
    promote_all(registry, _opened(bundles))
    return settings, engine, registry


def _make_adapters(bench: FrontBench, into: Path) -> None:
    engine = InProcessEngine(load_base(bench.base, bench.model), context=_CONTEXT)
    try:
        for number in bench.track(range(ADAPTERS), "adapters", ADAPTERS):
            make_adapter(engine.loaded, engine.decoder, into, number)
    finally:
        engine.close()
    bench.adapters = dict(zip(CLINICS, _opened(into), strict=True))


def _opened(bundles: Path) -> list[AdapterBundle]:
    found = [open_bundle(path.parent) for path in bundles.glob(f"*/*/{MANIFEST}")]
    return sorted(found, key=lambda bundle: bundle.name)


def _asked(bench: FrontBench, message: bytes, prompt_ids: Any) -> _Asked:
    request = impression_pb2.GenerateImpressionRequest.FromString(message)
    prompt = render(report_of(request.request_id, request.report))
    return _Asked(message, prompt, prompt_ids(prompt), bench.adapters[request.report.clinic])


def _id(one: _Asked) -> str:
    return impression_pb2.GenerateImpressionRequest.FromString(one.message).request_id


def _both(
    peer: VllmPeer, host: Host, some: Sequence[_Asked], stop: Sequence[int], *, ours_first: bool
) -> tuple[_Said, _Said]:
    """What radimpress and vLLM alone say to the same requests."""

    def through() -> _Said:
        _drop(peer)
        return _through(host, some)

    def direct() -> _Said:
        _drop(peer)
        return asyncio.run(_direct(peer, some, stop, _TOKENS, _CLIENTS))

    if ours_first:
        return through(), direct()
    alone = direct()
    return through(), alone


def _drop(peer: VllmPeer) -> None:
    status, said = peer.ask("POST", "/reset_prefix_cache")
    if status != 200:
        raise EngineError(f"vLLM does not drop what it remembers: {said}")


def _through(host: Host, some: Sequence[_Asked], clients: int = _CLIENTS) -> _Said:
    """Asks over gRPC.

    Raises:
        EngineError: a request was answered by another adapter than its clinic's, or not at all.
    """
    load = asyncio.run(ask(host.address, GENERATE, [one.message for one in some], clients, TOKEN))
    wanted = {_id(one): one.adapter.digest for one in some}
    texts = {}
    for answer in load.answers:
        impression = impression_pb2.GenerateImpressionResponse.FromString(answer).impression
        if wanted.get(impression.request_id) != impression.provenance.digest:
            raise EngineError(f"request {impression.request_id} was answered by {impression.provenance.adapter}")
        texts[impression.request_id] = impression.text
    if texts.keys() != wanted.keys():
        raise EngineError(f"{len(wanted) - len(texts)} requests were not answered")
    return _Said(texts, load.latencies, load.seconds)


async def _direct(peer: VllmPeer, some: Sequence[_Asked], stop: Sequence[int], max_tokens: int, clients: int) -> _Said:
    """Asks vLLM for the same, by the names under which radimpress loaded the adapters."""
    texts, latencies, waiting = dict[str, str](), list[float](), iter(some)

    async def client() -> None:
        for one in waiting:
            body = {
                "model": one.adapter.digest,
                "prompt": one.ids,
                "max_tokens": max_tokens,
                "stop_token_ids": list(stop),
                "temperature": 0,
            }
            began = time.perf_counter()
            said = await peer.whole(body)
            latencies.append(time.perf_counter() - began)
            texts[_id(one)] = extract(said["choices"][0]["text"])

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return _Said(texts, latencies, time.perf_counter() - began)


def _added(peer: VllmPeer, host: Host, few: Sequence[_Asked], stop: Sequence[int]) -> float:
    """Seconds that one request alone takes longer through radimpress: the median of pairs.

    vLLM has read each prompt before, so that it is quick and what is added stands out.
    """
    pairs = []
    asyncio.run(_direct(peer, few, stop, _FEW, 1))
    for at, one in enumerate(few):
        if at % 2:
            through = _through(host, [one], 1).latencies[0]
            direct = asyncio.run(_direct(peer, [one], stop, _FEW, 1)).latencies[0]
        else:
            direct = asyncio.run(_direct(peer, [one], stop, _FEW, 1)).latencies[0]
            through = _through(host, [one], 1).latencies[0]
        pairs.append(through - direct)
    return statistics.median(pairs)


def _wrong(bench: FrontBench, differing: Sequence[tuple[_Asked, str]]) -> int:
    """How many of the answers that differ from vLLM's own are not PEFT's either, tokens that are tied apart."""
    wrong = 0
    for one, said in bench.track(differing, "differing answers", len(differing)):
        loaded = load_base(bench.base, bench.model)
        known = references(loaded, [one.adapter], [one.prompt], _TOKENS, stop=True)[one.adapter.digest, one.prompt]
        near = [extract(text) for text in known.near]
        wrong += said != extract(known.texts[-1]) and not any(said.startswith(text) for text in near)
    return wrong
