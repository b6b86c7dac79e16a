"""The lines of a text, given back where a file lost them."""

from __future__ import annotations

import re

# MTSamples' tables have a comma for the end of a line: "EXAM:, Chest.,FINDINGS:, Clear."
_COMMAS = re.compile(r"(?:^|,)\s*[A-Z][A-Z0-9 /&()'-]{1,58}:\s*,")
_COMMA_HEADING = re.compile(r",\s*(?=[A-Z][A-Z0-9 /&()'-]{1,58}:\s*(?:,|\S))")
_COMMA_END = re.compile(r"(?<=[.:;?!)])\s*,\s*")
# What was written as JSON twice has a backslash and an n.
_ESCAPED = re.compile(r"(?:^|\\n)\s*[A-Z][A-Za-z &/]{1,40}:")
_LEAST = 2


def lines_of(text: str) -> list[str]:
    """All lines, blank ones too, without line ends; a byte order mark and hard spaces are gone."""
    text = text.replace("\ufeff", "").replace("\xa0", " ").replace("\r\n", "\n").replace("\r", "\n")
    if "\n" not in text:
        if len(_ESCAPED.findall(text)) >= _LEAST:
            text = text.replace("\\r", "").replace("\\n", "\n")
        elif len(_COMMAS.findall(text)) >= _LEAST:
            text = _COMMA_END.sub("\n", _COMMA_HEADING.sub("\n", text)).strip(" ,\n")
    return text.split("\n")
