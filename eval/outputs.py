"""A certificate for pipelines: JSON, Markdown, JUnit XML, and the exit code. None quotes a report."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from radimpress.eval.certificate import Certificate
from radimpress.eval.gate import Outcome, Verdict

PASS, REGRESSION, INSUFFICIENT = 0, 1, 3
_SUITE = "radimpress gate"


def exit_code(certificate: Certificate) -> int:
    """0 where every slice passes, 1 where one regressed, 3 where one is open; 2 is an error's."""
    outcomes = {verdict.outcome for verdict in certificate.verdicts}
    if Outcome.REGRESSION in outcomes:
        return REGRESSION
    return PASS if outcomes == {Outcome.PASS} else INSUFFICIENT


def as_json(certificate: Certificate) -> dict[str, Any]:
    """What `radimpress gate --json` prints."""
    return {
        "adapter": certificate.adapter,
        "digest": certificate.digest,
        "exit": exit_code(certificate),
        "passed": len(certificate.passed),
        "judged": len(certificate.verdicts),
        "slices": [_row(certificate, verdict) for verdict in certificate.verdicts],
        "overall": _row(certificate, certificate.overall),
        "judgement": certificate.judgement,
        "issued": certificate.issued,
        "expires": certificate.expires,
        "signer": certificate.signer,
    }


def markdown(certificate: Certificate) -> str:
    """A table for a pull request or a job's summary."""
    head = f"## Gate: {certificate.adapter} passes {len(certificate.passed)} of {len(certificate.verdicts)} slices"
    lines = [head, "", "| slice | verdict | against | cases | needs | why |", "|---|---|---|---:|---:|---|"]
    for verdict in (*certificate.verdicts, certificate.overall):
        waiver = certificate.waiver(verdict.cell)
        cells = (
            verdict.cell or "all together (opens nothing)",
            f"{_word(verdict)}, waived" if waiver else _word(verdict),
            verdict.incumbent,
            verdict.cases,
            verdict.need.patients if verdict.need else "",
            f"{verdict.why}; {waiver}" if waiver else verdict.why,
        )
        lines.append(f"| {' | '.join(_plain(str(cell)) for cell in cells)} |")
    lines += ["", f"Adapter `{certificate.digest[:16]}`, valid until {certificate.expires}.", ""]
    return "\n".join(lines)


def junit(certificate: Certificate) -> bytes:
    """A test suite of one test a slice: REGRESSION is a failure, INSUFFICIENT an error, and neither a pass."""
    words = [verdict.outcome for verdict in certificate.verdicts]
    suite = ElementTree.Element(
        "testsuite",
        name=_SUITE,
        tests=str(len(words)),
        failures=str(words.count(Outcome.REGRESSION)),
        errors=str(words.count(Outcome.INSUFFICIENT)),
        skipped="0",
        timestamp=certificate.issued.removesuffix("+00:00"),
    )
    for verdict in certificate.verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{_SUITE}.{certificate.adapter}", name=str(verdict.cell)
        )
        kind = {Outcome.REGRESSION: "failure", Outcome.INSUFFICIENT: "error"}.get(verdict.outcome)
        if kind:
            ElementTree.SubElement(case, kind, type=verdict.outcome.value, message=verdict.why)
        told = ElementTree.SubElement(case, "system-out")
        told.text = f"against {verdict.incumbent}: {verdict.why}"
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    made: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return made + b"\n"


def _row(certificate: Certificate, verdict: Verdict) -> dict[str, Any]:
    waiver = certificate.waiver(verdict.cell)
    difference, need = verdict.difference, verdict.need
    return {
        "slice": str(verdict.cell) if verdict.cell else "overall",
        "verdict": verdict.outcome.value,
        "improved": verdict.improved,
        "why": verdict.why,
        "incumbent": verdict.incumbent,
        "cases": verdict.cases,
        "patients": difference.groups if difference else 0,
        "mean": difference.mean if difference else None,
        "low": difference.low if difference else None,
        "high": difference.high if difference else None,
        "needs": need.patients if need else None,
        "more": need.more if need else None,
        "waiver": str(waiver) if waiver else None,
    }


def _word(verdict: Verdict) -> str:
    return f"{verdict.outcome}, IMPROVED" if verdict.improved else str(verdict.outcome)


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
