from __future__ import annotations

from typing import Any

import pytest

from radimpress.server.client_channel import reach

PEM = b"-----BEGIN CERTIFICATE-----"


def test_a_name_stays_as_it_is_and_dns_lists_its_servers() -> None:
    assert reach("radimpress.example.org:50051").target == "radimpress.example.org:50051"


@pytest.mark.parametrize(
    ("addresses", "target"),
    [
        (["10.0.0.1:50051", "10.0.0.2:50051"], "ipv4:10.0.0.1:50051,10.0.0.2:50051"),
        (["[fd00::1]:50051", "[fd00::2]:50051"], "ipv6:[fd00::1]:50051,[fd00::2]:50051"),
    ],
)
def test_several_addresses_are_one_target(addresses: list[str], target: str) -> None:
    assert reach(addresses).target == target


@pytest.mark.parametrize("addresses", [[], ["10.0.0.1:1", "[fd00::1]:1"], ["one.example.org:1", "10.0.0.1:1"]])
def test_several_targets_that_are_not_addresses_of_one_kind_are_refused(addresses: list[str]) -> None:
    with pytest.raises(ValueError, match="DNS name"):
        reach(addresses)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"certificate": PEM, "roots": PEM}, "go together"),
        ({"key": PEM, "roots": PEM}, "go together"),
        ({"certificate": PEM, "key": PEM}, "needs roots"),
        ({"token": "secret"}, "only over TLS"),
        ({"token": lambda: "secret"}, "only over TLS"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        reach("radimpress.example.org:50051", **given)


@pytest.mark.parametrize(
    "target",
    [
        "localhost:50051",
        "127.0.0.1:50051",
        "[::1]:50051",
        "dns:///localhost:50051",
        "ipv4:127.0.0.1:1,127.0.0.2:2",
        ["127.0.0.1:1", "127.0.0.1:2"],
        "unix:/run/radimpress.sock",
    ],
)
def test_a_token_may_stay_on_this_machine_in_the_clear(target: str | list[str]) -> None:
    assert reach(target, token="secret").metadata() == (("authorization", "Bearer secret"),)


@pytest.mark.parametrize(
    "target", ["127.0.0.1.example.org:1", "ipv4:127.0.0.1:1,10.0.0.1:1", ["127.0.0.1:1", "10.0.0.1:1"]]
)
def test_what_only_looks_like_this_machine_gets_no_token(target: str | list[str]) -> None:
    with pytest.raises(ValueError, match="only over TLS"):
        reach(target, token="secret")


def test_a_token_is_in_no_picture_of_it() -> None:
    assert "secret" not in repr(reach("localhost:1", token="secret"))


def test_without_a_token_nothing_is_sent() -> None:
    assert reach("localhost:1").metadata() == ()
