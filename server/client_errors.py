"""What a client raises, drawn in one place; docs/client.md says what to do about each.

ClientError                   INTERNAL, UNKNOWN and whatever else has no kind of its own
├── InvalidRequestError       INVALID_ARGUMENT: `fields` says which field, and what is wrong with it
├── DuplicateRequestError     ALREADY_EXISTS: the request id was used for another report
├── TokenError                UNAUTHENTICATED: no token, or one that is not or no longer valid
├── PermissionDeniedError     PERMISSION_DENIED: not for this role, or not for this clinic
├── NotFoundError             NOT_FOUND: there is no such answer
├── OverloadedError           RESOURCE_EXHAUSTED: try again after `retry_after` seconds
├── UnavailableError          UNAVAILABLE: no server could be reached, or none is ready
├── DeadlineExceededError     DEADLINE_EXCEEDED: the client's timeout passed
└── DamagedError              DATA_LOSS: the adapter is not the one that was judged, or an answer not as it was written
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from radimpress.v1 import impression_pb2

_DETAILS = "grpc-status-details-bin"
_CODE_OF = {code.value[0]: code for code in grpc.StatusCode}


class ClientError(Exception):
    """A request has no answer.

    Args:
        message: what is wrong, as the server said it; it quotes no report.
        code: the canonical code.
        reason: a name for the cause that never changes; empty where no radimpress server said it.
        fields: field at fault -> what is wrong with it.
        retry_after: seconds after which trying again may help; None where the server did not say.
    """

    def __init__(
        self,
        message: str,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        fields: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code.name}: {message}")
        self.message = message
        self.code = code
        self.reason = reason
        self.fields = dict(fields or {})
        self.retry_after = retry_after


class InvalidRequestError(ClientError):
    """A field is empty, unknown or too long; sent again it fails again."""


class DuplicateRequestError(ClientError):
    """The clinic used this request id for another report."""


class TokenError(ClientError):
    """The token is missing, not known, or no longer valid."""


class PermissionDeniedError(ClientError):
    """The token's role may not ask this, or not for this clinic."""


class NotFoundError(ClientError):
    """There is no such answer."""


class OverloadedError(ClientError):
    """The server has too much to do, or this caller asks too often."""


class UnavailableError(ClientError):
    """No server could be reached, or none is ready."""


class DeadlineExceededError(ClientError):
    """The client's timeout passed."""


class DamagedError(ClientError):
    """The adapter is not the file that was judged, or an answer not what was written; only the operator can help."""


_KINDS: Mapping[grpc.StatusCode, type[ClientError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.ALREADY_EXISTS: DuplicateRequestError,
    grpc.StatusCode.UNAUTHENTICATED: TokenError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.DATA_LOSS: DamagedError,
}


@contextmanager
def translated() -> Iterator[None]:
    """Raises what gRPC raises within as a ClientError of its kind."""
    try:
        yield
    except grpc.RpcError as error:
        raise error_of(error) from error


def error_of(error: grpc.RpcError) -> ClientError:
    """The ClientError of an error of gRPC's, with the details that the server attached (google.rpc.Status)."""
    found: Any = error
    status = status_pb2.Status()
    for key, value in found.trailing_metadata() or ():
        if key == _DETAILS:
            # What a proxy made of it may be no message; the code is still true.
            with suppress(DecodeError):
                status.ParseFromString(value)
    info, bad, retry = (
        _detail(status, kind)
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)
    )
    return _KINDS.get(found.code(), ClientError)(
        found.details() or "",
        found.code(),
        info.reason,
        {violation.field: violation.description for violation in bad.field_violations},
        _seconds(retry.retry_delay) if retry.HasField("retry_delay") else None,
    )


def failure_error(failure: impression_pb2.Failure) -> ClientError:
    """The ClientError of one report of a batch."""
    code = _CODE_OF.get(failure.code, grpc.StatusCode.UNKNOWN)
    return _KINDS.get(code, ClientError)(
        failure.message,
        code,
        failure.reason,
        {failure.field: failure.message} if failure.field else None,
        _seconds(failure.retry_delay) if failure.HasField("retry_delay") else None,
    )


def _detail(status: Any, kind: Any) -> Any:
    """The first detail of a kind, or an empty one."""
    message = kind()
    any(packed.Unpack(message) for packed in status.details)
    return message


def _seconds(delay: Any) -> float:
    return float(delay.seconds + delay.nanos / 1e9)
