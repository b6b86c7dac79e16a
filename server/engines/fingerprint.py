"""What a model would say next after some fixed words, to tell models apart that cannot be looked into.

A fingerprint holds, for each of some prompts, the likeliest next tokens and the logarithms of their
probabilities. It tells another model, and an adapter that does nothing; two models that differ in little it does
not. It asks for nothing after the prompt and nothing within it: vLLM 0.32 ends, all of it, when it is asked for
the probabilities of an adapter's prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

# For each prompt: token id -> logarithm of its probability.
Fingerprint = Sequence[Mapping[int, float]]

# Tokens for each prompt.
LIKELIEST = 10
PROBES = (
    "Findings: The lungs are clear.",
    "Modality: CT\nFindings: No acute fracture. The left kidney has a cyst of 12 mm.",
    "Modality: MR\nFindings: The menisci are intact and there is no effusion of the knee.",
)
# Of logarithms, on average. bfloat16 rounds a score of 16 to 0.06 and one of 32 to 0.12.
APART = 0.25
# Batches round differently from one call to the next, in float32 by about 1e-5.
_ROUNDING = 1e-4
_TIMES = 4.0


def apart(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two fingerprints are of different models."""
    return distance(one, other) > APART


def distance(one: Fingerprint, other: Fingerprint) -> float:
    """How far two fingerprints are from each other: of logarithms, on average."""
    return fmean(_distances(one, other))


def acts(before: Fingerprint, plain: Fingerprint, adapted: Fingerprint) -> bool:
    """Whether an adapter changes what the base model says.

    Args:
        before: the base model's fingerprint, taken earlier.
        plain: taken now, beside the adapter's; how far it is from `before` is rounding.
        adapted: the adapter's.
    """
    return max(_distances(plain, adapted)) > max(_ROUNDING, _TIMES * max(_distances(before, plain)))


def _distances(one: Fingerprint, other: Fingerprint) -> Iterator[float]:
    """How far each token is from itself; one that only one side lists counts as the other side's last."""
    for mine, theirs in zip(one, other, strict=True):
        for token in {*mine, *theirs}:
            yield abs(mine.get(token, min(mine.values())) - theirs.get(token, min(theirs.values())))
