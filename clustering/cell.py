"""`Cell`: a slice, that is a modality within a cluster of clinics that write alike."""

from __future__ import annotations

from dataclasses import dataclass

from radimpress.reports.report import Modality

ANY = "any"


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A slice.

    Attributes:
        modality: what was scanned with.
        cluster: a cluster's name; ANY stands for all clinics together.
    """

    modality: Modality
    cluster: str

    def __str__(self) -> str:
        return f"{self.modality}/{self.cluster}"
