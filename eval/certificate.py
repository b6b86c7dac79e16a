"""The certificate: what the gate said of one adapter, bound to the digests that it judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from radimpress.clustering.cell import Cell
from radimpress.eval.bootstrap import Estimate
from radimpress.eval.gate import METRIC, Outcome, Rule, Verdict
from radimpress.eval.score import Scores
from radimpress.reports.errors import InputError
from radimpress.reports.files import canonical
from radimpress.reports.report import Modality

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Certificate:
    """A verdict a slice, for one adapter.

    Attributes:
        adapter: its name.
        digest: of its weights.
        base_digest: of the base model it was judged on.
        clusters_digest: over who belongs where.
        cases_digest: over the held-out reports.
        prompt_version: of the prompt.
        rule: the gate's numbers.
        verdicts: one a slice.
        overall: everything together; opens no slice.
    """

    adapter: str
    digest: str
    base_digest: str
    clusters_digest: str
    cases_digest: str
    prompt_version: str
    rule: Rule
    verdicts: tuple[Verdict, ...]
    overall: Verdict

    @property
    def passed(self) -> tuple[Verdict, ...]:
        """The slices that the adapter may serve."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome is Outcome.PASS)

    def encode(self) -> bytes:
        """certificate.json: canonical, so that equal certificates have equal bytes."""
        data = {
            "format": _FORMAT,
            "adapter": self.adapter,
            "digest": self.digest,
            "base_digest": self.base_digest,
            "clusters_digest": self.clusters_digest,
            "cases_digest": self.cases_digest,
            "prompt_version": self.prompt_version,
            "metric": METRIC,
            "rule": self.rule.model_dump(),
            "verdicts": [_verdict_json(verdict) for verdict in self.verdicts],
            "overall": _verdict_json(self.overall),
        }
        return canonical(data) + b"\n"


def certify(scores: Scores, adapter: str, verdicts: Sequence[Verdict], overall: Verdict, rule: Rule) -> Certificate:
    """Binds verdicts to what they are about."""
    system = scores.systems[adapter]
    return Certificate(
        adapter,
        system.digest,
        system.base_digest,
        scores.clusters_digest,
        scores.cases_digest,
        scores.prompt_version,
        rule,
        tuple(verdicts),
        overall,
    )


def certificate_digest(data: bytes) -> str:
    """SHA-256, in hex, of a certificate's bytes."""
    return hashlib.sha256(data).hexdigest()


def decode_certificate(data: bytes) -> Certificate:
    """Reads certificate.json.

    Raises:
        InputError: it is not one, or not in canonical form.
    """
    try:
        value: dict[str, Any] = json.loads(data)
        if value["format"] != _FORMAT or value["metric"] != METRIC:
            raise InputError("certificate", f"is not of format {_FORMAT} and metric {METRIC}")
        certificate = Certificate(
            value["adapter"],
            value["digest"],
            value["base_digest"],
            value["clusters_digest"],
            value["cases_digest"],
            value["prompt_version"],
            Rule(**value["rule"]),
            tuple(_verdict(row) for row in value["verdicts"]),
            _verdict(value["overall"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError("certificate", f"cannot be read ({type(error).__name__})") from None
    if certificate.encode() != data:
        raise InputError("certificate", "is not in canonical form: it was changed since the gate wrote it")
    return certificate


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    cell = verdict.cell
    return {
        "modality": cell.modality.value if cell else None,
        "cluster": cell.cluster if cell else None,
        "outcome": verdict.outcome.value,
        "why": verdict.why,
        "incumbent": verdict.incumbent,
        "incumbent_digest": verdict.incumbent_digest,
        "cases": verdict.cases,
        "difference": asdict(verdict.difference) if verdict.difference else None,
    }


def _verdict(row: dict[str, Any]) -> Verdict:
    return Verdict(
        Cell(Modality(row["modality"]), row["cluster"]) if row["modality"] else None,
        Outcome(row["outcome"]),
        row["why"],
        row["incumbent"],
        row["incumbent_digest"],
        row["cases"],
        Estimate(**row["difference"]) if row["difference"] else None,
    )
