"""The processes that fit one adapter together: one, or as many as `accelerate launch` or `torchrun` has started.

Each takes its share of a step's forward passes; gradients are added up before the step, so that a step is the same
whatever their number. The first of them alone writes files and tells people anything.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Team:
    """This process's place among the processes.

    Attributes:
        rank: from 0, the first.
        size: how many there are.
        device: on which this one computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """What of some work is this process's."""
        return items[self.rank :: self.size]

    def gather(self, value: T) -> list[T]:
        """Everybody's value, by rank."""
        if self.size == 1:
            return [value]
        from accelerate.utils import gather_object

        return list(gather_object([value]))

    def told(self, value: T) -> T:
        """The first one's value."""
        if self.size == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]  # type: ignore[no-any-return]

    def add_gradients(self, weights: Sequence[Any]) -> None:
        """Makes everybody's gradients the sum of all."""
        if self.size == 1:
            return
        from accelerate.utils import reduce

        for weight in weights:
            # Who had no pass in this step has no gradient.
            mine = torch.zeros_like(weight) if weight.grad is None else weight.grad
            weight.grad = reduce(mine, "sum")


def open_team() -> Team:
    """The team that the launcher has set up; one process without a launcher."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Team(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    return Team(state.process_index, state.num_processes, state.device)
