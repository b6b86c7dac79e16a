"""Hardening changes the process for good: each test runs it in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HARDEN = "from radimpress.server.security.process import harden; harden(); "


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HARDEN + code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_no_core_file_can_be_written() -> None:
    ran = _run("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))")
    assert ran.stdout.strip() == "(0, 0)"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has it")
def test_nobody_else_may_trace_the_process_and_no_pipe_gets_a_core() -> None:
    ran = _run("import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))")
    assert ran.stdout.strip() == "0"


def test_new_files_are_the_servers_alone(tmp_path: Path) -> None:
    made = tmp_path / "made"
    ran = _run("import sys; open(sys.argv[1], 'w').close()", str(made))
    assert ran.returncode == 0, ran.stderr
    assert made.stat().st_mode & 0o077 == 0


def test_a_crash_dumps_no_core() -> None:
    child = subprocess.Popen([sys.executable, "-c", HARDEN + "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"])
    _, status = os.waitpid(child.pid, 0)
    child.returncode = status
    assert os.WTERMSIG(status) == signal.SIGSEGV
    assert not os.WCOREDUMP(status)
