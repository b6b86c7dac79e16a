"""A real vLLM and SmolLM2 with eight adapters, for `make test-vllm`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from radimpress.reports.errors import ConfigError
from radimpress.reports.files import write_json
from radimpress.server.bench.material import make_adapter
from radimpress.server.bench.vllm_server import VllmServer, vllm_python, vllm_server
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.server.engines.vllm import Shared, VllmEngine
from radimpress.trainer.bases import DEFAULT_BASE, find_base
from radimpress.trainer.bundle import CONFIG, AdapterBundle, write_bundle
from radimpress.trainer.fetch import base_folder
from radimpress.trainer.load import load_base

ADAPTERS = 8
CONTEXT = 512
# So strong that adapters differ from their first tokens on; words need not be kept.
_ALPHA = 320.0
# One more than there are adapters: the still one.
_OPTIONS: dict[str, str | int] = {"--max-num-seqs": 16, "--max-loras": ADAPTERS + 1}
Start = Callable[..., AbstractContextManager[VllmServer]]


@dataclass(frozen=True, slots=True)
class Site:
    """What the tests share.

    Attributes:
        folder: of the base model.
        bundles: of all adapters.
        adapters: eight, each of another name.
        again: the first one's next version.
        foreign: of another base model.
        python: of vLLM's environment.
    """

    folder: Path
    bundles: Path
    adapters: list[AdapterBundle]
    again: AdapterBundle
    foreign: AdapterBundle
    python: Path

    def engine(self, *servers: VllmServer, **given: Any) -> VllmEngine:
        """An engine on these servers; the first questions to a server that has just started take it long."""
        urls = [one.url for one in servers]
        options = {"context": CONTEXT, "patience": 120.0, **given}
        return VllmEngine(find_base(DEFAULT_BASE), self.folder, urls, Shared(self.bundles), **options)

    def start(self, port: int = 0, core: str = "") -> AbstractContextManager[VllmServer]:
        """A server of its own, on one core only where that is named."""
        environment = {"VLLM_CPU_KVCACHE_SPACE": "1", **({"VLLM_CPU_OMP_THREADS_BIND": core} if core else {})}
        return vllm_server(
            self.python,
            self.folder,
            context=CONTEXT,
            port=port,
            options=_OPTIONS,
            switches=("--enforce-eager",),
            environment=environment,
        )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Skips, and says why, where vLLM or the base model cannot be had."""
    base = find_base(DEFAULT_BASE)
    try:
        folder, python = base_folder(base), vllm_python()
    except ConfigError as error:
        pytest.skip(str(error))
    into = tmp_path_factory.mktemp("bundles")
    engine = InProcessEngine(load_base(base, folder), context=CONTEXT)
    try:
        made = [make_adapter(engine.loaded, engine.decoder, into, number) for number in range(ADAPTERS + 2)]
    finally:
        engine.close()
    *adapters, again, foreign = [_strong(one, into) for one in made]
    renamed = _renamed(again, into, name=adapters[0].name)
    far = _renamed(foreign, into, base={"name": base.name, "digest": "e" * 64})
    return Site(folder, into, adapters, renamed, far, python)


def _strong(bundle: AdapterBundle, into: Path) -> AdapterBundle:
    write_json(bundle.path / CONFIG, {**bundle.config(), "lora_alpha": _ALPHA})
    return _renamed(bundle, into)


def _renamed(bundle: AdapterBundle, into: Path, **changes: Any) -> AdapterBundle:
    kept = {key: bundle.manifest[key] for key in ("name", "base", "rank", "prompt_version", "clusters")}
    side = Path(shutil.copytree(bundle.path, into / f".side-{bundle.digest[:8]}-{len(changes)}"))
    shutil.rmtree(bundle.path)
    return write_bundle(side, into, {**kept, **changes})


@pytest.fixture(scope="session")
def server(site: Site) -> Iterator[VllmServer]:
    """One server for all tests that leave it as it is."""
    with site.start() as one:
        yield one


@pytest.fixture
def opened(site: Site) -> Iterator[Callable[..., VllmEngine]]:
    """Opens engines that are closed after the test."""
    with ExitStack() as stack:

        def engine(*servers: VllmServer, **given: Any) -> VllmEngine:
            made = site.engine(*servers, **given)
            stack.callback(made.close)
            return made

        yield engine
