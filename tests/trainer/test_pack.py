from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from radimpress.reports.errors import ConfigError
from radimpress.trainer.attention import use_attention
from radimpress.trainer.examples import IGNORED, Example
from radimpress.trainer.pack import Pass, Row, collate, impression_loss, pack

SHAPE: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "eos_token_id": 0,
    "bos_token_id": 0,
}


def _example(name: str, length: int, prompt: int, head: tuple[int, ...] = ()) -> Example:
    drawn = torch.randint(1, 97, (length,), generator=torch.Generator().manual_seed(length))
    return Example(name, (*head, *drawn.tolist()), len(head) + prompt)


EXAMPLES = (_example("a", 23, 17), _example("b", 9, 2), _example("c", 14, 13), _example("d", 3, 1))
HEAD = (50, 51, 52, 53, 54)
ALIKE = tuple(_example(one.id, len(one.input_ids), one.prompt, HEAD) for one in EXAMPLES)


@pytest.fixture(scope="module", params=["phi3", "llama"])
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    made = Phi3ForCausalLM(Phi3Config(**SHAPE)) if request.param == "phi3" else LlamaForCausalLM(LlamaConfig(**SHAPE))
    use_attention(made)
    return made.train(False)


def _loss(model: Any, rows: list[Row]) -> tuple[float, int, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss, count = impression_loss(model, collate(rows))
    torch.autograd.backward(loss)
    gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    return float(loss.detach()), count, gradients


@pytest.mark.parametrize(("examples", "shared"), [(EXAMPLES, 0), (ALIKE, 5)])
def test_packed_and_alone_give_the_same_loss_and_gradients(model: Any, examples: Row, shared: int) -> None:
    losses, counts = [], []
    sums: dict[str, torch.Tensor] = {}
    for example in examples:
        loss, count, gradients = _loss(model, [(example,)])
        losses.append(loss)
        counts.append(count)
        sums = {name: value + sums.get(name, torch.zeros(())) for name, value in gradients.items()}
    packed, count, gradients = _loss(model, [examples])
    assert collate([examples]).shared == shared
    assert count == sum(counts) == 6 + 7 + 1 + 2
    assert packed == pytest.approx(sum(losses), rel=1e-5)
    for name, value in gradients.items():
        torch.testing.assert_close(value, sums[name], rtol=1e-4, atol=1e-5)


def test_rows_of_unequal_length_give_the_same_loss_as_one_row(model: Any) -> None:
    one, count, _ = _loss(model, [EXAMPLES])
    two, same, _ = _loss(model, [EXAMPLES[:1], EXAMPLES[1:]])
    assert two == pytest.approx(one, rel=1e-5)
    assert same == count


def test_the_loss_is_the_models_own_over_the_labels(model: Any) -> None:
    (example, *_) = EXAMPLES
    plain = copy.deepcopy(model)
    plain.set_attn_implementation("sdpa")
    with torch.no_grad():
        own = plain(input_ids=torch.tensor([example.input_ids]), labels=torch.tensor([example.labels])).loss
        loss, count = impression_loss(model, collate([(example,)]))
    assert float(loss) / count == pytest.approx(float(own), rel=1e-5)


def _hidden(model: Any, batch: Pass) -> torch.Tensor:
    told = {"lengths": batch.lengths, "shared": batch.shared}
    with torch.no_grad():
        found = model.base_model(input_ids=batch.input_ids, position_ids=batch.positions, use_cache=False, **told)
    return torch.as_tensor(found.last_hidden_state[0])


@pytest.mark.parametrize("examples", [EXAMPLES, ALIKE])
@pytest.mark.parametrize("changed", [0, 1, 2])
def test_another_example_in_the_row_changes_nothing(model: Any, examples: Row, changed: int) -> None:
    other, shared = [*examples], collate([examples]).shared
    tokens = other[changed].input_ids
    turned = (*tokens[:shared], *(96 - token for token in tokens[shared:]))
    other[changed] = replace(other[changed], input_ids=turned)
    before, after = _hidden(model, collate([examples])), _hidden(model, collate([tuple(other)]))
    begin = shared + sum(len(example.input_ids) - shared for example in examples[:changed])
    end = begin + len(tokens) - shared
    assert torch.equal(before[:begin], after[:begin])
    assert torch.equal(before[end:], after[end:])
    assert not torch.allclose(before[begin:end], after[begin:end])


def test_each_example_is_targeted_from_its_last_prompt_token_to_the_one_before_its_end() -> None:
    batch = collate([(Example("a", (5, 6, 7, 8), 2), Example("b", (9, 10), 1)), (Example("c", (11, 12), 1),)])
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 9, 10, 11, 12]]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 0, 1, 0, 1]]
    no = IGNORED
    assert batch.targets.tolist() == [[no, 7, 8, no, 10, no, 12, no]]
    assert (batch.lengths, batch.shared) == ((4, 2, 2), 0)


def test_what_all_begin_with_stands_in_the_row_once_and_is_never_learnt() -> None:
    batch = collate([(Example("a", (5, 6, 7, 8), 3), Example("b", (5, 6, 9), 2))])
    # The 6 predicts what b learns first.
    assert batch.shared == 1
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 6, 9]]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 1, 2]]
    no = IGNORED
    assert batch.targets.tolist() == [[no, no, 8, no, 9, no]]


def test_one_example_shares_nothing() -> None:
    assert collate([ALIKE[:1]]).shared == 0


def test_a_report_that_is_longer_than_the_model_looks_back_is_refused() -> None:
    near = Phi3ForCausalLM(Phi3Config(**SHAPE, sliding_window=22))
    use_attention(near)
    impression_loss(near, collate([EXAMPLES[1:]]))
    with pytest.raises(ConfigError, match="a report has 23 tokens, the model sees 22"):
        impression_loss(near, collate([EXAMPLES]))


@given(st.lists(st.integers(2, 50), min_size=1, max_size=40))
def test_every_example_is_in_one_row_and_no_row_is_too_long(lengths: list[int]) -> None:
    examples = [Example(str(at), (1,) * length, 1) for at, length in enumerate(lengths)]
    rows = pack(examples, 50)
    assert sorted(one.id for row in rows for one in row) == sorted(one.id for one in examples)
    sizes = [sum(len(one.input_ids) for one in row) for row in rows]
    assert max(sizes) <= 50
    # Best fit leaves at most one row half empty.
    assert sum(size <= 25 for size in sizes) <= 1
