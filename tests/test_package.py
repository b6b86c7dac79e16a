"""What is shipped: the wheel, its smallest install, the stubs, the size of what is committed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STUBS = ROOT / "proto" / "radimpress" / "v1"
PACKAGES = (
    "radimpress/v1",
    "radimpress/reports",
    "radimpress/reports/readers",
    "radimpress/clustering",
    "radimpress/trainer",
    "radimpress/eval",
    "radimpress/eval/checks",
    "radimpress/eval/metrics",
    "radimpress/server",
    "radimpress/server/engines",
    "radimpress/server/registry",
    "radimpress/server/registry/migrations",
    "radimpress/server/rollout",
    "radimpress/server/security",
    "radimpress/server/telemetry",
    "radimpress/server/bench",
)
BASE = ("googleapis-common-protos", "grpcio", "protobuf")
MEBIBYTE = 1024 * 1024

SMOKE = """
import importlib.util, json, sys
import radimpress.v1.impression_pb2
import radimpress.server.client
import radimpress.server.client_async
from radimpress.reports.report import Modality, parse_modality

print(json.dumps({
    "mr": parse_modality("MRI") is Modality.MR,
    "heavy": [name for name in ("torch", "transformers", "typer", "numpy") if importlib.util.find_spec(name)],
    "outside": [name for name in ("eval", "server", "tests") if importlib.util.find_spec(name)],
    "from": radimpress.server.client.__file__,
}))
"""


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    # PYTHONPATH would bring the working tree into the empty environment.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _committed() -> list[Path]:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    listed = _run("git", "ls-files", "-z", cwd=ROOT)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


@pytest.fixture(scope="module")
def members(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_radimpress_and_nothing_else_at_the_top(members: list[str]) -> None:
    tops = {name.split("/")[0] for name in members}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"radimpress"}


def test_every_package_folder_is_shipped(members: list[str]) -> None:
    assert {str(Path(name).parent) for name in members if name.endswith(".py")} == set(PACKAGES)


def test_every_package_says_that_it_is_typed(members: list[str]) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(members)


def test_every_committed_file_of_a_package_is_shipped(members: list[str]) -> None:
    folders = {ROOT / "proto" / "radimpress": "radimpress"}
    folders |= {ROOT / name: f"radimpress/{name}" for name in ("reports", "clustering", "trainer", "eval", "server")}
    expected = {
        f"{shipped}/{path.relative_to(folder).as_posix()}"
        for folder, shipped in folders.items()
        for path in _committed()
        if path.is_relative_to(folder) and path.is_file()
    }
    assert expected <= set(members)


def test_the_licence_is_shipped(members: list[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in members)


def test_a_client_install_has_only_grpc_and_the_stubs(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "empty"
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    fetched = _run(*pip, "install", "--quiet", "-c", ROOT / "constraints.txt", *BASE, cwd=tmp_path)
    if fetched.returncode:
        last = (fetched.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"pip could not install {', '.join(BASE)}: {last}")
    # Without an index and with dependencies: a wheel that needs more than these cannot install.
    installed = _run(*pip, "install", "--quiet", "--no-index", wheel, cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr

    listed = json.loads(_run(*pip, "list", "--format=json", cwd=tmp_path).stdout)
    names = {row["name"].lower().replace("_", "-") for row in listed}
    assert names - {"pip", "setuptools", "wheel", "typing-extensions"} == {*BASE, "radimpress"}

    smoke = _run(python, "-W", "error", "-c", SMOKE, cwd=tmp_path)
    assert smoke.returncode == 0, smoke.stderr
    found = json.loads(smoke.stdout)
    assert Path(found.pop("from")).is_relative_to(home)
    assert found == {"mr": True, "heavy": [], "outside": []}


def test_the_stubs_are_those_of_the_proto_files(tmp_path: Path) -> None:
    if importlib.util.find_spec("grpc_tools") is None:
        pytest.skip("grpc_tools is not installed")
    made = _run(sys.executable, ROOT / "proto" / "generate.py", tmp_path, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    fresh = {path.name: path.read_bytes() for path in (tmp_path / "radimpress" / "v1").iterdir()}
    assert fresh == {path.name: path.read_bytes() for path in STUBS.glob("*_pb2*")}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("grpcio", r"GRPC_GENERATED_VERSION = '([\d.]+)'"),
        ("protobuf", r"Protobuf Python Version: ([\d.]+)"),
    ],
)
def test_the_base_install_is_as_new_as_the_stubs_ask(name: str, pattern: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = {found for path in STUBS.glob("*_pb2*.py") for found in re.findall(pattern, path.read_text("utf-8"))}
    assert {f"{name}>={version}" for version in asked} == {
        needed for needed in project["dependencies"] if needed.startswith(name)
    }


def test_exact_versions_stand_in_one_place() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line[0] != "#"]
    assert pins[0].startswith("torch==")
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), pins
    assert "==" not in (ROOT / "pyproject.toml").read_text("utf-8")


def test_no_committed_file_is_over_a_mebibyte() -> None:
    assert [path for path in _committed() if path.is_file() and path.stat().st_size > MEBIBYTE] == []
