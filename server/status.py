"""The one boundary where errors become canonical gRPC codes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from google.protobuf.any_pb2 import Any as Packed
from google.rpc import error_details_pb2, status_pb2

from radimpress.reports import errors

_CODES: tuple[tuple[type[errors.RadimpressError], grpc.StatusCode], ...] = (
    (errors.InputError, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.NotFoundError, grpc.StatusCode.NOT_FOUND),
    (errors.DigestError, grpc.StatusCode.DATA_LOSS),
    (errors.BundleError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.GateError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.ConflictError, grpc.StatusCode.ABORTED),
    (errors.OverloadError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.DeadlineError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.RadimpressError, grpc.StatusCode.INTERNAL),
)
_log = structlog.get_logger()


def code_of(error: errors.RadimpressError) -> grpc.StatusCode:
    """The canonical code of an error; the first that fits from the narrowest kind on."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


@asynccontextmanager
async def boundary(context: Any) -> AsyncIterator[None]:
    """Ends the rpc with the canonical code of whatever is raised within.

    An InputError carries a google.rpc.BadRequest that names the field. An error that nobody meant to
    raise is INTERNAL without its text, which may quote a report.
    """
    try:
        yield
    except errors.RadimpressError as error:
        await _abort(context, code_of(error), str(error), error)
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        _log.error("unexpected", kind=type(error).__name__)
        await _abort(context, grpc.StatusCode.INTERNAL, "internal error", None)


async def _abort(context: Any, code: grpc.StatusCode, message: str, error: Exception | None) -> None:
    status = status_pb2.Status(code=code.value[0], message=message)
    if isinstance(error, errors.InputError):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.problem)
        packed = Packed()
        packed.Pack(error_details_pb2.BadRequest(field_violations=[violation]))
        status.details.append(packed)
    metadata = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code, message, metadata)
