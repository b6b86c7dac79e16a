"""HTML by small functions: everything that is not `Html` already is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_DIGITS = 16


class Html(str):
    """Text that is markup."""

    __slots__ = ()


def el(tag: str, *children: object, **attributes: object) -> Html:
    """An element; a trailing underscore in an attribute's name is dropped, others become hyphens."""
    told = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for name, value in attributes.items()
    )
    return Html(f"<{tag}{told}>{''.join(map(_markup, children))}</{tag}>")


def table(caption: str, head: Iterable[str], rows: Iterable[Sequence[object]]) -> Html:
    """A table in a box of its own that scrolls where the screen is narrow; a row's first value names it.

    A value that is a `<td>` already is taken as it is.
    """
    names = [el("th", name, scope="col") for name in head]
    lines = [el("tr", el("th", first, scope="row"), *map(_cell, rest)) for first, *rest in rows]
    inside = el("table", el("caption", caption), el("thead", el("tr", *names)), el("tbody", *lines))
    return el("div", inside, class_="scroll", tabindex=0, role="region", aria_label=caption)


def text(title: str, body: str, kind: str = "", note: str = "") -> Html:
    """A report's text under a title, with its lines and spaces as they are."""
    heading = el("h4", title, " ", el("small", note)) if note else el("h4", title)
    return el("div", heading, el("div", body or "(empty)", class_=f"text {kind}".strip()))


def digest(value: str) -> Html:
    """The first digits of a digest; all of them as its title."""
    return el("code", value[:_DIGITS], title=value) if value else el("span", "-", class_="none")


def _cell(value: object) -> Html:
    return value if isinstance(value, Html) and value.startswith("<td") else el("td", value)


def _markup(value: object) -> str:
    return value if isinstance(value, Html) else escape(str(value))
