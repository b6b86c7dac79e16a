"""Open-i's chest radiographs (Demner-Fushman et al. 2016): its XML, and the CSV that goes round of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radimpress.reports.readers import delimited
from radimpress.reports.readers.rows import RECORD_MAX, Row
from radimpress.reports.report import Modality

# The CSV's columns, by which it is known.
COLUMNS = frozenset({"uid", "findings", "impression", "indication", "comparison", "image"})


def read(path: Path) -> Iterator[Row]:
    """Yields the report of an XML file, or each of a CSV file, or of a folder of XML files."""
    if path.is_dir():
        for file in sorted(path.glob("*.xml")):
            for place, row in read(file):
                yield f"{file.name}:{place}", row
    elif path.suffix == ".csv":
        for place, row in delimited.read(path):
            yield place, row if isinstance(row, str) else _of_csv(row)
    else:
        yield "1", _of_xml(path)


def _of_csv(row: dict[str, object]) -> dict[str, object]:
    exam = str(row.get("image") or "").strip()
    return {**row, "id": f"CXR{row.get('uid')}", "exam": exam, "modality": Modality.CR.value, "source": "openi"}


def _of_xml(path: Path) -> dict[str, object] | str:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, parse

    try:
        if path.stat().st_size > RECORD_MAX:
            return f"has more than {RECORD_MAX} bytes"
        root: Any = parse(path).getroot()
    except (ParseError, DefusedXmlException, ValueError, RecursionError):
        return "not XML that may be read"
    texts = {
        str(node.get("Label") or "").lower(): " ".join("".join(node.itertext()).split())
        for node in root.iter("AbstractText")
    }
    if not texts:
        return "no AbstractText, as Open-i's reports have"
    uid = root.find(".//uId")
    title = root.find(".//image")
    return {
        "id": uid.get("id") if uid is not None else path.stem,
        "findings": texts.get("findings", ""),
        "impression": texts.get("impression", ""),
        "indication": texts.get("indication", ""),
        "comparison": texts.get("comparison", ""),
        "exam": " ".join((title.text or "").split()) if title is not None else "",
        "modality": Modality.CR.value,
        "source": "openi",
    }
