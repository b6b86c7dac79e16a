"""The certificate: what the gate said of one adapter, bound to all that it judged.

certificate.json is canonical JSON with a digest over its content, so that one byte changed anywhere is
noticed; with a key it is signed too, so that nobody else can have written it. Waivers stand beside the
judgement and are signed by whoever gives them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from radimpress.clustering.cell import Cell
from radimpress.eval.bootstrap import Estimate
from radimpress.eval.gate import METRIC, Outcome, Rule, Verdict, slices_of
from radimpress.eval.plan import Need
from radimpress.eval.score import Scores
from radimpress.eval.signing import public_of, sign, verified
from radimpress.eval.waiver import Waiver, parse_time, read_waiver, span
from radimpress.reports.errors import GateError, InputError
from radimpress.reports.files import canonical, digest_of
from radimpress.reports.report import Modality

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_FORMAT = 2
_KIND = "certificate"
_DIGESTS = ("digest", "base_digest", "clusters_digest", "cases_digest", "data_digest")
_TEXTS = ("adapter", *_DIGESTS, "prompt_version", "code_version", "signer", "signature")


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
        slices: those that must have a verdict; the verdicts' own where nothing is said.
        data_digest: over the adapter's training reports; empty where its manifest is not at hand.
        code_version: of the program that scored and judged.
        issued: ISO 8601, UTC.
        expires: ISO 8601, UTC; from then on it opens nothing.
        waivers: slices that people opened.
        signer: the public key, in hex; empty when not signed.
        signature: over the judgement, in hex.
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
    slices: tuple[Cell, ...] = ()
    data_digest: str = ""
    code_version: str = ""
    issued: str = ""
    expires: str = ""
    waivers: tuple[Waiver, ...] = ()
    signer: str = ""
    signature: str = ""

    def __post_init__(self) -> None:
        if not self.slices:
            object.__setattr__(self, "slices", tuple(v.cell for v in self.verdicts if v.cell))

    @property
    def passed(self) -> tuple[Verdict, ...]:
        """The slices that the adapter may serve on the gate's word."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome is Outcome.PASS)

    @property
    def opened(self) -> tuple[Verdict, ...]:
        """The slices that the adapter may serve: those passed, and those waived."""
        waived = {waiver.cell for waiver in self.waivers}
        return tuple(v for v in self.verdicts if v.outcome is Outcome.PASS or v.cell in waived)

    @property
    def judgement(self) -> str:
        """SHA-256, in hex, over everything but waivers and signature."""
        return digest_of(self._judgement())

    def waiver(self, cell: Cell | None) -> Waiver | None:
        """The waiver of a slice."""
        return next((waiver for waiver in self.waivers if waiver.cell == cell), None)

    def encode(self) -> bytes:
        """certificate.json: canonical, so that equal certificates have equal bytes."""
        data: dict[str, Any] = {
            "format": _FORMAT,
            "judgement": self._judgement(),
            "waivers": [waiver.as_json() for waiver in self.waivers],
            "signer": self.signer,
            "signature": self.signature,
        }
        return canonical({**data, "sha256": digest_of(data)}) + b"\n"

    def signed(self, key: Ed25519PrivateKey) -> Certificate:
        """The same, signed."""
        return replace(self, signer=public_of(key), signature=sign(_KIND, self._judgement(), key))

    def waived(self, waiver: Waiver) -> Certificate:
        """The same with one more waiver; a second one of a slice takes the first one's place.

        Raises:
            GateError: the slice was not judged, needs none, or can have none.
        """
        others = tuple(known for known in self.waivers if known.cell != waiver.cell)
        made = replace(self, waivers=tuple(sorted((*others, waiver), key=lambda one: one.cell)))
        made.check_waivers()
        return made

    def check_waivers(self) -> None:
        """Whether each waiver holds and may open its slice.

        Raises:
            InputError: one does not hold.
            GateError: one is of a slice or a judgement that it cannot open.
        """
        judged = {verdict.cell: verdict for verdict in self.verdicts}
        for waiver in self.waivers:
            waiver.check()
            verdict = judged.get(waiver.cell)
            if verdict is None:
                raise GateError(f"{waiver.cell}: the waiver is of a slice that was not judged")
            if verdict.outcome is Outcome.PASS:
                raise GateError(f"{waiver.cell}: passed; it needs no waiver")
            if verdict.hard:
                raise GateError(f"{waiver.cell}: {verdict.why}; no waiver opens it")
            if waiver.judgement != self.judgement:
                raise GateError(f"{waiver.cell}: the waiver is of another judgement")

    def check_slices(self) -> None:
        """Whether every slice has its verdict.

        Raises:
            GateError: names the slice that has none, or two, or was not asked for.
        """
        judged = [verdict.cell for verdict in self.verdicts]
        for cell in self.slices:
            if judged.count(cell) != 1:
                raise GateError(f"{cell}: the certificate has {judged.count(cell)} verdicts on this slice, not 1")
        for stray in judged:
            if stray not in self.slices:
                raise GateError(f"{stray}: the certificate has a verdict on a slice that it does not list")

    def check_time(self, now: datetime | None = None) -> None:
        """Whether the certificate and its waivers are in force.

        Raises:
            GateError: one is expired, or not issued yet.
        """
        moment = now or datetime.now(UTC)
        spans = [("the certificate", self.issued, self.expires)]
        spans += [(f"{waiver.cell}: the waiver", waiver.issued, waiver.expires) for waiver in self.waivers]
        for what, issued, expires in spans:
            if parse_time("certificate", expires) <= moment:
                raise GateError(f"{what} expired on {expires}; judge again")
            if parse_time("certificate", issued) > moment:
                raise GateError(f"{what} is of {issued}, which is yet to come")

    def check_signers(self, trusted: frozenset[str]) -> None:
        """Whether trusted keys signed the certificate and its waivers; without any, all are trusted.

        Raises:
            GateError: one is not signed, or by another key.
        """
        signers = [("the certificate", self.signer, "sign")]
        signers += [(f"{waiver.cell}: the waiver", waiver.signer, "waive") for waiver in self.waivers]
        for what, signer, command in signers if trusted else ():
            if signer not in trusted:
                said = f"signed by {signer[:12]}, which is not a trusted key" if signer else "not signed"
                raise GateError(f"{what} is {said}; `radimpress gate {command}` signs with one of the trusted keys")

    def _judgement(self) -> dict[str, Any]:
        return {
            "adapter": self.adapter,
            "digest": self.digest,
            "base_digest": self.base_digest,
            "clusters_digest": self.clusters_digest,
            "cases_digest": self.cases_digest,
            "data_digest": self.data_digest,
            "prompt_version": self.prompt_version,
            "code_version": self.code_version,
            "issued": self.issued,
            "expires": self.expires,
            "metric": METRIC,
            "rule": self.rule.model_dump(),
            "slices": [[cell.modality.value, cell.cluster] for cell in self.slices],
            "verdicts": [_verdict_json(verdict) for verdict in self.verdicts],
            "overall": _verdict_json(self.overall),
        }


def certify(
    scores: Scores,
    adapter: str,
    verdicts: Sequence[Verdict],
    overall: Verdict,
    rule: Rule,
    *,
    data_digest: str = "",
    now: datetime | None = None,
) -> Certificate:
    """Binds verdicts to what they are about, from now on for the rule's days."""
    system = scores.systems[adapter]
    issued, expires = span(now, rule.days)
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
        slices_of(scores, adapter),
        data_digest,
        scores.code_version,
        issued,
        expires,
    )


def certificate_digest(data: bytes) -> str:
    """SHA-256, in hex, of a certificate's bytes."""
    return hashlib.sha256(data).hexdigest()


def decode_certificate(data: bytes) -> Certificate:
    """Reads certificate.json.

    Raises:
        InputError: it is not one, not what the gate wrote, or not what its signer signed.
    """
    try:
        value: dict[str, Any] = json.loads(data)
        if value["format"] != _FORMAT:
            raise InputError("certificate", f"is not of format {_FORMAT}")
        said = value["judgement"]
        if said["metric"] != METRIC:
            raise InputError("certificate", f"is not of metric {METRIC}")
        certificate = Certificate(
            said["adapter"],
            said["digest"],
            said["base_digest"],
            said["clusters_digest"],
            said["cases_digest"],
            said["prompt_version"],
            Rule(**said["rule"]),
            tuple(_verdict(row) for row in said["verdicts"]),
            _verdict(said["overall"]),
            tuple(Cell(Modality(modality), cluster) for modality, cluster in said["slices"]),
            said["data_digest"],
            said["code_version"],
            said["issued"],
            said["expires"],
            tuple(read_waiver(row) for row in value["waivers"]),
            value["signer"],
            value["signature"],
        )
        texts = [getattr(certificate, name) for name in _TEXTS]
        if not all(isinstance(text, str) for text in (*texts, *(cell.cluster for cell in certificate.slices))):
            raise TypeError("a name or a digest is no text")
        whole = value["sha256"] == digest_of({key: part for key, part in value.items() if key != "sha256"})
        same = certificate.encode() == data
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError("certificate", f"cannot be read ({type(error).__name__})") from None
    if not whole:
        raise InputError("certificate", "is not what its digest says: it was changed since the gate wrote it")
    if not same:
        raise InputError("certificate", "is not in canonical form: it was changed since the gate wrote it")
    if parse_time("certificate", certificate.issued) >= parse_time("certificate", certificate.expires):
        raise InputError("certificate", "expires before it was issued")
    signed = certificate.signer or certificate.signature
    if signed and not verified(_KIND, said, certificate.signer, certificate.signature):
        raise InputError("certificate", "its signature is not of this certificate")
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
        "improved": verdict.improved,
        "hard": verdict.hard,
        "need": asdict(verdict.need) if verdict.need else None,
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
        row["improved"],
        row["hard"],
        Need(**row["need"]) if row["need"] else None,
    )
