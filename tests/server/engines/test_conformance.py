"""The conformance suite on the engines that need nothing; tests/vllm has it on a real vLLM."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from radimpress.server.engines import Engine
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.server.engines.tgi import TgiEngine
from radimpress.server.engines.vllm import Shared, VllmEngine
from radimpress.trainer.bases import BaseModel, base_digest
from radimpress.trainer.bundle import WEIGHTS, AdapterBundle, open_bundle
from radimpress.trainer.load import load_base, load_tokens
from tests.conftest import TINY
from tests.server.conftest import FAKE_BASE, make_bundle
from tests.server.engines.conformance import Case, Conformance
from tests.server.engines.standin import StandIn
from tests.server.engines.tgi_case import BASE as LESS
from tests.server.engines.tgi_standin import StandIn as TgiStandIn

_FOREIGN = "e" * 64


@pytest.fixture(scope="session")
def made(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, BaseModel], Path]:
    """Folders of bundles for a base model, made once."""
    folders: dict[tuple[str, BaseModel], Path] = {}

    def bundles(digest: str, base: BaseModel) -> Path:
        if (digest, base) not in folders:
            folders[digest, base] = into = tmp_path_factory.mktemp("conformance")
            for name, seed, of in (("one", 1, digest), ("two", 2, digest), ("one", 3, digest), ("far", 4, _FOREIGN)):
                bundle = make_bundle(tiny_folder, into, name=name, seed=seed, base=of, targets=base.targets)
                bundle.path.rename(into / f"{name}-{seed}")
        return folders[digest, base]

    return bundles


def _opened(kind: str, folder: Path, bundles: Path, stack: ExitStack) -> tuple[Engine, Callable[[], int]]:
    if kind == "fake":
        return FakeEngine(FAKE_BASE, delay=0.02), lambda: 0
    if kind == "inprocess":
        engine = InProcessEngine(load_base(TINY, folder), context=512)
        return engine, lambda: len(engine._jobs)
    if kind == "tgi":
        held = {open_bundle(path.parent).digest for path in bundles.glob(f"*/{WEIGHTS}")}
        tokens = load_tokens(LESS, folder)
        tgi = TgiStandIn(held, lambda text: len(tokens.tokenizer(text)["input_ids"]), seconds=0.002, endless=True)
        stack.enter_context(tgi.beside())
        return TgiEngine(LESS, folder, [tgi.url]), lambda: tgi.running
    server = stack.enter_context(StandIn(folder))
    server.delay = 0.002
    return VllmEngine(TINY, folder, [server.url], Shared(bundles), context=512), lambda: server.running


class TestEngines(Conformance):
    @pytest.fixture(params=["fake", "inprocess", "vllm", "tgi"])
    def case(
        self, request: pytest.FixtureRequest, tiny_folder: Path, tmp_path: Path, made: Callable[[str, BaseModel], Path]
    ) -> Iterator[Case]:
        base = FAKE_BASE if request.param == "fake" else base_digest(TINY, tiny_folder)
        model = LESS if request.param == "tgi" else TINY
        bundles = Path(shutil.copytree(made(base, model), tmp_path / "bundles"))
        found: dict[str, AdapterBundle] = {
            path.parent.name: open_bundle(path.parent) for path in bundles.glob(f"*/{WEIGHTS}")
        }
        with ExitStack() as stack:
            engine, running = _opened(request.param, tiny_folder, bundles, stack)
            stack.callback(engine.close)
            yield Case(engine, bundles, found["one-1"], found["two-2"], found["one-3"], found["far-4"], running)
