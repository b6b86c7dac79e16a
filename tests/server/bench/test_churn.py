from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from radimpress.server.bench import churn as bench
from radimpress.server.bench import material
from radimpress.server.bench.churn import Churn, churn
from radimpress.server.bench.material import Figure
from radimpress.server.engines.decoder import Decoder
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.server.engines.slots import Packed, Slots
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import load_base
from tests.conftest import TINY

Run = Callable[[], Churn]


@pytest.fixture
def run(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    # The tiny model is stubborn: weaker adapters would all write what base writes.
    monkeypatch.setattr(material, "_SPREAD", 0.12)
    return lambda: churn(lambda: load_base(TINY, tiny_folder), tmp_path, 150)


def test_nobody_is_served_by_another_while_everything_changes(run: Run) -> None:
    result = run()
    assert result.figures == {"I": Figure(0, 0, 0)}
    assert result.requests == 150
    assert result.alike < 10
    assert result.cancelled > 0
    assert result.evictions > 0
    assert result.loads > bench._CLINICS
    assert result.moves > 0
    assert result.tokens > 300


def test_an_adapter_with_the_weights_of_another_is_seen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[AdapterBundle] = []
    real = InProcessEngine.load

    def swapped(engine: InProcessEngine, adapter: AdapterBundle) -> Packed:
        first.append(adapter)
        return real(engine, first[0])

    monkeypatch.setattr(InProcessEngine, "load", swapped)
    assert run().wrong > 100


def test_a_slot_that_keeps_what_it_held_is_seen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    installs: list[int] = []
    real = Slots.install

    def lazy(slots: Slots, slot: int, packed: Packed, *rest: Any) -> None:
        installs.append(slot)
        # All from here on: of one alone, whoever is served may have left before it tells.
        if len(installs) < 6:
            real(slots, slot, packed, *rest)

    monkeypatch.setattr(Slots, "install", lazy)
    assert run().wrong > 0


def test_an_opening_that_another_adapter_read_is_seen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Tensor] = []
    real = Decoder.keep

    def keep(decoder: Decoder, row: int, length: int) -> Tensor:
        kept.append(real(decoder, row, length))
        return kept[0]

    monkeypatch.setattr(Decoder, "keep", keep)
    assert run().wrong > 0
