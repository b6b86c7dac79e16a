from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from radimpress.reports.synthetic import synthesize
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.record import OPEN, RECORD, counted, last_speed, run_folder, runs, work_folder
from radimpress.trainer.settings import FitSettings
from radimpress.trainer.spent import SPENT
from tests.conftest import TINY
from tests.trainer.fits import fit_tiny

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

SETTINGS = FitSettings(rank=2, batch=1, accumulation=1, max_tokens=600, price_per_hour=3600.0)
REPORTS = tuple(synthesize(4, 0, 0.0))
VALIDATION = list(synthesize(2, 1, 0.0))


def _fit(folder: Path, into: Path, name: str = "planned", budget_usd: float = 0.0) -> AdapterBundle:
    return fit_tiny(
        folder, into, name=name, reports=REPORTS, validation=VALIDATION, settings=SETTINGS, budget_usd=budget_usd
    )


def test_a_run_tells_how_its_fit_went(tiny_folder: Path, tmp_path: Path) -> None:
    bundle = _fit(tiny_folder, tmp_path)
    (run,) = runs(tmp_path)
    assert run.bundle == bundle
    assert run.label == f"planned {bundle.digest[:8]}"
    assert run.made == bundle.manifest["steps"]["made"] == len(run.series("loss"))
    assert (run.stopped, run.written, run.spent.attempts) == (None, None, 1)
    assert run.last("validation") == bundle.manifest["history"][-1]["validation"]
    assert (run.last("nothing"), run.series("nothing")) == (None, [])
    assert run.spent.dollars == pytest.approx(run.spent.seconds, abs=0.1)


def test_a_fit_that_its_budget_ended_and_its_sequel_are_paid_once(tiny_folder: Path, tmp_path: Path) -> None:
    short = _fit(tiny_folder, tmp_path, budget_usd=1e-6)
    assert [run.stopped for run in runs(tmp_path)] == ["budget"]
    whole = _fit(tiny_folder, tmp_path)
    found = runs(tmp_path)
    assert [run.bundle for run in found] == [short, whole]
    assert [run.bundle for run in counted(found)] == [whole]
    # At a dollar a second; the seconds themselves are kept to a tenth, and a tiny fit takes less.
    assert found[1].spent.dollars > found[0].spent.dollars > 0
    assert found[1].spent.attempts == 2


def test_a_fit_that_was_broken_off_is_told_with_what_it_took(tiny_folder: Path, tmp_path: Path) -> None:
    work = work_folder(tmp_path, "cluster-a", "0" * 64)
    work.mkdir()
    (work / SPENT).write_text(
        '{"begun": true, "seconds": 0, "dollars": 0}\n{"seconds": 5, "dollars": 2}\n{"sec', "utf-8"
    )
    (work / RECORD).write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "lo', "utf-8")
    (run,) = runs(tmp_path)
    assert (run.adapter, run.bundle, run.stopped, run.label) == ("cluster-a", None, OPEN, "cluster-a open 00000000")
    assert (run.spent.seconds, run.spent.dollars, run.made, run.last("loss")) == (5, 2, 1, 2.5)
    assert counted([run]) == [run]


def test_the_last_run_on_the_same_base_tells_the_speed(tiny_folder: Path, tmp_path: Path) -> None:
    assert last_speed(tmp_path, TINY.name, None) is None
    speeds = {}
    for at, name in enumerate(("first", "second")):
        bundle = _fit(tiny_folder, tmp_path, name)
        record = run_folder(tmp_path, bundle) / RECORD
        record.write_text(json.dumps({"step": 1, "tokens_per_second": 10.0 * (at + 1)}) + "\n", "utf-8")
        os.utime(record, (at + 1, at + 1))
        speeds[name] = last_speed(tmp_path, TINY.name, None)
    assert speeds == {"first": 10.0, "second": 20.0}
    assert [run.adapter for run in runs(tmp_path)] == ["first", "second"]
    assert last_speed(tmp_path, "another", None) is None
    assert last_speed(tmp_path, TINY.name, "nf4") is None
