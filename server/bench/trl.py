"""TRL's SFTTrainer beside our loop: the same model, reports, tokens a pass and optimiser."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerCallback

from radimpress.reports.cache import cache_folder
from radimpress.reports.progress import Track, silent
from radimpress.reports.workshop import made_once
from radimpress.trainer.examples import Example

TRL = "1.16.0"


def trl_folder(track: Track = silent) -> Path:
    """A folder with TRL alone; all that it needs is ours already. The first call downloads it.

    Raises:
        ConfigError: it cannot be had; says what failed.
    """

    def commands(side: Path) -> list[list[str]]:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        return [[*pip, "--target", str(side), f"trl=={TRL}"]]

    return made_once(cache_folder() / "trl" / TRL, commands, f"trl {TRL}", track)


class _Clock(TrainerCallback):
    """The seconds from the first step's beginning to the last one's end."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        del args, state, control, kwargs
        self.seconds = -time.perf_counter()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        del args, state, control, kwargs
        self.seconds += time.perf_counter()


def trl_seconds(
    model: Any, tokenizer: Any, examples: Sequence[Example], *, rows: int, max_tokens: int, packing: bool, into: Path
) -> float:
    """Seconds that TRL takes for one epoch over the examples, its preparation of them left out.

    Args:
        model: a peft model.
        tokenizer: the base model's.
        examples: with labels on the impression alone, which TRL calls the completion.
        rows: of a pass; reports where nothing is packed.
        max_tokens: of a row.
        packing: whether TRL packs, best fit decreasing as we do.
        into: a folder that it may write to.
    """
    folder = str(trl_folder())
    if folder not in sys.path:
        # Behind ours, so that nothing of ours is taken from there.
        sys.path.append(folder)
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    clock = _Clock()
    arguments = SFTConfig(
        output_dir=str(into),
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=1,
        gradient_checkpointing=False,
        num_train_epochs=1,
        learning_rate=2e-4,
        max_length=max_tokens,
        packing=packing,
        completion_only_loss=True,
        bf16=False,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    data = [
        {
            "input_ids": list(example.input_ids),
            "completion_mask": [int(at >= example.prompt) for at in range(len(example.input_ids))],
        }
        for example in examples
    ]
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(data),
        processing_class=tokenizer,
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return clock.seconds
