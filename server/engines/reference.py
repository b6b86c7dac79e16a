"""The base model's own fingerprint, taken from its weights: with it no server has to be believed, not even the first.

Taking it needs the whole model in memory, once; it is kept in the cache, under the digest of the model's files and
of what it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from radimpress.reports.cache import cache_folder
from radimpress.reports.errors import NotFoundError
from radimpress.reports.files import digest_of, read_json, write_json
from radimpress.server.engines.fingerprint import LIKELIEST, PROBES, Fingerprint
from radimpress.trainer.bases import BaseModel
from radimpress.trainer.load import BaseTokens, load_base


def probe_ids(tokens: BaseTokens) -> list[list[int]]:
    """Token ids of what fingerprints are taken with."""
    return [tokens.prompt_ids(text) for text in PROBES]


def kept_reference(digest: str, probes: Sequence[Sequence[int]]) -> Fingerprint | None:
    """The fingerprint that was kept for a base model; None where none was taken.

    Args:
        digest: over the base model's files.
        probes: token ids of what it was taken with.
    """
    try:
        kept = read_json(_place(digest, probes))
    except NotFoundError:
        return None
    return [{int(token): float(score) for token, score in one.items()} for one in kept]


def take_reference(base: BaseModel, folder: Path) -> Path:
    """Takes a base model's fingerprint from its files, not quantised, and keeps it; gives the file."""
    import torch

    loaded = load_base(base, folder, "none")
    probes = probe_ids(loaded.tokens)
    taken = []
    with torch.inference_mode():
        for ids in probes:
            best = loaded.model(torch.tensor([ids])).logits[0, -1].float().log_softmax(-1).topk(LIKELIEST)
            taken.append(dict(zip(best.indices.tolist(), best.values.tolist(), strict=True)))
    place = _place(loaded.digest, probes)
    write_json(place, taken)
    return place


def _place(digest: str, probes: Sequence[Sequence[int]]) -> Path:
    return cache_folder() / "fingerprints" / f"{digest_of([digest, probes])}.json"
