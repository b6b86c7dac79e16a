"""AdapterService: registers adapters and makes route tables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from radimpress.reports.errors import InputError
from radimpress.server.messages import adapter_message, table_message
from radimpress.server.registry import Registry
from radimpress.server.status import boundary
from radimpress.v1 import adapter_pb2, adapter_pb2_grpc

T = TypeVar("T")
_PAGE = 50
_PAGE_MAX = 500


class AdapterService(adapter_pb2_grpc.AdapterServiceServicer):
    """Thin over `Registry`; every rule is there."""

    def __init__(self, registry: Registry, base_digest: str) -> None:
        self._registry = registry
        self._base_digest = base_digest

    async def RegisterAdapter(  # noqa: N802
        self, request: adapter_pb2.RegisterAdapterRequest, context: Any
    ) -> adapter_pb2.RegisterAdapterResponse:
        """See adapter.proto."""
        made = await _ask(context, lambda: self._registry.register(request.path, self._base_digest))
        return adapter_pb2.RegisterAdapterResponse(adapter=adapter_message(made))

    async def GetAdapter(  # noqa: N802
        self, request: adapter_pb2.GetAdapterRequest, context: Any
    ) -> adapter_pb2.GetAdapterResponse:
        """See adapter.proto."""
        found = await _ask(context, lambda: self._registry.adapter(request.name, request.version))
        return adapter_pb2.GetAdapterResponse(adapter=adapter_message(found))

    async def ListAdapters(  # noqa: N802
        self, request: adapter_pb2.ListAdaptersRequest, context: Any
    ) -> adapter_pb2.ListAdaptersResponse:
        """See adapter.proto."""
        page, token = await _ask(context, lambda: _page(self._registry.adapters, request))
        return adapter_pb2.ListAdaptersResponse(adapters=map(adapter_message, page), next_page_token=token)

    async def PromoteAdapter(  # noqa: N802
        self, request: adapter_pb2.PromoteAdapterRequest, context: Any
    ) -> adapter_pb2.PromoteAdapterResponse:
        """See adapter.proto."""
        made = await _ask(
            context,
            lambda: self._registry.promote(
                self._registry.adapter(request.name, request.version),
                request.certificate,
                request.expected_route_table,
            ),
        )
        return adapter_pb2.PromoteAdapterResponse(route_table=table_message(made))

    async def RollbackRouteTable(  # noqa: N802
        self, request: adapter_pb2.RollbackRouteTableRequest, context: Any
    ) -> adapter_pb2.RollbackRouteTableResponse:
        """See adapter.proto."""
        made = await _ask(context, lambda: self._registry.rollback(request.number, request.expected_route_table))
        return adapter_pb2.RollbackRouteTableResponse(route_table=table_message(made))

    async def GetRouteTable(  # noqa: N802
        self, request: adapter_pb2.GetRouteTableRequest, context: Any
    ) -> adapter_pb2.GetRouteTableResponse:
        """See adapter.proto."""
        found = await _ask(context, lambda: self._registry.table(request.number))
        return adapter_pb2.GetRouteTableResponse(route_table=table_message(found))

    async def ListRouteTables(  # noqa: N802
        self, request: adapter_pb2.ListRouteTablesRequest, context: Any
    ) -> adapter_pb2.ListRouteTablesResponse:
        """See adapter.proto."""
        page, token = await _ask(context, lambda: _page(self._registry.tables, request))
        return adapter_pb2.ListRouteTablesResponse(route_tables=map(table_message, page), next_page_token=token)


async def _ask(context: Any, work: Callable[[], T]) -> T:
    """Runs the registry's work on a thread, so that impressions go on meanwhile."""
    async with boundary(context):
        return await asyncio.to_thread(work)
    raise AssertionError("the boundary ends the rpc")


def _page(read: Callable[[int, int], list[T]], request: Any) -> tuple[list[T], str]:
    """A page of newest-first rows, and the next page's token: the offset."""
    token = request.page_token or "0"
    if not token.isdecimal() or len(token) > 9:
        raise InputError("page_token", "is not one that this server gave")
    if request.page_size < 0:
        raise InputError("page_size", f"is {request.page_size}")
    size, offset = min(request.page_size or _PAGE, _PAGE_MAX), int(token)
    rows = read(offset, size + 1)
    return rows[:size], str(offset + size) if len(rows) > size else ""
