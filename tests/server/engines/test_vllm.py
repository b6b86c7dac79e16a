"""What the vLLM engine does about servers that fail, lie, start anew or are full; see conformance.py for the rest."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Phi3Config, Phi3ForCausalLM

from radimpress.reports.errors import BundleError, ConfigError, EngineError, InputError, OverloadError, UnavailableError
from radimpress.reports.files import sha256_file
from radimpress.server.engines import Limits, vllm_client
from radimpress.server.engines.vllm import Shared, VllmEngine
from radimpress.server.engines.writer import write
from radimpress.trainer.bundle import CONFIG, MANIFEST, WEIGHTS, AdapterBundle, open_bundle
from tests.conftest import TINY
from tests.server.conftest import change_byte, make_bundle
from tests.server.engines.conformance import PROMPT, text, until
from tests.server.engines.standin import StandIn

Make = Callable[..., VllmEngine]


@pytest.fixture(scope="module")
def bundles(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[AdapterBundle]:
    into = tmp_path_factory.mktemp("bundles")
    return [make_bundle(tiny_folder, into, name=f"a{seed}", seed=seed) for seed in range(1, 5)]


@pytest.fixture
def server(tiny_folder: Path) -> Iterator[StandIn]:
    with StandIn(tiny_folder) as one:
        yield one


@pytest.fixture
def other(tiny_folder: Path) -> Iterator[StandIn]:
    with StandIn(tiny_folder) as one:
        yield one


@pytest.fixture
def make(tiny_folder: Path, bundles: list[AdapterBundle]) -> Iterator[Make]:
    made: list[VllmEngine] = []

    def engine(*servers: StandIn, here: Path | None = None, **given: Any) -> VllmEngine:
        shared = Shared(here or bundles[0].path.parent.parent)
        options = {"context": 512, "every": 0.05, **given}
        made.append(VllmEngine(TINY, tiny_folder, [one.url for one in servers], shared, **options))
        return made[-1]

    yield engine
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """Another model of the same shape."""
    folder = tmp_path_factory.mktemp("stranger")
    torch.manual_seed(1)
    model = Phi3ForCausalLM(Phi3Config.from_pretrained(tiny_folder))
    # As sure of itself as a model that was trained; two that know nothing say nearly the same.
    model.lm_head.weight.data.mul_(30)
    shutil.copytree(tiny_folder, folder, dirs_exist_ok=True)
    model.save_pretrained(folder)
    return folder


def _loads(server: StandIn) -> int:
    return server.loads


def _held(engine: VllmEngine, server: StandIn) -> frozenset[str]:
    (replica,) = [one for one in engine._replicas if one.url == server.url]
    return replica.residence.there


async def _first(engine: VllmEngine, adapter: AdapterBundle | None, act: Callable[[], None]) -> str:
    """Does something once the first piece is there, and takes the rest."""
    said = ""
    async with aclosing(engine.generate(PROMPT, adapter, Limits(40))) as pieces:
        async for piece in pieces:
            if not said:
                await asyncio.to_thread(act)
            said += piece.text
    return said


def test_many_who_ask_at_once_have_an_adapter_loaded_once(
    make: Make, server: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server)

    async def ask() -> list[str]:
        return [w.text for w in await asyncio.gather(*(write(engine, PROMPT, bundles[0], Limits(4)) for _ in range(8)))]

    assert len(set(asyncio.run(ask()))) == 1
    assert _loads(server) == 1
    assert list(server.adapters) == [bundles[0].digest]


def test_an_adapter_that_does_nothing_there_is_refused_and_unloaded(
    make: Make, server: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server)
    server.inert = True
    with pytest.raises(BundleError, match="answers with it as it does without"):
        text(engine, bundles[0])
    assert server.adapters == {}
    server.inert = False
    assert text(engine, bundles[0]) != text(engine, None)


def test_an_answer_of_another_model_than_was_asked_is_an_error(
    make: Make, server: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server)
    text(engine, bundles[0])
    server.liar = True
    with pytest.raises(EngineError, match="answered with model 'base'"):
        text(engine, bundles[0])


def test_a_server_that_started_anew_gets_its_adapters_again(
    make: Make, server: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server, every=60.0)
    before = text(engine, bundles[0])
    server.kill()
    server.start()
    assert text(engine, bundles[0]) == before
    assert _loads(server) == 2


def test_a_server_that_started_anew_with_another_model_is_asked_nothing(
    make: Make, server: StandIn, bundles: list[AdapterBundle], stranger: Path
) -> None:
    engine = make(server, every=60.0)
    text(engine, bundles[0])
    server.kill()
    with StandIn(stranger) as wrong:
        wrong.kill()
        wrong.port = server.port
        wrong.start()
        with pytest.raises(UnavailableError, match="answers differently"):
            text(engine, bundles[0])
        assert "answers differently" in engine.missing
        with pytest.raises(UnavailableError):
            text(engine, None)


def test_of_two_servers_with_different_models_one_is_asked(
    make: Make, server: StandIn, bundles: list[AdapterBundle], stranger: Path
) -> None:
    with StandIn(stranger) as wrong:
        engine = make(server, wrong)
        until(lambda: sum(one.up for one in engine._replicas) == 1)
        assert engine.missing == ""
        (out,) = [one for one in engine._replicas if not one.up]
        assert "answers differently" in out.why


def test_a_server_that_is_killed_is_replaced_where_nothing_was_said(
    make: Make, server: StandIn, other: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server, other, every=60.0)
    expected = text(engine, bundles[0])
    (first,) = [one for one in (server, other) if one.adapters]
    first.kill()
    assert text(engine, bundles[0]) == expected
    assert text(engine, None)
    first.start()


def test_an_answer_that_breaks_off_is_an_error_and_never_joined_with_another(
    make: Make, server: StandIn, other: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server, other)
    server.delay = other.delay = 0.01
    server.breaks = other.breaks = 4
    with pytest.raises(UnavailableError):
        asyncio.run(_first(engine, bundles[0], lambda: None))


def test_what_is_wanted_whole_is_written_anew_by_another_server(
    make: Make, server: StandIn, other: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server, other, every=60.0)
    expected = text(engine, bundles[0])
    first, second = (server, other) if server.adapters else (other, server)
    first.breaks = 2
    assert text(engine, bundles[0]) == expected
    assert (first.left, second.left) == (1, 0)


def test_a_connection_is_used_for_one_answer_after_the_other(
    make: Make, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long a busy machine takes from one to the next.
    monkeypatch.setattr(vllm_client, "_IDLE", 60.0)
    engine = make(server, every=60.0)
    for whole in (True, False):
        met = server.met
        for _ in range(3):
            asyncio.run(_all(engine, Limits(4, whole=whole)))
        assert server.met == met


async def _all(engine: VllmEngine, limits: Limits) -> None:
    async for _ in engine.generate(PROMPT, None, limits):
        pass


def test_a_server_that_is_back_is_asked_again(make: Make, server: StandIn, bundles: list[AdapterBundle]) -> None:
    engine = make(server)
    expected = text(engine, bundles[0])
    server.kill()
    until(lambda: "cannot be reached" in engine.missing)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        text(engine, bundles[0])
    assert not engine.closed
    server.start()
    until(lambda: engine.missing == "")
    assert text(engine, bundles[0]) == expected


def test_a_server_that_does_not_feel_well_is_left_out(make: Make, server: StandIn) -> None:
    engine = make(server)
    server.status, server.deaf = 503, True
    until(lambda: "takes no more requests" in engine.missing)
    server.status = 0
    until(lambda: engine.missing == "")


@pytest.mark.parametrize("status", [429, 503])
def test_a_full_server_sends_to_another_and_a_full_pair_away(
    make: Make, server: StandIn, other: StandIn, bundles: list[AdapterBundle], status: int
) -> None:
    engine = make(server, other, every=60.0)
    text(engine, None)
    server.status = status
    for _ in range(3):
        assert text(engine, None)
    other.status = status
    with pytest.raises(OverloadError):
        text(engine, None)


def test_more_than_may_be_in_hand_is_refused(make: Make, server: StandIn) -> None:
    engine = make(server, most=2)
    server.delay = 0.05

    async def staggered() -> list[object]:
        first = [asyncio.create_task(write(engine, PROMPT, None, Limits(8))) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(OverloadError):
            await write(engine, PROMPT, None, Limits(1))
        return list(await asyncio.gather(*first))

    assert len(asyncio.run(staggered())) == 2


def test_no_more_adapters_are_held_than_there_is_room_for(
    make: Make, tiny_folder: Path, bundles: list[AdapterBundle]
) -> None:
    with StandIn(tiny_folder, room=3) as server:
        engine = make(server)
        for one in bundles[:3]:
            text(engine, one)
        assert list(server.adapters) == [one.digest for one in bundles[1:3]]
        assert engine.resident() == set(server.adapters)


def test_an_adapter_in_use_keeps_its_room_and_those_that_wait_get_theirs(
    make: Make, tiny_folder: Path, bundles: list[AdapterBundle]
) -> None:
    with StandIn(tiny_folder, room=2) as server:
        engine = make(server)
        alone = [text(engine, one) for one in bundles]
        server.delay = 0.005

        async def ask() -> list[str]:
            asked = [bundles[at % 4] for at in range(16)]
            return [w.text for w in await asyncio.gather(*(write(engine, PROMPT, one, Limits(6)) for one in asked))]

        assert asyncio.run(ask()) == alone * 4
        assert len(server.adapters) == 1


def test_an_adapter_that_is_used_without_a_pause_gives_way_in_the_end(
    make: Make, tiny_folder: Path, bundles: list[AdapterBundle]
) -> None:
    with StandIn(tiny_folder, room=2) as server:
        engine = make(server)
        server.delay = 0.01

        async def ask() -> None:
            async def without_pause() -> None:
                while True:
                    await write(engine, PROMPT, bundles[0], Limits(4))

            busy = [asyncio.create_task(without_pause()) for _ in range(3)]
            await asyncio.sleep(0.3)
            async with asyncio.timeout(20):
                await write(engine, PROMPT, bundles[1], Limits(4))
            for one in busy:
                one.cancel()
            await asyncio.gather(*busy, return_exceptions=True)

        asyncio.run(ask())


def test_what_is_retired_while_it_is_used_leaves_afterwards(
    make: Make, server: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server)
    server.delay = 0.01

    def retire() -> None:
        engine.forget(bundles[0].digest)
        time.sleep(0.1)
        assert bundles[0].digest in server.adapters

    asyncio.run(_first(engine, bundles[0], retire))
    until(lambda: server.adapters == {} and engine.resident() == frozenset())


def test_another_engine_takes_over_what_is_loaded(make: Make, server: StandIn, bundles: list[AdapterBundle]) -> None:
    before = text(make(server), bundles[0])
    second = make(server)
    assert second.resident() == {bundles[0].digest}
    assert text(second, bundles[0]) == before
    assert _loads(server) == 1
    second.forget(bundles[0].digest)
    until(lambda: server.adapters == {})


def test_a_digest_that_was_loaded_from_elsewhere_is_loaded_anew(
    make: Make, server: StandIn, bundles: list[AdapterBundle]
) -> None:
    server.load(bundles[0].digest, str(bundles[1].path))
    engine = make(server)
    text(engine, bundles[0])
    assert server.adapters == {bundles[0].digest: str(bundles[0].path)}


def test_what_others_loaded_under_names_of_their_own_is_left_alone(
    make: Make, server: StandIn, bundles: list[AdapterBundle]
) -> None:
    server.load("somebody-elses", str(bundles[1].path))
    engine = make(server)
    text(engine, bundles[0])
    assert engine.resident() == {bundles[0].digest}
    assert "somebody-elses" in server.adapters


def test_an_adapter_unloaded_by_another_is_loaded_again(
    make: Make, server: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server, every=60.0)
    before = text(engine, bundles[0])
    make(server).forget(bundles[0].digest)
    until(lambda: server.adapters == {})
    assert text(engine, bundles[0]) == before


def test_an_adapter_outside_of_the_shared_folder_is_refused(
    make: Make, server: StandIn, bundles: list[AdapterBundle], tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="shared with vLLM"):
        text(make(server, here=tmp_path), bundles[0])
    assert _loads(server) == 0


def test_paths_are_as_vllms_machines_see_them(bundles: list[AdapterBundle], tmp_path: Path) -> None:
    here = bundles[0].path.parent.parent
    assert Shared(here).path(bundles[0]) == str(bundles[0].path.resolve())
    assert Shared(here, "/bundles/").path(bundles[0]) == f"/bundles/a1/{bundles[0].path.name}"
    (tmp_path / "link").symlink_to(bundles[0].path)
    with pytest.raises(BundleError, match="shared"):
        Shared(tmp_path).path(AdapterBundle(tmp_path / "link", bundles[0].manifest))


def test_a_rank_above_what_the_server_takes_is_refused(make: Make, server: StandIn, tiny_folder: Path) -> None:
    server.rank = 1
    folder = Path(make(server)._replicas[0].residence.path.__self__.here)  # type: ignore[attr-defined]
    bundle = make_bundle(tiny_folder, folder, name="wide", seed=9)
    with pytest.raises(BundleError, match="--max-lora-rank"):
        text(make(server), bundle)


def test_matrices_of_a_layer_that_base_does_not_have_are_refused(
    make: Make, server: StandIn, bundles: list[AdapterBundle]
) -> None:
    into = bundles[0].path.parent / "deeper"
    into.mkdir(exist_ok=True)
    (into / CONFIG).write_bytes((bundles[0].path / CONFIG).read_bytes())
    tensors = load_file(bundles[0].path / WEIGHTS)
    key = next(iter(tensors))
    tensors[key.replace("layers.0", "layers.7")] = tensors[key].clone()
    save_file(tensors, into / WEIGHTS, {"adapter_config_sha256": sha256_file(into / CONFIG)})
    files = {name: sha256_file(into / name) for name in (WEIGHTS, CONFIG)}
    (into / MANIFEST).write_text(json.dumps({**bundles[0].manifest, "files": files}), "utf-8")
    with pytest.raises(BundleError, match="do not fit the base model's modules"):
        text(make(server), open_bundle(into))
    assert _loads(server) == 0


def test_a_server_that_loads_no_adapters_is_told(make: Make, server: StandIn, bundles: list[AdapterBundle]) -> None:
    server.fixed = True
    engine = make(server)
    with pytest.raises(UnavailableError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
        text(engine, None)


def test_a_server_wants_its_token(make: Make, tiny_folder: Path) -> None:
    with StandIn(tiny_folder, token="right") as server:
        assert "refuses the token" in make(server, token="wrong").missing
        assert text(make(server, token="right"), None)


def test_a_server_with_too_little_room_for_tokens_is_not_asked(make: Make, tiny_folder: Path) -> None:
    with StandIn(tiny_folder, context=256) as server:
        assert "--max-model-len" in make(server).missing


def test_findings_too_long_are_refused_before_anything_is_sent(make: Make, server: StandIn) -> None:
    engine = make(server)
    asked = server.asked["/v1/completions"]
    with pytest.raises(InputError, match="has room for"):
        asyncio.run(write(engine, "word " * 600, None, Limits(4)))
    assert server.asked["/v1/completions"] == asked
    assert engine.prompt_tokens(PROMPT) == asyncio.run(_prompt_tokens(engine))


async def _prompt_tokens(engine: VllmEngine) -> int:
    async with aclosing(engine.generate(PROMPT, None, Limits(1))) as pieces:
        return [piece async for piece in pieces][-1].prompt_tokens


def test_an_adapter_is_loaded_before_it_is_asked_for_and_after_a_start_again(
    make: Make, server: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server)
    engine.prepare(bundles[0])
    until(lambda: bundles[0].digest in server.adapters)
    server.kill()
    until(lambda: engine.missing != "")
    server.start()
    until(lambda: bundles[0].digest in server.adapters)
    engine.forget(bundles[0].digest)
    until(lambda: server.adapters == {})


def test_who_holds_the_adapter_is_asked_until_another_has_much_less_to_do(
    make: Make, server: StandIn, other: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server, other)
    until(lambda: all(one.up for one in engine._replicas))
    for _ in range(3):
        text(engine, bundles[0])
    assert {_loads(server), _loads(other)} == {0, 1}
    server.delay = other.delay = 0.01

    async def ask() -> None:
        await asyncio.gather(*(write(engine, PROMPT, bundles[0], Limits(8)) for _ in range(16)))

    asyncio.run(ask())
    assert (_loads(server), _loads(other)) == (1, 1)


def test_the_last_piece_says_which_server_wrote(make: Make, server: StandIn) -> None:
    async def last() -> str:
        async with aclosing(make(server).generate(PROMPT, None, Limits(2))) as pieces:
            return [piece async for piece in pieces][-1].engine

    assert asyncio.run(last()) == server.url


def test_without_any_server_it_opens_and_says_what_is_missing(make: Make, tiny_folder: Path) -> None:
    nobody = StandIn(tiny_folder)
    engine = make(nobody)
    assert "cannot be reached" in engine.missing
    with pytest.raises(UnavailableError, match="cannot be reached"):
        text(engine, None)


def test_base_is_never_asked_for_by_its_name_which_may_mean_an_adapter(
    make: Make, server: StandIn, bundles: list[AdapterBundle]
) -> None:
    engine = make(server)
    alone = text(engine, None)
    server.muddles = True
    adapted = [text(engine, one) for one in bundles[:2]]
    assert text(engine, None) == alone
    assert alone not in adapted


def test_a_still_adapter_that_was_changed_is_found_out(tiny_folder: Path, tmp_path: Path, server: StandIn) -> None:
    VllmEngine(TINY, tiny_folder, [server.url], Shared(tmp_path), context=512).close()
    (weights,) = tmp_path.glob(f".still/*/{WEIGHTS}")
    change_byte(weights)
    with pytest.raises(ConfigError, match="not what was written"):
        VllmEngine(TINY, tiny_folder, [server.url], Shared(tmp_path), context=512)
