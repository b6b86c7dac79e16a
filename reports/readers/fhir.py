"""FHIR R4 `DiagnosticReport` resources (hl7.org/fhir/R4/diagnosticreport.html), checked by fhir.resources.

A file is NDJSON, as FHIR's bulk export writes it, one resource of a Bundle, or one resource. The text is, in this
order: Observations that `result` names and that hold text, in the Bundle or contained, if findings are among them;
`presentedForm`, as plain text or HTML; the narrative. `conclusion` is the impression where no Observation is.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

from radimpress.reports.headings import Kind, kind_of
from radimpress.reports.modality import guess_modality
from radimpress.reports.readers.hl7v2 import LOINC
from radimpress.reports.readers.json_lines import parsed
from radimpress.reports.readers.rows import RECORD_MAX, Row, decoded, lines_of
from radimpress.reports.readers.transcription import Part, record, sectioned

_BUNDLE_MAX = 1 << 28
_RESULTS = {"partial", "preliminary", "final", "amended", "corrected", "appended"}
_NO_RESULTS = {"registered", "cancelled", "entered-in-error", "unknown"}
_BLOCK = re.compile(r"<\s*(?:br|/p|/div|/li|/tr|/h\d)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def read(path: Path) -> Iterator[Row]:
    """Yields each DiagnosticReport; resources of other kinds are no records."""
    if path.suffix in (".ndjson", ".jsonl"):
        for line, raw in lines_of(path):
            found = parsed(raw)
            if isinstance(found, str):
                yield str(line), found
            else:
                yield from _resource(str(line), found, {})
        return
    if path.stat().st_size > _BUNDLE_MAX:
        yield "1", f"has more than {_BUNDLE_MAX} bytes; a Bundle is read whole, NDJSON line by line"
        return
    whole = parsed(path.read_bytes() + b"\n")
    if isinstance(whole, str):
        yield "1", whole
        return
    entries = whole.get("entry") if whole.get("resourceType") == "Bundle" else [{"resource": whole}]
    entries = entries if isinstance(entries, list) else []
    resources = [one.get("resource") for one in entries if isinstance(one, dict)]
    known = {
        f"{one.get('resourceType')}/{one.get('id')}": one for one in resources if isinstance(one, dict) and "id" in one
    }
    known.update(
        (str(one["fullUrl"]), one["resource"])
        for one in entries
        if isinstance(one, dict) and "fullUrl" in one and isinstance(one.get("resource"), dict)
    )
    for number, one in enumerate(resources, start=1):
        if isinstance(one, dict):
            yield from _resource(f"entry {number}", one, known)
        else:
            yield f"entry {number}", "holds no resource"


def _resource(place: str, resource: dict[str, Any], known: Mapping[str, Any]) -> Iterator[Row]:
    kind = resource.get("resourceType")
    if kind == "DiagnosticReport":
        yield place, _report(resource, known)
    elif not isinstance(kind, str):
        yield place, "no FHIR resource: it has no resourceType"


def _report(resource: dict[str, Any], known: Mapping[str, Any]) -> dict[str, object] | str:
    from fhir.resources.R4B.diagnosticreport import DiagnosticReport
    from pydantic import ValidationError

    try:
        DiagnosticReport.model_validate(resource)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return f"no valid DiagnosticReport: {'.'.join(map(str, first['loc']))[:80]} ({first['type']})"
    # Whatever a resource that is valid may hold all the same.
    except (RecursionError, ValueError, TypeError) as error:
        return f"no valid DiagnosticReport ({type(error).__name__})"
    status = resource["status"]
    if status not in _RESULTS:
        return f"its status is {status if status in _NO_RESULTS else 'none that FHIR knows'}: no result"
    contained = {f"#{one.get('id')}": one for one in resource.get("contained") or []}
    parts: list[Part] = []
    for reference in resource.get("result") or []:
        name = str(reference.get("reference") or "")
        found = contained.get(name) or known.get(name)
        if found and isinstance(found.get("valueString"), str):
            code = found.get("code")
            parts.append((_kind(code), next(iter(_words(code)), ""), found["valueString"]))
    words = _words(resource.get("code"))
    categories = [word for one in resource.get("category") or [] for word in _words(one)]
    exam = words[0] if words else ""
    row: dict[str, object] = {
        "id": str(resource.get("id") or ""),
        "clinic": _clinic(resource),
        "patient": str((resource.get("subject") or {}).get("reference") or ""),
        "study": next((str(one.get("value")) for one in resource.get("identifier") or [] if one.get("value")), ""),
        "exam": exam,
        "modality": guess_modality(*categories, *words).value,
    }
    conclusion = str(resource.get("conclusion") or "")
    kinds = {kind for kind, _, text in parts if text.strip()}
    presented = _presented(resource)
    if Kind.FINDINGS in kinds or (parts and not presented.strip()):
        if conclusion and Kind.IMPRESSION not in kinds:
            parts.append((Kind.IMPRESSION, "", conclusion))
        return sectioned(parts, row)
    whole = record(presented, row)
    if isinstance(whole, dict) and conclusion:
        whole["impression"] = conclusion
    return whole


def _presented(resource: Mapping[str, Any]) -> str:
    """The report's text as it is shown."""
    for form in resource.get("presentedForm") or []:
        kind, _, more = str(form.get("contentType") or "").partition(";")
        if kind.strip() not in ("text/plain", "text/html", "") or not form.get("data"):
            continue
        try:
            data = base64.b64decode(str(form["data"]), validate=False)
        except (binascii.Error, ValueError):
            continue
        charset = re.search(r"charset=([\w-]+)", more)
        text = decoded(data[:RECORD_MAX], charset[1] if charset else "")
        return _plain(text) if kind.strip() == "text/html" else text
    return _plain(str((resource.get("text") or {}).get("div") or ""))


def _plain(html: str) -> str:
    return unescape(_TAG.sub("", _BLOCK.sub("\n", html)))


def _kind(code: object) -> Kind:
    if not isinstance(code, dict):
        return Kind.OTHER
    for coding in code.get("coding") or []:
        if isinstance(coding, dict) and (found := LOINC.get(str(coding.get("code")))):
            return found
    return next((kind for word in _words(code) if (kind := kind_of(word)) is not Kind.OTHER), Kind.OTHER)


def _words(code: object) -> list[str]:
    """What a CodeableConcept says, its text first."""
    if not isinstance(code, dict):
        return []
    said = [code.get("text")]
    for coding in code.get("coding") or []:
        said += [coding.get("display"), coding.get("code")] if isinstance(coding, dict) else []
    return [str(word) for word in said if word]


def _clinic(resource: Mapping[str, Any]) -> str:
    for one in resource.get("performer") or []:
        if found := one.get("display") or one.get("reference"):
            return str(found)
    return ""
