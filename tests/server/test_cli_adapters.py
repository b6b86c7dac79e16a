"""`radimpress adapters` as an operator meets it: from adopting to retiring, and what is refused on the way."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from radimpress.trainer.bundle import WEIGHTS
from tests.server.commands import Run, at, one_line, run
from tests.server.conftest import CT_LIST, CT_TELEGRAPHIC, MR_LIST, Site, certificate, change_byte, clusters

__all__ = ["at", "run"]


def _certificate(site: Site, folder: Path, name: str = "unified") -> Path:
    """certificate.json of a version in two slices."""
    path = folder / f"{name}.json"
    path.write_bytes(certificate(site.registry.adapter(name), CT_LIST, MR_LIST))
    return path


@pytest.fixture
def promote(run: Run, site: Site, at: list[object], tmp_path: Path) -> Run:
    """`radimpress adapters promote unified` with its certificate."""
    site.registry.register(site.path(site.first))
    path = _certificate(site, tmp_path)
    return lambda *words: run("adapters", "promote", "unified", "--certificate", path, *at, *words)


def test_adapters_from_adopting_to_going_back(run: Run, site: Site, at: list[object], tmp_path: Path) -> None:
    clusters({"alder": "list", "new": "telegraphic"}).save(tmp_path / "clusters.json")
    adopted = run("adapters", "adopt", "--clusters", tmp_path / "clusters.json", *at[:2])
    assert (adopted.code, "route table 2" in adopted.out) == (0, True)

    registered = run("adapters", "register", site.path(site.first), *at)
    assert registered.out == f"unified@1 {site.first.digest}\n"

    digest = site.registry.table().clusters_digest
    given = certificate(site.registry.adapter("unified"), CT_LIST, clusters_digest=digest)
    (tmp_path / "c.json").write_bytes(given)
    promoted = run("adapters", "promote", "unified", "--certificate", tmp_path / "c.json", "--expected", 2, *at)
    assert (promoted.code, "route table 3 after 2: promote unified@1" in promoted.out) == (0, True)
    assert "base -> unified@1" in promoted.out
    assert site.first.digest in run("routes", "show", *at[:2]).out

    assert "rollback to table 2" in run("adapters", "rollback", *at[:2]).out
    assert site.first.digest not in run("routes", "show", *at[:2]).out
    history = run("adapters", "history", *at[:2]).out
    told = [history.index(word) for word in ("rollback to", "promote unified@1", "unified@1 in", "base everywhere")]
    assert told == sorted(told)
    assert f"{getpass.getuser()}@" in history
    assert "unified@1" in run("adapters", "list", *at).out


def test_a_folder_from_elsewhere_is_copied_to_the_bundles(
    run: Run, site: Site, at: list[object], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "handed"
    site.first.path.rename(elsewhere)
    (row,) = run("adapters", "register", elsewhere, *at, "--json").rows
    assert (row["name"], row["version"], row["digest"]) == ("unified", 1, site.first.digest)
    assert (site.bundles / row["path"] / WEIGHTS).read_bytes() == (elsewhere / WEIGHTS).read_bytes()


@pytest.mark.parametrize("path", ["../x", "/no/such/folder", ""])
def test_a_path_out_of_the_bundle_folder_is_named(run: Run, at: list[object], path: str) -> None:
    one_line(run("adapters", "register", path, *at), "path: ")


def test_a_folder_without_a_bundle_is_named(run: Run, at: list[object], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    one_line(run("adapters", "register", tmp_path / "empty", *at), "empty: no adapter bundle there")


def test_a_changed_bundle_is_not_registered(run: Run, site: Site, at: list[object]) -> None:
    change_byte(site.first.path / WEIGHTS)
    one_line(run("adapters", "register", site.path(site.first), *at), "error: digest: ", WEIGHTS)


def test_a_missing_certificate_is_named(run: Run, site: Site, at: list[object], tmp_path: Path) -> None:
    site.registry.register(site.path(site.first))
    one_line(run("adapters", "promote", "unified", "--certificate", tmp_path / "no.json", *at), "no.json")


def test_a_stale_table_is_a_conflict(run: Run, site: Site, at: list[object], tmp_path: Path) -> None:
    adapter = site.promote(site.first, CT_LIST)
    (tmp_path / "c.json").write_bytes(certificate(adapter, MR_LIST))
    words = ("adapters", "promote", "unified", "--certificate", tmp_path / "c.json", "--expected", 1, *at)
    one_line(run(*words), "error: conflict: ", "is 2, not 1")


def test_going_back_before_the_first_table_is_an_error(run: Run, at: list[object]) -> None:
    one_line(run("adapters", "rollback", *at[:2]), "error: gate: ")


def test_a_dry_run_shows_the_change_as_a_matrix_and_makes_none(promote: Run, site: Site) -> None:
    done = promote("--dry-run")
    head, *rows = [line for line in done.out.splitlines() if line.startswith(("┃", "│"))]
    assert [word.strip() for word in head.strip("┃").split("┃")] == ["modality", "list", "telegraphic", "any"]
    assert [[word.strip() for word in row.strip("│").split("│")] for row in rows] == [
        ["CT", "base -> unified@1", "base", "base"],
        ["MR", "base -> unified@1", "base", "base"],
    ]
    assert "route table 2 would be after 1" in done.out
    assert site.registry.table().number == 1
    (told,) = promote("--dry-run", "--json").rows
    assert [(row["before"], row["after"]) for row in told["changes"]] == [("base", "unified@1")] * 2
    assert told["route_table"]["number"] == 2
    assert site.registry.table().number == 1


def test_a_canary_is_tried_then_widened_then_serves(promote: Run, site: Site) -> None:
    assert "base, unified@1 canary 10%" in promote("--canary", 10).out
    (told,) = promote("--canary", 50, "--clinic", "alder", "--json").rows
    trial = told["route_table"]["entries"][0]["trial"]
    assert (trial["plan"]["percent"], trial["plan"]["clinics"], trial["since"]) == (50, ["alder"], 2)
    done = promote()
    assert "base -> unified@1" in done.out
    assert [str(entry.adapter) for entry in site.registry.table().entries.values()] == ["unified@1"] * 2
    assert all(entry.trial is None for entry in site.registry.table().entries.values())


def test_a_shadow_answers_nobody_and_its_trial_can_be_ended(run: Run, promote: Run, at: list[object]) -> None:
    assert "base, unified@1 shadow 100%" in promote("--shadow").out
    shown = run("routes", "show", *at[:2]).out
    assert "unified@1 shadow 100%" in shown
    ended = run("adapters", "end-trial", "unified", "--why", "seen enough", *at[:2])
    assert (ended.code, "end trial of unified@1" in ended.out) == (0, True)
    assert "seen enough" in run("adapters", "history", *at[:2]).out
    one_line(run("adapters", "end-trial", "unified", *at[:2]), "error: notfound: ", "on trial in no slice")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--canary", 0), "trial.percent: "),
        (("--canary", 101), "trial.percent: "),
        (("--canary", 5, "--shadow"), "shadow: "),
        (("--clinic", "alder"), "clinic: "),
        (("--canary", 5, "--clinic", "adler"), "'adler'"),
    ],
)
def test_a_trial_that_makes_no_sense_is_refused(promote: Run, site: Site, words: tuple[object, ...], told: str) -> None:
    one_line(promote(*words), "error: input: ", told)
    assert site.registry.table().number == 1


def test_one_version_is_shown_with_what_it_serves(run: Run, site: Site, promote: Run, at: list[object]) -> None:
    assert "idle" in run("adapters", "list", *at).out
    promote("--canary", 10)
    assert "tried in 2" in run("adapters", "list", *at).out
    promote()
    (row,) = run("adapters", "show", "unified@1", *at[:2], "--json").rows
    assert (row["name"], row["version"], row["digest"]) == ("unified", 1, site.first.digest)
    assert (row["slices"], row["trials"]) == (["CT/list", "MR/list"], [])
    shown = run("adapters", "show", "unified", *at[:2]).out
    assert site.first.digest in shown
    assert "CT/list, MR/list" in shown


@pytest.mark.parametrize("name", ["unified@0", "unified@", "unified@x", "@1", "unified@1234567890"])
def test_a_name_that_is_none_is_refused(run: Run, at: list[object], name: str) -> None:
    one_line(run("adapters", "show", name, *at[:2]), "adapter: ")


def test_a_version_that_is_not_there_is_named(run: Run, site: Site, at: list[object]) -> None:
    site.registry.register(site.path(site.first))
    one_line(run("adapters", "show", "unified@2", *at[:2]), "'unified' has no version 2")


def test_verify_finds_a_changed_file(run: Run, site: Site, at: list[object]) -> None:
    for bundle in (site.first, site.second):
        site.registry.register(site.path(bundle))
    assert len(run("adapters", "verify", *at, "--json").rows) == 2
    change_byte(site.second.path / WEIGHTS)
    assert run("adapters", "verify", "unified@1", *at).code == 0
    assert "error: digest: " in run("adapters", "verify", *at).error


def test_a_retired_version_serves_no_more(run: Run, site: Site, promote: Run, at: list[object]) -> None:
    promote()
    one_line(run("adapters", "retire", "unified@1", *at[:2]), "error: gate: ", "still uses unified@1")
    one_line(run("adapters", "retire", "unified", *at[:2]), "NAME@VERSION")
    assert run("adapters", "rollback", *at[:2]).code == 0
    (row,) = run("adapters", "retire", "unified@1", *at[:2], "--json").rows
    assert row["retire_time"]
    one_line(promote(), "error: gate: ", "was retired")
    one_line(run("adapters", "rollback", 2, *at[:2]), "error: gate: ", "was retired")
    assert "retired 20" in run("adapters", "list", *at).out


def test_history_as_json_is_a_chain_newest_first(run: Run, promote: Run, at: list[object]) -> None:
    promote()
    rows = run("adapters", "history", *at[:2], "--json").rows
    assert [row["number"] for row in rows] == list(range(len(rows), 0, -1))
    assert [row["action"] for row in rows] == ["promote", "register", "adopt"]
    assert rows[0]["route_table"] == 2
    assert len({row["chain"] for row in rows}) == 3
    assert run("adapters", "history", "--limit", 1, *at[:2], "--json").rows == rows[:1]


def test_two_slices_of_two_adapters_stand_in_one_matrix(run: Run, site: Site, at: list[object], tmp_path: Path) -> None:
    site.promote(site.first, CT_LIST)
    second = site.registry.register(site.path(site.second))
    (tmp_path / "c.json").write_bytes(certificate(second, CT_TELEGRAPHIC))
    done = run("adapters", "promote", "cluster-list", "--certificate", tmp_path / "c.json", "--dry-run", *at)
    (row,) = [line for line in done.out.splitlines() if line.startswith("│")]
    assert [word.strip() for word in row.strip("│").split("│")] == [
        *("CT", "unified@1", "base -> cluster-list@1", "base")
    ]
