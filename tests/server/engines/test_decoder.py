"""The decoder gives what transformers gives, however a sequence is cut up and whoever stands beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from radimpress.reports.errors import ConfigError
from radimpress.server.engines.decoder import Batch, Decoder, Read
from radimpress.server.engines.slots import Slots
from radimpress.trainer.load import load_base
from tests.conftest import TINY

PROMPT = [40, 41, 42, 50, 60, 61, 62, 63, 64, 65, 66, 67]
OTHER = [70, 71, 72, 73, 74]


def _llama() -> Any:
    torch.manual_seed(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=120,
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_key_value_heads=2,
            max_position_embeddings=256,
        )
    ).eval()


@pytest.fixture(params=["phi3", "llama"])
def model(request: pytest.FixtureRequest, tiny_folder: Path) -> Any:
    return _llama() if request.param == "llama" else load_base(TINY, tiny_folder).model


def _none(decoder: Decoder) -> Slots:
    return Slots(decoder.shapes, decoder.layers, 1, decoder.like)


def _read(decoder: Decoder, row: int, prompt: list[int], start: int = 0) -> torch.Tensor:
    """Logits of every token of a prompt, or of the part from `start` on."""
    count = len(prompt) - start
    batch = Batch(
        tokens=prompt[start:],
        rows=[row] * count,
        positions=list(range(start, len(prompt))),
        writing=0,
        reads=[Read(row, start, len(prompt), 0)],
        wanted=list(range(count)),
    )
    return decoder.forward(batch, _none(decoder), [])


@torch.inference_mode()
def _plain(model: Any, prompt: list[int]) -> torch.Tensor:
    return torch.as_tensor(model(input_ids=torch.tensor([prompt])).logits[0])


def test_a_prompt_read_whole_or_in_parts_gives_the_models_logits(model: Any) -> None:
    expected = _plain(model, PROMPT)
    decoder = Decoder(model, rows=3, context=64)
    torch.testing.assert_close(_read(decoder, 1, PROMPT), expected, rtol=1e-4, atol=1e-5)
    for cut in (1, 5, 11):
        first, second = _read(decoder, 2, PROMPT[:cut]), _read(decoder, 2, PROMPT, cut)
        torch.testing.assert_close(torch.cat((first, second)), expected, rtol=1e-4, atol=1e-5)


def test_sequences_write_on_beside_one_that_is_read(model: Any) -> None:
    expected, other = _plain(model, PROMPT), _plain(model, OTHER)
    decoder = Decoder(model, rows=4, context=64)
    # Row 1 stays empty between two that write on, and row 3 is read meanwhile.
    _read(decoder, 0, PROMPT[:-1])
    _read(decoder, 2, OTHER[:-1])
    batch = Batch(
        tokens=[OTHER[-1], PROMPT[-1], *PROMPT],
        rows=[2, 0, *[3] * len(PROMPT)],
        positions=[len(OTHER) - 1, len(PROMPT) - 1, *range(len(PROMPT))],
        writing=2,
        reads=[Read(3, 0, len(PROMPT), 2)],
        wanted=[0, 1, 1 + len(PROMPT)],
    )
    given = decoder.forward(batch, _none(decoder), [])
    torch.testing.assert_close(given, torch.stack((other[-1], expected[-1], expected[-1])), rtol=1e-4, atol=1e-5)


def test_a_row_that_went_wrong_is_wiped_and_harms_nobody(model: Any) -> None:
    expected = _plain(model, OTHER)
    decoder = Decoder(model, rows=2, context=64)
    _read(decoder, 0, PROMPT)
    decoder._keys[:, 0] = float("nan")
    decoder._values[:, 0] = float("nan")
    decoder.wipe(0, 64)
    torch.testing.assert_close(_read(decoder, 0, OTHER), expected, rtol=1e-4, atol=1e-5)


def test_the_weights_of_linear_layers_are_in_memory_once(model: Any) -> None:
    head, embedding = model.lm_head.weight.clone(), model.model.embed_tokens.weight.clone()
    Decoder(model, rows=1, context=64)
    left = [module.weight.numel() for module in model.model.layers.modules() if isinstance(module, torch.nn.Linear)]
    assert left
    assert not any(left)
    assert torch.equal(model.lm_head.weight, head)
    assert torch.equal(model.model.embed_tokens.weight, embedding)


def test_a_quantised_base_gives_the_models_logits(tiny_folder: Path) -> None:
    model = load_base(replace(TINY, quantisation="nf4"), tiny_folder).model
    expected = _plain(model, PROMPT)
    decoder = Decoder(model, rows=1, context=64)
    torch.testing.assert_close(_read(decoder, 0, PROMPT), expected, rtol=1e-3, atol=1e-3)


def test_the_context_ends_where_the_models_positions_do() -> None:
    assert Decoder(_llama(), rows=1, context=64).context == 64
    assert Decoder(_llama(), rows=1, context=10_000).context == 256


def test_another_architecture_is_refused() -> None:
    with pytest.raises(ConfigError, match="not an architecture"):
        Decoder(GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=8)), rows=1, context=8)
    model = _llama()
    model.model.layers[0].mlp.down_proj.bias = torch.nn.Parameter(torch.zeros(48))
    with pytest.raises(ConfigError, match="not an architecture"):
        Decoder(model, rows=1, context=8)
