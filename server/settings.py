"""The server's settings: checked once, unknown keys refused; RADIMPRESS_<NAME> in the environment."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from radimpress.reports.errors import ConfigError
from radimpress.server.engines.configuration import EngineUrl, Kind, distance_problem
from radimpress.server.policy import Outside
from radimpress.trainer.bases import DEFAULT_BASE

# Of the same name in the environment, but not the server's.
_OTHERS = {"CACHE", "TOKEN"}
# Kubernetes tells every container of the services beside it, and one may be called radimpress.
_LINKS = re.compile(r"(.+_)?(SERVICE_(HOST|PORT.*)|PORT(_\d+_(TCP|UDP).*)?)")
_LOOPBACK = {"127.0.0.1", "[::1]", "localhost"}


class ServerSettings(BaseSettings):
    """What `radimpress serve` needs to know."""

    model_config = SettingsConfigDict(env_prefix="RADIMPRESS_", extra="forbid", frozen=True)

    listen: str = Field(default="127.0.0.1:50051", description="host:port; port 0 takes a free one")
    server_name: str = Field(default="", description="what audit and events call this server; empty is the host's name")
    drain_seconds: float = Field(default=10.0, ge=0, description="what running requests get when stopping")
    reflection: bool = Field(default=True, description="whether the server tells its services to who asks")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_listen: str | None = Field(default=None, description="host:port of /metrics, /livez and /readyz, over HTTP")

    registry: str = Field(default="sqlite:///registry.db", description="an SQLAlchemy URL")
    registry_poll_seconds: float = Field(default=0.25, gt=0, le=60, description="how often route tables are looked for")
    bundles: str = Field(default="bundles", description="the folder that bundles are registered from, or an fsspec URL")
    bundle_cache: Path | None = Field(default=None, description="where bundles of a URL are kept")
    trusted_keys: tuple[Path, ...] = Field(default=(), description="PEM; certificates must be signed by one of them")
    trial_alpha: float = Field(default=0.04, gt=0, lt=1, description="chance that an equal adapter's trial is ended")

    engine: Kind = "inprocess"
    engine_urls: tuple[EngineUrl, ...] = Field(
        default=(), description="replicas of the engine, http or https; for vllm and tgi"
    )
    engine_token: Path | None = Field(default=None, description="file with the bearer token that they want")
    engine_adapters: str | None = Field(
        default=None,
        description="the folder of bundles as the engine's machines see it; without it the same path as here",
    )
    engines: Path | None = Field(
        default=None, description="TOML of several engines and what each answers, in place of engine"
    )
    base: str = DEFAULT_BASE
    max_tokens: int = Field(default=256, ge=1, le=4096, description="of an impression")
    batch: int = Field(default=16, ge=1, le=256, description="requests decoded together")
    waiting: int = Field(default=256, ge=1, description="requests that may wait")
    resident: int = Field(default=16, ge=1, description="adapters on the device")
    host: int = Field(default=64, ge=1, description="verified adapters in the host's memory")
    chunk: int = Field(default=256, ge=1, description="tokens of prompts read in one step")
    context: int = Field(default=4096, ge=64, description="tokens of prompt and answer; with batch, the cache's size")

    short_findings: Outside = Field(default=Outside.BASE, description="who answers findings under 100 characters")
    other_language: Outside = Field(default=Outside.BASE, description="who answers findings in another language")
    languages: tuple[str, ...] = Field(
        default=("en",), min_length=1, description="ISO 639-1 codes that adapters learnt"
    )

    tls_certificate: Path | None = Field(default=None, description="PEM chain; needs tls_key")
    tls_key: Path | None = Field(default=None, description="PEM key; needs tls_certificate")
    tls_client_roots: Path | None = Field(default=None, description="PEM; clients must have a certificate of these")
    tokens: Path | None = Field(default=None, description="TOML of hashed tokens, read again when it changes")
    jwks: str | None = Field(default=None, description="file or https URL of the keys that sign JSON web tokens")
    jwt_audience: str | None = Field(default=None, description="whom these tokens must be for; needs jwks")
    jwt_issuer: str | None = Field(default=None, description="who must have issued them; needs jwks")
    rate_per_second: float = Field(default=0.0, ge=0, description="requests a caller may make; 0 is any number")
    rate_burst: int = Field(default=20, ge=1, description="requests a caller may make at once")
    message_bytes: int = Field(default=1 << 20, ge=1 << 12, le=1 << 30, description="of a message at most")

    audit: Path | None = Field(default=None, description="folder of the audit trail; without it none is kept")
    audit_bytes: int = Field(default=1 << 28, ge=1 << 16, description="of a file of the trail; then the next begins")
    feedback_keys: tuple[Path, ...] = Field(default=(), description="keys that seal texts at rest; the first one seals")
    answer_days: float = Field(default=30.0, gt=0, description="how long answers keep their text")
    datasets: Path | None = Field(default=None, description="folder of the data sets that adapters are evaluated on")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.listen.rpartition(":")[0] in _LOOPBACK

    @property
    def name(self) -> str:
        """What the server is called."""
        return self.server_name or socket.gethostname()

    @field_validator("bundles", mode="before")
    @classmethod
    def _folder(cls, given: object) -> object:
        return str(given) if isinstance(given, Path) else given

    @model_validator(mode="after")
    def _together(self) -> ServerSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if self.tls_client_roots is not None and self.tls_key is None:
            raise ValueError("tls_client_roots needs tls_certificate and tls_key")
        if (self.jwks is None, self.jwks is None) != (self.jwt_audience is None, self.jwt_issuer is None):
            raise ValueError("jwks, jwt_audience and jwt_issuer go together")
        return self

    @model_validator(mode="after")
    def _engines(self) -> ServerSettings:
        named = {"engine", "engine_urls", "engine_token", "engine_adapters"} & self.model_fields_set
        if self.engines is not None and named:
            raise ValueError(f"engines takes the place of {', '.join(sorted(named))}")
        if problem := distance_problem(self.engine, self.engine_urls, self.engine_token, self.engine_adapters):
            raise ValueError(f"engine: {problem} (engine_urls, engine_token, engine_adapters)")
        return self

    @model_validator(mode="after")
    def _safe(self) -> ServerSettings:
        if not self.loopback and self.tls_key is None:
            raise ValueError(f"listen {self.listen!r} is not loopback: findings leave this machine only over TLS")
        if not self.loopback and self.tokens is None and self.jwks is None:
            raise ValueError(f"listen {self.listen!r} is not loopback: callers must show a token; set tokens or jwks")
        return self


def load_settings(**given: object) -> ServerSettings:
    """Settings from what is given, else the environment, else the defaults.

    Raises:
        ConfigError: names each setting and what is wrong with it, or a RADIMPRESS_ variable that is none.
    """
    _check_names(os.environ)
    try:
        return ServerSettings(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


def _check_names(names: Iterable[str]) -> None:
    """Refuses what only looks like a setting: a limit or a lock misspelt would be none."""
    known = {name.upper() for name in ServerSettings.model_fields} | _OTHERS
    for name in sorted(names):
        prefix, _, said = name.upper().partition("_")
        if prefix == "RADIMPRESS" and said not in known and not _LINKS.fullmatch(said):
            near = get_close_matches(said, known, 1)
            raise ConfigError(f"{name}: is no setting{f'; RADIMPRESS_{near[0]} is' if near else ''}")


def explain(error: ValidationError) -> str:
    """A validation error in one line, field by field."""
    return "; ".join(
        f"{'.'.join(str(part) for part in row['loc']) or 'settings'}: {row['msg'].removeprefix('Value error, ')}"
        for row in error.errors(include_url=False)
    )
