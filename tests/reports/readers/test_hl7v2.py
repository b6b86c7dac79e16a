"""HL7 messages as the hl7 library makes them, and as systems spoil them."""

from __future__ import annotations

from pathlib import Path
from time import process_time

import hl7
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radimpress.reports.read import Reading, Told, Unreadable, stream
from radimpress.reports.readers import guess_kind, open_rows
from radimpress.reports.report import Modality, Report

FINDINGS = "Liver & spleen normal | no mass ^ none ~ left kidney 3 cm \\ right 2 cm."
IMPRESSION = "1. No acute disease.\n2. Follow-up CT in 6 months."


def _escaped(text: str, message: hl7.Message) -> str:
    return "\\.br\\".join(str(message.escape(line)) for line in text.split("\n"))


def _message(*observed: tuple[str, str], order: str = "ACC1", charset: str = "UNICODE UTF-8", status: str = "F") -> str:
    head = f"MSH|^~\\&|RIS|NORTH^1.2|EHR|CITY|20260101||ORU^R01^ORU_R01|M{order}|P|2.5.1|||||||{charset}"
    message = hl7.parse(head + "\r")
    lines = [
        head,
        "PID|1||P123^^^N||Doe^J",
        f"OBR|1||{order}|71250^CT CHEST W/O CONTRAST^L" + "|" * 20 + f"CT|{status}",
    ]
    for number, (name, text) in enumerate(observed, start=1):
        value = "~".join(_escaped(one, message) for one in text.split("\f"))
        lines.append(f"OBX|{number}|TX|{name}||{value}||||||F")
    return "\r".join(lines) + "\r"


def _read(path: Path, data: bytes) -> list[Report | Unreadable]:
    path.write_bytes(data)
    assert guess_kind(path) == "hl7"
    return list(stream([path], Reading(), Told()))


@pytest.mark.parametrize("names", [("59776-5^Findings^LN", "19005-8^Impression^LN"), ("&GDT", "71250&IMP"),
                                   ("FIND^FINDINGS", "IMP^IMPRESSION")])  # fmt: skip
def test_sections_are_known_by_their_identifiers_and_text_comes_back_as_it_was(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    message = _message((names[0], FINDINGS), (names[1], IMPRESSION))
    assert _read(tmp_path / "m.hl7", message.encode()) == [
        Report(
            id="ACC1/MACC1",
            findings=FINDINGS,
            impression=IMPRESSION,
            modality=Modality.CT,
            clinic="NORTH",
            exam="CT CHEST W/O CONTRAST",
            patient="P123",
        )
    ]


def test_many_segments_and_repetitions_of_a_section_are_joined(tmp_path: Path) -> None:
    parts = [
        ("F^Findings", "One."),
        ("F^Findings", "Two.\fThree."),
        ("I^Impression", "Four."),
        ("I^Impression", "Five."),
    ]
    (report,) = _read(tmp_path / "m.hl7", _message(*parts).encode())
    assert isinstance(report, Report)
    assert (report.findings, report.impression) == ("One.\nTwo.\nThree.", "Four.\nFive.")


def test_text_without_identifiers_is_cut_by_its_headings(tmp_path: Path) -> None:
    lines = ["INDICATION: Cough.", "FINDINGS: Clear.", "No effusion.", "IMPRESSION: Normal chest."]
    (report,) = _read(tmp_path / "m.hl7", _message(*(("71250^CT", line) for line in lines)).encode())
    assert isinstance(report, Report)
    assert (report.findings, report.impression, report.indication) == (
        "Clear.\nNo effusion.",
        "Normal chest.",
        "Cough.",
    )


@pytest.mark.parametrize(("charset", "encoding"), [("8859/1", "latin-1"), ("", "utf-8"), ("", "latin-1"),
                                                   ("UNICODE UTF-8", "utf-8"), ("NOTHING/9", "utf-8")])  # fmt: skip
def test_the_charset_that_the_message_names_is_used(tmp_path: Path, charset: str, encoding: str) -> None:
    message = _message(("F^Findings", "Größe 3 µm, Ménière."), ("I^Impression", "Ménière."), charset=charset)
    (report,) = _read(tmp_path / "m.hl7", message.encode(encoding))
    assert isinstance(report, Report)
    assert report.findings == "Größe 3 µm, Ménière."


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("framed", [False, True])
@pytest.mark.parametrize("batch", [False, True])
def test_files_of_many_messages_are_read_however_they_are_framed(
    tmp_path: Path,
    end: str,
    framed: bool,
    batch: bool,
) -> None:
    made = [_message(("F^Findings", f"Report {n}."), ("I^Impression", "None."), order=f"A{n}") for n in range(3)]
    made = [one.replace("\r", end) for one in made]
    text = "".join(f"\x0b{one}\x1c\r" if framed else one for one in made)
    if batch:
        text = f"FHS|^~\\&|X{end}BHS|^~\\&|X{end}{text}BTS|3{end}FTS|1{end}"
    found = _read(tmp_path / "m.hl7", text.encode())
    assert [one.findings for one in found] == ["Report 0.", "Report 1.", "Report 2."]  # type: ignore[union-attr]


def test_two_orders_of_one_message_are_two_reports(tmp_path: Path) -> None:
    first = _message(("F^Findings", "One."), ("I^Impression", "Eins."))
    second = "".join(line + "\r" for line in _message(("F^Findings", "Two."), order="ACC2").split("\r")[2:-1])
    found = _read(tmp_path / "m.hl7", (first + second).encode())
    assert [(one.findings, one.patient) for one in found] == [("One.", "P123"), ("Two.", "P123")]  # type: ignore[union-attr]


def test_what_is_no_result_is_set_aside_with_its_place_and_why(tmp_path: Path) -> None:
    good = _message(("F^Findings", "One."))
    other = good.replace("ORU^R01^ORU_R01", "ADT^A01")
    empty = "\r".join(good.split("\r")[:2]) + "\r"
    cancelled = _message(("F^Findings", "secret"), status="X")
    found = _read(tmp_path / "m.hl7", (other + empty + cancelled + good).encode())
    assert [str(one) for one in found[:3]] == [
        "m.hl7:message 1: a message of type 'ADT', not ORU^R01",
        "m.hl7:message 2: an ORU^R01 message without an OBR segment",
        "m.hl7:message 3: its status (OBR-25) is 'X': no result",
    ]
    assert isinstance(found[3], Report)


def test_a_line_feed_within_a_field_is_part_of_the_text(tmp_path: Path) -> None:
    message = _message(("F^Findings", "One. Two."), ("I^Impression", "Three.")).replace("One. Two.", "One.\nand two.")
    (report,) = _read(tmp_path / "m.hl7", message.encode())
    assert isinstance(report, Report)
    assert report.findings == "One.\nand two."


_WHOLE = (_message(("F^Findings", FINDINGS), ("I^Impression", IMPRESSION)) * 2).encode()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(_WHOLE)), st.binary(max_size=40), st.integers(0, len(_WHOLE)))
def test_nothing_that_is_cut_or_spoilt_stops_the_run(tmp_path: Path, at: int, junk: bytes, end: int) -> None:
    path = tmp_path / "m.hl7"
    path.write_bytes(_WHOLE[:at] + junk + _WHOLE[at:end])
    for place, row in open_rows(path, "hl7"):
        assert place.startswith("message")
        assert isinstance(row, dict | str)
        if isinstance(row, str):
            assert "Liver" not in row


@pytest.mark.parametrize(
    "data",
    [
        b"MSH",
        b"MSH|",
        b"MSH|^~\\&",
        b"MSH|^~\\&|" + b"|" * 10_000,
        b"MSH" * 10_000,
        b"MSH|^~\\&|\rOBX|" + b"~" * 100_000,
        b"\x0b\x1c\r" * 1000,
        b"PID|1\rOBR|2\r",
    ],
)
def test_hostile_messages_are_set_aside(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.hl7"
    path.write_bytes(data)
    assert all(isinstance(row, str) for _, row in open_rows(path, "hl7"))


def test_a_line_of_many_megabytes_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "m.hl7"
    path.write_bytes(b"MSH|^~\\&|" + b"x" * (20 << 20))
    begin = process_time()
    assert [row for _, row in open_rows(path, "hl7")] == ["has more than 16777216 bytes"]
    assert process_time() - begin < 3


@pytest.mark.parametrize(
    "charset", ["\x00", "a\x00b", "x" * 1000, "unicode_escape", "utf-7", "punycode", "idna", "hex"]
)
def test_a_charset_that_is_none_is_passed_over(tmp_path: Path, charset: str) -> None:
    said = "Liver \u00e9 +AOk-."
    message = _message(("F^Findings", said), ("I^Impression", IMPRESSION), charset=charset)
    [found] = _read(tmp_path / "m.hl7", message.encode())
    assert isinstance(found, Report)
    assert found.findings == said


def test_a_message_that_is_far_too_long_is_set_aside_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radimpress.reports.readers.hl7v2.RECORD_MAX", 2000)
    long = _message(*(("F^Findings", "x" * 500) for _ in range(20)))
    found = _read(tmp_path / "m.hl7", (long + _message(("F^Findings", "One."), order="A2")).encode())
    assert str(found[0]) == "m.hl7:message 1: has more than 2000 bytes"
    assert isinstance(found[1], Report)


@pytest.mark.parametrize(
    ("observed", "findings", "impression"),
    [
        # Under an identifier that nothing is known of, and under none.
        ([("F^Findings", "Clear."), ("B^Biometry", "BPD 8 cm."), ("I^Impression", "Fine.")],
         "Clear.\nBiometry: BPD 8 cm.", "Fine."),
        ([("F^Findings", "Clear."), ("I^Impression", "Fine."), ("B^Biometry", "BPD 8 cm.")],
         "Clear.\nBiometry: BPD 8 cm.", "Fine."),
        ([("F^Findings", "Clear."), ("", "Nodule."), ("I^Impression", "Fine."), ("", "Stable.")],
         "Clear.\nNodule.", "Fine.\nStable."),
        ([("", "Clear."), ("F^Findings", "Nodule."), ("I^Impression", "Fine.")], "Clear.\nNodule.", "Fine."),
        # The body under the procedure's code, beside an impression of its own.
        ([("71250^CT", "HISTORY: Cough.\nFINDINGS: Clear."), ("71250&IMP", "Fine.")], "Clear.", "Fine."),
        ([("71250^CT", "Clear."), ("71250&IMP", "Fine.")], "CT: Clear.", "Fine."),
        # All of it under one identifier.
        ([("71250&GDT", "FINDINGS: Clear.\nIMPRESSION: Fine.")], "Clear.", "Fine."),
        ([("71250&GDT", "FINDINGS: Clear.\nIMPRESSION: Fine."), ("71250&ADT", "More.")],
         "Clear.", "Fine.\nADDENDUM: More."),
        ([("F^Findings", "Clear."), ("X^Interpretation", "Fine.")], "Clear.", "Fine."),
        ([("F^Findings", "Clear."), ("A^Addendum", "More.")], "Clear.", ""),
        ([("F^Findings", "Clear."), ("I^Impression", "Fine."), ("P^Plan", "CT."), ("D^Dictated by", "Doe.")],
         "Clear.", "Fine."),
    ],
)  # fmt: skip
def test_no_text_is_lost_beside_sections_that_are_named(
    tmp_path: Path, observed: list[tuple[str, str]], findings: str, impression: str
) -> None:
    (report,) = _read(tmp_path / "m.hl7", _message(*observed).encode())
    assert isinstance(report, Report)
    assert (report.findings, report.impression) == (findings, impression)


@pytest.mark.parametrize("status", ["D", "X", "W"])
def test_a_text_that_was_withdrawn_is_left_out(tmp_path: Path, status: str) -> None:
    message = _message(("F^Findings", "Clear."), ("I^Impression", "Of another patient."), ("I^Impression", "Fine."))
    message = message.replace("patient.||||||F", f"patient.||||||{status}")
    (report,) = _read(tmp_path / "m.hl7", message.encode())
    assert isinstance(report, Report)
    assert (report.findings, report.impression) == ("Clear.", "Fine.")


def test_a_line_of_text_that_looks_like_a_segment_is_text(tmp_path: Path) -> None:
    text = "FINDINGS: Clear.\nLAD: patent.\nEND\nMSH, BTS and others agree.\nIMP: Normal chest."
    message = _message(("71250^CT", "TEXT")).replace("TEXT", text)
    (report,) = _read(tmp_path / "m.hl7", message.encode())
    assert isinstance(report, Report)
    assert report.findings == "Clear.\nLAD: patent.\nEND\nMSH, BTS and others agree."
    assert report.impression == "Normal chest."


def test_line_ends_that_are_escaped_as_bytes_are_line_ends(tmp_path: Path) -> None:
    message = _message(("F^Findings", "A TO B TO C"), ("I^Impression", "Fine."))
    message = message.replace("A TO B TO C", "A\\X0D\\B\\X0D0A\\C")
    (report,) = _read(tmp_path / "m.hl7", message.encode())
    assert isinstance(report, Report)
    assert report.findings == "A\nB\nC"
