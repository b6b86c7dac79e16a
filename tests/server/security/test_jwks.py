"""Tokens of an identity provider: a real set of keys from a file, and from a server on loopback."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from radimpress.reports.errors import (
    ConfigError,
    ForbiddenError,
    NotFoundError,
    RadimpressError,
    UnauthenticatedError,
    UnavailableError,
)
from radimpress.server.security import jwks as module
from radimpress.server.security.caller import Caller, Role
from radimpress.server.security.jwks import Jwks

ALDER = frozenset({"alder"})
AUDIENCE, ISSUER = "radimpress", "https://login.hospital.example"
EC = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()
KEYS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "ec": (EC, "ES256", ECAlgorithm.to_jwk),
    "rsa": (RSA, "RS256", RSAAlgorithm.to_jwk),
    "ed": (ED, "EdDSA", OKPAlgorithm.to_jwk),
}


def key_set(*kids: str, **changes: Any) -> bytes:
    """The provider's public keys."""
    made = []
    for kid in kids:
        key, algorithm, to_jwk = KEYS[kid]
        made.append({**to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": algorithm, "use": "sig", **changes})
    return json.dumps({"keys": made}).encode()


def token(kid: str = "ec", *, key: Any = None, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token as the provider issues it; a claim of None is left out."""
    secret, algorithm, _ = KEYS[kid]
    held = {
        "sub": "ris-alder",
        "aud": AUDIENCE,
        "iss": ISSUER,
        "exp": int(time.time()) + 60,
        "radimpress_role": "clinic",
        "radimpress_clinics": ["alder"],
        **claims,
    }
    named = {"kid": kid} if headers is None else headers
    return jwt.encode(
        {name: value for name, value in held.items() if value is not None}, key or secret, algorithm, named
    )


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def ask(keys: Jwks, *tokens: str) -> list[Caller | type[RadimpressError]]:
    """Whom each token names, or how it was refused, asked one after the other."""

    async def all_of_them() -> list[Caller | type[RadimpressError]]:
        found: list[Caller | type[RadimpressError]] = []
        for one in tokens:
            try:
                found.append(await keys.caller(one))
            except RadimpressError as error:
                found.append(type(error))
        return found

    return asyncio.run(all_of_them())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set("ec", "rsa", "ed"))
    return path


@pytest.fixture
def keys(file: Path) -> Jwks:
    return Jwks(str(file), AUDIENCE, ISSUER)


@pytest.mark.parametrize("kid", list(KEYS))
def test_a_token_signed_by_a_key_of_the_set_names_its_caller(keys: Jwks, kid: str) -> None:
    assert ask(keys, token(kid)) == [Caller("ris-alder", Role.CLINIC, ALDER)]


@pytest.mark.parametrize("role", [Role.EVALUATOR, Role.OPERATOR])
def test_the_other_roles_need_no_clinics(keys: Jwks, role: Role) -> None:
    one, other = (
        token(radimpress_role=role, radimpress_clinics=None),
        token(radimpress_role=role, radimpress_clinics=[]),
    )
    assert ask(keys, one, other) == [Caller("ris-alder", role)] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"exp": None},
        {"exp": int(time.time()) - 31},
        {"nbf": int(time.time()) + 3600},
        {"sub": None},
        {"key": OTHER},
        {"headers": {}},
        {"headers": {"kid": "nobody"}},
        {"headers": {"kid": "rsa"}},
        {"headers": {"kid": "ec", "crit": ["unheard-of"], "unheard-of": 1}},
    ],
)
def test_a_token_that_is_not_right_names_nobody(keys: Jwks, wrong: dict[str, Any]) -> None:
    assert ask(keys, token(**wrong)) == [UnauthenticatedError]


@pytest.mark.parametrize(
    "wrong",
    [
        {"radimpress_role": None},
        {"radimpress_role": "god"},
        {"radimpress_role": ["operator"]},
        {"radimpress_clinics": None},
        {"radimpress_clinics": []},
        {"radimpress_clinics": [""]},
        {"radimpress_clinics": "alder"},
        {"radimpress_clinics": [7]},
        {"radimpress_role": "operator"},
        {"sub": ""},
        {"sub": "x" * 257},
    ],
)
def test_a_valid_token_without_a_right_role_may_ask_nothing(keys: Jwks, wrong: dict[str, Any]) -> None:
    assert ask(keys, token(**wrong)) == [ForbiddenError]


@pytest.mark.parametrize("text", ["", "x", "a.b", "a.b.c", "radimpress_abc", "é.é.é", "." * 1000])
def test_text_that_is_no_token_names_nobody(keys: Jwks, text: str) -> None:
    assert ask(keys, text) == [UnauthenticatedError]


@pytest.mark.parametrize("subject", ["\ud800", "ris\udfff", "ris\x00alder", "ris\nalder"])
def test_a_valid_token_whose_subject_cannot_be_written_down_names_nobody(keys: Jwks, subject: str) -> None:
    assert ask(keys, token(sub=subject), token()) == [UnauthenticatedError, Caller("ris-alder", Role.CLINIC, ALDER)]


def test_an_unsigned_token_names_nobody(keys: Jwks) -> None:
    head = _encoded(json.dumps({"alg": "none", "kid": "ec"}).encode())
    assert ask(keys, f"{head}.{token().split('.')[1]}.") == [UnauthenticatedError]


def test_a_token_signed_with_the_public_key_as_a_secret_names_nobody(keys: Jwks, file: Path) -> None:
    # Made by hand, as the library refuses to make it.
    secret = json.dumps(json.loads(file.read_bytes())["keys"][0]).encode()
    head = _encoded(json.dumps({"alg": "HS256", "kid": "ec"}).encode())
    signed = f"{head}.{token().split('.')[1]}"
    forged = f"{signed}.{_encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"
    assert ask(keys, forged) == [UnauthenticatedError]


def test_a_changed_signature_names_nobody_though_the_token_was_seen_before(keys: Jwks) -> None:
    good = token()
    spoilt = good[:-6] + ("A" if good[-6] != "A" else "B") + good[-5:]
    seen = ask(keys, good, spoilt)
    assert isinstance(seen[0], Caller)
    assert seen[1] is UnauthenticatedError


def test_a_token_that_was_seen_before_still_expires(keys: Jwks, monkeypatch: pytest.MonkeyPatch) -> None:
    one, now = token(), time.time()
    assert isinstance(ask(keys, one)[0], Caller)

    def expired(*_: Any, **__: Any) -> None:
        raise jwt.ExpiredSignatureError("it is over")

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=time.monotonic, time=lambda: now + 3600))
    monkeypatch.setattr(jwt, "decode", expired)
    assert ask(keys, one) == [UnauthenticatedError]


def test_a_token_is_verified_once(keys: Jwks, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, decode = 0, jwt.decode

    def counted(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return decode(*given, **named)

    monkeypatch.setattr(jwt, "decode", counted)
    one = token()
    assert len(set(ask(keys, one, one, one))) == 1
    assert calls == 1


def test_the_tokens_that_are_remembered_are_bounded(keys: Jwks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 4)
    ask(keys, *(token(sub=f"caller-{number}") for number in range(10)))
    assert len(keys._known) == 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": []}',
        b'{"keys": [1]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "ec", "alg": "HS256"}]}',
        key_set("ec", use="enc"),
        key_set("ec", kid=""),
        key_set("ec", kid=7),
    ],
)
def test_a_set_without_a_key_that_counts_is_refused_at_the_start(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        Jwks(str(path), AUDIENCE, ISSUER)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Jwks(str(tmp_path / "nothing"), AUDIENCE, ISSUER)


@pytest.mark.parametrize(
    "source",
    ["http://login.hospital.example/jwks", "ftp://127.0.0.1/jwks", "file:///etc/jwks.json", "https://", "http://[::"],
)
def test_a_url_that_is_not_https_is_refused(source: str) -> None:
    with pytest.raises(ConfigError, match="neither a file nor an https URL"):
        Jwks(source, AUDIENCE, ISSUER)


@pytest.mark.parametrize(("audience", "issuer"), [("", ISSUER), (AUDIENCE, "")])
def test_audience_and_issuer_are_required(file: Path, audience: str, issuer: str) -> None:
    with pytest.raises(ConfigError, match="are required"):
        Jwks(str(file), audience, issuer)


class Provider:
    """An identity provider's key set over HTTP on loopback."""

    def __init__(self) -> None:
        self.content = key_set("ec")
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                self.send_response(provider.status)
                for name, value in provider.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(provider.content)))
                self.end_headers()
                self.wfile.write(provider.content)

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("no_proxy", "*")
    made = Provider()
    thread = Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        monkeypatch.setattr(
            module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + self.ahead, time=time.time)
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_keys_are_fetched_with_the_first_token_and_kept(provider: Provider) -> None:
    keys = Jwks(provider.url, AUDIENCE, ISSUER)
    assert provider.asked == 0
    assert all(isinstance(found, Caller) for found in ask(keys, token(), token(sub="another")))
    assert provider.asked == 1


def test_a_key_that_is_not_known_is_fetched_at_most_once_a_minute(provider: Provider, clock: Clock) -> None:
    keys = Jwks(provider.url, AUDIENCE, ISSUER)
    ask(keys, token())
    provider.content = key_set("ec", "ed")
    assert ask(keys, *[token("ed")] * 5) == [UnauthenticatedError] * 5
    assert provider.asked == 1
    clock.ahead += 60
    assert isinstance(ask(keys, token("ed"))[0], Caller)
    assert provider.asked == 2


def test_a_flood_of_tokens_with_unknown_keys_makes_one_fetch(provider: Provider) -> None:
    keys = Jwks(provider.url, AUDIENCE, ISSUER)

    async def flood() -> list[Any]:
        asked = (keys.caller(token(headers={"kid": f"kid-{number}"})) for number in range(50))
        return await asyncio.gather(*asked, return_exceptions=True)

    assert {type(found) for found in asyncio.run(flood())} == {UnauthenticatedError}
    assert provider.asked == 1


def test_a_withdrawn_key_withdraws_its_tokens_within_a_quarter_of_an_hour(provider: Provider, clock: Clock) -> None:
    provider.content = key_set("ec", "ed")
    keys = Jwks(provider.url, AUDIENCE, ISSUER)
    signed = token("ed", exp=int(time.time()) + 7200)
    assert isinstance(ask(keys, signed)[0], Caller)
    provider.content = key_set("ec")
    clock.ahead += 900

    async def until_renewed() -> None:
        for _ in range(500):
            await keys.caller(signed)
            await asyncio.sleep(0.01)

    with pytest.raises(UnauthenticatedError):
        asyncio.run(until_renewed())


@pytest.mark.parametrize(
    ("status", "content", "headers"),
    [
        (500, b"", {}),
        (200, b"not json", {}),
        (200, b"x" * ((1 << 20) + 1), {}),
        (302, b"", {"Location": "http://127.0.0.1:1/elsewhere"}),
    ],
)
def test_a_provider_that_fails_makes_its_tokens_wait_and_is_asked_again(
    provider: Provider, clock: Clock, status: int, content: bytes, headers: dict[str, str]
) -> None:
    good = provider.content
    provider.status, provider.content, provider.headers = status, content, headers
    keys = Jwks(provider.url, AUDIENCE, ISSUER)
    assert ask(keys, token(), token()) == [UnavailableError] * 2
    assert provider.asked == 1
    provider.status, provider.content, provider.headers = 200, good, {}
    clock.ahead += 5
    assert isinstance(ask(keys, token())[0], Caller)


def test_while_the_provider_fails_the_keys_at_hand_count(provider: Provider, clock: Clock) -> None:
    keys = Jwks(provider.url, AUDIENCE, ISSUER)
    ask(keys, token())
    provider.status = 500
    for _ in range(3):
        clock.ahead += 1000
        assert isinstance(ask(keys, token(sub="a new one"))[0], Caller)


def test_a_provider_that_is_not_there_is_unavailable() -> None:
    keys = Jwks("http://127.0.0.1:1/jwks", AUDIENCE, ISSUER)
    assert ask(keys, token()) == [UnavailableError]
