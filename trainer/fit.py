"""Fits one LoRA adapter (Hu et al. 2021) with peft, and writes its bundle."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from safetensors import SafetensorError

from radimpress.reports.errors import BundleError, ConfigError, InputError, NotFoundError
from radimpress.reports.files import digest_of, read_json, write_json, write_rows
from radimpress.reports.progress import Track, silent
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Report
from radimpress.trainer.bases import BaseModel, base_digest
from radimpress.trainer.bundle import CONFIG, AdapterBundle, check_targets, open_bundle, side_folder, write_bundle
from radimpress.trainer.checkpoint import CHECKPOINT, alone
from radimpress.trainer.examples import encode
from radimpress.trainer.load import LoadedBase, load_base
from radimpress.trainer.loop import BUDGET, run_loop
from radimpress.trainer.pack import pack
from radimpress.trainer.plan import PlannedAdapter
from radimpress.trainer.record import RECORD, SAMPLES, run_folder, run_of, work_folder
from radimpress.trainer.settings import FitSettings
from radimpress.trainer.spent import SPENT, read_lines
from radimpress.trainer.together import Team, open_team
from radimpress.trainer.watch import check_watchers, tell_watchers
from radimpress.trainer.write_up import Rate, choose, write_up


def fit(
    planned: PlannedAdapter,
    validation: Sequence[Report],
    *,
    base: BaseModel,
    base_folder: Path,
    settings: FitSettings,
    start: AdapterBundle | None,
    clusters_digest: str,
    into: Path,
    budget_usd: float = 0.0,
    track: Track = silent,
    rate: Rate | None = None,
) -> AdapterBundle:
    """Fits one planned adapter and writes it as a bundle under `into`.

    `start` is the bundle of `planned.start_from`. A bundle that was fitted before from the same inputs
    is taken as it is, and a fit that was broken off goes on from its last checkpoint. Beside the bundle, in
    runs/<name>-<digest>, stays the run record. `budget_usd` ends a fit in time, with the adapter as far as it
    came; the manifest says so, and a larger budget goes on from there. `rate` scores what the model writes for
    validation reports beside what radiologists wrote; without it nothing is written.

    Raises:
        InputError: no report is short enough to learn from.
        ConfigError: the loss was not finite, checkpoint or bundle cannot be written, or it is of another number of
            processes.
        ConflictError: another process fits into the same folder.
        DamageError: the checkpoint is not what was written.
    """
    key = _key(planned, validation, base_digest(base, base_folder), settings, start, clusters_digest)
    check_watchers(settings)
    team = open_team()
    # Who fits along may: the first of the team holds the folder for all.
    with alone(into) if team.first else nullcontext():
        work = work_folder(into, planned.name, key)
        known = team.told(_fitted(into / planned.name, key) if team.first else None)
        if known is not None:
            if team.first:
                # Whoever was killed once the bundle was written left its record behind.
                if not (run_folder(into, known) / RECORD).is_file():
                    _keep_record(known, into, work)
                shutil.rmtree(work, ignore_errors=True)
                _tell(known, into, settings)
            return known
        torch.manual_seed(settings.seed)
        loaded = load_base(base, base_folder, settings.quantisation)
        # Quantised weights are placed by their library.
        if not getattr(loaded.model, "is_quantized", False):
            torch.nn.Module.to(loaded.model, team.device)
        return _fit(
            planned,
            validation,
            loaded,
            settings,
            start,
            clusters_digest,
            into,
            budget_usd,
            track,
            rate,
            key,
            work,
            team,
        )


def _fit(
    planned: PlannedAdapter,
    validation: Sequence[Report],
    loaded: LoadedBase,
    settings: FitSettings,
    start: AdapterBundle | None,
    clusters_digest: str,
    into: Path,
    budget_usd: float,
    track: Track,
    rate: Rate | None,
    key: str,
    work: Path,
    team: Team,
) -> AdapterBundle:
    learn = encode(planned.reports, loaded.tokens, settings.max_tokens)
    check = encode(validation[: settings.validation_reports], loaded.tokens, settings.max_tokens)
    if not learn.rows or not check.rows:
        raise InputError("max_tokens", f"{planned.name}: no report fits into {settings.max_tokens} tokens")
    model = with_adapter(loaded, settings, start)
    if not team.first:
        # The adapters begin alike; what dropout draws need not be alike.
        torch.manual_seed(settings.seed + team.rank)
    work.mkdir(parents=True, exist_ok=True)
    asked = choose(validation, check.rows, settings.validation_written)

    def write(seconds: float) -> dict[str, Any] | None:
        made = write_up(loaded, asked, rate, team, seconds) if rate else None
        if made and team.first:
            write_rows(work / SAMPLES, made.samples)
        return made.figures if made else None

    try:
        trained = run_loop(
            loaded.model,
            pack(learn.rows, settings.max_tokens),
            pack(check.rows, settings.max_tokens),
            settings=settings,
            folder=work,
            budget_usd=budget_usd,
            name=planned.name,
            track=track,
            team=team,
            write=write,
        )
    except Exception:
        # Without a checkpoint there is nothing to go on from.
        if not (work / CHECKPOINT).exists():
            shutil.rmtree(work, ignore_errors=True)
        raise
    left = set(learn.too_long)
    learnt = Counter(report.modality.value for report in planned.reports if report.id not in left)
    manifest = {
        "name": planned.name,
        "key": key,
        "cluster": planned.cluster,
        "modality": planned.modality,
        "base": {"name": loaded.base.name, "digest": loaded.digest},
        "rank": settings.rank,
        "prompt_version": PROMPT_VERSION,
        "clusters": clusters_digest,
        "start": start.digest if start else None,
        "data": {
            "digest": planned.digest,
            "reports": len(learn.rows),
            "modalities": dict(learnt.most_common()),
            "cut": len(learn.cut),
            "too_long": len(learn.too_long),
            "tokens": learn.tokens,
        },
        # Where runs are told is the site's own business, and may hold a password.
        "settings": settings.model_dump(exclude={"tensorboard", "mlflow"}),
        "history": trained.history,
        "steps": {"made": trained.steps, "planned": trained.planned},
        "stopped": trained.stopped,
        "written": trained.written,
        "seconds": round(trained.spent.seconds, 1),
        "cost_usd": round(trained.spent.dollars, 4),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }
    bundle = team.told(_write(model, manifest, settings, into, work) if team.first else None)
    assert bundle is not None
    return bundle


def _write(model: PeftModel, manifest: dict[str, Any], settings: FitSettings, into: Path, work: Path) -> AdapterBundle:
    """The bundle, and its run record beside it."""
    side = side_folder(into)
    try:
        model.save_pretrained(str(side))
        _settle(side / CONFIG, manifest["base"]["name"])
        bundle = write_bundle(side, into, manifest)
    except (OSError, SafetensorError) as error:
        # safetensors has an error of its own for a disk that is full.
        raise ConfigError(
            f"{into}: the bundle of {manifest['name']} cannot be written ({error}); "
            "the same command goes on from the last checkpoint"
        ) from None
    finally:
        shutil.rmtree(side, ignore_errors=True)
    _keep_record(bundle, into, work)
    if manifest["stopped"] != BUDGET:
        # A larger budget goes on there.
        shutil.rmtree(work)
    _tell(bundle, into, settings)
    return bundle


def _keep_record(bundle: AdapterBundle, into: Path, work: Path) -> None:
    """Copies the record of a fit, and what lies with it, beside the bundles."""
    folder = run_folder(into, bundle)
    # Modes: no report text is in record and ledger, and whoever compares runs may read them; samples are quotes.
    for name, mode in ((SAMPLES, 0o600), (SPENT, 0o644), (RECORD, 0o644)):
        if (work / name).is_file():
            write_rows(folder / name, read_lines(work / name))
            (folder / name).chmod(mode)


def _tell(bundle: AdapterBundle, into: Path, settings: FitSettings) -> None:
    if (run_folder(into, bundle) / RECORD).is_file():
        tell_watchers(run_of(into, bundle), settings)


def _key(
    planned: PlannedAdapter,
    validation: Sequence[Report],
    base: str,
    settings: FitSettings,
    start: AdapterBundle | None,
    clusters: str,
) -> str:
    """Digest over everything that a fit depends on."""
    reports = [asdict(report) for report in (*planned.reports, *validation)]
    asked = [planned.name, settings.decisive(), start.digest if start else None]
    return digest_of([reports, asked, base, clusters, PROMPT_VERSION])


def _fitted(folder: Path, key: str) -> AdapterBundle | None:
    for path in sorted(folder.glob("*")):
        with suppress(NotFoundError, BundleError):
            bundle = open_bundle(path)
            if bundle.manifest.get("key") == key and bundle.manifest.get("stopped") != BUDGET:
                bundle.verify(bundle.base_digest)
                return bundle
    return None


def _settle(path: Path, base: str) -> None:
    """Takes this machine's path and the order of a set out of peft's configuration."""
    config = read_json(path)
    write_json(path, {**config, "base_model_name_or_path": base, "target_modules": sorted(config["target_modules"])})


def with_adapter(loaded: LoadedBase, settings: FitSettings, start: AdapterBundle | None) -> PeftModel:
    """Puts an adapter into a base model in memory, fresh from the seed or with another bundle's weights.

    Raises:
        BundleError: the bundle is broken, or of another base model or other modules.
    """
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(loaded.base.targets),
        task_type="CAUSAL_LM",
        use_rslora=settings.rslora,
    )
    model = get_peft_model(loaded.model, config)
    if start is not None:
        start.verify(loaded.digest)
        check_targets(start, loaded.base.targets)
        set_peft_model_state_dict(model, start.weights())
    return model
