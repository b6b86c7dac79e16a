from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from radimpress.clustering.cell import Cell
from radimpress.reports.report import Modality, Report
from radimpress.server.routes import AdapterVersion, Entry, Reason, RouteTable, route
from tests.server.conftest import CLINICS, CT_ANY, CT_LIST

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIST = AdapterVersion("cluster-list", 3, "a" * 64, "tiny", "b" * 64, 2, "cluster-list/a", "c" * 64, NOW)
UNIFIED = AdapterVersion("unified", 1, "d" * 64, "tiny", "b" * 64, 2, "unified/d", "e" * 64, NOW)
TABLE = RouteTable(7, {CT_LIST: Entry(LIST, "1"), CT_ANY: Entry(UNIFIED, "2")}, CLINICS, "f" * 64, "made up", NOW)


def _report(clinic: str, modality: Modality) -> Report:
    return Report(id="r", findings="Intact.", clinic=clinic, modality=modality)


@pytest.mark.parametrize("clinic", ["alder", "birch"])
def test_a_clinic_of_a_judged_slice_gets_its_adapter(clinic: str) -> None:
    chosen = route(_report(clinic, Modality.CT), TABLE)
    assert (chosen.adapter, chosen.cell, chosen.reason) == (LIST, CT_LIST, Reason.CELL)


@pytest.mark.parametrize("clinic", ["willow", "", "ALDER", "any", "list"])
def test_an_unknown_clinic_gets_the_adapter_judged_over_all_clinics(clinic: str) -> None:
    chosen = route(_report(clinic, Modality.CT), TABLE)
    assert (chosen.adapter, chosen.cell, chosen.reason) == (UNIFIED, CT_ANY, Reason.CLINIC_UNKNOWN)


def test_a_known_clinic_never_falls_back_to_the_adapter_of_all_clinics() -> None:
    chosen = route(_report("elm", Modality.CT), TABLE)
    assert (chosen.adapter, chosen.cell) == (None, Cell(Modality.CT, "telegraphic"))
    assert chosen.reason is Reason.NOT_JUDGED


@pytest.mark.parametrize("clinic", ["alder", "willow"])
def test_a_modality_that_nobody_judged_is_answered_by_base(clinic: str) -> None:
    chosen = route(_report(clinic, Modality.MG), TABLE)
    assert (chosen.adapter, chosen.reason) == (None, Reason.NOT_JUDGED)


@pytest.mark.parametrize("clinic", ["alder", "willow"])
def test_without_a_modality_base_answers(clinic: str) -> None:
    chosen = route(_report(clinic, Modality.UNSPECIFIED), TABLE)
    assert (chosen.adapter, chosen.reason) == (None, Reason.MODALITY_UNSPECIFIED)


def test_an_entry_for_no_modality_is_never_taken() -> None:
    cell = Cell(Modality.UNSPECIFIED, "list")
    table = replace(TABLE, entries={cell: Entry(LIST, "1")})
    assert route(_report("alder", Modality.UNSPECIFIED), table).adapter is None


@pytest.mark.parametrize("modality", Modality)
def test_an_empty_table_sends_everything_to_base(modality: Modality) -> None:
    assert route(_report("alder", modality), replace(TABLE, entries={})).adapter is None


def test_the_answer_names_the_table() -> None:
    assert route(_report("alder", Modality.CT), TABLE).table == 7


def test_a_version_is_written_with_its_name() -> None:
    assert str(LIST) == "cluster-list@3"
