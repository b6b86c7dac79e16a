"""How a client reaches servers: where they are, what is tried again, and what shows who is who."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc

# Tried at once on the next server, at last after seconds, which a restart of the only one needs; four
# times again is the most that gRPC does. Where a server says when (grpc-retry-pushback-ms), that counts.
# No more is tried again once failures outnumber answers by 500, so that retries never make an overload last.
_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": "radimpress.v1.ImpressionService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "backoffMultiplier": 3,
                "maxBackoff": "5s",
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 1000, "tokenRatio": 1},
}
_OPTIONS = (
    ("grpc.service_config", json.dumps(_CONFIG)),
    # A server that vanished without a word is noticed while a call waits for it.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # One that comes back is found soon; gRPC's own first pause is a second, its longest two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
_SCHEMES = ("dns:///", "dns:", "ipv4:", "ipv6:")


@dataclass(frozen=True, slots=True)
class Reach:
    """All that a channel needs, and what goes with each call.

    Attributes:
        target: as gRPC names it.
        options: of the channel.
        credentials: for TLS; None connects in the clear.
        token: gives the bearer token; an empty one is not sent.
    """

    target: str
    options: Sequence[tuple[str, Any]]
    credentials: grpc.ChannelCredentials | None
    token: Callable[[], str] = field(repr=False)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with a call."""
        token = self.token()
        return (("authorization", f"Bearer {token}"),) if token else ()


def reach(
    target: str | Sequence[str],
    *,
    token: str | Callable[[], str] = "",
    roots: bytes | None = None,
    certificate: bytes | None = None,
    key: bytes | None = None,
    server_name: str = "",
) -> Reach:
    """Checks what a client was given; see `radimpress.server.client.Client` for the arguments.

    Raises:
        ValueError: certificate and key do not go together, or without roots; a token would leave this
            machine in the clear; several targets are not all IPv4 or all IPv6 addresses.
    """
    if (certificate is None) != (key is None):
        raise ValueError("certificate and key go together")
    if certificate is not None and roots is None:
        raise ValueError("a client's certificate needs roots")
    name = target if isinstance(target, str) else _list(target)
    if token and roots is None and not _local(name):
        raise ValueError("a token leaves this machine only over TLS: give roots")
    return Reach(
        target=name,
        options=(*_OPTIONS, *((("grpc.default_authority", server_name),) if server_name else ())),
        credentials=None if roots is None else grpc.ssl_channel_credentials(roots or None, key, certificate),
        token=token if callable(token) else partial(str, token),
    )


def _list(addresses: Sequence[str]) -> str:
    """Several addresses as one target."""
    try:
        versions = {ipaddress.ip_address(_host(address)).version for address in addresses}
    except ValueError:
        versions = set()
    if len(versions) != 1:
        raise ValueError("several targets must all be IPv4 or all IPv6 addresses; else give a DNS name that lists them")
    return f"ipv{versions.pop()}:{','.join(addresses)}"


def _local(target: str) -> bool:
    """Whether a target never leaves this machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    for scheme in _SCHEMES:
        target = target.removeprefix(scheme)
    return all(_loopback(_host(address)) for address in target.split(","))


def _host(address: str) -> str:
    host, colon, _ = address.rpartition(":")
    return (host if colon else address).strip("[]")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
