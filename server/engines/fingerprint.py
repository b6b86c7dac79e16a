"""What a model makes of a fixed prompt, to tell models apart that cannot be looked into.

A fingerprint is the logarithm of each token's probability. It tells another model, and an adapter that does
nothing; two models that differ in little it does not.
"""

from __future__ import annotations

from statistics import fmean

Fingerprint = tuple[float, ...]

PROBE = "Modality: CT\nFindings: The lungs are clear. No pleural effusion. The left kidney has a cyst of 12 mm."
# On average over the tokens. Rounding in bfloat16 on other hardware stays well below; another model, or another
# fine-tuning of the same, well above.
_APART = 0.1
# Batches round differently from one call to the next, in float32 by about 1e-5.
_ROUNDING = 1e-4
_TIMES = 4.0


def apart(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two fingerprints are of different models."""
    return len(one) != len(other) or fmean(abs(a - b) for a, b in zip(one, other, strict=True)) > _APART


def acts(before: Fingerprint, plain: Fingerprint, adapted: Fingerprint) -> bool:
    """Whether an adapter changes what the base model makes of the probe.

    Args:
        before: the base model's fingerprint, taken earlier.
        plain: taken now, beside the adapter's; how far it is from `before` is rounding.
        adapted: the adapter's.
    """
    return _farthest(plain, adapted) > max(_ROUNDING, _TIMES * _farthest(before, plain))


def _farthest(one: Fingerprint, other: Fingerprint) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
