from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from radimpress.clustering.cell import Cell
from radimpress.reports.errors import InputError
from radimpress.reports.report import Modality, Report
from radimpress.server.routes import (
    AdapterVersion,
    Arm,
    Entry,
    Reason,
    RouteTable,
    Trial,
    TrialKind,
    TrialPlan,
    bucket,
    explain,
    route,
)
from tests.server.conftest import CLINICS, CT_ANY, CT_LIST, CT_TELEGRAPHIC

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIST = AdapterVersion("cluster-list", 3, "a" * 64, "tiny", "b" * 64, 2, "cluster-list/a", "c" * 64, NOW)
UNIFIED = AdapterVersion("unified", 1, "d" * 64, "tiny", "b" * 64, 2, "unified/d", "e" * 64, NOW)
NEWER = replace(LIST, version=4, digest="9" * 64)
TABLE = RouteTable(7, {CT_LIST: Entry(LIST, "1"), CT_ANY: Entry(UNIFIED, "2")}, CLINICS, "f" * 64, "made up", NOW)
REQUESTS = [f"request-{at}" for at in range(2000)]


def _report(clinic: str, modality: Modality, request_id: str = "r") -> Report:
    return Report(id=request_id, findings="Intact.", clinic=clinic, modality=modality)


def _trying(plan: TrialPlan, since: int = 7, table: RouteTable = TABLE, cell: Cell = CT_LIST) -> RouteTable:
    entry = table.entries.get(cell, Entry(None))
    tried = replace(entry, trial=Trial(NEWER, "3", plan, since, "waived by nobody"))
    return replace(table, entries={**table.entries, cell: tried})


def _canaries(table: RouteTable, clinic: str = "alder") -> set[str]:
    return {one for one in REQUESTS if route(_report(clinic, Modality.CT, one), table).arm is Arm.CANARY}


@pytest.mark.parametrize("clinic", ["alder", "birch"])
def test_a_clinic_of_a_judged_slice_gets_its_adapter(clinic: str) -> None:
    chosen = route(_report(clinic, Modality.CT), TABLE)
    assert (chosen.adapter, chosen.cell, chosen.reason) == (LIST, CT_LIST, Reason.CELL)
    assert (chosen.arm, chosen.shadow) == (Arm.INCUMBENT, None)


@pytest.mark.parametrize("clinic", ["willow", "", "ALDER", "any", "list"])
def test_an_unknown_clinic_gets_the_adapter_judged_over_all_clinics(clinic: str) -> None:
    chosen = route(_report(clinic, Modality.CT), TABLE)
    assert (chosen.adapter, chosen.cell, chosen.reason) == (UNIFIED, CT_ANY, Reason.CLINIC_UNKNOWN)


def test_a_known_clinic_never_falls_back_to_the_adapter_of_all_clinics() -> None:
    chosen = route(_report("elm", Modality.CT), TABLE)
    assert (chosen.adapter, chosen.cell) == (None, CT_TELEGRAPHIC)
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


@pytest.mark.parametrize("outside", [Reason.FINDINGS_SHORT, Reason.LANGUAGE])
@pytest.mark.parametrize("kind", TrialKind)
def test_what_the_input_policy_keeps_out_is_answered_by_base_and_tried_by_nobody(
    outside: Reason, kind: TrialKind
) -> None:
    chosen = route(_report("alder", Modality.CT), _trying(TrialPlan(kind)), outside=outside)
    assert (chosen.adapter, chosen.reason, chosen.shadow, chosen.cell) == (None, outside, None, CT_LIST)
    # No trial is judged by what could not fall to it.
    assert chosen.arm is Arm.OUTSIDE


@pytest.mark.parametrize("percent", [0.0, -1.0, 100.1, float("nan"), float("inf")])
def test_a_trial_of_no_percentage_is_refused(percent: float) -> None:
    with pytest.raises(InputError, match=r"trial\.percent"):
        TrialPlan(TrialKind.CANARY, percent)


def test_a_canary_answers_in_its_own_name() -> None:
    chosen = route(_report("alder", Modality.CT), _trying(TrialPlan(TrialKind.CANARY)))
    assert (chosen.adapter, chosen.arm, chosen.reason) == (NEWER, Arm.CANARY, Reason.CANARY)
    assert (chosen.cell, chosen.waiver, chosen.shadow) == (CT_LIST, "waived by nobody", None)


def test_a_shadow_never_answers() -> None:
    chosen = route(_report("alder", Modality.CT), _trying(TrialPlan(TrialKind.SHADOW)))
    assert chosen == replace(route(_report("alder", Modality.CT), TABLE), shadow=NEWER)


@pytest.mark.parametrize(("kind", "adapter"), [(TrialKind.CANARY, NEWER), (TrialKind.SHADOW, None)])
def test_a_trial_beside_base_leaves_the_rest_to_base(kind: TrialKind, adapter: AdapterVersion | None) -> None:
    table = _trying(TrialPlan(kind, 50), cell=CT_TELEGRAPHIC)
    chosen = [route(_report("elm", Modality.CT, one), table) for one in REQUESTS]
    tried = [one for one in chosen if NEWER in (one.adapter, one.shadow)]
    assert {one.adapter for one in tried} == {adapter}
    rest = [one for one in chosen if one not in tried]
    assert {(one.adapter, one.reason, one.arm) for one in rest} == {(None, Reason.NOT_JUDGED, Arm.INCUMBENT)}


def test_about_as_many_requests_as_the_percentage_says_fall_to_a_canary() -> None:
    # Five standard deviations of the count.
    for percent in (1.0, 10.0, 50.0, 90.0):
        share = percent / 100
        most = 5 * (share * (1 - share) / len(REQUESTS)) ** 0.5
        found = len(_canaries(_trying(TrialPlan(TrialKind.CANARY, percent)))) / len(REQUESTS)
        assert abs(found - share) < most


def test_a_request_that_is_sent_again_falls_to_the_same_side_also_in_later_tables() -> None:
    plan = TrialPlan(TrialKind.CANARY, 30)
    assert _canaries(_trying(plan)) == _canaries(replace(_trying(plan), number=19, cause="something else"))


def test_a_wider_canary_keeps_those_that_it_had() -> None:
    narrow, wide = (_canaries(_trying(TrialPlan(TrialKind.CANARY, percent))) for percent in (10, 40))
    assert narrow < wide


def test_another_trial_draws_other_requests() -> None:
    first, second = (_canaries(_trying(TrialPlan(TrialKind.CANARY, 30), since)) for since in (7, 8))
    assert first != second
    assert first & second


def test_requests_without_a_name_fall_to_what_serves() -> None:
    table = _trying(TrialPlan(TrialKind.CANARY, 100))
    assert route(_report("alder", Modality.CT, ""), table).adapter == LIST


def test_the_request_id_goes_before_the_reports() -> None:
    table = _trying(TrialPlan(TrialKind.CANARY, 30))
    canaries = _canaries(table)
    report = _report("alder", Modality.CT, next(one for one in REQUESTS if one not in canaries))
    assert route(report, table, next(iter(canaries))).adapter == NEWER


def test_a_canary_of_clinics_takes_only_theirs() -> None:
    table = _trying(TrialPlan(TrialKind.CANARY, 100, frozenset({"birch"})))
    assert len(_canaries(table, "birch")) == len(REQUESTS)
    assert not _canaries(table, "alder")


def test_a_bucket_is_what_it_was() -> None:
    # Servers of different versions must agree on where a request falls.
    assert bucket(7, CT_LIST, "request-1") == pytest.approx(20.905082396351)


@pytest.mark.parametrize("request_id", ["", "\ud800", "ä" * 5000, "a\nb", "\x00"])
def test_any_request_id_falls_somewhere(request_id: str) -> None:
    assert 0 <= bucket(1, CT_LIST, request_id) < 100


def test_a_plan_is_told_in_words() -> None:
    assert str(TrialPlan(TrialKind.CANARY, 12.5)) == "canary 12.5%"
    assert str(TrialPlan(TrialKind.SHADOW, clinics=frozenset({"birch", "alder"}))) == "shadow 100% of alder, birch"
    assert str(Trial(NEWER, "3", TrialPlan(TrialKind.CANARY, 10), 7)) == "cluster-list@4 canary 10%"


@pytest.mark.parametrize(
    ("clinic", "words"),
    [
        ("alder", "clinic 'alder' is of cluster 'list'"),
        ("willow", "clinic 'willow' is of no cluster: all clinics together"),
        ("", "no clinic: all clinics together"),
    ],
)
def test_the_steps_begin_with_the_clinic(clinic: str, words: str) -> None:
    assert explain(_report(clinic, Modality.CT), TABLE)[0] == words


def test_the_steps_of_a_judged_slice() -> None:
    assert explain(_report("alder", Modality.CT), TABLE) == (
        "clinic 'alder' is of cluster 'list'",
        "modality CT",
        "slice CT/list of route table 7 (made up)",
        "cluster-list@3 serves it, by certificate 1",
        "answered by cluster-list@3: judged in this slice",
    )


def test_the_steps_of_a_trial_say_where_a_request_falls() -> None:
    table = _trying(TrialPlan(TrialKind.CANARY, 30))
    canaries = _canaries(table)
    inside, outside = next(iter(canaries)), next(one for one in REQUESTS if one not in canaries)
    steps = explain(_report("alder", Modality.CT, inside), table)
    place = bucket(7, CT_LIST, inside)
    said = "on trial since table 7: cluster-list@4 canary 30%; the request falls at"
    assert steps[-2] == f"{said} {place:.2f} of 100: in"
    assert steps[-1] == "answered by cluster-list@4: on trial in this slice, and the request fell to it"
    assert explain(_report("alder", Modality.CT, outside), table)[-2].endswith("of 100: not in")
    assert explain(_report("alder", Modality.CT, ""), table)[-2].endswith("without a request id nothing falls to it")


def test_the_steps_of_a_shadow_name_who_is_asked_as_well() -> None:
    table = _trying(TrialPlan(TrialKind.SHADOW))
    assert explain(_report("alder", Modality.CT), table)[-1] == (
        "cluster-list@4 is asked as well and its answer thrown away"
    )


def test_the_steps_say_when_a_clinic_takes_no_part_in_a_trial() -> None:
    table = _trying(TrialPlan(TrialKind.CANARY, 100, frozenset({"birch"})))
    assert explain(_report("alder", Modality.CT), table)[-2].endswith("this clinic takes no part")


@pytest.mark.parametrize("outside", [None, Reason.FINDINGS_SHORT])
@pytest.mark.parametrize("modality", [Modality.CT, Modality.MG, Modality.UNSPECIFIED])
@pytest.mark.parametrize("clinic", ["alder", "elm", "willow", ""])
@pytest.mark.parametrize("request_id", ["", *REQUESTS[:5]])
def test_the_steps_end_where_the_route_does(
    clinic: str, modality: Modality, request_id: str, outside: Reason | None
) -> None:
    table = _trying(
        TrialPlan(TrialKind.CANARY, 50), cell=CT_TELEGRAPHIC, table=_trying(TrialPlan(TrialKind.CANARY, 50))
    )
    report = _report(clinic, modality, request_id)
    chosen = route(report, table, outside=outside)
    assert explain(report, table, outside=outside)[-1] == f"answered by {chosen.adapter or 'base'}: {chosen.reason}"
