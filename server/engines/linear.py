"""Linear layers as oneDNN lays them out and computes them, in the weights' own type or in int8.

torch itself takes MKL for fp32, which needs 1.9 times as long for 16 tokens on an AMD processor. The operators
are those that torch's own compiler emits (torch/_inductor/mkldnn_lowerings.py).

In int8, weights have a scale a row of outputs, and inputs a scale a token, not one a batch: nobody's answer depends
on who else is in the batch (LLM.int8, Dettmers et al. 2022, without its outliers). A processor without VNNI cuts sums
of int8 products off at 16 bits, so that it would write something else than the one that an adapter was judged on.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from radimpress.reports.errors import ConfigError

_STEPS = 127
# oneDNN is fast with unsigned inputs alone: signed ones took 225 ms where these take 0.05.
_ZERO = 128
_TINY = 1e-12


class PackedLinear:
    """x [tokens, in] to [tokens, out], in x's type.

    Args:
        weight: [out, in]; copied where oneDNN has a layout of its own for it, which is on the CPU.
        tokens: that are usual.
    """

    def __init__(self, weight: Tensor, tokens: int) -> None:
        self._packs = weight.device.type == "cpu" and _computes(weight.dtype)
        weight = weight.detach()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, tokens) if self._packs else weight

    def __call__(self, x: Tensor) -> Tensor:
        """The product."""
        if not self._packs:
            return F.linear(x, self._weight)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, None, "none", [], "")
        return out


def _computes(dtype: torch.dtype) -> bool:
    """Whether oneDNN has products of this type for this processor."""
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))


@cache
def int8_is_exact() -> bool:
    """Whether this processor's int8 products are the integers that they should be (oneDNN, "Nuances of int8")."""
    # The largest numbers that there are: if any sums are cut off, these are.
    most = 2 * _STEPS + 1
    given = torch.full((16, 64), most, dtype=torch.uint8)
    weight = torch.ops.onednn.qlinear_prepack(torch.full((64, 64), _STEPS, dtype=torch.int8), None)
    out: Tensor = torch.ops.onednn.qlinear_pointwise(
        given, 1.0, 0, weight, torch.ones(64), torch.zeros(64, dtype=torch.int32),
        None, 1.0, 0, torch.float32, "none", [], "",
    )  # fmt: skip
    return bool((out == 64 * most * _STEPS).all())


class Int8Linear:
    """x [tokens, in] to [tokens, out], in x's type.

    Args:
        weight: [out, in], of any floating type, on the CPU.

    Raises:
        ConfigError: this processor has no exact int8 products.
    """

    def __init__(self, weight: Tensor) -> None:
        if not int8_is_exact():
            raise ConfigError("int8: this processor cuts int8 sums off (it has no VNNI); serve the base model in float")
        weight = weight.detach().float()
        scale = (weight.abs().amax(1) / _STEPS).clamp_min(_TINY)
        whole = (weight / scale[:, None]).round().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(whole, None)
        self._scale = scale / _STEPS
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)
        # With the half, cutting off what is behind the point is rounding.
        self._middle = torch.tensor(_ZERO + 0.5)

    def __call__(self, x: Tensor) -> Tensor:
        """The product."""
        # Few operators, as each takes longer than its arithmetic for the tokens of one step.
        reach = torch.linalg.vector_norm(x, torch.inf, -1, keepdim=True, dtype=torch.float32).clamp_min_(_TINY)
        whole = torch.addcdiv(self._middle, x, reach, value=_STEPS).to(torch.uint8)
        out: Tensor = torch.ops.onednn.qlinear_pointwise(
            whole, 1.0, _ZERO, self._weight, self._scale, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return out.mul_(reach).to(x.dtype)
