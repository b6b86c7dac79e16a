from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from radimpress.reports.errors import InputError, NotFoundError
from radimpress.reports.files import digest_of
from radimpress.reports.read import Archive, Reading, read_archive
from radimpress.reports.report import Modality

ROW = {
    "id": "a",
    "findings": "The lungs are clear.",
    "impression": "No acute abnormality.",
    "modality": "CT",
    "clinic": "alder",
}


def _jsonl(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), "utf-8")
    return path


def _csv(path: Path, head: list[str], *rows: list[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def _read(path: Path) -> Archive:
    return read_archive([path])


def test_json_lines_are_read_with_all_their_columns(tmp_path: Path) -> None:
    extra = {"exam": "CT chest", "indication": "cough", "comparison": "none", "patient": "p1", "source": "s"}
    (report,) = _read(_jsonl(tmp_path / "r.jsonl", {**ROW, **extra})).reports
    assert {name: getattr(report, name) for name in (*ROW, *extra)} == {**ROW, **extra}


def test_csv_and_json_lines_of_the_same_records_read_the_same(tmp_path: Path) -> None:
    as_csv = _csv(tmp_path / "r.csv", list(ROW), list(ROW.values()))
    assert _read(as_csv).reports == _read(_jsonl(tmp_path / "r.jsonl", ROW)).reports


def test_several_files_are_one_archive_in_order(tmp_path: Path) -> None:
    paths = [_jsonl(tmp_path / f"{name}.jsonl", {**ROW, "id": name}) for name in ("b", "a")]
    assert [report.id for report in read_archive(paths).reports] == ["b", "a"]


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        _read(tmp_path / "none.jsonl")


@pytest.mark.parametrize("name", ["r.pdf", "r.json", "reports"])
def test_a_file_that_no_reader_knows_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"%PDF-1.7 \x00\x01")
    with pytest.raises(InputError, match="no reader knows it; name one of jsonl csv"):
        _read(tmp_path / name)


@pytest.mark.parametrize("column", ["findings", "impression", "modality"])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_file_without_a_required_column_is_refused_by_its_name(tmp_path: Path, column: str, ending: str) -> None:
    row = {name: value for name, value in ROW.items() if name != column}
    path = tmp_path / f"r.{ending}"
    _csv(path, list(row), list(row.values())) if ending == "csv" else _jsonl(path, row)
    with pytest.raises(InputError, match="has no such column") as caught:
        _read(path)
    assert caught.value.field == column


def test_a_file_with_neither_clinic_nor_source_is_refused(tmp_path: Path) -> None:
    row = {name: value for name, value in ROW.items() if name != "clinic"}
    with pytest.raises(InputError, match="no source column either"):
        _read(_jsonl(tmp_path / "r.jsonl", row))


def test_source_stands_in_for_a_missing_clinic_column(tmp_path: Path) -> None:
    row = {**{name: value for name, value in ROW.items() if name != "clinic"}, "source": "north"}
    archive = _read(_jsonl(tmp_path / "r.jsonl", row))
    assert archive.clinic_column == "source"
    assert [report.clinic for report in archive.reports] == ["north"]


def test_source_does_not_stand_in_for_an_empty_clinic(tmp_path: Path) -> None:
    archive = _read(_jsonl(tmp_path / "r.jsonl", {**ROW, "clinic": None, "source": "north"}))
    assert [report.clinic for report in archive.reports] == [""]


@pytest.mark.parametrize("broken", ["{", "not json", '{"findings": "x"', "\x00"])
def test_a_broken_json_line_is_counted_and_the_others_are_read(tmp_path: Path, broken: str) -> None:
    archive = _read(_jsonl(tmp_path / "r.jsonl", ROW, broken, {**ROW, "id": "b"}))
    assert [report.id for report in archive.reports] == ["a", "b"]
    assert archive.unreadable == ("r.jsonl:2: not JSON",)


@pytest.mark.parametrize("line", ["[1, 2]", '"text"', "3", "null"])
def test_a_json_line_that_is_no_object_is_counted(tmp_path: Path, line: str) -> None:
    assert _read(_jsonl(tmp_path / "r.jsonl", ROW, line)).unreadable == ("r.jsonl:2: not a JSON object",)


def test_a_line_that_is_not_utf8_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b'\n{"findings": "\xff\xfe"}\n')
    assert _read(path).unreadable == ("r.jsonl:2: not JSON",)


def test_a_line_nested_deeper_than_the_parser_goes_is_counted(tmp_path: Path) -> None:
    archive = _read(_jsonl(tmp_path / "r.jsonl", ROW, "[" * 100_000))
    assert len(archive.unreadable) == 1


def test_text_that_no_file_can_hold_does_not_get_past_reading(tmp_path: Path) -> None:
    archive = _read(_jsonl(tmp_path / "r.jsonl", ROW, '{"id": "b", "findings": "lungs \\ud800 clear"}'))
    for report in archive.reports:
        digest_of(report.findings)
    assert len(archive.reports) + len(archive.unreadable) == 2


def test_blank_lines_are_no_records_and_still_count_as_lines(tmp_path: Path) -> None:
    archive = _read(_jsonl(tmp_path / "r.jsonl", "", ROW, "  ", "{"))
    assert len(archive.reports) == 1
    assert archive.unreadable == ("r.jsonl:4: not JSON",)


def test_an_id_that_stands_twice_is_counted_even_across_files(tmp_path: Path) -> None:
    paths = [_jsonl(tmp_path / f"{name}.jsonl", ROW) for name in ("one", "two")]
    archive = read_archive(paths)
    assert len(archive.reports) == 1
    assert archive.unreadable == ("two.jsonl:1: the id stands twice",)


def test_a_record_without_an_id_takes_its_place_for_one(tmp_path: Path) -> None:
    row = {name: value for name, value in ROW.items() if name != "id"}
    assert [report.id for report in _read(_jsonl(tmp_path / "r.jsonl", row, row)).reports] == ["r.jsonl:1", "r.jsonl:2"]


def test_modality_text_that_is_not_known_reads_as_unspecified(tmp_path: Path) -> None:
    (report,) = _read(_jsonl(tmp_path / "r.jsonl", {**ROW, "modality": "holography"})).reports
    assert report.modality is Modality.UNSPECIFIED


def test_null_reads_as_empty_and_numbers_as_text(tmp_path: Path) -> None:
    (report,) = _read(_jsonl(tmp_path / "r.jsonl", {**ROW, "exam": None, "patient": 7})).reports
    assert (report.exam, report.patient) == ("", "7")


@pytest.mark.parametrize("fields", [["a", "f"], ["a", "f", "i", "CT", "alder", "more"]])
def test_a_csv_row_with_another_number_of_fields_is_counted(tmp_path: Path, fields: list[str]) -> None:
    archive = _read(_csv(tmp_path / "r.csv", list(ROW), list(ROW.values()), fields))
    assert archive.unreadable == ("r.csv:3: another number of fields than columns",)
    assert len(archive.reports) == 1


def test_a_csv_whose_rows_are_all_too_short_still_has_its_columns(tmp_path: Path) -> None:
    archive = _read(_csv(tmp_path / "r.csv", list(ROW), ["a", "f"]))
    assert archive.unreadable == ("r.csv:2: another number of fields than columns",)


def test_a_csv_without_rows_has_no_reports(tmp_path: Path) -> None:
    assert _read(_csv(tmp_path / "r.csv", list(ROW))).reports == ()


def test_a_csv_field_may_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    findings = 'Lungs, "clear".\nNo effusion.'
    (report,) = _read(_csv(tmp_path / "r.csv", list(ROW), ["a", findings, "i", "CT", "alder"])).reports
    assert report.findings == findings


def test_a_csv_with_a_byte_order_mark_has_its_first_column(tmp_path: Path) -> None:
    path = _csv(tmp_path / "r.csv", list(ROW), list(ROW.values()))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [report.id for report in _read(path).reports] == ["a"]


def test_a_row_of_csv_that_is_not_utf8_is_set_aside_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"id,findings,impression,modality,clinic\na,\xe9\xff,i,CT,alder\nb,f,i,CT,alder\n")
    archive = _read(path)
    assert archive.unreadable == ("r.csv:2: not UTF-8",)
    assert [report.id for report in archive.reports] == ["b"]


def test_a_csv_whose_head_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"id,findings,impression,modality,clinic,\xe9\na,f,i,CT,alder,x\n")
    with pytest.raises(InputError, match="head is not UTF-8"):
        _read(path)


def test_a_csv_with_an_open_quote_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text('id,findings,impression,modality,clinic\na,"never closed,i,CT,alder\n', "utf-8")
    with pytest.raises(InputError, match=r"r\.csv"):
        _read(path)


def test_a_row_of_csv_with_a_wrong_quote_is_set_aside_and_the_next_ones_are_read(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    rows = ['a,"ok",i,CT,n', 'b,"x"y,i,CT,n', "c,ok,i,CT,n", 'd,"never closed,i,CT,n', 'e,"ok",i,CT,n', "f,ok,i,CT,n"]
    path.write_text("\n".join(["id,findings,impression,modality,clinic", *rows]) + "\n", "utf-8")
    archive = _read(path)
    assert [report.id for report in archive.reports] == ["a", "c", "f"]
    assert [one.split(" (")[0] for one in archive.unreadable] == ["r.csv:3: not CSV", "r.csv:5: not CSV"]
    assert archive.unreadable[1].endswith("up to line 6")


def test_what_stands_below_a_wrong_quote_is_no_record_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    rows = ['n,"The "large" mass is new.', 'The heart is normal.","Mass.",CT', 'n,"Clear.","Normal.",CT', "n,ok,i,CT"]
    path.write_text("\n".join(["clinic,findings,impression,modality", *rows]) + "\n", "utf-8")
    archive = _read(path)
    assert [report.findings for report in archive.reports] == ["Clear.", "ok"]
    assert [one.split(":")[1] for one in archive.unreadable] == ["2", "3"]


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path) -> None:
    paths = []
    for folder in ("may", "june"):
        (tmp_path / folder).mkdir()
        paths += [tmp_path / folder / "r.jsonl", tmp_path / folder / "1.txt"]
        row = {name: value for name, value in ROW.items() if name != "id"}
        _jsonl(paths[-2], {**row, "findings": folder})
        paths[-1].write_text(f"FINDINGS: {folder}.\nIMPRESSION: Fine.\n", "utf-8")
    archive = read_archive(paths, Reading(clinic="n"))
    assert archive.unreadable == ()
    assert [report.findings for report in archive.reports] == ["may", "may.", "june", "june."]
    assert [report.id for report in archive.reports] == [f"{path}:1" for path in paths]
    (report,) = read_archive(paths[-1:], Reading(clinic="n")).reports
    assert report.id == "1.txt:1"


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_findings_of_100_000_characters_are_read_whole(tmp_path: Path, ending: str) -> None:
    row = {**ROW, "findings": "x" * 100_000}
    path = tmp_path / f"r.{ending}"
    _csv(path, list(row), list(row.values())) if ending == "csv" else _jsonl(path, row)
    assert [len(report.findings) for report in _read(path).reports] == [100_000]


def test_an_empty_file_is_an_empty_archive(tmp_path: Path) -> None:
    archive = _read(_jsonl(tmp_path / "r.jsonl"))
    assert (archive.reports, archive.unreadable) == ((), ())
