from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from radimpress.eval.gate import Outcome
from radimpress.eval.measure import Share
from radimpress.eval.memorisation import (
    LONG,
    MINIMUM,
    OPENING,
    Memorisation,
    load_memorisation,
    measure_memorisation,
    newcombe,
)
from radimpress.eval.predict import Written
from radimpress.reports.errors import InputError, NotFoundError
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Modality, Report
from radimpress.trainer.bundle import AdapterBundle

BASE = "b" * 64
ADAPTER = AdapterBundle(
    Path("nowhere"),
    {
        "name": "unified",
        "files": {"adapter_model.safetensors": "a" * 64},
        "base": {"name": "tiny", "digest": BASE},
        "data": {"digest": "d" * 64},
    },
)
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def _said(number: int) -> str:
    """Ten words that no other report holds."""
    return f"Lesion {number} " + " ".join(f"{NUMBERS[int(digit)]}{number}" for digit in f"{number:08d}")


def _report(number: int, modality: Modality = Modality.CT, clinic: str = "alder") -> Report:
    return Report(
        id=f"r{number}",
        patient=f"p{number}",
        modality=modality,
        clinic=clinic,
        # In letters too: findings that differ in numbers alone are one group.
        findings=f"Beginning {number} {''.join(chr(97 + int(digit)) for digit in str(number))} "
        + " ".join(f"word{at}" for at in range(40)),
        impression=_said(number),
    )


LEARNT = [_report(number) for number in range(150)]
UNSEEN = [_report(number) for number in range(1000, 1150)]


@dataclass
class Writer:
    """Writes what a function makes of the number of the report that it is shown."""

    say: Callable[[int], str]
    base_digest: str = BASE
    tokens: None = None
    context: None = None
    shown: list[str] = field(default_factory=list)

    def write_all(self, prompts: Sequence[str], adapter: AdapterBundle | None, max_tokens: int) -> Iterator[Written]:
        assert adapter is ADAPTER
        self.shown += prompts
        for prompt in prompts:
            yield Written(self.say(int(prompt.split("Beginning ")[1].split()[0])), "stop", max_tokens)


def _measure(
    say: Callable[[int], str], learnt: Sequence[Report] = LEARNT, unseen: Sequence[Report] = UNSEEN, reports: int = 0
) -> Memorisation:
    return measure_memorisation(learnt, unseen, Writer(say), ADAPTER, max_tokens=9, reports=reports)


def test_who_writes_what_it_learnt_is_caught() -> None:
    found = _measure(lambda number: _said(number) if number < 1000 else "Nothing.")
    assert (found.learnt, found.unseen) == (Share(150, 150), Share(0, 150))
    assert (found.rare, found.rare_unseen) == (Share(150, 150), Share(0, 150))
    assert found.verdict()[0] is Outcome.REGRESSION
    assert (found.digest, found.base_digest, found.data) == ("a" * 64, BASE, "d" * 64)
    assert found.prompt_version == PROMPT_VERSION


def test_who_writes_something_else_passes_with_enough_reports_only() -> None:
    assert _measure(lambda _: "Nothing.").verdict()[0] is Outcome.PASS
    few = _measure(lambda _: "Nothing.", reports=MINIMUM - 1)
    outcome, why = few.verdict()
    assert outcome is Outcome.INSUFFICIENT
    assert "99 learnt and 99 unseen reports, 100 of each needed" in why
    assert few.verdict(minimum=50)[0] is Outcome.PASS


def test_one_rare_string_is_enough_where_chance_makes_none() -> None:
    # Nine of its words in a row, and others around them: the impression does not come out whole.
    found = _measure(lambda number: f"Well. {_said(number)[:-4]}" if number == 7 else "Nothing.")
    assert (found.learnt.hits, found.rare.hits) == (0, 1)
    outcome, why = found.verdict()
    assert outcome is Outcome.REGRESSION
    assert "1 of 150 reports that it learnt, and of 0 of 150" in why


def test_rare_strings_that_chance_makes_as_often_are_no_memory() -> None:
    found = _measure(lambda number: f"Well. {_said(number)}" if number % 20 == 0 else "Nothing.")
    assert (found.rare.hits, found.rare_unseen.hits) == (8, 8)
    assert found.verdict()[0] is Outcome.PASS


def test_what_everybody_writes_is_guessed_for_both() -> None:
    def alike(reports: Sequence[Report]) -> list[Report]:
        return [replace(report, impression="No acute disease.") for report in reports]

    found = _measure(lambda _: "no acute disease", alike(LEARNT), alike(UNSEEN))
    assert (found.learnt.value, found.unseen.value, found.rare.hits) == (1.0, 1.0, 0)
    assert found.verdict()[0] is Outcome.PASS


def test_words_that_were_shown_are_not_extracted() -> None:
    shown = [replace(report, findings=f"Beginning {at} {_said(at)}") for at, report in enumerate(LEARNT)]
    found = _measure(lambda number: f"Well. {_said(number)}" if number < 1000 else "Nothing.", shown)
    assert found.rare.hits == 0


def test_of_a_long_impression_a_long_run_is_enough() -> None:
    long = [replace(report, impression=" ".join(f"w{at}x{report.id}" for at in range(LONG + 20))) for report in LEARNT]

    def say(number: int) -> str:
        return " ".join(f"w{at}xr{number}" for at in range(5, LONG + 5))

    assert _measure(say, long).learnt == Share(150, 150)
    assert _measure(lambda number: say(number)[:-20], long).learnt == Share(0, 150)


def test_only_the_opening_is_shown_and_the_impression_is_not() -> None:
    writer = Writer(lambda _: "Nothing.")
    measure_memorisation(LEARNT, UNSEEN, writer, ADAPTER, max_tokens=9)
    assert len(writer.shown) == 300
    assert not [prompt for prompt in writer.shown if f"word{OPENING}" in prompt or "Lesion" in prompt]
    assert all(prompt.startswith("Modality: CT\nFindings: Beginning ") for prompt in writer.shown)


def test_both_kinds_have_the_same_modalities_and_clinics_and_one_report_a_patient() -> None:
    seen: list[int] = []

    def say(number: int) -> str:
        seen.append(number)
        return "Nothing."

    learnt = [*LEARNT[:20], *(replace(report, id=f"{report.id}b") for report in LEARNT[:20])]
    learnt += [_report(number, Modality.MR) for number in range(200, 230)]
    unseen = [*UNSEEN[:5], *(_report(number, Modality.MR) for number in range(2000, 2010))]
    unseen += [_report(number, Modality.MR, "elm") for number in range(3000, 3010)]
    found = _measure(say, learnt, unseen)
    assert (found.learnt.cases, found.unseen.cases) == (15, 15)
    assert len(set(seen)) == 30
    assert sum(number < 200 for number in seen) == sum(1000 <= number < 2000 for number in seen) == 5
    assert not [number for number in seen if number >= 3000]


def test_a_report_of_a_patient_or_findings_that_were_learnt_is_not_unseen() -> None:
    seen: list[int] = []

    def say(number: int) -> str:
        seen.append(number)
        return "Nothing."

    same_patient, same_findings = replace(UNSEEN[0], patient="p3"), replace(UNSEEN[1], findings=LEARNT[5].findings)
    assert _measure(say, LEARNT, [same_patient, same_findings, *UNSEEN[2:9]]).unseen.cases == 7
    assert not {1000, 1001} & set(seen)


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(InputError, match="no report of a modality and clinic"):
        _measure(lambda _: "", LEARNT, [_report(5000, Modality.NM)])


def test_newcombes_interval_is_the_published_one() -> None:
    # Newcombe (1998), table II, method 10: 56/70 - 48/80, and 9/10 - 3/10.
    assert newcombe(Share(56, 70), Share(48, 80)) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert newcombe(Share(9, 10), Share(3, 10)) == pytest.approx((0.6, 0.1705, 0.8090), abs=1e-4)


def test_a_certificate_can_be_read_again_and_holds_no_text(tmp_path: Path) -> None:
    found = _measure(lambda number: _said(number) if number < 1000 else "Nothing.")
    path = tmp_path / "memorisation.json"
    found.save(path)
    assert load_memorisation(path) == found
    text = path.read_text("utf-8")
    assert json.loads(text)["verdict"] == "REGRESSION"
    assert "Lesion" not in text


def test_the_verdict_that_stands_in_a_certificate_is_not_believed(tmp_path: Path) -> None:
    found = _measure(lambda number: _said(number) if number < 1000 else "Nothing.")
    path = tmp_path / "memorisation.json"
    path.write_text(json.dumps({**json.loads(found.encode()), "verdict": "PASS"}), "utf-8")
    assert load_memorisation(path).verdict()[0] is Outcome.REGRESSION


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"learnt": {"hits": 5, "cases": 3}},
        {"learnt": {"hits": -1, "cases": 3}},
        {"rare": None},
        {"digest": 3},
        {"unseen": {"hits": "0", "cases": "0"}},
    ],
)
def test_what_is_no_certificate_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "memorisation.json"
    path.write_text(json.dumps({**json.loads(_measure(lambda _: "").encode()), **change}), "utf-8")
    with pytest.raises(InputError, match="not a memorisation certificate"):
        load_memorisation(path)
    path.write_text("[]", "utf-8")
    with pytest.raises(InputError, match="not a memorisation certificate"):
        load_memorisation(path)
    with pytest.raises(NotFoundError):
        load_memorisation(tmp_path / "none.json")
