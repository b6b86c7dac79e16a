"""Fits one LoRA adapter (Hu et al. 2021) with peft, and writes its bundle."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict

from radimpress.reports.errors import BundleError, InputError, NotFoundError
from radimpress.reports.files import digest_of, read_json, write_json
from radimpress.reports.progress import Track, silent
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Report
from radimpress.trainer.bases import BaseModel, base_digest
from radimpress.trainer.bundle import CONFIG, AdapterBundle, check_targets, open_bundle, side_folder, write_bundle
from radimpress.trainer.checkpoint import CHECKPOINT, alone
from radimpress.trainer.examples import encode
from radimpress.trainer.load import LoadedBase, load_base
from radimpress.trainer.loop import RECORD, run_loop
from radimpress.trainer.pack import pack
from radimpress.trainer.plan import PlannedAdapter
from radimpress.trainer.settings import FitSettings

RUNS = "runs"


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
) -> AdapterBundle:
    """Fits one planned adapter and writes it as a bundle under `into`.

    `start` is the bundle of `planned.start_from`. A bundle that was fitted before from the same inputs
    is taken as it is, and a fit that was broken off goes on from its last checkpoint. Beside the bundle, in
    runs/<name>-<digest>, stays the run record. `budget_usd` ends a fit in time, with the adapter as far as it
    came; the manifest says so, and a larger budget goes on from there.

    Raises:
        InputError: no report is short enough to learn from.
        ConfigError: the loss was not finite, or no checkpoint can be written.
        ConflictError: another process fits into the same folder.
        DamageError: the checkpoint is not what was written.
    """
    key = _key(planned, validation, base_digest(base, base_folder), settings, start, clusters_digest)
    with alone(into):
        work = into / f".fit-{planned.name}-{key[:16]}"
        known = _fitted(into / planned.name, key)
        if known is not None:
            shutil.rmtree(work, ignore_errors=True)
            return known
        torch.manual_seed(settings.seed)
        loaded = load_base(base, base_folder)
        # Quantised weights are placed by their library.
        if torch.cuda.is_available() and base.quantisation == "none":
            torch.nn.Module.to(loaded.model, "cuda")
        return _fit(planned, validation, loaded, settings, start, clusters_digest, into, budget_usd, track, key, work)


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
    key: str,
    work: Path,
) -> AdapterBundle:
    learn = encode(planned.reports, loaded, settings.max_tokens)
    check = encode(validation[: settings.validation_reports], loaded, settings.max_tokens)
    if not learn.rows or not check.rows:
        raise InputError("max_tokens", f"{planned.name}: no report fits into {settings.max_tokens} tokens")
    model = _with_adapter(loaded, settings, start)
    work.mkdir(exist_ok=True)
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
        )
    except BaseException:
        # Without a checkpoint there is nothing to go on from.
        if not (work / CHECKPOINT).exists():
            shutil.rmtree(work, ignore_errors=True)
        raise
    stopped = trained.steps < trained.planned
    side = side_folder(into)
    try:
        model.save_pretrained(str(side))
        _settle(side / CONFIG, loaded.base.name)
        bundle = write_bundle(
            side,
            into,
            {
                "name": planned.name,
                "key": key,
                "cluster": planned.cluster,
                "base": {"name": loaded.base.name, "digest": loaded.digest},
                "rank": settings.rank,
                "prompt_version": PROMPT_VERSION,
                "clusters": clusters_digest,
                "start": start.digest if start else None,
                "data": {
                    "digest": digest_of([[report.id, report.impression] for report in planned.reports]),
                    "reports": len(learn.rows),
                    "cut": len(learn.cut),
                    "too_long": len(learn.too_long),
                    "tokens": learn.tokens,
                },
                "settings": settings.model_dump(),
                "history": trained.history,
                "steps": {"made": trained.steps, "planned": trained.planned},
                "stopped": "budget" if stopped else None,
                "seconds": round(trained.seconds, 1),
                "cost_usd": round(trained.seconds / 3600 * settings.price_per_hour, 4),
                "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
            },
        )
    finally:
        shutil.rmtree(side, ignore_errors=True)
    record = into / RUNS / f"{planned.name}-{bundle.digest[:16]}"
    record.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(work / RECORD, record / RECORD)
    if not stopped:
        shutil.rmtree(work)
    return bundle


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
            if bundle.manifest.get("key") == key and not bundle.manifest.get("stopped"):
                bundle.verify(bundle.base_digest)
                return bundle
    return None


def _settle(path: Path, base: str) -> None:
    """Takes this machine's path and the order of a set out of peft's configuration."""
    config = read_json(path)
    write_json(path, {**config, "base_model_name_or_path": base, "target_modules": sorted(config["target_modules"])})


def _with_adapter(loaded: LoadedBase, settings: FitSettings, start: AdapterBundle | None) -> PeftModel:
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(loaded.base.targets),
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(loaded.model, config)
    if start is not None:
        start.verify(loaded.digest)
        check_targets(start, loaded.base.targets)
        set_peft_model_state_dict(model, start.weights())
    return model
