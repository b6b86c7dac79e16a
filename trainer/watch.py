"""Runs where people look at theirs: event files for TensorBoard, and an MLflow server; both are made of the record.

A run is told when its bundle is written, once: what is there is left as it is, and a fit that was killed in between
is told by the next that finds its bundle. Figures and settings are told, never a report's id or text.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radimpress.reports.errors import ConfigError
from radimpress.trainer.record import Run
from radimpress.trainer.settings import FitSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "radimpress"
_EVENTS = "events.out.tfevents."
_TAG = "radimpress.digest"
# What MLflow takes at once.
_BATCH = 1000


def check_watchers(settings: FitSettings) -> None:
    """Looks before hours are spent whether what a run is to be told to is there.

    Raises:
        ConfigError: TensorBoard or MLflow is not installed, or MLflow does not answer.
    """
    if settings.tensorboard:
        _writer()
    if settings.mlflow:
        client = _client(settings.mlflow)
        with _asking():
            client.get_experiment_by_name(EXPERIMENT)


def tell_watchers(run: Run, settings: FitSettings) -> None:
    """Tells a run that has a bundle to what the settings name.

    Raises:
        ConfigError: MLflow does not answer; the bundle is whole, and the same command tells it then.
    """
    if settings.tensorboard and not list(run.folder.glob(f"{_EVENTS}*")):
        _write_events(run)
    if settings.mlflow:
        _tell_mlflow(run, settings.mlflow)


def figures(run: Run) -> Iterator[tuple[str, int, float, float]]:
    """Every figure of a run: its name, the step, the value, and the seconds after the fit's beginning."""
    seconds = 0.0
    for row in run.rows:
        seconds = row.get("seconds", seconds)
        for name, value in row.items():
            if name == "written":
                for modality, scores in value["scores"].items():
                    yield from ((f"{score}/{modality}", row["step"], one, seconds) for score, one in scores.items())
            elif name not in ("step", "validation"):
                yield f"train/{name}", row["step"], value, seconds
    yield from (("validation/loss", step, value, seconds) for step, value in run.validations)


def _write_events(run: Run) -> None:
    writer, side = _writer(), Path(tempfile.mkdtemp(dir=run.folder, prefix=".events-"))
    ended = run.folder.joinpath("record.jsonl").stat().st_mtime
    try:
        with writer(log_dir=str(side)) as events:
            for name, step, value, seconds in figures(run):
                events.add_scalar(name, value, step, walltime=ended - run.spent.seconds + seconds)
        for path in side.iterdir():
            path.replace(run.folder / path.name)
    finally:
        shutil.rmtree(side, ignore_errors=True)


def _tell_mlflow(run: Run, uri: str) -> None:
    from mlflow.entities import Metric, Param

    assert run.bundle is not None
    client, bundle = _client(uri), run.bundle
    with _asking():
        known = client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known else client.create_experiment(EXPERIMENT)
        for told in client.search_runs([experiment], f"tags.`{_TAG}` = '{bundle.digest}'"):
            if told.info.status == "FINISHED":
                return
            # Somebody was killed while it was told.
            client.delete_run(told.info.run_id)
        tags = {_TAG: bundle.digest, "radimpress.base": bundle.base_name, "radimpress.stopped": str(run.stopped or "")}
        made = client.create_run(experiment, tags=tags, run_name=run.label).info.run_id
        settings = {**bundle.manifest["settings"], "reports": bundle.manifest["data"]["reports"]}
        client.log_batch(made, params=[Param(name, str(value)) for name, value in settings.items()])
        ended = int(run.folder.joinpath("record.jsonl").stat().st_mtime * 1000)
        begun = ended - int(run.spent.seconds * 1000)
        metrics = (Metric(name, value, begun + int(at * 1000), step) for name, step, value, at in figures(run))
        while batch := list(islice(metrics, _BATCH)):
            client.log_batch(made, metrics=batch)
        sums = {"seconds": run.spent.seconds, "cost_usd": run.spent.dollars}
        client.log_batch(made, metrics=[Metric(name, value, ended, run.made) for name, value in sums.items()])
        client.set_terminated(made, end_time=ended)


def _writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise _missing("tensorboard", "TensorBoard") from None
    return SummaryWriter


def _client(uri: str) -> MlflowClient:
    # What a hospital trains is nobody else's business.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise _missing("mlflow", "MLflow") from None
    with _asking():
        return MlflowClient(tracking_uri=uri)


@contextmanager
def _asking() -> Iterator[None]:
    """Where MLflow's errors become ours, which name no address: it may hold a password."""
    try:
        yield
    except Exception as error:
        raise ConfigError(f"mlflow: the server does not take runs ({type(error).__name__})") from None


def _missing(setting: str, what: str) -> ConfigError:
    return ConfigError(f"{setting}: {what} is not installed; pip install 'radimpress[watch]'")
