"""Whether anybody is ever answered by another's adapter: many requests while adapters come, change and go.

More adapters of different ranks than there are slots and places in the host's memory; clinics that move
on to another version of their adapter while requests for the old one still run; callers that leave and
deadlines that pass. What each caller got is compared with what transformers and PEFT write for that
prompt with that adapter alone, one request at a time.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radimpress.reports.errors import DeadlineError, OverloadError
from radimpress.reports.files import write_json
from radimpress.reports.progress import Track, silent
from radimpress.server.bench.material import Figure, make_adapter, make_prompts
from radimpress.server.bench.references import Key, Reference, references
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.inprocess import InProcessEngine, StepTime
from radimpress.trainer.bundle import CONFIG, AdapterBundle, write_bundle
from radimpress.trainer.load import LoadedBase

_CLINICS = 6
_VERSIONS = 4
_RANKS = (4, 8, 8, 16)
# Of each rank alike, and so strong that adapters differ from their first tokens on; words need not be kept.
_STRENGTH = 113.0
_CLIENTS = 32
_SETTINGS: dict[str, Any] = {"batch": 16, "waiting": 14, "resident": 5, "host": 8, "chunk": 64, "context": 512}
# How many prompts of how many tokens; the longer one is read in several chunks.
_PROMPTS = ((5, 32), (1, 72))
_SHORTEST = 4
_LONGEST = 6
# How a request ends: it is waited for, closed after some pieces, cancelled at any time, or given a deadline.
_WAYS = {"whole": 0.7, "close": 0.1, "cancel": 0.1, "deadline": 0.1}
_MOVES = 0.05


@dataclass(slots=True)
class Churn:
    """What came of the requests.

    Attributes:
        requests: asked; each was answered, cancelled or late.
        tokens: served and found to be the reference's.
        wrong: tokens served that are not.
        ties: answers that took the second of two tokens whose logits are equal but for rounding; what
            followed was not compared.
        cancelled: requests whose caller left before the end.
        late: requests whose deadline passed before the end.
        refused: times a full queue refused a request; it was asked again.
        loads: adapters verified and packed.
        evictions: adapters that left a slot to another one.
        moves: times a clinic moved on to another version.
        alike: pairs of adapter (or base) and prompt that were not asked for, as another adapter begins
            alike with that prompt and mixing them up would not be seen.
        seconds: all requests took.
    """

    requests: int = 0
    tokens: int = 0
    wrong: int = 0
    ties: int = 0
    cancelled: int = 0
    late: int = 0
    refused: int = 0
    loads: int = 0
    evictions: int = 0
    moves: int = 0
    alike: int = 0
    seconds: float = 0.0

    @property
    def figures(self) -> dict[str, Figure]:
        """I, the tokens that are not the reference's."""
        return {"I": Figure(self.wrong, self.wrong, self.wrong)}


def churn(load: Callable[[], LoadedBase], folder: Path, requests: int, track: Track = silent) -> Churn:
    """Serves `requests` requests and compares every token; adapters are made in `folder`.

    Args:
        load: gives the base model; called once for us and once for PEFT, which changes it.
        folder: for bundles.
        requests: in all, of 32 clients at once.
        track: draws progress.
    """
    engine = _Watched(load())
    try:
        count = _CLINICS * _VERSIONS
        adapters = [_adapter(engine, folder, number) for number in track(range(count), "adapters", count)]
        prompts = [prompt for many, tokens in _PROMPTS for prompt in make_prompts(engine.loaded, many, tokens)]
        known = references(load(), adapters, prompts, _LONGEST, track=track)
        traffic = _Traffic(engine, adapters, _telling(known))
        traffic.result.alike = len(known) - len(traffic.references)
        return asyncio.run(traffic.run(track(range(requests), "churn", requests)))
    finally:
        engine.close()


def _adapter(engine: InProcessEngine, folder: Path, number: int) -> AdapterBundle:
    """A strong adapter, under the name that all versions of its clinic have."""
    rank = _RANKS[number % len(_RANKS)]
    made = make_adapter(engine.loaded, engine.decoder, folder, number, rank)
    write_json(made.path / CONFIG, {**made.config(), "lora_alpha": _STRENGTH * rank**0.5})
    manifest = {key: made.manifest[key] for key in ("base", "rank", "prompt_version", "clusters")}
    return write_bundle(made.path, folder, {"name": f"clinic-{number % _CLINICS}", **manifest})


class _Watched(InProcessEngine):
    """Counts adapters that are loaded, and those that leave their slot."""

    def __init__(self, loaded: LoadedBase) -> None:
        self.loads = self.evictions = 0
        self._were: set[str] = set()
        super().__init__(loaded, stop=False, observe=self._look, **_SETTINGS)

    def load(self, adapter: AdapterBundle) -> Any:
        packed = super().load(adapter)
        self.loads += 1
        return packed

    def _look(self, _: StepTime) -> None:
        held = self._scheduler.residency.held()
        self.evictions += len(self._were - held)
        self._were = held


def _judge(one: Reference, text: str, asked: int, whole: bool, result: Churn) -> None:
    """Compares what a caller got: all of the `asked` tokens, or a beginning."""
    known = one.known(text, asked)
    result.tokens += known
    if text == one.texts[asked] if whole else text in one.texts[: asked + 1]:
        return
    if one.tied(text):
        result.ties += 1
    else:
        result.wrong += max(1, asked - known) if whole else 1


def _telling(references: dict[Key, Reference]) -> dict[Key, Reference]:
    """Those that no other adapter's reference for the same prompt begins like."""
    begun = Counter((prompt, one.texts[_SHORTEST]) for (_, prompt), one in references.items())
    return {key: one for key, one in references.items() if begun[key[1], one.texts[_SHORTEST]] == 1}


@dataclass(slots=True)
class _Traffic:
    engine: _Watched
    adapters: Sequence[AdapterBundle]
    references: dict[Key, Reference]
    result: Churn = field(default_factory=Churn)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    version: list[int] = field(default_factory=lambda: [0] * _CLINICS)
    usual: float = 0.1

    async def run(self, numbers: Iterator[int]) -> Churn:
        """Asks once for each number, with as many clients as there are."""

        async def client() -> None:
            for _ in numbers:
                await self._ask()

        begun = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(_CLIENTS)))
        self.result.seconds = time.perf_counter() - begun
        self.result.loads, self.result.evictions = self.engine.loads, self.engine.evictions
        return self.result

    async def _ask(self) -> None:
        adapter = self._pick()
        key = self.chance.choice([key for key in self.references if key[0] == (adapter.digest if adapter else "")])
        asked = self.chance.randint(_SHORTEST, _LONGEST)
        (way,) = self.chance.choices(list(_WAYS), list(_WAYS.values()))
        enough = self.chance.randrange(1, asked) if way == "close" else asked
        self.result.requests += 1
        got: list[Piece] = []
        while not await self._tell(key[1], adapter, asked, way, enough, got):
            self.result.refused += 1
            await asyncio.sleep(self.usual / 2)
        whole = bool(got and got[-1].finish)
        _judge(self.references[key], "".join(piece.text for piece in got), asked, whole, self.result)

    def _pick(self) -> AdapterBundle | None:
        """The version that some clinic is at, or base."""
        clinic = self.chance.randrange(_CLINICS + 1)
        if clinic == _CLINICS:
            return None
        if self.chance.random() < _MOVES:
            self.version[clinic] = (self.version[clinic] + self.chance.randrange(1, _VERSIONS)) % _VERSIONS
            self.result.moves += 1
        return self.adapters[clinic + _CLINICS * self.version[clinic]]

    async def _tell(
        self, prompt: str, adapter: AdapterBundle | None, asked: int, way: str, enough: int, got: list[Piece]
    ) -> bool:
        """Asks and collects pieces until the request ends in its way; False when it was refused."""
        begun = time.monotonic()
        # By what answers take here, so that time runs out at every stage on any machine.
        patience = self.chance.uniform(0, 1.2 * self.usual)
        limits = Limits(asked, begun + patience if way == "deadline" else None)
        try:
            async with asyncio.timeout(patience if way == "cancel" else None):
                async with aclosing(self.engine.generate(prompt, adapter, limits)) as pieces:
                    async for piece in pieces:
                        got.append(piece)
                        if len(got) == enough:
                            break
        except OverloadError:
            return False
        except DeadlineError:
            self.result.late += 1
            return True
        except TimeoutError:
            pass
        if not got or not got[-1].finish:
            self.result.cancelled += 1
        elif way == "whole":
            self.usual += 0.1 * (time.monotonic() - begun - self.usual)
        return True
