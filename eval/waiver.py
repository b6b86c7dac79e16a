"""A waiver: a person opens one slice that the gate did not pass, in their name, for a time.

It is bound to one judgement, so that it speaks of nothing that the person did not see, and always
signed. It never opens a slice in which a hard check fired.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from radimpress.clustering.cell import Cell
from radimpress.eval.signing import public_of, sign, verified
from radimpress.reports.errors import InputError
from radimpress.reports.report import Modality

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_KIND = "waiver"
_WHO_MAX = 100
_REASON_MAX = 500


@dataclass(frozen=True, slots=True)
class Waiver:
    """One slice's waiver.

    Attributes:
        cell: the slice.
        who: the person's name.
        reason: why, in their words.
        issued: ISO 8601, UTC.
        expires: ISO 8601, UTC.
        judgement: SHA-256, in hex, of the certificate's judgement.
        signer: the public key, in hex.
        signature: in hex, over all of the above.
    """

    cell: Cell
    who: str
    reason: str
    issued: str
    expires: str
    judgement: str
    signer: str
    signature: str

    def __str__(self) -> str:
        return f"waived by {self.who} until {self.expires[:10]}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """What stands in certificate.json."""
        return {**self._said(), "signer": self.signer, "signature": self.signature}

    def check(self) -> None:
        """Checks dates and signature; whether the signer is trusted is the registry's question.

        Raises:
            InputError: says what is wrong.
        """
        for name, text, most in (("who", self.who, _WHO_MAX), ("reason", self.reason, _REASON_MAX)):
            if not text.strip() or len(text) > most or not text.isprintable():
                raise InputError("waiver", f"{self.cell}: {name} must be 1 to {most} characters on one line")
        if parse_time("waiver", self.issued) >= parse_time("waiver", self.expires):
            raise InputError("waiver", f"{self.cell}: expires before it was issued")
        if not verified(_KIND, self._said(), self.signer, self.signature):
            raise InputError("waiver", f"{self.cell}: its signature is not of this waiver")

    def _said(self) -> dict[str, Any]:
        return {
            "modality": self.cell.modality.value,
            "cluster": self.cell.cluster,
            "who": self.who,
            "reason": self.reason,
            "issued": self.issued,
            "expires": self.expires,
            "judgement": self.judgement,
        }


def make_waiver(
    cell: Cell, who: str, reason: str, judgement: str, key: Ed25519PrivateKey, *, days: int, now: datetime | None = None
) -> Waiver:
    """Writes and signs a waiver.

    Raises:
        InputError: the name or the reason is empty or too long.
    """
    issued, expires = span(now, days)
    plain = Waiver(cell, who, reason, issued, expires, judgement, public_of(key), "")
    made = Waiver(cell, who, reason, issued, expires, judgement, plain.signer, sign(_KIND, plain._said(), key))
    made.check()
    return made


def read_waiver(row: dict[str, Any]) -> Waiver:
    """A waiver as `Waiver.as_json` gave it; `check` says whether it holds.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    texts = [
        row[name] for name in ("cluster", "who", "reason", "issued", "expires", "judgement", "signer", "signature")
    ]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a waiver holds text")
    cluster, *rest = texts
    return Waiver(Cell(Modality(row["modality"]), cluster), *rest)


def span(now: datetime | None, days: int) -> tuple[str, str]:
    """Now, and that many days later, to the second."""
    start = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    return start.isoformat(), (start + timedelta(days=days)).isoformat()


def parse_time(field: str, text: str) -> datetime:
    """A time as `span` wrote it.

    Raises:
        InputError: it is none.
    """
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InputError(field, "holds a time that is none") from None
    if time.tzinfo is None:
        raise InputError(field, "holds a time without a time zone")
    return time
