"""The compose files: read strictly, looked over, and what they set and mount compared with what there is."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from compose_spec import PyOptions

from tests.deploy.files import DEPLOY, ROOT, program, settings_of
from tests.deploy.test_image import ENVIRONMENT, LAST

FOLDER = DEPLOY / "compose"
FILES = sorted(FOLDER.glob("*.yaml"))
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
# A tag is what a person reads; digests are the business of whoever mirrors the images. The tokens are a path.
ALLOWED = re.compile(r"CL-0019 .*pinned to a tag|CL-0020 .*'RADIMPRESS_TOKENS'")


def _read(path: Path) -> str:
    """A file with its variables filled in: by their defaults, else with a word."""
    return re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)\}", lambda found: found[1] or "word", path.read_text("utf-8"))


def _services(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(_read(path))["services"]
    return found


def _parse(text: str) -> None:
    options = PyOptions()
    options.apply_merge = True
    options.from_yaml(text).validate()


SERVERS = [
    pytest.param(path, name, id=f"{path.stem}-{name}")
    for path in FILES
    for name, service in _services(path).items()
    if service["image"].startswith("radimpress:")
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_compose(path: Path) -> None:
    _parse(_read(path))


@pytest.mark.parametrize("bad", ["    imaged: x", "    ports: [nowhere]", "    cpus: two", "    depends_on: {x: {}}"])
def test_what_is_no_compose_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        _parse(f"services:\n  a:\n    image: x\n{bad}\n")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_unsafe_is_found(path: Path) -> None:
    words = [program("compose-lint"), "check", "--no-env", "--fail-on", "low", "--format", "json", str(path)]
    said = json.loads(subprocess.run(words, capture_output=True, text=True, check=False).stdout)
    assert said["errors"] == []
    found = [f"{row['rule_id']} {row['message']}" for row in said["findings"]]
    assert found
    assert [row for row in found if not ALLOWED.match(row)] == []


@pytest.mark.parametrize(("path", "name"), SERVERS)
def test_a_server_is_given_settings_that_it_takes(path: Path, name: str) -> None:
    settings = settings_of({**ENVIRONMENT, **_services(path)[name]["environment"]})
    assert not settings.loopback
    assert settings.drain_seconds < float(_services(path)[name]["stop_grace_period"].rstrip("s"))


@pytest.mark.parametrize(("path", "name"), SERVERS)
def test_what_a_server_reads_and_writes_is_mounted(path: Path, name: str) -> None:
    service = _services(path)[name]
    mounts = [PurePosixPath(volume.split(":")[1]) for volume in service["volumes"]]
    assert PurePosixPath(LAST["WORKDIR"]) in mounts
    named = re.findall(r"(?<![\w:/])/[\w./-]+", " ".join(service["environment"].values()))
    assert len(named) >= 5
    for place in named:
        assert any(PurePosixPath(place).is_relative_to(mount) for mount in mounts), place


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_mounted_is_there_or_made_by_the_page(path: Path) -> None:
    text = yaml.safe_load(_read(path))
    for service in text["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if source[0] != ".":
                assert source in text["volumes"]
            elif not (FOLDER / source).exists():
                assert f"deploy/compose/{PurePosixPath(source).name}" in PAGE, source
        build = service.get("build")
        if build:
            context = (FOLDER / build["context"]).resolve()
            assert context == ROOT
            assert (context / build["dockerfile"]).is_file()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_variable_that_must_be_said_is_told(path: Path) -> None:
    for name in re.findall(r"\$\{(\w+)", path.read_text("utf-8")):
        assert not name.startswith("RADIMPRESS_"), "radimpress on the same machine would take it for a setting"
        assert name in PAGE, name


def test_every_server_that_is_published_is_scraped() -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text("utf-8"))["scrape_configs"]
    (asked,) = job["dns_sd_configs"]
    published = {
        name
        for path in FILES
        for name, service in _services(path).items()
        if service["image"].startswith("radimpress:") and "ports" in service
    }
    assert set(asked["names"]) == published
    assert ENVIRONMENT["RADIMPRESS_METRICS_LISTEN"].endswith(f":{asked['port']}")
