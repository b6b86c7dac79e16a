"""Loads a base model and its tokenizer the way the table says, for training and serving alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel

from radimpress.reports.prompt import SYSTEM
from radimpress.trainer.bases import BaseModel, base_digest


@dataclass(frozen=True, slots=True)
class BaseTokens:
    """How a base model reads: all that making examples needs.

    Attributes:
        base: its entry in the table.
        tokenizer: pads on the left.
    """

    base: BaseModel
    tokenizer: Any

    def prompt_ids(self, prompt: str) -> list[int]:
        """Token ids of a conversation that ends where the impression begins."""
        return list(self.tokenizer(self.prompt_text(prompt), add_special_tokens=False)["input_ids"])

    def prompt_text(self, prompt: str) -> str:
        """The same conversation as text, with the chat template's own tokens."""
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def stop_ids(self) -> frozenset[int]:
        """Token ids that end an impression."""
        ids = {self.tokenizer.convert_tokens_to_ids(token) for token in self.base.stop}
        return frozenset(ids | {self.tokenizer.eos_token_id})


@dataclass(frozen=True, slots=True)
class LoadedBase:
    """A base model in memory.

    Attributes:
        base: its entry in the table.
        digest: SHA-256 over its files.
        model: in evaluation mode.
        tokenizer: pads on the left.
    """

    base: BaseModel
    digest: str
    model: PreTrainedModel
    tokenizer: Any

    @property
    def tokens(self) -> BaseTokens:
        """How it reads."""
        return BaseTokens(self.base, self.tokenizer)

    def prompt_ids(self, prompt: str) -> list[int]:
        """See `BaseTokens.prompt_ids`."""
        return self.tokens.prompt_ids(prompt)

    def stop_ids(self) -> frozenset[int]:
        """See `BaseTokens.stop_ids`."""
        return self.tokens.stop_ids()


def load_tokens(base: BaseModel, folder: Path) -> BaseTokens:
    """Loads the tokenizer alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    if base.chat_template is not None:
        tokenizer.chat_template = base.chat_template
    return BaseTokens(base, tokenizer)


def load_base(base: BaseModel, folder: Path, quantisation: str | None = None) -> LoadedBase:
    """Loads model and tokenizer from a Hugging Face folder.

    Args:
        base: the model's entry in the table.
        folder: its files.
        quantisation: "nf4" or "none" (Dettmers et al. 2023), instead of the table's.
    """
    dtype = getattr(torch, base.dtype)
    config = None
    if (quantisation or base.quantisation) == "nf4":
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_use_double_quant=True,
        )
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, quantization_config=config)
    _keep_gradients(model)
    return LoadedBase(base, base_digest(base, folder), model.eval(), load_tokens(base, folder).tokenizer)


def _keep_gradients(model: PreTrainedModel) -> None:
    """Keeps bitsandbytes from packing weights for the CPU when they are first used without gradients.

    Where the CPU has AVX512-BF16 it does so at the first validation and never back again, and through packed weights
    no gradient comes (bitsandbytes 0.50): a fit would go on, and learn wrongly. It is another arithmetic, too.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]
