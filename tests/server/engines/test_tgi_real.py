"""The TGI engine beside a real TGI, where one runs; docs/deploy.md, "vLLM and TGI", says how it is started.

RADIMPRESS_TGI_URL=http://127.0.0.1:8080 RADIMPRESS_TGI_BUNDLES=demo/bundles make test-tgi
"""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from radimpress.server.engines import Engine, Limits, Piece
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.server.engines.tgi import TgiEngine
from radimpress.trainer.bases import DEFAULT_BASE, find_base
from radimpress.trainer.bundle import MANIFEST, AdapterBundle, open_bundle
from radimpress.trainer.fetch import base_folder
from radimpress.trainer.load import load_base

URLS = os.environ.get("RADIMPRESS_TGI_URL", "").split()
BUNDLES = os.environ.get("RADIMPRESS_TGI_BUNDLES", "")
PROMPTS = [
    "Modality: CT\nFindings: The lungs are clear. No acute fracture is seen.",
    "Modality: MR\nFindings: Tear of the medial meniscus. No effusion.",
    "Modality: XR\nFindings: Fracture of the distal radius, displaced by 4 mm.",
]
TOKENS = 48

pytestmark = pytest.mark.skipif(not URLS, reason="RADIMPRESS_TGI_URL names no TGI")


async def _pieces(engine: Engine, prompt: str, adapter: AdapterBundle | None) -> list[Piece]:
    async with aclosing(engine.generate(prompt, adapter, Limits(TOKENS))) as pieces:
        return [piece async for piece in pieces]


async def _all(engine: Engine, adapters: list[AdapterBundle | None]) -> list[list[Piece]]:
    return await asyncio.gather(*(_pieces(engine, prompt, adapter) for adapter in adapters for prompt in PROMPTS))


def _texts(answers: list[list[Piece]]) -> list[str]:
    """What each adapter wrote, its answers together."""
    said = ["".join(piece.text for piece in pieces) for pieces in answers]
    return ["\n".join(said[at : at + len(PROMPTS)]) for at in range(0, len(said), len(PROMPTS))]


def test_each_adapter_writes_what_it_writes_in_the_server_and_nobody_elses() -> None:
    base = find_base(DEFAULT_BASE)
    folder = base_folder(base)
    found = [open_bundle(path.parent) for path in sorted(Path(BUNDLES).rglob(MANIFEST))]
    assert found, "RADIMPRESS_TGI_BUNDLES names no bundles"
    theirs = TgiEngine(base, folder, URLS)
    ours = InProcessEngine(load_base(base, folder))
    try:
        # All at once, so that base and adapters are mixed in its batches.
        answers, expected = (asyncio.run(_all(engine, [None, *found])) for engine in (theirs, ours))
    finally:
        ours.close()
        theirs.close()
    assert theirs.resident() == {bundle.digest for bundle in found}
    assert [one[-1].prompt_tokens for one in answers] == [one[-1].prompt_tokens for one in expected]
    known = _texts(expected)
    # It computes in 16 bits and the server in 32, so that words may differ; whose they are may not.
    for text, own in zip(_texts(answers), known, strict=True):
        near = {other: SequenceMatcher(None, text, other, autojunk=False).ratio() for other in known}
        assert near[own] == max(near.values())


def test_an_adapter_that_it_was_not_started_with_is_refused() -> None:
    base = find_base(DEFAULT_BASE)
    folder = base_folder(base)
    engine = TgiEngine(base, folder, URLS)
    unknown = "f" * 64

    async def ask() -> bool:
        (replica, *_) = engine._replicas
        assert await replica.is_base()
        return await replica.holds(unknown, 0.0)

    try:
        assert not asyncio.run(ask())
    finally:
        engine.close()
