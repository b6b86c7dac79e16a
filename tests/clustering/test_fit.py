from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.features import NAMES
from radimpress.clustering.fit import FitRules, data_digest, fit_clusters
from radimpress.reports.errors import InputError
from radimpress.reports.house_style import STYLES
from radimpress.reports.report import Modality, Report
from radimpress.reports.synthetic import synthesize
from tests.clustering.hashing import HashEmbedder

LISTS, PARAGRAPHS, TELEGRAMS = {"alder", "birch"}, {"cedar", "dogwood"}, {"elm", "fir"}


def _fit(reports: Sequence[Report], *, largest: int = 8, minimum: int = 10, before: Clusters | None = None) -> Clusters:
    return fit_clusters(reports, HashEmbedder(), FitRules(largest=largest, minimum=minimum), before=before)


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return list(synthesize(900, 0, 0.0))


@pytest.fixture(scope="module")
def clusters(reports: list[Report]) -> Clusters:
    return _fit(reports)


def _together(clusters: Clusters) -> set[frozenset[str]]:
    return {frozenset(clinic for clinic, other in clusters.clinics.items() if other == name) for name in clusters.names}


def test_clinics_that_write_alike_come_together(clusters: Clusters) -> None:
    assert _together(clusters) == {frozenset(LISTS), frozenset(PARAGRAPHS), frozenset(TELEGRAMS)}


def test_clusters_are_named_by_how_they_write(clusters: Clusters) -> None:
    assert {clusters.of(clinic) for clinic in LISTS} == {"list"}
    assert {clusters.of(clinic) for clinic in PARAGRAPHS} == {"paragraph"}
    assert {clusters.of(clinic) for clinic in TELEGRAMS} == {"telegraphic"}


def test_the_same_reports_and_seed_give_the_same_clusters(reports: list[Report], clusters: Clusters) -> None:
    assert _fit(reports) == clusters


def test_every_clinic_has_a_profile_of_every_feature_within_0_and_1(clusters: Clusters) -> None:
    assert set(clusters.profiles) == set(STYLES) == set(clusters.clinics)
    for profile in clusters.profiles.values():
        assert tuple(profile) == NAMES
        assert all(0 <= value <= 1 for value in profile.values())


def test_the_chosen_number_has_the_best_silhouette_and_stability_together(clusters: Clusters) -> None:
    best = max(clusters.tried, key=lambda tried: tried.silhouette + tried.stability)
    assert (best, best.number) == (clusters.chosen, len(clusters.names))
    assert f"{len(clusters.names)} clusters" in clusters.why


def test_the_map_shows_every_clinic_and_clear_styles_are_stable(clusters: Clusters) -> None:
    assert {point.clinic for point in clusters.points} == set(clusters.clinics)
    assert clusters.chosen is not None
    assert 0.9 < clusters.chosen.stability <= 1


def test_no_more_clusters_than_the_largest_asked_for(reports: list[Report]) -> None:
    assert len(_fit(reports, largest=2).names) <= 2


def test_case_mix_does_not_pass_for_style(reports: list[Report]) -> None:
    scanners = {"alder", "cedar", "elm"}
    mixed = [r for r in reports if (r.modality is Modality.MR) == (r.clinic in scanners) or r.modality is Modality.CT]
    assert _together(_fit(mixed)) == {frozenset(LISTS), frozenset(PARAGRAPHS), frozenset(TELEGRAMS)}


def test_clinics_that_share_no_modality_are_not_told_apart_by_rounding_errors(reports: list[Report]) -> None:
    scanned = {"one": Modality.MR, "two": Modality.CT, "three": Modality.CR}
    lot = [
        replace(report, clinic=clinic)
        for clinic, modality in scanned.items()
        for report in reports
        if report.clinic == "cedar" and report.modality is modality
    ]
    assert len(_fit(lot).names) == 1


def test_one_clinic_is_one_cluster(reports: list[Report]) -> None:
    clusters = _fit([report for report in reports if report.clinic == "alder"])
    assert dict(clusters.clinics) == {"alder": "list"}
    assert clusters.tried == ()


@pytest.mark.parametrize(("pair", "count"), [(("alder", "elm"), 2), (("cedar", "elm"), 2)])
def test_two_clinics_part_by_how_far_they_lie(reports: list[Report], pair: tuple[str, str], count: int) -> None:
    clusters = _fit([report for report in reports if report.clinic in pair])
    assert len(clusters.names) == count


def test_two_clinics_of_one_style_are_one_cluster(reports: list[Report]) -> None:
    both = [
        replace(report, clinic=f"half {at % 2}")
        for at, report in enumerate(report for report in reports if report.clinic == "cedar")
    ]
    clusters = _fit(both)
    assert len(clusters.names) == 1
    assert clusters.why.startswith("one cluster: ")


def test_two_clinics_with_a_report_each_are_too_few_to_tell(reports: list[Report]) -> None:
    one = [next(report for report in reports if report.clinic == clinic) for clinic in ("alder", "elm")]
    clusters = _fit(one)
    assert len(clusters.names) == 1
    assert "too few reports to tell" in clusters.why


def test_clinics_that_all_write_the_same_words_are_one_cluster() -> None:
    texts = [
        Report(id=str(at), findings="", impression="No acute abnormality.", clinic=f"c{at % 3}") for at in range(60)
    ]
    assert len(_fit(texts).names) == 1


@pytest.mark.parametrize("name", ["", " ", "\n"])
def test_a_clinic_without_a_name_is_refused(reports: list[Report], name: str) -> None:
    with pytest.raises(InputError, match=f"report {reports[1].id}: has no clinic"):
        _fit([reports[0], replace(reports[1], clinic=name)])


def test_no_reports_are_refused() -> None:
    with pytest.raises(InputError, match="no clinic to cluster"):
        _fit([])


def test_a_key_that_is_gone_never_comes_again(reports: list[Report], clusters: Clusters) -> None:
    rest = _fit([report for report in reports if report.clinic not in LISTS], before=clusters)
    assert (rest.names, rest.former) == (("paragraph", "telegraphic"), ("list",))
    again = _fit(reports, before=rest)
    assert (again.names, again.former) == (("list-2", "paragraph", "telegraphic"), ("list",))


def test_a_new_key_is_no_other_clusters_title(reports: list[Report], clusters: Clusters) -> None:
    rest = _fit([report for report in reports if report.clinic not in LISTS])
    again = _fit(reports, before=rest.titled("paragraph", "list"))
    assert again.names == ("list-2", "paragraph", "telegraphic")
    assert (again.key("list"), again.title("list-2")) == ("paragraph", "list-2")


def test_the_data_digest_depends_on_all_that_is_read(reports: list[Report]) -> None:
    few = reports[:5]
    digests = {
        data_digest(few, FitRules()),
        data_digest(few, FitRules(seed=1)),
        data_digest(few, FitRules(minimum=9)),
        data_digest(few[:4], FitRules()),
        data_digest([replace(few[0], impression="other"), *few[1:]], FitRules()),
        data_digest([replace(few[0], clinic="other"), *few[1:]], FitRules()),
    }
    assert len(digests) == 6
