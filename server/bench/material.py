"""What benchmarks work on: random adapters of a real base model, report-like prompts, their measure."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from radimpress.reports.funnel import Thresholds, sift
from radimpress.reports.prompt import PROMPT_VERSION, render
from radimpress.reports.read import read_archive
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize
from radimpress.server.engines.decoder import Decoder
from radimpress.server.engines.slots import lora_key
from radimpress.trainer.bundle import CONFIG, WEIGHTS, AdapterBundle, side_folder, write_bundle
from radimpress.trainer.load import LoadedBase

# Strong enough that each adapter writes something of its own, weak enough that it still writes words.
_SPREAD = 0.02


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure: the median and the range of its rounds, or a count."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Figure:
        """The figure of some rounds."""
        return cls(statistics.median(rounds), min(rounds), max(rounds))


def make_adapter(loaded: LoadedBase, decoder: Decoder, into: Path, number: int, rank: int = 8) -> AdapterBundle:
    """A bundle with random LoRA matrices on all of the base model's target modules."""
    chance = torch.Generator().manual_seed(number)
    tensors = {}
    for layer in range(decoder.layers):
        for shape in decoder.shapes:
            for path, width in shape.parts:
                for letter, size in (("A", (rank, shape.inputs)), ("B", (width, rank))):
                    tensors[lora_key(layer, path, letter)] = torch.randn(size, generator=chance) * _SPREAD
    side = side_folder(into)
    save_file(tensors, side / WEIGHTS)
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 4 * rank,
        "bias": "none",
        "target_modules": sorted(loaded.base.targets),
        "inference_mode": True,
    }
    (side / CONFIG).write_text(json.dumps(config), "utf-8")
    manifest = {
        "name": f"bench-{number}",
        "base": {"name": loaded.base.name, "digest": loaded.digest},
        "rank": rank,
        "prompt_version": PROMPT_VERSION,
        "clusters": "0" * 64,
    }
    return write_bundle(side, into, manifest)


def make_prompts(loaded: LoadedBase, count: int, tokens: int) -> list[str]:
    """Prompts of synthetic reports, each of about `tokens` tokens with the conversation around it."""
    words = " ".join(render(report) for report in synthesize(40 * count, 11, 0.0)).split(" ")
    prompts = []
    for at in range(count):
        text = words[at * len(words) // count :] + words
        low, high = 1, tokens
        while low < high:
            middle = (low + high + 1) // 2
            fits = len(loaded.prompt_ids(" ".join(text[:middle]))) <= tokens
            low, high = (middle, high) if fits else (low, middle - 1)
        prompts.append(" ".join(text[:low]))
    return prompts


def reports_like(files: Sequence[Path], count: int) -> list[Report]:
    """Reports to train on: as many of each file, drawn with a seed of our own, or synthetic ones without files."""
    if not files:
        return list(synthesize(count, 0))
    chance = random.Random(0)
    share = -(-count // len(files))
    found = [sift(read_archive([file]), Thresholds()).kept for file in files]
    return [one for kept in found for one in chance.sample(kept, min(share, len(kept)))][:count]
