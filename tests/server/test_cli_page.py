from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from radimpress.reports.errors import InputError, NotFoundError
from radimpress.server.cli_eval import eval_app
from tests.eval.judged_run import NEW, judged_run


def _page(folder: Path, *words: str) -> str:
    """Runs `radimpress eval page` on a run's files; gives what it prints."""
    places = ["--eval", folder / "eval", "--clusters", folder / "clusters.json", "--out", folder / "page.html"]
    asked = ["page", folder / "dataset", *places, "--certificate", folder / "certificate.json", *words]
    done = CliRunner().invoke(eval_app, [*map(str, asked)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0
    return done.output


def test_the_page_is_written_from_the_files_of_a_run_for_its_owner_alone(tmp_path: Path) -> None:
    judged_run(tmp_path)
    told = _page(tmp_path)
    assert f"page.html: {NEW} on 24 cases" in told
    assert "effusion" not in told
    page = tmp_path / "page.html"
    assert f"<h1>{NEW}</h1>" in page.read_text("utf-8")
    assert page.stat().st_mode & 0o777 == 0o600


def test_a_certificate_that_is_missing_or_changed_makes_no_page(tmp_path: Path) -> None:
    judged_run(tmp_path)
    path = tmp_path / "certificate.json"
    path.write_bytes(path.read_bytes().replace(b"PASS", b"FAIL", 1))
    with pytest.raises(InputError, match="certificate"):
        _page(tmp_path)
    path.unlink()
    with pytest.raises(NotFoundError, match=r"certificate\.json"):
        _page(tmp_path)
    assert not (tmp_path / "page.html").exists()
