"""`radimpress bench server`: what gRPC, routes, checks, journal and audit add to the engine alone.

The server and whoever asks have a process each, as clients have in a hospital; the server keeps tokens,
audit trail, journal, metrics and checks as it does in production. Sides are measured in turn, round by
round, and every answer is looked at once the clock has stopped.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from radimpress.reports.errors import EngineError
from radimpress.reports.progress import Track, silent
from radimpress.server.bench.asking import GENERATE, Load, ask, requests
from radimpress.server.bench.hosting import ECHO, Host, hosted
from radimpress.server.bench.material import Figure
from radimpress.server.bench.overload import overload
from radimpress.server.bench.site import CLINICS, TOKEN, fake_site, model_site
from radimpress.server.rollout.simulate import Rate, simulate
from radimpress.trainer.bases import BaseModel
from radimpress.trainer.fetch import base_folder
from radimpress.v1 import impression_pb2

_CLIENTS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerBench:
    """What is measured, and for how long.

    Attributes:
        base: the base model of `throughput`.
        folder: for registries, bundles and the servers' words.
        rounds: of each pair of sides.
        requests: of a round of the base model; the fake engine's rounds have as many as `many`.
        many: of a round of the fake engine and of the echo.
        minutes: of `overload`.
        runs: of each simulation of `canary`.
        track: draws progress.
        told: hears of each rate of `canary`.
    """

    base: BaseModel
    folder: Path
    rounds: int = 5
    requests: int = 2 * _CLIENTS
    many: int = 4000
    minutes: float = 5.0
    runs: int = 1000
    track: Track = silent
    told: Callable[[Rate], None] = lambda _: None


def measure(bench: ServerBench, groups: Sequence[str] = ()) -> dict[str, Figure]:
    """Figures of these groups by name; of those in DEFAULT where none is named."""
    figures: dict[str, Figure] = {}
    for name in groups or DEFAULT:
        figures |= GROUPS[name](bench)
    return figures


def _throughput(bench: ServerBench) -> dict[str, Figure]:
    """Impressions a second through the server, over those of the same engine asked in its own process."""
    folder = _side(bench, "throughput")
    model = base_folder(bench.base, bench.track)
    asked, ratios = requests(CLINICS), list[float]()
    with hosted(partial(model_site, folder, bench.base, model), folder / "server.log") as host:
        # The first round loads adapters and warms both sides up.
        for number in bench.track(range(bench.rounds + 1), "throughput beside the engine alone", bench.rounds + 1):
            some = list(itertools.islice(asked, bench.requests))
            if number % 2:
                through, direct = _through(host, some, _CLIENTS).seconds, host.direct(some, _CLIENTS).seconds
            else:
                direct, through = host.direct(some, _CLIENTS).seconds, _through(host, some, _CLIENTS).seconds
            ratios.append(direct / through)
    return {"throughput_ratio": Figure.of(ratios[1:])}


def _fake(bench: ServerBench) -> dict[str, Figure]:
    """Requests a second of the fake engine and of grpcio's echo, and what one request alone takes longer."""
    folder = _side(bench, "fake")
    asked = requests(CLINICS)
    added, ours, echo = list[float](), list[float](), list[float]()
    with (
        hosted(partial(fake_site, folder), folder / "server.log") as host,
        hosted(None, folder / "echo.log") as other,
    ):
        for _ in bench.track(range(bench.rounds + 1), "the fake engine beside an echo", bench.rounds + 1):
            many, few = (list(itertools.islice(asked, count)) for count in (bench.many, bench.many // 10))
            ours.append(len(many) / _through(host, many, _CLIENTS).seconds)
            echo.append(len(many) / asyncio.run(ask(other.address, ECHO, many, _CLIENTS, TOKEN)).seconds)
            alone = statistics.median(host.direct(few, 1).latencies)
            added.append(1000 * (statistics.median(_through(host, few, 1).latencies) - alone))
    return {
        "p50_added_ms": Figure.of(added[1:]),
        "fake_engine_rps": Figure.of(ours[1:]),
        "echo_rps": Figure.of(echo[1:]),
    }


def _through(host: Host, some: Sequence[bytes], clients: int) -> Load:
    """Asks over gRPC, and looks whether each clinic was answered by its own adapter.

    Raises:
        EngineError: one was not, or not every request was answered.
    """
    load = asyncio.run(ask(host.address, GENERATE, some, clients, TOKEN))
    sent = {}
    for data in some:
        request = impression_pb2.GenerateImpressionRequest.FromString(data)
        sent[request.request_id] = request.report.clinic
    for answer in load.answers:
        impression = impression_pb2.GenerateImpressionResponse.FromString(answer).impression
        clinic = sent.pop(impression.request_id, "")
        if clinic.removeprefix("clinic-") != impression.provenance.adapter.removeprefix("bench-"):
            raise EngineError(f"{clinic!r} was answered by {impression.provenance.adapter}")
    if sent:
        raise EngineError(f"{len(sent)} requests were not answered")
    return load


def _overload(bench: ServerBench) -> dict[str, Figure]:
    """Ten times as much as the server can do."""
    return overload(_side(bench, "overload"), 60 * bench.minutes, bench.track).figures


def _canary(bench: ServerBench) -> dict[str, Figure]:
    """How often a worse adapter on trial is sent back in time, and how often an equal one at all."""
    rates = simulate(bench.runs, told=bench.told).rates
    return {
        "canary_worse_ended": _shares([rate for rate in rates if not rate.equal]),
        "canary_equal_ended": _shares([rate for rate in rates if rate.equal]),
    }


def _shares(rates: Sequence[Rate]) -> Figure:
    shares = [rate.share for rate in rates]
    return Figure(sum(rate.ended for rate in rates) / sum(rate.runs for rate in rates), min(shares), max(shares))


def _side(bench: ServerBench, name: str) -> Path:
    folder = bench.folder / name
    folder.mkdir()
    return folder


GROUPS: dict[str, Callable[[ServerBench], dict[str, Figure]]] = {
    "throughput": _throughput,
    "fake": _fake,
    "canary": _canary,
    "overload": _overload,
}
DEFAULT = ("throughput", "fake")
