from __future__ import annotations

import fcntl
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radimpress.reports.audit import audit
from radimpress.reports.errors import ConfigError, InputError, NotFoundError
from radimpress.reports.files import load_reports, write_reports
from radimpress.reports.funnel import Door, Thresholds
from radimpress.reports.leak import leak
from radimpress.reports.prepare import Prepared, load_set_aside, prepare
from radimpress.reports.progress import silent
from radimpress.reports.read import Reading
from radimpress.reports.split import Split
from radimpress.reports.synthetic import synthesize
from radimpress.server.bench.reports import digests
from radimpress.server.steps import load_split

PARTS = ("train", "validation", "test")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A file of 300 synthetic reports, one line of it broken."""
    write_reports(tmp_path / "r.jsonl", synthesize(300, 3))
    with (tmp_path / "r.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"broken\n')
    return tmp_path / "r.jsonl"


def _prepare(archive: Path, out: Path, **more: Any) -> Prepared:
    return prepare([archive], out, Reading(**more), Thresholds(), (0.7, 0.15), 0, silent)


def test_every_record_is_in_one_part_or_set_aside_with_its_door(archive: Path, tmp_path: Path) -> None:
    made = _prepare(archive, tmp_path / "d")
    kept = [report.id for part in PARTS for report in load_reports(tmp_path / "d" / f"{part}.jsonl")]
    aside = list(load_set_aside(tmp_path / "d"))
    assert len(set(kept)) == len(kept) == made.funnel.kept == sum(made.sizes.values())
    assert len(kept) + len(aside) == made.funnel.total == 301
    counted = {door: sum(row["door"] == door.value for row in aside) for door in Door if door is not Door.KEPT}
    assert counted == {door: count for door, count in made.funnel.counts.items() if door is not Door.KEPT}
    assert [row for row in aside if "why" in row] == [
        {"door": "record cannot be read", "where": "r.jsonl:301", "why": "not JSON"}
    ]
    short = next(row for row in aside if row["door"] == Door.FINDINGS_SHORT.value)
    assert short["findings"] in archive.read_text("utf-8")


def test_the_same_files_give_the_same_bytes_whatever_a_killed_run_left(archive: Path, tmp_path: Path) -> None:
    _prepare(archive, tmp_path / "one")
    left = tmp_path / "two" / ".prepare"
    left.mkdir(parents=True)
    (left / "kept").write_text("half a li", "utf-8")
    _prepare(archive, tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == sorted(
        ["funnel.json", "set_aside.jsonl", *(f"{part}.jsonl" for part in PARTS)]
    )


def test_a_run_that_ends_while_it_replaces_files_leaves_no_data_set_of_two_runs(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "d"
    _prepare(archive, out)
    moved = Path.replace

    def fail(path: Path, target: Path) -> Path:
        if target.name == "validation.jsonl":
            raise OSError("no space left")
        return moved(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="no space"):
            prepare([archive], out, Reading(), Thresholds(), (0.7, 0.15), 1, silent)
    with pytest.raises(InputError, match="is of two runs"):
        load_split(out)
    with pytest.raises(InputError, match="is of two runs"):
        audit(out, silent)
    _prepare(archive, out)
    assert len(load_split(out).train) > len(load_split(out).test)


def test_archives_without_patients_leak_no_near_duplicate_and_give_the_same_bytes(tmp_path: Path) -> None:
    reports = [replace(one, patient="") for one in synthesize(900, 3, 0.0) if len(one.findings) > 120]
    changed = [replace(one, id=f"{one.id}b", findings=f"{one.findings} The end.") for one in reports[:100]]
    write_reports(tmp_path / "r.jsonl", [*changed, *reports])
    for out in ("a", "b"):
        _prepare(tmp_path / "r.jsonl", tmp_path / out)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    parts = Split(*(tuple(load_reports(tmp_path / "a" / f"{name}.jsonl")) for name in PARTS))
    where = {one.id: name for name in PARTS for one in getattr(parts, name)}
    assert all(where[one.id] == where[one.id.removesuffix("b")] for one in changed if one.id in where)
    assert leak(parts, silent).near <= 1
    assert len(parts.train) == pytest.approx(0.7 * len(where), rel=0.1)


def test_what_fails_leaves_an_earlier_data_set_as_it_was(archive: Path, tmp_path: Path) -> None:
    _prepare(archive, tmp_path / "d")
    before = digests(tmp_path / "d")
    (tmp_path / "bad.jsonl").write_text(
        json.dumps({"findings": "f", "impression": "i", "modality": "CT", "clinic": "a"})
    )
    with pytest.raises(InputError, match="none of 1 is left"):
        _prepare(tmp_path / "bad.jsonl", tmp_path / "d")
    assert digests(tmp_path / "d") == before


def test_a_file_that_is_not_there_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        _prepare(tmp_path / "none.jsonl", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_one_run_at_a_time_prepares_a_folder(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "d" / ".prepare").mkdir(parents=True)
    handle = os.open(tmp_path / "d" / ".prepare", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(ConfigError, match="another run prepares this folder"):
            _prepare(archive, tmp_path / "d")
    finally:
        os.close(handle)
    assert _prepare(archive, tmp_path / "d").funnel.total == 301


def test_files_are_their_owners_alone(archive: Path, tmp_path: Path) -> None:
    _prepare(archive, tmp_path / "d")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "d").iterdir()} == {0o600}


def test_funnel_json_tells_counts_and_no_text(archive: Path, tmp_path: Path) -> None:
    made = _prepare(archive, tmp_path / "d")
    told = json.loads((tmp_path / "d" / "funnel.json").read_text("utf-8"))
    assert told == made.as_json()
    assert told["modalities"][0] == ["MR", "MR", max(count for _, _, count in made.modalities)]
    assert not any(report.findings in str(told) for report in synthesize(300, 3))


def test_texts_of_several_impressions_are_counted_wherever_they_end(archive: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    pair = "FINDINGS: The {} shows a fracture of the neck, without dislocation. IMPRESSION: Fracture of the {}.\n"
    said = ["".join(pair.format(bone, bone) for bone in bones) for bones in (("hip",), ("hip", "wrist"))]
    rows = [{"id": f"t{at}", "text": text, "exam": "CT", "clinic": "a"} for at, text in enumerate(said)]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    out = tmp_path / "d"
    prepare([archive, texts], out, Reading(), Thresholds(), (0.7, 0.15), 0, silent)
    assert audit(out, silent).several_impressions == 1
