"""Records answers without end and prints the name of each once it was recorded; test_journal.py kills it."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from itertools import count

from radimpress.clustering.cell import Cell
from radimpress.reports.report import Modality
from radimpress.server.registry import Answer, Journal, Registry
from radimpress.server.routes import Arm


async def _write(journal: Journal, names: count[int]) -> None:
    for number in names:
        name = f"r-{number}"
        cell = Cell(Modality.CT, "list")
        head = ("alder", name, "pacs", "a" * 64, b"No fracture.", "", "base", 0, cell, Arm.INCUMBENT)
        await journal.record(Answer(*head, 1, (), datetime.now(UTC), 0.5))
        print(name, flush=True)


async def main(url: str, bundles: str) -> None:
    """Writes from 16 tasks at once."""
    journal, names = Journal(Registry(url, bundles), None, 30), count(1)
    await asyncio.gather(*(_write(journal, names) for _ in range(16)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
