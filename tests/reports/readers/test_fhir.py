"""FHIR resources as fhir.resources makes them, and as exports spoil them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.observation import Observation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radimpress.reports.read import Reading, Told, Unreadable, stream
from radimpress.reports.readers import guess_kind, open_rows
from radimpress.reports.report import Modality, Report

TEXT = 'INDICATION: Cough.\n\nFINDINGS: Größe 3 µm & clear <no> "mass".\nSecond line.\n\nIMPRESSION: Normal chest.'
FINDINGS = 'Größe 3 µm & clear <no> "mass".\nSecond line.'


def _resource(**more: Any) -> dict[str, Any]:
    given: dict[str, Any] = dict(
        id="r1",
        status="final",
        code={"text": "CT chest", "coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}]},
        subject={"reference": "Patient/p1"},
        performer=[{"reference": "Organization/north"}],
        identifier=[{"value": "ACC1"}],
        **more,
    )
    found: dict[str, Any] = json.loads(DiagnosticReport(**given).model_dump_json())
    return found


def _form(text: str, kind: str = "text/plain", encoding: str = "utf-8") -> dict[str, Any]:
    return {"contentType": kind, "data": base64.b64encode(text.encode(encoding)).decode()}


def _read(path: Path, data: str) -> list[Report | Unreadable]:
    path.write_text(data, "utf-8")
    assert guess_kind(path) == "fhir"
    return list(stream([path], Reading(), Told()))


@pytest.mark.parametrize(
    "form",
    [
        _form(TEXT),
        _form(TEXT, "text/plain; charset=iso-8859-1", "latin-1"),
        _form("<p>" + TEXT.replace("&", "&amp;").replace("<", "&lt;").replace("\n\n", "</p><p>").replace("\n", "<br/>")
              + "</p>", "text/html"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bundled", [False, True])
def test_the_presented_form_is_cut_by_its_headings(tmp_path: Path, form: dict[str, Any], bundled: bool) -> None:
    resource = _resource(presentedForm=[form])
    if bundled:
        entries: Any = [{"resource": resource}]
        whole = Bundle(type="collection", entry=entries)
        found = _read(tmp_path / "b.json", whole.model_dump_json(indent=1))
    else:
        found = _read(tmp_path / "r.ndjson", json.dumps(resource) + "\n")
    assert found == [
        Report(
            id="r1",
            findings=FINDINGS,
            impression="Normal chest.",
            modality=Modality.CT,
            clinic="Organization/north",
            exam="CT chest",
            indication="Cough.",
            patient="Patient/p1",
        )
    ]


def test_observations_that_are_sections_are_taken_and_the_conclusion_is_the_impression(tmp_path: Path) -> None:
    def observed(name: str, code: str, text: str) -> Observation:
        concept: Any = {"coding": [{"system": "http://loinc.org", "code": code}]}
        return Observation(id=name, status="final", code=concept, valueString=text)

    seen, asked = observed("o1", "59776-5", "Clear."), observed("o2", "18785-6", "Cough.")
    report = _resource(
        result=[{"reference": "#o1"}, {"reference": "urn:uuid:2"}, {"reference": "Observation/gone"}],
        contained=[json.loads(seen.model_dump_json())],
        conclusion="Normal.",
    )
    entries = [{"resource": report}, {"fullUrl": "urn:uuid:2", "resource": json.loads(asked.model_dump_json())}]
    (found,) = _read(
        tmp_path / "b.json", json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})
    )
    assert isinstance(found, Report)
    assert (found.findings, found.impression, found.indication) == ("Clear.", "Normal.", "Cough.")


def test_no_observation_that_holds_text_is_lost_beside_sections_that_are_named(tmp_path: Path) -> None:
    def observed(name: str, title: str, text: str) -> dict[str, Any]:
        concept: Any = {"text": title}
        made = Observation(id=name, status="final", code=concept, valueString=text)
        found: dict[str, Any] = json.loads(made.model_dump_json())
        return found

    texts = {"Findings": "Clear.", "Biometry": "BPD 8 cm.", "Impression": "Normal.", "Addendum": "More."}
    parts = [observed(f"o{at}", *one) for at, one in enumerate(texts.items())]
    for chosen, findings, impression in (
        (parts, "Clear.\nBiometry: BPD 8 cm.", "Normal.\nADDENDUM: More."),
        ([parts[0], parts[2], parts[3]], "Clear.", "Normal.\nMore."),
        (parts[:2], "Clear.\nBiometry: BPD 8 cm.", "Concluded."),
        (parts[1:3], "Biometry: BPD 8 cm.", "Normal."),
    ):
        result = [{"reference": f"#{one['id']}"} for one in chosen]
        row = _resource(result=result, contained=chosen, conclusion="Concluded.")
        (found,) = _read(tmp_path / "r.ndjson", json.dumps(row))
        assert isinstance(found, Report)
        assert (found.findings, found.impression) == (findings, impression)


def test_the_narrative_is_read_where_there_is_nothing_else(tmp_path: Path) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>FINDINGS: Clear.</p><p>IMPRESSION: Normal.</p></div>'
    (found,) = _read(tmp_path / "r.ndjson", json.dumps(_resource(text={"status": "generated", "div": div})))
    assert isinstance(found, Report)
    assert (found.findings, found.impression) == ("Clear.", "Normal.")


@pytest.mark.parametrize("opened", ["<", "<br ", "</p "])
def test_html_that_never_closes_a_tag_takes_no_time(tmp_path: Path, opened: str) -> None:
    form = _form(f"<p>FINDINGS: 3 {opened * 50_000}</p>", "text/html")
    begin = process_time()
    assert len(_read(tmp_path / "r.ndjson", json.dumps(_resource(presentedForm=[form])))) == 1
    assert process_time() - begin < 5


def test_what_is_no_result_is_set_aside_and_other_resources_are_no_records(tmp_path: Path) -> None:
    rows = [
        {"resourceType": "Patient", "id": "p1"},
        {**_resource(), "status": "cancelled"},
        {**_resource(), "status": "secret status"},
        {"resourceType": "DiagnosticReport", "conclusion": "secret"},
        {"conclusion": "secret"},
        _resource(presentedForm=[_form(TEXT)]),
    ]
    found = _read(tmp_path / "r.ndjson", "".join(json.dumps(row) + "\n" for row in rows) + '{"resourceType": "Diag')
    assert [str(one) for one in found if isinstance(one, Unreadable)] == [
        "r.ndjson:2: its status is cancelled: no result",
        "r.ndjson:3: its status is none that FHIR knows: no result",
        "r.ndjson:4: no valid DiagnosticReport: code (missing)",
        "r.ndjson:5: no FHIR resource: it has no resourceType",
        "r.ndjson:7: not JSON",
    ]
    assert sum(isinstance(one, Report) for one in found) == 1
    assert not any("secret" in str(one) for one in found)


_WHOLE = json.dumps(_resource(presentedForm=[_form(TEXT)], conclusion="Normal.")).encode()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, len(_WHOLE)),
    st.binary(max_size=30),
    st.integers(0, len(_WHOLE)),
    st.sampled_from([".json", ".ndjson"]),
)
def test_nothing_that_is_cut_or_spoilt_stops_the_run(tmp_path: Path, at: int, junk: bytes, end: int, name: str) -> None:
    path = tmp_path / f"r{name}"
    path.write_bytes(_WHOLE[:at] + junk + _WHOLE[at:end])
    assert all(isinstance(row, dict | str) for _, row in open_rows(path, "fhir"))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = [
    "status",
    "code",
    "category",
    "subject",
    "performer",
    "identifier",
    "result",
    "contained",
    "presentedForm",
    "text",
    "conclusion",
    "id",
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=4), st.booleans())
def test_fields_of_any_kind_are_read_or_set_aside(tmp_path: Path, fields: dict[str, Any], bundled: bool) -> None:
    resource = {**json.loads(_WHOLE), **fields}
    path = tmp_path / "r.json"
    entry = [{"resource": resource}, {"resource": fields}, fields]
    path.write_text(json.dumps({"resourceType": "Bundle", "entry": entry} if bundled else resource), "utf-8")
    assert all(isinstance(row, dict | str) for _, row in open_rows(path, "fhir"))
