from __future__ import annotations

import pytest
import torch
from transformers import Phi3Config, Phi3ForCausalLM

from radimpress.trainer.bases import find_base
from radimpress.trainer.fit import _with_adapter
from radimpress.trainer.load import LoadedBase
from radimpress.trainer.settings import FitSettings

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


def test_an_adapter_of_mediphi_has_as_many_parameters_as_was_published() -> None:
    shape = Phi3Config(
        vocab_size=32064,
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=32,
    )
    with torch.device("meta"):
        loaded = LoadedBase(find_base("mediphi-instruct"), "", Phi3ForCausalLM(shape), None)
        trainable, _ = _with_adapter(loaded, FitSettings(), None).get_nb_trainable_parameters()
    assert trainable == 12_582_912
