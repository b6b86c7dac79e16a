"""What is promised of the trainer: MediPhi's trainable parameters, throughput beside TRL, kills that leave no trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Report
from radimpress.server.bench.kills import measure_kills
from radimpress.server.bench.material import Figure
from radimpress.trainer.bases import BaseModel, find_base
from radimpress.trainer.settings import FitSettings

TRAINABLE, THROUGHPUT, KILLS = "trainable", "throughput", "kills"
GROUPS = (TRAINABLE, THROUGHPUT, KILLS)
PHI3 = ("o_proj", "qkv_proj", "gate_up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class TrainerBench:
    """What is measured, and how often.

    Attributes:
        base: the base model of throughput; its tokenizer is that of the fits that are killed.
        base_folder: its files.
        folder: that may be written to.
        reports: to learn from, for throughput.
        rounds: of throughput.
        kills: fits that are killed.
        tokens: of a pass, at most.
        track: draws progress.
        told: hears of each round and kill.
    """

    base: BaseModel
    base_folder: Path
    folder: Path
    reports: Sequence[Report]
    rounds: int
    kills: int
    tokens: int = 1024
    track: Track = silent
    told: Callable[[str], None] = lambda _: None


def measure(bench: TrainerBench, only: Sequence[str] = ()) -> dict[str, Figure]:
    """The figures of some groups, or of all."""
    groups: Mapping[str, Callable[[TrainerBench], dict[str, Figure]]] = {
        TRAINABLE: lambda _: {"mediphi_trainable": _count(mediphi_trainable())},
        THROUGHPUT: throughput,
        KILLS: _kills,
    }
    found: dict[str, Figure] = {}
    for name in only or GROUPS:
        found |= groups[name](bench)
    return found


def mediphi_trainable() -> int:
    """Trainable parameters of the published settings on a model of MediPhi's shape, which takes no memory."""
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM

    from radimpress.trainer.fit import with_adapter
    from radimpress.trainer.load import LoadedBase

    shape = Phi3Config(
        vocab_size=32064,
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=32,
    )
    with torch.device("meta"):
        loaded = LoadedBase(find_base("mediphi-instruct"), "", Phi3ForCausalLM(shape), None)
        return int(with_adapter(loaded, FitSettings(), None).get_nb_trainable_parameters()[0])


def throughput(bench: TrainerBench) -> dict[str, Figure]:
    """Useful tokens a second, ours over TRL's with padding and with packing; sides take turns.

    A pass has the same number of tokens on every side: one packed row, or as many reports of mean length.
    """
    from radimpress.server.bench.trl import trl_folder, trl_seconds
    from radimpress.trainer.examples import encode
    from radimpress.trainer.fit import with_adapter
    from radimpress.trainer.load import load_base

    trl_folder(bench.track)
    examples = encode(bench.reports, load_base(bench.base, bench.base_folder).tokens, bench.tokens).rows
    useful = sum(len(example.input_ids) for example in examples)
    together = max(1, round(bench.tokens * len(examples) / useful))
    settings = FitSettings(batch=1, accumulation=1, max_tokens=bench.tokens)
    speeds: dict[str, list[float]] = {"ours": [], "padded": [], "trl_packed": []}

    def side(name: str, at: int) -> float:
        loaded = load_base(bench.base, bench.base_folder)
        model: Any = with_adapter(loaded, settings, None)
        into = bench.folder / f"{name}-{at}"
        if name == "ours":
            return _our_seconds(loaded.model, examples, settings, into)
        rows = together if name == "padded" else 1
        packing = name == "trl_packed"
        named: dict[str, Any] = {"rows": rows, "max_tokens": bench.tokens, "packing": packing, "into": into}
        return trl_seconds(model, loaded.tokenizer, examples, **named)

    for at in bench.track(range(bench.rounds), "throughput beside TRL", bench.rounds):
        for name, found in speeds.items():
            found.append(useful / side(name, at))
            bench.told(f"round {at + 1}: {name} {found[-1]:.1f} useful tokens a second")
    ours = speeds["ours"]
    return {
        "useful_tokens_over_padded": _over(ours, speeds["padded"]),
        "useful_tokens_over_trl_packed": _over(ours, speeds["trl_packed"]),
        **{f"{name}_tokens_per_second": Figure.of(found) for name, found in speeds.items()},
    }


def _our_seconds(model: Any, examples: Sequence[Any], settings: FitSettings, into: Path) -> float:
    """Seconds of all steps of our loop over the examples, as its record has them."""
    from radimpress.reports.files import read_rows
    from radimpress.trainer.loop import run_loop
    from radimpress.trainer.pack import pack
    from radimpress.trainer.record import RECORD
    from radimpress.trainer.together import open_team

    into.mkdir()
    rows = pack(examples, settings.max_tokens)
    run_loop(
        model,
        rows,
        rows[-1:],
        settings=settings,
        folder=into,
        budget_usd=0.0,
        name="bench",
        track=silent,
        team=open_team(),
    )
    return float(sum(row["step_seconds"] for row in read_rows(into / RECORD) if "step_seconds" in row))


def _kills(bench: TrainerBench) -> dict[str, Figure]:
    base, folder = tiny(bench.base, bench.base_folder, bench.folder / "tiny")
    found = measure_kills(base, folder, bench.folder / "kills", bench.kills, told=bench.told)
    return {
        "killed_runs": _count(found.runs),
        "killed_runs_midway": _count(found.midway),
        "killed_runs_different": _count(found.different),
    }


def tiny(base: BaseModel, base_folder: Path, into: Path) -> tuple[BaseModel, Path]:
    """A random Phi-3 of two layers that reads with a base model's tokenizer."""
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM

    from radimpress.trainer.load import load_tokens

    tokenizer = load_tokens(base, base_folder).tokenizer
    torch.manual_seed(0)
    ids: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": 0, "bos_token_id": 0}
    shape: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    Phi3ForCausalLM(Phi3Config(vocab_size=len(tokenizer), **shape, **ids)).save_pretrained(into)
    tokenizer.save_pretrained(into)
    return replace(base, name="tiny-phi3", source="random", targets=PHI3, quantisation="none"), into


def _over(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    return Figure.of([our / their for our, their in zip(ours, theirs, strict=True)])


def _count(number: int) -> Figure:
    return Figure.of([number])
