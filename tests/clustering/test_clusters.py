from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radimpress.clustering.cell import ANY, Cell
from radimpress.clustering.clusters import Clusters, Point, load_clusters
from radimpress.reports.errors import InputError, NotFoundError
from radimpress.reports.report import Modality

CLUSTERS = Clusters(
    clinics={"alder": "list", "elm": "telegraphic", "birch": "list"},
    profiles={"alder": {"listed": 1.0}, "birch": {"listed": 0.9}, "elm": {"listed": 0.0}},
    silhouettes={"2": 0.7},
    stability=0.95,
    embedder="fake",
    data="0" * 64,
    why="2 clusters have the best silhouette, 0.70",
    points=(Point(clinic="alder", x=0.5, y=-1.0),),
)


def _changed(path: Path, **changes: Any) -> Path:
    CLUSTERS.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")
    return path


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    CLUSTERS.save(tmp_path / "clusters.json")
    assert load_clusters(tmp_path / "clusters.json") == CLUSTERS


def test_names_are_sorted_and_stand_once() -> None:
    assert CLUSTERS.names == ("list", "telegraphic")


def test_an_unknown_clinic_has_no_cluster() -> None:
    assert CLUSTERS.of("alder") == "list"
    assert CLUSTERS.of("nobody") is None


def test_the_digest_is_over_who_belongs_where_and_nothing_else() -> None:
    assert replace(CLUSTERS, stability=0.1, why="", points=()).digest == CLUSTERS.digest
    assert replace(CLUSTERS, clinics=dict(reversed(list(CLUSTERS.clinics.items())))).digest == CLUSTERS.digest
    assert replace(CLUSTERS, clinics={**CLUSTERS.clinics, "elm": "list"}).digest != CLUSTERS.digest


def test_clinics_changed_by_hand_are_refused(tmp_path: Path) -> None:
    path = _changed(tmp_path / "c.json", clinics={**CLUSTERS.clinics, "elm": "list"})
    with pytest.raises(InputError, match="its clinics make") as caught:
        load_clusters(path)
    assert caught.value.field == "digest"


@pytest.mark.parametrize("value", [{"format": 2}, {"format": None}])
def test_another_format_is_refused(tmp_path: Path, value: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="of format 1"):
        load_clusters(_changed(tmp_path / "c.json", **value))


@pytest.mark.parametrize(
    "changes", [{"extra": 1}, {"points": [{"clinic": "a"}]}, {"points": None}, {"points": [3]}, {"clinics": ["alder"]}]
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
