"""What a bundle's card says of its evaluation, and whether a bundle may be given to the public."""

from __future__ import annotations

from radimpress.clustering.cell import ANY, Cell
from radimpress.eval.certificate import Certificate
from radimpress.eval.gate import METRIC, Outcome
from radimpress.eval.memorisation import Memorisation
from radimpress.eval.predict import BASE
from radimpress.eval.score import METRICS, Scores
from radimpress.reports.errors import GateError, InputError
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.trainer.bases import find_base
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.card import Measured, Word, model_card

_DIGITS = 12


def make_card(
    bundle: AdapterBundle,
    scores: Scores | None = None,
    certificate: Certificate | None = None,
    memory: Memorisation | None = None,
) -> str:
    """The card, with what is at hand of its evaluation.

    Raises:
        InputError: scores or a certificate are of another adapter, or of training reports.
        NotFoundError: its base model is not in the table.
    """
    if certificate is not None:
        _same("certificate", bundle, certificate.digest)
    if memory is not None:
        _same("memorisation", bundle, memory.digest)
    return model_card(
        bundle,
        find_base(bundle.base_name),
        _measured(bundle, scores) if scores else (),
        [Word(str(one.cell), one.outcome.value, one.why) for one in certificate.verdicts] if certificate else (),
        _told(memory) if memory else "",
    )


def check_public(bundle: AdapterBundle, memory: Memorisation | None) -> None:
    """Whether everybody may have a bundle.

    Raises:
        GateError: there is no memorisation test of just these weights, or it was not passed.
    """
    if memory is None:
        raise GateError("public needs a memorisation certificate: radimpress eval memorisation makes one")
    data = bundle.manifest.get("data", {}).get("digest", "")
    for what, stated, actual in (
        ("adapter", memory.digest, bundle.digest),
        ("base", memory.base_digest, bundle.base_digest),
        ("set of reports", memory.data, data),
        ("prompt", memory.prompt_version, PROMPT_VERSION),
    ):
        if stated != actual:
            raise GateError(f"the memorisation certificate is of another {what}: {stated[:_DIGITS]}")
    outcome, why = memory.verdict()
    if outcome is not Outcome.PASS:
        raise GateError(f"{bundle.name} must not be public: {outcome}: {why}")


def _same(what: str, bundle: AdapterBundle, digest: str) -> None:
    if digest != bundle.digest:
        raise InputError(what, f"is of {digest[:_DIGITS]}, and {bundle.name} is {bundle.digest[:_DIGITS]}")


def _measured(bundle: AdapterBundle, scores: Scores) -> list[Measured]:
    name = scores.system_of(bundle.digest, "")
    if name not in scores.systems:
        raise InputError("scores", f"{bundle.name} ({bundle.digest[:_DIGITS]}) is not in them")
    if scores.split == "train":
        raise InputError("scores", "are of training reports, which say nothing of what it is worth")
    everything: list[tuple[str, Cell | None]] = [("all", None)]
    modalities = sorted({cell.modality for cell in scores.cells})
    found = []
    for where, cell in [*everything, *((f"{one}/{ANY}", Cell(one, ANY)) for one in modalities)]:
        for metric in METRICS if cell is None else (METRIC,):
            mean, gain = scores.mean(name, metric, cell), scores.difference(name, BASE, metric, cell)
            if mean is not None:
                base = mean.mean - gain.mean if gain is not None else None
                found.append(Measured(where, metric, mean.cases, mean.mean, mean.low, mean.high, base))
    return found


def _told(memory: Memorisation) -> str:
    outcome, why = memory.verdict()
    return (
        f"Shown the first words of a report's findings, it wrote {memory.learnt.hits} of {memory.learnt.cases} "
        f"impressions that it learnt word for word, and {memory.unseen.hits} of {memory.unseen.cases} others. "
        f"Words that only one patient's report holds came out of {memory.rare.hits} and {memory.rare_unseen.hits}. "
        f"Verdict: {outcome}; {why}. Tested {memory.issued}."
    )
