from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from radimpress.reports.errors import InputError, NotFoundError
from radimpress.reports.read import Reading, Told, Unreadable, stream
from radimpress.reports.readers import KINDS, guess_kind, open_rows
from radimpress.reports.report import Modality, Report

ROWS: list[dict[str, Any]] = [
    {"id": "a", "findings": "Lungs clear.", "impression": "No disease.", "modality": "CT", "clinic": "north"},
    {"id": "b", "findings": 'Said "so", é.\nTwice.', "impression": "Stable.", "modality": "MRI", "clinic": "south"},
]


def _write(path: Path, kind: str) -> Path:
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    elif kind in ("csv", "tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(ROWS[0]), delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(ROWS)
    else:
        from pyarrow import Table
        from pyarrow.parquet import write_table

        if kind == "parquet":
            write_table(Table.from_pylist(ROWS), path)
        else:
            from datasets import Dataset

            Dataset.from_list(ROWS).save_to_disk(str(path))
    return path


def _read(path: Path, **reading: Any) -> list[Report | Unreadable]:
    return list(stream([path], Reading(**reading), Told()))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "parquet", "dataset"])
def test_the_same_records_are_read_from_every_kind_of_table(tmp_path: Path, kind: str) -> None:
    path = _write(tmp_path / f"r.{kind}", kind)
    assert guess_kind(path) == ("csv" if kind == "tsv" else kind)
    assert _read(path) == [
        Report(**{**row, "modality": Modality.CT if row["modality"] == "CT" else Modality.MR}) for row in ROWS
    ]


@pytest.mark.parametrize("name", ["r.jsonl", "no-ending", "r.dat"])
def test_the_content_tells_the_kind_and_not_the_name(tmp_path: Path, name: str) -> None:
    assert guess_kind(_write(tmp_path / name, "jsonl")) == "jsonl"


def test_columns_are_read_under_the_names_that_are_given(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"Befund": "Frei.", "Beurteilung": "Nichts.", "Geraet": "CT", "Haus": "n"}), "utf-8")
    columns = {"findings": "Befund", "impression": "Beurteilung", "modality": "Geraet", "clinic": "Haus"}
    (report,) = _read(path, columns=columns)
    assert report == Report(id="r.jsonl:1", findings="Frei.", impression="Nichts.", modality=Modality.CT, clinic="n")
    with pytest.raises(InputError, match=r"findings: r.jsonl has no such column \(findings\)"):
        _read(path)
    with pytest.raises(ValueError, match="befunde is none of"):
        Reading(columns={"befunde": "x"})


def test_a_clinic_that_is_given_stands_where_the_files_do_not_say(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"findings": "f", "impression": "i", "exam": "CT chest"}), "utf-8")
    (report,) = _read(path, clinic="north")
    assert (report.clinic, report.modality) == ("north", Modality.CT)  # type: ignore[union-attr]


def test_the_examination_tells_the_modality_where_its_column_does_not(tmp_path: Path) -> None:
    told, path = Told(), tmp_path / "r.jsonl"
    rows = [
        {"findings": "f", "impression": "i", "modality": "RAD", "exam": "XR Chest 2 Views", "clinic": "n", "id": "1"},
        {"findings": "f", "impression": "i", "modality": "MRI", "exam": "CT head", "clinic": "n", "id": "2"},
        {"findings": "f", "impression": "i", "modality": "?", "exam": "Consultation", "clinic": "n", "id": "3"},
        {"findings": "f", "impression": "i", "modality": "long " * 20, "clinic": "n", "id": "4"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    found = list(stream([path], Reading(), told))
    assert [one.modality for one in found] == ["XR", "MR", "UNSPECIFIED", "UNSPECIFIED"]  # type: ignore[union-attr]
    assert told.modalities == {
        ("RAD", Modality.XR): 1,
        ("MRI", Modality.MR): 1,
        ("?", Modality.UNSPECIFIED): 1,
        ("(long text)", Modality.UNSPECIFIED): 1,
    }


def test_the_study_stands_for_a_patient_that_is_not_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    row = {**ROWS[0], "study": "acc-1"}
    path.write_text("".join(json.dumps(one) + "\n" for one in (row, {**row, "id": "z", "patient": "p"})), "utf-8")
    assert [one.patient for one in _read(path)] == ["acc-1", "p"]  # type: ignore[union-attr]


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        open_rows(tmp_path / "nothing")


def test_a_kind_that_nobody_reads_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="kind: 'pdf' is none of jsonl csv"):
        open_rows(_write(tmp_path / "r.jsonl", "jsonl"), "pdf")


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"\xff\xfe\x00", b"{" * 5000, b"MSH|^~\\&|\r" * 3])
def test_a_file_of_another_kind_is_refused_or_set_aside_by_every_reader(
    tmp_path: Path, kind: str, content: bytes
) -> None:
    path = tmp_path / "r.bin"
    path.write_bytes(content)
    try:
        rows = list(open_rows(path, kind))
    except InputError as error:
        assert "r.bin" in str(error)  # noqa: PT017 (that it is raised is not what is shown)
    else:
        assert all(isinstance(row, dict | str) for _, row in rows)
