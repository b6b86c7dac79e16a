"""What the tests of commands share: a command run in this process, and what came of it."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from radimpress.server.cli import main
from tests.server.conftest import Site


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and all that it said."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What --json printed, one object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> str:
        """The line that says what is wrong; a server on a thread may log beside it."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("error: ")]
        return line


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs `radimpress` with these words."""
    # A server on a thread begins to log before the first command says where to.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())

    def command(*words: object) -> Done:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["radimpress", *map(str, words)])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    yield command
    structlog.reset_defaults()


@pytest.fixture
def at(site: Site) -> list[object]:
    """The options that name the site's registry and bundles."""
    return ["--registry", site.url, "--bundles", site.bundles]


def one_line(done: Done, *words: str) -> None:
    """The command ended in an error of one line that says these words."""
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err
