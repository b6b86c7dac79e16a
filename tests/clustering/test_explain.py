from __future__ import annotations

from dataclasses import replace

import pytest

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.explain import _WORDS, explain, figure
from radimpress.clustering.features import NAMES
from radimpress.clustering.values import Cluster
from radimpress.reports.errors import NotFoundError

CLINICS = {"alder": "list", "birch": "list", "cedar": "plain", "dogwood": "plain", "elm": "plain", "fir": "long"}


def _cluster(error: float = 0.01, **features: float) -> Cluster:
    adjusted = dict.fromkeys(NAMES, 0.4) | features
    return Cluster(title="x", reports=100, adjusted=adjusted, error=dict.fromkeys(NAMES, error))


def _clusters(**own: Cluster) -> Clusters:
    names = {clinic: name for clinic, name in CLINICS.items() if name in own}
    return Clusters(clinics=names, profiles={}, embedder="", data="", why="", clusters=own)


def test_every_feature_has_words() -> None:
    assert tuple(sorted(_WORDS)) == tuple(sorted(NAMES))


def test_what_differs_most_is_told_first_with_its_figures() -> None:
    made = _clusters(list=_cluster(listed=0.92, hedges=0.6), plain=_cluster(listed=0.08))
    assert [trait.text for trait in explain(made, "list")] == [
        "writes lists (92% of impressions, others 8%)",
        "hedges (60% of impressions, others 40%)",
    ]
    assert [trait.words for trait in explain(made, "plain")] == ["seldom writes lists", "hedges less often"]


def test_others_count_by_their_clinics() -> None:
    made = _clusters(list=_cluster(), plain=_cluster(hedges=0.8), long=_cluster(hedges=0.0))
    (trait,) = explain(made, "list")
    # Three clinics that hedge and one that does not.
    assert trait.others == pytest.approx(0.6)
    assert trait.text == "hedges less often (40% of impressions, others 60%)"


def test_the_interval_is_of_the_difference() -> None:
    made = _clusters(list=_cluster(error=0.03, hedges=0.8), plain=_cluster(error=0.04))
    (trait,) = explain(made, "list")
    assert trait.doubt == "difference +40%, 95% +30% to +50%"
    assert [trait.low, trait.high] == pytest.approx([0.4 - 1.96 * 0.05, 0.4 + 1.96 * 0.05], abs=1e-4)


@pytest.mark.parametrize(("error", "told"), [(0.01, 1), (0.06, 0)])
def test_what_chance_makes_is_not_told(error: float, told: int) -> None:
    # 0.2 is 14 and 2.4 standard errors; over 26 features chance makes 3.1 once in 20 clusters.
    made = _clusters(list=_cluster(error=error, hedges=0.6), plain=_cluster(error=error))
    assert len(explain(made, "list")) == told


def test_what_a_reader_would_overlook_is_not_told() -> None:
    assert explain(_clusters(list=_cluster(error=0.001, hedges=0.47), plain=_cluster(error=0.001)), "list") == ()


def test_what_one_other_cluster_does_sets_only_that_one_apart() -> None:
    made = _clusters(list=_cluster(), plain=_cluster(), long=_cluster(hedges=1.0))
    assert [len(explain(made, name)) for name in made.names] == [0, 1, 0]


def test_what_says_the_same_is_said_once() -> None:
    made = _clusters(list=_cluster(listed=0.9, numbered=0.95, bulleted=0.0), plain=_cluster(listed=0.1, numbered=0.1))
    assert [trait.feature for trait in explain(made, "list")] == ["numbered"]


def test_no_more_than_asked_for() -> None:
    made = _clusters(list=_cluster(**dict.fromkeys(NAMES, 0.9)), plain=_cluster())
    assert len(explain(made, "list", 4)) == 4
    assert len(explain(made, "list", 99)) == len({said.family or name for name, said in _WORDS.items()})


def test_one_cluster_alone_tells_its_commonest_habits() -> None:
    traits = explain(_clusters(list=_cluster(listed=1.0, closed=0.7)), "list")
    assert [trait.text for trait in traits] == [
        "writes lists (100% of impressions)",
        "ends its lines with a full stop (70% of lines)",
    ]


def test_a_cluster_without_errors_is_not_made_sure_of() -> None:
    made = _clusters(list=_cluster(listed=1.0), plain=_cluster())
    bare = replace(made, clusters={**made.clusters, "list": replace(made.clusters["list"], error={})})
    assert explain(bare, "list") == ()


def test_an_unknown_cluster_is_told() -> None:
    with pytest.raises(NotFoundError, match=r"'none'; there are list, plain"):
        explain(_clusters(list=_cluster(), plain=_cluster()), "none")


def test_words_fit_the_figures() -> None:
    made = _clusters(list=_cluster(hedges=0.2, compares=0.2, listed=0.9), plain=_cluster(hedges=0.05, listed=0.6))
    assert [trait.words for trait in explain(made, "list")] == [
        "writes lists",
        "seldom names the earlier examination",
        "hedges more often",
    ]
    assert [trait.words for trait in explain(made, "plain")] == [
        "writes lists less often",
        "names the earlier examination more often",
        "seldom hedges",
    ]


@pytest.mark.parametrize(
    ("feature", "value", "text"),
    [
        ("listed", 0.923, "92%"),
        ("listed", 1.04, "100%"),
        ("length", 0.5, "200"),
        ("sentence_length", 0.36, "7.2"),
        ("fullness", 0.5, "15%"),
        ("line_count", -0.1, "0.0"),
    ],
)
def test_figures_are_as_a_reader_counts(feature: str, value: float, text: str) -> None:
    assert figure(feature, value) == text
