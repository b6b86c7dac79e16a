from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from radimpress.reports import errors
from radimpress.server.status import boundary, code_of, failure_of

CODES: list[tuple[errors.RadimpressError, grpc.StatusCode, str]] = [
    (errors.InputError("field", "is wrong"), grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
    (errors.FindingsError("findings", "is empty"), grpc.StatusCode.INVALID_ARGUMENT, "FINDINGS_INVALID"),
    (errors.ModalityError("modality", "is not known"), grpc.StatusCode.INVALID_ARGUMENT, "MODALITY_UNKNOWN"),
    (errors.ConfigError("x"), grpc.StatusCode.INTERNAL, "INTERNAL"),
    (errors.NotFoundError("x"), grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
    (errors.BundleError("x"), grpc.StatusCode.FAILED_PRECONDITION, "BUNDLE_REFUSED"),
    (errors.DigestError("x"), grpc.StatusCode.DATA_LOSS, "DIGEST_DIFFERS"),
    (errors.DamageError("x"), grpc.StatusCode.DATA_LOSS, "DAMAGED"),
    (errors.SealedError("x"), grpc.StatusCode.FAILED_PRECONDITION, "KEY_NOT_GIVEN"),
    (errors.GateError("x"), grpc.StatusCode.FAILED_PRECONDITION, "NOT_ALLOWED_BY_GATE"),
    (errors.ConflictError("x"), grpc.StatusCode.ABORTED, "ROUTE_TABLE_MOVED"),
    (errors.DuplicateError("x"), grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_TAKEN"),
    (errors.UnauthenticatedError("x"), grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    (errors.ForbiddenError("x"), grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN"),
    (errors.RateError("x", 0.5), grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
    (errors.UnavailableError("x"), grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
    (errors.EngineError("x"), grpc.StatusCode.INTERNAL, "ENGINE_FAILED"),
    (errors.OverloadError("x"), grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    (errors.DeadlineError("x"), grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED"),
    (errors.RadimpressError("x"), grpc.StatusCode.INTERNAL, "INTERNAL"),
]
NAMES = [type(error).__name__ for error, _, _ in CODES]


class Context:
    """Keeps what an rpc was ended with."""

    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None
        self.message = ""
        self.metadata: dict[str, Any] = {}

    async def abort(self, code: grpc.StatusCode, message: str, metadata: Any) -> None:
        self.code, self.message, self.metadata = code, message, dict(metadata)
        raise grpc.aio.AbortError

    @property
    def status(self) -> status_pb2.Status:
        return status_pb2.Status.FromString(self.metadata["grpc-status-details-bin"])

    def detail(self, kind: Any) -> Any:
        """The one detail of this kind; None where there is none."""
        found = [detail for detail in self.status.details if detail.Is(kind.DESCRIPTOR)]
        assert len(found) <= 1
        if not found:
            return None
        unpacked = kind()
        found[0].Unpack(unpacked)
        return unpacked


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


@pytest.mark.parametrize(("error", "code", "reason"), CODES, ids=NAMES)
def test_each_error_has_its_code_and_its_reason(
    error: errors.RadimpressError, code: grpc.StatusCode, reason: str
) -> None:
    assert code_of(error) is code
    ended = _end_with(error)
    assert ended.code is code
    info = ended.detail(error_details_pb2.ErrorInfo)
    assert (info.domain, info.reason) == ("radimpress", reason)


def test_no_error_is_without_a_test_of_its_code() -> None:
    ours = {kind for kind in _kinds(errors.RadimpressError) if kind.__module__ == errors.__name__}
    assert {type(error) for error, _, _ in CODES} == ours


def test_an_input_error_names_its_field_in_the_details() -> None:
    bad = _end_with(errors.InputError("page_size", "is -1")).detail(error_details_pb2.BadRequest)
    assert [(v.field, v.description) for v in bad.field_violations] == [("page_size", "is -1")]


def test_other_errors_name_no_field() -> None:
    assert _end_with(errors.NotFoundError("x")).detail(error_details_pb2.BadRequest) is None


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (errors.OverloadError("x", 2.5), 2.5),
        (errors.RateError("x", 0.25), 0.25),
        (errors.UnavailableError("x"), 1.0),
        (errors.ConflictError("x"), 0.1),
    ],
)
def test_what_may_be_tried_again_says_when(error: errors.RadimpressError, seconds: float) -> None:
    ended = _end_with(error)
    assert ended.detail(error_details_pb2.RetryInfo).retry_delay.ToTimedelta() == timedelta(seconds=seconds)
    assert ended.metadata["grpc-retry-pushback-ms"] == str(round(seconds * 1000))


@pytest.mark.parametrize(
    "error", [errors.InputError("a", "b"), errors.ForbiddenError("x"), errors.DigestError("x"), ValueError("x")]
)
def test_what_trying_again_cannot_help_says_no_time(error: Exception) -> None:
    ended = _end_with(error)
    assert ended.detail(error_details_pb2.RetryInfo) is None
    assert "grpc-retry-pushback-ms" not in ended.metadata


def test_details_carry_the_same_code_and_message() -> None:
    context = _end_with(errors.GateError("judged another adapter"))
    assert (context.status.code, context.status.message) == (9, "judged another adapter")
    assert context.message == "judged another adapter"


def test_an_error_however_long_fits_into_a_clients_metadata() -> None:
    context = _end_with(errors.InputError("field" * 1000, "änderung" * 10_000))
    encoded = 3 * len(context.message.encode()) + 4 * len(context.metadata["grpc-status-details-bin"]) // 3
    assert encoded < 8 * 1024


def test_an_unmeant_error_says_nothing_of_its_text() -> None:
    context = _end_with(ValueError("Findings: a fracture"))
    assert (context.code, context.message) == (grpc.StatusCode.INTERNAL, "internal error")
    assert b"fracture" not in context.metadata["grpc-status-details-bin"]


def test_the_log_says_where_an_unmeant_error_was_raised_and_nothing_of_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _end_with(ValueError("Findings: a fracture"))
    said = "".join(capsys.readouterr())
    assert "ValueError" in said
    assert "test_status.py" in said
    assert "fracture" not in said


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


def test_a_batchs_failure_says_what_the_rpc_would_have_ended_with() -> None:
    failure = failure_of(errors.ModalityError("modality", "is not known"))
    assert (failure.code, failure.reason, failure.field) == (3, "MODALITY_UNKNOWN", "modality")
    assert failure.message == "modality: is not known"
    assert not failure.HasField("retry_delay")


def test_a_batchs_failure_says_when_to_try_again() -> None:
    failure = failure_of(errors.OverloadError("the queue is full", 1.5))
    assert failure.code == 8
    assert failure.retry_delay.ToTimedelta() == timedelta(seconds=1.5)


def test_a_batchs_failure_says_nothing_of_an_unmeant_errors_text() -> None:
    failure = failure_of(KeyError("a fracture"))
    assert (failure.code, failure.reason, failure.message) == (13, "INTERNAL", "internal error")
