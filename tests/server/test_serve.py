"""Listening and assembling: TLS, tokens, ports that are taken, what each setting switches on, starting and stopping."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2

from radimpress.reports.errors import ConfigError, EngineError, NotFoundError, UnavailableError
from radimpress.server import serve, upkeep
from radimpress.server.client import Client
from radimpress.server.client_errors import ClientError, TokenError
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.engines.opening import open_engine
from radimpress.server.registry import Journal, Registry
from radimpress.server.security.caller import Role
from radimpress.server.security.sealing import make_key
from radimpress.server.security.tokens import entry, make_token
from radimpress.server.security.trail import verify
from radimpress.server.serve import serving
from radimpress.server.settings import ServerSettings, load_settings
from radimpress.trainer.bases import base_digest, find_base
from radimpress.trainer.bundle import AdapterBundle
from radimpress.v1 import impression_pb2
from tests.server.conftest import CT_LIST, FAKE_BASE, FINDINGS, Site
from tests.server.peer import Held, Peer, refused, report_input
from tests.server.pki import Authority

ASKED = {"findings": FINDINGS, "modality": "CT", "clinic": "alder"}
# A client tries again until its time is over.
_AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def _port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


def test_over_tls_a_client_that_knows_the_root_is_answered(site: Site, authority: Authority) -> None:
    certificate, key = authority.issue().write(site.root, "server")
    with (
        site.serving(tls_certificate=certificate, tls_key=key) as address,
        Client(address, roots=authority.pem) as client,
    ):
        assert client.generate(**ASKED).text == "Fake impression by base."


def test_over_tls_a_client_in_clear_is_not_answered(site: Site, authority: Authority) -> None:
    certificate, key = authority.issue().write(site.root, "server")
    with site.serving(tls_certificate=certificate, tls_key=key) as address, Client(address, timeout=2) as client:
        with pytest.raises(ClientError) as caught:
            client.generate(**ASKED)
        assert caught.value.code in _AWAY


def test_a_client_that_wants_tls_does_not_speak_in_clear(site: Site, authority: Authority) -> None:
    with site.serving() as address, Client(address, roots=authority.pem, timeout=2) as client:
        with pytest.raises(ClientError) as caught:
            client.generate(**ASKED)
        assert caught.value.code in _AWAY


def test_with_client_roots_only_clients_that_show_a_certificate_are_answered(site: Site, authority: Authority) -> None:
    certificate, key = authority.issue().write(site.root, "server")
    roots = site.root / "roots.pem"
    roots.write_bytes(authority.pem)
    own = authority.issue("his", client=True)
    with site.serving(tls_certificate=certificate, tls_key=key, tls_client_roots=roots) as address:
        with Client(address, roots=authority.pem, certificate=own.certificate, key=own.key) as client:
            assert client.generate(**ASKED).text
        with Client(address, roots=authority.pem, timeout=2) as client, pytest.raises(ClientError):
            client.generate(**ASKED)


@pytest.mark.parametrize(("text", "error"), [(None, NotFoundError), ("not a certificate", ConfigError)])
def test_a_certificate_that_cannot_be_used_ends_the_start(
    site: Site, tmp_path: Path, text: str | None, error: type[Exception]
) -> None:
    file = tmp_path / "pem"
    if text is not None:
        file.write_text(text, "utf-8")
    with pytest.raises(error), site.serving(tls_certificate=file, tls_key=file):
        pass


def test_with_tokens_only_those_who_show_one_are_answered(site: Site) -> None:
    token, digest = make_token()
    file = site.root / "tokens.toml"
    file.write_text(entry(digest, "ris-alder", Role.CLINIC, ["alder"]), "utf-8")
    with site.serving(tokens=file) as address:
        with Client(address, token=token) as client:
            assert client.generate(**ASKED).text
        with Client(address) as client, pytest.raises(TokenError):
            client.generate(**ASKED)


@pytest.mark.parametrize("setting", ["tokens", "feedback_keys", "jwks"])
def test_a_file_that_is_not_there_ends_the_start(site: Site, tmp_path: Path, setting: str) -> None:
    missing = tmp_path / "missing"
    settings: dict[str, dict[str, Any]] = {
        "tokens": {"tokens": missing},
        "feedback_keys": {"feedback_keys": (missing,)},
        "jwks": {"jwks": str(missing), "jwt_audience": "radimpress", "jwt_issuer": "them"},
    }
    with pytest.raises((NotFoundError, ConfigError)), site.serving(**settings[setting]):
        pass


def test_a_caller_who_asks_too_often_is_told_when_to_come_again(site: Site) -> None:
    with site.serving(rate_per_second=0.1, rate_burst=2) as address, Peer(address) as peer:
        for _ in range(2):
            peer.generate()
        with pytest.raises(grpc.RpcError) as caught:
            peer.generate()
        refused(grpc.StatusCode.RESOURCE_EXHAUSTED, caught)


def test_a_message_that_is_too_large_is_refused(site: Site) -> None:
    with site.serving(message_bytes=1 << 14) as address, Peer(address) as peer:
        with pytest.raises(grpc.RpcError) as caught:
            peer.generate(findings="x" * (1 << 14))
        refused(grpc.StatusCode.RESOURCE_EXHAUSTED, caught)
        assert peer.generate(findings="x" * (1 << 13)).text


def test_every_answer_has_its_line_in_the_audit_trail(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    folder = site.root / "audit"
    with site.serving(audit=folder, server_name="one") as address, Peer(address) as peer:
        peer.generate("a", modality="CT", clinic="alder")
        peer.generate("a", modality="CT", clinic="alder")
        peer.stream("b", modality="CT", clinic="alder")
        peer.batch(c={"modality": "CT", "clinic": "alder"})
        peer.sign("a", "Intact.", modality="CT", clinic="alder")
        peer.register(site.path(site.second))
    lines = [json.loads(line) for line in (folder / "one.jsonl").read_text("utf-8").splitlines()]
    assert verify(folder / "one.jsonl").lines == len(lines) == 6
    assert [(line["action"], line["request_id"]) for line in lines] == [
        ("GenerateImpression", "a"),
        ("GenerateImpression", "a"),
        ("StreamImpression", "b"),
        ("BatchImpressions", "c"),
        ("RecordFinalImpression", "a"),
        ("RegisterAdapter", ""),
    ]
    assert {(line["digest"], line["table"]) for line in lines[:5]} == {(site.first.digest, 2)}
    assert lines[5]["digest"] == site.second.digest


@pytest.mark.parametrize("ending", ["left", "failed"])
def test_a_stream_that_ended_after_text_had_gone_out_has_its_line_in_the_audit_trail(site: Site, ending: str) -> None:
    class Ending(Held):
        async def generate(
            self, prompt: str, adapter: AdapterBundle | None, limits: Limits
        ) -> AsyncGenerator[Piece, None]:
            async for piece in super().generate(prompt, adapter, limits):
                yield piece
                if ending == "failed":
                    raise EngineError("the engine failed")

    site.promote(site.first, CT_LIST)
    engine, folder = Ending(), site.root / "audit"
    request = impression_pb2.StreamImpressionRequest(request_id="a", report=report_input(modality="CT", clinic="alder"))
    with site.serving(engine, audit=folder, server_name="one") as address, Peer(address) as peer:
        stream: Any = peer.impressions.StreamImpression(request, timeout=60)
        assert next(stream).started.digest == site.first.digest
        assert next(stream).piece
        if ending == "left":
            stream.cancel()
        else:
            with pytest.raises(grpc.RpcError):
                next(stream)
        until = time.monotonic() + 10
        while not engine.ended or not (folder / "one.jsonl").stat().st_size:
            assert time.monotonic() < until
            time.sleep(0.01)
    (line,) = (json.loads(line) for line in (folder / "one.jsonl").read_text("utf-8").splitlines())
    assert (line["action"], line["request_id"], line["digest"], line["table"]) == (
        "StreamImpression",
        "a",
        site.first.digest,
        2,
    )
    assert line["outcome"] == {"left": "CANCELLED", "failed": "INTERNAL"}[ending]


def test_with_a_key_no_text_lies_open_in_the_registry(site: Site) -> None:
    key = site.root / "seal.key"
    key.write_text(make_key(), "utf-8")
    secret = "The very secret words of a radiologist."
    with site.serving(feedback_keys=(key,)) as address, Peer(address) as peer:
        before = peer.generate("a", modality="CT", clinic="alder", indication=secret)
        peer.sign("a", secret, modality="CT", clinic="alder", indication=secret)
        assert peer.generate("a", modality="CT", clinic="alder", indication=secret) == before
    for path in site.root.glob("registry.db*"):
        assert secret.encode() not in path.read_bytes()
        assert b"Fake impression" not in path.read_bytes()


def test_metrics_and_readiness_are_shown_over_http(site: Site) -> None:
    where = f"127.0.0.1:{_port()}"
    site.promote(site.first, CT_LIST)
    with site.serving(metrics_listen=where) as address, Peer(address) as peer:
        peer.generate(modality="CT", clinic="alder")
        said = urllib.request.urlopen(f"http://{where}/metrics", timeout=10).read().decode()
        assert urllib.request.urlopen(f"http://{where}/readyz", timeout=10).status == 200
    assert 'radimpress_answers_total{adapter="unified@1",arm="incumbent",cluster="list"' in said
    assert "radimpress_route_table 2.0" in said
    assert "radimpress_running_requests 0.0" in said


def test_upkeep_that_fails_is_told_without_a_word_of_the_error_and_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Forgetful(FakeEngine):
        fails, looks = 0, 0

        def resident(self) -> frozenset[str]:
            self.looks += 1
            if self.fails:
                self.fails -= 1
                raise LookupError("no fracture is seen")
            return super().resident()

    monkeypatch.setattr(serve, "_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(upkeep, "_EVERY", 0.01)
    engine = Forgetful(FAKE_BASE)
    with site.serving(engine):
        engine.fails, engine.looks = 3, 0
        until = time.monotonic() + 10
        while engine.looks < 6:
            assert time.monotonic() < until
            time.sleep(0.01)
    told = [line for line in "".join(capsys.readouterr()).splitlines() if "background_failed" in line]
    assert len(told) == 3
    assert all("LookupError" in line and "test_serve.py:" in line and "Upkeep.run" in line for line in told)
    assert not any("fracture" in line for line in told)


def test_old_texts_are_purged_once_an_hour_however_often_upkeep_begins_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    purged = []

    def purge(_: Journal, now: datetime) -> int:
        purged.append(now)
        raise LookupError

    monkeypatch.setattr(serve, "_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(Journal, "purge", purge)
    with site.serving():
        time.sleep(0.5)
    assert len(purged) == 1


def test_a_server_without_reflection_tells_nobody_its_services(site: Site) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with site.serving(reflection=False) as address, Peer(address) as peer:
        with pytest.raises(grpc.RpcError) as caught:
            next(iter(peer.reflection.ServerReflectionInfo(iter([request]), timeout=60)))
        refused(grpc.StatusCode.UNIMPLEMENTED, caught)
        assert peer.generate().text


def test_the_input_policy_is_what_the_settings_say(site: Site) -> None:
    with site.serving(short_findings="refuse") as address, Peer(address) as peer:
        with pytest.raises(grpc.RpcError) as caught:
            peer.generate(findings="Short.")
        refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    site.promote(site.first, CT_LIST)
    with site.serving(short_findings="adapter") as address, Peer(address) as peer:
        who = peer.generate(findings="Short.", modality="CT", clinic="alder").provenance
        assert who.digest == site.first.digest


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
    with Client(address, timeout=2) as client, pytest.raises(ClientError) as caught:
        client.generate(**ASKED)
    assert caught.value.code in _AWAY


def test_the_block_that_fails_still_stops_the_server(site: Site) -> None:
    with pytest.raises(KeyError), site.serving() as address:
        raise KeyError
    with Client(address, timeout=2) as client, pytest.raises(ClientError) as caught:
        client.generate(**ASKED)
    assert caught.value.code in _AWAY


def test_an_end_that_fails_is_not_taken_for_a_good_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    close = Journal.close

    def fails(journal: Journal) -> None:
        close(journal)
        raise UnavailableError("the last answers could not be written")

    monkeypatch.setattr(Journal, "close", fails)
    with pytest.raises(UnavailableError, match="last answers"), site.serving():
        pass


def test_a_registry_serves_again_after_its_server_stopped(site: Site) -> None:
    for _ in range(2):
        with site.serving() as address, Peer(address) as peer:
            assert peer.generate().text


def test_the_fake_engine_is_opened_by_name() -> None:
    assert open_engine(load_settings(engine="fake")).base_name == "fake"


def test_an_unknown_base_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="'nobody' is not in the table"):
        open_engine(load_settings(base="nobody"))


def test_the_engine_that_asks_a_tgi_needs_no_model_in_memory(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radimpress.trainer.fetch.base_folder", lambda base, track: tiny_folder)
    settings = load_settings(engine="tgi", engine_urls=("http://127.0.0.1:1",), engine_token=tmp_path / "token")
    with pytest.raises(NotFoundError, match="token"):
        open_engine(settings)
    (tmp_path / "token").write_text("secret\n", "utf-8")
    engine = open_engine(settings)
    assert (engine.base_name, engine.base_digest) == (settings.base, base_digest(find_base(settings.base), tiny_folder))
    assert not hasattr(engine, "loaded")
