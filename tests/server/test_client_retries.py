"""What the clients try again, beside servers that say what they are told, and servers that come and go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from radimpress.server.client import Client
from radimpress.server.client_async import AsyncClient
from radimpress.server.client_errors import ClientError, OverloadedError, UnavailableError
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.trainer.bundle import AdapterBundle
from radimpress.v1 import impression_pb2
from tests.server.conftest import FAKE_BASE, FINDINGS, Site

SERVICE = "radimpress.v1.ImpressionService"
Code = grpc.StatusCode


@contextmanager
def scripted(*codes: grpc.StatusCode, pushback: str = "1", started: bool = False) -> Iterator[tuple[str, list[str]]]:
    """A server that ends its calls with these codes, one each, and then answers; its address, and what it was asked.

    Args:
        codes: in order.
        pushback: milliseconds after which it wants to be asked again.
        started: whether a stream says who writes before it ends so.
    """
    asked: list[str] = []
    left = list(codes)

    def end(context: Any) -> None:
        if left:
            context.set_trailing_metadata((("grpc-retry-pushback-ms", pushback),))
            context.abort(left.pop(0), "as told")

    def generate(request: Any, context: Any) -> Any:
        asked.append(request.request_id)
        end(context)
        impression = impression_pb2.Impression(request_id=request.request_id, text="Written.")
        return impression_pb2.GenerateImpressionResponse(impression=impression)

    def stream(request: Any, context: Any) -> Iterator[Any]:
        asked.append(request.request_id)
        if started:
            yield impression_pb2.StreamImpressionResponse(started=impression_pb2.Provenance(adapter="base"))
        end(context)
        yield impression_pb2.StreamImpressionResponse(completed=impression_pb2.Impression(text="Written."))

    handlers = {
        "GenerateImpression": grpc.unary_unary_rpc_method_handler(
            generate,
            impression_pb2.GenerateImpressionRequest.FromString,
            impression_pb2.GenerateImpressionResponse.SerializeToString,
        ),
        "StreamImpression": grpc.unary_stream_rpc_method_handler(
            stream,
            impression_pb2.StreamImpressionRequest.FromString,
            impression_pb2.StreamImpressionResponse.SerializeToString,
        ),
    }
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", asked
    finally:
        server.stop(None).wait()


def blocking(address: str) -> impression_pb2.Impression:
    """Asks once, as a blocking client."""
    with Client(address) as client:
        return client.generate(findings=FINDINGS)


def awaited(address: str) -> impression_pb2.Impression:
    """Asks once, as an async client."""

    async def run() -> impression_pb2.Impression:
        async with AsyncClient(address) as client:
            return await client.generate(findings=FINDINGS)

    return asyncio.run(run())


ASKS = pytest.mark.parametrize("ask", [blocking, awaited])
Ask = Callable[[str], impression_pb2.Impression]


@ASKS
@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED])
def test_what_may_be_tried_again_is_tried_again_as_the_same_request(ask: Ask, code: grpc.StatusCode) -> None:
    with scripted(code, code) as (address, asked):
        answer = ask(address)
    assert answer.text == "Written."
    assert asked == [answer.request_id] * 3


@ASKS
def test_after_five_tries_the_error_is_told(ask: Ask) -> None:
    with scripted(*[Code.UNAVAILABLE] * 6) as (address, asked), pytest.raises(UnavailableError, match="as told"):
        ask(address)
    assert len(asked) == 5


@ASKS
@pytest.mark.parametrize("code", [Code.INVALID_ARGUMENT, Code.INTERNAL, Code.ABORTED, Code.DATA_LOSS])
def test_what_cannot_be_helped_is_not_tried_again(ask: Ask, code: grpc.StatusCode) -> None:
    with scripted(code) as (address, asked), pytest.raises(ClientError) as caught:
        ask(address)
    assert caught.value.code is code
    assert len(asked) == 1


def test_it_waits_as_long_as_the_server_says() -> None:
    with scripted(Code.RESOURCE_EXHAUSTED, pushback="700") as (address, asked):
        began = time.monotonic()
        assert blocking(address).text
    assert time.monotonic() - began > 0.65
    assert len(asked) == 2


def test_a_server_that_wants_no_second_try_gets_none() -> None:
    with scripted(Code.RESOURCE_EXHAUSTED, pushback="-1") as (address, asked), pytest.raises(OverloadedError):
        blocking(address)
    assert len(asked) == 1


def test_a_stream_is_tried_again_before_its_first_word_and_never_after() -> None:
    with scripted(Code.UNAVAILABLE) as (address, asked), Client(address) as client:
        events = list(client.stream(findings=FINDINGS))
    assert events[-1].completed.text == "Written."
    assert len(asked) == 2
    events = []
    with scripted(Code.UNAVAILABLE, started=True) as (address, asked), Client(address) as client:
        with pytest.raises(UnavailableError):
            events.extend(client.stream(findings=FINDINGS))
        assert client.generate(findings=FINDINGS, request_id=asked[0]).text == "Written."
    assert [event.HasField("started") for event in events] == [True]
    assert asked == [asked[0]] * 2


def test_a_server_that_restarts_answers_the_call_that_met_it_down(site: Site) -> None:
    with site.serving() as address, Client(address) as client:
        client.generate(findings=FINDINGS)
    with Client(address) as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.generate, findings=FINDINGS, request_id="mine")
        time.sleep(0.5)
        assert not waiting.done()
        with site.serving(listen=address):
            assert waiting.result(20).request_id == "mine"


def test_one_client_outlives_its_servers_restart(site: Site) -> None:
    with site.serving() as address:
        client = Client(address)
        assert client.generate(findings=FINDINGS).text
    with site.serving(listen=address):
        assert client.generate(findings=FINDINGS).text
    client.close()


class Counted(FakeEngine):
    """Counts what it was asked."""

    asked = 0

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """As the fake engine."""
        self.asked += 1
        async for piece in super().generate(prompt, adapter, limits):
            yield piece


def test_several_servers_share_the_requests(site: Site) -> None:
    engines = Counted(FAKE_BASE), Counted(FAKE_BASE)
    with site.serving(engines[0]) as one, site.serving(engines[1]) as other, Client([one, other]) as client:
        until = time.monotonic() + 10
        # The first requests may all go to the server that was reached first.
        while min(engine.asked for engine in engines) < 5 and time.monotonic() < until:
            client.generate(findings=FINDINGS)
    assert min(engine.asked for engine in engines) >= 5


def test_no_request_is_lost_with_one_of_several_servers(site: Site) -> None:
    engines = Counted(FAKE_BASE, delay=0.01), Counted(FAKE_BASE, delay=0.01)
    with site.serving(engines[0]) as staying, ThreadPoolExecutor(4) as pool:
        with site.serving(engines[1], drain_seconds=0.0) as leaving:
            client = Client([staying, leaving])
            going = [pool.submit(client.generate, findings=FINDINGS, request_id=f"r{number}") for number in range(60)]
            while engines[1].asked < 5:
                time.sleep(0.01)
        assert [answer.result(20).request_id for answer in going] == [f"r{number}" for number in range(60)]
        client.close()
    assert engines[1].asked < 60
