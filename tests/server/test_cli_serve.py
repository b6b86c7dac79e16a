"""`radimpress serve` and `radimpress generate` as a person meets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from radimpress.server import cli_serve
from radimpress.server.security.caller import Role
from radimpress.server.security.tokens import entry, make_token
from tests.server.commands import Run, at, one_line, run
from tests.server.conftest import CT_LIST, FINDINGS, Site
from tests.server.pki import Authority

__all__ = ["at", "run"]


@pytest.fixture
def findings(tmp_path: Path) -> Path:
    """A file of findings."""
    (tmp_path / "f.txt").write_text(FINDINGS, "utf-8")
    return tmp_path / "f.txt"


def test_serving_in_clear_beyond_loopback_is_refused(run: Run, at: list[object]) -> None:
    one_line(run("serve", "--listen", "0.0.0.0:0", "--engine", "fake", *at), "only over TLS")


def test_serving_beyond_loopback_to_anybody_is_refused(run: Run, at: list[object], tmp_path: Path) -> None:
    certificate, key = Authority().issue().write(tmp_path, "server")
    words = ("serve", "--listen", "0.0.0.0:0", "--engine", "fake", "--tls-certificate", certificate, "--tls-key", key)
    one_line(run(*words, *at), "tokens or jwks")


def test_serving_without_a_route_table_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It could not be undone in the process that runs the tests.
    monkeypatch.setattr(cli_serve, "harden", lambda: None)
    url = f"sqlite:///{tmp_path / 'r.db'}"
    one_line(run("serve", "--listen", "127.0.0.1:0", "--engine", "fake", "--registry", url), "adopt clusters first")


def test_generate_prints_the_impression_and_who_wrote_it(run: Run, site: Site, findings: Path) -> None:
    site.promote(site.first, CT_LIST)
    with site.serving() as address:
        words = ("generate", findings, "--server", address, "--modality", "CT", "--clinic", "alder")
        done, as_json = run(*words), run(*words, "--json")
    assert done.out.endswith(f"Fake impression by {site.first.digest}.\n")
    assert f"unified@1 {site.first.digest}, route table 2" in done.err
    (told,) = as_json.rows
    assert told["provenance"]["digest"] == site.first.digest
    assert told["provenance"]["route_table"] == 2
    assert told["request_id"]


def test_generate_asked_again_by_the_same_request_id_is_answered_as_before(
    run: Run, site: Site, findings: Path
) -> None:
    with site.serving() as address:
        words = ("generate", findings, "--server", address, "--modality", "CT", "--clinic", "alder", "--json")
        first = run(*words, "--request-id", "r1").rows
        site.promote(site.first, CT_LIST)
        assert run(*words, "--request-id", "r1").rows == first


def test_generate_shows_a_token_over_tls_and_what_it_lacks(
    run: Run, site: Site, findings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    certificate, key = authority.issue().write(tmp_path, "server")
    token, digest = make_token()
    (tmp_path / "tokens.toml").write_text(entry(digest, "ris", Role.CLINIC, ["alder"]), "utf-8")
    (tmp_path / "alder.token").write_text(f"{token}\n", "utf-8")
    given: dict[str, Any] = {"tls_certificate": certificate, "tls_key": key, "tokens": tmp_path / "tokens.toml"}
    with site.serving(**given) as address:
        port = address.rpartition(":")[2]
        words = ("generate", findings, "--server", f"localhost:{port}", "--roots", tmp_path / "ca.pem")
        shown = ("--token-file", tmp_path / "alder.token")
        assert run(*words, *shown, "--clinic", "alder", "--modality", "CT").code == 0
        assert "PERMISSION_DENIED: " in run(*words, *shown, "--clinic", "elm", "--modality", "CT").error
        assert "UNAUTHENTICATED: " in run(*words, "--clinic", "alder", "--modality", "CT").error
        monkeypatch.setenv("RADIMPRESS_TOKEN", token)
        assert run(*words, "--clinic", "alder", "--modality", "CT").code == 0


def test_generate_shows_a_certificate_where_servers_want_one(
    run: Run, site: Site, findings: Path, tmp_path: Path
) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    certificate, key = authority.issue().write(tmp_path, "server")
    mine, own = authority.issue("ris", client=True).write(tmp_path, "client")
    given: dict[str, Any] = {"tls_certificate": certificate, "tls_key": key, "tls_client_roots": tmp_path / "ca.pem"}
    with site.serving(**given) as address:
        port = address.rpartition(":")[2]
        words = ("generate", findings, "--server", f"localhost:{port}", "--roots", tmp_path / "ca.pem")
        assert run(*words, "--certificate", mine, "--key", own).code == 0


def test_generate_sends_no_token_in_clear(run: Run, findings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADIMPRESS_TOKEN", "secret")
    done = run("generate", findings, "--server", "radimpress.example.org:50051")
    one_line(done, "error: config: ", "only over TLS")
    assert "secret" not in done.err


def test_generate_says_what_the_server_refused(run: Run, site: Site, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text(" ", "utf-8")
    with site.serving() as address:
        done = run("generate", tmp_path / "f.txt", "--server", address)
    assert (done.code, done.error) == (2, "error: INVALID_ARGUMENT: findings: is empty")


def test_generate_names_a_missing_file(run: Run, tmp_path: Path) -> None:
    one_line(run("generate", tmp_path / "no.txt"), "no.txt: no such file")
