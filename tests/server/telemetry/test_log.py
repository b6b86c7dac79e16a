from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
import structlog

from radimpress.server.telemetry import log

GENERATE = "/radimpress.v1.ImpressionService/GenerateImpression"
HEALTH = "/grpc.health.v1.Health/Check"
SECRET = "a nodule in the left upper lobe"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Iterator[Lines]:
    """Sets the log up as a server does, and gives what was written; the level is the test's parameter, or info."""
    root = logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (threading.excepthook, sys.unraisablehook)
    before = structlog.get_config()
    stream = io.StringIO()
    log.configure(getattr(request, "param", "info"), stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
    threading.excepthook, sys.unraisablehook = hooks


def test_a_call_has_one_line(lines: Lines) -> None:
    log.request(GENERATE, grpc.StatusCode.OK, 0.12345, "ris-alder")
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "rpc": "GenerateImpression",
        "code": "OK",
        "ms": 123.45,
        "subject": "ris-alder",
    }


def test_what_was_noted_stands_in_the_line_of_its_own_call(lines: Lines) -> None:
    async def call(table: int) -> None:
        log.note(adapter=f"unified@{table}")
        await asyncio.sleep(0)
        log.note(table=table)
        await asyncio.sleep(0)
        log.request(GENERATE, grpc.StatusCode.OK, 0.1, f"caller-{table}")

    async def both() -> None:
        await asyncio.gather(call(1), call(2))

    asyncio.run(both())
    found = {line["subject"]: (line["adapter"], line["table"]) for line in lines()}
    assert found == {"caller-1": ("unified@1", 1), "caller-2": ("unified@2", 2)}


def test_health_checks_do_not_fill_the_log(lines: Lines) -> None:
    log.request(HEALTH, grpc.StatusCode.OK, 0.001, "")
    assert lines() == []


@pytest.mark.parametrize("lines", ["debug"], indirect=True)
def test_health_checks_are_there_for_who_looks_closer(lines: Lines) -> None:
    log.request(HEALTH, grpc.StatusCode.OK, 0.001, "")
    assert [line["rpc"] for line in lines()] == ["Check"]


@pytest.mark.parametrize("lines", ["warning"], indirect=True)
def test_the_level_is_kept(lines: Lines) -> None:
    log.request(GENERATE, grpc.StatusCode.OK, 0.1, "x")
    structlog.get_logger().warning("seen")
    assert [line["event"] for line in lines()] == ["seen"]


def test_a_librarys_line_comes_without_what_was_filled_in(lines: Lines) -> None:
    logging.getLogger("some.library").warning("could not read %s", SECRET)
    (line,) = lines()
    assert (line["event"], line["logger"], line["said"]) == ("library", "some.library", "could not read %s")
    assert SECRET not in json.dumps(line)


def test_a_librarys_error_is_its_type_and_place(lines: Lines) -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("some.library").exception("failed\n%s", SECRET)
    (line,) = lines()
    assert (line["level"], line["said"], line["kind"]) == ("error", "failed", "ValueError")
    assert line["where"].startswith("test_log.py:")
    assert SECRET not in json.dumps(line)


def test_a_task_that_dies_unseen_says_its_type_alone(lines: Lines) -> None:
    async def dies() -> None:
        raise ValueError(SECRET)

    async def run() -> None:
        task = asyncio.create_task(dies())
        await asyncio.sleep(0)
        del task

    asyncio.run(run())
    (line,) = lines()
    assert (line["logger"], line["kind"]) == ("asyncio", "ValueError")
    assert SECRET not in json.dumps(line)


def test_a_thread_that_dies_says_its_type_alone(lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    def dies() -> None:
        raise ValueError(SECRET)

    thread = threading.Thread(target=dies)
    thread.start()
    thread.join()
    (line,) = lines()
    assert (line["event"], line["kind"]) == ("uncaught", "ValueError")
    assert SECRET not in json.dumps(line) + "".join(capfd.readouterr())


def test_an_error_that_cannot_be_raised_says_its_type_alone(lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    class Dies:
        def __del__(self) -> None:
            raise ValueError(SECRET)

    Dies()
    assert [(line["event"], line["kind"]) for line in lines()] == [("uncaught", "ValueError")]
    assert SECRET not in "".join(capfd.readouterr())


def test_a_value_that_json_does_not_know_is_told_by_its_type(lines: Lines) -> None:
    class Report:
        def __repr__(self) -> str:
            return SECRET

    structlog.get_logger().info("seen", report=Report())
    assert [line["report"] for line in lines()] == ["Report"]


def test_a_place_is_where_the_error_was_raised() -> None:
    def deep() -> None:
        json.loads("{")

    with pytest.raises(json.JSONDecodeError) as caught:
        deep()
    assert log.where(caught.value).startswith("decoder.py:")
    assert log.where(ValueError("never raised")) == ""
