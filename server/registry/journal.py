"""The journal: every answer that was given, and every text that was signed for one.

An answer is recorded before it is sent, so that whatever was acknowledged is there; many at once share a
transaction. SQLite is told not to wait for the disk here: what was recorded survives the death of the
program by whatever signal, and only a power cut may take the last moments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, case, func, insert, select, union, update
from sqlalchemy.dialects import postgresql, sqlite

from radimpress.clustering.cell import Cell
from radimpress.reports.errors import NotFoundError, RadimpressError
from radimpress.reports.files import canonical
from radimpress.reports.report import Modality, Report, parse_modality
from radimpress.server.registry.answers import (
    Answer,
    Outcome,
    QualityRow,
    Signed,
    about,
    answer_of,
    answer_row,
    answers,
    opened,
    signed,
    time_text,
)
from radimpress.server.registry.batcher import Batcher
from radimpress.server.registry.database import Database, Lock
from radimpress.server.registry.glance import Glance
from radimpress.server.registry.registry import Registry
from radimpress.server.routes import Arm
from radimpress.server.security.sealing import Seal
from radimpress.v1 import impression_pb2

_PAGE = 1000
# What only one answer has: clinic, request id, whether a shadow wrote it.
_Key = tuple[str, str, bool]
_LAST: Select[Any] = select(
    select(func.max(answers.c.number)).scalar_subquery(), select(func.max(signed.c.number)).scalar_subquery()
)
# Pairs in a list of values would be looked for in every row by SQLite; this it finds by key.
_BY_NAME = select(answers).where(
    answers.c.clinic.in_(bindparam("clinics", expanding=True)),
    answers.c.request_id.in_(bindparam("request_ids", expanding=True)),
)
_ONE = select(answers.c.number).where(
    answers.c.clinic == bindparam("clinic"),
    answers.c.request_id == bindparam("request_id"),
    answers.c.shadow.is_(False),
)


class Journal:
    """Answers and signed texts.

    Args:
        registry: whose database keeps them.
        seal: seals texts where they are kept; None keeps them as they are.
        days: how long an answer's text is kept.
    """

    def __init__(self, registry: Registry, seal: Seal | None, days: float) -> None:
        self._seal = seal
        self._days = days
        self._database = Database(registry.url, synchronous="NORMAL")
        insertion = postgresql.insert(answers) if self._database.shared else sqlite.insert(answers)
        self._insertion = insertion.on_conflict_do_nothing(index_elements=["clinic", "request_id", "shadow"])
        self._records = Batcher("radimpress-journal", self._record)
        self._lookups = Batcher("radimpress-journal-lookup", self._find)
        # Nearly every request is new, which SQLite tells at once.
        self._glance = None if self._database.shared else Glance(self._database, _ONE)

    @property
    def waiting(self) -> int:
        """Answers that wait to be recorded."""
        return self._records.waiting

    def close(self) -> None:
        """Records what waits, and closes the connections."""
        self._records.close()
        self._lookups.close()
        if self._glance is not None:
            self._glance.close()
        self._database.close()

    async def record(self, answer: Answer) -> Answer:
        """Records an answer; gives back the one that was recorded first for its request, which may be another.

        Returns once it is committed.

        Raises:
            OverloadError: too many wait to be recorded.
            UnavailableError: the database cannot be reached, or its disk is full.
            DamageError: the one that was recorded first was changed.
            SealedError: the one that was recorded first is sealed with a key that is not given.
        """
        return await self._records.ask(answer)

    async def find(self, clinic: str, request_id: str) -> Answer | None:
        """The answer that a clinic was given for a request; None where there is none, or its text was purged.

        Raises:
            UnavailableError: the database cannot be reached.
            DamageError: it was changed.
            SealedError: its key is not given.
        """
        if self._glance is not None and self._glance.absent(clinic=clinic, request_id=request_id):
            return None
        return await self._lookups.ask((clinic, request_id, False))

    async def sign(self, text: Signed) -> None:
        """Records what was signed for an answer; a later text takes the place of an earlier one.

        Raises:
            NotFoundError: the clinic was given no such answer, or its text was purged.
            UnavailableError: the database cannot be reached.
        """
        await asyncio.to_thread(self._sign, text)

    def outcomes(self, cell: Cell, since_table: int, after: int = 0) -> list[Outcome]:
        """What became known after a place in the journal of a slice's answers, ordered by the answer.

        Args:
            cell: the slice.
            since_table: answers by this route table or a later one.
            after: the highest `number` or `signed` that was seen; an answer comes again when its text is signed.

        Raises:
            UnavailableError: the database cannot be reached.
        """
        joined = answers.outerjoin(signed, signed.c.answer == answers.c.number)
        columns = (
            answers.c.number.label("answer"),
            answers.c.arm,
            answers.c.digest,
            answers.c.checks,
            signed.c.rouge_l,
        )
        query = (
            select(*columns, signed.c.number.label("place"))
            .select_from(joined)
            .where(
                answers.c.modality == cell.modality.value,
                answers.c.cluster == cell.cluster,
                answers.c.route_table >= since_table,
            )
        )
        # Two searches by key instead of one through everything.
        both = union(query.where(answers.c.number > after), query.where(signed.c.number > after))
        with self._database.connected() as connection:
            return [
                Outcome(number, Arm(arm), digest, tuple(checks.split()), similarity, place or 0)
                for number, arm, digest, checks, similarity, place in connection.execute(both.order_by("answer"))
            ]

    def quality(self, since: datetime | None = None) -> list[QualityRow]:
        """What came of each adapter's answers, slice by slice and arm by arm, from a moment on.

        Raises:
            UnavailableError: the database cannot be reached.
        """
        key = [answers.c[name] for name in ("modality", "cluster", "adapter", "version", "digest", "arm")]
        query = (
            select(
                *key,
                func.count(),
                func.count(case((answers.c.checks != "", 1))),
                func.count(signed.c.number),
                func.coalesce(func.avg(signed.c.edit_distance), 0.0),
                func.coalesce(func.avg(signed.c.rouge_l), 0.0),
                func.count(case((signed.c.unchanged, 1))),
            )
            .select_from(answers.outerjoin(signed, signed.c.answer == answers.c.number))
            .group_by(*key)
            .order_by(*key)
        )
        if since is not None:
            query = query.where(answers.c.created >= time_text(since))
        with self._database.connected() as connection:
            return [
                QualityRow(Cell(Modality(modality), cluster), adapter, version, digest, Arm(arm), *figures)
                for modality, cluster, adapter, version, digest, arm, *figures in connection.execute(query)
            ]

    def export(self) -> Iterator[Report]:
        """Reports with what was signed as their impression, in the order of signing, for the next training.

        Raises:
            DamageError: a text was changed.
            SealedError: a text's key is not given.
            UnavailableError: the database cannot be reached.
        """
        joined = signed.join(answers, signed.c.answer == answers.c.number)
        query = select(signed, answers.c.clinic).select_from(joined).order_by(signed.c.number).limit(_PAGE)
        last = 0
        while True:
            with self._database.connected() as connection:
                rows = connection.execute(query.where(signed.c.number > last)).all()
            for row in rows:
                last = row.number
                yield _report(row, self._seal)
            if len(rows) < _PAGE:
                return

    def purge(self, now: datetime) -> int:
        """Takes the text, and what leads to the patient, from answers that are old enough; gives how many.

        What was signed stays: it is what the next training learns from.

        Raises:
            UnavailableError: the database cannot be reached.
        """
        old, last, count = time_text(now - timedelta(days=self._days)), 0, 0
        some = (
            select(answers.c.number)
            .where(answers.c.message.is_not(None), answers.c.created < old, answers.c.number > bindparam("last"))
            .order_by(answers.c.number)
            .limit(_PAGE)
        )
        gone = {"request_id": None, "message": None, "subject": "", "asked": ""}
        while True:
            # Looked for without the lock, in one pass: nothing is recorded meanwhile that is old.
            with self._database.connected() as connection:
                numbers = connection.scalars(some, {"last": last}).all()
            if numbers:
                last = numbers[-1]
                those = answers.c.number.in_(numbers), answers.c.message.is_not(None)
                with self._database.connected(Lock.ANSWERS) as connection:
                    count += connection.execute(update(answers).where(*those).values(gone)).rowcount
            if len(numbers) < _PAGE:
                return count

    def _record(self, batch: Sequence[Answer]) -> Sequence[Answer | Exception]:
        with self._database.connected(Lock.ANSWERS) as connection:
            number = _last(connection)
            given = [replace(answer, number=number + at) for at, answer in enumerate(batch, start=1)]
            rows = [answer_row(answer, self._seal) for answer in given]
            made = connection.execute(self._insertion, rows, execution_options={"preserve_rowcount": True})
            if made.rowcount == len(rows):
                return given
            kept = self._kept(connection, [answer.key for answer in given])
        return [kept[answer.key] for answer in given]

    def _find(self, batch: Sequence[_Key]) -> Sequence[Answer | Exception | None]:
        with self._database.connected() as connection:
            kept = self._kept(connection, batch)
        return [kept.get(key) for key in batch]

    def _kept(self, connection: Connection, keys: Sequence[_Key]) -> dict[_Key, Answer | Exception]:
        """What was answered, or why it cannot be read, which is told to nobody else."""
        given = {"clinics": {key[0] for key in keys}, "request_ids": {key[1] for key in keys}}
        wanted, found = set(keys), dict[_Key, Answer | Exception]()
        for row in connection.execute(_BY_NAME, given):
            key = (row.clinic, row.request_id, row.shadow)
            if key in wanted:
                try:
                    found[key] = answer_of(row, self._seal)
                except RadimpressError as error:
                    found[key] = error
        return found

    def _sign(self, text: Signed) -> None:
        owner = about(text.clinic, text.request_id)
        row = {
            "edit_distance": text.edit_distance,
            "rouge_l": text.rouge_l,
            "unchanged": text.unchanged,
            "checks_right": canonical(dict(text.checks_right)).decode(),
            "report": self._seal.seal(text.report, owner) if self._seal else text.report,
            "final": self._seal.seal(text.final, owner) if self._seal else text.final,
            "created": time_text(text.created),
        }
        asked = and_(
            answers.c.clinic == text.clinic, answers.c.request_id == text.request_id, answers.c.shadow.is_(False)
        )
        with self._database.connected(Lock.ANSWERS) as connection:
            answer = connection.scalar(select(answers.c.number).where(asked))
            if answer is None:
                raise NotFoundError("the clinic was given no answer with this request_id, or it was kept long enough")
            # A text that is sent again keeps its place: what was counted stays counted.
            if connection.scalar(select(signed.c.number).where(signed.c.answer == answer)):
                connection.execute(update(signed).where(signed.c.answer == answer).values(row))
                return
            place = {"answer": answer, "number": _last(connection) + 1, "request_id": text.request_id}
            connection.execute(insert(signed).values({**place, **row}))


def _last(connection: Connection) -> int:
    """The highest place that is taken; answers and signed texts share one count."""
    return max(place or 0 for place in connection.execute(_LAST).one())


def _report(row: Row[Any], seal: Seal | None) -> Report:
    owner = about(row.clinic, row.request_id)
    asked = impression_pb2.ReportInput.FromString(opened(row.report, seal, owner))
    return Report(
        id=f"{row.clinic}:{row.request_id}",
        clinic=row.clinic,
        modality=parse_modality(asked.modality),
        findings=asked.findings,
        impression=opened(row.final, seal, owner).decode(),
        exam=asked.exam,
        indication=asked.indication,
        comparison=asked.comparison,
        source="signed",
    )
