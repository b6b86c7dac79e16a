"""ImpressionService: a request's whole path on one screen."""

# Names and arguments are those of the stubs.
# ruff: noqa: ARG002, N802

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import grpc

from radimpress.eval.checks import Notice, annotate
from radimpress.reports.errors import (
    ConflictError,
    DuplicateError,
    EngineError,
    ForbiddenError,
    InputError,
    UnavailableError,
)
from radimpress.reports.prompt import Extractor, render
from radimpress.reports.report import Report
from radimpress.server.ahead import as_done, running_ahead
from radimpress.server.engines import Limits
from radimpress.server.messages import FINISH, check_messages, provenance, report_of
from radimpress.server.once import Once, fingerprint
from radimpress.server.parts import Parts
from radimpress.server.registry import Answer
from radimpress.server.routes import Arm, Route, route
from radimpress.server.security.caller import current_caller
from radimpress.server.signed import take_signed
from radimpress.server.status import code_of, failure_of
from radimpress.server.telemetry import Trace, log
from radimpress.v1 import impression_pb2, impression_pb2_grpc

_SERVICE = "/radimpress.v1.ImpressionService"
# What takes longer to check than a hop to another thread does, in characters.
_LONG = 2_000

Event = impression_pb2.Provenance | str | impression_pb2.Impression
Request = (
    impression_pb2.GenerateImpressionRequest
    | impression_pb2.StreamImpressionRequest
    | impression_pb2.BatchImpressionsRequest
)


@dataclass(frozen=True, slots=True)
class _Call:
    """The rpc that a request came with, its deadline and its trace.

    Attributes:
        patient: whether it waits its turn before it comes in.
        whole: whether its caller gets no text before the end.
    """

    rpc: str
    context: Any
    trace: Trace
    patient: bool = False
    whole: bool = True


class ImpressionService(impression_pb2_grpc.ImpressionServiceServicer):
    """Writes impressions, and takes what was signed. Errors become codes at the door (security/door.py)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._once = Once()
        self._batches = asyncio.Semaphore(parts.batch)
        self._secret = parts.registry.secret

    async def GenerateImpression(
        self, request: impression_pb2.GenerateImpressionRequest, context: Any
    ) -> impression_pb2.GenerateImpressionResponse:
        """See impression.proto."""
        with self._trace("GenerateImpression", context) as trace:
            impression = await self._whole(request, _Call("GenerateImpression", context, trace))
        return impression_pb2.GenerateImpressionResponse(impression=impression)

    async def StreamImpression(
        self, request: impression_pb2.StreamImpressionRequest, context: Any
    ) -> AsyncGenerator[impression_pb2.StreamImpressionResponse, None]:
        """See impression.proto."""
        started, said = None, ""
        with self._trace("StreamImpression", context) as trace:
            call = _Call("StreamImpression", context, trace, whole=False)
            # A reader that is slow holds up neither the engine nor the journal.
            try:
                async with running_ahead(self._events(request, call)) as events:
                    async for event in events:
                        if isinstance(event, impression_pb2.Provenance):
                            _note(event)
                            started = event
                            yield impression_pb2.StreamImpressionResponse(started=event)
                        elif isinstance(event, str):
                            said += event
                            yield impression_pb2.StreamImpressionResponse(piece=event)
                        elif (event.provenance, event.text) == (started, said):
                            yield impression_pb2.StreamImpressionResponse(completed=event)
                        else:
                            raise ConflictError("another server answered this request at the same moment; ask again")
            except BaseException as error:
                if started is not None and said:
                    self._broken_off(request, started, error)
                raise

    async def BatchImpressions(
        self, requests: AsyncIterator[impression_pb2.BatchImpressionsRequest], context: Any
    ) -> AsyncGenerator[impression_pb2.BatchImpressionsResponse, None]:
        """See impression.proto."""
        with self._trace("BatchImpressions", context) as trace:
            call = _Call("BatchImpressions", context, trace, patient=True)

            async def answer(
                request: impression_pb2.BatchImpressionsRequest,
            ) -> impression_pb2.BatchImpressionsResponse:
                response = impression_pb2.BatchImpressionsResponse(request_id=request.request_id)
                try:
                    async with self._batches:
                        response.impression.CopyFrom(await self._whole(request, call))
                except Exception as error:
                    if isinstance(error, ForbiddenError) and self._parts.audit is not None:
                        self._parts.audit.refused("BatchImpressions", subject=current_caller.get().subject)
                    response.failure.CopyFrom(failure_of(error))
                return response

            async with aclosing(as_done(_distinct(requests), answer, self._parts.batch)) as answers:
                async for one in answers:
                    yield one

    async def RecordFinalImpression(
        self, request: impression_pb2.RecordFinalImpressionRequest, context: Any
    ) -> impression_pb2.RecordFinalImpressionResponse:
        """See impression.proto."""
        current_caller.get().check_clinic(request.report.clinic)
        impression, found = await take_signed(request, self._parts.journal, self._secret)
        self._audit("RecordFinalImpression", request.report.clinic, impression)
        return impression_pb2.RecordFinalImpressionResponse(
            provenance=impression.provenance,
            edit_distance=found.edit_distance,
            rouge_l=found.rouge_l,
            check_outcomes=[
                impression_pb2.CheckOutcome(check=check, right=right) for check, right in found.checks_right.items()
            ],
        )

    async def _whole(self, request: Request, call: _Call) -> impression_pb2.Impression:
        async with aclosing(self._events(request, call)) as events:
            async for event in events:
                if isinstance(event, impression_pb2.Provenance):
                    _note(event)
        assert isinstance(event, impression_pb2.Impression)
        return event

    async def _events(self, request: Request, call: _Call) -> AsyncGenerator[Event, None]:
        """Who writes, then pieces of the text, then the whole: the one path of every answer."""
        parts, trace, began, remaining = self._parts, call.trace, time.monotonic(), call.context.time_remaining()
        deadline = None if remaining is None else began + remaining
        current_caller.get().check_clinic(request.report.clinic)
        report = report_of(request.request_id or uuid.uuid4().hex, request.report)
        prompt, asked = render(report), fingerprint(report, self._secret)
        parts.registry.check()
        async with self._once.turn((report.clinic, report.id)):
            known = await parts.journal.find(report.clinic, report.id) if request.request_id else None
            if known is not None:
                impression = _as_it_was(known, asked)
                self._audit(call.rpc, report.clinic, impression)
                for event in (impression.provenance, impression.text, impression):
                    yield event
                return
            with trace.span("route"):
                chosen = route(report, parts.registry.current(), outside=parts.policy.outside(report))
                bundle = await parts.registry.brought(chosen.adapter) if chosen.adapter else None
                who = provenance(chosen, parts.engine)
            name = f"{who.adapter}@{who.version}"
            trace.note(adapter=name, digest=who.digest, cell=str(chosen.cell), table=who.route_table)
            left = None if deadline is None else deadline - time.monotonic()
            with parts.admission.place(left, patient=call.patient), trace.span("engine") as span:
                yield who
                extractor, text, first = Extractor(), "", None
                limits = Limits(parts.max_tokens, deadline, report.modality, report.clinic, call.whole)
                async with aclosing(parts.engine.generate(prompt, bundle, limits)) as pieces:
                    async for piece in pieces:
                        certain = extractor.feed(piece.text) + (extractor.finish() if piece.finish else "")
                        if certain:
                            # What comes all at once has no first piece.
                            if not (call.whole and piece.finish):
                                first = first or time.monotonic() - began
                            text += certain
                            yield certain
                if piece.engine:
                    span.note(engine=piece.engine)
            with trace.span("checks"):
                noticed = await _checked(report, text, piece.finish)
            impression = impression_pb2.Impression(
                request_id=report.id,
                text=text,
                provenance=who,
                finish_reason=FINISH[piece.finish],
                check_findings=check_messages(noticed),
                prompt_tokens=piece.prompt_tokens,
                impression_tokens=piece.tokens,
                latency_micros=round((time.monotonic() - began) * 1e6),
            )
            answer = _answer(report, asked, chosen, impression)
            with trace.span("record"):
                if not text:
                    await self._empty(answer)
                kept = await parts.journal.record(answer)
                if kept.message != answer.message:
                    # Another server was asked the same, and was first.
                    impression = _as_it_was(kept, asked)
                self._audit(call.rpc, report.clinic, impression)
        parts.metrics.answered(
            chosen.adapter,
            chosen.cell,
            chosen.arm,
            reason=chosen.reason,
            seconds=answer.seconds,
            first_token_seconds=first,
            prompt_tokens=piece.prompt_tokens,
            tokens=piece.tokens,
            checks=answer.checks,
            engine=piece.engine,
        )
        parts.shadow.start(report, prompt, chosen, answer)
        yield impression

    async def _empty(self, answer: Answer) -> None:
        """Ends a request for which nothing was written; the monitor is told of a canary's, as of a shadow's."""
        if answer.arm is Arm.CANARY:
            await self._parts.journal.record(replace(answer, arm=Arm.SHADOW, message=b""))
        raise EngineError("the model wrote nothing")

    def _trace(self, rpc: str, context: Any) -> Trace:
        return self._parts.tracing.rpc(f"{_SERVICE}/{rpc}", context.invocation_metadata())

    def _broken_off(
        self, request: impression_pb2.StreamImpressionRequest, who: impression_pb2.Provenance, error: BaseException
    ) -> None:
        """Writes down that text went out, and that its caller left or the rest failed before it was whole."""
        outcome = code_of(error) if isinstance(error, Exception) else grpc.StatusCode.CANCELLED
        # What ended it goes on to be told; that no line can be written is in the log.
        with suppress(UnavailableError):
            self._parts.audited(
                "StreamImpression",
                clinic=request.report.clinic,
                request_id=request.request_id,
                digest=who.digest,
                table=who.route_table,
                outcome=outcome.name,
            )

    def _audit(self, rpc: str, clinic: str, impression: impression_pb2.Impression) -> None:
        who = impression.provenance
        self._parts.audited(
            rpc, clinic=clinic, request_id=impression.request_id, digest=who.digest, table=who.route_table
        )


def _answer(report: Report, asked: str, chosen: Route, impression: impression_pb2.Impression) -> Answer:
    """The answer as the journal keeps it."""
    who = impression.provenance
    return Answer(
        clinic=report.clinic,
        request_id=report.id,
        subject=current_caller.get().subject,
        asked=asked,
        message=impression.SerializeToString(),
        digest=who.digest,
        adapter=who.adapter,
        version=who.version,
        cell=chosen.cell,
        arm=chosen.arm,
        table=chosen.table,
        checks=tuple(finding.check for finding in impression.check_findings),
        created=datetime.now(UTC),
        seconds=impression.latency_micros / 1e6,
    )


def _as_it_was(answer: Answer, asked: str) -> impression_pb2.Impression:
    """The impression that a request was answered with before.

    Raises:
        DuplicateError: another report was asked about.
    """
    if answer.asked != asked:
        raise DuplicateError("the clinic used this request_id for another report")
    return impression_pb2.Impression.FromString(answer.message)


async def _checked(report: Report, text: str, finish: str) -> dict[str, Notice]:
    if len(report.findings) + len(text) < _LONG:
        return annotate(report, text, finish)
    # In a thread, so that a long report holds up no other request.
    return await asyncio.to_thread(annotate, report, text, finish)


async def _distinct(
    requests: AsyncIterator[impression_pb2.BatchImpressionsRequest],
) -> AsyncGenerator[impression_pb2.BatchImpressionsRequest, None]:
    """The requests of a batch.

    Raises:
        InputError: a request_id is empty, or stands twice.
    """
    # Digests of 8 bytes: a batch may be without end.
    seen: set[bytes] = set()
    async for request in requests:
        name = blake2b(request.request_id.encode(), digest_size=8).digest()
        if not request.request_id or name in seen:
            raise InputError("request_id", "stands twice in the batch" if request.request_id else "is empty")
        seen.add(name)
        yield request


def _note(who: impression_pb2.Provenance) -> None:
    log.note(adapter=f"{who.adapter}@{who.version}", table=who.route_table)
