from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from radimpress.reports.errors import BundleError, ConflictError, InputError
from radimpress.reports.report import Modality, Report
from radimpress.trainer.bases import base_digest
from radimpress.trainer.bundle import AdapterBundle, check_targets
from radimpress.trainer.checkpoint import alone
from radimpress.trainer.load import load_base
from radimpress.trainer.plan import UNIFIED
from radimpress.trainer.settings import FitSettings
from tests.conftest import TINY
from tests.trainer.fits import (
    REPORTS,
    SETTINGS,
    VALIDATION,
    fit_tiny,
    fitted,
    home,
    refuse_training,
)

__all__ = ["fitted", "home"]

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


def test_a_fitted_bundle_is_whole(tiny_folder: Path, fitted: AdapterBundle) -> None:
    fitted.verify(base_digest(TINY, tiny_folder))
    check_targets(fitted, TINY.targets)
    assert fitted.manifest["data"]["reports"] == 12
    assert fitted.manifest["data"]["too_long"] == 0


def test_nothing_but_the_bundle_is_left(fitted: AdapterBundle, home: Path) -> None:
    assert fitted.path.is_relative_to(home)
    assert [path.name for path in home.iterdir() if path.name.startswith(".")] == []


def test_plain_peft_loads_a_bundle_and_it_changes_what_the_base_says(tiny_folder: Path, fitted: AdapterBundle) -> None:
    ids = torch.tensor([[5, 6, 7, 8]])
    base = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).eval()
    with torch.no_grad():
        before = base(ids).logits
        after = PeftModel.from_pretrained(base, str(fitted.path)).eval()(ids).logits
    assert torch.isfinite(after).all()
    assert not torch.allclose(before, after)


def test_the_same_inputs_reuse_the_bundle(
    tiny_folder: Path, home: Path, fitted: AdapterBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_training(monkeypatch)
    assert fit_tiny(tiny_folder, home) == fitted


@pytest.mark.parametrize(
    ("reports", "settings"),
    [
        (REPORTS[:11], SETTINGS),
        ((replace(REPORTS[0], impression="No acute disease at all."), *REPORTS[1:]), SETTINGS),
        ((replace(REPORTS[0], indication="Another."), *REPORTS[1:]), SETTINGS),
        (REPORTS, SETTINGS.model_copy(update={"seed": 1})),
    ],
)
def test_other_inputs_are_fitted_anew(
    tiny_folder: Path,
    home: Path,
    fitted: AdapterBundle,
    monkeypatch: pytest.MonkeyPatch,
    reports: tuple[Report, ...],
    settings: FitSettings,
) -> None:
    refuse_training(monkeypatch)
    with pytest.raises(AssertionError, match="trained again"):
        fit_tiny(tiny_folder, home, reports=reports, settings=settings)
    assert fitted.path.is_dir()


def test_a_damaged_bundle_is_not_reused(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = fit_tiny(tiny_folder, tmp_path, reports=REPORTS[:2])
    (bundle.path / "adapter_model.safetensors").write_bytes(b"broken")
    refuse_training(monkeypatch)
    with pytest.raises(AssertionError, match="trained again"):
        fit_tiny(tiny_folder, tmp_path, reports=REPORTS[:2])


def test_a_fit_with_another_validation_set_is_reused_too(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_tiny(tiny_folder, tmp_path, reports=REPORTS[:4])
    fit_tiny(tiny_folder, tmp_path, reports=REPORTS[:4], validation=VALIDATION[:1])
    refuse_training(monkeypatch)
    assert fit_tiny(tiny_folder, tmp_path, reports=REPORTS[:4], validation=VALIDATION[:1]).name == UNIFIED


def test_a_fit_starts_from_another_bundles_weights(tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path) -> None:
    still = SETTINGS.model_copy(update={"learning_rate": 1e-12})
    bundle = fit_tiny(tiny_folder, tmp_path, name="cluster-list", settings=still, start=fitted)
    assert bundle.manifest["start"] == fitted.digest
    begun = bundle.manifest["history"][0]["validation"]
    assert begun == pytest.approx(fitted.manifest["history"][-1]["validation"], abs=1e-3)
    old, new = fitted.weights(), bundle.weights()
    assert all(torch.allclose(new[name], old[name], atol=1e-6) for name in old)


def test_a_start_on_another_base_is_refused(tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path) -> None:
    foreign = replace(fitted, manifest={**fitted.manifest, "base": {"name": "other", "digest": "0" * 64}})
    with pytest.raises(BundleError, match="fitted on base 000000000000"):
        fit_tiny(tiny_folder, tmp_path, start=foreign)
    assert not list(tmp_path.glob("*/*"))


def test_a_fit_of_a_single_step_still_learns(tiny_folder: Path, tmp_path: Path) -> None:
    settings = FitSettings(rank=2, alpha=4)
    fit_tiny(tiny_folder, tmp_path, settings=settings).verify(base_digest(TINY, tiny_folder))


def test_reports_that_are_all_too_long_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no report fits into 32 tokens"):
        fit_tiny(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"max_tokens": 32}))
    assert not list(tmp_path.iterdir())


def test_one_endless_report_does_not_stop_the_fit(tiny_folder: Path, tmp_path: Path) -> None:
    endless = replace(REPORTS[0], id="endless", findings="x" * 100_000, modality=Modality.RF)
    data = fit_tiny(tiny_folder, tmp_path, reports=(endless, *REPORTS[:2])).manifest["data"]
    assert (data["too_long"], data["reports"]) == (1, 2)
    # It is not said to have learnt what it was not shown.
    assert data["modalities"] == Counter(report.modality.value for report in REPORTS[:2])


def test_a_base_in_four_bits_keeps_its_gradients_after_a_validation(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a CPU with AVX512-BF16.
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: True)
    loaded = load_base(TINY, tiny_folder, "nf4")
    with torch.no_grad():
        loaded.model(torch.tensor([[5, 6, 7]]))
    modules: Iterable[Any] = loaded.model.modules()
    states = [module.weight.quant_state for module in modules if hasattr(module, "compute_dtype")]
    assert len(states) >= 8
    assert not any(getattr(state, "packing_format_for_cpu", False) for state in states)


def test_two_fits_do_not_share_a_folder(tiny_folder: Path, tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(ConflictError, match="another process fits"):
        fit_tiny(tiny_folder, tmp_path)
    assert fit_tiny(tiny_folder, tmp_path, reports=REPORTS[:2]).name == UNIFIED


def test_a_fit_on_a_base_in_four_bits_learns_and_is_plain_lora(tiny_folder: Path, tmp_path: Path) -> None:
    bundle = fit_tiny(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"quantisation": "nf4"}))
    bundle.verify(base_digest(TINY, tiny_folder))
    first, *_, last = bundle.manifest["history"]
    assert last["validation"] < first["validation"]
    assert all(values.dtype == torch.float32 for values in bundle.weights().values())


def test_four_bits_are_another_base_than_the_whole_one(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path
) -> None:
    nf4 = fit_tiny(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"quantisation": "nf4"}))
    assert nf4.manifest["history"][0] != fitted.manifest["history"][0]


def test_scaling_by_the_root_of_the_rank_is_what_the_bundle_says(tiny_folder: Path, tmp_path: Path) -> None:
    bundle = fit_tiny(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"rslora": True}))
    assert bundle.read(base_digest(TINY, tiny_folder)).scale == pytest.approx(4 / 2**0.5)
