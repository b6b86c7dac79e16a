"""What was answered and what was signed: the values, and their tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    UniqueConstraint,
)

from radimpress.clustering.cell import Cell
from radimpress.reports.errors import SealedError
from radimpress.reports.report import Modality
from radimpress.server.registry.tables import Base
from radimpress.server.routes import Arm
from radimpress.server.security.sealing import Seal, is_sealed


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that was given, or a shadow's that was not.

    Attributes:
        clinic: that asked.
        request_id: its name for the request.
        subject: who asked, as the token says.
        asked: keyed digest, in hex, of the report that was asked about.
        message: the serialised Impression; sealed where it is kept.
        digest: of the adapter's weights; empty for the base model.
        adapter: its name; "base" for the base model.
        version: its version; 0 for the base model.
        cell: the slice.
        arm: on which side of a trial.
        table: the number of the route table that said so.
        checks: those that noticed something.
        created: when.
        seconds: how long it took.
        number: its place in the journal; 0 until it is recorded.
    """

    clinic: str
    request_id: str
    subject: str
    asked: str
    message: bytes
    digest: str
    adapter: str
    version: int
    cell: Cell
    arm: Arm
    table: int
    checks: tuple[str, ...]
    created: datetime
    seconds: float
    number: int = 0

    @property
    def key(self) -> tuple[str, str, bool]:
        """What only one answer has: a shadow's stands beside the one that was given."""
        return self.clinic, self.request_id, self.arm is Arm.SHADOW


@dataclass(frozen=True, slots=True)
class Signed:
    """What a radiologist signed for an answer.

    Attributes:
        clinic: that asked.
        request_id: of the answer.
        edit_distance: words to insert, delete or replace, over the words of the longer text.
        rouge_l: ROUGE-L of the answer against the signed text, F1.
        unchanged: whether it was signed word for word.
        checks_right: checks that had noticed something, and whether the signed text shows them right.
        report: the serialised ReportInput; sealed where it is kept.
        final: the signed impression, UTF-8; sealed where it is kept.
        created: when.
    """

    clinic: str
    request_id: str
    edit_distance: float
    rouge_l: float
    unchanged: bool
    checks_right: Mapping[str, bool]
    report: bytes
    final: bytes
    created: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of one answer's worth.

    Answers and signed texts are numbered together, in the order in which they became known; neither order
    changes later.

    Attributes:
        number: the answer's place.
        arm: on which side of a trial.
        digest: of the adapter; empty for the base model.
        checks: those that noticed something.
        similarity: ROUGE-L against the signed text, F1; None until one came.
        signed: the signed text's place; 0 until one came.
    """

    number: int
    arm: Arm
    digest: str
    checks: tuple[str, ...]
    similarity: float | None = None
    signed: int = 0


@dataclass(frozen=True, slots=True)
class QualityRow:
    """What came of an adapter's answers in one slice.

    Attributes:
        cell: the slice.
        adapter: its name; "base" for the base model.
        version: its version; 0 for the base model.
        digest: of its weights; empty for the base model.
        arm: on which side of a trial.
        answers: how many.
        noticed: those that a check noticed something about.
        signed: those whose signed text came back.
        edit_distance: mean over these; 0 without any.
        rouge_l: mean over these, F1; 0 without any.
        unchanged: those that were signed word for word.
    """

    cell: Cell
    adapter: str
    version: int
    digest: str
    arm: Arm
    answers: int
    noticed: int
    signed: int
    edit_distance: float
    rouge_l: float
    unchanged: int


_BIG = BigInteger().with_variant(Integer, "sqlite")

# Without a request_id and a message once the text was purged.
answers = Table(
    "answers",
    Base.metadata,
    Column("number", _BIG, primary_key=True, autoincrement=False),
    Column("clinic", String, nullable=False),
    Column("request_id", String),
    Column("shadow", Boolean, nullable=False),
    Column("subject", String, nullable=False),
    Column("asked", String, nullable=False),
    Column("message", LargeBinary),
    Column("digest", String, nullable=False),
    Column("adapter", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("modality", String(16), nullable=False),
    Column("cluster", String, nullable=False),
    Column("arm", String(16), nullable=False),
    Column("route_table", Integer, nullable=False),
    Column("checks", String, nullable=False),
    Column("created", String, nullable=False),
    Column("seconds", Double, nullable=False),
    UniqueConstraint("clinic", "request_id", "shadow"),
    Index("answers_by_cell", "modality", "cluster", "number"),
)
signed = Table(
    "signed",
    Base.metadata,
    Column("answer", _BIG, ForeignKey("answers.number"), primary_key=True, autoincrement=False),
    Column("number", _BIG, nullable=False, unique=True),
    Column("request_id", String, nullable=False),
    Column("edit_distance", Double, nullable=False),
    Column("rouge_l", Double, nullable=False),
    Column("unchanged", Boolean, nullable=False),
    Column("checks_right", String, nullable=False),
    Column("report", LargeBinary, nullable=False),
    Column("final", LargeBinary, nullable=False),
    Column("created", String, nullable=False),
)


def answer_row(answer: Answer, seal: Seal | None) -> dict[str, Any]:
    """An answer as its table holds it."""
    return {
        "number": answer.number,
        "clinic": answer.clinic,
        "request_id": answer.request_id,
        "shadow": answer.arm is Arm.SHADOW,
        "subject": answer.subject,
        "asked": answer.asked,
        "message": seal.seal(answer.message, about(answer.clinic, answer.request_id)) if seal else answer.message,
        "digest": answer.digest,
        "adapter": answer.adapter,
        "version": answer.version,
        "modality": answer.cell.modality.value,
        "cluster": answer.cell.cluster,
        "arm": answer.arm.value,
        "route_table": answer.table,
        "checks": " ".join(answer.checks),
        "created": time_text(answer.created),
        "seconds": answer.seconds,
    }


def answer_of(row: Row[Any], seal: Seal | None) -> Answer:
    """An answer from its table's row.

    Raises:
        DamageError: its message was changed.
        SealedError: its key is not given.
    """
    plain = opened(row.message, seal, about(row.clinic, row.request_id))
    return Answer(
        row.clinic,
        row.request_id,
        row.subject,
        row.asked,
        plain,
        row.digest,
        row.adapter,
        row.version,
        Cell(Modality(row.modality), row.cluster),
        Arm(row.arm),
        row.route_table,
        tuple(row.checks.split()),
        datetime.fromisoformat(row.created),
        row.seconds,
        row.number,
    )


def about(clinic: str, request_id: str) -> bytes:
    """What a sealed text belongs to, so that it opens in no other's place."""
    return f"{clinic}\0{request_id}".encode()


def opened(data: bytes, seal: Seal | None, owner: bytes) -> bytes:
    """A text that may have been sealed.

    Raises:
        DamageError: it was changed.
        SealedError: its key is not given.
    """
    if seal is not None:
        return seal.open(data, owner)
    if is_sealed(data):
        raise SealedError("feedback_keys: texts in the registry are sealed, and no key is given")
    return data


def time_text(time: datetime) -> str:
    """A moment, UTC, so that texts sort as the moments do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")
