"""Messages that are well formed and hold anything: values of every field, drawn by hypothesis."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.conftest import FINDINGS
from tests.server.fuzz.conftest import OURS, REQUESTS, SECRET, Target, path_of

_TEXTS_OF_A_REPORT = {"findings", "exam", "indication", "comparison", "final_impression"}
_WORDS = [
    "",
    "unified",
    "cluster-list",
    "alder",
    "elm",
    "CT",
    "MR",
    "mri",
    "r-1",
    "0",
    "1",
    "..",
    "/etc",
    "a\0b",
    "<|end|>",
]
_EDGES = [0, 1, -1, 2, 3, 50, 501, 2**31 - 1, -(2**31)]


def _text(name: str) -> st.SearchStrategy[str]:
    drawn = st.one_of(
        st.sampled_from(_WORDS), st.text(max_size=60), st.sampled_from(["x" * 129, "é" * 2001, "x " * 10_001])
    )
    if name in _TEXTS_OF_A_REPORT:
        return st.one_of(st.just(f"{SECRET}. {FINDINGS}"), drawn.map(lambda text: f"{SECRET} {text}"), drawn)
    return drawn


def _value(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    kind = field.type
    if kind == FieldDescriptor.TYPE_MESSAGE:
        return _message(field.message_type, depth - 1)  # type: ignore[arg-type]
    if kind == FieldDescriptor.TYPE_STRING:
        return _text(field.name)
    if kind == FieldDescriptor.TYPE_BYTES:
        return st.one_of(st.binary(max_size=60), st.just(b"{}"), st.just(b"[" * 5000), st.just(b'{"format": 2}'))
    if kind == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if kind == FieldDescriptor.TYPE_DOUBLE:
        return st.one_of(st.floats(), st.sampled_from([0.0, 10.0, 100.0, 100.1, -1.0]))
    if kind == FieldDescriptor.TYPE_ENUM:
        # proto3 keeps numbers that have no name.
        return st.integers(-3, 12)
    if kind == FieldDescriptor.TYPE_INT64:
        return st.one_of(st.sampled_from(_EDGES), st.integers(-(2**63), 2**63 - 1))
    if kind == FieldDescriptor.TYPE_INT32:
        return st.one_of(st.sampled_from(_EDGES), st.integers(-(2**31), 2**31 - 1))
    raise AssertionError(f"no values for {field.full_name}")


def _message(descriptor: Descriptor, depth: int = 4) -> st.SearchStrategy[Message]:
    kind = message_factory.GetMessageClass(descriptor)
    values: dict[str, st.SearchStrategy[Any]] = {}
    for field in descriptor.fields:
        if field.type == FieldDescriptor.TYPE_MESSAGE and not depth:
            continue
        one = _value(field, depth)
        values[field.name] = st.lists(one, max_size=3) if field.is_repeated else one
    return st.fixed_dictionaries({}, optional=values).map(lambda chosen: kind(**chosen))


def _requests(method: MethodDescriptor) -> st.SearchStrategy[list[Message]]:
    one = _message(method.input_type)
    return st.lists(one, max_size=6) if method.client_streaming else one.map(lambda message: [message])


@pytest.mark.timeout(3600)
def test_no_value_of_any_field_is_answered_by_an_error_that_nobody_meant(target: Target) -> None:
    each = REQUESTS // 2 // len(OURS) + 1
    codes = set[grpc.StatusCode]()
    for method in OURS:
        codes |= _throw(target, method, each)
        assert target.alive(), path_of(method)
    # Values that are all refused at the first look would prove nothing.
    assert {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND} <= codes


def _throw(target: Target, method: MethodDescriptor, count: int) -> set[grpc.StatusCode]:
    """Sends so many requests to one rpc; how they ended."""
    codes = set[grpc.StatusCode]()

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(messages=_requests(method))
    def throw(messages: list[Message]) -> None:
        codes.add(target.send(method, [message.SerializeToString() for message in messages]))

    throw()
    return codes
