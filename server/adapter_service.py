"""AdapterService: registers adapters, makes route tables, and tells what came of them."""

# Names and arguments are those of the stubs.
# ruff: noqa: ARG002, N802

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from radimpress.reports.errors import InputError, UnavailableError
from radimpress.reports.report import Report, parse_modality
from radimpress.server.evaluation import Evaluator
from radimpress.server.messages import (
    adapter_message,
    change_message,
    event_message,
    provenance,
    quality_message,
    table_message,
    trial_plan_of,
)
from radimpress.server.parts import Parts
from radimpress.server.rollout.plan import changes
from radimpress.server.routes import AdapterVersion, RouteTable, explain, route
from radimpress.server.security.caller import current_caller
from radimpress.v1 import adapter_pb2, adapter_pb2_grpc

T = TypeVar("T")
_PAGE = 50
_PAGE_MAX = 500


class AdapterService(adapter_pb2_grpc.AdapterServiceServicer):
    """Thin over `Registry`; every rule is there or in rollout/plan.py. Errors become codes at the door."""

    def __init__(self, parts: Parts, evaluator: Evaluator) -> None:
        self._parts = parts
        self._registry = parts.registry
        self._evaluator = evaluator

    async def RegisterAdapter(
        self, request: adapter_pb2.RegisterAdapterRequest, context: Any
    ) -> adapter_pb2.RegisterAdapterResponse:
        """See adapter.proto."""
        base = self._parts.engine.base_digest
        made = await asyncio.to_thread(self._registry.register, request.path, base, actor=_subject())
        self._parts.audited("RegisterAdapter", digest=made.digest)
        return adapter_pb2.RegisterAdapterResponse(adapter=adapter_message(made))

    async def GetAdapter(self, request: adapter_pb2.GetAdapterRequest, context: Any) -> adapter_pb2.GetAdapterResponse:
        """See adapter.proto."""
        return adapter_pb2.GetAdapterResponse(adapter=adapter_message(await self._adapter(request)))

    async def ListAdapters(
        self, request: adapter_pb2.ListAdaptersRequest, context: Any
    ) -> adapter_pb2.ListAdaptersResponse:
        """See adapter.proto."""
        page, token = await _page(self._registry.adapters, request)
        return adapter_pb2.ListAdaptersResponse(adapters=map(adapter_message, page), next_page_token=token)

    async def VerifyAdapter(
        self, request: adapter_pb2.VerifyAdapterRequest, context: Any
    ) -> adapter_pb2.VerifyAdapterResponse:
        """See adapter.proto."""
        found = await self._adapter(request)
        await asyncio.to_thread(self._registry.verify, found)
        return adapter_pb2.VerifyAdapterResponse(adapter=adapter_message(found))

    async def RetireAdapter(
        self, request: adapter_pb2.RetireAdapterRequest, context: Any
    ) -> adapter_pb2.RetireAdapterResponse:
        """See adapter.proto."""
        if request.version < 1:
            raise InputError("version", "must be stated: what is retired stays so")
        found = await self._adapter(request)
        made = await asyncio.to_thread(self._registry.retire, found, actor=_subject())
        self._parts.audited("RetireAdapter", digest=made.digest)
        return adapter_pb2.RetireAdapterResponse(adapter=adapter_message(made))

    async def EvaluateAdapter(
        self, request: adapter_pb2.EvaluateAdapterRequest, context: Any
    ) -> AsyncGenerator[adapter_pb2.EvaluateAdapterResponse, None]:
        """See adapter.proto."""
        found = await self._adapter(request)
        self._parts.audited("EvaluateAdapter", digest=found.digest)
        async with aclosing(self._evaluator.evaluate(found, request.dataset, request.cases)) as events:
            async for event in events:
                if isinstance(event, bytes):
                    yield adapter_pb2.EvaluateAdapterResponse(certificate=event)
                else:
                    progress = adapter_pb2.EvaluationProgress(step=event.step, done=event.done, total=event.total)
                    yield adapter_pb2.EvaluateAdapterResponse(progress=progress)

    async def PromoteAdapter(
        self, request: adapter_pb2.PromoteAdapterRequest, context: Any
    ) -> adapter_pb2.PromoteAdapterResponse:
        """See adapter.proto."""
        trial = trial_plan_of(request.trial) if request.HasField("trial") else None
        found = await self._adapter(request)
        made = await asyncio.to_thread(
            self._registry.preview if request.dry_run else self._registry.promote,
            found,
            request.certificate,
            request.expected_route_table,
            actor=_subject(),
            trial=trial,
        )
        if not request.dry_run:
            self._parts.audited("PromoteAdapter", digest=found.digest, table=made.number)
        response = adapter_pb2.PromoteAdapterResponse(route_table=table_message(made))
        # The promotion was made: that the table before cannot be read now must not say otherwise.
        with suppress(UnavailableError):
            before = await asyncio.to_thread(self._registry.table, made.number - 1)
            response.changes.extend(map(change_message, changes(before, made)))
        return response

    async def EndTrial(self, request: adapter_pb2.EndTrialRequest, context: Any) -> adapter_pb2.EndTrialResponse:
        """See adapter.proto."""
        found = await self._adapter(request)
        expected = request.expected_route_table
        made = await asyncio.to_thread(self._registry.end_trial, found, expected, actor=_subject())
        self._parts.audited("EndTrial", digest=found.digest, table=made.number)
        return adapter_pb2.EndTrialResponse(route_table=table_message(made))

    async def RollbackRouteTable(
        self, request: adapter_pb2.RollbackRouteTableRequest, context: Any
    ) -> adapter_pb2.RollbackRouteTableResponse:
        """See adapter.proto."""
        expected = request.expected_route_table
        made = await asyncio.to_thread(self._registry.rollback, request.number, expected, actor=_subject())
        self._parts.audited("RollbackRouteTable", table=made.number)
        return adapter_pb2.RollbackRouteTableResponse(route_table=table_message(made))

    async def GetRouteTable(
        self, request: adapter_pb2.GetRouteTableRequest, context: Any
    ) -> adapter_pb2.GetRouteTableResponse:
        """See adapter.proto."""
        return adapter_pb2.GetRouteTableResponse(route_table=table_message(await self._table(request.number)))

    async def ListRouteTables(
        self, request: adapter_pb2.ListRouteTablesRequest, context: Any
    ) -> adapter_pb2.ListRouteTablesResponse:
        """See adapter.proto."""
        page, token = await _page(self._registry.tables, request)
        return adapter_pb2.ListRouteTablesResponse(route_tables=map(table_message, page), next_page_token=token)

    async def ExplainRoute(
        self, request: adapter_pb2.ExplainRouteRequest, context: Any
    ) -> adapter_pb2.ExplainRouteResponse:
        """See adapter.proto."""
        current_caller.get().check_clinic(request.clinic)
        if request.findings_length < 0:
            raise InputError("findings_length", f"is {request.findings_length}")
        modality = parse_modality(request.modality)
        report = Report(id=request.request_id, findings="", clinic=request.clinic, modality=modality)
        outside = self._parts.policy.outside_by_length(request.findings_length) if request.findings_length else None
        table = await self._table(request.route_table)
        return adapter_pb2.ExplainRouteResponse(
            provenance=provenance(route(report, table, outside=outside), self._parts.engine),
            steps=explain(report, table, outside=outside),
        )

    async def GetLiveQuality(
        self, request: adapter_pb2.GetLiveQualityRequest, context: Any
    ) -> adapter_pb2.GetLiveQualityResponse:
        """See adapter.proto."""
        rows = await asyncio.to_thread(self._parts.journal.quality, _since(request))
        return adapter_pb2.GetLiveQualityResponse(rows=map(quality_message, rows))

    async def ListEvents(self, request: adapter_pb2.ListEventsRequest, context: Any) -> adapter_pb2.ListEventsResponse:
        """See adapter.proto."""
        page, token = await _page(self._registry.events, request)
        return adapter_pb2.ListEventsResponse(events=map(event_message, page), next_page_token=token)

    async def _adapter(self, request: Any) -> AdapterVersion:
        """The version that a request names."""
        return await asyncio.to_thread(self._registry.adapter, request.name, request.version)

    async def _table(self, number: int) -> RouteTable:
        return await asyncio.to_thread(self._registry.table, number)


async def _page(read: Callable[[int, int], list[T]], request: Any) -> tuple[list[T], str]:
    """A page of newest-first rows, and the next page's token: the offset."""
    token = request.page_token or "0"
    if not (token.isascii() and token.isdecimal()) or len(token) > 9:
        raise InputError("page_token", "is not one that this server gave")
    if request.page_size < 0:
        raise InputError("page_size", f"is {request.page_size}")
    size, offset = min(request.page_size or _PAGE, _PAGE_MAX), int(token)
    rows = await asyncio.to_thread(read, offset, size + 1)
    return rows[:size], str(offset + size) if len(rows) > size else ""


def _since(request: adapter_pb2.GetLiveQualityRequest) -> datetime | None:
    if not request.HasField("since"):
        return None
    try:
        return request.since.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InputError("since", "is no time between the years 1 and 9999") from None


def _subject() -> str:
    """Who asks, as events and the audit trail name them."""
    return current_caller.get().subject
