from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from radimpress.reports.errors import ConfigError
from radimpress.server.telemetry import Metrics, exposing
from radimpress.server.telemetry import http as subject

Ask = Callable[[bytes], Awaitable[tuple[int, bytes]]]


def talking(
    talk: Callable[[Ask], Awaitable[None]],
    metrics: Metrics,
    alive: Callable[[], bool] = lambda: True,
    missing: Callable[[], str] = lambda: "",
) -> None:
    """Runs `talk` with a function that sends bytes on a connection of their own and gives status and body."""

    async def run() -> None:
        async with exposing("127.0.0.1:0", metrics, alive, missing) as address:
            host, _, port = address.rpartition(":")

            async def ask(request: bytes) -> tuple[int, bytes]:
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(request)
                try:
                    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
                except ConnectionError:
                    head, body = b"", b""
                writer.close()
                return int(head.split(b" ")[1]) if head else 0, body

            await talk(ask)

    asyncio.run(run())


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()


def test_metrics_are_what_prometheus_reads() -> None:
    metrics = Metrics()
    metrics.table(7)

    async def talk(ask: Ask) -> None:
        status, body = await ask(get("/metrics?x=1"))
        assert status == 200
        values = {
            one.name: one.value for family in text_string_to_metric_families(body.decode()) for one in family.samples
        }
        assert values["radimpress_route_table"] == 7
        assert values["process_resident_memory_bytes"] > 0

    talking(talk, metrics)


def test_no_series_says_when_another_began() -> None:
    metrics = Metrics()
    metrics.shadow_dropped()

    async def talk(ask: Ask) -> None:
        _, body = await ask(get("/metrics"))
        assert b"radimpress_shadows_dropped_total 1.0" in body
        assert b"_created" not in body

    talking(talk, metrics)


def test_readiness_is_asked_anew_each_time_and_liveness_is_not_readiness() -> None:
    missing, alive = "the registry cannot be reached", True

    async def talk(ask: Ask) -> None:
        nonlocal missing, alive
        assert await ask(get("/readyz")) == (503, b"the registry cannot be reached\n")
        assert (await ask(get("/livez")))[0] == 200
        missing = ""
        assert (await ask(get("/readyz")))[0] == 200
        alive = False
        assert (await ask(get("/livez")))[0] == 503

    talking(talk, Metrics(), lambda: alive, lambda: missing)


@pytest.mark.parametrize(
    ("request_", "status"),
    [(get("/"), 404), (get("/metrics", "POST"), 405), (get("/livez", "HEAD"), 200), (b"\x16\x03\x01\r\n\r\n", 405)],
)
def test_whatever_is_asked_gets_a_status(request_: bytes, status: int) -> None:
    async def talk(ask: Ask) -> None:
        assert (await ask(request_))[0] == status

    talking(talk, Metrics())


def test_head_has_no_body() -> None:
    async def talk(ask: Ask) -> None:
        assert await ask(get("/metrics", "HEAD")) == (200, b"")

    talking(talk, Metrics())


def test_an_endless_head_is_let_go() -> None:
    async def talk(ask: Ask) -> None:
        assert (await ask(b"GET /livez HTTP/1.1\r\nX: " + b"x" * 20_000))[0] == 0
        assert (await ask(get("/livez")))[0] == 200

    talking(talk, Metrics())


def test_who_says_nothing_holds_nobody_up_and_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_PATIENCE", 0.2)

    async def talk(ask: Ask) -> None:
        silent = asyncio.create_task(asyncio.wait_for(ask(b"GET"), 5))
        assert (await ask(get("/livez")))[0] == 200
        assert (await silent)[0] == 0

    talking(talk, Metrics())


def test_who_still_talks_does_not_hold_up_the_end() -> None:
    async def run() -> None:
        async with exposing("127.0.0.1:0", Metrics(), lambda: True, str) as address:
            host, _, port = address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET")
            await asyncio.sleep(0.05)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()

    asyncio.run(run())


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "192.0.2.1:1"])
def test_an_address_that_cannot_be_listened_on_is_a_setting_at_fault(listen: str) -> None:
    async def run() -> None:
        async with exposing(listen, Metrics(), lambda: True, str):
            pass

    with pytest.raises(ConfigError, match="cannot listen on"):
        asyncio.run(run())
