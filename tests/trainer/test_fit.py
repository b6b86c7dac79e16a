from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from radimpress.reports.errors import BundleError, ConfigError, ConflictError, DamageError, InputError
from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize
from radimpress.trainer import checkpoint
from radimpress.trainer import fit as fitting
from radimpress.trainer.bases import base_digest
from radimpress.trainer.bundle import AdapterBundle, check_targets
from radimpress.trainer.checkpoint import CHECKPOINT, alone
from radimpress.trainer.fit import fit
from radimpress.trainer.load import load_base
from radimpress.trainer.plan import UNIFIED, PlannedAdapter
from radimpress.trainer.settings import FitSettings
from radimpress.trainer.write_up import Rate
from tests.conftest import TINY

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

T = TypeVar("T")
SETTINGS = FitSettings(
    rank=2, alpha=4, batch=1, accumulation=1, learning_rate=5e-3, max_tokens=600, dropout=0.1, checkpoint_steps=2
)
REPORTS = tuple(synthesize(12, 0, 0.0))
VALIDATION = list(synthesize(3, 1, 0.0))


def _fit(
    folder: Path,
    into: Path,
    *,
    name: str = UNIFIED,
    reports: tuple[Report, ...] = REPORTS,
    validation: list[Report] = VALIDATION,
    settings: FitSettings = SETTINGS,
    start: AdapterBundle | None = None,
    budget_usd: float = 0.0,
    track: Track = silent,
    rate: Rate | None = None,
) -> AdapterBundle:
    planned = PlannedAdapter(name, None, start.name if start else None, reports)
    return fit(
        planned,
        validation,
        base=TINY,
        base_folder=folder,
        settings=settings,
        start=start,
        clusters_digest="c" * 64,
        into=into,
        budget_usd=budget_usd,
        track=track,
        rate=rate,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def fitted(tiny_folder: Path, home: Path) -> AdapterBundle:
    return _fit(tiny_folder, home)


def _refuse_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError(f"trained again with {len(arguments) + len(named)} arguments")

    monkeypatch.setattr(fitting, "run_loop", refuse)


def test_a_fitted_bundle_is_whole(tiny_folder: Path, fitted: AdapterBundle) -> None:
    fitted.verify(base_digest(TINY, tiny_folder))
    check_targets(fitted, TINY.targets)
    assert fitted.manifest["data"]["reports"] == 12
    assert fitted.manifest["data"]["too_long"] == 0


def test_the_history_has_every_step_between_two_validations_and_is_finite(fitted: AdapterBundle) -> None:
    first, *steps, last = fitted.manifest["history"]
    assert [row["step"] for row in steps] == list(range(1, len(steps) + 1))
    assert (first["step"], last["step"]) == (0, len(steps))
    assert fitted.manifest["steps"] == {"made": len(steps), "planned": len(steps)}
    assert len(steps) > 4
    assert all(math.isfinite(value) for row in (first, *steps, last) for value in row.values())
    assert last["validation"] < first["validation"]


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
    _refuse_training(monkeypatch)
    assert _fit(tiny_folder, home) == fitted


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
    _refuse_training(monkeypatch)
    with pytest.raises(AssertionError, match="trained again"):
        _fit(tiny_folder, home, reports=reports, settings=settings)
    assert fitted.path.is_dir()


def test_a_damaged_bundle_is_not_reused(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = _fit(tiny_folder, tmp_path, reports=REPORTS[:2])
    (bundle.path / "adapter_model.safetensors").write_bytes(b"broken")
    _refuse_training(monkeypatch)
    with pytest.raises(AssertionError, match="trained again"):
        _fit(tiny_folder, tmp_path, reports=REPORTS[:2])


def test_a_fit_with_another_validation_set_is_reused_too(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fit(tiny_folder, tmp_path, reports=REPORTS[:4])
    _fit(tiny_folder, tmp_path, reports=REPORTS[:4], validation=VALIDATION[:1])
    _refuse_training(monkeypatch)
    assert _fit(tiny_folder, tmp_path, reports=REPORTS[:4], validation=VALIDATION[:1]).name == UNIFIED


def test_a_fit_starts_from_another_bundles_weights(tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path) -> None:
    still = SETTINGS.model_copy(update={"learning_rate": 1e-12})
    bundle = _fit(tiny_folder, tmp_path, name="cluster-list", settings=still, start=fitted)
    assert bundle.manifest["start"] == fitted.digest
    begun = bundle.manifest["history"][0]["validation"]
    assert begun == pytest.approx(fitted.manifest["history"][-1]["validation"], abs=1e-3)
    old, new = fitted.weights(), bundle.weights()
    assert all(torch.allclose(new[name], old[name], atol=1e-6) for name in old)


def test_a_start_on_another_base_is_refused(tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path) -> None:
    foreign = replace(fitted, manifest={**fitted.manifest, "base": {"name": "other", "digest": "0" * 64}})
    with pytest.raises(BundleError, match="fitted on base 000000000000"):
        _fit(tiny_folder, tmp_path, start=foreign)
    assert not list(tmp_path.glob("*/*"))


def test_a_fit_of_a_single_step_still_learns(tiny_folder: Path, tmp_path: Path) -> None:
    settings = FitSettings(rank=2, alpha=4)
    _fit(tiny_folder, tmp_path, settings=settings).verify(base_digest(TINY, tiny_folder))


def test_reports_that_are_all_too_long_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no report fits into 32 tokens"):
        _fit(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"max_tokens": 32}))
    assert not list(tmp_path.iterdir())


def test_one_endless_report_does_not_stop_the_fit(tiny_folder: Path, tmp_path: Path) -> None:
    endless = replace(REPORTS[0], id="endless", findings="x" * 100_000)
    bundle = _fit(tiny_folder, tmp_path, reports=(endless, *REPORTS[:2]))
    assert bundle.manifest["data"]["too_long"] == 1


def test_a_loss_that_is_not_finite_is_told_and_leaves_no_bundle(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lower learning_rate.* these reports: syn-0000\d\d"):
        _fit(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"learning_rate": 1e30}))
    assert not list(tmp_path.iterdir())


def test_a_track_sees_every_step(tiny_folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []

    def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
        for at, item in enumerate(items, start=1):
            yield item
            seen.append((label, at, total))

    fit(
        PlannedAdapter("tracked", None, None, REPORTS[:4]),
        VALIDATION,
        base=TINY,
        base_folder=tiny_folder,
        settings=SETTINGS,
        start=None,
        clusters_digest="c" * 64,
        into=tmp_path,
        track=track,
    )
    assert {label for label, _, _ in seen} == {"fit tracked"}
    assert [(at, total) for _, at, total in seen] == [(at, len(seen)) for at in range(1, len(seen) + 1)]
    assert len(seen) > 1


def _record(into: Path, bundle: AdapterBundle) -> list[dict[str, Any]]:
    path = into / "runs" / f"{bundle.name}-{bundle.digest[:16]}" / "record.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_run_record_stays_beside_the_bundle(fitted: AdapterBundle, home: Path) -> None:
    *steps, last = _record(home, fitted)
    history = fitted.manifest["history"]
    assert [round(row["loss"], 4) for row in steps] == [row["loss"] for row in history[1:-1]]
    assert last == history[-1]
    assert all(row["gradient_norm"] > 0 and row["tokens_per_second"] > 0 and row["memory_bytes"] > 0 for row in steps)
    rates = [row["learning_rate"] for row in steps]
    assert rates[0] == SETTINGS.learning_rate
    assert rates == sorted(rates, reverse=True)


def _words(impression: str, reference: str) -> dict[str, float]:
    return {"words": float(len(impression.split())), "reference": float(len(reference.split()))}


PRICED = SETTINGS.model_copy(update={"price_per_hour": 3600.0})
WRITING = SETTINGS.model_copy(update={"validation_written": 3, "written_steps": 3})


def test_what_the_model_writes_is_told_in_figures_and_quoted_only_to_the_owner(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path
) -> None:
    bundle = _fit(tiny_folder, tmp_path, settings=WRITING, rate=_words)
    # It is the same adapter as without.
    assert bundle.digest == fitted.digest
    written = bundle.manifest["written"]
    assert written["reports"] == written["scores"]["all"]["reports"] == 3
    assert written["scores"]["all"]["reference"] == pytest.approx(
        sum(len(report.impression.split()) for report in VALIDATION) / 3, abs=1e-3
    )
    rows = _record(tmp_path, bundle)
    steps = bundle.manifest["steps"]["made"]
    assert [row["step"] for row in rows if "written" in row] == [*range(3, steps, 3), steps]
    assert rows[-2]["written"] == written
    samples = tmp_path / "runs" / f"{UNIFIED}-{bundle.digest[:16]}" / "samples.jsonl"
    assert stat.S_IMODE(samples.stat().st_mode) == 0o600
    assert len(samples.read_text("utf-8").splitlines()) == 3
    texts = "".join(path.read_text("utf-8") for path in samples.parent.iterdir() if path != samples)
    texts += (bundle.path / "manifest.json").read_text("utf-8")
    assert all(report.impression in samples.read_text("utf-8") for report in VALIDATION)
    assert not any(report.impression in texts for report in VALIDATION)


def test_a_fit_that_was_broken_off_has_written_what_a_whole_one_has(tiny_folder: Path, tmp_path: Path) -> None:
    settings = WRITING.model_copy(update={"written_steps": 2})
    whole = _fit(tiny_folder, tmp_path / "whole", settings=settings, rate=_words)
    with pytest.raises(_BrokenError):
        _fit(tiny_folder, tmp_path / "broken", settings=settings, rate=_words, track=_broken_at(3))
    again = _fit(tiny_folder, tmp_path / "broken", settings=settings, rate=_words)

    def scores(into: Path, bundle: AdapterBundle) -> list[Any]:
        return [(row["step"], row["written"]["scores"]) for row in _record(into, bundle) if "written" in row]

    assert again.digest == whole.digest
    assert len(scores(tmp_path / "whole", whole)) > 2
    assert scores(tmp_path / "broken", again) == scores(tmp_path / "whole", whole)


def test_seconds_that_were_lost_with_an_attempt_are_paid_all_the_same(tiny_folder: Path, tmp_path: Path) -> None:
    work = _broken(tiny_folder, tmp_path, 3, PRICED)
    with (work / "spent.jsonl").open("a", encoding="utf-8") as lines:
        # As a long attempt would leave that was killed before its first checkpoint.
        lines.write('{"seconds": 1000.0, "dollars": 500.0}\n')
    again = _fit(tiny_folder, tmp_path, settings=PRICED)
    assert 1000 < again.manifest["seconds"] < 1500
    assert again.manifest["cost_usd"] == pytest.approx(again.manifest["seconds"] - 500, abs=0.1)
    assert _record(tmp_path, again)[-2]["seconds"] > 1000


def test_a_budget_that_lost_attempts_have_spent_is_spent(tiny_folder: Path, tmp_path: Path) -> None:
    work = _broken(tiny_folder, tmp_path, 3, PRICED)
    with (work / "spent.jsonl").open("a", encoding="utf-8") as lines:
        lines.write('{"seconds": 1000.0, "dollars": 500.0}\n')
    again = _fit(tiny_folder, tmp_path, settings=PRICED, budget_usd=500.0)
    assert (again.manifest["stopped"], again.manifest["steps"]["made"]) == ("budget", 2)


def test_a_record_that_a_kill_kept_from_its_bundle_is_put_there_by_the_next(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "_put_away", killed)
        with pytest.raises(KeyboardInterrupt):
            _fit(tiny_folder, tmp_path)
    _refuse_training(monkeypatch)
    bundle = _fit(tiny_folder, tmp_path)
    assert [row["step"] for row in _record(tmp_path, bundle)] == [row["step"] for row in fitted.manifest["history"][1:]]
    assert not list(tmp_path.glob(".fit-*"))


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


class _BrokenError(Exception):
    """What breaks a fit off in a test."""


def _broken_at(step: int) -> Any:
    def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
        del label, total
        for item in items:
            if item == step:
                raise _BrokenError
            yield item

    return track


def _broken(folder: Path, into: Path, step: int, settings: FitSettings = SETTINGS) -> Path:
    """Breaks a fit off before a step (the first is 0), and gives its folder of work."""
    with pytest.raises(_BrokenError):
        _fit(folder, into, settings=settings, track=_broken_at(step))
    (work,) = into.glob(".fit-*")
    return work


@pytest.mark.parametrize("step", [2, 3, 5])
def test_a_fit_that_was_broken_off_gives_the_same_weights(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path, step: int
) -> None:
    work = _broken(tiny_folder, tmp_path, step)
    assert (work / CHECKPOINT).is_file()
    seen: list[int] = []

    def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
        del label
        seen.append(total)
        yield from items

    again = _fit(tiny_folder, tmp_path, track=track)
    # It went on; it did not begin anew.
    assert seen == [again.manifest["steps"]["planned"] - step // 2 * 2]
    assert again.digest == fitted.digest
    assert again.manifest["history"] == fitted.manifest["history"]
    assert [row["step"] for row in _record(tmp_path, again)] == [row["step"] for row in fitted.manifest["history"][1:]]
    assert not work.exists()


def test_a_disk_that_is_full_loses_no_checkpoint(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _broken(tiny_folder, tmp_path, 3)

    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path), len(data))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_atomic", full)
        with pytest.raises(ConfigError, match=r"step 4 can be written \(No space left on device\)"):
            _fit(tiny_folder, tmp_path)
    assert _fit(tiny_folder, tmp_path).digest == fitted.digest


def test_a_damaged_checkpoint_is_told(tiny_folder: Path, tmp_path: Path) -> None:
    path = _broken(tiny_folder, tmp_path, 3) / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamageError, match="remove its folder"):
        _fit(tiny_folder, tmp_path)


def test_two_fits_do_not_share_a_folder(tiny_folder: Path, tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(ConflictError, match="another process fits"):
        _fit(tiny_folder, tmp_path)
    assert _fit(tiny_folder, tmp_path, reports=REPORTS[:2]).name == UNIFIED


def test_a_budget_ends_a_fit_with_a_usable_adapter_and_a_larger_one_goes_on(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path
) -> None:
    short = _fit(tiny_folder, tmp_path, settings=PRICED, budget_usd=1e-6)
    short.verify(base_digest(TINY, tiny_folder))
    assert (short.manifest["stopped"], short.manifest["steps"]["made"]) == ("budget", 1)
    assert short.manifest["cost_usd"] == pytest.approx(short.manifest["seconds"], abs=0.1)
    whole = _fit(tiny_folder, tmp_path, settings=PRICED, budget_usd=1e6)
    assert whole.manifest["stopped"] is None
    assert whole.digest == fitted.digest


def test_a_fit_that_keeps_within_its_budget_is_whole(tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path) -> None:
    assert _fit(tiny_folder, tmp_path, settings=PRICED, budget_usd=1e6).digest == fitted.digest


def test_a_budget_without_a_price_is_refused() -> None:
    with pytest.raises(ValueError, match="no budget without a price"):
        FitSettings(budget_usd=1)


def test_a_fit_on_a_base_in_four_bits_learns_and_is_plain_lora(tiny_folder: Path, tmp_path: Path) -> None:
    bundle = _fit(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"quantisation": "nf4"}))
    bundle.verify(base_digest(TINY, tiny_folder))
    first, *_, last = bundle.manifest["history"]
    assert last["validation"] < first["validation"]
    assert all(values.dtype == torch.float32 for values in bundle.weights().values())


def test_four_bits_are_another_base_than_the_whole_one(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path
) -> None:
    nf4 = _fit(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"quantisation": "nf4"}))
    assert nf4.manifest["history"][0] != fitted.manifest["history"][0]


def test_a_fit_in_four_bits_that_was_broken_off_gives_the_same_weights(tiny_folder: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"quantisation": "nf4"})
    whole = _fit(tiny_folder, tmp_path / "whole", settings=settings)
    with pytest.raises(_BrokenError):
        _fit(tiny_folder, tmp_path / "broken", settings=settings, track=_broken_at(3))
    assert _fit(tiny_folder, tmp_path / "broken", settings=settings).digest == whole.digest


def test_scaling_by_the_root_of_the_rank_is_what_the_bundle_says(tiny_folder: Path, tmp_path: Path) -> None:
    bundle = _fit(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"rslora": True}))
    assert bundle.read(base_digest(TINY, tiny_folder)).scale == pytest.approx(4 / 2**0.5)


def test_lora_plus_moves_the_second_matrices_further(tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path) -> None:
    plus = _fit(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"lora_plus": 16.0}))

    def size(bundle: AdapterBundle) -> float:
        return sum(float(value.norm()) for name, value in bundle.weights().items() if "lora_B" in name)

    assert size(plus) > 2 * size(fitted)


# Far too fast a rate, so that the validation loss turns soon.
HASTY = SETTINGS.model_copy(update={"learning_rate": 0.3, "validation_steps": 1, "patience": 2, "warmup": 0.0})


def test_a_fit_without_gain_ends_early_with_the_best_weights(tiny_folder: Path, tmp_path: Path) -> None:
    bundle = _fit(tiny_folder, tmp_path, settings=HASTY)
    history, steps = bundle.manifest["history"], bundle.manifest["steps"]
    found = [row["validation"] for row in history[1:-1] if "validation" in row]
    assert bundle.manifest["stopped"] == "early"
    assert steps["made"] < steps["planned"]
    assert len(found) == steps["made"] == found.index(min(found)) + 3
    assert history[-1]["validation"] == min(found)
    start = _fit(
        tiny_folder,
        tmp_path,
        name="cluster-best",
        settings=SETTINGS.model_copy(update={"learning_rate": 1e-12}),
        start=bundle,
    )
    assert start.manifest["history"][0]["validation"] == pytest.approx(min(found), abs=1e-3)


def test_a_fit_that_would_end_early_is_the_same_when_broken_off(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = HASTY.model_copy(update={"checkpoint_steps": 1})
    whole = _fit(tiny_folder, tmp_path / "whole", settings=settings)
    with pytest.raises(_BrokenError):
        _fit(tiny_folder, tmp_path / "broken", settings=settings, track=_broken_at(2))
    again = _fit(tiny_folder, tmp_path / "broken", settings=settings)
    assert (again.digest, again.manifest["history"]) == (whole.digest, whole.manifest["history"])
    _refuse_training(monkeypatch)
    assert _fit(tiny_folder, tmp_path / "whole", settings=settings) == whole


def test_patience_without_validations_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to be patient about"):
        FitSettings(patience=2)
