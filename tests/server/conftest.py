"""What the tests of the server share: real tiny adapters, certificates, and a server on loopback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from radimpress.clustering.cell import Cell
from radimpress.clustering.clusters import Clusters
from radimpress.eval.bootstrap import Estimate
from radimpress.eval.certificate import Certificate
from radimpress.eval.gate import Outcome, Rule, Verdict
from radimpress.eval.waiver import span
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Modality
from radimpress.server.engines import Engine
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.registry import Registry
from radimpress.server.routes import AdapterVersion
from radimpress.server.serve import serving
from radimpress.server.settings import ServerSettings
from radimpress.trainer.bases import base_digest
from radimpress.trainer.bundle import WEIGHTS, AdapterBundle, open_bundle, side_folder, write_bundle
from tests.conftest import TINY

if TYPE_CHECKING:
    from tests.server.peer import Peer

FAKE_BASE = "0" * 64
FINDINGS = (
    "The left knee is intact. No fracture is seen. The joint space is kept, the bones are of usual density, and "
    "the soft tissues around the joint are not swollen."
)
CLINICS = {"alder": "list", "birch": "list", "elm": "telegraphic"}
CT_LIST = Cell(Modality.CT, "list")
CT_TELEGRAPHIC = Cell(Modality.CT, "telegraphic")
CT_ANY = Cell(Modality.CT, "any")
MR_LIST = Cell(Modality.MR, "list")


def clusters(clinics: Mapping[str, str] = CLINICS) -> Clusters:
    """Clusters of these clinics; nothing else in them matters to a server."""
    return Clusters(clinics=dict(clinics), profiles={}, embedder="none", data="0" * 64, why="made up")


def make_bundle(
    folder: Path,
    into: Path,
    *,
    name: str = "unified",
    seed: int = 1,
    strength: float = 0.5,
    rank: int = 2,
    base: str = "",
    targets: Sequence[str] = TINY.targets,
    config: Mapping[str, Any] | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> AdapterBundle:
    """A real LoRA adapter of the tiny base, with random weights that change what it writes.

    `base` is the base digest that the manifest states; `config` changes adapter_config.json after peft
    wrote it.
    """
    torch.manual_seed(seed)
    wanted = LoraConfig(r=rank, lora_alpha=4, target_modules=list(targets), task_type="CAUSAL_LM")
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), wanted)
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            if "lora_B" in key:
                tensor.normal_(std=strength)
    side = side_folder(into)
    model.save_pretrained(side)
    written = json.loads((side / "adapter_config.json").read_text("utf-8"))
    written["target_modules"] = sorted(written["target_modules"])
    # Not the folder's own path: the same seed gives the same digest in every run.
    written["base_model_name_or_path"] = TINY.source
    (side / "adapter_config.json").write_text(json.dumps({**written, **(config or {})}), "utf-8")
    head = {
        "name": name,
        "base": {"name": TINY.name, "digest": base or base_digest(TINY, folder)},
        "rank": rank,
        "prompt_version": PROMPT_VERSION,
        "clusters": clusters().digest,
    }
    return write_bundle(side, into, {**head, **(manifest or {})})


def change_byte(path: Path, at: int = -1) -> None:
    """Changes one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def certificate(
    adapter: AdapterVersion,
    *cells: Cell,
    outcome: Outcome = Outcome.PASS,
    incumbent: AdapterVersion | None = None,
    clusters_digest: str = "",
    base_digest: str = "",
    prompt_version: str = PROMPT_VERSION,
    key: Ed25519PrivateKey | None = None,
    **changes: Any,
) -> bytes:
    """A gate's certificate that says the same of each of these slices, in force now; signed with a key."""

    def verdict(cell: Cell | None) -> Verdict:
        name, digest = (incumbent.name, incumbent.digest) if incumbent else ("base", "")
        return Verdict(
            cell, outcome, "as told", name, digest, 40, Estimate(mean=0.1, low=0.05, high=0.15, cases=40, groups=20)
        )

    made = Certificate(
        adapter.name,
        adapter.digest,
        base_digest or adapter.base_digest,
        clusters_digest or clusters().digest,
        "d" * 64,
        prompt_version,
        Rule(),
        tuple(verdict(cell) for cell in cells),
        verdict(None),
    )
    issued, expires = span(None, 90)
    made = replace(made, **{"issued": issued, "expires": expires, **changes})
    return (made.signed(key) if key else made).encode()


@dataclass(frozen=True, slots=True)
class Site:
    """A place that serves: its folder, its registry, and two different bundles for the fake base."""

    root: Path
    registry: Registry
    first: AdapterBundle
    second: AdapterBundle
    database: str = ""

    @property
    def bundles(self) -> Path:
        """The bundle folder."""
        return self.root / "bundles"

    @property
    def url(self) -> str:
        """The registry's URL."""
        return self.database or f"sqlite:///{self.root / 'registry.db'}"

    def path(self, bundle: AdapterBundle) -> str:
        """A bundle's path as it is registered."""
        return bundle.path.relative_to(self.bundles).as_posix()

    def promote(self, bundle: AdapterBundle, *cells: Cell) -> AdapterVersion:
        """Registers a bundle and gives it these slices."""
        adapter = self.registry.register(self.path(bundle))
        self.registry.promote(adapter, certificate(adapter, *cells))
        return adapter

    @contextmanager
    def serving(self, engine: Engine | None = None, **given: Any) -> Iterator[str]:
        """Serves on a free port of loopback; gives the address."""
        settings = ServerSettings(**{"listen": "127.0.0.1:0", "engine": "fake", "drain_seconds": 1.0, **given})
        with serving(settings, engine or FakeEngine(FAKE_BASE), self.registry) as address:
            yield address


@pytest.fixture(scope="session")
def fake_bundles(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles, "unified" and "cluster-list", that state the fake engine's base."""
    into = tmp_path_factory.mktemp("fake-bundles")
    make_bundle(tiny_folder, into, name="unified", seed=1, base=FAKE_BASE)
    make_bundle(tiny_folder, into, name="cluster-list", seed=2, base=FAKE_BASE)
    return into


@pytest.fixture
def site(tmp_path: Path, fake_bundles: Path) -> Iterator[Site]:
    """A registry with adopted clusters, and bundles of its own to spoil."""
    shutil.copytree(fake_bundles, tmp_path / "bundles")
    first, second = (
        open_bundle(next((tmp_path / "bundles" / name).glob(f"*/{WEIGHTS}")).parent)
        for name in ("unified", "cluster-list")
    )
    registry = Registry(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "bundles")
    registry.adopt(clusters())
    yield Site(tmp_path, registry, first, second)
    registry.close()


@pytest.fixture
def peer(site: Site) -> Iterator[Peer]:
    """A client of the site's server, which answers with the fake engine."""
    from tests.server.peer import Peer

    with site.serving() as address, Peer(address) as one:
        yield one
