"""Corpora whose truth is known: what is said of them has to be so, or every figure of clusters is of something else."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from radimpress.clustering.features import NAMES, style
from radimpress.reports.report import Modality
from radimpress.server.bench.styles import MAIN, WAYS, case_mix, changed_hand, make_corpus, make_hand, write

# Way of writing -> a feature that it has more of than plain prose has.
MARKS = {
    "list": "listed",
    "clipped": "telegraphic",
    "hedging prose": "hedges",
    "advising prose": "recommends",
    "labelled": "headed",
    "comparing at length": "length",
}


def _mean(way: str, feature: str, seed: int = 0) -> float:
    chance = random.Random(seed)
    counted = []
    for _ in range(6):
        hand = make_hand(WAYS[way], chance)
        reports = write("c", hand, case_mix(Modality.CT), 25, chance)
        counted += [style(report.impression, report.findings) for report in reports]
    at = NAMES.index(feature)
    return float(sum(row[at] for row in counted) / len(counted))


@pytest.mark.parametrize(("way", "feature"), MARKS.items())
def test_each_way_of_writing_shows_in_the_feature_that_it_is_named_for(way: str, feature: str) -> None:
    assert _mean(way, feature) > _mean("prose", feature) + 0.15


def test_a_bottom_line_is_short_and_says_nothing_of_what_is_absent() -> None:
    assert _mean("bottom line", "length") < 0.6 * _mean("prose", "length")
    assert _mean("bottom line", "closes_negative") < 0.3 < _mean("prose", "closes_negative")


def test_a_corpus_is_what_its_seed_makes_it_and_every_report_has_a_truth() -> None:
    one, same, other = (make_corpus(seed, clinics=16, reports=10) for seed in (3, 3, 4))
    assert one == same
    assert one.reports != other.reports
    assert {report.clinic for report in one.reports} == set(one.truth) == set(one.hands) == set(one.mixes)
    assert Counter(one.truth.values()) == Counter(dict.fromkeys(WAYS, 2))
    sizes = Counter(report.clinic for report in one.reports)
    assert 5 <= min(sizes.values()) < max(sizes.values()) <= 20


def test_case_mix_is_tied_to_style_where_that_is_asked_for() -> None:
    tied = make_corpus(0, clinics=80, reports=4)
    assert all(max(mix.values()) == MAIN for mix in tied.mixes.values())
    # Of one style, more clinics scan mostly one thing than a draw by chance among eight would make.
    main = {clinic: next(m for m, share in mix.items() if share == MAIN) for clinic, mix in tied.mixes.items()}
    most = [Counter(main[clinic] for clinic, other in tied.truth.items() if other == way) for way in WAYS]
    assert sum(count.most_common(1)[0][1] for count in most) / 80 > 0.45
    free = make_corpus(0, clinics=4, reports=4, confounded=False)
    assert len({tuple(mix.items()) for mix in free.mixes.values()}) == 1


def test_a_clinic_that_changes_keeps_its_words() -> None:
    chance = random.Random(0)
    before = make_hand(WAYS["prose"], chance)
    after = changed_hand(before, WAYS["list"], chance)
    assert (after.lead, after.label, after.mark, after.upper) == (before.lead, before.label, before.mark, before.upper)
    assert before.way.itemised < 0.2
    assert after.way.itemised > 0.8
