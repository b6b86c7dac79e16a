"""A thousand clients that are slow or vanish: their places come free, and nobody else waits for them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil

from radimpress.server.bench.hosting import hosted
from radimpress.server.bench.overload import paced_site
from radimpress.server.bench.site import TOKEN
from tests.server.processes import Asker

_VANISHING = Path(__file__).with_name("vanishing.py")
_KILLED, _HALF, _SILENT = 700, 150, 150
# How an HTTP/2 connection begins (RFC 9113, 3.4), and its first, empty SETTINGS frame.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = b"\0\0\0\x04\0\0\0\0\0"


def test_a_thousand_slow_and_vanishing_clients_leave_their_places_to_others(tmp_path: Path) -> None:
    with (
        hosted(partial(paced_site, tmp_path, waiting=2 * _KILLED), tmp_path / "server.log") as host,
        Asker(host.address, TOKEN) as asker,
        ExitStack() as stack,
    ):
        server = psutil.Process(host.pid)
        assert asker.generate(clinic="clinic-0").text
        files, memory = server.num_fds(), host.resident()
        where = host.address.rpartition(":")
        for number in range(_HALF + _SILENT):
            slow = stack.enter_context(socket.create_connection((where[0], int(where[2]))))
            slow.sendall(_PREFACE[:10] if number < _HALF else _PREFACE + _SETTINGS)
        with subprocess.Popen(
            (sys.executable, _VANISHING, host.address, str(_KILLED), TOKEN), stdout=subprocess.PIPE
        ) as clients:
            assert clients.stdout
            assert clients.stdout.readline() == b"asked\n"
            # They all have the engine's places and its queue; the slow ones hold nothing but their connection.
            assert server.num_fds() >= files + _KILLED
            clients.kill()
        # Were they still waited for, this would come after them: at 20 a second not for half a minute.
        began = time.monotonic()
        assert asker.generate(clinic="clinic-0").text
        assert time.monotonic() - began < 5
        _wait_until_closed(server, files + _HALF + _SILENT + 10)
        stack.close()
        _wait_until_closed(server, files + 10)
        began = time.monotonic()
        assert asker.generate(clinic="clinic-0").text
        assert time.monotonic() - began < 2
        assert host.resident() < memory + 256


def _wait_until_closed(server: psutil.Process, wanted: int) -> None:
    until = time.monotonic() + 20
    while server.num_fds() > wanted:
        assert time.monotonic() < until, f"{server.num_fds()} open files, not {wanted}"
        time.sleep(0.1)
