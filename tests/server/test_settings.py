from __future__ import annotations

import socket
from pathlib import Path

import pytest

from radimpress.reports.errors import ConfigError
from radimpress.server.settings import load_settings
from radimpress.trainer.bases import DEFAULT_BASE


def test_without_a_word_it_listens_on_loopback_with_the_default_base() -> None:
    settings = load_settings()
    assert (settings.listen, settings.base, settings.engine) == ("127.0.0.1:50051", DEFAULT_BASE, "inprocess")


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:50051", "[::1]:7"])
def test_loopback_needs_no_tls(listen: str) -> None:
    assert load_settings(listen=listen).listen == listen


@pytest.mark.parametrize(
    "listen",
    [
        "0.0.0.0:50051",
        "[::]:50051",
        ":50051",
        "192.168.0.1:50051",
        "host.example.org:50051",
        "localhost.example.org:50051",
        "127.0.0.1.example.org:50051",
        "localhosts:50051",
        "ipv4:0.0.0.0:50051",
        "",
    ],
)
def test_anything_but_loopback_in_clear_is_refused(listen: str) -> None:
    with pytest.raises(ConfigError, match="not loopback"):
        load_settings(listen=listen)


def test_with_tls_and_tokens_it_may_listen_anywhere(tmp_path: Path) -> None:
    settings = load_settings(
        listen="0.0.0.0:50051", tls_certificate=tmp_path / "c", tls_key=tmp_path / "k", tokens=tmp_path / "t"
    )
    assert settings.tls_key == tmp_path / "k"


def test_with_a_key_set_it_may_listen_anywhere(tmp_path: Path) -> None:
    pair = {"tls_certificate": tmp_path / "c", "tls_key": tmp_path / "k"}
    issued = {
        "jwks": "https://id.example.org/keys",
        "jwt_audience": "radimpress",
        "jwt_issuer": "https://id.example.org",
    }
    assert not load_settings(listen="0.0.0.0:50051", **pair, **issued).loopback


def test_anything_but_loopback_without_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="callers must show a token"):
        load_settings(listen="0.0.0.0:50051", tls_certificate=tmp_path / "c", tls_key=tmp_path / "k")


def test_roots_of_clients_without_tls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tls_client_roots needs"):
        load_settings(tls_client_roots=tmp_path / "roots")


@pytest.mark.parametrize("given", [{"jwks": "k"}, {"jwks": "k", "jwt_audience": "a"}, {"jwt_issuer": "i"}])
def test_half_a_key_set_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="jwks, jwt_audience and jwt_issuer go together"):
        load_settings(**given)


@pytest.mark.parametrize("name", ["tls_certificate", "tls_key"])
def test_half_a_tls_pair_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="go together"):
        load_settings(**{name: tmp_path / "file"})


@pytest.mark.parametrize("engine", ["vllm", "tgi"])
def test_an_engine_elsewhere_needs_to_be_told_where(engine: str) -> None:
    with pytest.raises(ConfigError, match=f"{engine} needs urls"):
        load_settings(engine=engine)
    urls = ("http://engine-0.engine:8080", "https://[::1]:8443")
    assert load_settings(engine=engine, engine_urls=urls).engine_urls == urls


@pytest.mark.parametrize("url", ["engine:8080", "ftp://engine", "http://engine:8080/v1", "http://user:word@engine", ""])
def test_an_engines_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^engine_urls"):
        load_settings(engine="tgi", engine_urls=(url,))


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="bathc: Extra inputs are not permitted"):
        load_settings(bathc=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch", 0),
        ("batch", "many"),
        ("max_tokens", 0),
        ("waiting", 0),
        ("resident", 0),
        ("drain_seconds", -1),
        ("engine", "remote"),
        ("registry_poll_seconds", 0),
        ("trial_alpha", 0),
        ("trial_alpha", 1),
        ("short_findings", "ask"),
        ("other_language", ""),
        ("languages", ()),
        ("rate_per_second", -1),
        ("rate_burst", 0),
        ("message_bytes", 100),
        ("answer_days", 0),
        ("log_level", "loud"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: "):
        load_settings(**{name: value})


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADIMPRESS_BATCH", "3")
    monkeypatch.setenv("RADIMPRESS_BUNDLES", "/srv/bundles")
    settings = load_settings()
    assert (settings.batch, settings.bundles) == (3, "/srv/bundles")


def test_the_environment_cannot_open_the_server_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADIMPRESS_LISTEN", "0.0.0.0:50051")
    with pytest.raises(ConfigError, match="not loopback"):
        load_settings()


def test_what_is_given_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADIMPRESS_BATCH", "3")
    assert load_settings(batch=5).batch == 5
    assert load_settings(batch=None).batch == 3


def test_bundles_may_lie_in_a_folder_or_behind_a_url() -> None:
    assert load_settings(bundles=Path("/srv/bundles")).bundles == "/srv/bundles"
    assert load_settings(bundles="s3://bucket/bundles").bundles == "s3://bucket/bundles"


def test_a_server_without_a_name_is_called_as_its_machine() -> None:
    assert load_settings().name == socket.gethostname()
    assert load_settings(server_name="one").name == "one"


def test_lists_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADIMPRESS_LANGUAGES", '["en", "de"]')
    assert load_settings().languages == ("en", "de")


@pytest.mark.parametrize("name", ["RADIMPRESS_RATE_PER_SECONDS", "radimpress_token_file", "RADIMPRESS_"])
def test_a_variable_that_only_looks_like_a_setting_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "a secret value")
    with pytest.raises(ConfigError, match=name) as caught:
        load_settings()
    assert "secret" not in str(caught.value)


def test_the_setting_that_was_meant_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADIMPRESS_RATE_PER_SECONDS", "5")
    with pytest.raises(ConfigError, match="RADIMPRESS_RATE_PER_SECOND is"):
        load_settings()


@pytest.mark.parametrize(
    "name",
    [
        "RADIMPRESS_CACHE",
        "RADIMPRESS_TOKEN",
        "_RADIMPRESS_COMPLETE",
        "RADIMPRESSION",
        "RADIMPRESS_SERVICE_HOST",
        "RADIMPRESS_SERVER_SERVICE_PORT_GRPC",
        "RADIMPRESS_PORT",
        "RADIMPRESS_PORT_50051_TCP_ADDR",
    ],
)
def test_variables_of_others_are_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "tcp://10.0.0.1:50051")
    load_settings()
