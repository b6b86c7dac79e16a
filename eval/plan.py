"""How many cases a slice needs for a verdict: n = (z_error + z_power)^2 sd^2 / margin^2.

The usual sample size of a one-sided non-inferiority test (Julious 2004), for an adapter that is
exactly as good as the incumbent. `sd` is of the paired difference, from the slice itself where it has
enough patients and from the rule otherwise. The formula takes a power of 0.88, so that slices with
skewed differences, few cases and Student's wider bounds still pass four times in five; `simulate`
shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from statistics import NormalDist

OBSERVED = 20
POWER = 0.88


@dataclass(frozen=True, slots=True)
class Need:
    """What a slice needs.

    Attributes:
        patients: independent cases (groups) for four passes in five, were the adapter equal.
        more: how many of these are still missing.
        sd: of the paired difference of one patient.
        observed: whether `sd` was seen in this slice; else it is the rule's.
    """

    patients: int
    more: int
    sd: float
    observed: bool

    def __str__(self) -> str:
        seen = "seen" if self.observed else "assumed"
        return (
            f"needs {self.patients} cases of as many patients for a verdict (sd {self.sd:.2f} {seen}): {self.more} more"
        )


def needed(sd: float, margin: float, error: float, power: float = POWER) -> int:
    """Independent cases that an equal adapter needs."""
    normal = NormalDist()
    reach = normal.inv_cdf(1 - error) + normal.inv_cdf(power)
    return ceil((reach * sd / margin) ** 2)


def need(groups: int, standard_error: float, *, margin: float, minimum: int, error: float, prior: float) -> Need:
    """What a slice of so many independent groups needs.

    `standard_error` is of its mean paired difference; it is believed from OBSERVED groups on, `prior`
    before.
    """
    observed = groups >= OBSERVED
    sd = standard_error * groups**0.5 if observed else prior
    patients = max(minimum, needed(sd, margin, error))
    return Need(patients, max(0, patients - groups), sd, observed)
