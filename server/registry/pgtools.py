"""PostgreSQL's own programs, which copy a database better than any of ours would: pg_dump and pg_restore."""

from __future__ import annotations

import os
import shutil
import subprocess

from sqlalchemy import URL

from radimpress.reports.errors import ConfigError

# What they say of a connection holds no row of a table; of anything else it may.
_TOLD = ("connection to server", "server version", "version mismatch", "already exists")


def run_tool(program: str, url: URL, *options: str) -> None:
    """Runs one of them on a database; the password goes by the environment, where no list of processes shows it.

    Args:
        program: "pg_dump" or "pg_restore".
        url: of the database, as SQLAlchemy reads it.
        options: all others.

    Raises:
        ConfigError: it is not installed, or it failed.
    """
    found = shutil.which(program)
    if found is None:
        raise ConfigError(f"{program} is not installed; it comes with PostgreSQL's client")
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    query = {name: value for name, value in url.query.items() if name != "password"}
    place = URL.create("postgresql", url.username, None, url.host, url.port, url.database, query)
    command = [found, "--no-password", f"--dbname={place.render_as_string()}", *options]
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if any(words in line for words in _TOLD)]
        raise ConfigError(f"{program} ended with {done.returncode}{f': {told[0]}' if told else ''}")
