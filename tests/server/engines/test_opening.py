from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.reports.errors import ConfigError, NotFoundError
from radimpress.server.engines import opening
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.engines.opening import bundle_folder, open_engine
from radimpress.server.engines.vllm import VllmEngine
from radimpress.server.settings import load_settings
from radimpress.trainer import bases, fetch
from tests.conftest import TINY
from tests.server.engines.standin import StandIn


def test_the_fake_engine_needs_nothing() -> None:
    assert open_engine(load_settings(engine="fake")).base_name == "fake"


def test_a_base_model_that_is_not_in_the_table_is_told() -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        open_engine(load_settings(base="nobody"))


def test_arithmetic_that_vllm_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="in-process engine's alone"):
        open_engine(load_settings(engine="vllm", engine_urls=["http://a:1"], base="smollm2-135m-instruct-int8"))


def test_vllm_is_opened_with_its_token(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bases.BASES, "tiny", replace(TINY, name="tiny"))
    monkeypatch.setattr(fetch, "base_folder", lambda base, track: tiny_folder)
    (tmp_path / "token").write_text("right\n", "utf-8")
    with StandIn(tiny_folder, token="right") as server:
        settings = load_settings(
            engine="vllm", base="tiny", engine_urls=[server.url], engine_token=tmp_path / "token", bundles=tmp_path
        )
        engine = open_engine(settings)
        assert isinstance(engine, VllmEngine)
        assert engine.missing == ""
        engine.close()


def test_engines_that_were_opened_are_closed_when_another_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Fake(FakeEngine):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(opening, "FakeEngine", Fake)
    (tmp_path / "engines.toml").write_text(
        '[[engine]]\nkind = "fake"\nmodalities = ["MR"]\n[[engine]]\nkind = "inprocess"\n', "utf-8"
    )
    with pytest.raises(NotFoundError):
        open_engine(load_settings(engines=tmp_path / "engines.toml", base="nobody"))
    assert [one.closed for one in made] == [True]


def test_several_engines_are_opened_as_one(tmp_path: Path) -> None:
    (tmp_path / "engines.toml").write_text(
        '[[engine]]\nkind = "fake"\nmodalities = ["MR"]\n[[engine]]\nkind = "fake"\n', "utf-8"
    )
    engine = open_engine(load_settings(engines=tmp_path / "engines.toml"))
    assert engine.base_name == "fake"
    engine.close()


def test_bundles_of_a_url_lie_in_the_cache(tmp_path: Path) -> None:
    assert bundle_folder(load_settings(bundles="/srv/bundles")) == Path("/srv/bundles")
    assert bundle_folder(load_settings(bundles="s3://a/b", bundle_cache=tmp_path)) == tmp_path
