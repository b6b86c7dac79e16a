"""Folders of bundles with run records as fits leave them, without a fit: no weights are in them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from radimpress.reports.files import write_json, write_rows

EVIL = "<script>alert(1)</script>"
MODALITIES = ("CT", "MR", "XR")


def scores(reports: int, shift: float) -> dict[str, Any]:
    """Figures of what was written, of so many reports."""
    means = {"rouge1": 0.5 + shift, "rouge2": 0.3 + shift, "rougeL": 0.4 + shift}
    shares = {name: {"reports": reports // 3, **means} for name in MODALITIES}
    told = {"all": {"reports": reports, **means}, **shares}
    return {"reports": reports, "unfinished": 1, "tokens": 40 * reports, "seconds": 9.5, "scores": told}


def leave_run(
    into: Path,
    name: str,
    at: int,
    *,
    steps: int = 40,
    key: str = "",
    stopped: str | None = None,
    written: int = 24,
    price: float = 0.5,
) -> Path:
    """A bundle's manifest, and its run record; `at` sets it apart from others and says when it was made."""
    digest = f"{at:02x}" * 32
    losses = [1 + 2 * math.exp(-step / 12) + 0.1 * math.sin(step * (at + 1)) for step in range(1, steps + 1)]
    ends = [{"step": 0, "validation": 3.1}, {"step": steps, "validation": round(losses[-1] + 0.05, 4)}]
    seconds = 20.0 * steps
    figures = scores(written, 0.05 * at) if written else None
    write_json(
        into / name / digest[:16] / "manifest.json",
        {
            "format": 1,
            "name": name,
            "key": key or digest,
            "base": {"name": "tiny", "digest": "b" * 64},
            "rank": 2,
            "prompt_version": "1",
            "clusters": "c" * 64,
            "files": {"adapter_model.safetensors": digest, "adapter_config.json": "d" * 64},
            "data": {"reports": 10 * steps},
            "settings": {"quantisation": None, "price_per_hour": price},
            "history": [ends[0], *({"step": s, "loss": loss} for s, loss in enumerate(losses, start=1)), ends[1]],
            "steps": {"made": steps, "planned": 40 if stopped else steps},
            "stopped": stopped,
            "written": figures,
            "seconds": seconds,
            "cost_usd": round(seconds / 3600 * price, 4),
        },
    )
    folder = into / "runs" / f"{name}-{digest[:16]}"
    write_rows(folder / "record.jsonl", [*_steps(losses), *([{"step": steps, "written": figures}] if written else [])])
    write_rows(folder / "spent.jsonl", [{"begun": True, "seconds": 0.0, "dollars": 0.0}])
    os.utime(folder / "record.jsonl", (1000 + at, 1000 + at))
    return folder


def leave_open(into: Path, name: str, key: str) -> Path:
    """What a fit leaves that was broken off."""
    folder = into / f".fit-{name}-{key[:16]}"
    write_rows(folder / "record.jsonl", _steps([3.0, 2.5, 2.2]))
    rows = [{"begun": True, "seconds": 0.0, "dollars": 0.0}, {"seconds": 90.0, "dollars": 0.25}]
    write_rows(folder / "spent.jsonl", [*rows, *rows])
    return folder


def _steps(losses: list[float]) -> list[dict[str, float]]:
    return [
        {
            "step": step,
            "loss": loss,
            "learning_rate": 2e-4 * (1 + math.cos(math.pi * step / len(losses))) / 2,
            "gradient_norm": 0.5 + loss / 3,
            "tokens_per_second": 300.0 + 10 * math.sin(step),
            "step_seconds": 20.0,
            "memory_bytes": 2.0 * 2**30,
            "seconds": 20.0 * step,
        }
        for step, loss in enumerate(losses, start=1)
    ]
