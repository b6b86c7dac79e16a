"""The server's metrics, as Prometheus reads them; docs/watching.md says what each is good for.

No request can make a series: labels are adapters of the registry, slices, arms, reasons, checks, codes and
the methods that the contract knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import grpc
from grpc_health.v1 import health_pb2
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from radimpress.clustering.cell import Cell
from radimpress.eval.predict import BASE
from radimpress.server.routes import AdapterVersion, Arm, Reason, TrialKind
from radimpress.v1 import adapter_pb2, impression_pb2

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
_SLICE = ("adapter", "modality", "cluster", "arm")
_METHODS = frozenset(
    f"/{service.full_name}/{method.name}"
    for file in (impression_pb2, adapter_pb2, health_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
)
# Each series would have a second one beside it, which says when it began.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class _Slice:
    """One adapter's series in one slice and arm, bound once: finding a series costs more than counting in it."""

    seconds: Histogram
    first_token: Histogram
    prompt_tokens: Counter
    tokens: Counter
    answers: dict[str, Counter] = field(default_factory=dict)
    noticed: dict[str, Counter] = field(default_factory=dict)


class Metrics:
    """Counters, gauges and histograms in a registry of their own; every method is cheap and may be called anywhere.

    Attributes:
        registry: what `exposing` shows.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._rpcs = self._counter("rpcs_total", "Calls ended.", "method", "code")
        self._rpc_seconds = self._histogram("rpc_seconds", "From a call's arrival to its end.", "method")
        self._answers = self._counter("answers_total", "Impressions written.", *_SLICE, "reason")
        self._answer_seconds = self._histogram("answer_seconds", "From a request to its whole impression.", *_SLICE)
        self._first_token = self._histogram("first_token_seconds", "From a request to its first piece.", *_SLICE)
        self._prompt_tokens = self._counter("prompt_tokens_total", "Tokens read.", *_SLICE)
        self._tokens = self._counter("impression_tokens_total", "Tokens written.", *_SLICE)
        self._noticed = self._counter(
            "noticed_total", "Answers that a check noticed something about.", *_SLICE, "check"
        )
        self._engines = self._counter("engine_answers_total", "Impressions that an engine or replica wrote.", "engine")
        self._waiting = self._gauge("waiting_requests", "Requests that wait for the engine.")
        self._running = self._gauge("running_requests", "Requests that the engine works on.")
        self._resident = self._gauge("resident_adapter", "1 for each adapter on the device.", "adapter")
        self._ready = self._gauge("ready", "1 while requests should be sent to this server, else 0.")
        self._table = self._gauge("route_table", "The number of the route table that this server serves by.")
        self._trials = self._gauge("trial_slices", "Slices of that table in which an adapter is on trial.")
        self._trials_ended = self._counter("trials_ended_total", "Trials that live quality ended.", "adapter", "kind")
        self._shadows = self._counter("shadows_dropped_total", "Shadow answers not written, for want of room.")
        self._journal = self._gauge("journal_waiting", "Answers and signed texts not yet written down.")
        self._slices: dict[tuple[str, ...], _Slice] = {}
        self._calls: dict[tuple[str, grpc.StatusCode], tuple[Counter, Histogram]] = {}
        self._residents: set[str] = set()

    def rpc(self, method: str, code: grpc.StatusCode, seconds: float) -> None:
        """A call ended.

        Args:
            method: as gRPC gives it, "/package.Service/Method"; one that is not known is counted as "other".
            code: it ended with.
            seconds: from its arrival to its end.
        """
        found = self._calls.get((method, code))
        if found is None:
            # A path that is not known is anybody's text.
            if method not in _METHODS:
                method = "other"
            name = method.removeprefix("/")
            found = self._rpcs.labels(name, code.name), self._rpc_seconds.labels(name)
            self._calls[method, code] = found
        found[0].inc()
        found[1].observe(seconds)

    def answered(
        self,
        adapter: AdapterVersion | None,
        cell: Cell,
        arm: Arm,
        *,
        reason: Reason,
        seconds: float,
        first_token_seconds: float | None,
        prompt_tokens: int,
        tokens: int,
        checks: Iterable[str],
        engine: str = "",
    ) -> None:
        """An impression was written whole.

        Args:
            adapter: who wrote it; None is the base model.
            cell: the slice.
            arm: of a trial.
            reason: why that one.
            seconds: from the request to the whole impression, queueing included.
            first_token_seconds: from the request to the first text; None where nobody looked.
            prompt_tokens: read.
            tokens: written.
            checks: names of those that noticed something.
            engine: which engine or replica wrote it; empty where there is but one.
        """
        labels = (str(adapter) if adapter else BASE, cell.modality.value, cell.cluster, arm.value)
        found = self._slices.get(labels) or self._slice(labels)
        answers = found.answers.get(reason.name)
        if answers is None:
            answers = found.answers[reason.name] = self._answers.labels(*labels, reason.name.lower())
        answers.inc()
        found.seconds.observe(seconds)
        if first_token_seconds is not None:
            found.first_token.observe(first_token_seconds)
        found.prompt_tokens.inc(prompt_tokens)
        found.tokens.inc(tokens)
        for check in checks:
            noticed = found.noticed.get(check)
            if noticed is None:
                noticed = found.noticed[check] = self._noticed.labels(*labels, check)
            noticed.inc()
        if engine:
            self._engines.labels(engine).inc()

    def queue(self, waiting: int, running: int) -> None:
        """How many requests wait for the engine, and how many it works on."""
        self._waiting.set(waiting)
        self._running.set(running)

    def resident(self, adapters: Iterable[str]) -> None:
        """All adapters that are on the device now, as in "unified@1"; called by one thread only."""
        now = set(adapters)
        for name in self._residents - now:
            self._resident.remove(name)
        for name in now - self._residents:
            self._resident.labels(name).set(1)
        self._residents = now

    def ready(self, now: bool) -> None:
        """Whether requests should be sent to this server."""
        self._ready.set(now)

    def table(self, number: int, trials: int = 0) -> None:
        """The route table that is served by, and in how many of its slices something is on trial."""
        self._table.set(number)
        self._trials.set(trials)

    def trial_ended(self, adapter: AdapterVersion, kind: TrialKind) -> None:
        """Live quality ended an adapter's trial."""
        self._trials_ended.labels(str(adapter), kind.value).inc()

    def shadow_dropped(self) -> None:
        """A shadow's answer was not written, as there was no room."""
        self._shadows.inc()

    def journal_queue(self, waiting: int) -> None:
        """How many answers and signed texts are not yet written down."""
        self._journal.set(waiting)

    def _slice(self, labels: tuple[str, ...]) -> _Slice:
        made = _Slice(
            self._answer_seconds.labels(*labels),
            self._first_token.labels(*labels),
            self._prompt_tokens.labels(*labels),
            self._tokens.labels(*labels),
        )
        return self._slices.setdefault(labels, made)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"radimpress_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"radimpress_{name}", what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(f"radimpress_{name}", what, labels, registry=self.registry, buckets=SECONDS)
