"""Which engines a server asks: one by its settings, or several by a TOML file.

    [[engine]]
    kind = "vllm"
    urls = ["http://vllm-0:8000", "http://vllm-1:8000"]
    modalities = ["MR"]

    [[engine]]
    kind = "inprocess"

A report is answered by the first engine whose modalities and clinics both hold it; the one that names neither
answers the rest.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from radimpress.reports.errors import ConfigError
from radimpress.reports.report import Modality
from radimpress.server.security.files import read_file

Kind = Literal["inprocess", "fake", "vllm", "tgi"]
DISTANT = ("vllm", "tgi")


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        # Reading the port is what checks it.
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("must be http://host:port or https://host:port")
    if "@" in parts.netloc or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ValueError("may hold neither a password nor a path; a token stands in a file of its own")
    return url.rstrip("/")


EngineUrl = Annotated[str, AfterValidator(_check_url)]


class Entry(BaseModel):
    """One engine.

    Attributes:
        kind: what it is.
        urls: of a distant engine's replicas.
        token: file that holds the bearer token that they want.
        adapters: the folder of bundles as their machines see it; without it the same path as here.
        modalities: that it answers; empty is any.
        clinics: likewise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    urls: tuple[EngineUrl, ...] = ()
    token: Path | None = None
    adapters: str | None = None
    modalities: frozenset[Modality] = frozenset()
    clinics: frozenset[str] = frozenset()

    @model_validator(mode="after")
    def _together(self) -> Entry:
        if problem := distance_problem(self.kind, self.urls, self.token, self.adapters):
            raise ValueError(problem)
        return self

    @property
    def rest(self) -> bool:
        """Whether it answers whatever no other engine does."""
        return not self.modalities and not self.clinics

    def answers(self, modality: Modality, clinic: str) -> bool:
        """Whether a report is its own."""
        return (not self.modalities or modality in self.modalities) and (not self.clinics or clinic in self.clinics)

    def secret(self) -> str:
        """The token; empty where there is none.

        Raises:
            NotFoundError: there is no such file.
            ConfigError: it cannot be read, or holds no token.
        """
        if self.token is None:
            return ""
        told = read_file(self.token).decode(errors="replace").strip()
        if not told or not told.isascii() or not told.isprintable() or " " in told:
            raise ConfigError(f"{self.token}: holds no token")
        return told


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    engine: tuple[Entry, ...]


def distance_problem(kind: str, urls: tuple[str, ...], token: Path | None, adapters: str | None) -> str:
    """What is wrong with a kind of engine and where it is; empty where nothing is."""
    if bool(urls) != (kind in DISTANT):
        return f"{kind} needs urls" if kind in DISTANT else f"{kind} has no urls"
    if len(set(urls)) != len(urls):
        return "a url stands twice"
    if (token is not None or adapters is not None) and not urls:
        return "token and adapters need urls"
    return ""


def read_engines(path: Path) -> tuple[Entry, ...]:
    """The engines of a file; the one that answers the rest comes last.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: names each key and what is wrong with it, or that not exactly one engine answers the rest.
    """
    from radimpress.server.settings import explain

    try:
        entries = _File.model_validate(tomllib.loads(read_file(path).decode())).engine
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: is no TOML that can be read ({type(error).__name__})") from None
    rest = [entry for entry in entries if entry.rest]
    if len(rest) != 1:
        raise ConfigError(f"{path}: {len(rest)} engines name neither modalities nor clinics; one must, for the rest")
    return (*(entry for entry in entries if not entry.rest), *rest)
