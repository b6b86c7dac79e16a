"""The judgement's page: its verdicts, what it embeds, that nothing is run or fetched, and what it refuses."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from radimpress.clustering.cell import Cell
from radimpress.eval.checks import annotate
from radimpress.eval.gather import Judgement
from radimpress.eval.judgement import fold, write_judgement
from radimpress.eval.predict import BASE, Prediction
from radimpress.eval.score import System
from radimpress.reports.errors import InputError, NotFoundError
from radimpress.reports.files import load_reports, read_rows, write_reports, write_rows
from radimpress.reports.progress import silent
from radimpress.reports.report import Modality
from tests.eval.judged_run import CLINICS, EVIL, NEW, OLD, WAIVED, WIDE, judged_run, read_run


@pytest.fixture
def judged(tmp_path: Path) -> Judgement:
    return judged_run(tmp_path)


@pytest.fixture
def page(judged: Judgement, tmp_path: Path) -> str:
    write_judgement(tmp_path / "page.html", judged, silent)
    return (tmp_path / "page.html").read_text("utf-8")


def _data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def _slice(page: str, modality: str, cluster: str) -> str:
    """The text of a slice's cell."""
    cells = re.findall(r"<td><button(.*?)>(.*)</button></td>", page.replace("</td>", "</td>\n"))
    (found,) = [
        text for head, text in cells if f'data-modality="{modality}" data-cluster="{cluster}" aria-pressed' in head
    ]
    return unescape(re.sub(r"<[^>]*>", " ", found))


def test_each_slice_tells_its_verdict_in_words_its_interval_and_its_means(page: str, judged: Judgement) -> None:
    passed = _slice(page, "MR", "list")
    for words in ("✓ PASS", "better, corrected", "+0.0", "candidate", "incumbent", "base", "6 cases"):
        assert words in passed
    assert page.count('<button type="button" class="slice ') == len(judged.certificate.verdicts) == 6
    assert page.count('class="margin"') == 1 + 6
    assert "✗ REGRESSION" in _slice(page, "CT", "list")
    assert "incumbent = base" in _slice(page, "CT", "")


def test_a_regression_by_a_check_tells_the_check(page: str) -> None:
    assert "degenerate fired on 1 of 6 cases; none is allowed" in _slice(page, "MR", "telegraphic")
    assert "is worse" not in _slice(page, "CT", "list")


def test_a_waiver_stands_in_its_slice_with_name_reason_and_end(page: str) -> None:
    told = _slice(page, "CT", "telegraphic")
    assert "? INSUFFICIENT" in told
    assert "patients more" in told
    assert "waived by Dr. <i>Who</i> until " in told
    assert "read them all" in told
    assert page.count("waived by") == 1


def test_the_head_tells_who_was_judged_how_and_until_when(page: str, judged: Judgement) -> None:
    certificate = judged.certificate
    for words in (f"<h1>{NEW}</h1>", certificate.digest, certificate.base_digest, certificate.issued[:10]):
        assert words in page
    for words in (certificate.expires, "may lose 0.05 ROUGE-L", "✓ 1 PASS", "✗ 4 REGRESSION", "? 1 INSUFFICIENT"):
        assert words in page
    assert "A pass does not say that an impression is right." in page
    assert "The checks have changed" not in page


def test_a_case_is_held_beside_the_incumbent_of_its_slice(page: str) -> None:
    by_id = {one["id"]: one for one in _data(page)["cases"]}
    assert [text["system"] for text in by_id["r0"]["texts"]] == [NEW, OLD, BASE]
    assert by_id["r0"]["incumbent"] == OLD
    assert [text["system"] for text in by_id["r1"]["texts"]] == [NEW, BASE]
    assert by_id["r1"]["incumbent"] == BASE
    assert by_id["r1"]["clinic"] == "elm <b>"


def test_texts_cannot_be_markup_and_arrive_whole(page: str, judged: Judgement) -> None:
    assert EVIL not in page
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img" not in page
    data = _data(page)
    for one, case in zip(data["cases"], judged.cases, strict=True):
        assert (one["findings"], one["reference"]) == (case.report.findings, case.report.impression)
        assert [text["text"] for text in one["texts"]] == [
            judged.written[text["system"]][one["id"]].impression for text in one["texts"]
        ]


def test_only_its_own_style_and_script_run_and_nothing_is_fetched(page: str) -> None:
    policy = unescape(re.findall(r'Content-Security-Policy" content="(.*?)">', page)[0])
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for kind, body in (
        ("style", re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0]),
        ("script", re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0]),
    ):
        assert f"{kind}-src 'sha256-{b64encode(sha256(body.encode()).digest()).decode()}'" in policy
    static = page.replace(re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0], "")
    assert not re.search(r"\b(?:src|href|srcset|action)\s*=|@import|url\(|https?://|\bfetch\(|\binnerHTML\b", static)
    assert not re.search(r'\sstyle="|\son\w+="', static)
    assert "{{" not in static


def test_only_its_owner_may_read_it(page: str, tmp_path: Path) -> None:
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o600


def test_marks_are_where_a_browser_counts_them(page: str, judged: Judgement) -> None:
    (one,) = [one for one in _data(page)["cases"] if one["id"] == "r12"]
    ours = one["texts"][0]
    assert ours["text"].startswith(WIDE)
    ((check, _, start, stop),) = [notice for notice in ours["notices"] if notice[0] == "laterality"]
    encoded = ours["text"].encode("utf-16-le")
    assert encoded[2 * start : 2 * stop].decode("utf-16-le") == "left"
    case = next(case for case in judged.cases if case.report.id == "r12")
    assert annotate(case.report, ours["text"])[check].start == start - 1
    assert [start, stop] in [change[:2] for change in ours["changes"]]


def test_a_text_that_was_cut_says_so(page: str) -> None:
    cut = [text["cut"] for one in _data(page)["cases"] if one["id"] == "r1" for text in one["texts"]]
    assert cut == [True, True]


def test_checks_that_say_something_else_than_when_they_were_scored_are_told(judged: Judgement, tmp_path: Path) -> None:
    system = judged.scores.systems[NEW]
    rows = {**system.scores, "r0": {**system.scores["r0"], "check:organ": 1.0}}
    changed = System(NEW, system.digest, system.base_digest, rows)
    scores = replace(judged.scores, systems={**judged.scores.systems, NEW: changed})
    made = replace(judged, scores=scores)
    assert fold(made, silent)["stale"] == 1
    write_judgement(tmp_path / "page.html", made, silent)
    assert "than when they were scored: 1." in (tmp_path / "page.html").read_text("utf-8")


def test_an_incumbent_without_texts_is_left_out(judged: Judgement) -> None:
    written = {name: rows for name, rows in judged.written.items() if name != OLD}
    first = fold(replace(judged, written=written), silent)["cases"][0]
    assert first["incumbent"] == OLD
    assert [text["system"] for text in first["texts"]] == [NEW, BASE]


def test_only_the_cases_that_the_adapter_was_asked_for_are_shown(judged: Judgement) -> None:
    assert len(judged.cases) == 24
    assert judged.clinics == {cluster: (clinic,) for clinic, cluster in CLINICS.items()}
    assert {case.cell for case in judged.cases} >= {WAIVED, Cell(Modality.MR, "list")}


def test_an_adapter_of_one_cluster_shows_that_cluster_alone(tmp_path: Path) -> None:
    made = judged_run(tmp_path, cluster="list")
    assert {case.cell.cluster for case in made.cases} == {"list"}
    write_judgement(tmp_path / "page.html", made, silent)
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count('class="slice ') == 2
    assert "all clinics" not in page
    assert [one["name"] for one in _data(page)["clusters"]] == ["list"]
    assert len(_data(page)["cases"]) == 12


def _refused(folder: Path, *words: str) -> None:
    with pytest.raises(InputError) as refusal:
        read_run(folder)
    told = str(refusal.value)
    assert all(word in told for word in words)
    assert "effusion" not in told


def test_another_report_than_the_judged_one_is_refused(judged: Judgement, tmp_path: Path) -> None:
    path = tmp_path / "dataset" / "test.jsonl"
    reports = load_reports(path)
    write_reports(path, [replace(reports[0], findings="Another effusion."), *reports[1:]])
    _refused(tmp_path, "dataset", "other reports")
    write_reports(path, reports[1:])
    _refused(tmp_path, "dataset", "lacks 1 of the 24")


def test_predictions_of_another_version_text_or_number_are_refused(judged: Judgement, tmp_path: Path) -> None:
    path = tmp_path / "eval" / "predictions" / f"{OLD}.jsonl"
    head, *rows = read_rows(path)
    other = {**rows[0], "impression": "Another text."}
    for lines in ([{**head, "digest": "9" * 64}, *rows], [head, *rows[1:]], [head, other, *rows[1:]]):
        write_rows(path, lines)
        _refused(tmp_path, OLD, "evaluate again")
    for lines in ([], [head, {"case": "r0"}], ["nothing", *rows]):
        write_rows(path, lines)
        _refused(tmp_path, "is not a predictions file")


def test_other_scores_or_clusters_than_the_certificate_names_are_refused(judged: Judgement, tmp_path: Path) -> None:
    certificate = (tmp_path / "certificate.json").read_bytes()
    other = tmp_path / "other"
    judged_run(other, 28)
    (other / "certificate.json").write_bytes(certificate)
    _refused(other, "certificate", "other cases")
    clusters = tmp_path / "clusters.json"
    text = json.loads(clusters.read_text("utf-8"))
    clusters.write_text(json.dumps(text).replace('"telegraphic"', '"terse"'), "utf-8")
    _refused(tmp_path, "digest")


def test_base_without_predictions_is_told_by_name(judged: Judgement, tmp_path: Path) -> None:
    (tmp_path / "eval" / "predictions" / f"{BASE}.jsonl").unlink()
    with pytest.raises(NotFoundError, match=r"base\.jsonl"):
        read_run(tmp_path)


def test_prediction_rows_keep_what_they_were(judged: Judgement) -> None:
    assert isinstance(judged.written[NEW]["r0"], Prediction)
    assert judged.written[NEW]["r1"].finish == "length"
