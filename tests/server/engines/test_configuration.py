from __future__ import annotations

from pathlib import Path

import pytest

from radimpress.reports.errors import ConfigError, NotFoundError
from radimpress.reports.report import Modality
from radimpress.server.engines.configuration import read_engines
from radimpress.server.settings import load_settings

TWO = """
[[engine]]
kind = "inprocess"

[[engine]]
kind = "vllm"
urls = ["http://vllm-0:8000/", "https://vllm-1:8000"]
adapters = "/bundles"
modalities = ["MR", "CT"]
clinics = ["alder"]
"""


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "engines.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_engine_for_the_rest_comes_last(tmp_path: Path) -> None:
    special, rest = read_engines(_file(tmp_path, TWO))
    assert (special.kind, rest.kind) == ("vllm", "inprocess")
    assert special.urls == ("http://vllm-0:8000", "https://vllm-1:8000")
    assert special.answers(Modality.MR, "alder")
    assert not special.answers(Modality.MR, "birch")
    assert not special.answers(Modality.NM, "alder")
    assert rest.answers(Modality.UNSPECIFIED, "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "engine: Field required"),
        ("engine = 3", "engine"),
        ("[[engine", "no TOML"),
        ('[[engine]]\nkind = "vllm"', "vllm needs urls"),
        ('[[engine]]\nkind = "inprocess"\nurls = ["http://a:1"]', "inprocess has no urls"),
        ('[[engine]]\nkind = "fake"\nadapters = "/x"', "need urls"),
        ('[[engine]]\nkind = "fake"\nmodality = ["MR"]', "modality: Extra inputs"),
        ('[[engine]]\nkind = "fake"\nmodalities = ["MRT"]', "modalities"),
        ('[[engine]]\nkind = "remote"', "kind"),
        ('[[engine]]\nkind = "vllm"\nurls = ["http://a:1", "http://a:1/"]', "stands twice"),
        ('[[engine]]\nkind = "fake"\nmodalities = ["MR"]', "0 engines name neither"),
        ('[[engine]]\nkind = "fake"\n[[engine]]\nkind = "fake"', "2 engines name neither"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_engines(_file(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_engines(tmp_path / "engines.toml")


@pytest.mark.parametrize(
    "url",
    [
        "vllm:8000",
        "ftp://vllm",
        "http://",
        "http://user:secret@vllm:8000",
        "http://vllm/v1",
        "http://vllm:99999",
        "http://vllm?a",
    ],
)
def test_a_url_that_is_none_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^engine_urls\.0: ") as caught:
        load_settings(engine="vllm", engine_urls=[url])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"engine": "vllm"}, "vllm needs urls"),
        ({"engine_urls": ["http://a:1"]}, "inprocess has no urls"),
        ({"engine_token": "t"}, "need urls"),
        ({"engines": "e.toml", "engine": "fake"}, "engines takes the place of engine"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_settings(**given)


def test_replicas_are_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADIMPRESS_ENGINE", "vllm")
    monkeypatch.setenv("RADIMPRESS_ENGINE_URLS", '["http://vllm-0:8000"]')
    assert load_settings().engine_urls == ("http://vllm-0:8000",)


@pytest.mark.parametrize("text", ["", "  \n", "two words", "tök"])
def test_a_file_that_holds_no_token_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text, "utf-8")
    toml = f'[[engine]]\nkind = "vllm"\nurls = ["http://a:1"]\ntoken = "{tmp_path / "token"}"'
    with pytest.raises(ConfigError, match="holds no token"):
        read_engines(_file(tmp_path, toml))[0].secret()


def test_a_token_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n", "utf-8")
    toml = f'[[engine]]\nkind = "vllm"\nurls = ["http://a:1"]\ntoken = "{tmp_path / "token"}"'
    assert read_engines(_file(tmp_path, toml))[0].secret() == "abc"
