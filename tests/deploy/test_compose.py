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

from radimpress.server.engines.tgi import APPLIED
from radimpress.server.settings import ServerSettings
from radimpress.trainer import fetch
from radimpress.trainer.bases import find_base
from tests.deploy.files import DEPLOY, ROOT, program, settings_of
from tests.deploy.test_image import ENVIRONMENT, LAST, STAGES

FOLDER = DEPLOY / "compose"
FILES = sorted(FOLDER.glob("*.yaml"))
# The instruction that makes the folders that the image writes in.
MADE = [given for instruction, given in STAGES["server"] if instruction == "RUN" and "--directory" in given]
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
# A tag is what a person reads; digests are the business of whoever mirrors the images. The tokens are paths, and what
# vLLM and TGI compile for the device is loaded from where they may write.
ALLOWED = re.compile(
    r"CL-0019 .*pinned to a tag|CL-0020 .*'RADIMPRESS_(ENGINE_TOKEN|TOKENS)'|CL-0022 .*'/var/cache/(vllm|tgi)'"
)


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


ENGINES = ["vllm", "tgi"]


def _engine(kind: str) -> tuple[dict[str, Any], ServerSettings]:
    """The service that holds the model, and what the servers before it are set to."""
    services = _services(FOLDER / f"{kind}.yaml")
    (server,) = [one for one in services.values() if "ports" in one and "two" not in one["environment"].values()]
    return services[kind], settings_of({**ENVIRONMENT, **server["environment"]})


def _options(engine: dict[str, Any]) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in engine["command"])


@pytest.mark.parametrize("kind", ENGINES)
def test_servers_ask_the_engine_that_is_there_with_its_token(kind: str) -> None:
    engine, settings = _engine(kind)
    assert settings.engine == kind
    port = {"vllm": "8000", "tgi": _options(engine).get("--port")}[kind]
    assert settings.engine_urls == (f"http://{kind}:{port}",)
    assert f"http://127.0.0.1:{port}/health" in engine["healthcheck"]["test"][-1]
    # Findings go to it in the clear: nobody else may ask, and nobody may listen.
    assert "ports" not in engine
    key = {"vllm": "VLLM_API_KEY", "tgi": "API_KEY"}[kind]
    assert "ENGINE_TOKEN:?" in re.findall(rf"\b{key}: (.*)", (FOLDER / f"{kind}.yaml").read_text("utf-8"))[0]
    assert engine["environment"]["HF_HUB_OFFLINE"] == "1"
    assert f"deploy/compose/secrets/{settings.engine_token.name}" in PAGE if settings.engine_token else False


@pytest.mark.parametrize("kind", ENGINES)
def test_the_engine_sees_bundles_and_base_where_the_servers_do_and_changes_neither(kind: str) -> None:
    engine, settings = _engine(kind)
    (servers,) = {tuple(one["volumes"]) for one in _services(FOLDER / f"{kind}.yaml").values() if "build" in one}
    theirs = dict(volume.split(":")[:2] for volume in servers)
    for volume in engine["volumes"]:
        name, place, how = volume.split(":")
        assert (theirs[name], how) == (place, "ro")
    mounted = {volume.split(":")[1] for volume in engine["volumes"]}
    assert mounted == {settings.bundles, ENVIRONMENT["RADIMPRESS_CACHE"]}
    assert settings.engine_adapters is None
    # A new volume is its image's folder's owner's.
    assert all(place in given for given in MADE for place in mounted)


@pytest.mark.parametrize("kind", ENGINES)
def test_the_model_that_is_brought_is_the_one_that_the_engine_reads(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, settings = _engine(kind)
    base = find_base(settings.base)
    python, option, code = _services(FOLDER / f"{kind}.yaml")["model"]["entrypoint"]
    brought: list[str] = []
    monkeypatch.setattr(fetch, "base_folder", lambda asked: brought.append(asked.name))
    exec(compile(code, "model", "exec"), {})
    assert (python, option, brought) == ("python", "-c", [base.name])
    if isinstance(base.source, str):
        read = base.source
        assert engine["environment"]["HF_HOME"] == ENVIRONMENT["HF_HOME"]
    else:
        read = f"{ENVIRONMENT['RADIMPRESS_CACHE']}/bases/{base.source.requirement.replace('==', '-')}"
    options = _options(engine)
    assert (options.get("--model") or options.get("--model-id")) == read
    # What is let in has room.
    assert int(options.get("--max-model-len") or options["--max-total-tokens"]) >= settings.context


def test_vllm_has_the_room_that_the_servers_count_on() -> None:
    engine, settings = _engine("vllm")
    options = _options(engine)
    # One of them stands for the base model.
    assert int(options["--max-loras"]) == settings.resident + 1
    assert int(options["--max-num-seqs"]) == settings.batch
    assert "--enable-lora" in options
    assert engine["environment"]["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert "--no-enable-log-requests" in options


def test_tgi_gets_its_adapters_from_the_file_that_the_page_makes() -> None:
    engine, settings = _engine("tgi")
    assert set(find_base(settings.base).targets) <= set(APPLIED)
    (file,) = engine["env_file"]
    written = f"routes lora-adapters --with unified > deploy/compose/{PurePosixPath(file)}"
    # What is not registered cannot be named, and what TGI was not started with must not be promoted yet.
    order = ["adapters register /handed/unified", written, "--force-recreate tgi", "adapters promote unified"]
    places = [PAGE.index(step) for step in order]
    assert places == sorted(places)


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
