"""Servers in processes of their own, started as an operator starts them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from radimpress.v1 import impression_pb2, impression_pb2_grpc
from tests.server.conftest import FINDINGS

_COMMAND = (sys.executable, "-c", "from radimpress.server.cli import main; main()", "serve")
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server's process.

    Attributes:
        address: host:port.
        process: as Python started it.
        log: all that it says.
    """

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(_PATIENCE)

    def wait_ready(self) -> None:
        """Waits until it answers; fails with its last words when it ended instead."""
        with grpc.insecure_channel(self.address) as channel:
            ready = grpc.channel_ready_future(channel)
            until = time.monotonic() + _PATIENCE
            while time.monotonic() < until:
                try:
                    ready.result(timeout=0.5)
                except grpc.FutureTimeoutError:
                    assert self.process.poll() is None, self.log.read_text("utf-8")[-2000:]
                else:
                    return
        raise AssertionError(f"not ready in time: {self.log.read_text('utf-8')[-2000:]}")


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@contextmanager
def started(
    folder: Path, port: int = 0, command: tuple[str, ...] = _COMMAND, *, wait: bool = True, **settings: object
) -> Iterator[Running]:
    """`radimpress serve` with the fake engine; killed at the end if it still runs.

    Args:
        folder: where it is started, and writes its log.
        port: of loopback; 0 takes a free one.
        command: what to run in its place.
        wait: until it answers.
        settings: RADIMPRESS_<NAME> in its environment.
    """
    address = f"127.0.0.1:{port or free_port()}"
    given = {"listen": address, "engine": "fake", **settings}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RADIMPRESS_")}
    environment |= {f"RADIMPRESS_{name.upper()}": str(value) for name, value in given.items()}
    log = folder / f"server-{address.rpartition(':')[2]}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT)
    running = Running(address, process, log)
    try:
        if wait:
            running.wait_ready()
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(_PATIENCE)


class Asker:
    """Asks a server for impressions; every call says what came of it.

    Args:
        address: host:port.
        token: sent along.
    """

    def __init__(self, address: str, token: str = "") -> None:
        self.channel = grpc.insecure_channel(address)
        self._stub = impression_pb2_grpc.ImpressionServiceStub(self.channel)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def generate(self, request_id: str = "", timeout: float = 30.0, **report: str) -> impression_pb2.Impression:
        """One impression, or grpc.RpcError."""
        given: Mapping[str, Any] = {"findings": FINDINGS, "modality": "CT", "clinic": "alder", **report}
        request = impression_pb2.GenerateImpressionRequest(
            request_id=request_id, report=impression_pb2.ReportInput(**given)
        )
        return self._stub.GenerateImpression(request, timeout=timeout, metadata=self._metadata).impression

    def code(self, request_id: str = "", timeout: float = 30.0, **report: str) -> grpc.StatusCode:
        """How one request ends."""
        try:
            self.generate(request_id, timeout, **report)
        except grpc.RpcError as error:
            return code_of(error)
        return grpc.StatusCode.OK

    def until(self, wanted: grpc.StatusCode, seconds: float, **report: str) -> float:
        """Asks until it ends like that; the seconds that it took."""
        began = time.monotonic()
        seen = set[grpc.StatusCode]()
        while time.monotonic() < began + seconds:
            seen.add(code := self.code(timeout=5, **report))
            if code is wanted:
                return time.monotonic() - began
            time.sleep(0.05)
        raise AssertionError(f"no {wanted.name} in {seconds} s; seen {sorted(code.name for code in seen)}")


def code_of(error: grpc.RpcError) -> grpc.StatusCode:
    """The canonical code of what a call raised."""
    assert isinstance(error, grpc.Call)
    code: grpc.StatusCode = error.code()
    return code
