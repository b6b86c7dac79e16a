"""A transformers decoder laid out for serving: fused projections, one cache with a fixed place a sequence.

Takes the weights of a Llama-like model (Llama, Phi-3) as transformers loaded it and runs them over a flat
row of tokens, of which some write on and others are being read. transformers' own continuous batching ignores
adapters; its modules, called one by one, spend about as long around the matrix products as in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from radimpress.reports.errors import ConfigError
from radimpress.server.engines.linear import Int8Linear, PackedLinear
from radimpress.server.engines.slots import Grid, Shape

Product = Callable[[Tensor], Callable[[Tensor], Tensor]]
QKV, OUT, GATE_UP, DOWN = range(4)
_FUSED = (
    (("self_attn.qkv_proj",), ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
    (("self_attn.o_proj",),),
    (("mlp.gate_up_proj",), ("mlp.gate_proj", "mlp.up_proj")),
    (("mlp.down_proj",),),
)


class Adapters(Protocol):
    """What adds adapters' share to a projection's output: `Slots`, or a `Probe`."""

    def add(self, grids: Sequence[Grid], layer: int, at: int, x: Tensor, y: Tensor, /) -> None:
        """Adds to y [tokens, out] for x [tokens, in] of projection `at`."""
        ...


@dataclass(frozen=True, slots=True)
class Read:
    """Tokens of one prompt, which stand at `first` in the step.

    Attributes:
        row: of the cache.
        start: position of the first of them.
        stop: position after the last.
        first: where they begin in the step.
    """

    row: int
    start: int
    stop: int
    first: int


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's tokens, flat: first those that write on, one a row, then the prompts' parts.

    Attributes:
        tokens: ids.
        rows: cache row of each.
        positions: in its own sequence, of each.
        writing: how many write on.
        reads: the prompts' parts.
        wanted: places of the tokens whose next token is asked for.
    """

    tokens: list[int]
    rows: list[int]
    positions: list[int]
    writing: int
    reads: list[Read]
    wanted: list[int]


@dataclass(frozen=True, slots=True)
class _Layer:
    before: Tensor
    after: Tensor
    projections: tuple[Callable[[Tensor], Tensor], ...]


class Decoder:
    """The model and its cache.

    Args:
        model: as transformers loaded it; the weights of its linear layers are taken out of it, unless quantised.
        rows: sequences in the cache at most.
        context: tokens of a sequence at most; less where the model has less.
        int8: computes linear layers in int8.

    Raises:
        ConfigError: the model's architecture is another, or this processor has no exact int8 products.
    """

    def __init__(self, model: Any, *, rows: int, context: int, int8: bool = False) -> None:
        config = model.config
        inner = getattr(model, "model", None)
        known = all(hasattr(inner, name) for name in ("embed_tokens", "layers", "norm", "rotary_emb"))
        if inner is None or not known or config.hidden_act != "silu":
            raise ConfigError(f"{config.model_type}: not an architecture that the in-process engine serves")
        self._embed = inner.embed_tokens.weight
        self._norm = inner.norm.weight
        product = Int8Linear if int8 else partial(PackedLinear, tokens=rows)
        self._head = product(model.lm_head.weight)
        self._epsilon = float(config.rms_norm_eps)
        self._heads = int(config.num_attention_heads)
        self._groups = int(config.num_key_value_heads)
        self._width = int(getattr(config, "head_dim", None) or config.hidden_size // self._heads)
        self.shapes = _shapes(inner.layers[0])
        self.layers = len(inner.layers)
        self.context = min(context, _reach(config))
        self._layers = [
            _Layer(
                layer.input_layernorm.weight,
                layer.post_attention_layernorm.weight,
                tuple(_fuse([_module(layer, path) for path, _ in shape.parts], product) for shape in self.shapes),
            )
            for layer in inner.layers
        ]
        self._rope(inner.rotary_emb)
        # Zeros, as what is masked must still be finite; memory is taken only as far as a row is used.
        size = (self.layers, rows, self._groups, self.context, self._width)
        self._keys, self._values = (torch.zeros(size, dtype=self.like.dtype, device=self.like.device) for _ in "kv")

    @property
    def like(self) -> Tensor:
        """A tensor of the model's device and type."""
        return torch.as_tensor(self._norm)

    @torch.inference_mode()
    def forward(self, batch: Batch, adapters: Adapters, grids: Sequence[Grid]) -> Tensor:
        """Runs one step; gives the logits [wanted, vocabulary]."""
        device = self.like.device
        positions = torch.tensor(batch.positions, device=device)
        places = torch.tensor(batch.rows, device=device), positions
        cos, sin = self._cos[positions], self._sin[positions]
        attend = self._attention(batch)
        x = F.embedding(torch.tensor(batch.tokens, device=device), self._embed)
        for at, layer in enumerate(self._layers):

            def project(which: int, given: Tensor, at: int = at, layer: _Layer = layer) -> Tensor:
                out = layer.projections[which](given)
                adapters.add(grids, at, which, given, out)
                return out

            queries, keys, values = self._split(project(QKV, self._normed(x, layer.before)), cos, sin)
            self._keys[at].transpose(1, 2)[places] = keys
            self._values[at].transpose(1, 2)[places] = values
            x = x + project(OUT, attend(at, queries))
            gate, up = project(GATE_UP, self._normed(x, layer.after)).chunk(2, -1)
            x = x + project(DOWN, F.silu(gate).mul_(up))
        return self._head(self._normed(x[batch.wanted], self._norm))

    def wipe(self, row: int, length: int) -> None:
        """Empties a row up to `length` tokens: nothing of a report stays, and nothing that is not finite."""
        self._keys[:, row, :, :length] = 0
        self._values[:, row, :, :length] = 0

    def keep(self, row: int, length: int) -> Tensor:
        """A copy of a row's first tokens, [2, layers, groups, length, width]."""
        return torch.stack([side[:, row, :, :length] for side in (self._keys, self._values)])

    def copy(self, kept: Tensor, row: int) -> None:
        """Puts what was kept at the beginning of a row."""
        self._keys[:, row, :, : kept.shape[3]], self._values[:, row, :, : kept.shape[3]] = kept

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, self._epsilon)

    def _split(self, qkv: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [tokens, heads, width], keys and values [tokens, groups, width], turned to their positions."""
        heads = qkv.view(len(qkv), -1, self._width)
        turned = heads[:, : self._heads + self._groups]
        reach = cos.shape[-1]
        part = turned[..., :reach]
        part.copy_(torch.addcmul(part * cos, part.roll(reach // 2, -1), sin))
        return turned[:, : self._heads], turned[:, self._heads :], heads[:, self._heads + self._groups :]

    def _attention(self, batch: Batch) -> Callable[[int, Tensor], Tensor]:
        """What attention does in every layer of this step: layer and queries [tokens, heads, width] to [tokens, -1]."""
        device = self.like.device
        writing, scale = batch.writing, self._width**-0.5
        rows = torch.tensor(batch.rows[:writing], dtype=torch.long, device=device)
        high = max(batch.rows[:writing], default=-1) + 1
        longest = max(batch.positions[:writing], default=0) + 1
        # A row in between that does not write now is computed all the same, on its first key, and left out.
        ends = torch.zeros(high, dtype=torch.long, device=device)
        ends[rows] = torch.tensor(batch.positions[:writing], dtype=torch.long, device=device)
        hidden = torch.zeros(high, 1, 1, longest, dtype=self.like.dtype, device=device)
        hidden.masked_fill_(torch.arange(longest, device=device) > ends[:, None, None, None], float("-inf"))
        masks = [
            torch.arange(read.stop, device=device) <= torch.arange(read.start, read.stop, device=device)[:, None]
            for read in batch.reads
        ]

        def write_on(at: int, queries: Tensor) -> Tensor:
            placed = queries.new_zeros(high, self._groups, self._heads // self._groups, self._width)
            placed[rows] = queries.reshape(writing, *placed.shape[1:]) * scale
            keys, values = self._keys[at, :high, :, :longest], self._values[at, :high, :, :longest]
            scores = placed.matmul(keys.transpose(-1, -2)).add_(hidden)
            seen = torch.softmax(scores, -1, dtype=torch.float32).to(values.dtype).matmul(values)
            return seen[rows].reshape(writing, -1)

        def read_on(at: int, read: Read, mask: Tensor, queries: Tensor) -> Tensor:
            keys, values = self._keys[at, read.row, :, : read.stop], self._values[at, read.row, :, : read.stop]
            if self._groups < self._heads:
                keys, values = (t.repeat_interleave(self._heads // self._groups, 0) for t in (keys, values))
            seen = F.scaled_dot_product_attention(queries.transpose(0, 1)[None], keys[None], values[None], mask)
            return seen[0].transpose(0, 1).reshape(len(queries), -1)

        def attend(at: int, queries: Tensor) -> Tensor:
            parts = [write_on(at, queries[:writing])] if writing else []
            for read, mask in zip(batch.reads, masks, strict=True):
                parts.append(read_on(at, read, mask, queries[read.first : read.first + read.stop - read.start]))
            return parts[0] if len(parts) == 1 else torch.cat(parts)

        return attend

    def _rope(self, rotary: Any) -> None:
        """Cosines and signed sines of all positions, [context, 1, width], from the model's own module."""
        positions = torch.arange(self.context, device=self.like.device)[None]
        with torch.inference_mode():
            cos, sin = rotary(self.like.view(1, 1, -1), positions)
        half = sin.shape[-1] // 2
        self._cos = cos[0, :, None]
        self._sin = torch.cat((-sin[0, :, None, :half], sin[0, :, None, half:]), -1)


def _shapes(layer: Any) -> tuple[Shape, ...]:
    shapes = []
    for ways in _FUSED:
        paths = next((way for way in ways if all(_module(layer, path) is not None for path in way)), None)
        modules = [_module(layer, path) for path in paths or ()]
        if not paths or any(getattr(module, "bias", None) is not None for module in modules):
            raise ConfigError(f"{type(layer).__name__}: not an architecture that the in-process engine serves")
        shapes.append(
            Shape(modules[0].in_features, tuple((p, m.out_features) for p, m in zip(paths, modules, strict=True)))
        )
    return tuple(shapes)


def _module(layer: Any, path: str) -> Any:
    for name in path.split("."):
        layer = getattr(layer, name, None)
    return layer


def _fuse(modules: Sequence[Any], product: Product) -> Callable[[Tensor], Tensor]:
    """One product for several modules; quantised ones are asked one by one."""
    if any(type(module) is not nn.Linear for module in modules):
        return modules[0] if len(modules) == 1 else lambda x: torch.cat([module(x) for module in modules], -1)
    weight = torch.cat([module.weight.detach() for module in modules])
    for module in modules:
        # In memory once: layer by layer, as they are laid out anew.
        module.weight = nn.Parameter(module.weight.new_empty(0), requires_grad=False)
    return product(weight)


def _reach(config: Any) -> int:
    """Positions that need neither a sliding window nor the other set of a long rope's factors."""
    rope = getattr(config, "rope_parameters", None) or {}
    limits = (
        config.max_position_embeddings,
        getattr(config, "sliding_window", None),
        getattr(config, "original_max_position_embeddings", None),
        rope.get("original_max_position_embeddings"),
    )
    return min(int(limit) for limit in limits if limit)
