"""TLS under grpc.aio, with real certificates that change while the server runs."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from radimpress.reports.errors import ConfigError, NotFoundError
from radimpress.server.security.tls import server_credentials
from tests.server.pki import Authority, Pair

METHOD = "/test.Echo/Echo"


async def _echo(request: bytes, _: Any) -> bytes:
    return request


@asynccontextmanager
async def _server(credentials: grpc.ServerCredentials) -> AsyncIterator[int]:
    server = grpc.aio.server()
    handler = grpc.method_handlers_generic_handler("test.Echo", {"Echo": grpc.unary_unary_rpc_method_handler(_echo)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def _serve(credentials: grpc.ServerCredentials, ask: Callable[[int], Awaitable[None]]) -> None:
    async def main() -> None:
        async with _server(credentials) as port:
            await ask(port)

    asyncio.run(main())


async def _answers(port: int, roots: bytes, pair: Pair | None = None) -> bool:
    """Whether a new connection with these roots, and this client's certificate, is answered."""
    key, certificate = (pair.key, pair.certificate) if pair else (None, None)
    credentials = grpc.ssl_channel_credentials(roots, key, certificate)
    # A subchannel of its own each time: gRPC shares connections between channels that look alike.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
        call = channel.unary_unary(METHOD, None, None)(b"hello", timeout=5)
        code = await call.code()
        assert code in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        return code is grpc.StatusCode.OK


def _shown(port: int) -> int:
    """The serial number of the certificate that the server shows."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain) as secure:
        shown = secure.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def _serial(pair: Pair) -> int:
    return x509.load_pem_x509_certificate(pair.certificate).serial_number


def test_a_client_that_knows_the_root_is_answered_and_no_other(tmp_path: Path) -> None:
    authority = Authority()
    credentials = server_credentials(*authority.issue().write(tmp_path, "server"))

    async def ask(port: int) -> None:
        assert await _answers(port, authority.pem)
        assert not await _answers(port, Authority().pem)

    _serve(credentials, ask)


def test_a_new_certificate_is_shown_from_the_next_connection_on(tmp_path: Path) -> None:
    old, new = Authority(), Authority()
    first, second = old.issue(), new.issue()
    credentials = server_credentials(*first.write(tmp_path, "server"))

    async def ask(port: int) -> None:
        assert await asyncio.to_thread(_shown, port) == _serial(first)
        second.write(tmp_path, "server")
        assert await asyncio.to_thread(_shown, port) == _serial(second)
        assert await _answers(port, new.pem)
        assert not await _answers(port, old.pem)

    _serve(credentials, ask)


def test_a_connection_that_stands_outlives_a_new_certificate(tmp_path: Path) -> None:
    authority = Authority()
    credentials = server_credentials(*authority.issue().write(tmp_path, "server"))

    async def ask(port: int) -> None:
        client = grpc.ssl_channel_credentials(authority.pem)
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", client) as channel:
            call = channel.unary_unary(METHOD, None, None)
            assert await call(b"before", timeout=5) == b"before"
            Authority().issue().write(tmp_path, "server")
            assert await call(b"after", timeout=5) == b"after"

    _serve(credentials, ask)


@pytest.mark.parametrize("spoil", ["certificate alone", "key alone", "no certificate", "gone"])
def test_files_that_do_not_fit_are_told_once_and_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: str
) -> None:
    authority = Authority()
    first, second = authority.issue(), authority.issue()
    certificate, key = first.write(tmp_path, "server")
    credentials = server_credentials(certificate, key)

    async def ask(port: int) -> None:
        assert await asyncio.to_thread(_shown, port) == _serial(first)
        if spoil == "certificate alone":
            certificate.write_bytes(second.certificate)
        elif spoil == "key alone":
            key.write_bytes(second.key)
        elif spoil == "no certificate":
            certificate.write_text("not a certificate", "utf-8")
        else:
            certificate.unlink()
        for _ in range(3):
            assert await asyncio.to_thread(_shown, port) == _serial(first)
        assert await _answers(port, authority.pem)
        # Once both are there, they count.
        second.write(tmp_path, "server")
        assert await asyncio.to_thread(_shown, port) == _serial(second)

    _serve(credentials, ask)
    assert "".join(capsys.readouterr()).count("tls_not_read") == 1


def test_with_client_roots_a_client_must_show_a_certificate_of_theirs(tmp_path: Path) -> None:
    authority, clients, strangers = Authority(), Authority("clients"), Authority("strangers")
    roots = tmp_path / "clients.pem"
    roots.write_bytes(clients.pem)
    credentials = server_credentials(*authority.issue().write(tmp_path, "server"), roots)

    async def ask(port: int) -> None:
        assert await _answers(port, authority.pem, clients.issue("ris-alder", client=True))
        assert not await _answers(port, authority.pem)
        assert not await _answers(port, authority.pem, strangers.issue("ris-alder", client=True))
        assert not await _answers(port, authority.pem, clients.issue("ris-alder", client=True, days=-1))

    _serve(credentials, ask)


def test_new_client_roots_count_from_the_next_connection_on(tmp_path: Path) -> None:
    authority, old, new = Authority(), Authority("old"), Authority("new")
    roots = tmp_path / "clients.pem"
    roots.write_bytes(old.pem)
    credentials = server_credentials(*authority.issue().write(tmp_path, "server"), roots)
    before, after = old.issue("ris", client=True), new.issue("ris", client=True)

    async def ask(port: int) -> None:
        assert await _answers(port, authority.pem, before)
        assert not await _answers(port, authority.pem, after)
        roots.write_bytes(new.pem)
        assert await _answers(port, authority.pem, after)
        assert not await _answers(port, authority.pem, before)

    _serve(credentials, ask)


@pytest.mark.parametrize("which", ["certificate", "key", "roots"])
def test_files_that_cannot_be_used_are_refused_at_the_start(tmp_path: Path, which: str) -> None:
    authority = Authority()
    certificate, key = authority.issue().write(tmp_path, "server")
    roots = tmp_path / "roots.pem"
    roots.write_bytes(authority.pem)
    {"certificate": certificate, "key": key, "roots": roots}[which].write_text("not PEM", "utf-8")
    with pytest.raises(ConfigError, match="PEM"):
        server_credentials(certificate, key, roots)


def test_a_key_of_another_certificate_is_refused_at_the_start(tmp_path: Path) -> None:
    authority = Authority()
    certificate, _ = authority.issue().write(tmp_path, "server")
    _, key = authority.issue().write(tmp_path, "other")
    with pytest.raises(ConfigError, match="is not the key of"):
        server_credentials(certificate, key)


def test_files_that_are_not_there_are_not_found(tmp_path: Path) -> None:
    certificate, key = Authority().issue().write(tmp_path, "server")
    with pytest.raises(NotFoundError):
        server_credentials(certificate, tmp_path / "nothing")
    with pytest.raises(NotFoundError):
        server_credentials(certificate, key, tmp_path / "nothing")
