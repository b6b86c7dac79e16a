"""The server's settings: checked once, unknown keys refused; RADIMPRESS_<NAME> in the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from radimpress.reports.errors import ConfigError
from radimpress.trainer.bases import DEFAULT_BASE

_LOOPBACK = {"127.0.0.1", "[::1]", "localhost"}


class ServerSettings(BaseSettings):
    """What `radimpress serve` needs to know."""

    model_config = SettingsConfigDict(env_prefix="RADIMPRESS_", extra="forbid", frozen=True)

    listen: str = Field(default="127.0.0.1:50051", description="host:port; port 0 takes a free one")
    registry: str = Field(default="sqlite:///registry.db", description="an SQLAlchemy URL")
    bundles: Path = Field(default=Path("bundles"), description="the folder that bundles are registered from")
    engine: Literal["inprocess", "fake"] = "inprocess"
    base: str = DEFAULT_BASE
    max_tokens: int = Field(default=256, ge=1, le=4096, description="of an impression")
    batch: int = Field(default=16, ge=1, le=256, description="requests decoded together")
    waiting: int = Field(default=256, ge=1, description="requests that may wait")
    resident: int = Field(default=16, ge=1, description="adapters on the device")
    host: int = Field(default=64, ge=1, description="verified adapters in the host's memory")
    chunk: int = Field(default=256, ge=1, description="tokens of prompts read in one step")
    context: int = Field(default=4096, ge=64, description="tokens of prompt and answer; with batch, the cache's size")
    trusted_keys: tuple[Path, ...] = Field(default=(), description="PEM; certificates must be signed by one of them")
    tls_certificate: Path | None = Field(default=None, description="PEM chain; needs tls_key")
    tls_key: Path | None = Field(default=None, description="PEM key; needs tls_certificate")
    drain_seconds: float = Field(default=10.0, ge=0, description="what running requests get when stopping")

    @model_validator(mode="after")
    def _safe(self) -> ServerSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if self.tls_key is None and self.listen.rpartition(":")[0] not in _LOOPBACK:
            raise ValueError(f"listen {self.listen!r} is not loopback: findings leave this machine only over TLS")
        return self


def load_settings(**given: object) -> ServerSettings:
    """Settings from what is given, else the environment, else the defaults.

    Raises:
        ConfigError: names each setting and what is wrong with it.
    """
    try:
        return ServerSettings(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """A validation error in one line, field by field."""
    return "; ".join(
        f"{'.'.join(str(part) for part in row['loc']) or 'settings'}: {row['msg'].removeprefix('Value error, ')}"
        for row in error.errors(include_url=False)
    )
