"""`evaluate` from reports to scores.json and summary.json, with an engine that needs no model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.features import NAMES, style
from radimpress.eval.baselines import TRIVIAL
from radimpress.eval.certificate import Certificate
from radimpress.eval.gate import Rule
from radimpress.eval.gather import gather
from radimpress.eval.judgement import write_judgement
from radimpress.eval.predict import BASE, FEW_SHOT
from radimpress.eval.score import load_scores
from radimpress.reports.errors import ConfigError, ConflictError, GateError, InputError, NotFoundError
from radimpress.reports.files import read_rows, write_json
from radimpress.reports.progress import silent
from radimpress.reports.prompt import EXAMPLE, render
from radimpress.reports.report import Modality
from radimpress.reports.split import Split, split
from radimpress.reports.synthetic import synthesize
from radimpress.server import steps
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.writer import EngineWriter
from radimpress.server.recipe import EvalRecipe, Recipe
from radimpress.server.registry import Registry
from radimpress.trainer import fetch
from radimpress.trainer import fit as fitting
from radimpress.trainer.bases import BASES
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.plan import PlannedAdapter
from radimpress.trainer.settings import FitSettings
from tests.conftest import TINY
from tests.server.conftest import FAKE_BASE, make_bundle

REPORTS = [report for report in synthesize(700, 0, 0.0) if len(report.findings) > 100]
PARTS = split(REPORTS, seed=0)
CLINICS = {clinic: "list" if clinic in {"alder", "birch"} else "text" for clinic in {r.clinic for r in REPORTS}}
CLUSTERS = Clusters(
    clinics=CLINICS,
    profiles={
        clinic: dict(zip(NAMES, style(next(r.impression for r in REPORTS if r.clinic == clinic)).tolist(), strict=True))
        for clinic in CLINICS
    },
    embedder="none",
    data="",
    why="made up",
)
KNOWN = {render(report): report.impression for report in REPORTS}


@dataclass
class Knowing:
    """Writes the reference; an adapter without a word less, the base model without its last words."""

    base_digest: str = FAKE_BASE
    base_name: str = "knowing"
    context: int = 4096
    closed: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    fails_after: int = 10_000

    def prompt_tokens(self, prompt: str) -> int:
        return len(prompt.split())

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        if len(self.asked) >= self.fails_after:
            raise ConnectionError("gone")
        self.asked.append((adapter.name if adapter else "", prompt))
        own = prompt.rpartition(EXAMPLE)[2].partition("\n")[2] if prompt.startswith(EXAMPLE) else prompt
        words = KNOWN[own].split(" ")
        await asyncio.sleep(0.002)
        yield Piece(" ".join(words if adapter else words[:-1]))
        yield Piece("", "stop", 1, len(words))

    def close(self) -> None:
        """Nothing to free."""


@pytest.fixture(scope="module")
def bundles(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A unified adapter and one of the cluster "list", as `train` leaves them."""
    into = tmp_path_factory.mktemp("bundles")
    made = {}
    for seed, (name, cluster) in enumerate((("unified", None), ("cluster-list", "list"))):
        more = {"cluster": cluster, "clusters": CLUSTERS.digest}
        bundle = make_bundle(tiny_folder, into, name=name, seed=seed, base=FAKE_BASE, manifest=more)
        made[name] = bundle.path.relative_to(into).as_posix()
    write_json(into / steps.TRAINED, made)
    return into


def _evaluate(
    out: Path, bundles: Path, engine: Knowing | None = None, parts: Split = PARTS, part: str = "test", **given: int
) -> steps.Evaluation:
    recipe = Recipe(eval=EvalRecipe(**given))
    writer = EngineWriter(engine or Knowing())
    return steps.evaluate(parts, CLUSTERS, steps.load_trained(bundles), writer, out, recipe, silent, part=part)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, bundles: Path) -> tuple[Path, steps.Evaluation]:
    out = tmp_path_factory.mktemp("eval")
    return out, _evaluate(out, bundles)


def test_every_baseline_stands_beside_the_adapters(done: tuple[Path, steps.Evaluation]) -> None:
    _, found = done
    assert list(found.scores.systems) == [BASE, FEW_SHOT, "unified", "cluster-list", *TRIVIAL]
    everyone = {case.report.id for case in found.cases}
    for name, system in found.scores.systems.items():
        own = {case.report.id for case in found.cases if case.cell.cluster == "list"}
        assert set(system.scores) == (own if name == "cluster-list" else everyone)


def test_a_modalitys_adapter_is_asked_for_its_own_reports_and_judged_in_its_own_slices(
    tmp_path: Path, tiny_folder: Path
) -> None:
    more = {"cluster": None, "modality": "MR", "clusters": CLUSTERS.digest}
    own = make_bundle(tiny_folder, tmp_path / "bundles", name="modality-MR", base=FAKE_BASE, manifest=more)
    writer = EngineWriter(Knowing())
    recipe = Recipe(eval=EvalRecipe(few_shot=0))
    found = steps.evaluate(PARTS, CLUSTERS, [own], writer, tmp_path / "eval", recipe, silent)
    asked = found.scores.systems["modality-MR"]
    assert set(asked.scores) == {case.report.id for case in found.cases if case.cell.modality is Modality.MR}
    assert load_scores(tmp_path / "eval" / "scores.json").systems["modality-MR"] == asked
    cells = {str(verdict.cell) for verdict in steps.verdicts(found.scores, "modality-MR", None, Rule())[:-1]}
    assert cells == {"MR/list", "MR/text", "MR/any"}


def test_what_is_written_can_be_read_again_by_its_owner_alone(done: tuple[Path, steps.Evaluation]) -> None:
    out, found = done
    assert load_scores(out / "scores.json") == found.scores
    assert json.loads((out / "summary.json").read_text("utf-8")) == found.summary
    models = (BASE, FEW_SHOT, "unified", "cluster-list")
    assert {path.name for path in (out / "predictions").iterdir()} == {f"{name}.jsonl" for name in models}
    for path in (*out.glob("*.json"), *out.glob("predictions/*")):
        assert path.stat().st_mode & 0o777 == 0o600


def test_scores_and_summary_hold_no_report_text(done: tuple[Path, steps.Evaluation]) -> None:
    out, found = done
    text = (out / "scores.json").read_text("utf-8") + (out / "summary.json").read_text("utf-8")
    assert not [case for case in found.cases if case.report.impression[:25] in text]
    assert not [case for case in found.cases if case.report.findings[:40] in text]


def test_latency_is_measured(done: tuple[Path, steps.Evaluation]) -> None:
    seconds = [row["seconds"] for row in done[1].scores.systems["unified"].scores.values()]
    assert all(0.002 <= value < 60 for value in seconds)


def test_the_summary_tells_the_better_adapter(done: tuple[Path, steps.Evaluation]) -> None:
    overall = done[1].summary["slices"][0]["systems"]
    assert overall["unified"]["traffic"]["rougeL"]["mean"] > 0.99
    assert overall["unified"]["minus_base"]["rougeL"]["low"] > 0
    assert overall["unified"]["words_to_reference"] == pytest.approx(1.0, abs=0.01)
    assert overall["copy"]["traffic"]["rougeL"]["mean"] < overall["unified"]["traffic"]["rougeL"]["mean"]


def test_an_engine_that_broke_off_is_asked_for_the_rest_alone(tmp_path: Path, bundles: Path) -> None:
    broken, whole = Knowing(fails_after=30), Knowing()
    with pytest.raises(ConnectionError):
        _evaluate(tmp_path, bundles, broken)
    kept = len(read_rows(tmp_path / "predictions" / "base.jsonl")) - 1
    assert 0 < kept <= 30
    found = _evaluate(tmp_path, bundles, whole)
    asked = [prompt for name, prompt in whole.asked if not name and not prompt.startswith(EXAMPLE)]
    assert len(asked) == len(found.cases) - kept
    again = Knowing()
    assert _evaluate(tmp_path, bundles, again).scores == found.scores
    assert again.asked == []


def test_few_shot_prompts_hold_examples_of_training_and_can_be_left_out(tmp_path: Path, bundles: Path) -> None:
    engine = Knowing()
    _evaluate(tmp_path / "a", bundles, engine, few_shot=1, per_modality=2)
    shown = [prompt for _, prompt in engine.asked if prompt.startswith(EXAMPLE)]
    assert shown
    training = {report.impression for report in PARTS.train}
    assert all(prompt.partition("\nImpression: ")[2].partition(f"\n\n{EXAMPLE}")[0] in training for prompt in shown)
    assert FEW_SHOT not in _evaluate(tmp_path / "b", bundles, few_shot=0, per_modality=2).scores.systems


def test_another_part_can_be_judged_on(tmp_path: Path, bundles: Path) -> None:
    found = _evaluate(tmp_path, bundles, part="validation")
    assert {case.report.id for case in found.cases} == {report.id for report in PARTS.validation}
    assert load_scores(tmp_path / "scores.json").split == "validation"


def test_scores_of_the_training_part_open_no_gate(tmp_path: Path, bundles: Path) -> None:
    found = _evaluate(tmp_path, bundles, part="train", per_modality=8)
    own = {case.report.id: case.report.impression for case in found.cases}
    nearest = next(p for p in found.predictions if p.system == "nearest")
    assert any(row.impression != own[row.case] for row in nearest.rows)
    with pytest.raises(GateError, match="training part"):
        steps.gate(found.scores, "unified", None, Rule(), tmp_path / "c.json")


def test_a_test_report_that_stands_in_training_is_refused_before_anybody_is_asked(
    tmp_path: Path, bundles: Path
) -> None:
    engine = Knowing()
    leaking = Split((*PARTS.train, PARTS.test[0]), PARTS.validation, PARTS.test)
    with pytest.raises(GateError, match="meta-gate leakage"):
        _evaluate(tmp_path, bundles, engine, parts=leaking)
    assert engine.asked == []


def test_a_refused_evaluation_leaves_no_scores_of_an_earlier_one(tmp_path: Path, bundles: Path) -> None:
    _evaluate(tmp_path, bundles, per_modality=8)
    assert (tmp_path / "scores.json").exists()
    leaking = Split((*PARTS.train, PARTS.test[0]), PARTS.validation, PARTS.test)
    with pytest.raises(GateError, match="meta-gate leakage"):
        _evaluate(tmp_path, bundles, parts=leaking)
    assert not (tmp_path / "scores.json").exists()
    assert not (tmp_path / "summary.json").exists()


def test_scores_of_another_program_open_no_gate(tmp_path: Path, bundles: Path) -> None:
    found = _evaluate(tmp_path, bundles, per_modality=8)
    assert load_scores(tmp_path / "scores.json") == found.scores
    with pytest.raises(ConfigError, match="another version of the program"):
        steps.gate(replace(found.scores, code_version="0+0"), "unified", None, Rule(), tmp_path / "c.json")


def test_a_prompt_beyond_the_models_length_is_refused_before_anybody_is_asked(tmp_path: Path, bundles: Path) -> None:
    engine = Knowing(context=280)
    with pytest.raises(GateError, match="meta-gate length"):
        _evaluate(tmp_path, bundles, engine)
    assert engine.asked == []


def test_an_evaluation_that_measures_nothing_leaves_no_scores(tmp_path: Path, bundles: Path) -> None:
    class Stuck(Knowing):
        async def generate(
            self, prompt: str, adapter: AdapterBundle | None, limits: Limits
        ) -> AsyncGenerator[Piece, None]:
            yield Piece("Zebra.", "stop", 1, 1)

    with pytest.raises(GateError, match="meta-gate"):
        _evaluate(tmp_path, bundles, Stuck())
    assert not (tmp_path / "scores.json").exists()


def test_an_adapter_of_other_clusters_is_refused(tmp_path: Path, bundles: Path) -> None:
    other = replace(CLUSTERS, clinics={**CLINICS, "newcomer": "list"})
    chosen = steps.load_trained(bundles)
    with pytest.raises(ConfigError, match="other clusters"):
        steps.evaluate(PARTS, other, chosen, EngineWriter(Knowing()), tmp_path, Recipe(), silent)


def _names(found: Sequence[AdapterBundle]) -> list[str]:
    return [bundle.name for bundle in found]


def test_adapters_are_chosen_by_name_by_path_or_all(bundles: Path) -> None:
    path = next((bundles / "cluster-list").iterdir())
    assert _names(steps.choose_adapters(bundles, [])) == ["unified", "cluster-list"]
    assert _names(steps.choose_adapters(bundles, ["cluster-list"])) == ["cluster-list"]
    assert _names(steps.choose_adapters(bundles, [str(path), "unified"])) == ["cluster-list", "unified"]
    assert _names(steps.choose_adapters(bundles, [path.relative_to(bundles).as_posix()])) == ["cluster-list"]


def test_an_adapter_that_is_not_there_or_named_twice_is_refused(bundles: Path) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        steps.choose_adapters(bundles, ["nobody"])
    with pytest.raises(InputError, match="is named twice"):
        steps.choose_adapters(bundles, ["unified", str(next((bundles / "unified").iterdir()))])


def test_a_retrained_adapter_takes_the_place_of_its_predecessor_of_the_same_name(
    tmp_path: Path, tiny_folder: Path
) -> None:
    into, recipe, rule = tmp_path / "bundles", Recipe(eval=EvalRecipe(few_shot=0)), Rule(minimum=5)
    more = {"cluster": None, "clusters": CLUSTERS.digest}
    old, new = (make_bundle(tiny_folder, into, seed=seed, base=FAKE_BASE, manifest=more) for seed in (1, 2))
    registry = Registry(f"sqlite:///{tmp_path / 'registry.db'}", into)
    registry.adopt(CLUSTERS)
    paths = [bundle.path.relative_to(into).as_posix() for bundle in (old, new)]

    def judged(system: str, *paths: str) -> tuple[steps.Evaluation, Certificate]:
        chosen = steps.choose_adapters(into, paths)
        done = steps.evaluate(PARTS, CLUSTERS, chosen, EngineWriter(Knowing()), tmp_path / "eval", recipe, silent)
        return done, steps.gate(done.scores, system, registry.table(), rule, tmp_path / "c.json")

    _, certificate = judged("unified", paths[0])
    first = registry.promote(registry.register(paths[0]), certificate.encode())
    assert {str(entry.adapter) for entry in first.entries.values()} == {"unified@1"}

    with pytest.raises(GateError, match="the incumbent unified@1 was not evaluated beside unified"):
        judged("unified", paths[1])

    names = [f"unified@{bundle.digest[:8]}" for bundle in (old, new)]
    done, certificate = judged(names[1], *paths)
    assert [(s.name, s.digest) for s in done.scores.systems.values() if s.digest] == [
        (names[0], old.digest),
        (names[1], new.digest),
    ]
    assert {f"{name}.jsonl" for name in names} <= {path.name for path in (tmp_path / "eval/predictions").iterdir()}
    assert (certificate.adapter, certificate.digest) == ("unified", new.digest)
    assert {(v.incumbent, v.incumbent_digest) for v in certificate.passed if v.cell in first.entries} == {
        (names[0], old.digest)
    }
    shown = gather(certificate, done.scores, PARTS.test, CLUSTERS, tmp_path / "eval/predictions")
    assert (shown.candidate, set(shown.written)) == (names[1], {BASE, *names})
    write_judgement(tmp_path / "page.html", shown, silent)
    assert f'"candidate":"{names[1]}"' in (tmp_path / "page.html").read_text("utf-8")
    second = registry.promote(registry.register(paths[1]), certificate.encode())
    assert second.entries.keys() == first.entries.keys()
    assert {str(entry.adapter) for entry in second.entries.values()} == {"unified@2"}
    registry.close()


def _train_tiny(
    out: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, budget: float, **more: Any
) -> list[AdapterBundle]:
    monkeypatch.setitem(BASES, TINY.name, TINY)
    monkeypatch.setattr(fetch, "base_folder", lambda base, track: folder)
    given: dict[str, Any] = {"unified_reports": 4, "cluster_reports": 4, "cluster_minimum": 4, "validation_reports": 2}
    given |= more
    settings = FitSettings(rank=2, batch=1, accumulation=1, price_per_hour=3600, budget_usd=budget, **given)
    return steps.train(PARTS, CLUSTERS, out, Recipe(base=TINY.name, train=settings), silent)[1]


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_a_budget_that_is_spent_begins_no_other_adapter_and_more_goes_on(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = _train_tiny(tmp_path, tiny_folder, monkeypatch, 1e-6)
    assert [(one.name, one.manifest["stopped"]) for one in short] == [("unified", "budget")]
    assert steps.load_trained(tmp_path) == short
    whole = _train_tiny(tmp_path, tiny_folder, monkeypatch, 1e6)
    assert [one.name for one in whole] == ["unified", "cluster-list", "cluster-text"]
    assert {one.manifest["stopped"] for one in whole} == {None}


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_no_other_train_gets_in_between_two_adapters(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = fitting.fit
    tried: list[str] = []

    def between(planned: PlannedAdapter, *given: Any, **named: Any) -> AdapterBundle:
        if not tried:
            tried.append(planned.name)
            with pytest.raises(ConflictError, match="another process fits"):
                _train_tiny(tmp_path, tiny_folder, monkeypatch, 0.0)
        return fit(planned, *given, **named)

    monkeypatch.setattr(fitting, "fit", between)
    assert len(_train_tiny(tmp_path, tiny_folder, monkeypatch, 0.0)) == 3
    assert tried == ["unified"]


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_adapters_of_modalities_come_beside_the_others_and_leave_them_as_they_were(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"cluster_reports": 2, "cluster_minimum": 60}
    before = _train_tiny(tmp_path, tiny_folder, monkeypatch, 0.0, **sizes)
    after = _train_tiny(tmp_path, tiny_folder, monkeypatch, 0.0, **sizes, modality_adapters=True)
    assert after[: len(before)] == before
    own = after[len(before) :]
    assert [(one.name, one.manifest["modality"]) for one in own] == [("modality-CT", "CT"), ("modality-MR", "MR")]
    assert all(one.manifest["start"] == before[0].digest for one in own)
    assert all(set(one.manifest["data"]["modalities"]) == {one.manifest["modality"]} for one in own)
