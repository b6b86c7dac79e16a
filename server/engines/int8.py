"""Linear layers in int8: weights with a scale a row of outputs, inputs with a scale a token.

A scale a token, not one a batch, keeps requests apart: nobody's answer depends on who else is in the batch
(LLM.int8, Dettmers et al. 2022, without its outliers). The product is oneDNN's, which torch's own compiler emits.
"""

from __future__ import annotations

import torch
from torch import Tensor

_STEPS = 127
# oneDNN is fast with unsigned inputs alone: signed ones took 225 ms where these take 0.05.
_ZERO = 128
_TINY = 1e-12


class Int8Linear:
    """x [tokens, in] to [tokens, out], in x's type.

    Args:
        weight: [out, in], of any floating type, on the CPU.
    """

    def __init__(self, weight: Tensor) -> None:
        weight = weight.detach().float()
        self._scale = (weight.abs().amax(1) / _STEPS).clamp_min(_TINY)
        whole = (weight / self._scale[:, None]).round().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(whole, None)
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)

    def __call__(self, x: Tensor) -> Tensor:
        """The product."""
        scale = (x.abs().amax(-1, keepdim=True).float() / _STEPS).clamp_min(_TINY)
        whole = (x / scale).round_().add_(_ZERO).to(torch.uint8)
        out: Tensor = torch.ops.onednn.qlinear_pointwise(
            whole, 1.0, _ZERO, self._weight, self._scale, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return out.mul_(scale).to(x.dtype)
