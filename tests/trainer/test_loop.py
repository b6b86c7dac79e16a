from __future__ import annotations

import errno
import math
import os
import resource
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from radimpress.reports.errors import ConfigError, DamageError
from radimpress.trainer import checkpoint, loop, spent
from radimpress.trainer import fit as fitting
from radimpress.trainer.bases import base_digest
from radimpress.trainer.bundle import AdapterBundle, side_folder
from radimpress.trainer.checkpoint import CHECKPOINT
from radimpress.trainer.fit import fit
from radimpress.trainer.plan import UNIFIED, PlannedAdapter
from radimpress.trainer.record import runs
from radimpress.trainer.settings import FitSettings
from tests.conftest import TINY
from tests.trainer.fits import (
    PRICED,
    REPORTS,
    SETTINGS,
    VALIDATION,
    BrokenError,
    T,
    broken,
    broken_at,
    fit_tiny,
    fitted,
    home,
    record_of,
    refuse_training,
)

__all__ = ["fitted", "home"]

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


def test_the_history_has_every_step_between_two_validations_and_is_finite(fitted: AdapterBundle) -> None:
    first, *steps, last = fitted.manifest["history"]
    assert [row["step"] for row in steps] == list(range(1, len(steps) + 1))
    assert (first["step"], last["step"]) == (0, len(steps))
    assert fitted.manifest["steps"] == {"made": len(steps), "planned": len(steps)}
    assert len(steps) > 4
    assert all(math.isfinite(value) for row in (first, *steps, last) for value in row.values())
    assert last["validation"] < first["validation"]


def test_a_loss_that_is_not_finite_is_told_and_leaves_no_bundle(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lower learning_rate.* these reports: syn-0000\d\d"):
        fit_tiny(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"learning_rate": 1e30}))
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


def test_the_run_record_stays_beside_the_bundle(fitted: AdapterBundle, home: Path) -> None:
    *steps, last = record_of(home, fitted)
    history = fitted.manifest["history"]
    assert [round(row["loss"], 4) for row in steps] == [row["loss"] for row in history[1:-1]]
    assert last == history[-1]
    assert all(row["gradient_norm"] > 0 and row["tokens_per_second"] > 0 and row["memory_bytes"] > 0 for row in steps)
    rates = [row["learning_rate"] for row in steps]
    assert rates[0] == SETTINGS.learning_rate
    assert rates == sorted(rates, reverse=True)


def _words(impression: str, reference: str) -> dict[str, float]:
    return {"words": float(len(impression.split())), "reference": float(len(reference.split()))}


WRITING = SETTINGS.model_copy(update={"validation_written": 3, "written_steps": 3})


def test_what_the_model_writes_is_told_in_figures_and_quoted_only_to_the_owner(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path
) -> None:
    bundle = fit_tiny(tiny_folder, tmp_path, settings=WRITING, rate=_words)
    # It is the same adapter as without.
    assert bundle.digest == fitted.digest
    written = bundle.manifest["written"]
    assert written["reports"] == written["scores"]["all"]["reports"] == 3
    assert written["scores"]["all"]["reference"] == pytest.approx(
        sum(len(report.impression.split()) for report in VALIDATION) / 3, abs=1e-3
    )
    rows = record_of(tmp_path, bundle)
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
    whole = fit_tiny(tiny_folder, tmp_path / "whole", settings=settings, rate=_words)
    with pytest.raises(BrokenError):
        fit_tiny(tiny_folder, tmp_path / "broken", settings=settings, rate=_words, track=broken_at(3))
    again = fit_tiny(tiny_folder, tmp_path / "broken", settings=settings, rate=_words)

    def scores(into: Path, bundle: AdapterBundle) -> list[Any]:
        return [(row["step"], row["written"]["scores"]) for row in record_of(into, bundle) if "written" in row]

    assert again.digest == whole.digest
    assert len(scores(tmp_path / "whole", whole)) > 2
    assert scores(tmp_path / "broken", again) == scores(tmp_path / "whole", whole)


def test_seconds_that_were_lost_with_an_attempt_are_paid_all_the_same(tiny_folder: Path, tmp_path: Path) -> None:
    work = broken(tiny_folder, tmp_path, 3, PRICED)
    with (work / "spent.jsonl").open("a", encoding="utf-8") as lines:
        # As a long attempt would leave that was killed before its first checkpoint.
        lines.write('{"seconds": 1000.0, "dollars": 500.0}\n')
    again = fit_tiny(tiny_folder, tmp_path, settings=PRICED)
    assert 1000 < again.manifest["seconds"] < 1500
    assert again.manifest["cost_usd"] == pytest.approx(again.manifest["seconds"] - 500, abs=0.1)
    assert record_of(tmp_path, again)[-2]["seconds"] > 1000


def test_an_attempt_that_was_interrupted_before_any_checkpoint_is_paid_too(tiny_folder: Path, tmp_path: Path) -> None:
    def interrupted(items: Iterable[T], label: str, total: int) -> Iterator[T]:
        del label, total
        for item in items:
            if item == 1:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        fit_tiny(tiny_folder, tmp_path, track=interrupted)
    (left,) = runs(tmp_path)
    assert (left.stopped, left.made) == ("open", 1)
    fit_tiny(tiny_folder, tmp_path)
    (whole,) = runs(tmp_path)
    assert whole.spent.attempts == 2
    assert whole.spent.seconds >= round(left.spent.seconds, 1)


def test_a_budget_that_lost_attempts_have_spent_is_spent(tiny_folder: Path, tmp_path: Path) -> None:
    work = broken(tiny_folder, tmp_path, 3, PRICED)
    with (work / "spent.jsonl").open("a", encoding="utf-8") as lines:
        lines.write('{"seconds": 1000.0, "dollars": 500.0}\n')
    again = fit_tiny(tiny_folder, tmp_path, settings=PRICED, budget_usd=500.0)
    assert (again.manifest["stopped"], again.manifest["steps"]["made"]) == ("budget", 2)


def test_a_record_that_a_kill_kept_from_its_bundle_is_put_there_by_the_next(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "_keep_record", killed)
        with pytest.raises(KeyboardInterrupt):
            fit_tiny(tiny_folder, tmp_path)
    refuse_training(monkeypatch)
    bundle = fit_tiny(tiny_folder, tmp_path)
    assert [row["step"] for row in record_of(tmp_path, bundle)] == [
        row["step"] for row in fitted.manifest["history"][1:]
    ]
    assert not list(tmp_path.glob(".fit-*"))


@pytest.mark.parametrize("step", [2, 3, 5])
def test_a_fit_that_was_broken_off_gives_the_same_weights(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path, step: int
) -> None:
    work = broken(tiny_folder, tmp_path, step)
    assert (work / CHECKPOINT).is_file()
    seen: list[int] = []

    def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
        del label
        seen.append(total)
        yield from items

    again = fit_tiny(tiny_folder, tmp_path, track=track)
    # It went on; it did not begin anew.
    assert seen == [again.manifest["steps"]["planned"] - step // 2 * 2]
    assert again.digest == fitted.digest
    assert again.manifest["history"] == fitted.manifest["history"]
    assert [row["step"] for row in record_of(tmp_path, again)] == [
        row["step"] for row in fitted.manifest["history"][1:]
    ]
    assert not work.exists()


def test_a_disk_that_is_full_loses_no_checkpoint(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(tiny_folder, tmp_path, 3)

    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path), len(data))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_atomic", full)
        with pytest.raises(ConfigError, match=r"step 4 can be written \(No space left on device\)"):
            fit_tiny(tiny_folder, tmp_path)
    assert fit_tiny(tiny_folder, tmp_path).digest == fitted.digest


def test_a_disk_that_is_full_at_the_end_is_told_and_the_fit_goes_on_later(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(into: Path) -> Path:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        return side_folder(into)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "side_folder", full)
        try:
            with pytest.raises(ConfigError, match=r"the bundle of unified cannot be written .*too large"):
                fit_tiny(tiny_folder, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name[:5] for path in tmp_path.iterdir()] == [".fit-"]
    assert fit_tiny(tiny_folder, tmp_path).digest == fitted.digest


def test_a_damaged_checkpoint_is_told(tiny_folder: Path, tmp_path: Path) -> None:
    path = broken(tiny_folder, tmp_path, 3) / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamageError, match="remove its folder"):
        fit_tiny(tiny_folder, tmp_path)


def test_a_budget_ends_a_fit_with_a_usable_adapter_and_a_larger_one_goes_on(
    tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path
) -> None:
    short = fit_tiny(tiny_folder, tmp_path, settings=PRICED, budget_usd=1e-6)
    short.verify(base_digest(TINY, tiny_folder))
    assert (short.manifest["stopped"], short.manifest["steps"]["made"]) == ("budget", 1)
    assert short.manifest["cost_usd"] == pytest.approx(short.manifest["seconds"], abs=0.1)
    whole = fit_tiny(tiny_folder, tmp_path, settings=PRICED, budget_usd=1e6)
    assert whole.manifest["stopped"] is None
    assert whole.digest == fitted.digest


class Clock:
    """Stands still until it is told how long something took."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def taking(self, seconds: float, work: Callable[..., T]) -> Callable[..., T]:
        def done(*given: Any) -> T:
            self.now += seconds
            return work(*given)

        return done


def test_a_budget_pays_for_validations_between_too(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    for module in (loop, spent):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(loop, "_validate", clock.taking(10, loop._validate))
    monkeypatch.setattr(loop, "_step", clock.taking(1, loop._step))
    settings = PRICED.model_copy(update={"validation_steps": 1})
    bundle = fit_tiny(tiny_folder, tmp_path, settings=settings, budget_usd=45.0)
    # 10 before, 11 for each of two steps with their validations, 10 at the end; a third would make it 53.
    assert (bundle.manifest["stopped"], bundle.manifest["steps"]["made"]) == ("budget", 2)
    assert bundle.manifest["cost_usd"] == 42.0


def test_a_budget_that_ends_in_the_warm_up_leaves_an_adapter_that_learnt(tiny_folder: Path, tmp_path: Path) -> None:
    settings = PRICED.model_copy(update={"epochs": 5.0})
    short = fit_tiny(tiny_folder, tmp_path, settings=settings, budget_usd=1e-6)
    assert short.manifest["steps"]["planned"] >= 20
    assert (short.manifest["stopped"], short.manifest["steps"]["made"]) == ("budget", 2)
    short.verify(base_digest(TINY, tiny_folder))


def test_a_fit_that_keeps_within_its_budget_is_whole(tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path) -> None:
    assert fit_tiny(tiny_folder, tmp_path, settings=PRICED, budget_usd=1e6).digest == fitted.digest


def test_a_budget_without_a_price_is_refused() -> None:
    with pytest.raises(ValueError, match="no budget without a price"):
        FitSettings(budget_usd=1)


def test_a_fit_in_four_bits_that_was_broken_off_gives_the_same_weights(tiny_folder: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"quantisation": "nf4"})
    whole = fit_tiny(tiny_folder, tmp_path / "whole", settings=settings)
    with pytest.raises(BrokenError):
        fit_tiny(tiny_folder, tmp_path / "broken", settings=settings, track=broken_at(3))
    assert fit_tiny(tiny_folder, tmp_path / "broken", settings=settings).digest == whole.digest


def test_lora_plus_moves_the_second_matrices_further(tiny_folder: Path, fitted: AdapterBundle, tmp_path: Path) -> None:
    plus = fit_tiny(tiny_folder, tmp_path, settings=SETTINGS.model_copy(update={"lora_plus": 16.0}))

    def size(bundle: AdapterBundle) -> float:
        return sum(float(value.norm()) for name, value in bundle.weights().items() if "lora_B" in name)

    assert size(plus) > 2 * size(fitted)


# Far too fast a rate, so that the validation loss turns soon.
HASTY = SETTINGS.model_copy(update={"learning_rate": 0.3, "validation_steps": 1, "patience": 2, "warmup": 0.0})


def test_a_fit_without_gain_ends_early_with_the_best_weights(tiny_folder: Path, tmp_path: Path) -> None:
    bundle = fit_tiny(tiny_folder, tmp_path, settings=HASTY)
    history, steps = bundle.manifest["history"], bundle.manifest["steps"]
    found = [row["validation"] for row in history[1:-1] if "validation" in row]
    assert bundle.manifest["stopped"] == "early"
    assert steps["made"] < steps["planned"]
    assert len(found) == steps["made"] == found.index(min(found)) + 3
    assert history[-1]["validation"] == min(found)
    start = fit_tiny(
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
    whole = fit_tiny(tiny_folder, tmp_path / "whole", settings=settings)
    with pytest.raises(BrokenError):
        fit_tiny(tiny_folder, tmp_path / "broken", settings=settings, track=broken_at(2))
    again = fit_tiny(tiny_folder, tmp_path / "broken", settings=settings)
    assert (again.digest, again.manifest["history"]) == (whole.digest, whole.manifest["history"])
    refuse_training(monkeypatch)
    assert fit_tiny(tiny_folder, tmp_path / "whole", settings=settings) == whole


def test_patience_without_validations_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to be patient about"):
        FitSettings(patience=2)
