from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from radimpress.trainer.examples import IGNORED, Example
from radimpress.trainer.pack import Row, collate, impression_loss, pack

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


def _example(name: str, length: int, prompt: int) -> Example:
    drawn = torch.randint(1, 97, (length,), generator=torch.Generator().manual_seed(length))
    return Example(name, tuple(drawn.tolist()), prompt)


EXAMPLES = (_example("a", 23, 17), _example("b", 9, 2), _example("c", 14, 13), _example("d", 3, 1))


@pytest.fixture(scope="module", params=["phi3", "llama"])
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    made = Phi3ForCausalLM(Phi3Config(**SHAPE)) if request.param == "phi3" else LlamaForCausalLM(LlamaConfig(**SHAPE))
    return made.train(False)


def _loss(model: Any, rows: list[Row]) -> tuple[float, int, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss, count = impression_loss(model, collate(rows, 0))
    torch.autograd.backward(loss)
    gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    return float(loss.detach()), count, gradients


def test_packed_and_alone_give_the_same_loss_and_gradients(model: Any) -> None:
    losses, counts = [], []
    sums: dict[str, torch.Tensor] = {}
    for example in EXAMPLES:
        loss, count, gradients = _loss(model, [(example,)])
        losses.append(loss)
        counts.append(count)
        sums = {name: value + sums.get(name, torch.zeros(())) for name, value in gradients.items()}
    packed, count, gradients = _loss(model, [EXAMPLES])
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
    with torch.no_grad():
        own = model(input_ids=torch.tensor([example.input_ids]), labels=torch.tensor([example.labels])).loss
        loss, count = impression_loss(model, collate([(example,)], 0))
    assert float(loss) / count == pytest.approx(float(own), rel=1e-5)


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_another_example_in_the_row_changes_nothing(model: Any, changed: int) -> None:
    other = [*EXAMPLES]
    other[changed] = replace(other[changed], input_ids=tuple(96 - token for token in other[changed].input_ids))

    def logits(row: Row) -> torch.Tensor:
        batch = collate([row], 0)
        with torch.no_grad():
            found = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False)
        return torch.as_tensor(found.logits[0])

    before, after = logits(EXAMPLES), logits(tuple(other))
    begin = sum(len(example.input_ids) for example in EXAMPLES[:changed])
    end = begin + len(EXAMPLES[changed].input_ids)
    assert torch.equal(before[:begin], after[:begin])
    assert torch.equal(before[end:], after[end:])
    assert not torch.allclose(before[begin:end], after[begin:end])


def test_each_example_is_targeted_from_its_last_prompt_token_to_the_one_before_its_end() -> None:
    batch = collate([(Example("a", (5, 6, 7, 8), 2), Example("b", (9, 10), 1)), (Example("c", (11, 12), 1),)], 0)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9, 10], [11, 12, 0, 0, 0, 0]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1], [0, 1, 0, 1, 2, 3]]
    no = IGNORED
    assert batch["targets"].tolist() == [[no, 7, 8, no, 10, no], [12, no, no, no, no, no]]


@given(st.lists(st.integers(2, 50), min_size=1, max_size=40))
def test_every_example_is_in_one_row_and_no_row_is_too_long(lengths: list[int]) -> None:
    examples = [Example(str(at), (1,) * length, 1) for at, length in enumerate(lengths)]
    rows = pack(examples, 50)
    assert sorted(one.id for row in rows for one in row) == sorted(one.id for one in examples)
    sizes = [sum(len(one.input_ids) for one in row) for row in rows]
    assert max(sizes) <= 50
    # Best fit leaves at most one row half empty.
    assert sum(size <= 25 for size in sizes) <= 1
