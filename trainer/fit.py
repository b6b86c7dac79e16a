"""Fits one LoRA adapter (Hu et al. 2021) with peft and transformers' Trainer, and writes its bundle."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import set_seed

from radimpress.reports.errors import BundleError, ConfigError, InputError, NotFoundError
from radimpress.reports.files import digest_of, read_json, write_json
from radimpress.reports.progress import Track, silent
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Report
from radimpress.trainer.bases import BaseModel, base_digest
from radimpress.trainer.bundle import CONFIG, AdapterBundle, check_targets, open_bundle, side_folder, write_bundle
from radimpress.trainer.examples import Examples, collate, encode, impression_loss
from radimpress.trainer.load import LoadedBase, load_base
from radimpress.trainer.plan import PlannedAdapter
from radimpress.trainer.settings import FitSettings


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
    track: Track = silent,
) -> AdapterBundle:
    """Fits one planned adapter and writes it as a bundle under `into`.

    `start` is the bundle of `planned.start_from`. A bundle that was fitted before from the same inputs
    is taken as it is.

    Raises:
        InputError: no report is short enough to learn from.
        ConfigError: the loss was not finite.
    """
    key = _key(planned, validation, base_digest(base, base_folder), settings, start, clusters_digest)
    known = _fitted(into / planned.name, key)
    if known is not None:
        return known
    set_seed(settings.seed)
    loaded = load_base(base, base_folder)
    learn = encode(planned.reports, loaded, settings.max_tokens)
    check = encode(validation[: settings.validation_reports], loaded, settings.max_tokens)
    if not learn.rows or not check.rows:
        raise InputError("max_tokens", f"{planned.name}: no report fits into {settings.max_tokens} tokens")
    model = _with_adapter(loaded, settings, start)
    side = side_folder(into)
    try:
        began = time.monotonic()
        history = _train(model, loaded, learn, check, settings, side, planned.name, track)
        seconds = time.monotonic() - began
        model.save_pretrained(str(side))
        _settle(side / CONFIG, base.name)
        return write_bundle(
            side,
            into,
            {
                "name": planned.name,
                "key": key,
                "cluster": planned.cluster,
                "base": {"name": base.name, "digest": loaded.digest},
                "rank": settings.rank,
                "prompt_version": PROMPT_VERSION,
                "clusters": clusters_digest,
                "start": start.digest if start else None,
                "data": {
                    "digest": digest_of([[report.id, report.impression] for report in planned.reports]),
                    "reports": len(learn.rows),
                    "too_long": len(learn.too_long),
                    "tokens": learn.tokens,
                },
                "settings": settings.model_dump(),
                "history": history,
                "seconds": round(seconds, 1),
                "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
            },
        )
    finally:
        shutil.rmtree(side, ignore_errors=True)


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
    asked = [planned.name, settings.model_dump(), start.digest if start else None]
    return digest_of([reports, asked, base, clusters, PROMPT_VERSION])


def _fitted(folder: Path, key: str) -> AdapterBundle | None:
    for path in sorted(folder.glob("*")):
        with suppress(NotFoundError, BundleError):
            bundle = open_bundle(path)
            if bundle.manifest.get("key") == key:
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


def _train(
    model: PeftModel,
    loaded: LoadedBase,
    learn: Examples,
    check: Examples,
    settings: FitSettings,
    side: Path,
    name: str,
    track: Track,
) -> list[dict[str, float]]:
    """Trains in place; the history has {"step", "loss"} a step, and {"step", "validation"} at its ends."""
    steps = math.ceil(math.ceil(len(learn.rows) / settings.batch) / settings.accumulation * settings.epochs)
    arguments = TrainingArguments(
        output_dir=str(side / "trainer"),
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation,
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(settings.warmup * steps),
        logging_steps=1,
        eval_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=settings.seed,
        train_sampling_strategy="group_by_length",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        logging_nan_inf_filter=False,
    )
    trainer = _ImpressionTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(list(learn.rows)),
        eval_dataset=Dataset.from_list(list(check.rows)),
        data_collator=lambda rows: collate(rows, loaded.tokenizer.pad_token_id),
        callbacks=[_Progress(track, f"fit {name}")],
    )
    trainer.remove_callback(PrinterCallback)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    after = trainer.evaluate()["eval_loss"]
    shutil.rmtree(side / "trainer", ignore_errors=True)
    curve = [{"step": row["step"], "loss": row["loss"]} for row in trainer.state.log_history if "loss" in row]
    history = [{"step": 0, "validation": before}, *curve, {"step": trainer.state.global_step, "validation": after}]
    values = [value for row in history for key, value in row.items() if key != "step"]
    if not all(math.isfinite(value) for value in values):
        raise ConfigError(f"fit {name}: the loss was not finite; lower learning_rate ({settings.learning_rate})")
    return [{key: round(float(value), 4) for key, value in row.items()} for row in history]


class _ImpressionTrainer(Trainer):
    """Trainer whose loss is over impressions, with logits for nothing else."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        # Our loss is a mean, so the Trainer has to divide by the accumulation itself.
        self.model_accepts_loss_kwargs = False

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        del num_items_in_batch
        loss = impression_loss(model, inputs)
        return (loss, {}) if return_outputs else loss

    def prediction_step(
        self, model: Any, inputs: dict[str, torch.Tensor], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[torch.Tensor, None, None]:
        del prediction_loss_only, ignore_keys
        with torch.no_grad():
            return impression_loss(model, self._prepare_inputs(inputs)), None, None


class _Progress(TrainerCallback):
    """Moves a `Track` on by one at each step."""

    def __init__(self, track: Track, label: str) -> None:
        self._track = track
        self._label = label

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        del args, control, kwargs
        self._steps = self._track(range(state.max_steps), self._label, state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        del args, state, control, kwargs
        next(self._steps, None)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        del args, state, control, kwargs
        # The step after the last closes the bar.
        next(self._steps, None)
