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

    def prompt_ids(self, prompt: str) -> list[int]:
        """Token ids of a conversation that ends where the impression begins."""
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]
        text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def stop_ids(self) -> frozenset[int]:
        """Token ids that end an impression."""
        ids = {self.tokenizer.convert_tokens_to_ids(token) for token in self.base.stop}
        return frozenset(ids | {self.tokenizer.eos_token_id})


def load_base(base: BaseModel, folder: Path) -> LoadedBase:
    """Loads model and tokenizer from a Hugging Face folder."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    if base.chat_template is not None:
        tokenizer.chat_template = base.chat_template
    dtype = getattr(torch, base.dtype)
    quantisation = None
    if base.quantisation == "nf4":
        quantisation = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_use_double_quant=True,
        )
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, quantization_config=quantisation)
    return LoadedBase(base, base_digest(base, folder), model.eval(), tokenizer)
