"""`radimpress cluster` as a person and a script meet it, on an embedder that needs no model."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from radimpress.clustering.clusters import load_clusters
from radimpress.reports.files import load_reports, write_reports, write_rows
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize
from tests.clustering.hashing import HashEmbedder
from tests.server.commands import Run, one_line, run

__all__ = ["run"]

LATER = tuple(synthesize(900, 9, 0.0))


@pytest.fixture(autouse=True)
def embedder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for where in ("cli_cluster", "steps"):
        monkeypatch.setattr(f"radimpress.server.{where}.open_embedder", lambda name: HashEmbedder())
    monkeypatch.setenv("RADIMPRESS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset; the first test that asks fits it."""
    folder = tmp_path_factory.mktemp("home")
    parts = list(synthesize(600, 1, 0.0))
    for name, reports in {"train": parts, "validation": parts[:1], "test": parts[:1]}.items():
        write_reports(folder / "dataset" / f"{name}.jsonl", reports)
    return folder


@pytest.fixture
def fitted(run: Run, home: Path, tmp_path: Path) -> Path:
    """A clusters.json of this test's own."""
    if not (home / "clusters.json").is_file():
        assert run("cluster", home / "dataset", "--out", home / "clusters.json").code == 0
    (tmp_path / "clusters.json").write_bytes((home / "clusters.json").read_bytes())
    return tmp_path / "clusters.json"


def _file(path: Path, clinic: str, style_of: str, count: int = 60) -> Path:
    """Reports that a clinic wrote as another does."""
    own = [replace(report, clinic=clinic) for report in LATER if report.clinic == style_of]
    write_reports(path, own[:count])
    return path


def test_a_dataset_alone_is_fitted(run: Run, home: Path, fitted: Path) -> None:
    before = fitted.read_bytes()
    (told,) = run("cluster", home / "dataset", "--out", fitted, "--json").rows
    made = load_clusters(fitted)
    assert (told["clinics"], told["why"], told["digest"]) == (dict(made.clinics), made.why, made.digest)
    assert (told["version"], told["moved"], told["unsure"]) == (1, [], {})
    # What was fitted from the same reports is kept.
    assert fitted.read_bytes() == before


def test_what_cannot_be_read_is_not_fitted_over(run: Run, home: Path, fitted: Path) -> None:
    data = json.loads(fitted.read_text("utf-8"))
    for text, told in (
        ("{", "is not JSON"),
        (json.dumps({**data, "format": 1}), "of format"),
        (json.dumps({**data, "digest": "0" * 64}), "its clinics make"),
    ):
        fitted.write_text(text, "utf-8")
        done = run("cluster", "fit", home / "dataset", "--out", fitted)
        one_line(done, str(fitted), told, "cannot lend its keys and titles", "move it away")
        assert fitted.read_text("utf-8") == text


def test_show_tells_clusters_clinics_and_what_was_tried(run: Run, fitted: Path) -> None:
    known = load_clusters(fitted)
    rows = run("cluster", "show", "--clusters", fitted, "--json").rows
    assert [row["cluster"] for row in rows] == list(known.names)
    assert {clinic for row in rows for clinic in row["clinics"]} == set(known.clinics)
    done = run("cluster", "show", "--clusters", fitted)
    for words in (*known.clinics, *known.names, known.why, "silhouette", "chosen", "100%"):
        assert words in done.out, words


def test_explain_tells_habits_with_their_figures(run: Run, fitted: Path) -> None:
    rows = run("cluster", "explain", "list", "--clusters", fitted, "--json").rows
    (first, *_) = [row for row in rows if row["feature"] == "listed"]
    assert (first["cluster"], first["words"]) == ("list", "writes lists")
    assert first["others"] < first["low"] + first["others"] <= first["value"] <= first["high"] + first["others"]
    assert first["text"] in run("cluster", "explain", "--clusters", fitted).out
    one_line(run("cluster", "explain", "nobody", "--clusters", fitted), "nobody", "list, paragraph, telegraphic")


def test_a_clinic_is_assigned_by_a_handful(run: Run, fitted: Path, tmp_path: Path) -> None:
    files = [_file(tmp_path / f"{name}.jsonl", name, like, 25) for name, like in (("oak", "elm"), ("yew", "cedar"))]
    rows = {row["clinic"]: row for row in run("cluster", "assign", *files, "--clusters", fitted, "--json").rows}
    assert {clinic: row["cluster"] for clinic, row in rows.items()} == {"oak": "telegraphic", "yew": "paragraph"}
    assert all(row["probabilities"][row["cluster"]] > 0.9 and 15 < row["reports"] <= 25 for row in rows.values())


def test_a_new_clinics_reports_are_read_as_the_recipe_says(run: Run, fitted: Path, tmp_path: Path) -> None:
    recipe, file = tmp_path / "site.toml", tmp_path / "oak.jsonl"
    recipe.write_text('[read]\nclinic = "oak"\ncolumns = { findings = "seen" }\n', "utf-8")
    rows = [{**asdict(report), "seen": report.findings} for report in LATER if report.clinic == "elm"]
    write_rows(file, [{key: row[key] for key in row if key not in ("findings", "clinic")} for row in rows])
    (told,) = run("cluster", "assign", file, "--clusters", fitted, "--recipe", recipe, "--json").rows
    assert (told["clinic"], told["cluster"]) == ("oak", "telegraphic")


def test_too_few_reports_are_unsure(run: Run, fitted: Path, tmp_path: Path) -> None:
    done = run("cluster", "assign", _file(tmp_path / "oak.jsonl", "oak", "elm", 3), "--clusters", fitted)
    assert done.code == 0
    assert "unsure" in done.out
    assert "too few to tell" in done.out


def test_drift_ends_in_1_and_names_the_month_and_the_habit(run: Run, fitted: Path, tmp_path: Path) -> None:
    same = _file(tmp_path / "2026-01.jsonl", "alder", "alder")
    other = _file(tmp_path / "2026-02.jsonl", "alder", "cedar")
    quiet = run("cluster", "drift", same, "--clusters", fitted, "--json")
    assert (quiet.code, [row["alarm"] for row in quiet.rows]) == (0, [False])
    done = run("cluster", "drift", same, other, "--clusters", fitted, "--json")
    assert done.code == 1
    assert [(row["clinic"], row["month"], row["alarm"]) for row in done.rows] == [
        ("alder", "2026-01", False),
        ("alder", "2026-02", True),
    ]
    assert {change["feature"] for change in done.rows[1]["changed"]} & {"listed", "numbered", "fullness", "telegraphic"}


def test_a_month_in_which_the_filter_leaves_nothing_says_nothing(run: Run, fitted: Path, tmp_path: Path) -> None:
    short = tmp_path / "2026-01.jsonl"
    write_reports(short, [replace(LATER[0], clinic="alder", findings="Short.")])
    other = _file(tmp_path / "2026-02.jsonl", "alder", "cedar")
    done = run("cluster", "drift", short, other, "--clusters", fitted, "--json")
    assert [(row["month"], row["reports"] > 0, row["alarm"]) for row in done.rows] == [
        ("2026-01", False, False),
        ("2026-02", True, True),
    ]
    assert done.code == 1


def test_drift_says_who_was_not_fitted_and_refuses_who_is_asked_for(run: Run, fitted: Path, tmp_path: Path) -> None:
    month = _file(tmp_path / "2026-01.jsonl", "oak", "elm")
    done = run("cluster", "drift", month, "--clusters", fitted)
    assert (done.code, "nothing to compare with: oak" in done.out) == (0, True)
    one_line(run("cluster", "drift", month, "--clinic", "oak", "--clusters", fitted), "oak: has no fitted profile")
    again = _file(tmp_path / "again" / "2026-01.jsonl", "alder", "alder")
    one_line(run("cluster", "drift", month, again, "--clusters", fitted), "two are called alike")


def test_a_new_title_leaves_key_and_digest_alone(run: Run, fitted: Path) -> None:
    before = load_clusters(fitted)
    (told,) = run("cluster", "rename", "list", "Numbered  lists", "--clusters", fitted, "--json").rows
    after = load_clusters(fitted)
    assert told == {"cluster": "list", "before": "list", "title": "Numbered lists", "digest": before.digest}
    assert (after.title("list"), after.digest, after.names) == ("Numbered lists", before.digest, before.names)
    assert run("cluster", "explain", "Numbered lists", "--clusters", fitted).out.startswith("Numbered lists")
    one_line(run("cluster", "rename", "list", "paragraph", "--clusters", fitted), "another cluster's")
    one_line(run("cluster", "rename", "nobody", "x", "--clusters", fitted), "no cluster is called 'nobody'")


def test_a_title_outlives_a_refit(run: Run, home: Path, fitted: Path, tmp_path: Path) -> None:
    run("cluster", "rename", "list", "Numbered lists", "--clusters", fitted)
    for name in ("train", "validation", "test"):
        write_reports(tmp_path / "more" / f"{name}.jsonl", load_reports(home / "dataset" / f"{name}.jsonl"))
    write_reports(tmp_path / "more" / "train.jsonl", synthesize(700, 1, 0.0))
    (told,) = run("cluster", "fit", tmp_path / "more", "--out", fitted, "--json").rows
    assert told["version"] == 2
    assert load_clusters(fitted).title("list") == "Numbered lists"


def test_a_page_quotes_reports_only_where_a_dataset_is_named(
    run: Run, home: Path, fitted: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    (told,) = run("cluster", "page", "--clusters", fitted, "--out", page, "--json").rows
    assert told == {"path": str(page), "clusters": 3, "quoted": 0}
    assert "holds report texts" not in page.read_text("utf-8")
    (told,) = run("cluster", "page", home / "dataset", "--clusters", fitted, "--out", page, "--json").rows
    assert told["quoted"] == 9
    html = page.read_text("utf-8")
    assert "This page holds report texts" in html
    quoted = [r for r in load_reports(home / "dataset" / "train.jsonl") if f"<small>{r.id}</small>" in html]
    assert len(quoted) == 9
    assert all(_first_line(report) in html for report in quoted)
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def _first_line(report: Report) -> str:
    return report.impression.splitlines()[0]


def test_another_embedding_model_is_refused(run: Run, fitted: Path, tmp_path: Path) -> None:
    data = json.loads(fitted.read_text("utf-8"))
    fitted.write_text(json.dumps({**data, "embedder_digest": "f" * 64}), "utf-8")
    done = run("cluster", "assign", _file(tmp_path / "oak.jsonl", "oak", "elm"), "--clusters", fitted)
    one_line(done, "were fitted with the embedding model hash (ffffffffffff), not hash (hhhhhhhhhhhh); fit again")


def test_a_file_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    one_line(run("cluster", "show", "--clusters", tmp_path / "none.json"), "none.json: no such file")
