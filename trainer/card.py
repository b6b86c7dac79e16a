"""An adapter's model card (Mitchell et al. 2019), as the Hugging Face hub reads it: all of it from the manifest and
what was measured, none of it a report's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radimpress.reports.report import Modality
from radimpress.trainer.bases import BaseModel
from radimpress.trainer.bundle import AdapterBundle

_METRICS = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "style": "style conformance"}
# What nobody can repeat a fit without; the rest is in the manifest.
_SETTINGS = (
    *("rank", "alpha", "rslora", "dropout", "learning_rate", "lora_plus", "epochs", "batch", "accumulation"),
    *("warmup", "max_tokens", "quantisation", "seed"),
)
_LIMITS = (
    "It is no medical device. What it writes is a draft that a radiologist reads, corrects and signs.",
    "It writes as the clinics whose reports it learnt from, and may be wrong in well-formed words: about findings, "
    "sides, sizes and negations.",
    "It is meant for the modalities listed above, in the slices in which it was shown to be no worse than what served "
    "them; radimpress routes nothing else to it.",
    "It was asked with radimpress's own prompt (version {prompt}); with another it has not been judged.",
    "Weights may hold what they were fitted on. Whoever gets them should be somebody who may read such reports, unless "
    "the memorisation test above says otherwise, and that test tries one attack only.",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure of an evaluation.

    Attributes:
        where: the slice, as in "MR/any"; "all" is everything.
        metric: rouge1, rouge2, rougeL or style, in [0, 1].
        cases: how many.
        value: the mean.
        low: of its 90% interval.
        high: of its 90% interval.
        base: the base model's mean on the same cases; None where it was not asked.
    """

    where: str
    metric: str
    cases: int
    value: float
    low: float
    high: float
    base: float | None


@dataclass(frozen=True, slots=True)
class Word:
    """What the gate said of one slice.

    Attributes:
        where: the slice.
        outcome: PASS, REGRESSION or INSUFFICIENT.
        why: in numbers.
    """

    where: str
    outcome: str
    why: str


def model_card(
    bundle: AdapterBundle,
    base: BaseModel,
    measured: Sequence[Measured] = (),
    words: Sequence[Word] = (),
    memory: str = "",
) -> str:
    """The card as Markdown under the hub's YAML head.

    Args:
        bundle: the adapter.
        base: its base model's entry in the table.
        measured: its scores on held-out reports; none says that there are none at hand.
        words: the gate's, a slice each.
        memory: what the memorisation test said; empty says that there was none.
    """
    from huggingface_hub import ModelCard

    body = "\n\n".join(_sections(bundle, base, measured, words, memory))
    return str(ModelCard(f"---\n{_head(bundle, base, measured)}\n---\n\n{body}\n"))


def _head(bundle: AdapterBundle, base: BaseModel, measured: Sequence[Measured]) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="summarization",
            task_name="impressions of radiology reports",
            dataset_type="private",
            dataset_name="held-out reports",
            dataset_config=one.where,
            metric_type="rouge" if one.metric.startswith("rouge") else one.metric,
            metric_name=_METRICS[one.metric],
            metric_value=round(one.value, 4),
        )
        for one in measured
    ]
    data = ModelCardData(
        base_model=base.hub_id or None,
        license=base.licence or "unknown",
        language="en",
        library_name="peft",
        pipeline_tag="text-generation",
        tags=["radiology", "lora", "radimpress"],
        model_name=bundle.name,
        eval_results=results or None,
    )
    return data.to_yaml()


def _sections(
    bundle: AdapterBundle, base: BaseModel, measured: Sequence[Measured], words: Sequence[Word], memory: str
) -> Iterator[str]:
    manifest = bundle.manifest
    yield f"# {bundle.name}"
    yield (
        f"A LoRA adapter of {base.hub_id or base.name} that writes radiology impressions from findings, fitted by "
        f"radimpress for {_whom(manifest)}. Weights `{bundle.digest}`, base `{bundle.base_digest}`."
    )
    if base.honest_word:
        yield f"**{base.honest_word}**"
    yield "## What it learnt from\n\n" + "\n\n".join(_data(manifest.get("data", {})))
    yield "## How it was fitted\n\n" + "\n\n".join(_fit(manifest))
    yield "## Scores on held-out reports\n\n" + _scores(measured)
    if words:
        rows = ((word.where, word.outcome, word.why) for word in words)
        yield "## What the gate said\n\n" + _table(("slice", "verdict", "why"), rows)
    yield "## Memorisation\n\n" + (memory or "Not tested: it must not be given to the public.")
    limits = (text.format(prompt=manifest["prompt_version"]) for text in _LIMITS)
    yield "## Limits\n\n" + "\n".join(f"- {text}" for text in limits)
    licence = base.licence or "not known to radimpress"
    yield (
        f"## Licence\n\nThe base model's licence: {licence}. What the reports' owner allows comes on top of that, and "
        "is theirs to say."
    )


def _whom(manifest: Mapping[str, Any]) -> str:
    whom = f"the clinics of cluster {manifest['cluster']}" if manifest.get("cluster") else "all clinics"
    return f"{whom}, {manifest['modality']} alone" if manifest.get("modality") else whom


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    modalities = data.get("modalities")
    if not isinstance(modalities, dict):
        yield "The manifest does not say."
        return
    yield _table(("modality", "reports"), modalities.items())
    yield (
        f"{data['reports']} reports, {data['tokens']:,} tokens with their prompts; {data['cut']} lost sentences of "
        f"findings to fit, {data['too_long']} were too long and left out. SHA-256 over them: `{data['digest']}`."
    )
    missing = [modality.value for modality in Modality if modality.value not in modalities]
    yield f"It learnt nothing of {', '.join(missing)}." if missing else "It learnt of every modality."


def _fit(manifest: Mapping[str, Any]) -> Iterator[str]:
    settings = manifest.get("settings", {})
    # None is left to the base model.
    told = ((name, settings[name]) for name in _SETTINGS if settings.get(name) is not None)
    yield _table(("setting", "value"), told)
    if "steps" in manifest:
        made, planned = manifest["steps"]["made"], manifest["steps"]["planned"]
        why = f", ended by {manifest['stopped']}" if manifest.get("stopped") else ""
        cost = f", for ${manifest['cost_usd']:,.2f}" if settings.get("price_per_hour") else ""
        yield f"{made} of {planned} steps{why}, in {manifest['seconds']:,.0f} s{cost}."
    losses = [row["validation"] for row in manifest.get("history", ()) if "validation" in row]
    if losses:
        yield f"Validation loss {losses[0]:.3f} before and {losses[-1]:.3f} after."
    start = manifest.get("start")
    yield f"It began with the weights `{start}`." if start else "It began afresh."
    versions = ", ".join(f"{name} {version}" for name, version in manifest.get("versions", {}).items())
    yield f"With {versions}." if versions else "Versions are not recorded."


def _scores(measured: Sequence[Measured]) -> str:
    if not measured:
        return "None at hand: nothing is known of how good it is."
    rows = (
        (
            one.where,
            _METRICS[one.metric],
            one.cases,
            f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]",
            "" if one.base is None else f"{one.base:.3f}",
        )
        for one in measured
    )
    return _table(("slice", "metric", "cases", "mean and 90% interval", "base model"), rows)


def _table(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    # A bar would begin another column.
    lines = [heads, ["---"] * len(heads), *([str(value).replace("|", "/") for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
