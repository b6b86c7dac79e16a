"""The chain of events: who changed what, each event holding the digest of the one before.

An event is written in the transaction of the change that it tells of, so that neither is there without
the other. Whoever changes an event, takes one out, or changes a route table behind the registry's back
breaks the chain. Only what is cut off at the very end cannot be seen in the chain itself: whoever wants to
see that too keeps the last chain value elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from radimpress.reports.errors import DamageError
from radimpress.reports.files import canonical
from radimpress.server.registry.tables import Base, now

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """One change.

    Attributes:
        number: counted from 1 without a gap.
        created: when.
        actor: who, as the token or the command says; "monitor" when live quality did it.
        action: "adopt", "register", "promote", "end-trial", "rollback" or "retire".
        digest: SHA-256, in hex, of the adapter's weights file; empty where it is about none.
        table: number of the route table that it made; 0 where it made none.
        detail: in words.
        content: SHA-256, in hex, over all that this route table says; empty where it made none.
        chain: SHA-256, in hex, over the chain before and all of the above.
    """

    number: int
    created: datetime
    actor: str
    action: str
    digest: str = ""
    table: int = 0
    detail: str = ""
    content: str = ""
    chain: str = ""

    def chained(self, before: str) -> str:
        """What its chain must be after an event with the chain `before`."""
        said = {**asdict(self), "created": self.created.isoformat()}
        del said["chain"]
        return hashlib.sha256(before.encode() + b"\n" + canonical(said)).hexdigest()


class EventRow(Base):
    """An event."""

    __tablename__ = "events"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created: Mapped[str]
    actor: Mapped[str]
    action: Mapped[str]
    digest: Mapped[str]
    route_table: Mapped[int]
    detail: Mapped[str]
    content: Mapped[str]
    chain: Mapped[str] = mapped_column(String(64))

    @property
    def value(self) -> Event:
        """The event."""
        return Event(
            self.number,
            datetime.fromisoformat(self.created),
            self.actor,
            self.action,
            self.digest,
            self.route_table,
            self.detail,
            self.content,
            self.chain,
        )


def newest_event(session: Session) -> int:
    """The newest event's number; 0 where there is none."""
    return session.scalar(select(func.max(EventRow.number))) or 0


def append(
    session: Session,
    actor: str,
    action: str,
    *,
    digest: str = "",
    table: int = 0,
    detail: str = "",
    content: str = "",
    created: datetime | None = None,
) -> None:
    """Adds the next event to the transaction that makes the change."""
    last = session.scalar(select(EventRow).order_by(EventRow.number.desc()).limit(1))
    number, before = (last.number + 1, last.chain) if last else (1, "")
    made = Event(number, created or now(), actor, action, digest, table, detail, content)
    session.add(
        EventRow(
            number=made.number,
            created=made.created.isoformat(),
            actor=actor,
            action=action,
            digest=digest,
            route_table=table,
            detail=detail,
            content=content,
            chain=made.chained(before),
        )
    )
    session.flush()


def page(session: Session, offset: int, limit: int) -> list[Event]:
    """Events, newest first."""
    query = select(EventRow).order_by(EventRow.number.desc()).offset(offset).limit(limit)
    return [row.value for row in session.scalars(query)]


def checked(session: Session) -> Iterator[Event]:
    """Every event, oldest first, each checked against the one before.

    Raises:
        DamageError: one is missing or was changed.
    """
    before, last = "", 0
    while True:
        query = select(EventRow).where(EventRow.number > last).order_by(EventRow.number).limit(_PAGE)
        rows = [row.value for row in session.scalars(query)]
        for event in rows:
            if event.number != last + 1:
                raise DamageError(f"event {last + 1} is missing")
            if event.chain != event.chained(before):
                raise DamageError(f"event {event.number} is not what was written, or one before it is not")
            before, last = event.chain, event.number
            yield event
        if len(rows) < _PAGE:
            return
