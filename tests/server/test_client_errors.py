from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from radimpress.server import client_errors as subject
from radimpress.server.client_errors import ClientError, InvalidRequestError, OverloadedError, error_of, failure_error
from radimpress.v1 import impression_pb2

Code = grpc.StatusCode


def raised(code: grpc.StatusCode, *details: Any, raw: bytes | None = None) -> grpc.RpcError:
    """An error of gRPC's with these details of the rich model."""
    status = status_pb2.Status(code=code.value[0])
    for detail in details:
        packed = Packed()
        packed.Pack(detail)
        status.details.append(packed)
    told = ("grpc-status-details-bin", status.SerializeToString() if raw is None else raw)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(told), "as told", None)


def test_details_become_attributes() -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="findings", description="is empty")
    error = error_of(
        raised(
            Code.INVALID_ARGUMENT,
            error_details_pb2.ErrorInfo(reason="FINDINGS_INVALID", domain="radimpress"),
            error_details_pb2.BadRequest(field_violations=[violation]),
        )
    )
    assert isinstance(error, InvalidRequestError)
    assert (error.reason, error.fields, error.retry_after) == ("FINDINGS_INVALID", {"findings": "is empty"}, None)
    assert (error.message, str(error)) == ("as told", "INVALID_ARGUMENT: as told")


def test_when_to_try_again_is_in_seconds() -> None:
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000))
    error = error_of(raised(Code.RESOURCE_EXHAUSTED, retry))
    assert isinstance(error, OverloadedError)
    assert error.retry_after == 2.5


@pytest.mark.parametrize("raw", [b"", b"\xff\xff\xff"])
def test_details_that_cannot_be_read_leave_the_code(raw: bytes) -> None:
    error = error_of(raised(Code.UNAVAILABLE, raw=raw))
    assert (type(error), error.code, error.reason) == (subject.UnavailableError, Code.UNAVAILABLE, "")


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_kind_of_its_own_or_the_general_one(code: grpc.StatusCode) -> None:
    error = error_of(raised(code))
    assert error.code is code
    assert isinstance(error, ClientError)
    own = {kind for kind in vars(subject).values() if isinstance(kind, type) and issubclass(kind, ClientError)}
    assert type(error) in own


def test_no_two_codes_share_a_kind_but_the_general_one() -> None:
    kinds = [type(error_of(raised(code))) for code in Code]
    special = [kind for kind in kinds if kind is not ClientError]
    assert len(special) == len(set(special)) == 9


def test_a_report_of_a_batch_fails_as_a_call_would() -> None:
    failure = impression_pb2.Failure(
        code=8, message="the queue is full", reason="OVERLOADED", retry_delay=Duration(seconds=3)
    )
    error = failure_error(failure)
    assert isinstance(error, OverloadedError)
    assert (error.reason, error.retry_after, error.fields) == ("OVERLOADED", 3.0, {})


def test_a_failure_names_its_field() -> None:
    failure = impression_pb2.Failure(code=3, message="findings: is empty", field="findings")
    assert failure_error(failure).fields == {"findings": "findings: is empty"}
    assert failure_error(failure).retry_after is None


def test_a_code_that_nobody_knows_is_unknown() -> None:
    assert failure_error(impression_pb2.Failure(code=99)).code is Code.UNKNOWN
