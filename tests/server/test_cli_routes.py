"""`radimpress routes` as an operator meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from radimpress.server.routes import TrialKind, TrialPlan
from tests.server.commands import Run, at, one_line, run
from tests.server.conftest import CT_ANY, CT_LIST, Site, certificate

__all__ = ["at", "run"]


def test_an_empty_registry_says_what_to_do(run: Run, tmp_path: Path) -> None:
    one_line(run("routes", "show", "--registry", f"sqlite:///{tmp_path / 'r.db'}"), "adopt clusters first")


@pytest.mark.parametrize("url", ["nonsense", "nosuchdb:///x", "sqlite:////no/such/folder/r.db"])
def test_a_registry_that_cannot_be_opened_is_one_line(run: Run, url: str) -> None:
    one_line(run("routes", "show", "--registry", url))


def test_a_registry_that_is_no_database_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.db").write_text("This is not a database at all. " * 100, "utf-8")
    one_line(run("routes", "show", "--registry", f"sqlite:///{tmp_path / 'r.db'}"))


def test_tables_are_shown_and_listed(run: Run, site: Site, at: list[object]) -> None:
    site.promote(site.first, CT_LIST)
    (now,) = run("routes", "show", *at[:2], "--json").rows
    assert (now["number"], now["entries"][0]["cell"]) == (2, {"modality": "MODALITY_CT", "cluster": "list"})
    assert run("routes", "show", 1, *at[:2], "--json").rows[0]["entries"] == []
    assert [row["number"] for row in run("routes", "list", *at[:2], "--json").rows] == [2, 1]
    assert run("routes", "list", *at[:2]).out.index("promote unified@1") > 0
    one_line(run("routes", "show", 3, *at[:2]), "there is no route table 3")


def test_a_route_is_explained_step_by_step(run: Run, site: Site, at: list[object]) -> None:
    site.promote(site.first, CT_LIST, CT_ANY)
    explain = ("routes", "explain", *at[:2], "--modality", "CAT scan")
    done = run(*explain, "--clinic", "alder")
    assert [line.split(". ")[0] for line in done.out.splitlines()] == ["1", "2", "3", "4", "5"]
    assert "clinic 'alder' is of cluster 'list'" in done.out
    assert "answered by unified@1: judged in this slice" in done.out
    (told,) = run(*explain, "--clinic", "nobody", "--json").rows
    assert (told["adapter"], told["slice"], told["route_table"]) == ("unified@1", "CT/any", 2)
    assert told["reason"] == "clinic not known: judged over all clinics of the modality"
    (told,) = run(*explain, "--clinic", "alder", "--table", 1, "--json").rows
    assert (told["adapter"], told["digest"]) == ("base", "")
    one_line(run("routes", "explain", *at[:2], "--modality", "telepathy"), "modality: ")


def test_short_findings_are_explained_by_the_policy(
    run: Run, site: Site, at: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.promote(site.first, CT_LIST)
    explain = ("routes", "explain", *at[:2], "--modality", "CT", "--clinic", "alder", "--json")
    for length, adapter in ((99, "base"), (100, "unified@1")):
        assert run(*explain, "--findings-length", length).rows[0]["adapter"] == adapter
    monkeypatch.setenv("RADIMPRESS_SHORT_FINDINGS", "adapter")
    assert run(*explain, "--findings-length", 99).rows[0]["adapter"] == "unified@1"
    monkeypatch.setenv("RADIMPRESS_SHORT_FINDINGS", "refuse")
    assert "findings: has 99 characters" in run(*explain, "--findings-length", 99).error


def test_a_request_id_says_on_which_side_of_a_trial_it_falls(run: Run, site: Site, at: list[object]) -> None:
    adapter = site.registry.register(site.path(site.first))
    site.registry.promote(adapter, certificate(adapter, CT_LIST), trial=TrialPlan(TrialKind.CANARY, 50))
    explain = ("routes", "explain", *at[:2], "--modality", "CT", "--clinic", "alder", "--json")
    sides = {number: run(*explain, "--request-id", f"r{number}").rows[0]["adapter"] for number in range(12)}
    assert set(sides.values()) == {"base", "unified@1"}
    assert run(*explain, "--request-id", "r3").rows[0]["adapter"] == sides[3]
    assert run(*explain).rows[0]["adapter"] == "base"


def test_two_tables_are_compared_both_ways(run: Run, site: Site, at: list[object]) -> None:
    site.promote(site.first, CT_LIST)
    (change,) = run("routes", "diff", 1, *at[:2], "--json").rows
    assert (change["before"], change["after"], change["cell"]["cluster"]) == ("base", "unified@1", "list")
    assert "unified@1 -> base" in run("routes", "diff", 2, 1, *at[:2]).out
    assert run("routes", "diff", 2, 2, *at[:2], "--json").rows == []


def test_what_tgi_must_be_started_with_is_one_line(run: Run, site: Site, at: list[object]) -> None:
    adapter = site.promote(site.first, CT_LIST)
    asked = ("routes", "lora-adapters", *at, "--engine-adapters", "/bundles")
    assert run(*asked).out == f"LORA_ADAPTERS={adapter.digest}=/bundles/{adapter.path}\n"
    assert run(*asked, "--json").rows == [{"route_table": 2, "adapters": {adapter.digest: f"/bundles/{adapter.path}"}}]
    assert run(*asked[:2], 1, *asked[2:]).out == "LORA_ADAPTERS=\n"
    second = site.registry.register(site.path(site.second))
    (told,) = run(*asked, "--with", "cluster-list", "--json").rows
    assert set(told["adapters"]) == {adapter.digest, second.digest}
    one_line(run(*asked, "--with", "nobody"), "error: notfound: ")
    one_line(run(*asked[:-1], "/a,b"), "error: config: ", "LORA_ADAPTERS cannot")


def test_tgi_as_one_of_several_engines_says_itself_where_it_sees_bundles(
    run: Run, site: Site, at: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = site.promote(site.first, CT_LIST)
    file = tmp_path / "engines.toml"
    file.write_text('[[engine]]\nkind = "tgi"\nurls = ["http://tgi:8080"]\nadapters = "/theirs"\n', "utf-8")
    monkeypatch.setenv("RADIMPRESS_ENGINES", str(file))
    assert run("routes", "lora-adapters", *at).out == f"LORA_ADAPTERS={adapter.digest}=/theirs/{adapter.path}\n"
