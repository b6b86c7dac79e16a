"""What the commands say to people: progress bars and tables, on standard error and output."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from radimpress.server.telemetry import log

T = TypeVar("T")
# A pipe has no width of its own; nothing that a script looks for is broken over two lines.
_WIDE = None if sys.stdout.isatty() else 160
OUT = Console(soft_wrap=True, highlight=False, width=_WIDE)
ERR = Console(stderr=True, soft_wrap=True, highlight=False, width=_WIDE)


def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """A `Track` that draws a bar; where nobody watches, one line when done."""
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=ERR) as progress:
        yield from progress.track(items, total=total, description=label)


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Prints a title on a line of its own, and a table."""
    # Not the table's own title, which would be broken at the table's width.
    OUT.print(Text(title, style="italic"))
    drawn = Table(*columns)
    for row in rows:
        # Text, as a string would be read as markup, and what is shown may hold brackets.
        drawn.add_row(*(value if isinstance(value, Text) else Text(shown(str(value))) for value in row))
    OUT.print(drawn)


def shown(text: str) -> str:
    """A text from elsewhere as a terminal may have it: what would steer the terminal is U+FFFD, lines stay."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def plain(message: Message) -> dict[str, Any]:
    """A message of radimpress.v1 as JSON has it: every field, by the names of the .proto files, numbers as numbers."""
    return MessageToDict(
        message,
        always_print_fields_with_no_presence=True,
        preserving_proto_field_name=True,
        unquote_int64_if_possible=True,
    )


def tell(value: Message | Mapping[str, Any]) -> None:
    """Prints one JSON object on a line of its own."""
    found = plain(value) if isinstance(value, Message) else value
    # Past Rich, which would read brackets as markup and break lines at the screen's width.
    print(json.dumps(found, ensure_ascii=False))


def step(number: int, text: str) -> None:
    """Announces a step."""
    OUT.print(f"\n[bold]{number}. {text}[/bold]")


def quiet() -> None:
    """Keeps libraries' chatter off the screen, and our log on standard error as JSON."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # Ours is the one progress bar; read when tqdm is imported.
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
    log.lines()


def quiet_models() -> None:
    """The same for transformers, once it is imported."""
    from transformers.utils import logging as chatter

    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
