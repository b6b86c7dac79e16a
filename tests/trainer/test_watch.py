from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from radimpress.reports.errors import ConfigError
from radimpress.trainer import watch
from radimpress.trainer.record import Run, runs
from radimpress.trainer.settings import FitSettings
from radimpress.trainer.watch import EXPERIMENT, check_watchers, figures, tell_watchers
from tests.trainer.run_folders import leave_run

# MLflow asks SQLAlchemy for what is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    leave_run(tmp_path, "unified", 2)
    return runs(tmp_path)[0]


def test_figures_are_those_of_the_record(run: Run) -> None:
    told = {(name, step): value for name, step, value, _ in figures(run)}
    assert len(told) == len(list(figures(run)))
    assert [told["train/loss", step] for step in range(1, 41)] == [value for _, value in run.series("loss")]
    assert told["validation/loss", 0] == 3.1
    assert told["rougeL/MR", 40] == 0.5
    assert {name for name, _ in told} == {
        *(f"train/{name}" for name in ("loss", "learning_rate", "gradient_norm", "tokens_per_second")),
        *("train/step_seconds", "train/memory_bytes", "train/seconds", "validation/loss"),
        *(
            f"{score}/{where}"
            for score in ("rouge1", "rouge2", "rougeL", "reports")
            for where in ("all", "CT", "MR", "XR")
        ),
    }


def test_tensorboard_reads_every_point_once(run: Run) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = FitSettings(tensorboard=True)
    check_watchers(settings)
    tell_watchers(run, settings)
    tell_watchers(run, settings)
    assert len(list(run.folder.glob("events.out.tfevents.*"))) == 1
    assert not list(run.folder.glob(".events-*"))
    events = EventAccumulator(str(run.folder))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert losses == [(step, pytest.approx(value)) for step, value in run.series("loss")]
    assert [event.step for event in events.Scalars("validation/loss")] == [0, 40]
    walls = [event.wall_time for event in events.Scalars("train/loss")]
    assert walls[-1] - walls[0] == pytest.approx(780, abs=1)


def test_mlflow_has_a_run_once_and_whole(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    # MLflow names a folder of artifacts beside the work.
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    settings = FitSettings(mlflow=uri)
    check_watchers(settings)
    tell_watchers(run, settings)
    client = MlflowClient(tracking_uri=uri)
    (experiment,) = [one for one in client.search_experiments() if one.name == EXPERIMENT]

    def told() -> list[Any]:
        return list(client.search_runs([experiment.experiment_id]))

    (first,) = told()
    assert first.data.tags["radimpress.digest"] == "02" * 32
    assert first.data.params["price_per_hour"] == "0.5"
    assert (first.data.metrics["seconds"], first.data.metrics["rougeL/all"]) == (800.0, 0.5)
    history = client.get_metric_history(first.info.run_id, "train/loss")
    assert [(one.step, one.value) for one in history] == run.series("loss")
    tell_watchers(run, settings)
    assert [one.info.run_id for one in told()] == [first.info.run_id]
    # As a kill leaves it that came between.
    client.update_run(first.info.run_id, status="RUNNING")
    tell_watchers(run, settings)
    (again,) = told()
    assert again.info.run_id != first.info.run_id
    assert again.info.status == "FINISHED"


@pytest.mark.parametrize(
    ("settings", "modules"),
    [
        (FitSettings(tensorboard=True), ("torch.utils.tensorboard",)),
        (FitSettings(mlflow="sqlite:///x.db"), ("mlflow",)),
    ],
)
def test_what_is_not_installed_is_told_before_a_fit_begins(
    settings: FitSettings, modules: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"is not installed; pip install 'radimpress\[watch\]'"):
        check_watchers(settings)


def test_a_server_that_does_not_answer_is_told_without_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    class Down:
        def get_experiment_by_name(self, name: str) -> None:
            raise ConnectionError("https://me:secret@host is down")

    monkeypatch.setattr(watch, "_client", lambda uri: Down())
    with pytest.raises(ConfigError, match="does not take runs") as told:
        check_watchers(FitSettings(mlflow="https://me:secret@host"))
    assert "secret" not in str(told.value)


def test_nothing_is_asked_where_nothing_is_to_be_told(run: Run) -> None:
    before = sorted(run.folder.iterdir())
    check_watchers(FitSettings())
    tell_watchers(run, FitSettings())
    assert sorted(run.folder.iterdir()) == before
