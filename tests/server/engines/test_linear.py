from __future__ import annotations

from pathlib import Path

import pytest
import torch

from radimpress.reports.errors import ConfigError
from radimpress.server.engines import linear as module
from radimpress.server.engines.linear import Int8Linear, PackedLinear, int8_is_exact

exact_int8 = pytest.mark.skipif(not int8_is_exact(), reason="this processor has no exact int8 products (VNNI)")


@pytest.fixture
def weight() -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randn(96, 64)


@exact_int8
@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_gives_about_what_floats_give_in_their_type(weight: torch.Tensor, dtype: torch.dtype) -> None:
    x = torch.randn(20, 64).to(dtype)
    given, exact = Int8Linear(weight)(x), x.float() @ weight.T
    assert given.dtype == dtype
    assert float((given - exact).norm() / exact.norm()) < 0.02


@exact_int8
@torch.inference_mode()
def test_a_token_has_its_answer_whoever_stands_beside_it(weight: torch.Tensor) -> None:
    x = torch.randn(16, 64)
    x[3] *= 1000
    x[5] = 0
    linear = Int8Linear(weight)
    together = linear(x)
    for at in range(len(x)):
        assert torch.equal(linear(x[at : at + 1])[0], together[at])
    assert not together[5].any()


@exact_int8
@torch.inference_mode()
def test_what_is_not_finite_stays_with_its_token(weight: torch.Tensor) -> None:
    x = torch.randn(2, 64)
    linear = Int8Linear(weight)
    alone = linear(x[1:])
    x[0, 0] = float("nan")
    given = linear(x)
    assert not torch.isfinite(given[0]).any()
    assert torch.equal(given[1:], alone)


@exact_int8
def test_a_row_of_zeros_is_one_of_zeros(weight: torch.Tensor) -> None:
    weight[7] = 0
    assert not Int8Linear(weight)(torch.randn(2, 64))[:, 7].any()


def test_a_processor_that_cuts_sums_off_is_refused(weight: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "int8_is_exact", lambda: False)
    with pytest.raises(ConfigError, match="VNNI"):
        Int8Linear(weight)


def test_exactness_is_what_the_processor_says() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text("ascii") if cpuinfo.exists() else ""
    if "avx2" not in flags:
        pytest.skip("not an x86 processor whose flags Linux tells")
    assert int8_is_exact() == ("vnni" in flags)


@torch.inference_mode()
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-6), (torch.bfloat16, 0.01), (torch.float64, 1e-12)])
@pytest.mark.parametrize("tokens", [1, 16, 100])
def test_a_packed_one_gives_what_torch_gives(
    weight: torch.Tensor, dtype: torch.dtype, error: float, tokens: int
) -> None:
    x = torch.randn(tokens, 64).to(dtype)
    given, exact = PackedLinear(weight.to(dtype), 16)(x), x.double() @ weight.to(dtype).double().T
    assert given.dtype == dtype
    assert float((given - exact).norm() / exact.norm()) < error
