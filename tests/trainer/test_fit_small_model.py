"""A fit on the real small model in four bits, and what serves its bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from radimpress.reports.errors import ConfigError
from radimpress.reports.prompt import render
from radimpress.reports.synthetic import synthesize
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.server.engines.writer import EngineWriter
from radimpress.trainer.bases import DEFAULT_BASE, find_base
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.fetch import base_folder
from radimpress.trainer.fit import fit
from radimpress.trainer.load import load_base
from radimpress.trainer.plan import UNIFIED, PlannedAdapter
from radimpress.trainer.settings import FitSettings

pytestmark = [
    pytest.mark.slow_real,
    # peft asks transformers by an old name.
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]

BASE = find_base(DEFAULT_BASE)
SETTINGS = FitSettings(quantisation="nf4", learning_rate=2e-3, batch=1, accumulation=1, max_tokens=512)


@pytest.fixture(scope="module")
def folder() -> Path:
    try:
        return base_folder(BASE)
    except ConfigError as error:
        pytest.skip(f"the small model cannot be had here: {error}")


@pytest.fixture(scope="module")
def fitted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AdapterBundle:
    return fit(
        PlannedAdapter(UNIFIED, None, None, tuple(synthesize(20, 0, 0.0))),
        list(synthesize(3, 1, 0.0)),
        base=BASE,
        base_folder=folder,
        settings=SETTINGS,
        start=None,
        clusters_digest="c" * 64,
        into=tmp_path_factory.mktemp("bundles"),
    )


def test_its_loss_falls(fitted: AdapterBundle) -> None:
    ends = [row["validation"] for row in fitted.manifest["history"] if "validation" in row]
    assert ends[-1] < 0.8 * ends[0]
    assert fitted.manifest["steps"]["made"] >= 4


def test_plain_peft_loads_its_bundle_on_the_whole_base(folder: Path, fitted: AdapterBundle) -> None:
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        before = base(ids).logits
        after = PeftModel.from_pretrained(base, str(fitted.path)).eval()(ids).logits
    assert torch.isfinite(after).all()
    assert not torch.allclose(before, after, atol=1e-2)


def test_the_embedded_engine_serves_its_bundle(folder: Path, fitted: AdapterBundle) -> None:
    engine = InProcessEngine(load_base(BASE, folder))
    try:
        prompt = render(next(iter(synthesize(1, 2, 0.0))))
        own, bases = (next(EngineWriter(engine).write_all([prompt], who, 16)).text for who in (fitted, None))
        assert own
        assert own != bases
    finally:
        engine.close()
