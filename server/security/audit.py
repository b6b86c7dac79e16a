"""The audit trail: a line for every request that was answered or refused, each bound to the line before.

A line is JSON: when, who, what, for which clinic (a digest of its name), which request, which
adapter by digest, by which route table, and how it ended; never a word of a report. Its `chain` is
SHA-256 over the chain before and the line without it, so that no line can be changed, left out or put
in between unseen. Whoever may write the file could make the whole chain anew, and lines cut off at the
end leave no gap: keep the head, which the log tells at start and end, where the server cannot write.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock, Thread

import structlog

from radimpress.reports.errors import ConfigError, DamageError, UnavailableError
from radimpress.server.security.trail import START, last_line, link, newest_part, part_of

_SYNC_SECONDS = 1.0
_log = structlog.get_logger()


class Audit:
    """One server's trail, in `<folder>/<server>.jsonl`; a file that is full is closed, and the next goes on from it.

    A line is handed to the operating system before `write` returns, so that it survives the end of the
    process, and to the disk within a second. A last line that was cut short by a kill is put aside, into
    a file beside, and told in the log; the chain goes on from the line before.

    Args:
        folder: made when it is not there.
        server: the server's name; two servers cannot write the same file.
        most: bytes of a file, after which it is closed as `<server>.<number of its first line>.jsonl`.

    Raises:
        ConfigError: the name is no file name, the folder cannot be written or read, another server has
            the file, or the last line of the file, or of the one before it, is not one of a trail.
        DamageError: the file's first line is not one of a trail, though its last one is.
    """

    def __init__(self, folder: Path, server: str, most: int = 1 << 28) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", server):
            raise ConfigError(f"audit: the server's name {server[:64]!r} is no file name")
        self.path = folder / f"{server}.jsonl"
        self._most = most
        self._lock = Lock()
        # Held while the file is handed to the disk, which may take long, and while it is exchanged for another.
        self._exchange = Lock()
        self._dirty = False
        self._broken = ""
        self._end = Event()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._open()
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({type(error).__name__})") from None
        try:
            self._own()
            self._number, self._chain, self._size = self._recover()
            self._first = self._begun()
        except OSError as error:
            os.close(self._file)
            raise ConfigError(f"{self.path}: cannot be gone on with ({type(error).__name__})") from None
        except BaseException:
            os.close(self._file)
            raise
        self._syncer = Thread(target=self._sync, name="radimpress-audit", daemon=True)
        self._syncer.start()
        _log.info("audit_opened", file=self.path.name, lines=self._number, head=self._chain)

    def write(
        self,
        action: str,
        *,
        subject: str,
        clinic: str = "",
        request_id: str = "",
        digest: str = "",
        table: int = 0,
        outcome: str = "OK",
    ) -> None:
        """Appends a line; returns when the operating system has it.

        Args:
            action: the rpc or what else was done, as in "GenerateImpression".
            subject: who asked.
            clinic: the clinic asked for; a digest of it is written.
            request_id: the caller's name of the request.
            digest: SHA-256 of the adapter's weights; empty for the base model.
            table: the route table's number; 0 where none was asked.
            outcome: "OK" or the code that it ended with.

        Raises:
            UnavailableError: it cannot be written, as when the disk is full; nothing half written stays.
        """
        with self._lock:
            if self._broken:
                raise UnavailableError(f"the audit trail cannot be written ({self._broken})")
            if self._size >= self._most:
                with self._exchange:
                    self._turn()
            if not self._size and self._number:
                self._go_on()
            self._put(
                subject=subject,
                action=action,
                clinic=hashlib.sha256(clinic.encode()).hexdigest()[:16] if clinic else "",
                request_id=request_id,
                digest=digest,
                table=table,
                outcome=outcome,
            )

    def refused(self, action: str, *, subject: str) -> None:
        """Appends that a caller may not do this. Refused it is in any case; that it cannot be written is in the log."""
        with suppress(UnavailableError):
            self.write(action, subject=subject, outcome="PERMISSION_DENIED")

    def close(self) -> None:
        """Hands everything to the disk and gives the file back."""
        self._end.set()
        self._syncer.join()
        with self._lock:
            # A line that came later would go to whatever file has the number then.
            self._broken = "closed"
            os.close(self._file)
        _log.info("audit_closed", file=self.path.name, lines=self._number, head=self._chain)

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _own(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"{self.path}: another server writes it; give each its own server_name") from None

    def _put(self, **facts: object) -> None:
        line = {"number": self._number + 1, "time": datetime.now(UTC).isoformat(timespec="microseconds"), **facts}
        chain, data = link(self._chain, line)
        self._append(data)
        self._number, self._chain, self._size = self._number + 1, chain, self._size + len(data)
        self._dirty = True

    def _begun(self) -> int:
        """The number of the file's first line; a file that goes on from another begins by saying so."""
        if self._size:
            with self.path.open("rb") as file:
                first = _told(file.readline())
            if first is None:
                raise DamageError(f"{self.path}: line 1 is not one of an audit trail; move it aside")
            return first[0]
        part = newest_part(self.path)
        if part is not None:
            with part.open("rb") as file:
                self._number, self._chain = _ended(part, last_line(file.fileno(), part.stat().st_size)[1])
            self._go_on()
        return self._number or 1

    def _go_on(self) -> None:
        self._put(action="Continue", after=self._chain)

    def _turn(self) -> None:
        """Closes the file under another name and begins the next.

        Raises:
            UnavailableError: it cannot; the next line tries again.
        """
        before, part = self._file, part_of(self.path, self._first)
        try:
            os.fsync(before)
            self.path.rename(part)
            try:
                self._file = self._open()
                self._own()
            except BaseException:
                with suppress(OSError):
                    part.rename(self.path)
                raise
        except (OSError, ConfigError) as error:
            if self._file != before:
                os.close(self._file)
                self._file = before
            _log.error("audit_not_turned", file=self.path.name, kind=type(error).__name__)
            raise UnavailableError("the audit trail cannot be written") from None
        os.close(before)
        self._size, self._first = 0, self._number + 1
        _log.info("audit_turned", file=part.name, lines=self._number, head=self._chain)

    def _recover(self) -> tuple[int, str, int]:
        """Number and chain of the last whole line, and where it ends; what follows it is put aside."""
        size = os.fstat(self._file).st_size
        whole, last = last_line(self._file, size)
        if whole < size:
            torn = os.pread(self._file, size - whole, whole)
            aside = self.path.with_suffix(".torn")
            with aside.open("ab") as file:
                file.write(torn + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.ftruncate(self._file, whole)
            _log.warning("audit_torn", file=self.path.name, bytes=size - whole, aside=aside.name)
        if not last:
            return 0, START, whole
        return *_ended(self.path, last), whole

    def _append(self, data: bytes) -> None:
        try:
            written = os.write(self._file, data)
            if written != len(data):
                written += os.write(self._file, data[written:])
            if written != len(data):
                raise OSError("short write")
        except OSError as error:
            try:
                os.ftruncate(self._file, self._size)
            except OSError:
                # Half a line may stand there: another behind it would be lost with it.
                self._broken = type(error).__name__
            _log.error("audit_not_written", file=self.path.name, errno=error.errno)
            raise UnavailableError("the audit trail cannot be written") from None

    def _sync(self) -> None:
        ended = False
        while not ended:
            ended = self._end.wait(_SYNC_SECONDS)
            if not self._dirty:
                continue
            self._dirty = False
            try:
                with self._exchange:
                    os.fsync(self._file)
            except OSError as error:
                # The kernel may have dropped what it could not write; only a look at the file can tell.
                self._broken = type(error).__name__
                _log.error("audit_not_synced", file=self.path.name, errno=error.errno)


def _ended(path: Path, last: bytes) -> tuple[int, str]:
    """Number and chain of the last line of a file."""
    found = _told(last)
    if found is None:
        raise ConfigError(f"{path}: its last line is not one of an audit trail; move it aside")
    return found


def _told(line: bytes) -> tuple[int, str] | None:
    """Number and chain of a line; None where it is not one of a trail."""
    try:
        facts = json.loads(line)
        return int(facts["number"]), str(facts["chain"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
