"""The image, as far as it can be looked over where no container engine runs."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

from radimpress.server.telemetry import Metrics, exposing
from tests.deploy.files import DEPLOY, ROOT, program, settings_of

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _stages() -> dict[str, list[tuple[str, str]]]:
    """Each stage's instructions and what they are given, by the stage's name."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {"": []}
    name = ""
    for line in filter(None, text.splitlines()):
        instruction, _, given = line.partition(" ")
        if instruction == "FROM":
            name = given.split()[-1]
            found[name] = []
        found[name].append((instruction, re.sub(r"\s+", " ", given).strip()))
    return found


STAGES = _stages()
LAST = dict(STAGES["server"])
ENVIRONMENT = dict(word.split("=", 1) for word in shlex.split(LAST["ENV"]))
COPIED = [
    given.split()[0]
    for stage in STAGES.values()
    for instruction, given in stage
    if instruction == "COPY" and "--from" not in given
] + ["pyproject.toml", "README.md", "LICENSE"]


def _ignored(path: str) -> bool:
    """As Docker has it: patterns begin at the root, and of those that match the last one counts."""
    said = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if line and line[0] != "#":
            back = line[0] == "!"
            if GitIgnoreSpec.from_lines([f"/{line.lstrip('!')}"]).match_file(path):
                said = not back
    return said


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([program("hadolint"), DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_find_a_fault(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text(DOCKERFILE.read_text("utf-8").replace("FROM ${PYTHON} AS server", "FROM python AS server"), "utf-8")
    assert subprocess.run([program("hadolint"), bad], capture_output=True, check=False).returncode != 0


def test_what_is_copied_is_there_and_is_let_through() -> None:
    for name in COPIED:
        assert (ROOT / name).exists(), name
        assert not _ignored(name), name
    assert not _ignored("server/settings.py")
    for name in (
        ".git/config",
        ".venv/pyvenv.cfg",
        "tests/conftest.py",
        "demo/registry.db",
        "seal.key",
        "tokens.toml",
        "server/__pycache__/serve.cpython-311.pyc",
        "server/gate.pem",
    ):
        assert _ignored(name), name


def test_every_package_folder_is_copied() -> None:
    folders = {place.split("/")[0] for place in PROJECT["tool"]["setuptools"]["package-dir"].values()}
    assert folders <= set(COPIED)


def test_what_is_installed_by_name_is_pinned_and_an_extra_is_one() -> None:
    pins = (ROOT / "constraints.txt").read_text("utf-8")
    assert pins.startswith("torch==")
    runs = " ".join(given for stage in STAGES.values() for instruction, given in stage if instruction == "RUN")
    for name in ("setuptools", "cyclonedx-bom"):
        assert re.search(rf"onstraints?\.txt {name}\b", runs), name
        assert re.search(rf"^{name}==", pins, re.MULTILINE), name
    (extras,) = re.findall(r"\.whl\)\[([\w,]+)\]", runs)
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])


def test_every_stage_that_is_named_is_there() -> None:
    named = {name for stage in STAGES.values() for _, given in stage for name in re.findall(r"--from=(\w+)", given)}
    assert named <= set(STAGES)
    assert {"torch-cpu", "torch-cuda"} <= set(STAGES)


def test_it_runs_as_nobody_in_particular_and_writes_in_one_folder() -> None:
    user, group = LAST["USER"].split(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000
    home = LAST["WORKDIR"]
    assert json.loads(LAST["VOLUME"]) == [home]
    for name in ("HOME", "HF_HOME", "RADIMPRESS_CACHE", "RADIMPRESS_BUNDLES"):
        assert Path(ENVIRONMENT[name]).is_relative_to(home), name


def test_what_it_sets_are_settings_with_values_that_they_take() -> None:
    settings = settings_of(ENVIRONMENT)
    assert settings.bundles == ENVIRONMENT["RADIMPRESS_BUNDLES"]


def test_it_starts_a_command_that_is_installed() -> None:
    (command,) = json.loads(LAST["ENTRYPOINT"])
    assert command in PROJECT["project"]["scripts"]
    assert json.loads(LAST["CMD"]) == ["serve"]


async def _health(ready: bool) -> int:
    asked = json.loads(LAST["HEALTHCHECK"].partition("CMD ")[2])
    async with exposing("127.0.0.1:0", Metrics(), lambda: True, lambda: "" if ready else "no engine") as address:
        words = [
            word.replace(ENVIRONMENT["RADIMPRESS_METRICS_LISTEN"].replace("0.0.0.0", "127.0.0.1"), address)
            for word in asked
        ]
        assert words != asked
        process = await asyncio.create_subprocess_exec(sys.executable, *words[1:], stderr=asyncio.subprocess.DEVNULL)
        return await process.wait()


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 1)])
def test_its_health_is_the_servers_readiness(ready: bool, code: int) -> None:
    assert asyncio.run(_health(ready)) == code
