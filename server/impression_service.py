"""ImpressionService: a request's whole path on one screen."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from radimpress.eval.checks import annotate
from radimpress.reports.errors import EngineError, InputError
from radimpress.reports.prompt import Extractor, render
from radimpress.server.engines import Engine, Limits
from radimpress.server.messages import FINISH, provenance, report_of
from radimpress.server.registry import Registry
from radimpress.server.routes import route
from radimpress.server.status import boundary
from radimpress.v1 import impression_pb2, impression_pb2_grpc

_REQUEST_ID_MAX = 128


class ImpressionService(impression_pb2_grpc.ImpressionServiceServicer):
    """Writes impressions.

    Args:
        registry: says who serves.
        engine: writes.
        max_tokens: of an impression.
    """

    def __init__(self, registry: Registry, engine: Engine, max_tokens: int) -> None:
        self._registry = registry
        self._engine = engine
        self._max_tokens = max_tokens

    async def GenerateImpression(  # noqa: N802
        self, request: impression_pb2.GenerateImpressionRequest, context: Any
    ) -> impression_pb2.GenerateImpressionResponse:
        """See impression.proto."""
        response = impression_pb2.GenerateImpressionResponse()
        async with boundary(context), aclosing(self._events(request, context)) as events:
            async for event in events:
                if event.HasField("completed"):
                    response.impression.CopyFrom(event.completed)
        return response

    async def StreamImpression(  # noqa: N802
        self, request: impression_pb2.StreamImpressionRequest, context: Any
    ) -> AsyncGenerator[impression_pb2.StreamImpressionResponse, None]:
        """See impression.proto."""
        async with boundary(context), aclosing(self._events(request, context)) as events:
            async for event in events:
                yield event

    async def _events(
        self, request: impression_pb2.GenerateImpressionRequest | impression_pb2.StreamImpressionRequest, context: Any
    ) -> AsyncGenerator[impression_pb2.StreamImpressionResponse, None]:
        began = time.monotonic()
        if len(request.request_id) > _REQUEST_ID_MAX:
            raise InputError("request_id", f"has more than {_REQUEST_ID_MAX} characters")
        request_id = request.request_id or str(uuid.uuid4())
        report = report_of(request_id, request.report)
        prompt = render(report)
        chosen = route(report, self._registry.table())
        bundle = self._registry.bundle(chosen.adapter) if chosen.adapter else None
        who = provenance(chosen, self._engine)
        yield impression_pb2.StreamImpressionResponse(started=who)

        remaining = context.time_remaining()
        limits = Limits(self._max_tokens, None if remaining is None else began + remaining)
        extractor, text = Extractor(), ""
        async with aclosing(self._engine.generate(prompt, bundle, limits)) as pieces:
            async for piece in pieces:
                certain = extractor.feed(piece.text) + (extractor.finish() if piece.finish else "")
                text += certain
                if certain:
                    yield impression_pb2.StreamImpressionResponse(piece=certain)
        if not text:
            raise EngineError("the model wrote nothing")
        # In a thread, so that a long report holds up no other request.
        noticed = await asyncio.to_thread(annotate, report, text, piece.finish)
        yield impression_pb2.StreamImpressionResponse(
            completed=impression_pb2.Impression(
                request_id=request_id,
                text=text,
                provenance=who,
                finish_reason=FINISH[piece.finish],
                check_findings=[
                    impression_pb2.CheckFinding(check=check, message=notice.message)
                    for check, notice in noticed.items()
                ],
                prompt_tokens=piece.prompt_tokens,
                impression_tokens=piece.tokens,
                latency_micros=round((time.monotonic() - began) * 1e6),
            )
        )
