"""What transformers and PEFT write, one request at a time: what every engine's greedy answer is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel

from radimpress.reports.progress import Track, silent
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import LoadedBase

# Below this distance of the two best logits a batch's rounding may choose the second; it errs by about 1e-5.
_TIE = 1e-3
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Reference:
    """What PEFT alone writes.

    Attributes:
        texts: of its first 0, 1, 2, ... tokens.
        near: texts up to a token that is all but tied with the best one, in its place.
    """

    texts: list[str]
    near: list[str]

    def known(self, text: str, asked: int) -> int:
        """How many of the first `asked` tokens a text begins with."""
        return max(at for at in range(asked + 1) if text.startswith(self.texts[min(at, len(self.texts) - 1)]))

    def tied(self, text: str) -> bool:
        """Whether a text took the second of two tokens whose logits are equal but for rounding."""
        return any(text.startswith(near) for near in self.near)


def references(
    loaded: LoadedBase,
    adapters: Sequence[AdapterBundle],
    prompts: Sequence[str],
    tokens: int,
    *,
    stop: bool = False,
    track: Track = silent,
) -> dict[Key, Reference]:
    """By adapter's digest (empty for base) and prompt.

    Args:
        loaded: the base model, which PEFT changes.
        adapters: asked in turn, each alone.
        prompts: each is asked of base and of every adapter.
        tokens: written for each.
        stop: ends an answer where the base model ends it; else it is as long as it may be.
        track: draws progress.
    """
    model: Any = loaded.model
    ends = loaded.stop_ids() if stop else frozenset[int]()
    made = {("", prompt): _write(model, loaded, prompt, tokens, ends) for prompt in prompts}
    before = ""
    for adapter in track(adapters, "references of PEFT", len(adapters)):
        # Named by digest: to PEFT another version of the same name would be the same adapter.
        if before:
            model.load_adapter(adapter.path, adapter.digest)
            model.set_adapter(adapter.digest)
            model.delete_adapter(before)
        else:
            model = PeftModel.from_pretrained(model, adapter.path, adapter.digest).eval()
        before = adapter.digest
        made |= {(adapter.digest, prompt): _write(model, loaded, prompt, tokens, ends) for prompt in prompts}
    return made


@torch.inference_mode()
def _write(model: Any, loaded: LoadedBase, prompt: str, tokens: int, ends: frozenset[int]) -> Reference:
    """The best token, one after the other."""
    given = torch.tensor([loaded.prompt_ids(prompt)])
    past, written, texts, near = None, list[int](), [""], []
    for _ in range(tokens):
        out = model(input_ids=given, past_key_values=past, use_cache=True)
        past = out.past_key_values
        best = out.logits[0, -1].topk(2)
        first, second = best.indices.tolist()
        if float(best.values[0] - best.values[1]) < _TIE:
            near.append(loaded.tokenizer.decode(written if second in ends else [*written, second]))
        if first in ends:
            break
        written.append(first)
        texts.append(loaded.tokenizer.decode(written))
        given = best.indices[None, :1]
    return Reference(texts, near)
