"""What the commands say to people: progress bars and tables, on standard error and output."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import TypeVar

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

T = TypeVar("T")
_WIDE = None if sys.stdout.isatty() else 120
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
    """Prints a table."""
    drawn = Table(*columns, title=title, title_justify="left")
    for row in rows:
        drawn.add_row(*(str(value) for value in row))
    OUT.print(drawn)


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
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def quiet_models() -> None:
    """The same for transformers, once it is imported."""
    from transformers.utils import logging as chatter

    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
