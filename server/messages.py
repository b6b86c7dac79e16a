"""Values of ours to messages of radimpress.v1 and back."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from radimpress.clustering.cell import Cell
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Modality, Report, parse_modality
from radimpress.server.engines import Engine
from radimpress.server.routes import AdapterVersion, Reason, Route, RouteTable
from radimpress.v1 import adapter_pb2, impression_pb2

_REASONS = {
    Reason.CELL: impression_pb2.ROUTE_REASON_CELL,
    Reason.CLINIC_UNKNOWN: impression_pb2.ROUTE_REASON_CLINIC_UNKNOWN,
    Reason.MODALITY_UNSPECIFIED: impression_pb2.ROUTE_REASON_MODALITY_UNSPECIFIED,
    Reason.NOT_JUDGED: impression_pb2.ROUTE_REASON_NOT_JUDGED,
}
FINISH = {
    "stop": impression_pb2.FINISH_REASON_STOP,
    "length": impression_pb2.FINISH_REASON_LENGTH,
}


def report_of(request_id: str, message: impression_pb2.ReportInput) -> Report:
    """The report that a request carries.

    Raises:
        ModalityError: its modality is no known code or spelling.
    """
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
    return impression_pb2.Cell(modality=_modality(cell.modality), cluster=cell.cluster)


def provenance(route: Route, engine: Engine) -> impression_pb2.Provenance:
    """Who writes, and why."""
    return impression_pb2.Provenance(
        adapter=route.adapter.name if route.adapter else "base",
        version=route.adapter.version if route.adapter else 0,
        digest=route.adapter.digest if route.adapter else "",
        base_model=engine.base_name,
        base_digest=engine.base_digest,
        cell=cell_message(route.cell),
        reason=_REASONS[route.reason],
        route_table=route.table,
        prompt_version=PROMPT_VERSION,
        waiver=route.waiver,
    )


def adapter_message(adapter: AdapterVersion) -> adapter_pb2.Adapter:
    """A registered version."""
    created = Timestamp()
    created.FromDatetime(adapter.created)
    return adapter_pb2.Adapter(
        name=adapter.name,
        version=adapter.version,
        digest=adapter.digest,
        base_model=adapter.base_name,
        base_digest=adapter.base_digest,
        rank=adapter.rank,
        path=adapter.path,
        create_time=created,
    )


def table_message(table: RouteTable) -> adapter_pb2.RouteTable:
    """A route table."""
    created = Timestamp()
    created.FromDatetime(table.created)
    return adapter_pb2.RouteTable(
        number=table.number,
        entries=[
            adapter_pb2.RouteEntry(
                cell=cell_message(cell),
                adapter=entry.adapter.name,
                version=entry.adapter.version,
                digest=entry.adapter.digest,
                certificate_digest=entry.certificate_digest,
                waiver=entry.waiver,
            )
            for cell, entry in sorted(table.entries.items())
        ],
        cause=table.cause,
        create_time=created,
    )


def _modality(modality: Modality) -> impression_pb2.Modality.ValueType:
    return impression_pb2.Modality.Value(f"MODALITY_{modality.value}")


def cell_of(message: impression_pb2.Cell) -> Cell:
    """The slice that a message names."""
    name = impression_pb2.Modality.Name(message.modality).removeprefix("MODALITY_")
    return Cell(Modality(name), message.cluster)
