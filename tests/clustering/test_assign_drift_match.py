"""A new clinic, a year of months and a refit, on clinics whose way of writing is known."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from radimpress.clustering.assign import assign
from radimpress.clustering.clusters import Clusters
from radimpress.clustering.drift import drift
from radimpress.clustering.fit import FitRules, fit_clusters
from radimpress.clustering.vectors import vectors_of
from radimpress.reports.errors import ConfigError, InputError, NotFoundError
from radimpress.reports.report import Modality, Report
from radimpress.server.bench.clustering import agreement
from radimpress.server.bench.styles import WAYS, Corpus, case_mix, changed_hand, make_corpus, make_hand, write
from tests.clustering.hashing import HashEmbedder

KNOWN = ("prose", "list", "clipped")
RULES = FitRules(minimum=1)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus(5, clinics=18, ways=KNOWN, reports=40)


@pytest.fixture(scope="module")
def clusters(corpus: Corpus) -> Clusters:
    return fit_clusters(corpus.reports, HashEmbedder(), RULES)


def _new(way: str, count: int, seed: int = 0) -> list[Report]:
    chance = random.Random(seed)
    return list(write("new", make_hand(WAYS[way], chance), case_mix(Modality.US), count, chance))


def test_case_mix_confounded_with_style_is_seen_through(corpus: Corpus, clusters: Clusters) -> None:
    assert agreement(clusters, corpus.truth) == 1.0
    assert min(member.sure for member in clusters.members.values()) > 0.9


@pytest.mark.parametrize("way", KNOWN)
def test_a_new_clinic_goes_to_its_style(corpus: Corpus, clusters: Clusters, way: str) -> None:
    home = clusters.of(next(clinic for clinic, other in corpus.truth.items() if other == way))
    reports = _new(way, 20)
    said = assign(clusters, reports, vectors_of(reports, HashEmbedder()))
    assert said.cluster == home
    assert said.probabilities[said.nearest] > 0.9
    assert 0 <= said.distance <= said.radius
    assert sum(said.probabilities.values()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("way", ["labelled", "comparing at length"])
def test_a_style_that_nobody_knows_is_unsure(clusters: Clusters, way: str) -> None:
    reports = _new(way, 20)
    said = assign(clusters, reports, vectors_of(reports, HashEmbedder()))
    assert said.cluster is None
    assert "no known style" in said.why
    assert said.distance > said.radius


def test_people_read_titles_not_keys(clusters: Clusters) -> None:
    key = clusters.names[0]
    home = next(clinic for clinic, other in clusters.clinics.items() if other == key)
    titled = clusters.titled(key, "As we write")
    for way in (*KNOWN, "labelled"):
        reports = _new(way, 20)
        said = assign(titled, reports, vectors_of(reports, HashEmbedder()))
        assert (titled.title(said.nearest) in said.why) is True
        assert (key in said.why) is False
    assert home in titled.clinics


def test_features_that_another_version_counted_are_refused(corpus: Corpus, clusters: Clusters) -> None:
    assert clusters.space is not None
    old = replace(clusters, space=replace(clusters.space, counted="0" * 64))
    reports = _new("list", 20)
    made = vectors_of(reports, HashEmbedder())
    with pytest.raises(ConfigError, match="another version"):
        assign(old, reports, made)
    with pytest.raises(ConfigError, match="another version"):
        drift(old, next(iter(corpus.truth)), {"a": (reports, made)})


def test_too_few_reports_are_unsure_and_no_reports_are_refused(clusters: Clusters) -> None:
    reports = _new("list", 4)
    assert assign(clusters, reports, vectors_of(reports, HashEmbedder())).cluster is None
    with pytest.raises(InputError):
        assign(replace(clusters, space=None), reports, vectors_of(reports, HashEmbedder()))


def test_a_clinic_with_few_reports_is_assigned_after_the_fit_and_says_so(corpus: Corpus) -> None:
    few = [replace(report, clinic="few") for report in _new("list", 7)]
    lone = [replace(report, clinic="lone") for report in _new("list", 1)]
    made = fit_clusters([*corpus.reports, *few, *lone], HashEmbedder(), RULES)
    assert "too few to be fitted" in made.members["few"].note
    assert made.of("lone") is None
    assert "1 reports are too few" in made.unsure["lone"]
    assert set(made.profiles) == {*corpus.truth, "few", "lone"}


def test_reports_of_a_clinic_that_was_assigned_after_the_fit_count_for_its_cluster(
    corpus: Corpus, clusters: Clusters
) -> None:
    few = [replace(report, clinic="few") for report in _new("list", 7)]
    enough = clusters.clusters["list"].reports + 7
    made = fit_clusters([*corpus.reports, *few], HashEmbedder(), FitRules(minimum=enough))
    counts = Counter(made.of(report.clinic) for report in (*corpus.reports, *few))
    assert (made.of("few"), counts["list"]) == ("list", enough)
    assert {name: cluster.reports for name, cluster in made.clusters.items()} == counts
    assert {name for name, cluster in made.clusters.items() if cluster.unified} == {
        name for name, count in counts.items() if count < enough
    }


def test_a_changed_clinic_alarms_and_says_what_changed_and_others_do_not(corpus: Corpus, clusters: Clusters) -> None:
    chance = random.Random(1)
    for clinic in sorted(corpus.truth)[:3]:
        hand, mix = corpus.hands[clinic], corpus.mixes[clinic]
        steady = list(write(clinic, hand, mix, 60, chance, first=1000))
        other = "list" if corpus.truth[clinic] != "list" else "clipped"
        changed = list(write(clinic, changed_hand(hand, WAYS[other], chance), mix, 60, chance, first=2000))
        months = {name: (rows, vectors_of(rows, HashEmbedder())) for name, rows in (("a", steady), ("b", changed))}
        before, after = drift(clusters, clinic, months)
        assert (before.alarm, after.alarm) == (False, True)
        assert before.distance is not None
        assert after.distance is not None
        assert 0 <= before.distance <= before.limit < after.distance
        assert after.changed
        assert after.changed[0].feature.replace("_", " ") in after.why


def test_a_month_of_few_reports_and_an_unknown_clinic(corpus: Corpus, clusters: Clusters) -> None:
    rows = _new("list", 3)
    month = drift(clusters, next(iter(corpus.truth)), {"a": (rows, vectors_of(rows, HashEmbedder()))})[0]
    assert (month.alarm, month.distance) == (False, None)
    assert "too few" in month.why
    with pytest.raises(NotFoundError):
        drift(clusters, "nobody", {})


def test_a_refit_keeps_keys_and_titles_and_says_who_moved_and_why(corpus: Corpus, clusters: Clusters) -> None:
    name = clusters.names[0]
    titled = clusters.titled(name, "Ours")
    mover = next(clinic for clinic, other in corpus.truth.items() if other == "prose")
    chance = random.Random(2)
    hand = changed_hand(corpus.hands[mover], WAYS["list"], chance)
    rewritten = list(write(mover, hand, corpus.mixes[mover], 60, chance))
    reports = [report for report in corpus.reports if report.clinic != mover] + rewritten
    again = fit_clusters(reports, HashEmbedder(), RULES, before=titled)
    assert (again.version, again.before) == (2, titled.digest)
    assert again.names == titled.names
    assert again.title(name) == "Ours"
    assert [move.clinic for move in again.moved] == [mover]
    assert "listed 0." in again.moved[0].why


def test_a_cluster_that_nobody_had_gets_a_key_that_nobody_had(corpus: Corpus, clusters: Clusters) -> None:
    chance = random.Random(3)
    added = [
        report
        for number in range(6)
        for report in write(
            f"late-{number}", make_hand(WAYS["comparing at length"], chance), case_mix(Modality.MR), 40, chance
        )
    ]
    again = fit_clusters([*corpus.reports, *added], HashEmbedder(), RULES, before=clusters)
    assert set(clusters.names) < set(again.names)
    assert {clinic: again.of(clinic) for clinic in corpus.truth} == dict(clusters.clinics)


def test_a_cluster_with_too_few_reports_is_left_to_the_unified_adapter_and_says_so(corpus: Corpus) -> None:
    small = {clinic for clinic, way in corpus.truth.items() if way == "list"}
    kept = [r for r in corpus.reports if r.clinic not in small or int(r.id[-2:]) < 12]
    made = fit_clusters(kept, HashEmbedder(), FitRules(minimum=150))
    left = [cluster for cluster in made.clusters.values() if cluster.unified]
    assert len(left) == 1
    assert "fewer than the 150" in left[0].unified
    assert agreement(made, corpus.truth) == 1.0
