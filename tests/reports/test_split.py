from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.reports.report import Report
from radimpress.reports.split import Split, groups, split
from radimpress.reports.synthetic import synthesize


def _report(number: int, patient: str = "", findings: str = "", source: str = "") -> Report:
    return Report(
        id=str(number), findings=findings or f"finding {chr(97 + number % 26)}", patient=patient, source=source
    )


def _parts(parts: Split) -> dict[str, str]:
    named = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    return {report.id: name for name, reports in named.items() for report in reports}


_REPORTS = st.lists(
    st.tuples(st.sampled_from(["", "p1", "p2", "p3", "p4"]), st.sampled_from(["clear", "fluid", "mass", "stone"])),
    max_size=30,
).map(lambda rows: [_report(at, patient, findings) for at, (patient, findings) in enumerate(rows)])


@given(_REPORTS, st.integers(0, 50))
def test_every_report_is_in_exactly_one_part(reports: list[Report], seed: int) -> None:
    parts = split(reports, seed=seed)
    assert sorted(report.id for part in (parts.train, parts.validation, parts.test) for report in part) == sorted(
        report.id for report in reports
    )


@given(_REPORTS, st.integers(0, 50))
def test_no_patient_and_no_findings_are_parted(reports: list[Report], seed: int) -> None:
    where = _parts(split(reports, seed=seed))
    for key in ("patient", "findings"):
        homes: dict[str, set[str]] = {}
        for report in reports:
            if getattr(report, key):
                homes.setdefault(getattr(report, key), set()).add(where[report.id])
        assert all(len(parts) == 1 for parts in homes.values())


def test_a_chain_of_patient_and_findings_stays_together() -> None:
    chain = [_report(0, "p1", "mass"), _report(1, "p2", "mass"), _report(2, "p2", "stone"), _report(3, "", "stone")]
    assert len(set(groups(chain))) == 1


def test_findings_that_differ_only_in_numbers_case_and_spaces_stay_together() -> None:
    assert len(set(groups([_report(0, "p1", "A 3 mm  nodule"), _report(1, "p2", "a 1.7 mm\nnodule")]))) == 1


def test_patients_of_the_same_name_in_two_sources_are_two_patients() -> None:
    assert len(set(groups([_report(0, "p1", "mass", "north"), _report(1, "p1", "stone", "south")]))) == 2


def test_reports_without_a_patient_are_not_one_patient() -> None:
    assert len(set(groups([_report(0, "", "mass"), _report(1, "", "stone")]))) == 2


@given(_REPORTS, st.randoms(use_true_random=False))
def test_the_order_of_reports_does_not_matter(reports: list[Report], chance: random.Random) -> None:
    shuffled = list(reports)
    chance.shuffle(shuffled)
    assert _parts(split(shuffled, seed=1)) == _parts(split(reports, seed=1))


def _unmoved(before: Sequence[Report], after: Sequence[Report]) -> bool:
    old, new = _parts(split(before, seed=3)), _parts(split(after, seed=3))
    return all(new[name] == part for name, part in old.items())


def test_reports_of_others_move_nobody() -> None:
    first = [_report(at, f"p{at}", f"finding {'a' * at}") for at in range(100)]
    others = [_report(at, f"p{at}", f"finding {'b' * at}") for at in range(100, 200)]
    assert _unmoved(first, [*others, *first])


def test_a_new_report_of_a_patient_does_not_move_the_earlier_ones() -> None:
    first = [_report(at, f"p{at}", f"finding {'a' * at}") for at in range(100)]
    again = [_report(at, f"p{at - 100}", f"finding {'b' * at}") for at in range(100, 200)]
    assert _unmoved(first, [*first, *again])


def test_the_parts_have_about_the_shares_that_were_asked_for() -> None:
    reports = [_report(at, findings=f"finding {'a' * at}") for at in range(1000)]
    parts = split(reports, seed=0, train=0.5, test=0.3)
    assert len(parts.train) == pytest.approx(500, abs=60)
    assert len(parts.test) == pytest.approx(300, abs=60)


def test_the_seed_decides() -> None:
    reports = list(synthesize(200, 0, 0.0))
    assert _parts(split(reports, seed=1)) == _parts(split(reports, seed=1))
    assert _parts(split(reports, seed=1)) != _parts(split(reports, seed=2))


def test_nothing_splits_into_nothing() -> None:
    assert split([], seed=0) == Split((), (), ())


def _sentence(chance: random.Random) -> str:
    return " ".join("".join(chance.choices("aeioubdgkl", k=5)) for _ in range(60))


def test_of_reports_without_a_patient_those_that_are_nearly_the_same_stay_together() -> None:
    chance = random.Random(5)
    texts = [_sentence(chance) for _ in range(80)]
    near = [text.rpartition(" ")[0] + " today" for text in texts]
    found = groups([_report(at, findings=text) for at, text in enumerate([*texts, *near])])
    assert found[:80] == found[80:]
    assert len(set(found)) == 80
    # Whose they are says more than what they say.
    owned = groups([_report(at, f"p{at}", text) for at, text in enumerate([*texts, *near])])
    assert len(set(owned)) == 160


def test_reports_without_a_patient_are_moved_by_others_not_at_all_and_by_their_like_seldom() -> None:
    chance = random.Random(6)
    first = [_report(at, findings=_sentence(chance)) for at in range(300)]
    others = [_report(1000 + at, findings=_sentence(chance)) for at in range(300)]
    assert _unmoved(first, [*others, *first])
    like = [_report(2000 + at, findings=one.findings.rpartition(" ")[0] + " today") for at, one in enumerate(first)]
    before, after = _parts(split(first, seed=3)), _parts(split([*like, *first], seed=3))
    assert sum(after[one] != part for one, part in before.items()) < 0.1 * len(first)
    assert all(after[str(2000 + at)] == after[str(at)] for at in range(300))
    # Numbers aside, as ever.
    assert _unmoved(first, [*first, *(_report(3000 + at, findings=one.findings) for at, one in enumerate(first))])


def test_findings_that_a_template_makes_do_not_join_everybody() -> None:
    # Every patient shares findings with the next one.
    chain = [_report(2 * at + one, f"p{at}", f"finding {'a' * (at + one)}") for at in range(300) for one in (0, 1)]
    assert len(set(groups(chain[:100]))) == 1
    assert len(set(groups(chain))) == 300
    parts = split(chain, seed=1)
    assert len(parts.train) == pytest.approx(420, abs=60)
    # What has no patient parts by its findings.
    alone = [replace(report, patient="") for report in chain for _ in range(2)]
    assert len(set(groups(alone))) == 301
