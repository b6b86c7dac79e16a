"""LoRA for many adapters in one batch, without a loop over adapters.

Adapters are stacked by slot: for each fused projection A is [layers, slots, parts * rank, in] and B is
[layers, slots, parts * rank, out], block-diagonal over the parts (q, k and v; gate and up) and with
alpha / rank multiplied in. Tokens of one slot stand side by side, and two batched products serve the
slots together (the segments of Punica, Chen et al. 2023, and S-LoRA, Sheng et al. 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from radimpress.reports.errors import BundleError
from radimpress.trainer.bundle import Contents

# Tokens of one slot that are a matrix product of their own, and slots without a token that a grid may span.
_WIDE = 32
_GAP = 4


def lora_key(layer: int, path: str, side: str) -> str:
    """peft's name of a matrix; side is A or B."""
    return f"base_model.model.model.layers.{layer}.{path}.lora_{side}.weight"


@dataclass(frozen=True, slots=True)
class Shape:
    """A fused projection.

    Attributes:
        inputs: width of what goes in.
        parts: path within the layer and width of what comes out, for each module that is fused.
    """

    inputs: int
    parts: tuple[tuple[str, int], ...]

    @property
    def outputs(self) -> int:
        """Width of what comes out, all parts together."""
        return sum(width for _, width in self.parts)


@dataclass(frozen=True, slots=True)
class Packed:
    """A verified adapter, ready to be copied into a slot.

    Attributes:
        rank: of all its matrices.
        matrices: for each projection and part A [layers, rank, in] and B [layers, rank, out] with the
            scale in it; None where the adapter leaves the part alone.
    """

    rank: int
    matrices: tuple[tuple[tuple[Tensor, Tensor] | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """Tokens that stand side by side in one step, sorted into [slots, width].

    Attributes:
        first: lowest slot.
        count: slots from there on.
        width: tokens of the slot that has most.
        span: where the tokens stand in the step.
        take: for each place of the grid the token that goes there; None where they fill it as they stand.
        put: for each token of the span its place in the grid.
    """

    first: int
    count: int
    width: int
    span: slice
    take: Tensor | None
    put: Tensor | None


def pack(name: str, contents: Contents, shapes: Sequence[Shape], layers: int, dtype: torch.dtype) -> Packed:
    """Puts an adapter's matrices into the shape of the slots.

    Raises:
        BundleError: its tensors do not fit the base model's modules.
    """
    tensors = dict(contents.tensors)
    rank = int(contents.config["r"])
    matrices: list[tuple[tuple[Tensor, Tensor] | None, ...]] = []
    for shape in shapes:
        parts: list[tuple[Tensor, Tensor] | None] = []
        for path, width in shape.parts:
            if path.rpartition(".")[2] not in contents.targets:
                parts.append(None)
                continue
            sides = []
            for side, wanted in (("A", (rank, shape.inputs)), ("B", (width, rank))):
                keys = [lora_key(layer, path, side) for layer in range(layers)]
                misfit = next((key for key in keys if key not in tensors or tensors[key].shape != wanted), None)
                if misfit is not None:
                    raise BundleError(f"{name}: its tensors do not fit the base model's modules: {misfit}")
                sides.append(torch.stack([tensors.pop(key) for key in keys]).to(dtype))
            parts.append((sides[0], sides[1].transpose(1, 2).contiguous().mul_(contents.scale)))
        matrices.append(tuple(parts))
    if tensors:
        raise BundleError(f"{name}: its tensors do not fit the base model's modules: {next(iter(tensors))}")
    return Packed(rank, tuple(matrices))


class Slots:
    """The adapters on the device.

    Args:
        shapes: the model's fused projections.
        layers: of the model.
        count: of slots.
        like: a tensor of the device and type to use.
    """

    def __init__(self, shapes: Sequence[Shape], layers: int, count: int, like: Tensor) -> None:
        self._shapes = shapes
        self._layers = layers
        self._count = count
        self._like = like
        self._rank = 0
        self._a: list[Tensor] = []
        self._b: list[Tensor] = []
        self._views: dict[tuple[int, int], list[list[tuple[Tensor, Tensor]]]] = {}

    def install(self, slot: int, packed: Packed) -> None:
        """Overwrites a slot; of ranks, the highest seen sets how much room each slot has."""
        if packed.rank > self._rank:
            self._grow(packed.rank)
        for at, parts in enumerate(packed.matrices):
            a, b = self._a[at][:, slot], self._b[at][:, slot]
            a.zero_()
            b.zero_()
            column = 0
            for part, (pair, (_, width)) in enumerate(zip(parts, self._shapes[at].parts, strict=True)):
                if pair is not None:
                    rows = slice(part * self._rank, part * self._rank + packed.rank)
                    a[:, rows] = pair[0]
                    b[:, rows, column : column + width] = pair[1]
                column += width

    def plan(self, slots: Sequence[int], first: int = 0) -> list[Grid]:
        """Sorts tokens that stand in the step from `first` on into grids; no grid without adapters.

        Args:
            slots: of each token, in ascending order; below 0 is the base model, which stays out of the grids.
            first: where the first of them stands.
        """
        runs: list[list[tuple[int, range]]] = []
        start, last = first, 0
        for slot, group in groupby(slots):
            tokens = range(start, start + len(list(group)))
            start = tokens.stop
            if slot < 0:
                continue
            if not runs or len(tokens) >= _WIDE or last >= _WIDE or slot - runs[-1][-1][0] > _GAP:
                runs.append([])
            runs[-1].append((slot, tokens))
            last = len(tokens)
        return [self._grid(run) for run in runs]

    def add(self, grids: Sequence[Grid], layer: int, at: int, x: Tensor, y: Tensor) -> None:
        """Adds to y [tokens, out] what each token's adapter makes of x [tokens, in] in projection `at`."""
        for grid in grids:
            a, b = self._pairs(grid)[at][layer]
            shape = (grid.count, grid.width, -1)
            if grid.take is None or grid.put is None:
                low = torch.bmm(x[grid.span].reshape(shape), a)
                y[grid.span].view(shape).baddbmm_(low, b)
            else:
                low = torch.bmm(x.index_select(0, grid.take).view(shape), a)
                delta = torch.bmm(low, b).view(grid.count * grid.width, -1)
                y[grid.span].add_(delta.index_select(0, grid.put))

    def _grid(self, run: list[tuple[int, range]]) -> Grid:
        low, high = run[0][0], run[-1][0]
        width = max(len(tokens) for _, tokens in run)
        span = slice(run[0][1].start, run[-1][1].stop)
        count = high - low + 1
        if span.stop - span.start == count * width:
            return Grid(low, count, width, span, None, None)
        take = [span.start] * (count * width)
        put: list[int] = []
        for slot, tokens in run:
            place = (slot - low) * width
            take[place : place + len(tokens)] = tokens
            put += range(place, place + len(tokens))
        return Grid(low, count, width, span, self._index(take), self._index(put))

    def _pairs(self, grid: Grid) -> list[list[tuple[Tensor, Tensor]]]:
        """A transposed and B of a grid's slots, by projection and layer; views, as making them takes a step's time."""
        views = self._views.get((grid.first, grid.count))
        if views is None:
            slots = slice(grid.first, grid.first + grid.count)
            views = self._views[grid.first, grid.count] = [
                [(a[layer, slots].transpose(1, 2), b[layer, slots]) for layer in range(self._layers)]
                for a, b in zip(self._a, self._b, strict=True)
            ]
        return views

    def _index(self, numbers: list[int]) -> Any:
        return torch.tensor(numbers, device=self._like.device)

    def _grow(self, rank: int) -> None:
        old, self._rank = self._rank, rank
        self._views.clear()
        for side in (self._a, self._b):
            held, side[:] = list(side), []
            for at, shape in enumerate(self._shapes):
                width = shape.inputs if side is self._a else shape.outputs
                fresh = self._like.new_zeros(self._layers, self._count, len(shape.parts) * rank, width)
                if held:
                    parts = (self._layers, self._count, len(shape.parts), -1, width)
                    fresh.view(parts)[:, :, :, :old] = held[at].view(parts)
                side.append(fresh)


class Probe:
    """What the base model's projections take and give for a probe prompt, to try adapters on.

    Its `add` stands in for that of `Slots` while the base model reads the prompt.
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._seen: list[list[tuple[Tensor, Tensor]]] = [[] for _ in shapes]

    def add(self, _grids: Sequence[Grid], _layer: int, at: int, x: Tensor, y: Tensor) -> None:
        """Keeps the last two tokens' input and output of a projection; layers come in order."""
        self._seen[at].append((x[-2:].clone(), y[-2:].clone()))

    def check(self, name: str, packed: Packed, shapes: Sequence[Shape]) -> None:
        """Runs an adapter's matrices on what was kept.

        Raises:
            BundleError: no projection gives anything else with the adapter than without, or what it gives
                is not finite.
        """
        changes = False
        for seen, parts, shape in zip(self._seen, packed.matrices, shapes, strict=True):
            x = torch.stack([pair[0] for pair in seen])
            y = torch.stack([pair[1] for pair in seen])
            column = 0
            for pair, (_, width) in zip(parts, shape.parts, strict=True):
                plain = y[..., column : column + width]
                column += width
                if pair is None:
                    continue
                a, b = (side.to(x.device) for side in pair)
                adapted = torch.baddbmm(plain, torch.bmm(x, a.transpose(1, 2)), b)
                if not bool(torch.isfinite(adapted).all()):
                    raise BundleError(f"{name}: the model's answer with it is not finite")
                changes = changes or not torch.equal(adapted, plain)
        if not changes:
            raise BundleError(f"{name}: the model answers with it as it does without")
