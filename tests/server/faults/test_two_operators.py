"""Two operators promote at the same moment: one wins, the other is told, and nothing of theirs is mixed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import grpc

from radimpress.clustering.cell import Cell
from radimpress.server.routes import RouteTable
from radimpress.v1 import adapter_pb2, adapter_pb2_grpc
from tests.server.conftest import CT_LIST, MR_LIST, Site, certificate
from tests.server.processes import code_of

_ROUNDS = 10


def test_of_two_that_promote_at_once_one_wins_and_one_is_told(each_site: Site) -> None:
    registry = each_site.registry
    wanted = ((each_site.first, CT_LIST), (each_site.second, MR_LIST))
    adapters = [registry.register(each_site.path(bundle)) for bundle, _ in wanted]
    given = [certificate(adapter, cell) for adapter, (_, cell) in zip(adapters, wanted, strict=True)]
    with each_site.serving() as address, ThreadPoolExecutor(2) as pool, grpc.insecure_channel(address) as channel:
        stub = adapter_pb2_grpc.AdapterServiceStub(channel)
        for _ in range(_ROUNDS):
            before = registry.rollback(1)
            barrier = Barrier(2)

            def promote(at: int, expected: int, barrier: Barrier = barrier) -> grpc.StatusCode:
                request = adapter_pb2.PromoteAdapterRequest(
                    name=adapters[at].name, certificate=given[at], expected_route_table=expected
                )
                barrier.wait(10)
                try:
                    stub.PromoteAdapter(request, timeout=30)
                except grpc.RpcError as error:
                    return code_of(error)
                return grpc.StatusCode.OK

            codes = list(pool.map(promote, (0, 1), (before.number, before.number)))
            assert sorted(code.name for code in codes) == ["ABORTED", "OK"]
            won = codes.index(grpc.StatusCode.OK)
            after = registry.table()
            assert after.number == before.number + 1
            assert _served(after) == {wanted[won][1]: adapters[won].digest}
    registry.check_chain()


def _served(table: RouteTable) -> dict[Cell, str]:
    return {cell: entry.adapter.digest for cell, entry in table.entries.items() if entry.adapter}
