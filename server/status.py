"""The one boundary where errors become canonical gRPC codes, with details by google.rpc's error model.

Every error carries a google.rpc.ErrorInfo, whose reason never changes once it is published; an
InputError a google.rpc.BadRequest that names the field; what may be tried again a google.rpc.RetryInfo,
and the same time as `grpc-retry-pushback-ms`, which gRPC's own retries keep (gRFC A6).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
import structlog
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from radimpress.reports import errors
from radimpress.server.telemetry import log
from radimpress.v1 import impression_pb2

DOMAIN = "radimpress"
_BYTES_MAX = 1000
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Kind:
    """How an error ends an rpc; `retry` is in seconds, None where trying again cannot help."""

    error: type[Exception]
    code: grpc.StatusCode
    reason: str
    retry: float | None = None


# From the narrowest kind on: the first that fits counts.
_KINDS = (
    _Kind(errors.FindingsError, grpc.StatusCode.INVALID_ARGUMENT, "FINDINGS_INVALID"),
    _Kind(errors.ModalityError, grpc.StatusCode.INVALID_ARGUMENT, "MODALITY_UNKNOWN"),
    _Kind(errors.InputError, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
    _Kind(errors.UnauthenticatedError, grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    _Kind(errors.ForbiddenError, grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN"),
    _Kind(errors.NotFoundError, grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
    _Kind(errors.DuplicateError, grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_TAKEN"),
    _Kind(errors.DigestError, grpc.StatusCode.DATA_LOSS, "DIGEST_DIFFERS"),
    _Kind(errors.DamageError, grpc.StatusCode.DATA_LOSS, "DAMAGED"),
    _Kind(errors.SealedError, grpc.StatusCode.FAILED_PRECONDITION, "KEY_NOT_GIVEN"),
    _Kind(errors.BundleError, grpc.StatusCode.FAILED_PRECONDITION, "BUNDLE_REFUSED"),
    _Kind(errors.GateError, grpc.StatusCode.FAILED_PRECONDITION, "NOT_ALLOWED_BY_GATE"),
    _Kind(errors.ConflictError, grpc.StatusCode.ABORTED, "ROUTE_TABLE_MOVED", 0.1),
    _Kind(errors.RateError, grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", 1.0),
    _Kind(errors.OverloadError, grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 1.0),
    _Kind(errors.UnavailableError, grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", 1.0),
    _Kind(errors.DeadlineError, grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED"),
    _Kind(errors.EngineError, grpc.StatusCode.INTERNAL, "ENGINE_FAILED"),
    _Kind(errors.RadimpressError, grpc.StatusCode.INTERNAL, "INTERNAL"),
    # A method that a stub has and nobody wrote, as List of grpc.health.v1.
    _Kind(NotImplementedError, grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED"),
    _Kind(Exception, grpc.StatusCode.INTERNAL, "INTERNAL"),
)


@dataclass(frozen=True, slots=True)
class _Ending:
    """What a caller is told of an error."""

    code: grpc.StatusCode
    reason: str
    message: str
    field: str = ""
    problem: str = ""
    retry: timedelta | None = None


def code_of(error: Exception) -> grpc.StatusCode:
    """The canonical code of an error."""
    return _kind_of(error).code


def failure_of(error: Exception) -> impression_pb2.Failure:
    """What became of a batch's report that this error ended; one that nobody meant to raise is logged."""
    end = _ending(error)
    failure = impression_pb2.Failure(code=end.code.value[0], message=end.message, reason=end.reason, field=end.field)
    if end.retry is not None:
        failure.retry_delay.FromTimedelta(end.retry)
    return failure


@asynccontextmanager
async def boundary(context: Any) -> AsyncIterator[None]:
    """Ends the rpc with the canonical code of whatever is raised within.

    An error that nobody meant to raise is INTERNAL without its text, which may quote a report; the log
    has its type and where it was raised.
    """
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        end = _ending(error)
        status = status_pb2.Status(code=end.code.value[0], message=end.message)
        for detail in _details(end):
            packed = Packed()
            packed.Pack(detail)
            status.details.append(packed)
        metadata: tuple[tuple[str, str | bytes], ...] = (("grpc-status-details-bin", status.SerializeToString()),)
        if end.retry is not None:
            metadata += (("grpc-retry-pushback-ms", str(round(end.retry.total_seconds() * 1e3))),)
        await context.abort(end.code, end.message, metadata)


def _kind_of(error: Exception) -> _Kind:
    return next(kind for kind in _KINDS if isinstance(error, kind.error))


def _ending(error: Exception) -> _Ending:
    kind = _kind_of(error)
    if kind.code is grpc.StatusCode.UNIMPLEMENTED:
        return _Ending(kind.code, kind.reason, "there is no such method here")
    if not isinstance(error, errors.RadimpressError):
        _log.error("unexpected", kind=type(error).__name__, where=log.where(error))
        return _Ending(kind.code, kind.reason, "internal error")
    message = _clipped(str(error))
    seconds = getattr(error, "retry_seconds", kind.retry)
    retry = None if seconds is None else timedelta(seconds=seconds)
    if isinstance(error, errors.InputError):
        return _Ending(kind.code, kind.reason, message, _clipped(error.field), _clipped(error.problem), retry)
    return _Ending(kind.code, kind.reason, message, retry=retry)


def _clipped(text: str) -> str:
    # All of it travels in the trailing metadata, of which a client takes 8 KiB.
    return text.encode(errors="replace")[:_BYTES_MAX].decode(errors="ignore")


def _details(end: _Ending) -> list[Message]:
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=end.reason, domain=DOMAIN)]
    if end.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=end.field, description=end.problem)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if end.retry is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=end.retry))
    return details
