"""docs/operate.md from top to bottom, on an empty machine: every command, and what it prints."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import pytest

from radimpress.clustering.cell import Cell
from radimpress.eval.checks import CHECKS
from radimpress.eval.score import Judged, Scores, System
from radimpress.reports.report import Modality
from tests.server.conftest import FAKE_BASE, clusters, make_bundle
from tests.server.processes import free_port

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operate.md"
PORTS = ("50051", "9464")
NEXT = "## The next version\n"
MARK = "@@@ block "


@dataclass(frozen=True, slots=True)
class Block:
    """Commands of the page, and what they print, where the page shows it."""

    commands: str
    shown: str


def blocks(page: str) -> list[Block]:
    """What the page has to run: each fenced block of sh, with the block of text that stands right behind it."""
    found = re.findall(r"^```sh\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", page, re.DOTALL | re.MULTILINE)
    return [Block(commands, shown or "…\n") for commands, shown in found]


def pattern(shown: str) -> str:
    """What is shown as a regular expression: "…" is anything in a line, and alone in a line any lines."""
    lines = [
        r"(?:.*\n)*" if line.strip() == "…" else re.escape(line.rstrip()).replace("…", ".*") + r"\n"
        for line in shown.splitlines()
    ]
    return "".join(lines)


def test_dots_stand_for_what_differs_and_for_nothing_else() -> None:
    assert re.fullmatch(pattern("a … c\n…\nend\n"), "a b c\nx\ny\nend\n")
    assert re.fullmatch(pattern("a … c\n…\nend\n"), "a b c\nend\n")
    assert not re.fullmatch(pattern("a … c\nend\n"), "a b\nc\nend\n")
    assert not re.fullmatch(pattern("a\n"), "a\nb\n")


def test_only_the_demo_is_run_elsewhere() -> None:
    page = PAGE.read_text("utf-8")
    assert re.findall(r"^```sh elsewhere\n(.*?)^```", page, re.DOTALL | re.MULTILINE) == ["radimpress demo\n"]
    assert set(re.findall(r"^```(.+)$", page, re.MULTILINE)) == {"sh", "sh elsewhere", "text", "ini"}


# Most of it is starting Python forty times; on a machine that is busy otherwise it takes minutes.
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("openssl") is None or shutil.which("curl") is None, reason="no openssl, or no curl")
def test_the_page_from_an_empty_machine_to_a_served_adapter(tiny_folder: Path, wheel: Path, tmp_path: Path) -> None:
    page = PAGE.read_text("utf-8")
    for port in PORTS:
        page = page.replace(port, str(free_port()))
    hand_over = _prepare(tiny_folder, tmp_path / "home")
    asked = blocks(page)
    script = [f"echo '{MARK}{number}'\n{block.commands}" for number, block in enumerate(asked)]
    script.insert(len(blocks(page.partition(NEXT)[0])), hand_over)
    printed = _run("".join(script), tmp_path / "home", _environment(tmp_path, wheel))
    said = re.split(rf"^{MARK}\d+\n", printed, flags=re.MULTILINE)[1:]
    for block, lines in zip(asked, said, strict=True):
        told = "".join(f"{line.rstrip()}\n" for line in lines.splitlines())
        assert re.fullmatch(pattern(block.shown), told), f"{block.commands}\nprinted\n{told}"


def _prepare(tiny_folder: Path, home: Path) -> str:
    """Puts what `radimpress demo` leaves into the folder, and gives the commands that hand over a next version."""
    first = make_bundle(tiny_folder, home / "demo" / "bundles", base=FAKE_BASE)
    clusters().save(home / "demo" / "clusters.json")
    _scores(("unified", first.digest)).save(home / "demo" / "eval" / "scores.json")
    second = make_bundle(tiny_folder, home / "later", seed=3, base=FAKE_BASE)
    names = [f"unified@{bundle.digest[:8]}" for bundle in (first, second)]
    _scores((names[0], first.digest), (names[1], second.digest)).save(home / "later" / "scores.json")
    judge = f"radimpress gate {names[1]} --scores later/scores.json --recipe site.toml --sign-key gate.pem"
    return f"cp -r {second.path} handed/unified-2\n{judge} --out handed/unified-2.json > /dev/null\n"


def _scores(*systems: tuple[str, str]) -> Scores:
    """Scores in two slices of CT; each system, by name and digest, is better than the one before it, and than base."""
    cases = [
        Judged(f"{name}{number}", Cell(Modality.CT, name), f"p{name}{number}", 1.0)
        for name in ("list", "telegraphic")
        for number in range(40)
    ]
    checks = {f"check:{check.name}": 0.0 for check in CHECKS}
    made = {
        name: System(name, digest, FAKE_BASE, {case.id: {"rougeL": 0.5 + 0.1 * place, **checks} for case in cases})
        for place, (name, digest) in enumerate((("base", ""), *systems))
    }
    return Scores(tuple(cases), made, "d" * 64, clusters().digest, "1")


def _environment(folder: Path, wheel: Path) -> dict[str, str]:
    """Python as it is here, with all that radimpress needs but radimpress: pip installs the wheel, alone."""
    libraries, programs = folder / "libraries", folder / "programs"
    libraries.mkdir()
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith(("radimpress", "__editable__", "pip", "setuptools")):
            (libraries / installed.name).symlink_to(installed)
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RADIMPRESS_", "PIP_", "PYTHON"))}
    return {
        **kept,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(libraries),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_FIND_LINKS": str(wheel.parent),
        "PIP_QUIET": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "RADIMPRESS_ENGINE": "fake",
    }


def _run(script: str, home: Path, environment: dict[str, str]) -> str:
    """All that the script prints; what it left running is ended."""
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", f"exec 2>&1\n{script}"],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    timer = Timer(540, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        printed, _ = process.communicate()
    finally:
        timer.cancel()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    log = home / "server.log"
    assert process.returncode == 0, f"{printed}\n{log.read_text('utf-8') if log.exists() else ''}"
    return printed
