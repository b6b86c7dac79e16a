"""What a registry says: adapters, route tables and events, and which table serves now."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from radimpress.reports.errors import DamageError, NotFoundError, RadimpressError, UnavailableError
from radimpress.server.registry import events, migrate
from radimpress.server.registry.database import Database
from radimpress.server.registry.events import Event, EventRow
from radimpress.server.registry.shelf import Shelf
from radimpress.server.registry.store import Store
from radimpress.server.registry.tables import (
    AdapterRow,
    SecretRow,
    TableRow,
    content_of,
    newest_table,
    read_table,
)
from radimpress.server.registry.watch import Watch
from radimpress.server.rollout import plan
from radimpress.server.routes import AdapterVersion, RouteTable
from radimpress.trainer.bundle import AdapterBundle

# So long the last table stays while bundles of the next are brought here, in seconds.
_PATIENCE = 60.0
_State = tuple[int, str]


@dataclass(frozen=True, slots=True)
class _Coming:
    """A table that is taken up once its bundles are at hand."""

    state: _State
    table: RouteTable
    bundles: list[Future[AdapterBundle]]
    since: float = field(default_factory=time.monotonic)

    @property
    def ready(self) -> bool:
        """Whether nothing is waited for any more; what could not be had is told to whoever asks for it."""
        return all(one.done() for one in self.bundles) or self.left <= 0

    @property
    def left(self) -> float:
        """Seconds that it is waited for at most."""
        return self.since + _PATIENCE - time.monotonic()


class View:
    """Reads a registry; `Registry` changes it.

    Args:
        url: an SQLAlchemy URL, as in "sqlite:///registry.db" or "postgresql://radimpress@db/radimpress".
        bundles: the folder, or the URL, that bundles are registered from.
        cache: the folder on this machine for bundles of a URL.

    Raises:
        ConfigError: the database cannot be opened or is of another revision, or the store cannot be opened.
    """

    def __init__(self, url: str, bundles: str | Path, *, cache: Path | None = None) -> None:
        self.url = url
        self.store = Store(bundles, cache)
        self._shelf = Shelf(self.store)
        self._database = Database(url)
        try:
            migrate.prepare(self._database)
        except RadimpressError:
            self._database.close()
            raise
        # Copies of tables that were read, good until the event that they were read at is no longer the newest.
        self._copies: tuple[str, dict[int, RouteTable]] = ("", {})
        self._current: RouteTable | None = None
        self._seen: _State = (0, "")
        self._coming: _Coming | None = None
        self._refreshing = threading.Lock()
        self._watch: Watch | None = None

    def close(self) -> None:
        """Ends the watch and closes the connections."""
        if self._watch is not None:
            self._watch.close()
        self._database.close()

    @cached_property
    def secret(self) -> bytes:
        """Random bytes that all servers of this registry share, and nobody else has."""
        with self._database.reading() as session:
            return session.get_one(SecretRow, "asked").value

    def current(self) -> RouteTable:
        """The current route table as this server last saw it; asks nobody once it was read.

        Raises:
            NotFoundError: there is none yet.
            UnavailableError: it was never read, and the database cannot be reached.
        """
        return self._current or self.refresh()

    def refresh(self) -> RouteTable:
        """Takes up the newest table, once its bundles are at hand; waits for them for a minute at most.

        Raises:
            NotFoundError: there is none yet.
            UnavailableError: the database cannot be reached.
        """
        while (coming := self._take_up()) is not None:
            wait(coming.bundles, max(coming.left, 0))
        assert self._current is not None
        return self._current

    def watch(self, poll: float = 0.25, changed: Callable[[RouteTable], None] | None = None) -> None:
        """Keeps `current` fresh from now on, on a thread of its own, until `close`.

        Args:
            poll: seconds between two looks.
            changed: told, on that thread, when anything changed; with the table that is current then.

        Raises:
            NotFoundError: there is no route table yet.
            UnavailableError: the database cannot be reached.
        """
        self.refresh()
        told = self._seen

        def look() -> None:
            nonlocal told
            self._take_up()
            # What this process changed itself was seen already, and is told all the same.
            if changed is not None and told != self._seen:
                changed(self.current())
                told = self._seen

        if self._watch is not None:
            self._watch.close()
        self._watch = Watch(look, poll)

    def check(self) -> None:
        """Whether the database can be reached; asks nobody while `watch` looks anyway.

        Raises:
            UnavailableError: it cannot.
        """
        if self._watch is None:
            with self._database.reading() as session:
                _state(session)
        elif self._watch.failing:
            raise UnavailableError("the registry cannot be reached now")

    def bundle(self, adapter: AdapterVersion) -> AdapterBundle:
        """The registered bundle, exactly as it was registered.

        Raises:
            DigestError: it is gone, or its manifest is not the registered one.
            UnavailableError: it lies elsewhere, and cannot be brought here now.
        """
        return self._shelf.bring(adapter).result()

    async def brought(self, adapter: AdapterVersion) -> AdapterBundle:
        """`bundle` on the path of every request: holds up nobody while it is brought here.

        Raises:
            RadimpressError: what `bundle` raises.
        """
        kept = self._shelf.kept(adapter)
        return kept if kept is not None else await asyncio.wrap_future(self._shelf.bring(adapter))

    def verify(self, adapter: AdapterVersion) -> None:
        """Reads a registered version's files anew, those of a URL from there.

        Raises:
            BundleError: they are not those that were registered, or must not be served.
            UnavailableError: they cannot be reached now.
        """
        self._shelf.verify(adapter)

    def adapter(self, name: str, version: int = 0) -> AdapterVersion:
        """One version; 0 is the newest.

        Raises:
            NotFoundError: there is none.
        """
        query = select(AdapterRow).where(AdapterRow.name == name).order_by(AdapterRow.version.desc()).limit(1)
        with self._database.reading() as session:
            row = session.scalar(query.where(AdapterRow.version == version) if version else query)
            if row is None:
                raise NotFoundError(f"adapter {name!r} has no {f'version {version}' if version else 'version'}")
            return row.value

    def adapters(self, offset: int = 0, limit: int = 500) -> list[AdapterVersion]:
        """Every version, newest first."""
        query = select(AdapterRow).order_by(AdapterRow.created.desc(), AdapterRow.digest).offset(offset).limit(limit)
        with self._database.reading() as session:
            return [row.value for row in session.scalars(query)]

    def table(self, number: int = 0) -> RouteTable:
        """A route table; 0 is the newest, as the database says at this moment.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.reading() as session:
            return self._table(session, number)

    def tables(self, offset: int = 0, limit: int = 500) -> list[RouteTable]:
        """Every route table, newest first."""
        with self._database.reading() as session:
            numbers = range(newest_table(session) - offset, 0, -1)
            return [self._table(session, number) for number in numbers[:limit]]

    def events(self, offset: int = 0, limit: int = 500) -> list[Event]:
        """Every change, newest first."""
        with self._database.reading() as session:
            return events.page(session, offset, limit)

    def check_chain(self) -> int:
        """Checks every event against the one before, and every route table against the event that made it.

        Returns:
            How many events there are.

        Raises:
            DamageError: one is missing, or is not what was written.
        """
        count, made = 0, 0
        with self._database.reading() as session:
            for event in events.checked(session):
                count = event.number
                if not event.table:
                    continue
                if made and event.table != made + 1:
                    raise DamageError(f"event {event.number} made route table {event.table}, but {made} was the last")
                made = event.table
                if _content(session, made) != event.content:
                    raise DamageError(f"route table {made} is not what event {event.number} made")
            if made and newest_table(session) != made:
                raise DamageError(f"no event made route table {made + 1}")
        return count

    def _take_up(self) -> _Coming | None:
        """Takes up the newest table if its bundles are at hand; gives what is waited for if not."""
        with self._refreshing:
            with self._database.reading() as session:
                state = _state(session)
                if state == self._seen and self._current is not None:
                    self._coming = None
                    return None
                table = self._table(session, 0)
            if self._coming is None or self._coming.state != state:
                self._coming = _Coming(state, table, [self._shelf.bring(adapter) for _, adapter in plan.uses(table)])
            if not self._coming.ready:
                return self._coming
            self._current, self._seen, self._coming = table, state, None
            return None

    def _table(self, session: Session, number: int) -> RouteTable:
        newest, event = _state(session)
        if not newest:
            raise NotFoundError("there is no route table yet: adopt clusters first")
        if not 0 <= number <= newest:
            raise NotFoundError(f"there is no route table {number}")
        copied, copies = self._copies
        if event != copied:
            copies = {}
            self._copies = (event, copies)
        wanted = number or newest
        if wanted not in copies:
            # A table never changes, and an adapter only with an event: the copy is as good as the original.
            copies[wanted] = read_table(session, wanted)
        return copies[wanted]


def _state(session: Session) -> _State:
    """The newest route table's number and the newest event's chain: one of them moves when anything does.

    The chain, and not the event's number, as a database may have been restored from a copy.
    """
    chain = select(EventRow.chain).order_by(EventRow.number.desc()).limit(1).scalar_subquery()
    table, event = session.execute(select(select(func.max(TableRow.number)).scalar_subquery(), chain)).one()
    return table or 0, event or ""


def _content(session: Session, number: int) -> str:
    try:
        return content_of(read_table(session, number))
    except NotFoundError:
        return ""
