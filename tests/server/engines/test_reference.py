from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.server.engines.fingerprint import LIKELIEST, PROBES
from radimpress.server.engines.reference import kept_reference, probe_ids, take_reference
from radimpress.server.engines.vllm import Shared, VllmEngine
from radimpress.trainer import bases, fetch
from radimpress.trainer.bases import base_digest
from radimpress.trainer.load import load_tokens
from tests.conftest import TINY
from tests.server.commands import Run, run
from tests.server.engines.standin import StandIn
from tests.server.engines.test_vllm import stranger

__all__ = ["run", "stranger"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RADIMPRESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_taken_is_kept_for_these_files_and_prompts(tiny_folder: Path, cache: Path) -> None:
    digest, probes = base_digest(TINY, tiny_folder), probe_ids(load_tokens(TINY, tiny_folder))
    assert kept_reference(digest, probes) is None
    place = take_reference(TINY, tiny_folder)
    assert place.is_relative_to(cache)
    kept = kept_reference(digest, probes)
    assert kept is not None
    assert [len(one) for one in kept] == [LIKELIEST] * len(PROBES)
    assert kept_reference("0" * 64, probes) is None
    assert kept_reference(digest, probes[:-1]) is None


def test_a_server_says_what_the_weights_say(tiny_folder: Path, tmp_path: Path) -> None:
    take_reference(TINY, tiny_folder)
    with StandIn(tiny_folder) as server:
        engine = VllmEngine(TINY, tiny_folder, [server.url], Shared(tmp_path), context=512)
        assert engine.missing == ""
        engine.close()


def test_the_first_server_with_another_model_is_found_out(tiny_folder: Path, stranger: Path, tmp_path: Path) -> None:
    take_reference(TINY, tiny_folder)
    with StandIn(stranger) as server:
        engine = VllmEngine(TINY, tiny_folder, [server.url], Shared(tmp_path), context=512)
        assert "answers differently" in engine.missing
        engine.close()


def test_the_command_takes_it(run: Run, tiny_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bases.BASES, "tiny", replace(TINY, name="tiny"))
    monkeypatch.setattr(fetch, "base_folder", lambda base, track: tiny_folder)
    done = run("engine", "fingerprint", "--base", "tiny", "--json")
    assert done.code == 0
    assert str(cache) in done.out
    assert run("engine", "fingerprint", "--base", "nobody").code == 2
