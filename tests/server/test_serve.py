"""Listening: TLS, ports that are taken, starting and stopping."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from radimpress.reports.errors import ConfigError, NotFoundError
from radimpress.server.client import Client
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.registry import Registry
from radimpress.server.serve import open_engine, serving
from radimpress.server.settings import ServerSettings, load_settings
from tests.server.conftest import FINDINGS, Site


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of loopback that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = tmp_path / "server.pem", tmp_path / "server.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, secret


def test_over_tls_a_client_that_knows_the_root_is_answered(site: Site, pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    with (
        site.serving(tls_certificate=certificate, tls_key=key) as address,
        Client(address, roots=certificate.read_bytes()) as client,
    ):
        assert client.generate(findings=FINDINGS).text == "Fake impression by base."


def test_over_tls_a_client_in_clear_is_not_answered(site: Site, pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    with site.serving(tls_certificate=certificate, tls_key=key) as address, Client(address) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.generate(findings=FINDINGS)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE


def test_a_client_that_wants_tls_does_not_speak_in_clear(site: Site, pair: tuple[Path, Path]) -> None:
    with site.serving() as address, Client(address, roots=pair[0].read_bytes()) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.generate(findings=FINDINGS)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("text", [None, "not a certificate"])
def test_a_certificate_that_cannot_be_used_is_a_config_error(site: Site, tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "pem"
    if text is not None:
        file.write_text(text, "utf-8")
    with pytest.raises(ConfigError), site.serving(tls_certificate=file, tls_key=file):
        pass


def test_a_port_that_something_else_has_is_a_config_error(site: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match="cannot listen"), site.serving(listen=address):
            pass


def test_a_port_that_another_server_of_ours_has_is_a_config_error(site: Site) -> None:
    with site.serving() as address, pytest.raises(ConfigError, match="cannot listen"), site.serving(listen=address):
        pass


def test_without_a_route_table_nothing_is_served(tmp_path: Path) -> None:
    registry = Registry(f"sqlite:///{tmp_path / 'r.db'}", tmp_path)
    with (
        pytest.raises(NotFoundError, match="adopt clusters first"),
        serving(ServerSettings(listen="127.0.0.1:0", engine="fake"), FakeEngine(), registry),
    ):
        pass
    registry.close()


def test_a_server_that_stopped_answers_nobody(site: Site) -> None:
    with site.serving() as address:
        pass
    with Client(address, timeout=5) as client, pytest.raises(grpc.RpcError):
        client.generate(findings=FINDINGS)


def test_the_block_that_fails_still_stops_the_server(site: Site) -> None:
    with pytest.raises(KeyError), site.serving() as address:
        raise KeyError
    with Client(address, timeout=5) as client, pytest.raises(grpc.RpcError):
        client.generate(findings=FINDINGS)


def test_the_fake_engine_is_opened_by_name() -> None:
    assert open_engine(load_settings(engine="fake")).base_name == "fake"


def test_an_unknown_base_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="'nobody' is not in the table"):
        open_engine(load_settings(base="nobody"))
