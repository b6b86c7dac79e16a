"""JSON Web Tokens of an identity provider, verified by its published keys (RFC 7519, RFC 7517).

A token must be signed by RS256, ES256 or EdDSA with a key of the set, name our audience and issuer, and
hold `exp` and a printable `sub`; `radimpress_role` and, for a clinic's caller, `radimpress_clinics` say the rest.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import jwt
import structlog

from radimpress.reports.errors import (
    ConfigError,
    ForbiddenError,
    RadimpressError,
    UnauthenticatedError,
    UnavailableError,
)
from radimpress.server.security.caller import Caller, Role
from radimpress.server.security.files import read_file

ALGORITHMS = ("RS256", "ES256", "EdDSA")
_LEEWAY = timedelta(seconds=30)
_TIMEOUT_SECONDS = 5.0
_BYTES = 1 << 20
_AGAIN_SECONDS = 60.0
_AGAIN_AFTER_FAILURE_SECONDS = 5.0
_OLD_SECONDS = 900.0
_REMEMBERED = 4096
_FOREVER = 1 << 40
_SUBJECT_MAX = 256
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_log = structlog.get_logger()


class Jwks:
    """The keys of an identity provider, and the callers that its tokens name.

    Keys are fetched off the event loop: with the first token, when a token names a key that is not
    known (at most once a minute), and every quarter of an hour while tokens come. While the provider
    cannot be reached the keys at hand go on to count. A token that was verified is not verified again
    until it expires or keys come anew.

    Args:
        source: a file, or an https URL (http on loopback only).
        audience: what `aud` must hold.
        issuer: what `iss` must be.

    Raises:
        ConfigError: the source is no such URL, the file holds no key that counts, or one of the others is empty.
        NotFoundError: there is no such file.
    """

    def __init__(self, source: str, audience: str, issuer: str) -> None:
        if not audience or not issuer:
            raise ConfigError("jwks: an audience and an issuer are required")
        self._source = source
        self._audience = audience
        self._issuer = issuer
        self._keys: dict[str, jwt.PyJWK] = {}
        self._known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self._fetch_at = 0.0
        self._old_at = 0.0
        self._lock = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None
        if not _is_url(source):
            self._take(_parse(read_file(Path(source))))

    async def caller(self, token: str) -> Caller:
        """Whom the token names.

        Raises:
            UnauthenticatedError: it is no token of this provider, or no longer valid.
            ForbiddenError: it is valid, and gives no role that is known.
            UnavailableError: the provider's keys cannot be reached.
        """
        now = time.monotonic()
        renewing = self._renewal is not None and not self._renewal.done()
        if self._keys and now >= self._old_at and now >= self._fetch_at and not renewing:
            # In the background: the keys at hand still count.
            self._renewal = asyncio.create_task(self._renew())
        digest = hashlib.sha256(token.encode()).digest()
        found = self._known.get(digest)
        if found is not None and time.time() < found[1]:
            self._known.move_to_end(digest)
            return found[0]
        claims = self._verified(token, await self._key(token))
        caller = _caller(claims)
        self._known[digest] = caller, min(int(claims["exp"]), _FOREVER) + _LEEWAY.total_seconds()
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return caller

    async def _key(self, token: str) -> jwt.PyJWK:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError:
            kid = None
        if not isinstance(kid, str):
            raise UnauthenticatedError("the token is not known, or no longer valid")
        if kid not in self._keys:
            async with self._lock:
                if kid not in self._keys and time.monotonic() >= self._fetch_at:
                    await self._fetch()
        if kid in self._keys:
            return self._keys[kid]
        if not self._keys:
            raise UnavailableError("the identity provider's keys cannot be reached")
        raise UnauthenticatedError("the token is not known, or no longer valid")

    def _verified(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY,
                options={"require": ["exp", "sub", "aud", "iss"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError:
            raise UnauthenticatedError("the token is not known, or no longer valid") from None

    async def _renew(self) -> None:
        async with self._lock:
            await self._fetch()

    async def _fetch(self) -> None:
        """Takes the keys anew; where that fails, keeps those at hand and says so in the log."""
        try:
            self._take(_parse(await asyncio.to_thread(_read, self._source)))
        except RadimpressError as error:
            # Counted from the failure, which may have taken long: who waits behind does not try it all over again.
            self._fetch_at = time.monotonic() + _AGAIN_AFTER_FAILURE_SECONDS
            _log.error("jwks_not_read", kind=type(error).__name__, keys=len(self._keys))

    def _take(self, keys: dict[str, jwt.PyJWK]) -> None:
        self._keys = keys
        # A key that was withdrawn withdraws the tokens that it signed.
        self._known.clear()
        now = time.monotonic()
        self._fetch_at = now + _AGAIN_SECONDS
        self._old_at = now + _OLD_SECONDS
        _log.info("jwks_read", keys=len(keys))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """The keys come from where the operator said, or not at all."""


def _is_url(source: str) -> bool:
    """Whether it is a URL; one that must not be asked is a ConfigError."""
    if "://" not in source:
        return False
    with suppress(ValueError):
        parts = urlsplit(source)
        if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
            return True
    raise ConfigError("jwks: is neither a file nor an https URL")


def _read(source: str) -> bytes:
    if not _is_url(source):
        return read_file(Path(source))
    try:
        with urllib.request.build_opener(_NoRedirect).open(source, timeout=_TIMEOUT_SECONDS) as response:
            data: bytes = response.read(_BYTES + 1)
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise UnavailableError(f"the key set cannot be fetched ({type(error).__name__})") from None
    if len(data) > _BYTES:
        raise UnavailableError("the key set is larger than a key set is")
    return data


def _parse(data: bytes) -> dict[str, jwt.PyJWK]:
    try:
        keys = jwt.PyJWKSet.from_dict(json.loads(data)).keys
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError(f"jwks: is no set of keys ({type(error).__name__})") from None
    # A symmetric key must never count: whoever can read the set could sign with it.
    ours = {
        key.key_id: key
        for key in keys
        if key.algorithm_name in ALGORITHMS
        and isinstance(key.key_id, str)
        and key.key_id
        and key.public_key_use in ("sig", None)
    }
    if not ours:
        raise ConfigError(f"jwks: holds no key with a kid for one of {', '.join(ALGORITHMS)}")
    return ours


def _caller(claims: Mapping[str, Any]) -> Caller:
    subject, role = str(claims["sub"]), claims.get("radimpress_role")
    clinics = claims.get("radimpress_clinics", [])
    # A lone surrogate, which JSON can hold, can be written nowhere, and NUL not in PostgreSQL.
    if not subject.isprintable():
        raise UnauthenticatedError("the token's subject holds characters that cannot be printed")
    if not 0 < len(subject) <= _SUBJECT_MAX:
        raise ForbiddenError(f"the token's subject is empty or has more than {_SUBJECT_MAX} characters")
    if role not in tuple(Role):
        raise ForbiddenError("the token gives no role that is known")
    named = isinstance(clinics, list) and all(isinstance(clinic, str) and clinic for clinic in clinics)
    if not named or (role == Role.CLINIC) != bool(clinics):
        raise ForbiddenError("the token must name clinics for the role clinic, and for no other")
    return Caller(subject, Role(role), frozenset(clinics))
