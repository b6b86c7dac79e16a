from __future__ import annotations

from pathlib import Path

from radimpress.server.bench.references import Reference, references
from radimpress.trainer.load import load_base
from tests.conftest import TINY
from tests.server.conftest import make_bundle

PROMPTS = ["Findings: The lungs are clear.", "Findings: No acute fracture."]


def test_base_and_each_adapter_have_references_of_their_own(tiny_folder: Path, tmp_path: Path) -> None:
    adapters = [make_bundle(tiny_folder, tmp_path, name="one", seed=seed) for seed in (1, 2)]
    known = references(load_base(TINY, tiny_folder), adapters, PROMPTS, 12)
    assert set(known) == {(digest, prompt) for digest in ("", *(a.digest for a in adapters)) for prompt in PROMPTS}
    for prompt in PROMPTS:
        assert len({known[digest, prompt].texts[-1] for digest in ("", *(a.digest for a in adapters))}) == 3
    again = references(load_base(TINY, tiny_folder), adapters[::-1], PROMPTS, 12)
    assert again == known


def test_a_text_is_known_as_far_as_it_goes_along() -> None:
    one = Reference(["", "a", "ab", "abc"], ["ax"])
    assert [one.known(text, 3) for text in ("", "a", "abz", "abc")] == [0, 1, 2, 3]
    assert one.known("abc", 2) == 2
    assert [one.tied(text) for text in ("axy", "abc")] == [True, False]
