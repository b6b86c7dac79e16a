"""Values of ours to messages of radimpress.v1 and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from radimpress.clustering.cell import Cell
from radimpress.eval.checks import Notice
from radimpress.eval.predict import BASE
from radimpress.reports.errors import InputError
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Modality, Report, parse_modality
from radimpress.server.engines import Engine
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
)
from radimpress.v1 import adapter_pb2, impression_pb2

_REASONS = {
    Reason.CELL: impression_pb2.ROUTE_REASON_CELL,
    Reason.CLINIC_UNKNOWN: impression_pb2.ROUTE_REASON_CLINIC_UNKNOWN,
    Reason.MODALITY_UNSPECIFIED: impression_pb2.ROUTE_REASON_MODALITY_UNSPECIFIED,
    Reason.NOT_JUDGED: impression_pb2.ROUTE_REASON_NOT_JUDGED,
    Reason.CANARY: impression_pb2.ROUTE_REASON_CANARY,
    Reason.FINDINGS_SHORT: impression_pb2.ROUTE_REASON_FINDINGS_SHORT,
    Reason.LANGUAGE: impression_pb2.ROUTE_REASON_LANGUAGE,
}
_ARMS = {
    Arm.INCUMBENT: impression_pb2.ARM_INCUMBENT,
    Arm.CANARY: impression_pb2.ARM_CANARY,
    Arm.SHADOW: impression_pb2.ARM_SHADOW,
    Arm.OUTSIDE: impression_pb2.ARM_OUTSIDE,
}
_KINDS = {
    TrialKind.CANARY: adapter_pb2.TRIAL_KIND_CANARY,
    TrialKind.SHADOW: adapter_pb2.TRIAL_KIND_SHADOW,
}
_MODALITIES = {modality: impression_pb2.Modality.Value(f"MODALITY_{modality.value}") for modality in Modality}
_MODALITY_OF = {number: modality for modality, number in _MODALITIES.items()}
REQUEST_ID_MAX = 128
CLINIC_MAX = 128
FINISH = {
    "stop": impression_pb2.FINISH_REASON_STOP,
    "length": impression_pb2.FINISH_REASON_LENGTH,
}


def report_of(request_id: str, message: impression_pb2.ReportInput) -> Report:
    """The report that a request carries.

    Raises:
        ModalityError: its modality is no known code or spelling.
        InputError: the request's name or the clinic's is too long.
    """
    if len(request_id) > REQUEST_ID_MAX:
        raise InputError("request_id", f"has more than {REQUEST_ID_MAX} characters")
    if len(message.clinic) > CLINIC_MAX:
        raise InputError("clinic", f"has more than {CLINIC_MAX} characters")
    return Report(
        id=request_id,
        findings=message.findings,
        modality=parse_modality(message.modality),
        clinic=message.clinic,
        exam=message.exam,
        indication=message.indication,
        comparison=message.comparison,
    )


def cell_message(cell: Cell) -> impression_pb2.Cell:
    """A slice."""
    return impression_pb2.Cell(modality=_MODALITIES[cell.modality], cluster=cell.cluster)


def cell_of(message: impression_pb2.Cell) -> Cell:
    """The slice that a message names."""
    return Cell(_MODALITY_OF[message.modality], message.cluster)


def provenance(route: Route, engine: Engine) -> impression_pb2.Provenance:
    """Who writes, and why."""
    return impression_pb2.Provenance(
        adapter=route.adapter.name if route.adapter else BASE,
        version=route.adapter.version if route.adapter else 0,
        digest=route.adapter.digest if route.adapter else "",
        base_model=engine.base_name,
        base_digest=engine.base_digest,
        cell=cell_message(route.cell),
        reason=_REASONS[route.reason],
        route_table=route.table,
        prompt_version=PROMPT_VERSION,
        waiver=route.waiver,
        arm=_ARMS[route.arm],
    )


def check_messages(noticed: Mapping[str, Notice]) -> list[impression_pb2.CheckFinding]:
    """What checks noticed."""
    return [impression_pb2.CheckFinding(check=check, message=notice.message) for check, notice in noticed.items()]


def adapter_message(adapter: AdapterVersion) -> adapter_pb2.Adapter:
    """A registered version."""
    return adapter_pb2.Adapter(
        name=adapter.name,
        version=adapter.version,
        digest=adapter.digest,
        base_model=adapter.base_name,
        base_digest=adapter.base_digest,
        rank=adapter.rank,
        path=adapter.path,
        create_time=_time(adapter.created),
        retire_time=_time(adapter.retired) if adapter.retired else None,
    )


def table_message(table: RouteTable) -> adapter_pb2.RouteTable:
    """A route table."""
    return adapter_pb2.RouteTable(
        number=table.number,
        entries=[_entry_message(cell, entry) for cell, entry in sorted(table.entries.items())],
        cause=table.cause,
        create_time=_time(table.created),
    )


def change_message(change: Change) -> adapter_pb2.RouteChange:
    """What a change of tables does to one slice."""
    return adapter_pb2.RouteChange(
        cell=cell_message(change.cell), before=change.before, after=change.after, trial=change.trial
    )


def trial_plan_of(message: adapter_pb2.TrialPlan) -> TrialPlan:
    """How an adapter is to be tried.

    Raises:
        InputError: the kind is not stated, or the percentage is none.
    """
    for kind, number in _KINDS.items():
        if number == message.kind:
            return TrialPlan(kind, message.percent, frozenset(message.clinics))
    raise InputError("trial.kind", "is neither a canary nor a shadow")


def event_message(event: Event) -> adapter_pb2.Event:
    """A change of the registry."""
    return adapter_pb2.Event(
        number=event.number,
        time=_time(event.created),
        actor=event.actor,
        action=event.action,
        digest=event.digest,
        route_table=event.table,
        detail=event.detail,
        chain=event.chain,
    )


def quality_message(row: QualityRow) -> adapter_pb2.LiveQuality:
    """What came of an adapter's answers in one slice."""
    return adapter_pb2.LiveQuality(
        cell=cell_message(row.cell),
        adapter=row.adapter,
        version=row.version,
        digest=row.digest,
        arm=_ARMS[row.arm],
        answers=row.answers,
        noticed=row.noticed,
        signed=row.signed,
        edit_distance=row.edit_distance,
        rouge_l=row.rouge_l,
        unchanged=row.unchanged,
    )


def _entry_message(cell: Cell, entry: Entry) -> adapter_pb2.RouteEntry:
    adapter = entry.adapter
    return adapter_pb2.RouteEntry(
        cell=cell_message(cell),
        adapter=adapter.name if adapter else "",
        version=adapter.version if adapter else 0,
        digest=adapter.digest if adapter else "",
        certificate_digest=entry.certificate_digest,
        waiver=entry.waiver,
        trial=_trial_message(entry.trial) if entry.trial else None,
    )


def _trial_message(trial: Trial) -> adapter_pb2.Trial:
    plan = trial.plan
    return adapter_pb2.Trial(
        adapter=trial.adapter.name,
        version=trial.adapter.version,
        digest=trial.adapter.digest,
        certificate_digest=trial.certificate_digest,
        waiver=trial.waiver,
        plan=adapter_pb2.TrialPlan(kind=_KINDS[plan.kind], percent=plan.percent, clinics=sorted(plan.clinics)),
        since=trial.since,
    )


def _time(moment: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made
