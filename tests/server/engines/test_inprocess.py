from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from radimpress.reports.errors import (
    BundleError,
    DeadlineError,
    DigestError,
    EngineError,
    InputError,
    OverloadError,
    RadimpressError,
    UnavailableError,
)
from radimpress.reports.files import sha256_file
from radimpress.server.engines import Limits, Piece, inprocess
from radimpress.server.engines.decoder import Batch, Decoder, Read
from radimpress.server.engines.inprocess import InProcessEngine, StepTime
from radimpress.server.engines.linear import int8_is_exact
from radimpress.server.engines.writer import EngineWriter
from radimpress.trainer.bases import BaseModel, base_digest
from radimpress.trainer.bundle import CONFIG, MANIFEST, WEIGHTS, AdapterBundle, open_bundle
from radimpress.trainer.load import LoadedBase, load_base
from tests.conftest import TINY
from tests.server.conftest import change_byte, make_bundle

PROMPTS = [
    "Findings: The lungs are clear.",
    "Modality: CT\nFindings: No acute fracture. The lungs are clear and no fracture is seen anywhere at all.",
    "Findings: Clear.",
    "Findings: The left knee is intact, and the right one is not.",
]
TOKENS = 12
Make = Callable[..., InProcessEngine]


@pytest.fixture(scope="session")
def bundles(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[AdapterBundle, AdapterBundle]:
    into = tmp_path_factory.mktemp("tiny-bundles")
    return make_bundle(tiny_folder, into, name="one", seed=1), make_bundle(tiny_folder, into, name="two", seed=2)


@pytest.fixture
def make(tiny_folder: Path) -> Iterator[Make]:
    made: list[InProcessEngine] = []

    def engine(base: BaseModel = TINY, **given: Any) -> InProcessEngine:
        made.append(InProcessEngine(load_base(base, tiny_folder), **given))
        return made[-1]

    yield engine
    for one in made:
        one.close()


async def _ask(engine: InProcessEngine, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> list[Piece]:
    async with aclosing(engine.generate(prompt, adapter, limits)) as pieces:
        return [piece async for piece in pieces]


async def _text(engine: InProcessEngine, prompt: str, adapter: AdapterBundle | None, tokens: int = TOKENS) -> str:
    return "".join(piece.text for piece in await _ask(engine, prompt, adapter, Limits(tokens)))


def _alone(
    engine: InProcessEngine, adapter: AdapterBundle | None = None, prompts: Sequence[str] = PROMPTS
) -> list[str]:
    """What the engine writes when asked for one prompt after the other."""
    return [asyncio.run(_text(engine, prompt, adapter)) for prompt in prompts]


def _together(engine: InProcessEngine, asked: Sequence[tuple[str, AdapterBundle | None]]) -> list[str]:
    """What it writes when asked for all at once."""

    async def all_of_them() -> list[str]:
        return list(await asyncio.gather(*(_text(engine, prompt, adapter) for prompt, adapter in asked)))

    return asyncio.run(all_of_them())


def _plain(folder: Path, adapter: AdapterBundle | None) -> list[str]:
    """What plain transformers and peft write from the same files."""
    loaded: LoadedBase = load_base(TINY, folder)
    model: Any = loaded.model
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter.path).eval()
    texts = []
    for prompt in PROMPTS:
        ids = torch.tensor([loaded.prompt_ids(prompt)])
        given = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=TOKENS,
            do_sample=False,
            eos_token_id=sorted(loaded.stop_ids()),
            pad_token_id=0,
        )
        written = [token for token in given[0, ids.shape[1] :].tolist() if token not in loaded.stop_ids()]
        texts.append(str(loaded.tokenizer.decode(written)))
    return texts


def _spoil(bundle: AdapterBundle, into: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> AdapterBundle:
    """The same bundle with other tensors, and a manifest that knows them."""
    tensors = load_file(bundle.path / WEIGHTS)
    change(tensors)
    return _copy(bundle, into, tensors, {})


def _copy(bundle: AdapterBundle, into: Path, tensors: dict[str, torch.Tensor], config: dict[str, Any]) -> AdapterBundle:
    into.mkdir()
    (into / CONFIG).write_text(json.dumps({**bundle.config(), **config}), "utf-8")
    save_file(tensors, into / WEIGHTS, {"adapter_config_sha256": sha256_file(into / CONFIG)})
    digests = {name: sha256_file(into / name) for name in (WEIGHTS, CONFIG)}
    (into / MANIFEST).write_text(json.dumps({**bundle.manifest, "files": digests}), "utf-8")
    return open_bundle(into)


def _zero(tensors: dict[str, torch.Tensor]) -> None:
    for key, tensor in tensors.items():
        if ".lora_B." in key:
            tensor.zero_()


def _not_finite(tensors: dict[str, torch.Tensor]) -> None:
    next(iter(tensors.values()))[0, 0] = float("nan")


def _one_less(tensors: dict[str, torch.Tensor]) -> None:
    tensors.pop(next(key for key in tensors if ".lora_B." in key))


def _foreign(tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.lm_head.lora_A.weight"] = torch.ones(2, 64)


def _of_another_size(tensors: dict[str, torch.Tensor]) -> None:
    for key in tensors:
        tensors[key] = torch.ones(3, 3)


BROKEN = [_zero, _not_finite, _one_less, _foreign, _of_another_size]


@pytest.mark.parametrize("which", [None, 0, 1])
def test_it_writes_what_plain_peft_writes(
    make: Make, tiny_folder: Path, bundles: tuple[AdapterBundle, AdapterBundle], which: int | None
) -> None:
    adapter = None if which is None else bundles[which]
    assert _alone(make(), adapter) == _plain(tiny_folder, adapter)


def test_base_and_two_adapters_write_differently(make: Make, bundles: tuple[AdapterBundle, AdapterBundle]) -> None:
    engine = make()
    base, one, two = _alone(engine), _alone(engine, bundles[0]), _alone(engine, bundles[1])
    assert len({tuple(base), tuple(one), tuple(two)}) == 3


@pytest.mark.parametrize("which", [None, 0, 1])
def test_a_batch_writes_what_each_prompt_gets_alone(
    make: Make, bundles: tuple[AdapterBundle, AdapterBundle], which: int | None
) -> None:
    engine = make()
    adapter = None if which is None else bundles[which]
    assert _together(engine, [(prompt, adapter) for prompt in PROMPTS]) == _alone(engine, adapter)


@pytest.mark.parametrize("resident", [1, 16])
def test_adapters_asked_at_once_never_mix(
    make: Make, bundles: tuple[AdapterBundle, AdapterBundle], resident: int
) -> None:
    engine = make(resident=resident)
    asked = [(prompt, adapter) for prompt in PROMPTS for adapter in (None, *bundles, None, bundles[0])]
    alone = {adapter.name if adapter else "": _alone(make(), adapter) for adapter in (None, *bundles)}
    expected = [
        alone[adapter.name if adapter else ""][at]
        for at in range(len(PROMPTS))
        for adapter in [a for _, a in asked[:5]]
    ]
    assert _together(engine, asked) == expected


def test_base_writes_the_same_after_adapters_came_and_went(
    make: Make, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    engine = make(resident=1)
    before = _alone(engine)
    for adapter in (*bundles, *bundles):
        _alone(engine, adapter, PROMPTS[:1])
        assert _alone(engine) == before


def test_an_adapter_that_left_memory_writes_the_same_when_it_is_back(
    make: Make, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    engine = make(resident=1)
    first = _alone(engine, bundles[0])
    _alone(engine, bundles[1])
    assert _alone(engine, bundles[0]) == first


def test_an_adapter_that_left_memory_is_verified_anew(
    make: Make, tiny_folder: Path, tmp_path: Path, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    engine = make(resident=1, host=1)
    mine = make_bundle(tiny_folder, tmp_path, seed=3)
    _alone(engine, mine, PROMPTS[:1])
    _alone(engine, bundles[0], PROMPTS[:1])
    change_byte(mine.path / WEIGHTS)
    with pytest.raises(DigestError):
        _alone(engine, mine, PROMPTS[:1])


def test_an_adapter_that_is_forgotten_leaves_memory_and_is_verified_anew(
    make: Make, tiny_folder: Path, tmp_path: Path, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    engine = make()
    mine = make_bundle(tiny_folder, tmp_path, seed=3)
    for adapter in (mine, bundles[0]):
        _alone(engine, adapter, PROMPTS[:1])
    assert engine.resident() == {mine.digest, bundles[0].digest}
    engine.forget(mine.digest)
    until = time.monotonic() + 10
    while engine.resident() != {bundles[0].digest}:
        assert time.monotonic() < until
        time.sleep(0.01)
    change_byte(mine.path / WEIGHTS)
    with pytest.raises(DigestError):
        _alone(engine, mine, PROMPTS[:1])


@pytest.mark.parametrize("file", [WEIGHTS, CONFIG])
@pytest.mark.parametrize("at", [12, -1])
def test_a_file_changed_by_one_byte_is_refused(
    make: Make, tiny_folder: Path, tmp_path: Path, file: str, at: int
) -> None:
    bundle = make_bundle(tiny_folder, tmp_path)
    change_byte(bundle.path / file, at)
    with pytest.raises(DigestError, match=f"SHA-256 of {file}"):
        _alone(make(), bundle, PROMPTS[:1])


@pytest.mark.parametrize("change", BROKEN)
@pytest.mark.parametrize("held", [False, True])
def test_a_refused_adapter_leaves_the_engine_as_it_was(
    make: Make,
    tmp_path: Path,
    bundles: tuple[AdapterBundle, AdapterBundle],
    change: Callable[[dict[str, torch.Tensor]], None],
    held: bool,
) -> None:
    engine = make()
    one = _alone(make(), bundles[0])
    if held:
        _alone(engine, bundles[0], PROMPTS[:1])
    before = _alone(engine)
    with pytest.raises((BundleError, EngineError)):
        _alone(engine, _spoil(bundles[1], tmp_path / "spoilt", change), PROMPTS[:1])
    assert _alone(engine) == before
    assert _alone(engine, bundles[0]) == one


@pytest.mark.parametrize("change", BROKEN)
def test_what_is_wrong_with_a_bundle_is_a_bundle_error(
    make: Make,
    tmp_path: Path,
    bundles: tuple[AdapterBundle, AdapterBundle],
    change: Callable[[dict[str, torch.Tensor]], None],
) -> None:
    with pytest.raises(BundleError):
        _alone(make(), _spoil(bundles[1], tmp_path / "spoilt", change), PROMPTS[:1])


@pytest.mark.parametrize(
    "config",
    [
        {"target_modules": ["lm_head"]},
        {"target_modules": ["o_proj", "embed_tokens"]},
        {"r": 4},
        {"layers_to_transform": [99]},
        {"layers_to_transform": [0]},
        {"layer_replication": [[0, 2], [0, 2]]},
        {"target_parameters": ["lm_head.weight"]},
        {"trainable_token_indices": [1, 2]},
        {"no_such_key": 1},
    ],
)
@pytest.mark.parametrize("resident", [1, 2])
def test_a_refused_configuration_leaves_the_engine_as_it_was(
    make: Make, tmp_path: Path, bundles: tuple[AdapterBundle, AdapterBundle], config: dict[str, Any], resident: int
) -> None:
    engine = make(resident=resident)
    before, one = _alone(engine), _alone(engine, bundles[0])
    spoilt = _copy_with(bundles[1], tmp_path / "spoilt", config)
    with pytest.raises(RadimpressError):
        _alone(engine, spoilt, PROMPTS[:1])
    assert _alone(engine) == before
    assert _alone(engine, bundles[0]) == one


@pytest.mark.parametrize(
    "config",
    [{"layers_to_transform": [99]}, {"layer_replication": [[0, 2], [0, 2]]}, {"trainable_token_indices": [1, 2]}],
)
def test_a_configuration_refused_first_of_all_leaves_base_as_it_was(
    make: Make, tmp_path: Path, bundles: tuple[AdapterBundle, AdapterBundle], config: dict[str, Any]
) -> None:
    engine = make()
    before = _alone(engine)
    with pytest.raises(RadimpressError):
        _alone(engine, _copy_with(bundles[1], tmp_path / "spoilt", config), PROMPTS[:1])
    assert _alone(engine) == before


@pytest.mark.parametrize("way", ["pissa", "olora", "gaussian", "orthogonal", True, False])
def test_an_adapters_way_of_beginning_never_touches_base(
    make: Make, tmp_path: Path, bundles: tuple[AdapterBundle, AdapterBundle], way: object
) -> None:
    engine = make()
    before = _logits(engine)
    mine = _copy_with(bundles[0], tmp_path / "mine", {"init_lora_weights": way})
    with suppress(BundleError):
        _alone(engine, mine, PROMPTS[:1])
    assert torch.equal(_logits(engine), before)


def _copy_with(bundle: AdapterBundle, into: Path, config: dict[str, Any]) -> AdapterBundle:
    return _copy(bundle, into, load_file(bundle.path / WEIGHTS), config)


@torch.inference_mode()
def _logits(engine: InProcessEngine) -> torch.Tensor:
    """What the base model in this engine makes of a prompt, to the last bit."""
    ids = engine.loaded.prompt_ids(PROMPTS[0])
    read = [Read(0, 0, len(ids), 0)]
    batch = Batch(ids, [0] * len(ids), list(range(len(ids))), 0, read, list(range(len(ids))))
    return engine.decoder.forward(batch, engine._slots, [])


def test_the_same_weights_at_another_scale_are_another_adapter(
    make: Make, tmp_path: Path, tiny_folder: Path, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    engine = make()
    louder = _copy_with(bundles[0], tmp_path / "louder", {"lora_alpha": 32})
    assert louder.digest != bundles[0].digest
    assert _alone(engine, bundles[0]) == _plain(tiny_folder, bundles[0])
    assert _alone(engine, louder) == _plain(tiny_folder, louder)


def test_weights_beside_another_configuration_are_refused(
    make: Make, tmp_path: Path, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    mine = _copy_with(bundles[0], tmp_path / "mine", {})
    (mine.path / CONFIG).write_text(json.dumps({**mine.config(), "lora_alpha": 32}), "utf-8")
    files = {**mine.manifest["files"], CONFIG: sha256_file(mine.path / CONFIG)}
    (mine.path / MANIFEST).write_text(json.dumps({**mine.manifest, "files": files}), "utf-8")
    with pytest.raises(BundleError, match="was fitted with another"):
        _alone(make(), open_bundle(mine.path), PROMPTS[:1])


def test_an_adapter_of_another_base_is_refused(make: Make, tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="fitted on base"):
        _alone(make(), make_bundle(tiny_folder, tmp_path, base="e" * 64), PROMPTS[:1])


def test_one_asker_of_a_refused_adapter_does_not_harm_the_others(
    make: Make, tmp_path: Path, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    engine = make()
    spoilt = _spoil(bundles[1], tmp_path / "spoilt", _foreign)

    async def all_of_them() -> list[str | BaseException]:
        asked = [(PROMPTS[0], None), (PROMPTS[0], spoilt), (PROMPTS[1], bundles[0]), (PROMPTS[1], None)]
        return await asyncio.gather(*(_text(engine, *one) for one in asked), return_exceptions=True)

    base, refused, one, again = asyncio.run(all_of_them())
    assert isinstance(refused, BundleError)
    assert [base, again] == _alone(engine, None, PROMPTS[:2])
    assert [one] == _alone(engine, bundles[0], PROMPTS[1:2])


def test_pieces_make_up_the_text_and_the_last_tells_the_counts(make: Make) -> None:
    engine = make()
    pieces = asyncio.run(_ask(engine, PROMPTS[0], None, Limits(5)))
    assert [bool(piece.finish) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    last = pieces[-1]
    assert (last.finish, last.tokens) == ("length", 5)
    assert last.prompt_tokens == len(engine.loaded.prompt_ids(PROMPTS[0]))


@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_fewer_tokens_are_the_beginning_of_more(make: Make, tokens: int) -> None:
    engine = make()
    short = asyncio.run(_ask(engine, PROMPTS[1], None, Limits(tokens)))[-1]
    assert short.tokens <= tokens
    long = asyncio.run(_text(engine, PROMPTS[1], None))
    said = asyncio.run(_text(engine, PROMPTS[1], None, tokens))
    assert long.startswith(said.rstrip("\ufffd"))


class Gate:
    """Holds the engine's thread at its next step until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        real = Decoder.forward

        def held(*arguments: Any) -> torch.Tensor:
            self.entered.set()
            assert self.opened.wait(60)
            return real(*arguments)

        monkeypatch.setattr(Decoder, "forward", held)

    async def until_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, 60)


async def _queued(engine: InProcessEngine, count: int) -> None:
    while len(engine._scheduler.waiting) != count:
        await asyncio.sleep(0.001)


def test_a_full_queue_refuses_the_next(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, gate = make(waiting=1), Gate(monkeypatch)

    async def overload() -> list[str]:
        running = asyncio.ensure_future(_text(engine, PROMPTS[0], None))
        await gate.until_entered()
        waiting = asyncio.ensure_future(_text(engine, PROMPTS[1], None))
        await _queued(engine, 1)
        with pytest.raises(OverloadError, match="1 requests are waiting"):
            await _text(engine, PROMPTS[2], None)
        gate.opened.set()
        return [await running, await waiting]

    assert asyncio.run(overload()) == _alone(engine, None, PROMPTS[:2])


def test_a_cancelled_request_gives_its_place_in_the_queue_back(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, gate = make(waiting=1), Gate(monkeypatch)

    async def cancel() -> str:
        running = asyncio.ensure_future(_text(engine, PROMPTS[0], None))
        await gate.until_entered()
        waiting = asyncio.ensure_future(_text(engine, PROMPTS[1], None))
        await _queued(engine, 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        next_one = asyncio.ensure_future(_text(engine, PROMPTS[2], None))
        await asyncio.sleep(0)
        gate.opened.set()
        await running
        return await next_one

    assert [asyncio.run(cancel())] == _alone(engine, None, PROMPTS[2:3])


def test_a_request_cancelled_while_it_runs_leaves_the_engine_usable(
    make: Make, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    engine = make()

    async def leave() -> None:
        async with aclosing(engine.generate(PROMPTS[0], bundles[0], Limits(1000))) as pieces:
            async for _ in pieces:
                break

    asyncio.run(leave())
    assert _alone(engine) == _alone(make())


def test_others_in_the_batch_go_on_when_one_is_cancelled(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, gate = make(), Gate(monkeypatch)

    async def both() -> str:
        first = asyncio.ensure_future(_text(engine, PROMPTS[3], None))
        await gate.until_entered()
        stays = asyncio.ensure_future(_text(engine, PROMPTS[1], None))
        leaves = asyncio.ensure_future(_text(engine, PROMPTS[0], None, 500))
        await _queued(engine, 2)
        gate.opened.set()
        await first
        leaves.cancel()
        return await stays

    assert [asyncio.run(both())] == _alone(engine, None, PROMPTS[1:2])


def test_a_request_whose_deadline_is_over_is_not_answered(make: Make) -> None:
    with pytest.raises(DeadlineError):
        asyncio.run(_ask(make(), PROMPTS[0], None, Limits(TOKENS, deadline=0.0)))


def test_a_deadline_that_passes_while_writing_ends_that_request_alone(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make()
    clock = iter([0.0] * 4)
    with monkeypatch.context() as patch:
        patch.setattr(
            inprocess, "time", SimpleNamespace(monotonic=lambda: next(clock, 10.0), perf_counter=time.perf_counter)
        )
        with pytest.raises(DeadlineError, match="before the impression was complete"):
            asyncio.run(_ask(engine, PROMPTS[0], None, Limits(500, deadline=5.0)))
    assert asyncio.run(_text(engine, PROMPTS[0], None))


def test_closing_ends_requests_that_run_and_that_wait(
    make: Make, monkeypatch: pytest.MonkeyPatch, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    engine, gate = make(), Gate(monkeypatch)

    async def end() -> list[str | BaseException]:
        running = asyncio.ensure_future(_text(engine, PROMPTS[0], None, 500))
        await gate.until_entered()
        waiting = asyncio.ensure_future(_text(engine, PROMPTS[1], bundles[0], 500))
        await _queued(engine, 1)
        closing = asyncio.ensure_future(asyncio.to_thread(engine.close))
        while not engine._closed:
            await asyncio.sleep(0.001)
        gate.opened.set()
        await closing
        return list(await asyncio.gather(running, waiting, return_exceptions=True))

    assert [(type(error), str(error)) for error in asyncio.run(end())] == [
        (UnavailableError, "the engine is closed"),
        (UnavailableError, "the engine is closed"),
    ]


def test_a_closed_engine_refuses(make: Make) -> None:
    engine = make()
    assert not engine.closed
    engine.close()
    engine.close()
    assert engine.closed
    with pytest.raises(UnavailableError, match="closed"):
        asyncio.run(_text(engine, PROMPTS[0], None))


def test_a_foreign_errors_text_is_not_told(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = make()

    def fail(*arguments: Any) -> torch.Tensor:
        raise ValueError(f"Findings: a fracture {len(arguments)}")

    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "forward", fail)
        with pytest.raises(EngineError) as caught:
            asyncio.run(_text(engine, PROMPTS[0], None))
    assert str(caught.value) == "the engine failed (ValueError)"
    # Only the log can say where.
    told = "".join(capsys.readouterr())
    assert "engine_failed" in told
    assert "test_inprocess.py:" in told
    assert "fracture" not in told
    assert _alone(engine, None, PROMPTS[:1]) == _alone(make(), None, PROMPTS[:1])


def test_an_answer_that_is_not_finite_is_none_and_the_log_says_whose(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine, forward = make(), Decoder.forward

    def spoilt(*arguments: Any) -> torch.Tensor:
        return forward(*arguments) * float("nan")

    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "forward", spoilt)
        with pytest.raises(EngineError, match="not finite"):
            asyncio.run(_text(engine, PROMPTS[0], None))
    assert "answer_not_finite" in "".join(capsys.readouterr())
    assert asyncio.run(_text(engine, PROMPTS[0], None))


def test_why_an_adapter_could_not_be_loaded_is_in_the_log_alone(
    make: Make,
    bundles: tuple[AdapterBundle, AdapterBundle],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = make()

    def fail(*_: object) -> None:
        raise ValueError("a fracture")

    with monkeypatch.context() as patch:
        patch.setattr(inprocess, "pack", fail)
        with pytest.raises(EngineError, match="the adapter cannot be loaded"):
            asyncio.run(_text(engine, PROMPTS[0], bundles[0]))
    told = "".join(capsys.readouterr())
    assert "adapter_not_loaded" in told
    assert bundles[0].digest in told
    assert "fracture" not in told
    assert asyncio.run(_text(engine, PROMPTS[0], bundles[0]))


@pytest.mark.parametrize("which", [None, 0])
def test_evaluation_gets_what_serving_gets_in_the_order_asked(
    make: Make, bundles: tuple[AdapterBundle, AdapterBundle], which: int | None
) -> None:
    engine = make()
    adapter = None if which is None else bundles[which]
    writer = EngineWriter(engine)
    assert [written.text for written in writer.write_all(PROMPTS, adapter, TOKENS)] == _alone(engine, adapter)
    assert writer.base_digest == engine.base_digest


def test_evaluation_knows_how_long_a_prompt_is_for_the_model(make: Make) -> None:
    writer = EngineWriter(make(context=512))
    assert writer.context == 512
    assert writer.tokens is not None
    # One token more than the prompt leaves room for is refused, as `tokens` foretells.
    room = 512 - writer.tokens(PROMPTS[0])
    assert len(list(writer.write_all(PROMPTS[:1], None, room))) == 1
    with pytest.raises(InputError, match="has room for"):
        list(writer.write_all(PROMPTS[:1], None, room + 1))


def test_latency_is_wall_time_from_asking_to_the_last_piece(make: Make) -> None:
    began = time.monotonic()
    written = list(EngineWriter(make()).write_all(PROMPTS, None, TOKENS))
    whole = time.monotonic() - began
    assert all(0 < one.seconds <= whole for one in written)


def test_evaluation_that_stops_half_way_leaves_the_engine_usable(make: Make) -> None:
    engine = make()
    writing = EngineWriter(engine).write_all(PROMPTS, None, 400)
    next(writing)
    writing.close()  # type: ignore[attr-defined]
    assert _alone(engine) == _alone(make())


def test_nobody_is_answered_by_another_while_adapters_come_and_go(
    make: Make, tiny_folder: Path, tmp_path: Path
) -> None:
    """More adapters than slots and host places, of different ranks, with cancels and refusals in between."""
    many = [make_bundle(tiny_folder, tmp_path, name=f"n{seed}", seed=seed) for seed in range(5)]
    spoilt = _spoil(many[0], tmp_path / "spoilt", _one_less)
    expected = {bundle.digest: _plain(tiny_folder, bundle) for bundle in many} | {"": _plain(tiny_folder, None)}
    engine = make(batch=4, resident=2, host=3, chunk=7)
    chance = random.Random(3)

    async def one() -> tuple[str, int, str] | None:
        at, adapter = chance.randrange(len(PROMPTS)), chance.choice([None, spoilt, *many])
        if chance.random() < 0.2:
            async with aclosing(engine.generate(PROMPTS[at], adapter, Limits(500))) as pieces:
                with suppress(BundleError):
                    await anext(pieces)
            return None
        try:
            return adapter.digest if adapter else "", at, await _text(engine, PROMPTS[at], adapter)
        except BundleError:
            assert adapter is spoilt
            return None

    async def all_of_them() -> list[tuple[str, int, str] | None]:
        gate = asyncio.Semaphore(12)

        async def held() -> tuple[str, int, str] | None:
            async with gate:
                return await one()

        return list(await asyncio.gather(*(held() for _ in range(200))))

    answers = [answer for answer in asyncio.run(all_of_them()) if answer]
    assert len(answers) > 100
    assert [text for _, _, text in answers] == [expected[digest][at] for digest, at, _ in answers]


def test_adapters_of_different_ranks_share_a_batch(make: Make, tiny_folder: Path, tmp_path: Path) -> None:
    engine = make()
    low = make_bundle(tiny_folder, tmp_path, name="low", seed=1)
    high = make_bundle(tiny_folder, tmp_path, name="high", seed=2, rank=5)
    asked = [(prompt, adapter) for prompt in PROMPTS for adapter in (low, None, high)]
    alone = {bundle.digest if bundle else "": _plain(tiny_folder, bundle) for bundle in (low, None, high)}
    assert _alone(engine, low) == alone[low.digest]
    assert _together(engine, asked) == [alone[a.digest if a else ""][PROMPTS.index(p)] for p, a in asked]
    assert _together(engine, asked[::-1]) == [alone[a.digest if a else ""][PROMPTS.index(p)] for p, a in asked[::-1]]


def test_what_all_prompts_begin_with_is_read_once_for_each_adapter(
    make: Make, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    steps: list[StepTime] = []
    engine = make(resident=1, observe=steps.append)
    opening = len(engine._opening)
    whole = len(engine.loaded.prompt_ids(PROMPTS[0]))
    assert 10 < opening < whole
    one, two = bundles
    fresh = {name: _alone(make(), adapter, PROMPTS[:1]) for name, adapter in (("", None), ("one", one), ("two", two))}
    # With one slot, two takes one's place, and one comes back as if it were new.
    for adapter, again in ((one, False), (one, True), (None, False), (None, True), (two, False), (one, False)):
        steps.clear()
        assert _alone(engine, adapter, PROMPTS[:1]) == fresh[adapter.name if adapter else ""]
        assert sum(step.read for step in steps) == whole - opening * again
    assert len(engine._openings) == 2


@pytest.mark.skipif(not int8_is_exact(), reason="this processor has no exact int8 products (VNNI)")
def test_int8_keeps_requests_apart_and_is_a_base_of_its_own(make: Make, tiny_folder: Path, tmp_path: Path) -> None:
    int8 = replace(TINY, quantisation="int8")
    engine = make(int8)
    digest = base_digest(int8, tiny_folder)
    assert engine.base_digest == digest
    adapters = [make_bundle(tiny_folder, tmp_path, name=f"a{n}", seed=n, base=digest) for n in (1, 2)]
    asked = [(prompt, adapter) for prompt in PROMPTS for adapter in (None, *adapters)]
    alone = [asyncio.run(_text(engine, prompt, adapter)) for prompt, adapter in asked]
    assert len(set(alone)) > len(PROMPTS)
    assert _together(engine, asked) == alone
    plain = make_bundle(tiny_folder, tmp_path, name="plain", seed=1)
    with pytest.raises(BundleError, match="fitted on base"):
        engine.load(plain)
