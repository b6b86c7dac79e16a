"""`radimpress adapters card` and `push` as a person meets them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from radimpress.clustering.cell import Cell
from radimpress.eval.certificate import decode_certificate
from radimpress.eval.measure import Share
from radimpress.eval.memorisation import Memorisation
from radimpress.eval.score import Judged, Scores, System
from radimpress.reports.errors import GateError, InputError
from radimpress.reports.files import write_json
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Modality
from radimpress.server.cards import check_public, make_card
from radimpress.server.routes import AdapterVersion
from radimpress.trainer.bases import BASES
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.settings import FitSettings
from tests.conftest import TINY
from tests.hub import Hub, open_hub
from tests.server.commands import Run, run
from tests.server.conftest import CT_ANY, CT_LIST, certificate, make_bundle

__all__ = ["run"]

NONE, MANY = Share(0, 150), Share(30, 150)
DATA = {
    "digest": "d" * 64,
    "reports": 40,
    "modalities": {"MR": 30, "CT": 10},
    "cut": 2,
    "too_long": 1,
    "tokens": 12_345,
}
MANIFEST: dict[str, Any] = {
    "cluster": None,
    "modality": None,
    "data": DATA,
    "settings": FitSettings(rank=2, price_per_hour=0.34).model_dump(),
    "start": None,
    "history": [{"step": 0, "validation": 2.5}, {"step": 1, "loss": 2.0}, {"step": 1, "validation": 1.25}],
    "steps": {"made": 1, "planned": 2},
    "stopped": "budget",
    "seconds": 3600.0,
    "cost_usd": 0.34,
    "versions": {"torch": "2.13.0"},
}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BASES, TINY.name, replace(TINY, licence="mit", hub="nowhere/tiny-phi3", honest_word="A test."))
    monkeypatch.setenv("HF_TOKEN", "hf_token_of_a_test")


@pytest.fixture(scope="module")
def bundles(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("bundles")
    made = make_bundle(tiny_folder, into, manifest=MANIFEST)
    write_json(into / "trained.json", {"unified": made.path.relative_to(into).as_posix()})
    return into


@pytest.fixture(scope="module")
def bundle(bundles: Path) -> AdapterBundle:
    from radimpress.server.steps import load_trained

    return load_trained(bundles)[0]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with open_hub() as found:
        yield found


def _memory(bundle: AdapterBundle, learnt: Share = NONE, **changes: Any) -> Memorisation:
    told: dict[str, Any] = {"adapter": bundle.name, "digest": bundle.digest, "base_digest": bundle.base_digest}
    told |= {"data": DATA["digest"], "prompt_version": PROMPT_VERSION, "seed": 0, "issued": "2026-11-28T12:00:00Z"}
    told |= {"learnt": learnt, "unseen": NONE, "rare": NONE, "rare_unseen": NONE}
    return Memorisation(**{**told, **changes})


def _scores(bundle: AdapterBundle) -> Scores:
    cells = (CT_LIST, Cell(Modality.MR, "list"))
    cases = tuple(Judged(f"{cell}{at}", cell, f"{cell}{at}", 1.0) for cell in cells for at in range(20))
    systems = {
        name: System(
            name,
            digest,
            "b",
            {case.id: dict.fromkeys(("rouge1", "rouge2", "rougeL", "style"), value) for case in cases},
        )
        for name, digest, value in (("unified", bundle.digest, 0.5), ("base", "", 0.25))
    }
    return Scores(cases, systems, "c" * 64, "c" * 64, PROMPT_VERSION)


def _certificate(bundle: AdapterBundle) -> bytes:
    from datetime import UTC, datetime

    base = bundle.base_name, bundle.base_digest
    adapter = AdapterVersion("unified", 1, bundle.digest, *base, 2, "", "", datetime.now(UTC))
    return certificate(adapter, CT_LIST, CT_ANY)


def test_a_card_says_what_was_learnt_how_and_what_is_not_known(run: Run, bundles: Path, bundle: AdapterBundle) -> None:
    done = run("adapters", "card", "unified", "--bundles", bundles)
    assert done.code == 0, done.err
    head: Any = ModelCard(done.out).data
    assert (head.license, head.base_model, head.library_name) == ("mit", "nowhere/tiny-phi3", "peft")
    assert head.eval_results is None
    for words in (
        bundle.digest,
        "**A test.**",
        "| MR | 30 |\n| CT | 10 |",
        "40 reports, 12,345 tokens",
        "2 lost sentences",
        "1 were too long",
        "It learnt nothing of CR, XR, US, NM, MG, PT, RF, OTHER, UNSPECIFIED.",
        "| rank | 2 |",
        "1 of 2 steps, ended by budget, in 3,600 s, for $0.34.",
        "Validation loss 2.500 before and 1.250 after.",
        "It began afresh.",
        "None at hand: nothing is known of how good it is.",
        "Not tested: it must not be given to the public.",
        "It is no medical device.",
    ):
        assert words in done.out, words


def test_a_card_has_the_scores_verdicts_and_memory_that_are_at_hand(
    run: Run, bundles: Path, bundle: AdapterBundle, tmp_path: Path
) -> None:
    _scores(bundle).save(tmp_path / "scores.json")
    (tmp_path / "certificate.json").write_bytes(_certificate(bundle))
    _memory(bundle).save(tmp_path / "memorisation.json")
    files = [w for n in ("scores", "certificate", "memorisation") for w in (f"--{n}", tmp_path / f"{n}.json")]
    out = tmp_path / "README.md"
    done = run("adapters", "card", bundle.path, "--bundles", bundles, *files, "--out", out)
    assert (done.code, done.out) == (0, "")
    text = out.read_text("utf-8")
    assert "| all | ROUGE-L | 40 | 0.500 [0.500, 0.500] | 0.250 |" in text
    assert "| MR/any | ROUGE-L | 20 | 0.500 [0.500, 0.500] | 0.250 |" in text
    assert "| CT/list | PASS | as told |" in text
    assert "0 of 150 impressions that it learnt" in text
    head: Any = ModelCard(text).data
    assert {(one.metric_name, one.dataset_config) for one in head.eval_results} >= {
        ("ROUGE-L", "all"),
        ("ROUGE-L", "CT/any"),
    }


def test_what_is_of_another_adapter_stands_on_no_card(bundle: AdapterBundle) -> None:
    other = replace(bundle, manifest={**bundle.manifest, "files": {"adapter_model.safetensors": "e" * 64}})
    with pytest.raises(InputError, match=f"certificate: is of {bundle.digest[:12]}, and unified is eeeeeeeeeeee"):
        make_card(other, certificate=decode_certificate(_certificate(bundle)))
    with pytest.raises(InputError, match="memorisation: is of"):
        make_card(other, memory=_memory(bundle))
    with pytest.raises(InputError, match="is not in them"):
        make_card(other, _scores(bundle))
    with pytest.raises(InputError, match="training reports"):
        make_card(bundle, replace(_scores(bundle), split="train"))


def test_a_manifest_of_little_makes_a_card_too(tiny_folder: Path, tmp_path: Path) -> None:
    text = make_card(make_bundle(tiny_folder, tmp_path, manifest={"cluster": "list", "modality": "MR"}))
    assert "for the clinics of cluster list, MR alone" in text
    assert "The manifest does not say." in text


def test_a_push_is_private_and_says_where(run: Run, bundles: Path, bundle: AdapterBundle, hub: Hub) -> None:
    done = run("adapters", "push", "unified", "hospital/unified", "--bundles", bundles, "--endpoint", hub.url, "--json")
    assert done.code == 0, done.err
    assert done.rows == [
        {
            "adapter": "unified",
            "digest": bundle.digest,
            "url": f"{hub.url}/hospital/unified",
            "commit": "c0ffee",
            "private": True,
        }
    ]
    assert hub.private == {"hospital/unified": True}
    assert b"Not tested" in hub.files["hospital/unified"]["README.md"]


def _public(run: Run, bundles: Path, hub: Hub, *words: object) -> Any:
    given = ("unified", "hospital/unified", "--bundles", bundles, "--endpoint", hub.url, "--public", *words)
    return run("adapters", "push", *given)


def test_public_without_a_memorisation_test_is_refused(run: Run, bundles: Path, hub: Hub) -> None:
    done = _public(run, bundles, hub)
    assert done.code == 2
    assert "public needs a memorisation certificate" in done.error
    assert hub.asked == []


def test_public_with_one_that_was_not_passed_is_refused(
    run: Run, bundles: Path, bundle: AdapterBundle, hub: Hub, tmp_path: Path
) -> None:
    _memory(bundle, MANY).save(tmp_path / "m.json")
    done = _public(run, bundles, hub, "--memorisation", tmp_path / "m.json")
    assert done.code == 2
    assert "unified must not be public: REGRESSION: impressions that it learnt come out oftener" in done.error
    assert hub.asked == []


def test_public_with_one_that_was_passed_is_public_and_brings_it_along(
    run: Run, bundles: Path, bundle: AdapterBundle, hub: Hub, tmp_path: Path
) -> None:
    _memory(bundle).save(tmp_path / "m.json")
    done = _public(run, bundles, hub, "--memorisation", tmp_path / "m.json")
    assert done.code == 0, done.err
    assert done.out.strip().endswith("public")
    assert hub.private == {"hospital/unified": False}
    assert json.loads(hub.files["hospital/unified"]["memorisation.json"])["verdict"] == "PASS"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"digest": "e" * 64}, "adapter"),
        ({"base_digest": "e" * 64}, "base"),
        ({"data": "e" * 64}, "set of reports"),
        ({"prompt_version": "0"}, "prompt"),
    ],
)
def test_a_memorisation_test_of_something_else_opens_nothing(
    bundle: AdapterBundle, change: dict[str, Any], what: str
) -> None:
    check_public(bundle, _memory(bundle))
    with pytest.raises(GateError, match=f"of another {what}"):
        check_public(bundle, _memory(bundle, **change))


@pytest.mark.parametrize("cases", [99, 0])
def test_too_few_reports_open_nothing(bundle: AdapterBundle, cases: int) -> None:
    with pytest.raises(GateError, match="INSUFFICIENT"):
        check_public(bundle, _memory(bundle, Share(0, cases)))


def test_a_certificate_that_is_not_there_is_told(run: Run, bundles: Path, tmp_path: Path) -> None:
    done = run("adapters", "card", "unified", "--bundles", bundles, "--certificate", tmp_path / "none.json")
    assert done.code == 2
    assert "none.json: no such file" in done.error
