from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from radimpress.reports.errors import DamageError, InputError, NotFoundError, SealedError, UnavailableError
from radimpress.reports.report import Modality, Report
from radimpress.server.registry import Answer, Journal, Outcome, QualityRow, Registry, Signed
from radimpress.server.routes import Arm
from radimpress.server.security.sealing import Seal, make_key
from radimpress.v1 import impression_pb2
from tests.server.conftest import CT_LIST, MR_LIST, clusters
from tests.server.registry.conftest import NOON, answer

ASKED = impression_pb2.ReportInput(findings="The knee is intact.", modality="CT", clinic="alder", exam="CT knee")


@pytest.fixture
def registry(database_url: str, tmp_path: Path) -> Iterator[Registry]:
    """A registry with one table."""
    with closing(Registry(database_url, tmp_path)) as registry:
        registry.adopt(clusters())
        yield registry


@pytest.fixture
def journal(registry: Registry) -> Iterator[Journal]:
    """Its journal, without a key."""
    with closing(Journal(registry, None, 30)) as journal:
        yield journal


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    """A seal with a new key."""
    (tmp_path / "key").write_text(make_key(), "utf-8")
    return Seal([tmp_path / "key"])


def _signed(request_id: str = "r-1", *, rouge_l: float = 0.5, final: str = "No fracture.") -> Signed:
    return Signed(
        clinic="alder",
        request_id=request_id,
        edit_distance=1 - rouge_l,
        rouge_l=rouge_l,
        unchanged=rouge_l == 1,
        checks_right={"laterality": True},
        report=ASKED.SerializeToString(),
        final=final.encode(),
        created=NOON,
    )


def _record(journal: Journal, *given: Answer) -> list[Answer]:
    async def main() -> list[Answer]:
        return await asyncio.gather(*(journal.record(one) for one in given))

    return asyncio.run(main())


def _find(journal: Journal, request_id: str = "r-1", clinic: str = "alder") -> Answer | None:
    return asyncio.run(journal.find(clinic, request_id))


def _sign(journal: Journal, *given: Signed) -> None:
    for one in given:
        asyncio.run(journal.sign(one))


def test_a_recorded_answer_is_found_as_it_was(journal: Journal, registry: Registry) -> None:
    given = answer(checks=("laterality", "length"), arm=Arm.CANARY, adapter="unified", version=3, digest="d" * 64)
    (kept,) = _record(journal, given)
    assert kept == replace(given, number=1)
    assert _find(journal) == kept
    with closing(Journal(registry, None, 30)) as other:
        assert _find(other) == kept


def test_what_was_never_answered_is_not_found(journal: Journal) -> None:
    _record(journal, answer())
    assert _find(journal, "r-2") is None
    assert _find(journal, "r-1", "birch") is None


def test_the_first_answer_of_a_request_stays_and_is_given_to_the_second(journal: Journal, registry: Registry) -> None:
    (first,) = _record(journal, answer())
    with closing(Journal(registry, None, 30)) as other:
        second = answer(message=b"another", adapter="unified", version=2, digest="d" * 64)
        given = _record(other, second, answer("r-2"))
        assert given[0] == first
        assert given[1].request_id == "r-2"
    assert _find(journal) == first


def test_of_two_answers_of_one_request_in_one_batch_the_first_is_everybodys(journal: Journal) -> None:
    given = _record(journal, answer(message=b"one"), answer(message=b"two"), answer("r-2"))
    assert given[0] == given[1]
    assert given[0].message in (b"one", b"two")
    assert _find(journal) == given[0]


def test_clinics_and_shadows_have_names_of_their_own(journal: Journal) -> None:
    given = [answer(), answer(clinic="birch"), answer(arm=Arm.SHADOW, message=b"")]
    kept = _record(journal, *given)
    assert [replace(one, number=0) for one in kept] == given
    assert len({one.number for one in kept}) == 3
    found = _find(journal)
    assert found is not None
    assert found.arm is Arm.INCUMBENT


def test_many_at_once_from_several_servers_are_all_there_and_numbered_once(
    journal: Journal, registry: Registry
) -> None:
    with closing(Journal(registry, None, 30)) as other:

        async def main() -> list[Answer]:
            both = [one.record(answer(f"{at}-{number}")) for number in range(150) for at, one in enumerate(servers)]
            return await asyncio.gather(*both)

        servers = (journal, other)
        kept = asyncio.run(main())
    assert sorted(one.number for one in kept) == list(range(1, 301))
    assert _find(journal, "1-149") == kept[-1]


@pytest.mark.parametrize("name", ["", " ", "ü€\U0001f9b4", "'; DROP TABLE answers; --", "x" * 128, "%s", ":a"])
def test_names_are_kept_as_they_are(journal: Journal, name: str) -> None:
    (kept,) = _record(journal, answer(name, clinic=name))
    assert _find(journal, name, name) == kept


def test_a_name_that_the_database_cannot_hold_is_told_to_who_asked_with_it(journal: Journal) -> None:
    async def main() -> list[Answer | BaseException]:
        given = (answer("r-1"), answer("r-\0"), answer("r-2"))
        return await asyncio.gather(*(journal.record(one) for one in given), return_exceptions=True)

    one, wrong, two = asyncio.run(main())
    assert isinstance(one, Answer)
    assert isinstance(two, Answer)
    # SQLite holds it.
    assert isinstance(wrong, Answer | InputError)


def test_a_signed_text_counts_and_a_later_one_takes_its_place(journal: Journal) -> None:
    _record(journal, answer(), answer("r-2"))
    _sign(journal, _signed(rouge_l=0.5), _signed("r-2", rouge_l=1), _signed(rouge_l=0.25, final="Fracture."))
    assert [(report.id, report.impression) for report in journal.export()] == [
        ("alder:r-1", "Fracture."),
        ("alder:r-2", "No fracture."),
    ]
    (row,) = journal.quality(None)
    assert row == QualityRow(CT_LIST, "base", 0, "", Arm.INCUMBENT, 2, 0, 2, (0.75 + 0) / 2, (0.25 + 1) / 2, 1)


def test_what_was_never_answered_cannot_be_signed(journal: Journal) -> None:
    _record(journal, answer("r-2"), answer("r-3", arm=Arm.SHADOW))
    for request_id in ("r-1", "r-3"):
        with pytest.raises(NotFoundError, match="no answer with this request_id"):
            _sign(journal, _signed(request_id))


def test_outcomes_have_places_that_never_change(journal: Journal) -> None:
    _record(journal, answer("r-1"))
    _record(journal, answer("r-2", checks=("laterality",), arm=Arm.CANARY, digest="d" * 64, table=2))
    assert journal.outcomes(CT_LIST, 1) == [
        Outcome(1, Arm.INCUMBENT, "", ()),
        Outcome(2, Arm.CANARY, "d" * 64, ("laterality",)),
    ]
    _sign(journal, _signed("r-2", rouge_l=0.5))
    _record(journal, answer("r-3", table=2))
    second = Outcome(2, Arm.CANARY, "d" * 64, ("laterality",), 0.5, 3)
    third = Outcome(4, Arm.INCUMBENT, "", ())
    assert journal.outcomes(CT_LIST, 1, after=2) == [second, third]
    assert journal.outcomes(CT_LIST, 2) == [second, third]
    assert journal.outcomes(CT_LIST, 1, after=4) == []
    _sign(journal, _signed("r-1", rouge_l=1), _signed("r-2", rouge_l=0.75))
    assert journal.outcomes(CT_LIST, 1, after=4) == [Outcome(1, Arm.INCUMBENT, "", (), 1.0, 5)]
    assert [one.signed for one in journal.outcomes(CT_LIST, 1)] == [5, 3, 0]


def test_outcomes_of_other_slices_are_others(journal: Journal) -> None:
    _record(journal, answer("r-1"), answer("r-2", cell=MR_LIST))
    assert len(journal.outcomes(CT_LIST, 1)) == len(journal.outcomes(MR_LIST, 1)) == 1


def test_live_quality_is_by_slice_adapter_and_arm(journal: Journal) -> None:
    unified = {"adapter": "unified", "version": 2, "digest": "d" * 64}
    _record(
        journal,
        answer("r-1"),
        answer("r-2", checks=("length",)),
        answer("r-3", arm=Arm.CANARY, **unified),
        answer("r-3", arm=Arm.SHADOW, message=b"", checks=("phi",), **unified),
        answer("r-4", cell=MR_LIST, created=NOON - timedelta(days=1)),
    )
    _sign(journal, _signed("r-3", rouge_l=1))
    rows = {(row.cell, row.arm): row for row in journal.quality(None)}
    assert rows[CT_LIST, Arm.INCUMBENT] == QualityRow(CT_LIST, "base", 0, "", Arm.INCUMBENT, 2, 1, 0, 0, 0, 0)
    canary = QualityRow(CT_LIST, "unified", 2, "d" * 64, Arm.CANARY, 1, 0, 1, 0, 1, 1)
    assert rows[CT_LIST, Arm.CANARY] == canary
    assert rows[CT_LIST, Arm.SHADOW].noticed == 1
    assert len(rows) == 4
    assert {row.cell for row in journal.quality(NOON)} == {CT_LIST}


def test_what_was_signed_goes_back_into_training_as_whole_reports(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radimpress.server.registry.journal._PAGE", 2)
    names = [f"r-{number}" for number in range(5)]
    _record(journal, *(answer(name) for name in names))
    _sign(journal, *(_signed(name) for name in names))
    reports = list(journal.export())
    assert [report.id for report in reports] == [f"alder:{name}" for name in names]
    assert reports[0] == Report(
        id="alder:r-0",
        clinic="alder",
        modality=Modality.CT,
        findings="The knee is intact.",
        impression="No fracture.",
        exam="CT knee",
        source="signed",
    )


def test_old_answers_lose_their_text_and_their_names_and_count_on(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radimpress.server.registry.journal._PAGE", 2)
    old = NOON - timedelta(days=31)
    _record(journal, *(answer(f"r-{number}", created=old) for number in range(5)), answer("young"))
    _sign(journal, _signed("r-0"))
    assert journal.purge(NOON) == 5
    assert journal.purge(NOON) == 0
    assert _find(journal, "r-0") is None
    assert _find(journal, "young") is not None
    with pytest.raises(NotFoundError, match="kept long enough"):
        _sign(journal, _signed("r-1"))
    with journal._database.reading() as session:
        kept = session.connection().exec_driver_sql("SELECT request_id, message, subject, asked FROM answers")
        assert kept.all().count((None, None, "", "")) == 5
    (row,) = journal.quality(None)
    assert (row.answers, row.signed) == (6, 1)
    assert [report.id for report in journal.export()] == ["alder:r-0"]
    # The name is free again.
    (again,) = _record(journal, answer("r-0"))
    assert _find(journal, "r-0") == again


def _everything(journal: Journal) -> bytes:
    with journal._database.reading() as session:
        connection = session.connection()
        rows = [connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in ("answers", "signed")]
    cells = [cell for table in rows for row in table for cell in row]
    return b"|".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in cells)


def test_with_a_key_no_text_is_in_the_database_and_all_is_read_as_it_was(registry: Registry, seal: Seal) -> None:
    with closing(Journal(registry, seal, 30)) as journal:
        (kept,) = _record(journal, answer(message=b"canary one"))
        _sign(journal, replace(_signed(final="canary two"), report=ASKED.SerializeToString()))
        assert b"canary" not in _everything(journal)
        assert b"knee" not in _everything(journal)
        assert _find(journal) == kept
        assert [(report.findings, report.impression) for report in journal.export()] == [
            ("The knee is intact.", "canary two")
        ]
    with closing(Journal(registry, None, 30)) as without:
        with pytest.raises(SealedError, match="no key is given"):
            _find(without)
        with pytest.raises(SealedError, match="no key is given"):
            list(without.export())
        assert len(without.quality(None)) == 1


def test_texts_of_before_the_key_are_read_still(journal: Journal, registry: Registry, seal: Seal) -> None:
    (kept,) = _record(journal, answer())
    with closing(Journal(registry, seal, 30)) as sealing:
        assert _find(sealing) == kept
        assert _record(sealing, answer(message=b"another")) == [kept]


def test_a_sealed_text_in_the_place_of_another_does_not_open(registry: Registry, seal: Seal) -> None:
    with closing(Journal(registry, seal, 30)) as journal:
        _record(journal, answer("r-1"), answer("r-2"))
        with registry._database.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE answers SET message = (SELECT message FROM answers WHERE request_id = 'r-2')"
            )
        with pytest.raises(DamageError):
            _find(journal, "r-1")
        assert _find(journal, "r-2") is not None


def test_an_answer_that_cannot_be_read_is_told_to_whoever_asks_for_it_and_to_nobody_else(
    registry: Registry, seal: Seal
) -> None:
    with closing(Journal(registry, seal, 30)) as sealing:
        _record(sealing, answer("sealed"))
    with closing(Journal(registry, None, 30)) as journal:
        (plain,) = _record(journal, answer("plain"))

        async def ask() -> tuple[list[object], list[object]]:
            names = ["sealed", "plain", "nobody"]
            found = await asyncio.gather(*(journal.find("alder", name) for name in names), return_exceptions=True)
            given = [answer(name, message=b"another") for name in ("sealed", "plain", "new")]
            kept = await asyncio.gather(*(journal.record(one) for one in given), return_exceptions=True)
            return list(found), list(kept)

        found, kept = asyncio.run(ask())
    assert isinstance(found[0], SealedError)
    assert found[1:] == [plain, None]
    assert isinstance(kept[0], SealedError)
    assert kept[1] == plain
    assert isinstance(kept[2], Answer)
    assert kept[2].message == b"another"


def test_a_closed_journal_has_recorded_what_was_asked(registry: Registry) -> None:
    journal = Journal(registry, None, 30)

    async def main() -> list[Answer]:
        asked = [asyncio.create_task(journal.record(answer(f"r-{number}"))) for number in range(50)]
        await asyncio.sleep(0)
        await asyncio.to_thread(journal.close)
        return await asyncio.gather(*asked)

    assert len(asyncio.run(main())) == 50
    with closing(Journal(registry, None, 30)) as later:
        assert _find(later, "r-49") is not None


def test_a_database_that_is_gone_is_told_and_the_journal_goes_on_when_it_is_back(
    postgres_url: str, postgres_stopped: Callable[[], AbstractContextManager[None]], tmp_path: Path
) -> None:
    with closing(Registry(postgres_url, tmp_path)) as registry, closing(Journal(registry, None, 30)) as journal:
        _record(journal, answer("r-1"))
        with postgres_stopped():
            for ask in (lambda: _record(journal, answer("r-2")), lambda: _find(journal, "r-1")):
                with pytest.raises(UnavailableError):
                    ask()
        assert _find(journal, "r-1") is not None
        assert _record(journal, answer("r-2"))[0].number == 2


def test_what_was_acknowledged_survives_a_kill(registry: Registry, tmp_path: Path) -> None:
    writer = Path(__file__).with_name("writer.py")
    process = subprocess.Popen([sys.executable, str(writer), registry.url, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().decode().strip() for _ in range(200)]
    os.kill(process.pid, signal.SIGKILL)
    rest, _ = process.communicate()
    acknowledged += [line.decode() for line in rest.split(b"\n")[:-1]]
    with closing(Journal(registry, None, 30)) as journal:

        async def main() -> list[Answer | None]:
            return await asyncio.gather(*(journal.find("alder", name) for name in acknowledged))

        assert all(asyncio.run(main()))
