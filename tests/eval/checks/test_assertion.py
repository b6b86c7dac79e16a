from __future__ import annotations

from collections import Counter

import pytest

from radimpress.eval.measure import Negated, negation_right, negation_set, read_assertion


def test_the_test_set_is_large_and_varied() -> None:
    cases = negation_set()
    assert len(cases) >= 150
    assert len({case.sentence + case.concept for case in cases}) == len(cases)
    kinds = Counter(case.kind for case in cases)
    assert {"list", "no longer", "resolved", "clear of", "exclude", "unchanged", "double"} <= set(kinds)
    assert min(Counter(case.assertion for case in cases).values()) > 20


def test_nineteen_of_twenty_sentences_of_the_test_set_are_read_rightly() -> None:
    assert negation_right() >= 0.95


@pytest.mark.parametrize("kind", sorted({case.kind for case in negation_set()}))
def test_no_kind_is_read_badly(kind: str) -> None:
    cases: list[Negated] = [case for case in negation_set() if case.kind == kind]
    wrong = [case for case in cases if read_assertion(case.sentence, case.concept) != case.assertion]
    assert len(wrong) <= 0.2 * len(cases)


@pytest.mark.parametrize("finding", ["nodule", "fluid collection", "zebra"])
@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("No {}.", "absent"),
        ("{} is not seen.", "absent"),
        ("No mass, cyst, or {}.", "absent"),
        ("The {} has resolved.", "absent"),
        ("There is a {}.", "present"),
        ("No cyst but a {}.", "present"),
        ("No change in the {}.", "present"),
        ("The {} is not significantly changed.", "present"),
        ("Cannot exclude a {}.", "uncertain"),
        ("A {} cannot be entirely excluded.", "uncertain"),
        ("Possible {}.", "uncertain"),
    ],
)
def test_the_rules_ask_not_what_the_finding_is(frame: str, said: str, finding: str) -> None:
    assert read_assertion(frame.format(finding), finding) == said
    assert read_assertion(frame.format(finding).upper(), finding.upper()) == said
