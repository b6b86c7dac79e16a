"""`radimpress registry|audit|tokens|keys` and what comes back of answers, as an operator meets them."""

from __future__ import annotations

import shutil
import sqlite3
import tomllib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.reports.files import load_reports
from radimpress.reports.report import Modality
from radimpress.server.client import Client
from radimpress.server.registry import Registry
from radimpress.server.security.audit import Audit
from radimpress.server.security.caller import Role
from radimpress.server.security.sealing import Seal
from radimpress.server.security.tokens import Tokens
from radimpress.trainer.bundle import WEIGHTS
from tests.server.commands import Run, at, one_line, run
from tests.server.conftest import CT_ANY, CT_LIST, FINDINGS, Site, change_byte

__all__ = ["at", "run"]


def _change(site: Site, statement: str) -> None:
    """Does to the database what no command does."""
    with closing(sqlite3.connect(site.root / "registry.db")) as database, database:
        database.execute(statement)


def test_an_upgrade_makes_a_registry_and_finds_it_made(run: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    (first,), (second,) = (run("registry", "upgrade", "--registry", url, "--json").rows for _ in range(2))
    assert (first["before"], second["before"]) == ("", first["revision"])
    assert "it was of " in run("registry", "upgrade", "--registry", url).out


def test_a_check_counts_events_and_looks_at_the_adapters_that_serve(run: Run, site: Site, at: list[object]) -> None:
    site.promote(site.first, CT_LIST)
    assert run("registry", "check", *at, "--json").rows == [{"events": 3, "route_table": 2, "adapters": 1}]
    assert "3 events in a whole chain" in run("registry", "check", *at).out
    change_byte(site.first.path / WEIGHTS)
    one_line(run("registry", "check", *at), "error: digest: ")


def test_a_check_finds_an_event_that_was_changed(run: Run, site: Site, at: list[object]) -> None:
    site.promote(site.first, CT_LIST)
    _change(site, "UPDATE events SET actor = 'nobody' WHERE number = 2")
    one_line(run("registry", "check", *at), "error: damage: ", "event 2")


def test_a_check_finds_a_route_that_no_event_made(run: Run, site: Site, at: list[object]) -> None:
    site.promote(site.first, CT_LIST)
    _change(site, "UPDATE route_entries SET modality = 'MR'")
    one_line(run("registry", "check", *at), "error: damage: ", "route table 2")


def test_what_is_wiped_comes_back_by_one_command_each_way_and_answers_as_before(
    run: Run, site: Site, at: list[object], tmp_path: Path
) -> None:
    first, second = site.promote(site.first, CT_LIST), site.promote(site.second, CT_ANY)
    asked = {"findings": FINDINGS, "modality": "CT"}
    with site.serving() as address, Client(address) as client:
        before = [client.generate(**asked, clinic=clinic, request_id=f"r-{clinic}") for clinic in ("alder", "nobody")]
    looked = ("routes", "show", *at[:2], "--json")
    listed = ("adapters", "list", *at[:2], "--json")
    shown = run(*looked).rows, run(*listed).rows
    (backed,) = run("registry", "backup", tmp_path / "monday", *at, "--json").rows
    assert backed["adapters"] == {str(first): first.digest, str(second): second.digest}

    site.registry.close()
    shutil.rmtree(site.bundles)
    for file in site.root.glob("registry.db*"):
        file.unlink()
    one_line(run(*looked), "adopt clusters first")
    for file in site.root.glob("registry.db*"):
        file.unlink()

    (found,) = run("registry", "restore", tmp_path / "monday", *at, "--json").rows
    assert found == backed
    assert (run(*looked).rows, run(*listed).rows) == shown
    assert run("registry", "check", *at, "--json").rows[0]["adapters"] == 2
    again = replace(site, registry=Registry(site.url, site.bundles))
    try:
        with again.serving() as address, Client(address) as client:
            for clinic, known in zip(("alder", "nobody"), before, strict=True):
                # Those that were answered are answered as before, and what is new by the same adapter.
                assert client.generate(**asked, clinic=clinic, request_id=f"r-{clinic}") == known
                new = client.generate(**asked, clinic=clinic, request_id=f"new-{clinic}")
                assert (new.text, new.provenance) == (known.text, known.provenance)
        assert [known.provenance.digest for known in before] == [first.digest, second.digest]
    finally:
        again.registry.close()


def test_a_backup_is_not_put_over_what_is_there(run: Run, site: Site, at: list[object], tmp_path: Path) -> None:
    site.promote(site.first, CT_LIST)
    assert "1 adapters" in run("registry", "backup", tmp_path / "monday", *at).out
    one_line(run("registry", "restore", tmp_path / "monday", *at), "error: conflict: ", "is there already")


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """A folder with one server's trail of three lines."""
    audit = Audit(tmp_path / "audit", "one")
    for number in range(3):
        audit.write("generate", subject="ris", clinic="alder", request_id=f"r{number}")
    audit.close()
    return tmp_path / "audit"


def test_a_whole_trail_is_told_with_its_head(
    run: Run, trail: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = run("audit", "verify", trail, "--json").rows
    assert (row["path"], row["lines"], row["torn"]) == (str(trail / "one.jsonl"), 3, 0)
    assert row["head"] in run("audit", "verify", trail / "one.jsonl").out
    monkeypatch.chdir(tmp_path)
    one_line(run("audit", "verify"), "error: config: ", "RADIMPRESS_AUDIT")
    monkeypatch.setenv("RADIMPRESS_AUDIT", str(trail))
    assert run("audit", "verify", "--json").rows == [row]


def test_a_trail_with_a_line_taken_out_is_an_error(run: Run, trail: Path) -> None:
    lines = (trail / "one.jsonl").read_bytes().splitlines(keepends=True)
    (trail / "one.jsonl").write_bytes(lines[0] + lines[2])
    one_line(run("audit", "verify", trail), "error: damage: ", "line 2")


def test_a_token_is_told_once_and_known_by_its_digest(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    make = ("tokens", "make", "--file", file)
    clinic = run(*make, "ris-alder", "--role", "clinic", "--clinic", "alder", "--clinic", "birch", "--days", 90)
    (operator,) = run(*make, "anna", "--role", "operator", "--json").rows
    assert file.stat().st_mode & 0o777 == 0o600
    assert clinic.out.strip() not in file.read_text("utf-8")
    known = Tokens(file)
    caller = known.caller(clinic.out.strip())
    assert caller is not None
    assert (caller.subject, caller.role, caller.clinics) == ("ris-alder", Role.CLINIC, frozenset({"alder", "birch"}))
    other = known.caller(operator["token"])
    assert other is not None
    assert (other.subject, other.role, operator["expires"]) == ("anna", Role.OPERATOR, None)
    assert "expires" in tomllib.loads(file.read_text("utf-8"))["token"][0]


@pytest.mark.parametrize(
    "words", [("--role", "clinic"), ("--role", "operator", "--clinic", "alder"), ("--role", "clinic", "--clinic", "")]
)
def test_a_token_that_the_server_would_refuse_is_not_made(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    one_line(run("tokens", "make", "ris", "--file", tmp_path / "tokens.toml", *words), "error: config: ", "clinic")
    assert not (tmp_path / "tokens.toml").exists()


def test_a_token_needs_a_file_to_be_known_in(run: Run) -> None:
    one_line(run("tokens", "make", "ris", "--role", "operator"), "RADIMPRESS_TOKENS")


def test_a_sealing_key_is_made_once_and_for_its_owner_only(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "seal.key"
    assert run("keys", "make", file).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    seal = Seal([file])
    assert seal.open(seal.seal(b"text")) == b"text"
    before = file.read_bytes()
    one_line(run("keys", "make", file), "seal.key")
    assert file.read_bytes() == before


def test_what_was_signed_is_exported_and_counts_as_quality(
    run: Run, site: Site, at: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("keys", "make", tmp_path / "seal.key")
    monkeypatch.setenv("RADIMPRESS_FEEDBACK_KEYS", f'["{tmp_path / "seal.key"}"]')
    site.promote(site.first, CT_LIST)
    with site.serving() as address, Client(address) as client:
        for number in range(3):
            client.generate(request_id=f"r{number}", findings=FINDINGS, modality="CT", clinic="alder")
        client.record_final(
            request_id="r1", final_impression="No fracture.", findings=FINDINGS, modality="CT", clinic="alder"
        )
    (told,) = run("reports", "export", tmp_path / "signed.jsonl", *at[:2], "--json").rows
    assert told["reports"] == 1
    assert (tmp_path / "signed.jsonl").stat().st_mode & 0o777 == 0o600
    (signed,) = load_reports(tmp_path / "signed.jsonl")
    assert (signed.findings, signed.modality, signed.clinic) == (FINDINGS, Modality.CT, "alder")
    assert signed.impression == "No fracture."

    (row,) = run("adapters", "quality", *at[:2], "--json").rows
    assert (row["adapter"], row["version"], row["answers"], row["signed"]) == ("unified", 1, 3, 1)
    assert "unified@1" in run("adapters", "quality", "--days", 1, *at[:2]).out
