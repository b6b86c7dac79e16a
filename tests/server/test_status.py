from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from radimpress.reports import errors
from radimpress.server.status import boundary, code_of

CODES: list[tuple[errors.RadimpressError, grpc.StatusCode]] = [
    (errors.InputError("field", "is wrong"), grpc.StatusCode.INVALID_ARGUMENT),
    (errors.FindingsError("findings", "is empty"), grpc.StatusCode.INVALID_ARGUMENT),
    (errors.ModalityError("modality", "is not known"), grpc.StatusCode.INVALID_ARGUMENT),
    (errors.ConfigError("x"), grpc.StatusCode.INTERNAL),
    (errors.NotFoundError("x"), grpc.StatusCode.NOT_FOUND),
    (errors.BundleError("x"), grpc.StatusCode.FAILED_PRECONDITION),
    (errors.DigestError("x"), grpc.StatusCode.DATA_LOSS),
    (errors.GateError("x"), grpc.StatusCode.FAILED_PRECONDITION),
    (errors.ConflictError("x"), grpc.StatusCode.ABORTED),
    (errors.EngineError("x"), grpc.StatusCode.INTERNAL),
    (errors.OverloadError("x"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.DeadlineError("x"), grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.RadimpressError("x"), grpc.StatusCode.INTERNAL),
]


class Context:
    """Keeps what an rpc was ended with."""

    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None
        self.message = ""
        self.metadata: tuple[tuple[str, bytes], ...] = ()

    async def abort(self, code: grpc.StatusCode, message: str, metadata: Any) -> None:
        self.code, self.message, self.metadata = code, message, metadata
        raise grpc.aio.AbortError

    @property
    def status(self) -> status_pb2.Status:
        return status_pb2.Status.FromString(dict(self.metadata)["grpc-status-details-bin"])


def _end_with(error: BaseException) -> Context:
    context = Context()

    async def rpc() -> None:
        async with boundary(context):
            raise error

    with pytest.raises(grpc.aio.AbortError):
        asyncio.run(rpc())
    return context


def _kinds(kind: type[errors.RadimpressError]) -> set[type[errors.RadimpressError]]:
    return {kind}.union(*(_kinds(narrower) for narrower in kind.__subclasses__()))


@pytest.mark.parametrize(("error", "code"), CODES, ids=[type(error).__name__ for error, _ in CODES])
def test_each_error_has_its_code(error: errors.RadimpressError, code: grpc.StatusCode) -> None:
    assert code_of(error) is code
    assert _end_with(error).code is code


def test_no_error_is_without_a_test_of_its_code() -> None:
    ours = {kind for kind in _kinds(errors.RadimpressError) if kind.__module__ == errors.__name__}
    assert {type(error) for error, _ in CODES} == ours


def test_an_input_error_names_its_field_in_the_details() -> None:
    status = _end_with(errors.InputError("page_size", "is -1")).status
    bad = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad)
    assert [(v.field, v.description) for v in bad.field_violations] == [("page_size", "is -1")]


def test_details_carry_the_same_code_and_message() -> None:
    context = _end_with(errors.GateError("judged another adapter"))
    assert (context.status.code, context.status.message) == (9, "judged another adapter")
    assert context.message == "judged another adapter"


def test_other_errors_carry_no_bad_request() -> None:
    assert not _end_with(errors.NotFoundError("x")).status.details


def test_an_unmeant_error_says_nothing_of_its_text() -> None:
    context = _end_with(ValueError("Findings: a fracture"))
    assert (context.code, context.message) == (grpc.StatusCode.INTERNAL, "internal error")
    assert b"fracture" not in dict(context.metadata)["grpc-status-details-bin"]


def test_the_log_says_nothing_of_an_unmeant_errors_text(capsys: pytest.CaptureFixture[str]) -> None:
    _end_with(ValueError("Findings: a fracture"))
    said = capsys.readouterr()
    assert "ValueError" in said.out + said.err
    assert "fracture" not in said.out + said.err


def test_an_rpc_that_was_ended_already_is_not_ended_twice() -> None:
    context = _end_with(grpc.aio.AbortError())
    assert context.code is None


def test_a_cancelled_rpc_stays_cancelled() -> None:
    context = Context()

    async def rpc() -> None:
        async with boundary(context):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(rpc())
    assert context.code is None


def test_an_rpc_that_goes_well_is_let_be() -> None:
    context = Context()

    async def rpc() -> int:
        async with boundary(context):
            return 3
        raise AssertionError

    assert asyncio.run(rpc()) == 3
    assert context.code is None
