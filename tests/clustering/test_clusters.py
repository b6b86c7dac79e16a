from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from radimpress.clustering.cell import ANY, Cell
from radimpress.clustering.clusters import Clusters, load_clusters
from radimpress.clustering.values import Cluster, Member, Move, Point, Space, Tried
from radimpress.reports.errors import ConfigError, InputError, NotFoundError
from radimpress.reports.report import Modality

EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
SPACE = Space(
    features=("listed",),
    basis=((0.6, 0.8, 0.0), (0.8, -0.6, 0.0)),
    origin=(0.5, 0.0, 0.0),
    whiten=EYE,
    modalities={"MR": (0.1, 0.0, 0.0)},
    exams={"MRI brain": (0.0, 0.1, 0.0)},
    noise=EYE,
    habits=EYE,
    mixing=EYE,
    counted="f" * 64,
)
CLUSTERS = Clusters(
    clinics={"alder": "list", "elm": "telegraphic", "birch": "list"},
    profiles={"alder": {"listed": 1.0}, "birch": {"listed": 0.9}, "elm": {"listed": 0.0}},
    embedder="fake",
    embedder_digest="e" * 64,
    data="0" * 64,
    why="2 clusters have the best silhouette, [\n 0.70 ]",
    version=2,
    before="9" * 64,
    former=("paragraph",),
    clusters={
        "list": Cluster(title="Lists", reports=90, adjusted={"listed": 0.95}, error={"listed": 0.01}, centre=(1, 0, 0)),
        "telegraphic": Cluster(title="telegraphic", reports=9, centre=(-1, 0, 0), radius=3.0, unified="9 reports"),
    },
    members={"alder": Member(reports=40, units=30, place=(1.0, 0.5, 0.0), sure=0.99, x=0.5, y=1.0, spread=0.1)},
    unsure={"fir": "2 reports"},
    tried=(Tried(method="ward", number=2, silhouette=0.7, stability=0.95, chosen=True),),
    moved=(Move(clinic="birch", before="telegraphic", after="list", why="more lists"),),
    points=(Point(clinic="alder", x=0.5, y=-1.0),),
    leaves=("alder", "birch", "elm"),
    merges=((0, 1, 0.5, 2), (2, 3, 2.0, 3)),
    space=SPACE,
)


def _changed(path: Path, **changes: Any) -> Path:
    CLUSTERS.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")
    return path


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    CLUSTERS.save(tmp_path / "clusters.json")
    assert load_clusters(tmp_path / "clusters.json") == CLUSTERS


def test_a_file_that_names_no_former_keys_is_read(tmp_path: Path) -> None:
    CLUSTERS.save(tmp_path / "clusters.json")
    data = json.loads((tmp_path / "clusters.json").read_text("utf-8"))
    del data["former"]
    (tmp_path / "clusters.json").write_text(json.dumps(data), "utf-8")
    assert load_clusters(tmp_path / "clusters.json") == replace(CLUSTERS, former=())


def test_a_row_of_numbers_stands_on_one_line_and_people_read_the_rest_first(tmp_path: Path) -> None:
    CLUSTERS.save(tmp_path / "clusters.json")
    lines = (tmp_path / "clusters.json").read_text("utf-8").splitlines()
    assert [line.strip() for line in lines].count("[0.6, 0.8, 0.0],") == 1
    assert lines.index('  "clinics": {') < lines.index('  "space": {')


def test_names_are_sorted_and_stand_once() -> None:
    assert CLUSTERS.names == ("list", "telegraphic")


def test_an_unknown_clinic_has_no_cluster() -> None:
    assert CLUSTERS.of("alder") == "list"
    assert CLUSTERS.of("nobody") is None


def test_the_digest_is_over_who_belongs_where_and_nothing_else() -> None:
    assert replace(CLUSTERS, why="", points=(), space=None).digest == CLUSTERS.digest
    assert replace(CLUSTERS, clinics=dict(reversed(list(CLUSTERS.clinics.items())))).digest == CLUSTERS.digest
    assert replace(CLUSTERS, clinics={**CLUSTERS.clinics, "elm": "list"}).digest != CLUSTERS.digest


def test_another_title_changes_nothing_that_adapters_are_bound_to() -> None:
    named = CLUSTERS.titled("telegraphic", "  short\tand sharp ")
    assert named.title("telegraphic") == "short and sharp"
    assert (named.digest, named.names) == (CLUSTERS.digest, CLUSTERS.names)
    assert named.titled("short and sharp", "clipped").title("telegraphic") == "clipped"
    assert named.title("nobody's") == "nobody's"


@pytest.mark.parametrize("title", ["", " ", "x" * 61, "a\x00b", "Lists", "list"])
def test_a_title_that_is_none_or_taken_is_refused(title: str) -> None:
    with pytest.raises(InputError, match="title"):
        CLUSTERS.titled("telegraphic", title)


def test_a_cluster_that_is_not_there_gets_no_title() -> None:
    with pytest.raises(NotFoundError, match="there are list, telegraphic"):
        CLUSTERS.titled("paragraph", "prose")


def test_another_embedding_model_is_refused_by_its_digest() -> None:
    CLUSTERS.check_embedder("renamed", "e" * 64)
    with pytest.raises(ConfigError, match=r"fake \(eeeeeeeeeeee\), not other \(ffffffffffff\); fit again"):
        CLUSTERS.check_embedder("other", "f" * 64)


def test_clinics_changed_by_hand_are_refused(tmp_path: Path) -> None:
    path = _changed(tmp_path / "c.json", clinics={**CLUSTERS.clinics, "elm": "list"})
    with pytest.raises(InputError, match="its clinics make") as caught:
        load_clusters(path)
    assert caught.value.field == "digest"


@pytest.mark.parametrize("value", [{"format": 2}, {"format": None}])
def test_another_format_is_refused(tmp_path: Path, value: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="of format 3; fit the clusters again"):
        load_clusters(_changed(tmp_path / "c.json", **value))


SPACE_ROW = json.loads(json.dumps(asdict(SPACE)))


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 1},
        {"points": [{"clinic": "a"}]},
        {"points": None},
        {"points": [3]},
        {"clinics": ["alder"]},
        {"clusters": {"list": {"title": "Lists", "reports": 9, "centre": []}}},
        {"clusters": {**json.loads(json.dumps(asdict(CLUSTERS)))["clusters"], "list": {"centre": [1, 0, 0]}}},
        {"members": {"alder": {"reports": 1, "units": 1, "place": ["x"]}}},
        {"merges": [[0, 1, float("nan"), 2]]},
        {"space": {}},
        {"space": {**SPACE_ROW, "origin": [0.5, 0.0]}},
        {"space": {**SPACE_ROW, "noise": [[1.0]]}},
        {"space": {**SPACE_ROW, "whiten": [[1.0, 0, 0], [0, float("inf"), 0], [0, 0, 1.0]]}},
        {"space": {**SPACE_ROW, "exams": {"MRI brain": [0.1]}}},
        {"space": {**SPACE_ROW, "basis": [[0.6, 0.8], [0.6]]}},
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        load_clusters(_changed(tmp_path / "c.json", **changes))


def test_a_file_without_its_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load_clusters(_changed(tmp_path / "c.json", digest=None))


@pytest.mark.parametrize("text", ["[]", "3", "{"])
def test_a_file_that_is_no_clusters_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text, "utf-8")
    with pytest.raises(InputError):
        load_clusters(tmp_path / "c.json")


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load_clusters(tmp_path / "none.json")


def test_cells_are_written_as_modality_and_cluster_and_sort() -> None:
    cells = [Cell(Modality.MR, "list"), Cell(Modality.CT, "list"), Cell(Modality.CT, ANY)]
    assert [str(cell) for cell in sorted(cells)] == ["CT/any", "CT/list", "MR/list"]
