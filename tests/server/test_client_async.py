from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import grpc
import pytest

from radimpress.server.client_async import AsyncClient
from radimpress.server.client_errors import DeadlineExceededError, InvalidRequestError, failure_error
from radimpress.server.engines.fake import FakeEngine
from radimpress.v1 import impression_pb2
from tests.server.conftest import CT_LIST, FAKE_BASE, FINDINGS, Site
from tests.server.test_client import Watched, asked

T = TypeVar("T")


def using(address: str, use: Callable[[AsyncClient], Awaitable[T]], timeout: float = 60.0) -> T:
    """Runs `use` with a client."""

    async def run() -> T:
        async with AsyncClient(address, timeout=timeout) as client:
            return await use(client)

    return asyncio.run(run())


def test_an_answer_carries_text_and_who_wrote_it(site: Site) -> None:
    adapter = site.promote(site.first, CT_LIST)
    with site.serving() as address:
        answer = using(
            address, lambda client: client.generate(findings=FINDINGS, modality="CT", clinic="alder", request_id="mine")
        )
    assert (answer.request_id, answer.text) == ("mine", f"Fake impression by {adapter.digest}.")


def test_a_stream_ends_with_the_whole(site: Site) -> None:
    async def use(client: AsyncClient) -> list[impression_pb2.StreamImpressionResponse]:
        return [event async for event in client.stream(findings=FINDINGS)]

    with site.serving() as address:
        events = using(address, use)
    assert events[0].HasField("started")
    assert "".join(event.piece for event in events) == events[-1].completed.text


def test_a_stream_that_is_left_ends_the_request(site: Site) -> None:
    async def use(client: AsyncClient) -> None:
        async with aclosing(client.stream(findings=FINDINGS)) as events:
            async for event in events:
                if event.HasField("piece"):
                    break

    engine = Watched(FAKE_BASE, delay=0.2)
    with site.serving(engine) as address:
        using(address, use)
    assert engine.left


def test_a_task_that_is_cancelled_ends_the_request(site: Site) -> None:
    async def use(client: AsyncClient) -> None:
        task = asyncio.create_task(client.generate(findings=FINDINGS))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    engine = Watched(FAKE_BASE, delay=0.2)
    with site.serving(engine) as address:
        using(address, use)
    assert engine.left


@pytest.mark.parametrize("awaited", [False, True])
def test_a_batch_reads_lists_and_async_generators(site: Site, awaited: bool) -> None:
    requests = [asked(f"r{number}", "" if number == 3 else f"{FINDINGS} Case {number}.") for number in range(8)]

    async def given() -> AsyncGenerator[impression_pb2.BatchImpressionsRequest, None]:
        for request in requests:
            await asyncio.sleep(0)
            yield request

    async def use(client: AsyncClient) -> dict[str, impression_pb2.BatchImpressionsResponse]:
        return {answer.request_id: answer async for answer in client.batch(given() if awaited else requests)}

    with site.serving() as address:
        answers = using(address, use)
    assert set(answers) == {f"r{number}" for number in range(8)}
    assert isinstance(failure_error(answers["r3"].failure), InvalidRequestError)


def test_what_the_requests_of_a_batch_raise_is_raised_after_the_answers(site: Site) -> None:
    answers = []

    async def given() -> AsyncGenerator[impression_pb2.BatchImpressionsRequest, None]:
        yield asked("r1")
        raise OSError("the worklist is gone")

    async def use(client: AsyncClient) -> None:
        async for answer in client.batch(given()):
            answers.append(answer.request_id)

    with site.serving() as address, pytest.raises(OSError, match="the worklist is gone"):
        using(address, use)
    assert answers == ["r1"]


def test_a_signed_text_comes_back_with_its_distance(site: Site) -> None:
    async def use(client: AsyncClient) -> impression_pb2.RecordFinalImpressionResponse:
        answer = await client.generate(findings=FINDINGS, clinic="alder", request_id="mine")
        return await client.record_final(
            findings=FINDINGS, clinic="alder", request_id="mine", final_impression=answer.text
        )

    with site.serving() as address:
        assert using(address, use).rouge_l == 1.0


def test_a_field_at_fault_is_named(site: Site) -> None:
    with site.serving() as address, pytest.raises(InvalidRequestError) as caught:
        using(address, lambda client: client.generate(findings=""))
    assert (caught.value.code, list(caught.value.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["findings"])
    assert caught.value.reason == "FINDINGS_INVALID"


def test_its_timeout_is_the_deadline(site: Site) -> None:
    with site.serving(FakeEngine(FAKE_BASE, delay=0.5)) as address, pytest.raises(DeadlineExceededError):
        using(address, lambda client: client.generate(findings=FINDINGS), timeout=0.2)


def test_many_requests_run_at_once(site: Site) -> None:
    async def use(client: AsyncClient) -> list[impression_pb2.Impression]:
        return await asyncio.gather(
            *(client.generate(findings=FINDINGS, request_id=f"r{number}") for number in range(50))
        )

    with site.serving() as address:
        assert [answer.request_id for answer in using(address, use)] == [f"r{number}" for number in range(50)]
