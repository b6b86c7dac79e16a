from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from radimpress.reports.errors import BundleError, InputError, NotFoundError, RadimpressError
from radimpress.reports.files import sha256_file
from radimpress.server.bench.faults import FAULTS, PATHS, Fault, missed, path_refusal, refusal
from radimpress.server.engines import Limits
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.trainer.bundle import (
    ALPHA_MAX,
    CONFIG,
    CONFIG_KEY,
    MANIFEST,
    WEIGHT_MAX,
    WEIGHTS,
    AdapterBundle,
    open_bundle,
)
from radimpress.trainer.load import load_base
from tests.conftest import TINY
from tests.server.conftest import make_bundle


@dataclass(frozen=True, slots=True)
class Door:
    """An engine, and an adapter that it lets in."""

    engine: InProcessEngine
    adapter: AdapterBundle


@pytest.fixture(scope="module")
def door(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    engine = InProcessEngine(load_base(TINY, tiny_folder))
    yield Door(engine, make_bundle(tiny_folder, tmp_path_factory.mktemp("good")))
    engine.close()


def _changed(
    adapter: AdapterBundle,
    into: Path,
    config: dict[str, Any] | None = None,
    change: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.contiguous,
) -> AdapterBundle:
    """A signed bundle with other tensors and another configuration."""
    into.mkdir()
    (into / CONFIG).write_text(json.dumps({**adapter.config(), **(config or {})}), "utf-8")
    tensors = {key: change(tensor) for key, tensor in load_file(adapter.path / WEIGHTS).items()}
    save_file(tensors, into / WEIGHTS, {CONFIG_KEY: sha256_file(into / CONFIG)})
    files = {name: sha256_file(into / name) for name in (WEIGHTS, CONFIG)}
    (into / MANIFEST).write_text(json.dumps({**adapter.manifest, "files": files}), "utf-8")
    return open_bundle(into)


def test_there_are_many_faults() -> None:
    assert len(FAULTS) >= 40


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_by_name(door: Door, tmp_path: Path, name: str) -> None:
    error = refusal(door.engine.load, door.adapter, FAULTS[name], tmp_path / "damaged")
    assert isinstance(error, BundleError | NotFoundError)
    told = str(error)
    assert FAULTS[name].told in told
    assert door.adapter.name in told or MANIFEST in told
    # Short enough for a log line, and text that can be written.
    assert len(told.encode()) < 600


@pytest.mark.parametrize("path", PATHS)
def test_a_path_out_of_the_bundle_folder_is_refused(door: Door, tmp_path: Path, path: str) -> None:
    error = path_refusal(path, door.adapter, tmp_path / "paths")
    assert isinstance(error, InputError | NotFoundError)
    assert len(str(error).encode()) < 600


def test_no_fault_is_missed(door: Door, tmp_path: Path) -> None:
    assert missed(door.engine.load, door.adapter, tmp_path / "damaged") == []
    assert not list(tmp_path.iterdir())


def test_a_door_that_lets_in_what_it_opens_misses_the_rest(door: Door, tmp_path: Path) -> None:
    through = missed(lambda _: None, door.adapter, tmp_path / "damaged")
    assert {"inf in A", "one bit of the weights' values", "a pickle", "another base model"} <= set(through)
    assert "a manifest that is empty" not in through


def test_a_foreign_error_is_a_miss(door: Door, tmp_path: Path) -> None:
    def stumble(adapter: AdapterBundle) -> None:
        if adapter.path != door.adapter.path:
            raise KeyError(adapter.name)

    through = missed(stumble, door.adapter, tmp_path / "damaged")
    assert "inf in A" in through
    with pytest.raises(KeyError):
        refusal(stumble, door.adapter, FAULTS["inf in A"], tmp_path / "damaged")


def test_a_refused_good_adapter_is_no_success(door: Door, tmp_path: Path) -> None:
    def refuse(adapter: AdapterBundle) -> None:
        raise BundleError(adapter.name)

    with pytest.raises(BundleError):
        missed(refuse, door.adapter, tmp_path / "damaged")


def test_damage_alone_is_what_is_refused(door: Door, tmp_path: Path) -> None:
    assert refusal(door.engine.load, door.adapter, Fault(lambda _: None, ""), tmp_path / "whole") is None


@pytest.mark.parametrize(
    "config",
    [
        {"lora_alpha": 0.5},
        {"use_rslora": True},
        {"task_type": None},
        {"layers_to_transform": []},
        {"rank_pattern": {}},
        {"lora_dropout": 0.1},
        *({"init_lora_weights": way} for way in (False, "gaussian", "eva", "orthogonal")),
    ],
)
def test_a_choice_that_is_an_adapters_own_is_no_fault(door: Door, tmp_path: Path, config: dict[str, Any]) -> None:
    door.engine.load(_changed(door.adapter, tmp_path / "mine", config))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_read_as_they_are_and_checked(door: Door, tmp_path: Path, dtype: torch.dtype) -> None:
    def not_finite(tensor: torch.Tensor) -> torch.Tensor:
        tensor[-1, -1] = float("nan")
        return tensor.to(dtype)

    halves = _changed(door.adapter, tmp_path / "halves", change=lambda tensor: tensor.to(dtype))
    door.engine.load(halves)
    expected = {key: tensor.to(dtype) for key, tensor in door.adapter.weights().items()}
    assert all(torch.equal(tensor, expected[key]) for key, tensor in halves.weights().items())
    with pytest.raises(BundleError, match="not finite"):
        door.engine.load(_changed(door.adapter, tmp_path / "spoilt", change=not_finite))


def test_the_greatest_values_that_come_in_still_give_an_answer(door: Door, tmp_path: Path) -> None:
    greatest = _changed(
        door.adapter,
        tmp_path / "greatest",
        {"lora_alpha": ALPHA_MAX, "use_rslora": True},
        lambda tensor: torch.full_like(tensor, WEIGHT_MAX),
    )

    async def ask() -> str:
        async with aclosing(door.engine.generate("Findings: Clear.", greatest, Limits(4))) as pieces:
            return "".join([piece.text async for piece in pieces])

    assert isinstance(asyncio.run(ask()), str)


def test_what_was_hashed_is_what_is_read(door: Door, tmp_path: Path) -> None:
    mine = _changed(door.adapter, tmp_path / "mine")
    contents = mine.read(door.adapter.base_digest)
    before = {key: tensor.clone() for key, tensor in contents.tensors.items()}
    (mine.path / WEIGHTS).write_bytes(b"\xff" * (mine.path / WEIGHTS).stat().st_size)
    assert all(torch.equal(tensor, before[key]) for key, tensor in contents.tensors.items())
    with pytest.raises(RadimpressError):
        mine.read(door.adapter.base_digest)
