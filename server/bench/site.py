"""A site to measure on: every clinic is served by an adapter of its own, and all that production has is on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from radimpress.clustering.cell import Cell
from radimpress.clustering.clusters import Clusters
from radimpress.eval.bootstrap import Estimate
from radimpress.eval.certificate import Certificate
from radimpress.eval.gate import Outcome, Rule, Verdict
from radimpress.eval.predict import BASE
from radimpress.eval.waiver import span
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Modality
from radimpress.server.bench.hosting import Made
from radimpress.server.bench.material import make_adapter
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.server.registry import Registry
from radimpress.server.routes import AdapterVersion
from radimpress.server.settings import ServerSettings
from radimpress.trainer.bases import BaseModel
from radimpress.trainer.bundle import CONFIG, WEIGHTS, AdapterBundle, side_folder, write_bundle
from radimpress.trainer.load import load_base

TOKEN = "bench-token-that-opens-nothing-else"
ADAPTERS = 8
CLINICS = tuple(f"clinic-{number}" for number in range(ADAPTERS))
_TOKENS = 32


def fake_site(folder: Path) -> Made:
    """The fake engine behind everything else that is real."""
    engine = FakeEngine()
    bundles = [tiny_bundle(folder / "bundles", number, engine) for number in range(ADAPTERS)]
    return _made(folder, engine, bundles)


def model_site(folder: Path, base: BaseModel, model: Path) -> Made:
    """A real base model; every impression has as many tokens as the next, so that both sides do the same work."""
    engine = InProcessEngine(load_base(base, model), batch=16, context=1024, stop=False)
    numbers = range(ADAPTERS)
    bundles = [make_adapter(engine.loaded, engine.decoder, folder / "bundles", number) for number in numbers]
    return _made(folder, engine, bundles, max_tokens=_TOKENS)


def _made(folder: Path, engine: FakeEngine | InProcessEngine, bundles: Sequence[AdapterBundle], **given: Any) -> Made:
    settings = production(folder, **given)
    registry = Registry(settings.registry, settings.bundles)
    promote_all(registry, bundles)
    return settings, engine, registry


def production(folder: Path, **given: Any) -> ServerSettings:
    """Settings as a hospital's server has them, but for TLS: tokens, audit, metrics, journal and checks."""
    tokens = folder / "tokens.toml"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens.write_text(
        f'[[token]]\nsha256 = "{digest}"\nsubject = "bench"\nrole = "clinic"\nclinics = {json.dumps(CLINICS)}\n',
        "utf-8",
    )
    tokens.chmod(0o600)
    return ServerSettings(
        **{
            "listen": "127.0.0.1:0",
            "registry": f"sqlite:///{folder / 'registry.db'}",
            "bundles": str(folder / "bundles"),
            "audit": folder / "audit",
            "tokens": tokens,
            "metrics_listen": "127.0.0.1:0",
            **given,
        }
    )


def promote_all(registry: Registry, bundles: Sequence[AdapterBundle]) -> None:
    """Gives every clinic a cluster, and every cluster's CT the bundle of its number."""
    clusters = Clusters(
        clinics={clinic: f"cluster-{number}" for number, clinic in enumerate(CLINICS)},
        profiles={},
        embedder="none",
        data="0" * 64,
        why="made up",
    )
    registry.adopt(clusters)
    for bundle, cluster in zip(bundles, clusters.clinics.values(), strict=True):
        adapter = registry.register(f"{bundle.name}/{bundle.path.name}")
        registry.promote(adapter, certificate(adapter, clusters, Cell(Modality.CT, cluster)))


def certificate(adapter: AdapterVersion, clusters: Clusters, *cells: Cell) -> bytes:
    """A certificate that passes an adapter in these slices, against base, in force now."""
    shown = Estimate(mean=0.1, low=0.05, high=0.15, cases=40, groups=20)
    issued, expires = span(None, 90)
    return Certificate(
        adapter=adapter.name,
        digest=adapter.digest,
        base_digest=adapter.base_digest,
        clusters_digest=clusters.digest,
        cases_digest="0" * 64,
        prompt_version=PROMPT_VERSION,
        rule=Rule(),
        verdicts=tuple(Verdict(cell, Outcome.PASS, "made up", BASE, "", 40, shown) for cell in cells),
        overall=Verdict(None, Outcome.PASS, "made up", BASE, "", 40, shown),
        issued=issued,
        expires=expires,
    ).encode()


def tiny_bundle(into: Path, number: int, engine: FakeEngine) -> AdapterBundle:
    """A bundle of two small matrices for the fake engine, which reads it as it would a large one."""
    chance = torch.Generator().manual_seed(number)
    side = side_folder(into)
    shapes = {"A": (2, 8), "B": (8, 2)}
    save_file(
        {f"model.layer.lora_{letter}.weight": torch.randn(size, generator=chance) for letter, size in shapes.items()},
        side / WEIGHTS,
    )
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 2,
        "lora_alpha": 4,
        "bias": "none",
        "target_modules": ["layer"],
        "inference_mode": True,
    }
    (side / CONFIG).write_text(json.dumps(config), "utf-8")
    manifest = {
        "name": f"bench-{number}",
        "base": {"name": engine.base_name, "digest": engine.base_digest},
        "rank": 2,
        "prompt_version": PROMPT_VERSION,
        "clusters": "0" * 64,
    }
    return write_bundle(side, into, manifest)
