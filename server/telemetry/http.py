"""/metrics, /livez and /readyz over plain HTTP, for Prometheus and for whoever starts and stops servers.

It runs on the server's own event loop: /livez answers only while that turns. Nothing it says is secret,
and nothing can be changed by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from radimpress.reports.errors import ConfigError
from radimpress.server.telemetry.metrics import Metrics

_PATIENCE = 5.0
_HEAD_MAX = 8192


@asynccontextmanager
async def exposing(
    listen: str, metrics: Metrics, alive: Callable[[], bool], missing: Callable[[], str]
) -> AsyncIterator[str]:
    """Answers until the block ends; gives the address, with the port that was taken.

    /metrics is Prometheus' text format; /livez is 200 while `alive()` holds, /readyz while `missing()` is
    empty, else 503; /readyz then says what is missing.

    Args:
        listen: host:port; port 0 takes a free one.
        metrics: to show.
        alive: whether the server needs not be started again.
        missing: why no requests should be sent here; empty where they should.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    talks: set[asyncio.Task[None]] = set()

    async def answer(path: bytes) -> tuple[HTTPStatus, str, bytes]:
        if path == b"/metrics":
            # In a thread, so that many series hold up no request.
            return HTTPStatus.OK, CONTENT_TYPE_PLAIN_0_0_4, await asyncio.to_thread(generate_latest, metrics.registry)
        if path == b"/livez":
            return _said(HTTPStatus.OK if alive() else HTTPStatus.SERVICE_UNAVAILABLE)
        if path == b"/readyz":
            why = missing()
            return _said(HTTPStatus.SERVICE_UNAVAILABLE if why else HTTPStatus.OK, why)
        return _said(HTTPStatus.NOT_FOUND)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever hangs up, is slow or says something else than HTTP is let go without a word.
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            try:
                async with asyncio.timeout(_PATIENCE):
                    method, path = _asked(await reader.readuntil(b"\r\n\r\n"))
                    known = method in (b"GET", b"HEAD")
                    status, kind, body = await answer(path) if known else _said(HTTPStatus.METHOD_NOT_ALLOWED)
                    writer.write(_head(status, kind, body) + (b"" if method == b"HEAD" else body))
                    await writer.drain()
            finally:
                writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(talk(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    host, _, port = listen.rpartition(":")
    try:
        server = await asyncio.start_server(connected, host.strip("[]"), int(port), limit=_HEAD_MAX)
    except (OSError, OverflowError, ValueError) as error:
        raise ConfigError(f"cannot listen on {listen} ({type(error).__name__})") from error
    try:
        yield f"{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def _said(status: HTTPStatus, why: str = "") -> tuple[HTTPStatus, str, bytes]:
    return status, "text/plain; charset=utf-8", f"{why or status.phrase}\n".encode()


def _asked(head: bytes) -> tuple[bytes, bytes]:
    """Method and path of a request's head."""
    method, _, rest = head.partition(b" ")
    return method, rest.partition(b" ")[0].partition(b"?")[0]


def _head(status: HTTPStatus, kind: str, body: bytes) -> bytes:
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode()
