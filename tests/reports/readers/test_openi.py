from __future__ import annotations

from pathlib import Path

from radimpress.reports.read import Reading, Told, Unreadable, stream
from radimpress.reports.readers import guess_kind
from radimpress.reports.report import Modality, Report

_XML = """<?xml version="1.0"?>
<eCitation><uId id="CXR7"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText>
<AbstractText Label="INDICATION">Cough &amp; fever</AbstractText>
<AbstractText Label="FINDINGS">The lungs
are clear.</AbstractText>
<AbstractText Label="IMPRESSION">Normal chest.</AbstractText>
</Abstract></Article></MedlineCitation></eCitation>
"""
_REPORT = Report(
    id="CXR7",
    findings="The lungs are clear.",
    impression="Normal chest.",
    modality=Modality.CR,
    clinic="openi",
    indication="Cough & fever",
    comparison="None.",
    source="openi",
)


def _read(path: Path) -> list[Report | Unreadable]:
    assert guess_kind(path) == "openi"
    return list(stream([path], Reading(), Told()))


def test_a_file_of_xml_is_a_report(tmp_path: Path) -> None:
    (tmp_path / "7.xml").write_text(_XML, "utf-8")
    assert _read(tmp_path / "7.xml") == [_REPORT]


def test_a_folder_of_xml_is_read_file_by_file_and_what_is_broken_or_hostile_is_set_aside(tmp_path: Path) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "boom">]><a><AbstractText>&b;</AbstractText></a>'
    for name, text in (("1", _XML[:200]), ("2", bomb), ("3", "<a/>"), ("4", _XML)):
        (tmp_path / f"{name}.xml").write_text(text, "utf-8")
    found = _read(tmp_path)
    assert [str(one) for one in found[:3]] == [
        f"{tmp_path.name}:1.xml:1: not XML that may be read",
        f"{tmp_path.name}:2.xml:1: not XML that may be read",
        f"{tmp_path.name}:3.xml:1: no AbstractText, as Open-i's reports have",
    ]
    assert found[3] == _REPORT


def test_the_csv_is_known_by_its_columns(tmp_path: Path) -> None:
    head = "uid,MeSH,Problems,image,indication,comparison,findings,impression"
    row = "7,normal,normal,Xray Chest PA and Lateral,Cough & fever,None.,The lungs are clear.,Normal chest."
    (tmp_path / "r.csv").write_text(f"{head}\n{row}\n", "utf-8")
    (found,) = _read(tmp_path / "r.csv")
    assert isinstance(found, Report)
    assert (found.id, found.exam, found.impression) == ("CXR7", "Xray Chest PA and Lateral", "Normal chest.")
