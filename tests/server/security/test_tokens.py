from __future__ import annotations

import hashlib
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from radimpress.reports.errors import ConfigError, NotFoundError
from radimpress.server.security import tokens as module
from radimpress.server.security.caller import Caller, Role
from radimpress.server.security.tokens import Tokens, entry, make_token, read_tokens

DIGEST = "a" * 64
GOOD = f'[[token]]\nsha256 = "{DIGEST}"\nsubject = "ris"\nrole = "clinic"\nclinics = ["alder"]\n'


class Site:
    """A file of tokens, and a clock that the test moves."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "tokens.toml"
        self.now = 0.0
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))

    def write(self, *blocks: str) -> None:
        self.path.write_text("\n".join(blocks), "utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def test_a_token_stands_for_its_caller(site: Site) -> None:
    token, digest = make_token()
    other, other_digest = make_token()
    site.write(entry(digest, "ris-alder", Role.CLINIC, ["alder"]), entry(other_digest, "ops", Role.OPERATOR))
    tokens = Tokens(site.path)
    assert tokens.caller(token) == Caller("ris-alder", Role.CLINIC, frozenset({"alder"}))
    assert tokens.caller(other) == Caller("ops", Role.OPERATOR)


def test_a_token_that_nobody_has_stands_for_nobody(site: Site) -> None:
    token, digest = make_token()
    site.write(entry(digest, "ops", Role.OPERATOR))
    tokens = Tokens(site.path)
    for wrong in ("", token[:-1], token + "x", token.upper(), digest):
        assert tokens.caller(wrong) is None


def test_the_token_itself_stands_nowhere_in_the_file() -> None:
    token, digest = make_token()
    assert hashlib.sha256(token.encode()).hexdigest() == digest
    assert token not in entry(digest, "ops", Role.OPERATOR)
    assert token.startswith("radimpress_")
    assert len(token) >= 43


def test_a_token_ends_when_it_expires(site: Site) -> None:
    (soon, soon_digest), (gone, gone_digest) = make_token(), make_token()
    now = datetime.now(UTC)
    site.write(
        entry(soon_digest, "soon", Role.EVALUATOR, expires=now + timedelta(minutes=1)),
        entry(gone_digest, "gone", Role.EVALUATOR, expires=now - timedelta(minutes=1)),
    )
    tokens = Tokens(site.path)
    assert tokens.caller(soon) is not None
    assert tokens.caller(gone) is None


def test_a_change_of_the_file_counts_within_a_second(site: Site) -> None:
    (old, old_digest), (new, new_digest) = make_token(), make_token()
    site.write(entry(old_digest, "old", Role.OPERATOR))
    tokens = Tokens(site.path)
    site.write(entry(new_digest, "new", Role.OPERATOR), "")
    site.now += 1.0
    assert tokens.caller(old) is None
    assert tokens.caller(new) == Caller("new", Role.OPERATOR)


@pytest.mark.parametrize("spoilt", ["[[token", GOOD.replace("clinic", "god"), None])
def test_a_change_that_cannot_be_read_is_told_once_and_changes_nothing(
    site: Site, capsys: pytest.CaptureFixture[str], spoilt: str | None
) -> None:
    token, digest = make_token()
    site.write(entry(digest, "ops", Role.OPERATOR))
    tokens = Tokens(site.path)
    if spoilt is None:
        site.path.unlink()
    else:
        site.write(spoilt)
    for _ in range(3):
        site.now += 1.0
        assert tokens.caller(token) is not None
    said = "".join(capsys.readouterr())
    assert said.count("tokens_not_read") == 1
    assert digest not in said


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (GOOD + "colour = 1\n", "colour"),
        ("colour = 1\n" + GOOD, "colour"),
        (GOOD.replace('role = "clinic"', 'role = "god"'), "role"),
        (GOOD.replace("a" * 64, "a" * 63), "sha256"),
        (GOOD.replace("a" * 64, "A" * 64), "sha256"),
        (GOOD.replace('subject = "ris"\n', ""), "subject"),
        (GOOD.replace('"ris"', '""'), "subject"),
        (GOOD.replace('"ris"', '"r\\ns"'), "control characters"),
        (GOOD.replace('clinics = ["alder"]\n', ""), "clinics belong to the role clinic"),
        (GOOD.replace('["alder"]', '[""]'), "clinics"),
        (GOOD.replace('["alder"]', '"alder"'), "clinics"),
        (GOOD.replace('role = "clinic"', 'role = "operator"'), "clinics belong to the role clinic"),
        (GOOD + "expires = 2027-01-01T00:00:00\n", "expires"),
        (GOOD + GOOD, "stands twice"),
        ("[[token", "TOML"),
    ],
)
def test_a_file_that_is_not_right_is_refused_at_the_start(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=problem):
        Tokens(path)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Tokens(tmp_path / "nothing.toml")


def test_a_block_reads_back_as_it_was_meant(tmp_path: Path) -> None:
    expires = datetime(2027, 1, 1, 12, tzinfo=UTC)
    clinics = ['St. "Mary"', "Spital Zürich\\Nord", "alder"]
    path = tmp_path / "tokens.toml"
    path.write_text(entry(DIGEST, "ris é", Role.CLINIC, clinics, expires), "utf-8")
    (read,) = read_tokens(path)
    assert read.caller == Caller("ris é", Role.CLINIC, frozenset(clinics))
    assert read.expires == expires


def test_a_block_can_be_added_to_a_file_that_has_some(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(GOOD + entry("b" * 64, "ops", Role.OPERATOR), "utf-8")
    assert len(read_tokens(path)) == len(tomllib.loads(path.read_text("utf-8"))["token"]) == 2


@pytest.mark.parametrize(
    ("digest", "subject", "role", "clinics"),
    [
        ("a", "ris", Role.OPERATOR, []),
        (DIGEST, "", Role.OPERATOR, []),
        (DIGEST, "ris", Role.CLINIC, []),
        (DIGEST, "ris", Role.EVALUATOR, ["alder"]),
    ],
)
def test_a_block_that_the_file_would_be_refused_with_is_not_made(
    digest: str, subject: str, role: Role, clinics: list[str]
) -> None:
    with pytest.raises(ConfigError):
        entry(digest, subject, role, clinics)
