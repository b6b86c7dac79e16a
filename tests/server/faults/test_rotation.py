"""Certificate files that are exchanged under a running server: no stop, and no moment without a valid pair."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from radimpress.v1 import impression_pb2, impression_pb2_grpc
from tests.server.conftest import FINDINGS, Site
from tests.server.pki import Authority
from tests.server.processes import code_of

_REPORT = impression_pb2.ReportInput(findings=FINDINGS, modality="CT", clinic="alder")


@contextmanager
def _channel(address: str, roots: bytes) -> Iterator[grpc.Channel]:
    # Without a pool of its own a new channel would take over the connection of the one before.
    credentials = grpc.ssl_channel_credentials(roots)
    with grpc.secure_channel(address, credentials, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel


def _ask(channel: grpc.Channel) -> str:
    stub = impression_pb2_grpc.ImpressionServiceStub(channel)
    request = impression_pb2.GenerateImpressionRequest(report=_REPORT)
    return stub.GenerateImpression(request, timeout=5).impression.text


def _opens(address: str, roots: bytes) -> bool:
    """Whether a new connection with these roots is answered."""
    with _channel(address, roots) as channel:
        code = grpc.StatusCode.OK
        try:
            _ask(channel)
        except grpc.RpcError as error:
            code = code_of(error)
    assert code in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    return code is grpc.StatusCode.OK


def _wait_until_opens(address: str, roots: bytes, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not _opens(address, roots):
        assert time.monotonic() < until, "the new certificate was never shown"
        time.sleep(0.1)


def test_new_certificate_files_are_shown_without_a_stop(site: Site, tmp_path: Path) -> None:
    old, new = Authority(), Authority()
    certificate, key = old.issue("localhost").write(tmp_path, "server")
    stop = threading.Event()
    answered, failed = list[str](), list[grpc.RpcError]()

    def ask_on(channel: grpc.Channel) -> None:
        while not stop.is_set():
            try:
                answered.append(_ask(channel))
            except grpc.RpcError as error:
                failed.append(error)
            time.sleep(0.01)

    with (
        site.serving(tls_certificate=certificate, tls_key=key) as address,
        _channel(address, old.pem) as steady,
    ):
        thread = threading.Thread(target=ask_on, args=(steady,))
        thread.start()
        try:
            assert _opens(address, old.pem)
            assert not _opens(address, new.pem)
            # One file after the other, as a person or a script would: between the two they do not fit.
            pair = new.issue("localhost")
            certificate.write_bytes(pair.certificate)
            time.sleep(0.5)
            assert _opens(address, old.pem)
            key.write_bytes(pair.key)
            _wait_until_opens(address, new.pem)
            assert not _opens(address, old.pem)
        finally:
            stop.set()
            thread.join(30)
    # Whoever was connected before never noticed.
    assert not failed
    assert len(answered) > 10


@pytest.mark.parametrize("text", [b"", b"not a certificate", b"-----BEGIN CERTIFICATE-----\n"])
def test_files_that_are_no_certificate_change_nothing(site: Site, tmp_path: Path, text: bytes) -> None:
    authority = Authority()
    certificate, key = authority.issue("localhost").write(tmp_path, "server")
    right = certificate.read_bytes()
    with site.serving(tls_certificate=certificate, tls_key=key) as address:
        assert _opens(address, authority.pem)
        certificate.write_bytes(text)
        for _ in range(3):
            time.sleep(0.3)
            assert _opens(address, authority.pem)
        certificate.write_bytes(right)
        assert _opens(address, authority.pem)
