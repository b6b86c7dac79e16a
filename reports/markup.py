"""HTML by small functions: everything that is not `Html` already is escaped, and a page fetches nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
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


def document(
    title: str, script: str, header: Iterable[Html], sections: Iterable[tuple[str, str, Iterable[Html]]]
) -> bytes:
    """A whole page in one file, with the style that all pages share.

    Args:
        title: of the window.
        script: runs before anything is drawn.
        header: stands above the list of sections.
        sections: name, title and parts of each; they are numbered.
    """
    told = [(name, title, list(parts)) for name, title, parts in sections]
    links = [el("li", el("a", heading, href=f"#{name}")) for name, heading, _ in told]
    page = el(
        "html",
        el(
            "head",
            Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
            # What the browser enforces: nothing is fetched from anywhere.
            Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
            el("title", title),
            el("style", Html(files("radimpress.reports").joinpath("page.css").read_text("utf-8"))),
            el("script", Html(script)),
        ),
        el(
            "body",
            el("header", *header, el("nav", el("ol", *links), aria_label="Sections")),
            el(
                "main",
                *(
                    el("section", el("h2", f"{number}. {heading}"), *parts, id=name)
                    for number, (name, heading, parts) in enumerate(told, start=1)
                ),
            ),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n".encode()


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
