from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.reports.errors import InputError, NotFoundError
from radimpress.reports.files import (
    canonical,
    digest_of,
    load_reports,
    read_json,
    read_rows,
    sha256_file,
    write_atomic,
    write_json,
    write_reports,
    write_rows,
)
from radimpress.reports.report import Modality, Report

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=10,
)


@given(_JSON)
def test_canonical_json_reads_back_as_the_same_value(value: Any) -> None:
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(_TEXT, st.integers(), max_size=6))
def test_the_order_of_keys_does_not_change_a_digest(value: dict[str, int]) -> None:
    assert digest_of(dict(reversed(value.items()))) == digest_of(value)


def test_another_value_has_another_digest() -> None:
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_a_digest_is_sha256_of_the_canonical_bytes() -> None:
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()
    assert digest_of({"a": None}) == hashlib.sha256(b'{"a":null}').hexdigest()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_sha256_of_a_file_is_that_of_its_bytes_whatever_the_size(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(b"x" * size)
    assert sha256_file(tmp_path / "f") == hashlib.sha256(b"x" * size).hexdigest()


def test_writing_makes_the_folders_and_leaves_nothing_beside(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b" / "f", b"whole")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["f"]
    assert (tmp_path / "a" / "b" / "f").read_bytes() == b"whole"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(f"{self} is not renamed to {target}")

    path = tmp_path / "f"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="is not renamed"):
        write_atomic(path, b"new")
    assert [other.name for other in tmp_path.iterdir()] == ["f"]
    assert path.read_bytes() == b"old"


def test_json_that_is_written_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "f.json", {"a": ["é", 1, None]})
    assert read_json(tmp_path / "f.json") == {"a": ["é", 1, None]}


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe\x00"])
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f.json").write_bytes(data)
    with pytest.raises(InputError, match="is not JSON"):
        read_json(tmp_path / "f.json")


def test_a_json_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_json(tmp_path / "none.json")
    with pytest.raises(NotFoundError):
        read_rows(tmp_path / "none.jsonl")


def test_a_row_that_is_not_json_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "f.jsonl").write_text("1\n{\n", "utf-8")
    with pytest.raises(InputError, match=r"f\.jsonl:2: is not JSON"):
        read_rows(tmp_path / "f.jsonl")


def test_rows_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f.jsonl").write_bytes(b'1\n"\xff"\n')
    with pytest.raises(InputError):
        read_rows(tmp_path / "f.jsonl")


@given(st.lists(_JSON, max_size=5))
def test_rows_that_are_written_are_read(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    path = tmp_path_factory.mktemp("rows") / "f.jsonl"
    write_rows(path, rows)
    assert read_rows(path) == rows


@pytest.mark.parametrize("character", ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_report_with_any_line_end_in_it_is_read_back_as_it_was(tmp_path: Path, character: str) -> None:
    report = Report(id="1", findings=f"Lungs clear.{character}No effusion.", modality=Modality.CT)
    write_reports(tmp_path / "r.jsonl", [report])
    assert load_reports(tmp_path / "r.jsonl") == [report]


def test_no_reports_are_read_back_as_none(tmp_path: Path) -> None:
    write_reports(tmp_path / "r.jsonl", [])
    assert load_reports(tmp_path / "r.jsonl") == []
