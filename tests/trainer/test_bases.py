from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.reports.errors import NotFoundError
from radimpress.trainer.bases import BASES, DEFAULT_BASE, BaseModel, Wheel, base_digest, find_base
from tests.conftest import TINY


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "base"))


def test_the_default_base_is_in_the_table() -> None:
    assert find_base(DEFAULT_BASE).name == DEFAULT_BASE


def test_a_base_that_is_not_in_the_table_is_not_found_and_the_table_is_told() -> None:
    with pytest.raises(NotFoundError, match="holds mediphi-instruct, smollm2-135m-instruct"):
        find_base("gpt")


@pytest.mark.parametrize("base", BASES.values(), ids=lambda base: base.name)
def test_the_end_of_turn_stops_an_impression(base: BaseModel) -> None:
    assert base.end in base.stop


@pytest.mark.parametrize("base", BASES.values(), ids=lambda base: base.name)
def test_a_wheel_is_pinned_by_version_and_sha256(base: BaseModel) -> None:
    if isinstance(base.source, Wheel):
        assert "==" in base.source.requirement
        assert len(bytes.fromhex(base.source.sha256)) == 32
    else:
        assert base.source.count("/") == 1


def test_a_base_has_one_digest_wherever_it_lies(tiny_folder: Path, folder: Path) -> None:
    assert base_digest(TINY, folder) == base_digest(TINY, tiny_folder)


def test_in_int8_it_is_another_base(tiny_folder: Path) -> None:
    assert base_digest(replace(TINY, quantisation="int8"), tiny_folder) != base_digest(TINY, tiny_folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_byte_more_in_a_decisive_file_is_another_base(folder: Path, name: str) -> None:
    before = base_digest(TINY, folder)
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    assert base_digest(TINY, folder) != before


def test_a_decisive_file_more_is_another_base_and_a_readme_is_not(folder: Path) -> None:
    before = base_digest(TINY, folder)
    (folder / "README.md").write_text("words", "utf-8")
    assert base_digest(TINY, folder) == before
    (folder / "extra.json").write_text("{}", "utf-8")
    assert base_digest(TINY, folder) != before


def test_a_folder_without_weights_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    with pytest.raises(NotFoundError, match="no safetensors weights"):
        base_digest(TINY, tmp_path)
