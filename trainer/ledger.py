"""What each run took and reached, in figures; and what all of them cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from radimpress.trainer.record import ALL, Run, counted


def row(run: Run, price_per_hour: float | None = None) -> dict[str, Any]:
    """One run, as `radimpress train runs --json` prints it; None stands for what is not known.

    Args:
        run: the run.
        price_per_hour: dollars that every hour shall cost; None takes what it cost when it was fitted.
    """
    manifest = run.bundle.manifest if run.bundle else {}
    validations = run.validations
    return {
        "adapter": run.adapter,
        "digest": run.bundle.digest if run.bundle else None,
        "base": run.bundle.base_name if run.bundle else None,
        "reports": manifest.get("data", {}).get("reports"),
        "steps": run.made,
        "planned": manifest.get("steps", {}).get("planned"),
        "stopped": run.stopped,
        "attempts": run.spent.attempts or None,
        "seconds": round(run.spent.seconds, 1),
        "cost_usd": cost(run, price_per_hour),
        "tokens_per_second": _rounded(run.tokens_per_second, 1),
        "memory_bytes": run.last("memory_bytes"),
        "loss": _rounded(run.last("loss"), 4),
        "validation_before": validations[0][1] if len(validations) > 1 else None,
        "validation": validations[-1][1] if validations else None,
        "written": dict(run.written["scores"]) if run.written else None,
        "path": str(run.folder),
    }


def cost(run: Run, price_per_hour: float | None = None) -> float:
    """Dollars: at a price an hour, or at what each attempt cost."""
    paid = run.spent.dollars if price_per_hour is None else run.spent.seconds / 3600 * price_per_hour
    return round(paid, 4)


def total(runs: Sequence[Run], price_per_hour: float | None = None) -> tuple[float, float]:
    """Seconds and dollars of all, each once: a fit that its budget ended is part of the one that went on with it."""
    paid = counted(runs)
    return sum(run.spent.seconds for run in paid), sum(cost(run, price_per_hour) for run in paid)


def score(run: Run, name: str, modality: str = ALL) -> float | None:
    """Mean of a score of what was written for validation; None where nothing was written."""
    found = run.written["scores"].get(modality, {}).get(name) if run.written else None
    return None if found is None else float(found)


def duration(seconds: float | None) -> str:
    """Seconds as a person reads them; None is not known."""
    if seconds is None:
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def dollars(cost: float | None) -> str:
    """Dollars to the cent; None is not known."""
    return "unknown" if cost is None else f"${cost:,.2f}"


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
