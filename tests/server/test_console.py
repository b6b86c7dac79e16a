"""What people see on a terminal."""

from __future__ import annotations

import pytest
from rich.console import Console

from radimpress.server import console


def test_a_name_in_a_table_neither_steers_the_terminal_nor_is_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "OUT", Console(width=80))
    console.table("clinics", ("clinic", "reports"), [("\x1b[2J[red]alder[/red]", 3)])
    said = capsys.readouterr().out
    assert "\x1b[2J" not in said
    assert "\N{REPLACEMENT CHARACTER}[2J[red]alder[/red]" in said


@pytest.mark.parametrize("text", ["1. Left effusion.\n2.\tNo pneumothorax.", "Ärztin, 5 µm", ""])
def test_a_text_without_control_characters_is_shown_as_it_is(text: str) -> None:
    assert console.shown(text) == text
