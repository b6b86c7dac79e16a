"""A real vLLM under load: as PEFT writes, through starts anew on either side, and with one of two servers killed."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import pytest

from radimpress.reports.errors import RadimpressError, UnavailableError
from radimpress.server.bench.material import make_prompts
from radimpress.server.bench.references import Reference, references
from radimpress.server.bench.vllm_server import VllmServer
from radimpress.server.engines import Limits
from radimpress.server.engines.vllm import VllmEngine
from radimpress.server.engines.writer import write
from radimpress.trainer.bases import DEFAULT_BASE, find_base
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import load_base
from tests.server.engines.conformance import text
from tests.vllm.conftest import Site

REQUESTS = int(os.environ.get("VLLM_TEST_REQUESTS", "1000"))
CLIENTS = 24
TOKENS = 8
PROMPTS = max(2, min(8, REQUESTS // 100))


async def _load(
    engine: VllmEngine,
    asked: Sequence[tuple[AdapterBundle | None, str]],
    act: Callable[[int], None] = lambda _: None,
    *,
    patient: bool = False,
) -> list[str | RadimpressError]:
    """What each request got, from as many clients at once.

    Args:
        engine: asked.
        asked: adapters and prompts.
        act: called with how many have ended, after each.
        patient: asks again while the engine is not available.
    """
    got: list[str | RadimpressError] = [""] * len(asked)
    waiting = iter(range(len(asked)))
    ended = 0

    async def ask(adapter: AdapterBundle | None, prompt: str) -> str | RadimpressError:
        while True:
            try:
                return (await write(engine, prompt, adapter, Limits(TOKENS))).text
            except RadimpressError as error:
                if not patient or not isinstance(error, UnavailableError):
                    return error
                await asyncio.sleep(0.5)

    async def client() -> None:
        nonlocal ended
        for at in waiting:
            got[at] = await ask(*asked[at])
            ended += 1
            await asyncio.to_thread(act, ended)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return got


def _asked(site: Site, prompts: Sequence[str], count: int) -> list[tuple[AdapterBundle | None, str]]:
    chance = random.Random(0)
    who = [None, *site.adapters]
    made = [(who[at % len(who)], prompts[at // len(who) % len(prompts)]) for at in range(count)]
    chance.shuffle(made)
    return made


def _wrong(
    known: dict[tuple[str, str], Reference],
    asked: Sequence[tuple[AdapterBundle | None, str]],
    got: Sequence[str | RadimpressError],
) -> tuple[int, int]:
    """Answers that are not PEFT's, and those that only took the other of two tied tokens."""
    wrong = ties = 0
    for (adapter, prompt), said in zip(asked, got, strict=True):
        one = known[adapter.digest if adapter else "", prompt]
        if said != one.texts[-1]:
            tied = isinstance(said, str) and one.tied(said)
            ties, wrong = ties + tied, wrong + (not tied)
    return wrong, ties


@pytest.fixture(scope="module")
def prompts(site: Site) -> list[str]:
    loaded = load_base(find_base(DEFAULT_BASE), site.folder)
    return make_prompts(loaded, PROMPTS, 40)


@pytest.fixture(scope="module")
def known(site: Site, prompts: list[str]) -> dict[tuple[str, str], Reference]:
    return references(load_base(find_base(DEFAULT_BASE), site.folder), site.adapters, prompts, TOKENS, stop=True)


@pytest.mark.timeout(1800)
def test_every_adapter_writes_what_it_writes_with_peft(
    site: Site,
    server: VllmServer,
    opened: Callable[..., VllmEngine],
    prompts: list[str],
    known: dict[tuple[str, str], Reference],
) -> None:
    told = {digest: {known[digest, prompt].texts[-1] for prompt in prompts} for digest, _ in known}
    assert len({frozenset(texts) for texts in told.values()}) == len(site.adapters) + 1
    asked = _asked(site, prompts, REQUESTS)
    got = asyncio.run(_load(opened(server), asked))
    wrong, ties = _wrong(known, asked, got)
    print(f"{len(got)} requests, {wrong} wrong, {ties} ties")
    assert [one for one in got if isinstance(one, RadimpressError)] == []
    assert wrong == 0
    assert ties <= len(got) // 100


def test_another_radimpress_takes_over_what_is_loaded(
    site: Site, server: VllmServer, opened: Callable[..., VllmEngine]
) -> None:
    first = site.engine(server)
    before = text(first, site.adapters[0])
    first.close()
    loaded = _loads(server)
    second = opened(server)
    assert site.adapters[0].digest in second.resident()
    assert text(second, site.adapters[0]) == before
    assert _loads(server) == loaded


def _loads(server: VllmServer) -> int:
    return server.log.read_text("utf-8", errors="replace").count("Loaded new LoRA adapter")


@pytest.mark.timeout(1800)
def test_with_two_servers_one_may_be_killed_and_start_anew(
    site: Site,
    server: VllmServer,
    opened: Callable[..., VllmEngine],
    prompts: list[str],
    known: dict[tuple[str, str], Reference],
) -> None:
    asked = _asked(site, prompts, max(90, REQUESTS // 4))
    with ExitStack() as stack:
        other = stack.enter_context(site.start())
        engine = opened(server, other)

        def kill(ended: int) -> None:
            if ended == len(asked) // 3:
                other.kill()

        got = asyncio.run(_load(engine, asked, kill))
        # Nobody had heard a part of an answer, and so nobody notices.
        assert [one for one in got if isinstance(one, RadimpressError)] == []
        assert _wrong(known, asked, got)[0] == 0
        assert engine.missing == ""
        assert sum(one.up for one in engine._replicas) == 1


@pytest.mark.timeout(1800)
def test_a_server_that_starts_anew_under_load_gets_its_adapters_again(
    site: Site,
    server: VllmServer,
    opened: Callable[..., VllmEngine],
    prompts: list[str],
    known: dict[tuple[str, str], Reference],
) -> None:
    """The last one, as it ends the server that all share."""
    engine = opened(server)
    asked = _asked(site, prompts, max(90, REQUESTS // 4))
    with ExitStack() as stack:

        def start_anew(ended: int) -> None:
            if ended == len(asked) // 3:
                server.kill()
                stack.enter_context(site.start(server.port))

        got = asyncio.run(_load(engine, asked, start_anew, patient=True))
        assert _wrong(known, asked, got)[0] == 0
        assert not engine.closed
