from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from radimpress.reports.errors import ConfigError, DamageError, NotFoundError, UnavailableError
from radimpress.server.security import audit as module
from radimpress.server.security import trail
from radimpress.server.security.audit import Audit
from radimpress.server.security.trail import START, Verified, link, verify, verify_all


def _write(audit: Audit, *request_ids: str) -> None:
    for request_id in request_ids:
        audit.write(
            "GenerateImpression", subject="ris", clinic="alder", request_id=request_id, digest="d" * 64, table=7
        )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_line_says_who_what_by_which_adapter_and_table(tmp_path: Path) -> None:
    audit = Audit(tmp_path, "one")
    _write(audit, "r-1")
    audit.write("PromoteAdapter", subject="ops", outcome="FAILED_PRECONDITION")
    audit.close()
    first, second = _lines(audit.path)
    assert {name: first[name] for name in ("number", "subject", "action", "request_id", "digest", "table")} == {
        "number": 1,
        "subject": "ris",
        "action": "GenerateImpression",
        "request_id": "r-1",
        "digest": "d" * 64,
        "table": 7,
    }
    assert (second["number"], second["subject"], second["outcome"]) == (2, "ops", "FAILED_PRECONDITION")


def test_a_clinics_name_is_written_as_a_digest_alone(tmp_path: Path) -> None:
    audit = Audit(tmp_path, "one")
    audit.write("GenerateImpression", subject="ris", clinic="a report that stands in the wrong field")
    audit.close()
    assert b"report" not in audit.path.read_bytes()
    assert (
        _lines(audit.path)[0]["clinic"] == hashlib.sha256(b"a report that stands in the wrong field").hexdigest()[:16]
    )


def test_a_whole_trail_is_verified(tmp_path: Path) -> None:
    audit = Audit(tmp_path, "one")
    _write(audit, *(f"r-{number}" for number in range(100)))
    audit.close()
    assert verify(audit.path) == Verified(100, _lines(audit.path)[-1]["chain"], 0)


@pytest.mark.parametrize("request_id", ["", 'quo"ted', "new\nline", "\u2028", "ünï", "\x00"])
def test_any_request_id_makes_one_line(tmp_path: Path, request_id: str) -> None:
    audit = Audit(tmp_path, "one")
    _write(audit, request_id, "next")
    audit.close()
    assert verify(audit.path).lines == 2
    assert json.loads(audit.path.read_bytes().split(b"\n")[0])["request_id"] == request_id


def test_a_line_is_in_the_file_before_the_answer_leaves(tmp_path: Path) -> None:
    audit = Audit(tmp_path, "one")
    for number in range(1, 4):
        _write(audit, "r")
        assert verify(audit.path).lines == number
    audit.close()


def test_a_line_is_on_the_disk_within_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, real = threading.Event(), os.fsync

    def fsync(file: int) -> None:
        real(file)
        synced.set()

    monkeypatch.setattr(os, "fsync", fsync)
    audit = Audit(tmp_path, "one")
    _write(audit, "r")
    began = time.monotonic()
    assert synced.wait(5)
    assert time.monotonic() - began < 2
    audit.close()


def test_nothing_written_is_nothing_to_hand_to_the_disk_and_the_end_hands_over_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = 0

    def fsync(_: int) -> None:
        nonlocal synced
        synced += 1

    monkeypatch.setattr(os, "fsync", fsync)
    idle = Audit(tmp_path, "idle")
    idle.close()
    assert synced == 0
    busy = Audit(tmp_path, "busy")
    _write(busy, "r")
    busy.close()
    assert synced == 1


def test_after_a_restart_the_chain_goes_on(tmp_path: Path) -> None:
    for start in range(3):
        audit = Audit(tmp_path, "one")
        _write(audit, f"r-{start}-1", f"r-{start}-2")
        audit.close()
    assert verify(tmp_path / "one.jsonl").lines == 6


def test_lines_longer_than_a_block_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "_BLOCK", 16)
    for _ in range(3):
        audit = Audit(tmp_path, "one")
        _write(audit, "r")
        audit.close()
    assert verify(tmp_path / "one.jsonl").lines == 3


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("left", [1, 50, -1])
def test_a_torn_last_line_is_put_aside_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: int, left: int
) -> None:
    audit = Audit(tmp_path, "one")
    _write(audit, *["r"] * (before + 1))
    audit.close()
    lines = audit.path.read_bytes().splitlines(keepends=True)
    torn = lines[-1][:left]
    audit.path.write_bytes(b"".join(lines[:-1]) + torn)
    assert verify(audit.path).torn == len(torn)

    again = Audit(tmp_path, "one")
    _write(again, "after")
    again.close()
    assert verify(again.path) == Verified(before + 1, _lines(again.path)[-1]["chain"], 0)
    assert (tmp_path / "one.torn").read_bytes() == torn + b"\n"
    assert "audit_torn" in "".join(capsys.readouterr())


def test_kill_9_loses_no_line_that_was_written(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from radimpress.server.security.audit import Audit\n"
        "audit = Audit(Path(sys.argv[1]), 'one')\n"
        "for number in range(10**9):\n"
        "    audit.write('GenerateImpression', subject='ris', request_id=str(number))\n"
        "    print(number, flush=True)\n"
    )
    told = 0
    for start in range(3):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            # The first line is the log's, that the trail was opened.
            numbers = [
                line for line, _ in zip(child.stdout, range(200 + start * 37), strict=False) if line[0].isdigit()
            ]
            child.send_signal(signal.SIGKILL)
            numbers += [line for line in child.stdout if line.endswith("\n") and line[0].isdigit()]
        told += len([line for line in numbers if line.strip().isdigit()])
        assert told > 0
        assert verify(tmp_path / "one.jsonl").lines >= told
        told = verify(tmp_path / "one.jsonl").lines


@pytest.mark.parametrize(
    "change", ["a letter", "left out", "put in", "swapped", "first left out", "spaces", "not JSON"]
)
def test_a_trail_that_was_changed_names_the_first_wrong_line(tmp_path: Path, change: str) -> None:
    audit = Audit(tmp_path, "one")
    _write(audit, *(f"r-{number}" for number in range(5)))
    audit.close()
    lines = audit.path.read_bytes().splitlines(keepends=True)
    wrong = 3
    if change == "a letter":
        lines[2] = lines[2].replace(b'"ris"', b'"rus"')
    elif change == "left out":
        del lines[2]
    elif change == "put in":
        lines.insert(2, lines[1])
    elif change == "swapped":
        lines[2], lines[3] = lines[3], lines[2]
    elif change == "first left out":
        del lines[0]
        wrong = 1
    elif change == "spaces":
        lines[2] = lines[2].replace(b'"table":7', b'"table": 7')
    else:
        lines[2] = b"{\n"
    audit.path.write_bytes(b"".join(lines))
    with pytest.raises(DamageError, match=f"line {wrong} is not the one"):
        verify(audit.path)


def test_a_line_made_anew_with_its_own_chain_breaks_the_next(tmp_path: Path) -> None:
    audit = Audit(tmp_path, "one")
    _write(audit, "r-1", "r-2", "r-3")
    audit.close()
    lines = _lines(audit.path)
    lines[1]["subject"] = "somebody else"
    changed = {key: value for key, value in lines[1].items() if key != "chain"}
    raw = audit.path.read_bytes().splitlines(keepends=True)
    raw[1] = link(lines[0]["chain"], changed)[1]
    audit.path.write_bytes(b"".join(raw))
    with pytest.raises(DamageError, match="line 3 is not the one"):
        verify(audit.path)


def test_two_servers_cannot_write_the_same_trail(tmp_path: Path) -> None:
    audit = Audit(tmp_path, "one")
    with pytest.raises(ConfigError, match="another server writes it"):
        Audit(tmp_path, "one")
    other = Audit(tmp_path, "other")
    other.close()
    audit.close()
    Audit(tmp_path, "one").close()


@pytest.mark.parametrize("name", ["", "../one", "a/b", ".hidden", "a b", "x" * 129])
def test_a_server_whose_name_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is no file name"):
        Audit(tmp_path, name)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        Audit(tmp_path / "file" / "audit", "one")


def test_a_file_that_is_no_trail_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text("something else\n", "utf-8")
    with pytest.raises(ConfigError, match="move it aside"):
        Audit(tmp_path, "one")
    assert path.read_text("utf-8") == "something else\n"


@pytest.mark.parametrize("first", [b"\xff", b"{", b"null", b'{"number":1}', b'{"number":[],"chain":""}', b"[" * 20_000])
def test_a_trail_whose_first_line_is_not_its_own_is_told_and_not_written_to(tmp_path: Path, first: bytes) -> None:
    audit = Audit(tmp_path, "one")
    _write(audit, "r-1", "r-2")
    audit.close()
    spoiled = first + b"\n" + audit.path.read_bytes().splitlines(keepends=True)[1]
    audit.path.write_bytes(spoiled)
    with pytest.raises(DamageError, match=r"one\.jsonl: line 1 is not one of an audit trail"):
        Audit(tmp_path, "one")
    assert audit.path.read_bytes() == spoiled


@pytest.mark.parametrize("last", [b"", b"something else\n"])
def test_a_file_that_is_to_be_gone_on_from_and_is_no_trail_is_named(tmp_path: Path, last: bytes) -> None:
    (tmp_path / "one.000000000001.jsonl").write_bytes(last)
    with pytest.raises(ConfigError, match=r"one\.000000000001\.jsonl: its last line is not one"):
        Audit(tmp_path, "one")


def test_a_file_that_is_to_be_gone_on_from_and_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.000000000001.jsonl").mkdir()
    with pytest.raises(ConfigError, match="cannot be gone on with"):
        Audit(tmp_path, "one")


def test_a_trail_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        verify(tmp_path / "nothing.jsonl")


def test_a_full_disk_is_unavailable_leaves_nothing_half_written_and_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit = Audit(tmp_path, "one")
    _write(audit, "r-1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit within the next line, so that the system writes a part of it first.
    resource.setrlimit(resource.RLIMIT_FSIZE, (audit.path.stat().st_size + 40, hard))
    try:
        with pytest.raises(UnavailableError):
            _write(audit, "r-2")
        assert verify(audit.path) == Verified(1, _lines(audit.path)[0]["chain"], 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    _write(audit, "r-3")
    audit.close()
    assert [line["request_id"] for line in _lines(audit.path)] == ["r-1", "r-3"]
    assert verify(audit.path).lines == 2
    assert "audit_not_written" in "".join(capsys.readouterr())


def test_a_disk_that_loses_what_it_took_ends_the_trail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    def fsync(_: int) -> None:
        failed.set()
        raise OSError(errno.EIO, "an error of the disk")

    monkeypatch.setattr(module, "_SYNC_SECONDS", 0.01)
    monkeypatch.setattr(os, "fsync", fsync)
    audit = Audit(tmp_path, "one")
    _write(audit, "r-1")
    assert failed.wait(5)

    def until_told() -> None:
        for _ in range(500):
            _write(audit, "r-2")
            time.sleep(0.01)

    with pytest.raises(UnavailableError):
        until_told()
    audit.close()


def test_a_file_that_is_full_while_it_is_handed_to_the_disk_is_closed_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncing, turned, failed, real = threading.Event(), threading.Event(), threading.Event(), os.fsync

    def fsync(file: int) -> None:
        if threading.current_thread().name == "radimpress-audit":
            syncing.set()
            # As long as a slow disk takes, or until the file has been exchanged for another meanwhile.
            turned.wait(0.5)
        try:
            real(file)
        except OSError:
            failed.set()
            raise

    monkeypatch.setattr(module, "_SYNC_SECONDS", 0.01)
    monkeypatch.setattr(os, "fsync", fsync)
    audit = Audit(tmp_path, "one", most=100)
    _write(audit, "r-1")
    assert syncing.wait(5)
    _write(audit, "r-2")
    turned.set()
    audit.close()
    assert not failed.is_set()
    assert [one.lines for _, one in verify_all(_parts(tmp_path))] == [1, 2]


def test_a_line_that_comes_after_the_end_is_unavailable_and_goes_to_no_other_file(tmp_path: Path) -> None:
    for most in (100, 1 << 20):
        audit = Audit(tmp_path / str(most), "one", most)
        _write(audit, "r-1")
        audit.close()
        with (tmp_path / "another").open("w+b") as another:
            with pytest.raises(UnavailableError):
                _write(audit, "r-2")
            assert another.read() == b""
        assert [path.name for path in _parts(audit.path.parent)] == ["one.jsonl"]
        assert verify(audit.path).lines == 1


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    audit = Audit(tmp_path, "one")
    threads = [threading.Thread(target=_write, args=(audit, *[f"r-{number}"] * 50)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    audit.close()
    assert verify(audit.path).lines == 400


def _parts(folder: Path) -> list[Path]:
    """In the order of their lines."""
    return sorted(folder.glob("*.jsonl"))


def test_a_full_file_is_closed_and_the_next_goes_on_from_it(tmp_path: Path) -> None:
    audit = Audit(tmp_path, "one", most=1000)
    _write(audit, *(f"r-{number}" for number in range(20)))
    audit.close()
    paths = _parts(tmp_path)
    assert len(paths) > 3
    assert all(path.stat().st_size < 1500 for path in paths)
    asked = [line["request_id"] for path in paths for line in _lines(path) if line["action"] != "Continue"]
    assert asked == [f"r-{number}" for number in range(20)]
    found = [one for _, one in verify_all(reversed(paths))]
    assert (found[0].before, found[0].after) == (0, START)
    assert [one.before for one in found[1:]] == [one.before + one.lines for one in found[:-1]]
    assert sum(one.lines for one in found) == 20 + len(paths) - 1


def test_after_a_restart_a_full_file_is_still_named_by_its_first_line(tmp_path: Path) -> None:
    for _ in range(12):
        audit = Audit(tmp_path, "one", most=1000)
        _write(audit, "r")
        audit.close()
    paths = _parts(tmp_path)
    assert [path.name for path in paths[:-1]] == [f"one.{_lines(path)[0]['number']:012}.jsonl" for path in paths[:-1]]
    assert len(list(verify_all(paths))) == len(paths) > 2


def test_a_server_that_was_killed_between_two_files_goes_on_from_the_first(tmp_path: Path) -> None:
    audit = Audit(tmp_path, "one")
    _write(audit, "r-1", "r-2")
    audit.close()
    audit.path.rename(tmp_path / "one.000000000001.jsonl")
    again = Audit(tmp_path, "one")
    _write(again, "r-3")
    again.close()
    assert [line["number"] for line in _lines(again.path)] == [3, 4]
    assert [one.lines for _, one in verify_all(_parts(tmp_path))] == [2, 2]


@pytest.mark.parametrize("change", ["a part is gone", "a part is cut short", "a part is another's"])
def test_files_that_do_not_go_on_from_each_other_are_told(tmp_path: Path, change: str) -> None:
    audit = Audit(tmp_path, "one", most=1000)
    _write(audit, *["r"] * 20)
    audit.close()
    second = _parts(tmp_path)[1]
    if change == "a part is gone":
        second.unlink()
    elif change == "a part is cut short":
        second.write_bytes(b"".join(second.read_bytes().splitlines(keepends=True)[:-1]))
    else:
        other = Audit(tmp_path / "other", "one", most=1000)
        _write(other, *["s"] * 20)
        other.close()
        second.write_bytes(_parts(tmp_path / "other")[1].read_bytes())
    with pytest.raises(DamageError, match="does not go on where"):
        list(verify_all(_parts(tmp_path)))


def _full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "no space")


def test_a_file_that_cannot_be_turned_is_unavailable_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = Audit(tmp_path, "one", most=300)
    _write(audit, "r-1")

    with monkeypatch.context() as patch:
        patch.setattr(Audit, "_open", _full)
        with pytest.raises(UnavailableError):
            _write(audit, "r-2")
    assert [path.name for path in _parts(tmp_path)] == ["one.jsonl"]
    _write(audit, "r-3")
    audit.close()
    lines = [line for path in _parts(tmp_path) for line in _lines(path)]
    assert [line.get("request_id") for line in lines] == ["r-1", None, "r-3"]
    assert len(list(verify_all(_parts(tmp_path)))) == 2


def test_a_disk_that_is_full_when_the_next_file_begins_leaves_a_whole_trail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = Audit(tmp_path, "one", most=300)
    _write(audit, "r-1")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _full)
        with pytest.raises(UnavailableError):
            _write(audit, "r-2")
    _write(audit, "r-3")
    audit.close()
    assert [one.lines for _, one in verify_all(_parts(tmp_path))] == [1, 2]


def test_a_server_whose_name_begins_with_anothers_has_a_trail_of_its_own(tmp_path: Path) -> None:
    longer = Audit(tmp_path, "a.b", most=300)
    _write(longer, *["r"] * 4)
    longer.close()
    audit = Audit(tmp_path, "a")
    _write(audit, "r")
    audit.close()
    assert [line["number"] for line in _lines(audit.path)] == [1]
    assert len(list(verify_all(_parts(tmp_path)))) == len(_parts(tmp_path))
