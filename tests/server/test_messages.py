from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from radimpress.clustering.cell import Cell
from radimpress.reports.errors import InputError, ModalityError
from radimpress.reports.report import Modality
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.messages import (
    FINISH,
    REQUEST_ID_MAX,
    adapter_message,
    cell_message,
    cell_of,
    change_message,
    event_message,
    provenance,
    quality_message,
    report_of,
    table_message,
    trial_plan_of,
)
from radimpress.server.registry import Event, QualityRow
from radimpress.server.rollout.plan import Change
from radimpress.server.routes import (
    AdapterVersion,
    Arm,
    Entry,
    Reason,
    Route,
    RouteTable,
    Trial,
    TrialKind,
    TrialPlan,
    route,
)
from radimpress.v1 import adapter_pb2, impression_pb2

CREATED = datetime(2026, 3, 4, tzinfo=UTC)
ADAPTER = AdapterVersion("a", 1, "d" * 64, "b", "e" * 64, 2, "a/d", "f" * 64, CREATED)
CELL = Cell(Modality.CT, "list")


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


def test_a_request_name_that_is_too_long_is_refused() -> None:
    given = impression_pb2.ReportInput(findings="f")
    assert report_of("x" * REQUEST_ID_MAX, given).id == "x" * REQUEST_ID_MAX
    with pytest.raises(InputError) as caught:
        report_of("x" * (REQUEST_ID_MAX + 1), given)
    assert caught.value.field == "request_id"


def test_every_reason_has_a_word_of_its_own_in_the_contract() -> None:
    engine = FakeEngine("0" * 64)
    said = {provenance(Route(None, CELL, reason, 1), engine).reason for reason in Reason}
    assert len(said - {impression_pb2.ROUTE_REASON_UNSPECIFIED}) == len(Reason)
    assert len(said) == len(impression_pb2.RouteReason.keys()) - 1


@pytest.mark.parametrize("arm", [Arm.INCUMBENT, Arm.CANARY])
def test_an_answer_says_on_which_side_of_a_trial_it_stands(arm: Arm) -> None:
    said = provenance(Route(ADAPTER, CELL, Reason.CANARY, 1, arm=arm), FakeEngine("0" * 64))
    assert impression_pb2.Arm.Name(said.arm) == f"ARM_{arm.name}"


@pytest.mark.parametrize("kind", TrialKind)
def test_a_trial_plan_comes_back_as_it_went(kind: TrialKind) -> None:
    plan = TrialPlan(kind, 12.5, frozenset({"alder", "birch"}))
    trial = Trial(ADAPTER, "c" * 64, plan, 3, "waived by Dr A")
    table = RouteTable(4, {CELL: Entry(None, trial=trial)}, {}, "c" * 64, "promote a@1", CREATED)
    (entry,) = table_message(table).entries
    assert (entry.adapter, entry.version, entry.digest) == ("", 0, "")
    said = entry.trial
    assert (said.adapter, said.version, said.digest, said.since) == ("a", 1, "d" * 64, 3)
    assert (said.certificate_digest, said.waiver) == ("c" * 64, "waived by Dr A")
    assert trial_plan_of(said.plan) == plan


def test_a_slice_without_a_trial_says_none() -> None:
    table = RouteTable(4, {CELL: Entry(ADAPTER, "c" * 64)}, {}, "c" * 64, "promote a@1", CREATED)
    (entry,) = table_message(table).entries
    assert (entry.adapter, entry.HasField("trial")) == ("a", False)


def test_a_trial_of_no_kind_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        trial_plan_of(adapter_pb2.TrialPlan(percent=10))
    assert caught.value.field == "trial.kind"


def test_an_adapter_says_when_it_was_retired_and_only_then() -> None:
    assert not adapter_message(ADAPTER).HasField("retire_time")
    assert adapter_message(replace(ADAPTER, retired=CREATED)).retire_time.ToDatetime(UTC) == CREATED


def test_changes_events_and_quality_go_field_by_field() -> None:
    change = change_message(Change(CELL, "base", "a@1", "b@2 canary 10%"))
    assert (cell_of(change.cell), change.before, change.after, change.trial) == (CELL, "base", "a@1", "b@2 canary 10%")
    event = event_message(Event(7, CREATED, "dr-a", "promote", "d" * 64, 2, "promote a@1", "e" * 64, "f" * 64))
    assert (event.number, event.time.ToDatetime(UTC), event.actor, event.action) == (7, CREATED, "dr-a", "promote")
    assert (event.digest, event.route_table, event.detail, event.chain) == ("d" * 64, 2, "promote a@1", "f" * 64)
    row = quality_message(QualityRow(CELL, "a", 1, "d" * 64, Arm.SHADOW, 9, 3, 2, 0.25, 0.75, 1))
    assert (cell_of(row.cell), row.adapter, row.version, row.digest) == (CELL, "a", 1, "d" * 64)
    assert (row.arm, row.answers, row.noticed, row.signed) == (impression_pb2.ARM_SHADOW, 9, 3, 2)
    assert (row.edit_distance, row.rouge_l, row.unchanged) == (0.25, 0.75, 1)
