"""Bytes that are no message, or almost one: sent to every rpc of every service."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from tests.server.conftest import FINDINGS
from tests.server.fuzz.conftest import METHODS, OURS, REQUESTS, SECRET, Target, path_of

_SAMPLES = {
    FieldDescriptor.TYPE_BYTES: b"{}",
    FieldDescriptor.TYPE_BOOL: True,
    FieldDescriptor.TYPE_DOUBLE: 10.0,
    FieldDescriptor.TYPE_ENUM: 1,
    FieldDescriptor.TYPE_INT64: 1,
    FieldDescriptor.TYPE_INT32: 1,
}
_TEXTS = {"modality": "CT", "clinic": "alder", "name": "unified", "findings": f"{SECRET}. {FINDINGS}"}
Harm = Callable[[bytes, random.Random], bytes]


def _full(descriptor: Descriptor, depth: int = 4) -> Message:
    """A message with something in each field."""
    made = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if field.containing_oneof is not None and made.WhichOneof(field.containing_oneof.name):
            continue
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if depth and not field.is_repeated:
                getattr(made, field.name).CopyFrom(_full(field.message_type, depth - 1))  # type: ignore[arg-type]
            continue
        default = _TEXTS.get(field.name, SECRET if field.name in {"exam", "indication", "comparison"} else "")
        value = _SAMPLES.get(field.type, default)
        if field.is_repeated:
            getattr(made, field.name).append(value)
        else:
            setattr(made, field.name, value)
    return made


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(chance.randint(1, 4)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.randbytes(chance.randint(1, 16)) + data[at:]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    return data * chance.randint(2, 5)


def _noise(data: bytes, chance: random.Random) -> bytes:
    del data
    return chance.randbytes(chance.choice((0, 1, 2, 10, 100, 5000)))


def _not_text(data: bytes, chance: random.Random) -> bytes:
    """A string field that is no UTF-8, in place of the first."""
    return b"\x0a\x04" + chance.choice((b"\xff\xfe\xfd\xfc", b"\xed\xa0\x80x", b"\xc0\x80\xc0\x80")) + data


def _nested(data: bytes, chance: random.Random) -> bytes:
    """Messages within messages, deeper than anybody reads."""
    made = data[:20]
    for _ in range(chance.choice((50, 120))):
        made = b"\x12" + _varint(len(made)) + made
    return made


def _endless(data: bytes, chance: random.Random) -> bytes:
    """A field that says that it is longer than all that comes."""
    return data + b"\x0a" + chance.choice((_varint(2**31), b"\xff" * 9 + b"\x01", b"\xff" * 11))


def _group(data: bytes, chance: random.Random) -> bytes:
    """Groups that never end, or end without a beginning, and fields of number 0."""
    return data + chance.choice((b"\x0b" * 200, b"\x0c", b"\x00\x01", b"\x07"))


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes((*made, number))


_HARMS: tuple[Harm, ...] = (_flip, _cut, _insert, _repeat, _noise, _not_text, _nested, _endless, _group)


@pytest.mark.timeout(3600)
def test_no_bytes_end_in_an_error_that_nobody_meant(target: Target) -> None:
    chance = random.Random(0)
    codes = Counter[grpc.StatusCode]()
    for method in METHODS:
        right = _full(method.input_type).SerializeToString(deterministic=True)
        for _ in range(REQUESTS // 2 // len(METHODS) + 1):
            count = chance.randint(1, 4) if method.client_streaming else 1
            codes[target.send(method, [_harmed(right, chance) for _ in range(count)])] += 1
        assert target.alive(), path_of(method)
    # Some were still messages, and some were none.
    assert codes[grpc.StatusCode.OK]
    assert codes[grpc.StatusCode.INVALID_ARGUMENT]


def _harmed(data: bytes, chance: random.Random) -> bytes:
    for harm in chance.choices(_HARMS, k=chance.choice((1, 1, 2))):
        data = harm(data, chance)
    return data


def test_a_message_larger_than_the_server_takes_is_refused_and_the_next_is_answered(target: Target) -> None:
    big = b"\x0a\x80\x80\x80\x01" + b"x" * 2**21
    shapes = {(method.client_streaming, method.server_streaming): method for method in OURS}
    assert len(shapes) == 3
    for method in shapes.values():
        assert target.send(method, [big]) is grpc.StatusCode.RESOURCE_EXHAUSTED, path_of(method)
    assert target.alive()
