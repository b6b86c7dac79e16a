"""A real PostgreSQL, Debian's, for the tests that need one: one cluster a session, a fresh database a test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

_BINARIES = Path("/usr/lib/postgresql")
_WAIT_SECONDS = 60.0
# Nothing here need survive a power cut; everything else is as it is in production.
_SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=200", "listen_addresses=")


class Postgres:
    """One cluster, reached by a Unix socket.

    Args:
        binaries: the folder of `postgres` and `initdb`.
        folder: a new one with a short path, as sockets want it.
    """

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        if not os.geteuid():
            # PostgreSQL refuses to run as root.
            shutil.chown(folder, "postgres", "postgres")
        how = ("--auth=trust", "--username=radimpress", "--encoding=UTF8", "--no-locale", "--no-sync")
        made = self._run("initdb", *how, "-D", str(folder / "data"))
        output, _ = made.communicate()
        if made.returncode:
            raise RuntimeError(output.decode(errors="replace"))

    def start(self) -> None:
        """Starts it; returns when it answers."""
        named = (*_SETTINGS, f"unix_socket_directories={self._folder}")
        settings = [word for setting in named for word in ("-c", setting)]
        self._process = self._run("postgres", "-D", str(self._folder / "data"), *settings)
        end = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                psycopg.connect(self._address("postgres")).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops it: SIGINT ends connections in order, SIGQUIT as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.communicate(timeout=_WAIT_SECONDS)
            self._process = None

    def fresh(self) -> str:
        """A new empty database's URL, as a registry takes it."""
        name = f"radimpress_{next(self._numbers)}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://radimpress@/{name}?host={self._folder}"

    def _address(self, name: str) -> str:
        return f"host={self._folder} user=radimpress dbname={name}"

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(self._binaries / program), *arguments]
        if not os.geteuid():
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", *command]
        # The log goes nowhere once the cluster runs: a pipe that nobody reads would fill up and stop it.
        out = subprocess.DEVNULL if program == "postgres" else subprocess.PIPE
        return subprocess.Popen(command, cwd=self._folder, stdout=out, stderr=subprocess.STDOUT)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The session's cluster; skips where PostgreSQL is not installed."""
    versions = sorted(_BINARIES.glob("*/bin"), key=lambda path: int(path.parent.name))
    if not versions:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    if not os.geteuid() and shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL does not run as root, and setpriv is not there")
    folder = Path(tempfile.mkdtemp(prefix="radimpress-pg-"))
    made = Postgres(versions[-1], folder)
    made.start()
    yield made
    made.stop(signal.SIGQUIT)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """An empty database's URL."""
    return postgres.fresh()


@pytest.fixture
def postgres_stopped(postgres: Postgres) -> Callable[[], AbstractContextManager[None]]:
    """A context in which PostgreSQL is down."""

    @contextmanager
    def stopped() -> Iterator[None]:
        postgres.stop(signal.SIGQUIT)
        try:
            yield
        finally:
            postgres.start()

    return stopped
