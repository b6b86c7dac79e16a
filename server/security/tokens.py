"""Static tokens: a TOML file of hashes, read again when it changes.

    [[token]]
    sha256 = "…"                      # of the token, in hex; the token itself stands nowhere
    subject = "ris-alder"             # goes into logs, the audit trail and events
    role = "clinic"                   # clinic, evaluator or operator
    clinics = ["alder"]               # of a clinic's caller
    expires = 2027-01-01T00:00:00Z    # optional, with its offset

A plain SHA-256 is enough for tokens of `make_token`: 256 random bits cannot be guessed from it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from radimpress.reports.errors import ConfigError, RadimpressError
from radimpress.reports.files import stamp
from radimpress.server.security.caller import Caller, Role
from radimpress.server.security.files import read_file
from radimpress.server.settings import explain

_PREFIX = "radimpress_"
_LOOK_SECONDS = 1.0
_log = structlog.get_logger()

Word = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Entry(BaseModel):
    """One token of the file; its attributes are the file's keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    subject: Word
    role: Role
    clinics: frozenset[Word] = frozenset()
    expires: AwareDatetime | None = None

    @model_validator(mode="after")
    def _fits(self) -> Entry:
        if not self.subject.isprintable():
            raise ValueError("subject holds control characters")
        if (self.role is Role.CLINIC) != bool(self.clinics):
            raise ValueError("clinics belong to the role clinic, and to no other")
        return self

    @property
    def caller(self) -> Caller:
        """Whom the token stands for."""
        return Caller(self.subject, self.role, self.clinics)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    token: tuple[Entry, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> _File:
        if len({known.sha256 for known in self.token}) != len(self.token):
            raise ValueError("a token stands twice in the file")
        return self


class Tokens:
    """The tokens of a file. A change counts within a second; one that cannot be read is logged, and changes nothing.

    Args:
        path: the TOML file.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it is not as this module's head says.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = stamp(path)
        self._entries = _by_digest(path)
        self._look_at = time.monotonic() + _LOOK_SECONDS

    def caller(self, token: str) -> Caller | None:
        """Whom the token stands for; None where it is not known or has expired."""
        self._look()
        digest = hashlib.sha256(token.encode()).hexdigest()
        found = None
        # No entry ends the search: how long it takes says nothing of where a token stands.
        for sha256, known in self._entries.items():
            if hmac.compare_digest(sha256, digest):
                found = known
        if found is None or (found.expires is not None and found.expires <= datetime.now(UTC)):
            return None
        return found.caller

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_SECONDS
        seen = stamp(self._path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._entries = _by_digest(self._path)
        except RadimpressError as error:
            _log.error("tokens_not_read", file=self._path.name, kind=type(error).__name__)
        else:
            _log.info("tokens_read", file=self._path.name, tokens=len(self._entries))


def read_tokens(path: Path) -> tuple[Entry, ...]:
    """Reads a file of tokens.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: names each key and what is wrong with it.
    """
    try:
        return _File.model_validate(tomllib.loads(read_file(path).decode())).token
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: is no TOML that can be read ({type(error).__name__})") from None


def _by_digest(path: Path) -> dict[str, Entry]:
    return {known.sha256: known for known in read_tokens(path)}


def make_token() -> tuple[str, str]:
    """A new token and its SHA-256 in hex. The token begins with a word that scanners for secrets can look for."""
    token = _PREFIX + secrets.token_urlsafe(32)
    return token, hashlib.sha256(token.encode()).hexdigest()


def entry(digest: str, subject: str, role: Role, clinics: Iterable[str] = (), expires: datetime | None = None) -> str:
    """The block of TOML that gives the token of this SHA-256 to a caller.

    Raises:
        ConfigError: the file would be refused with it.
    """
    try:
        checked = Entry(sha256=digest, subject=subject, role=role, clinics=frozenset(clinics), expires=expires)
    except ValidationError as error:
        raise ConfigError(explain(error)) from None
    lines = ["[[token]]", f'sha256 = "{checked.sha256}"', f"subject = {_quoted(subject)}", f'role = "{checked.role}"']
    if checked.clinics:
        lines.append(f"clinics = [{', '.join(_quoted(clinic) for clinic in sorted(checked.clinics))}]")
    if checked.expires is not None:
        lines.append(f"expires = {checked.expires.isoformat(timespec='seconds')}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # A basic string of TOML escapes as JSON does, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
