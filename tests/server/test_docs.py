"""What the pages say of commands and settings is what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from radimpress.server.cli import app
from radimpress.server.settings import ServerSettings
from tests.server.commands import Run, run

__all__ = ["run"]

ROOT = Path(__file__).resolve().parent.parent.parent
COMMANDS = (ROOT / "docs" / "commands.md").read_text("utf-8")


def _typed(group: object, *before: str) -> list[str]:
    """Every command of a group, as it is typed."""
    if not isinstance(group, TyperGroup):
        return [" ".join(before)]
    return [typed for name, command in group.commands.items() for typed in _typed(command, *before, name)]


def _shown(default: object) -> str:
    """A default as the environment would give it."""
    if default is None:
        return ""
    if isinstance(default, tuple):
        return json.dumps(default) if default else ""
    return json.dumps(default) if isinstance(default, bool) else str(default)


@pytest.mark.parametrize("command", _typed(get_command(app)))
def test_every_command_is_told_and_tells_of_itself(run: Run, command: str) -> None:
    assert f"| `{command}` |" in COMMANDS
    done = run(*command.split(), "--help")
    assert done.code == 0
    assert re.search(r"Usage: radimpress .*\n\s*\n\s*[A-Z]", done.out), done.out


def test_every_command_that_takes_json_says_what_it_prints() -> None:
    rows = re.findall(r"^\| `([a-z -]+)` \| .* \| (.*?) ?\|$", COMMANDS, re.MULTILINE)
    told = {command: bool(prints) for command, prints in rows}
    group = get_command(app)
    for typed in _typed(group):
        command = group
        for word in typed.split():
            assert isinstance(command, TyperGroup)
            command = command.commands[word]
        takes = any("--json" in option.opts for option in command.params)
        assert told[typed] == takes or typed == "serve", typed


@pytest.mark.parametrize("name", ServerSettings.model_fields)
def test_every_setting_is_told_with_its_default(name: str) -> None:
    field = ServerSettings.model_fields[name]
    (default, told) = re.findall(rf"^\| `RADIMPRESS_{name.upper()}` \| (.*) \| (.*) \|$", COMMANDS, re.MULTILINE)[0]
    assert default.strip("` ") == _shown(field.default)
    assert told == (field.description or told)
    assert told


@pytest.mark.parametrize(
    "page", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda page: page.name
)
def test_what_a_page_points_to_is_there(page: Path) -> None:
    pointed = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [place for place in pointed if "://" not in place and not (page.parent / place).exists()] == []
