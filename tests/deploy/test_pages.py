"""docs/deploy.md and the gate's job: every command is one, every file is there, every name is the chart's."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from radimpress.server.cli import app
from radimpress.server.settings import ServerSettings
from tests.deploy.chart import CHART, NAMESPACE, of_kind, render
from tests.deploy.files import DEPLOY, ROOT, parts, settings_of
from tests.deploy.test_image import LAST

PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
JOB: dict[str, Any] = yaml.safe_load((DEPLOY / "ci" / "gate.yaml").read_text("utf-8"))
SHELL = [
    line for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) for line in block.splitlines()
]
STEPS = [step["run"] for step in JOB["jobs"]["gate"]["steps"] if "run" in step]


def _ours() -> list[str]:
    """Every `radimpress …` that page and job type, whatever runs it."""
    found = [
        match
        for text in [*SHELL, *STEPS]
        for match in re.findall(r"\bradimpress ((?:registry|adapters|keys|tokens|eval|gate|routes) .+)", text)
    ]
    # In compose, `run --rm SERVICE …` is what the image's command is given.
    found += [match for line in SHELL for match in re.findall(r"run --rm one (.+)", line)]
    assert len(found) > 8
    return sorted({re.split(r" (?:>|\|\||&&) ", line)[0] for line in found})


@pytest.mark.parametrize("line", _ours())
def test_every_command_and_option_is_one(line: str) -> None:
    command: Any = get_command(app)
    words = shlex.split(line)
    while isinstance(command, TyperGroup) and words:
        # `gate NAME` is short for `gate judge NAME`.
        name = words[0] if words[0] in command.commands else "judge"
        words = words[1:] if words[0] == name else words
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    with command.make_context(command.name, words, resilient_parsing=False):
        pass


def test_kubectl_copies_from_and_to_pods_which_is_all_that_it_can() -> None:
    notes = (CHART / "templates" / "NOTES.txt").read_text("utf-8").splitlines()
    copied = [line for line in [*SHELL, *notes] if re.search(r"\bkubectl\b.* cp ", line)]
    assert copied
    # What stands before the slash it takes for a namespace.
    assert [line for line in copied if re.search(r"\b(deploy|deployment|statefulset)/[^ ]+:", line)] == []


def test_servers_that_the_page_stops_are_gone_before_the_upgrade_and_come_back() -> None:
    site = yaml.safe_load(re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0])
    servers = of_kind(render(site), "StatefulSet")
    # An autoscaler leaves what has none alone, and the chart says no number beside it.
    assert "replicas" not in servers["spec"]
    steps = [line for line in SHELL if re.search(r"scale statefulset|kubectl .* wait|helm upgrade", line)]
    stop, wait, upgrade, start = steps
    assert "--replicas=0" in stop
    selector = dict(pair.split("=") for pair in re.findall(r" -l (\S+)", wait)[0].split(","))
    assert selector.items() <= servers["spec"]["template"]["metadata"]["labels"].items()
    assert "upgradeRegistry=true" in upgrade
    assert f"--replicas={site['autoscaling']['minimum']}" in start


def test_servers_of_the_page_have_room_for_the_adapters_that_they_keep() -> None:
    site = yaml.safe_load(re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0])
    limit = int(site["resources"]["limits"]["memory"].removesuffix("Gi")) << 30
    # As docs/sizing.md counts one of rank 8 on MediPhi, and as much again for all else.
    assert limit > 2 * ServerSettings.model_fields["host"].default * 12_582_912 * 4


def test_a_backup_in_the_cluster_is_made_where_there_is_room_for_it() -> None:
    (place,) = {place for line in SHELL for place in re.findall(r"\bkubectl\b.* registry backup (\S+)", line)}
    pod = of_kind(render({"bundles": {"claim": "bundles"}, "tools": {"size": "300Gi"}}), "Deployment", "-tools")
    spec = pod["spec"]["template"]["spec"]
    mounts = {row["mountPath"]: row["name"] for row in spec["containers"][0]["volumeMounts"]}
    mount = max((path for path in mounts if place.startswith(f"{path}/")), key=len)
    (volume,) = [row for row in spec["volumes"] if row["name"] == mounts[mount]]
    assert volume["emptyDir"] == {"sizeLimit": "300Gi"}


def test_every_file_that_is_named_is_there() -> None:
    named = set(
        re.findall(
            r"\bdeploy/(?!radimpress-tools)[\w./-]+\w", PAGE + (ROOT / "docs" / "gate-in-ci.md").read_text("utf-8")
        )
    )
    made = {"deploy/compose/secrets", "deploy/compose/handed"}
    assert len(named) > 8
    for name in named:
        assert (ROOT / name).exists() or any(name.startswith(folder) for folder in made), name


def test_what_the_page_says_of_an_installation_is_what_helm_makes_of_it() -> None:
    site, more = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    objects = render(yaml.safe_load(site))
    assert of_kind(render(yaml.safe_load(site) | yaml.safe_load(more)), "StatefulSet", "-vllm")
    assert f"--namespace {NAMESPACE}" in PAGE
    (container,) = of_kind(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    assert settings_of({row["name"]: row.get("value", "word") for row in container["env"]}).rate_per_second == 20
    for kind, name in (
        ("Deployment", "radimpress-tools"),
        ("Service", "radimpress-servers"),
        ("StatefulSet", "radimpress"),
    ):
        assert of_kind(objects, kind)["metadata"]["name"] == name if kind != "Service" else of_kind(objects, kind, name)
        assert name in PAGE
    values = re.findall(r"--set (\w+)=", PAGE)
    assert values
    assert set(values) <= set(yaml.safe_load((CHART / "values.yaml").read_text("utf-8")))


def test_the_secrets_that_the_page_makes_are_those_that_pods_ask_for() -> None:
    made = dict(re.findall(r"create secret (?:generic|tls) (\S+) (--.+)", PAGE))
    vllm = {"vllm": {"enabled": True, "model": "word"}, "secrets": {"engine": "radimpress-engine"}}
    objects = render({"bundles": {"claim": "bundles"}, **vllm})
    pod = of_kind(objects, "StatefulSet", "radimpress")["spec"]["template"]["spec"]
    asked = {row["secret"]["secretName"] for row in pod["volumes"] if "secret" in row}
    asked |= {part["secretKeyRef"]["name"] for part in parts(pod) if "secretKeyRef" in part}
    assert set(made) == asked
    values = " ".join(row.get("value", "") for row in pod["containers"][0]["env"])
    for name, key in re.findall(r"create secret generic \S+?-(\w+) --from-file=([\w.]+)=", PAGE):
        assert f"/{name}/{key}" in values


def test_the_page_tells_of_the_image_what_is_so() -> None:
    assert f"user {LAST['USER'].split(':')[0]}" in PAGE
    assert f"`{LAST['WORKDIR']}`" in PAGE
    for name in re.findall(r"--build-arg (\w+)=", PAGE):
        assert re.search(rf"^ARG {name}=", (DEPLOY / "docker" / "Dockerfile").read_text("utf-8"), re.MULTILINE), name


def test_the_job_says_nothing_that_a_name_could_break() -> None:
    # What whoever starts the job types reaches the shell by a variable, never as text of the script.
    assert not any("${{" in run for run in STEPS)
    settings_of(JOB["env"])
    assert JOB["permissions"] == {"contents": "read"}
    told = {name for step in JOB["jobs"]["gate"]["steps"] for name in step.get("env", {})}
    assert {name for run in STEPS for name in re.findall(r"\$(?:\{)?([A-Z_]+)", run)} <= told | {"GITHUB_STEP_SUMMARY"}
