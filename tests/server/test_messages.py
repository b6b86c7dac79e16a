from __future__ import annotations

from datetime import UTC, datetime

import pytest

from radimpress.clustering.cell import Cell
from radimpress.reports.errors import ModalityError
from radimpress.reports.report import Modality
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.messages import (
    FINISH,
    adapter_message,
    cell_message,
    cell_of,
    provenance,
    report_of,
    table_message,
)
from radimpress.server.routes import AdapterVersion, Entry, RouteTable, route
from radimpress.v1 import impression_pb2


@pytest.mark.parametrize("modality", Modality)
def test_a_slice_comes_back_as_it_went(modality: Modality) -> None:
    cell = Cell(modality, "list")
    assert cell_of(cell_message(cell)) == cell


def test_the_contracts_modalities_are_ours() -> None:
    names = {name.removeprefix("MODALITY_") for name in impression_pb2.Modality.keys()}  # noqa: SIM118
    assert names == {modality.value for modality in Modality}


def test_a_request_becomes_a_report_field_by_field() -> None:
    given = impression_pb2.ReportInput(
        findings="f", modality="mri", clinic="c", exam="e", indication="i", comparison="o"
    )
    report = report_of("r", given)
    assert (report.id, report.findings, report.modality, report.clinic) == ("r", "f", Modality.MR, "c")
    assert (report.exam, report.indication, report.comparison) == ("e", "i", "o")
    assert (report.impression, report.patient) == ("", "")


def test_a_modality_that_is_not_known_is_refused() -> None:
    with pytest.raises(ModalityError):
        report_of("r", impression_pb2.ReportInput(findings="f", modality="telepathy"))


def test_a_time_keeps_its_zone_and_fraction() -> None:
    created = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
    adapter = AdapterVersion("a", 1, "d" * 64, "b", "e" * 64, 2, "a/d", "f" * 64, created)
    assert adapter_message(adapter).create_time.ToDatetime(UTC) == created


def test_both_ways_to_end_have_a_name_of_their_own() -> None:
    assert len(set(FINISH.values()) - {impression_pb2.FINISH_REASON_UNSPECIFIED}) == len(FINISH) == 2


def test_a_waiver_goes_with_its_slice_and_its_answers_alone() -> None:
    created = datetime(2026, 3, 4, tzinfo=UTC)
    adapter = AdapterVersion("a", 1, "d" * 64, "b", "e" * 64, 2, "a/d", "f" * 64, created)
    waived, passed = Cell(Modality.CT, "list"), Cell(Modality.MR, "list")
    entries = {waived: Entry(adapter, "1", "waived by Dr A"), passed: Entry(adapter, "1")}
    table = RouteTable(2, entries, {"alder": "list"}, "c" * 64, "promote a@1", created)
    assert {cell_of(row.cell): row.waiver for row in table_message(table).entries} == {
        waived: "waived by Dr A",
        passed: "",
    }
    for modality, said in ((Modality.CT, "waived by Dr A"), (Modality.MR, ""), (Modality.US, "")):
        report = report_of("r", impression_pb2.ReportInput(findings="f", modality=modality.value, clinic="alder"))
        assert provenance(route(report, table), FakeEngine("0" * 64)).waiver == said
