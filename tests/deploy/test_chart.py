"""The Helm chart, rendered by Helm's own code: it is Kubernetes, it is safe, and it says what a server understands."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from helm_python import HelmError

from radimpress.server.settings import ServerSettings
from radimpress.server.telemetry import Metrics
from tests.deploy.chart import CHART, NAMESPACE, OWN, of_kind, render, settings_schema
from tests.deploy.files import DEPLOY, settings_of
from tests.deploy.test_image import LAST

CLAIM: dict[str, Any] = {"bundles": {"claim": "bundles"}}
EVERYTHING: dict[str, Any] = {
    "image": {"repository": "registry.hospital/radimpress", "digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": [{"name": "pull"}],
    "bundles": {"url": "s3://hospital/bundles"},
    "secrets": {"tokens": "", "trustedKeys": ["a.pub", "b.pub"], "environment": "store"},
    "settings": {
        "base": "mediphi-instruct",
        "jwks": "https://id.hospital/keys",
        "jwt_audience": "radimpress",
        "jwt_issuer": "https://id.hospital",
        "languages": ["en", "de"],
        "reflection": False,
        "rate_per_second": 2.5,
        "message_bytes": 1 << 30,
        "drain_seconds": 45,
    },
    "state": {"storageClass": "fast"},
    "gpus": 1,
    "nodeSelector": {"gpu": "yes"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "clinical",
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d"},
    "autoscaling": {"enabled": True},
    "service": {"type": "LoadBalancer", "annotations": {"e": "f"}},
    "monitoring": {"serviceMonitor": True, "rules": True, "labels": {"release": "prometheus"}},
    "upgradeRegistry": True,
}
NOTHING: dict[str, Any] = {
    **CLAIM,
    "replicas": 1,
    "registry": "sqlite:////var/lib/radimpress/registry.db",
    "secrets": {"trusted": "", "seal": "", "database": ""},
    "podDisruptionBudget": {"enabled": False},
    "networkPolicy": {"enabled": False},
    "service": {"enabled": False},
    "tools": {"enabled": False},
}
CASES = {"default": CLAIM, "everything": EVERYTHING, "nothing": NOTHING}
# The oldest one that the chart takes, and the newest.
KUBERNETES = ("1.32", "1.37")


@pytest.fixture(scope="module")
def installed() -> dict[str, list[dict[str, Any]]]:
    """What is made of each case."""
    return {name: render(values) for name, values in CASES.items()}


def _pods(objects: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each pod's labels and spec."""
    for made in objects:
        if made["kind"] in {"StatefulSet", "Deployment", "Job"}:
            template = made["spec"]["template"]
            yield template["metadata"]["labels"], template["spec"]


def _environment(container: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row.get("value", "word") for row in container["env"]}


def test_helm_finds_no_fault() -> None:
    found = helm_python.lint(CHART, strict=True)
    assert found["errors"] == []
    assert {message["error"] for message in found["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_it_is_kubernetes(installed: dict[str, list[dict[str, Any]]], case: str, version: str) -> None:
    checked = 0
    for made in installed[case]:
        if not made["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes_validate.validate(made, version, strict=True)
            checked += 1
    assert checked >= {"default": 6, "everything": 8, "nothing": 2}[case]


@pytest.mark.parametrize("version", KUBERNETES)
def test_what_is_no_kubernetes_is_refused(installed: dict[str, list[dict[str, Any]]], version: str) -> None:
    bad = copy.deepcopy(of_kind(installed["default"], "StatefulSet"))
    bad["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(bad, version, strict=True)


@pytest.mark.parametrize("case", CASES)
def test_every_pod_is_given_settings_that_the_server_takes(
    installed: dict[str, list[dict[str, Any]]], case: str
) -> None:
    for _, pod in _pods(installed[case]):
        assert not settings_of(_environment(pod["containers"][0])).loopback


def test_values_reach_the_server_as_they_were_said(installed: dict[str, list[dict[str, Any]]]) -> None:
    given = _environment(of_kind(installed["everything"], "StatefulSet")["spec"]["template"]["spec"]["containers"][0])
    assert json.loads(given["RADIMPRESS_LANGUAGES"]) == ["en", "de"]
    assert given["RADIMPRESS_REFLECTION"] == "false"
    assert given["RADIMPRESS_RATE_PER_SECOND"] == "2.5"
    assert given["RADIMPRESS_MESSAGE_BYTES"] == str(1 << 30)
    assert json.loads(given["RADIMPRESS_TRUSTED_KEYS"]) == [
        "/run/radimpress/trusted/a.pub",
        "/run/radimpress/trusted/b.pub",
    ]
    assert given["RADIMPRESS_BUNDLES"] == "s3://hospital/bundles"


@pytest.mark.parametrize("case", CASES)
def test_what_a_pod_reads_and_writes_is_mounted(installed: dict[str, list[dict[str, Any]]], case: str) -> None:
    claims = {
        made["metadata"]["name"] for made in of_kind(installed[case], "StatefulSet")["spec"]["volumeClaimTemplates"]
    }
    for labels, pod in _pods(installed[case]):
        (container,) = pod["containers"]
        mounts = {row["mountPath"]: row["name"] for row in container["volumeMounts"]}
        volumes = {row["name"] for row in pod["volumes"]}
        assert set(mounts.values()) - volumes <= (
            claims if labels["app.kubernetes.io/component"] == "server" else set()
        )
        assert {LAST["WORKDIR"], "/tmp"} <= set(mounts)
        for value in _environment(container).values():
            for place in re.findall(r'(?<![\w:/])/[^"\s]+', value):
                assert any(PurePosixPath(place).is_relative_to(mount) for mount in mounts), place


@pytest.mark.parametrize("case", CASES)
def test_every_pod_may_do_as_little_as_can_be(installed: dict[str, list[dict[str, Any]]], case: str) -> None:
    user, _ = LAST["USER"].split(":")
    for _, pod in _pods(installed[case]):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == int(user)
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]


def test_a_server_has_time_to_end_what_runs(installed: dict[str, list[dict[str, Any]]]) -> None:
    for case in ("default", "everything"):
        pod = of_kind(installed[case], "StatefulSet")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        drain = float(_environment(container)["RADIMPRESS_DRAIN_SECONDS"])
        before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] >= drain + before + 10


def test_probes_ask_what_the_server_answers(installed: dict[str, list[dict[str, Any]]]) -> None:
    (container,) = of_kind(installed["default"], "StatefulSet")["spec"]["template"]["spec"]["containers"]
    ports = {row["name"]: row["containerPort"] for row in container["ports"]}
    given = _environment(container)
    assert given["RADIMPRESS_LISTEN"].endswith(f":{ports['grpc']}")
    assert given["RADIMPRESS_METRICS_LISTEN"].endswith(f":{ports['metrics']}")
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in asked.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in asked.values()} == {"metrics"}
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 900


def test_services_and_budget_reach_servers_only(installed: dict[str, list[dict[str, Any]]]) -> None:
    objects = installed["default"]
    headless, plain = of_kind(objects, "Service", "-servers"), of_kind(objects, "Service", "radimpress")
    assert headless["spec"]["clusterIP"] == "None"
    assert of_kind(objects, "StatefulSet")["spec"]["serviceName"] == headless["metadata"]["name"]
    budget = of_kind(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    for selector in (headless["spec"]["selector"], plain["spec"]["selector"], budget):
        met = [
            labels["app.kubernetes.io/component"] for labels, _ in _pods(objects) if selector.items() <= labels.items()
        ]
        assert met == ["server"]
    fence = of_kind(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert all(fence.items() <= labels.items() for labels, _ in _pods(installed["everything"]))


def test_nobody_is_let_in_where_no_peer_is_named() -> None:
    spec = of_kind(render({**CLAIM, "networkPolicy": {"clients": [], "monitoring": []}}), "NetworkPolicy")["spec"]
    assert not spec["ingress"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    spec = of_kind(render(CLAIM), "NetworkPolicy")["spec"]
    assert all(rule["from"] and rule["ports"] for rule in spec["ingress"])
    assert all(rule["ports"] for rule in spec["egress"])


def test_servers_are_added_by_a_queue_that_they_show(installed: dict[str, list[dict[str, Any]]]) -> None:
    scaler = of_kind(installed["everything"], "HorizontalPodAutoscaler")["spec"]
    servers = of_kind(installed["everything"], "StatefulSet")
    assert scaler["scaleTargetRef"]["name"] == servers["metadata"]["name"]
    assert "replicas" not in servers["spec"]
    assert of_kind(installed["default"], "StatefulSet")["spec"]["replicas"] == 2
    shown = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
    (metric,) = scaler["metrics"]
    assert metric["pods"]["metric"]["name"] in shown
    adapter = yaml.safe_load((DEPLOY / "prometheus" / "adapter.yaml").read_text("utf-8"))
    (rule,) = adapter["rules"]["custom"]
    assert metric["pods"]["metric"]["name"] in rule["seriesQuery"]


def test_the_alerts_are_those_of_the_file(installed: dict[str, list[dict[str, Any]]]) -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text("utf-8"))
    assert of_kind(installed["everything"], "PrometheusRule")["spec"] == rules
    monitor = of_kind(installed["everything"], "ServiceMonitor")["spec"]
    service = of_kind(installed["everything"], "Service", "-servers")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    # The alerts know servers by job="radimpress".
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "radimpress"


def test_the_cuda_image_is_taken_where_there_are_gpus(installed: dict[str, list[dict[str, Any]]]) -> None:
    def container(objects: list[dict[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = of_kind(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
        return found

    assert container(installed["default"])["image"] == "radimpress:0.1.0"
    asked = container(render({**CLAIM, "gpus": 2}))
    assert asked["image"] == "radimpress:0.1.0-cuda"
    assert asked["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert container(installed["everything"])["image"] == f"registry.hospital/radimpress@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "either claim or url"),
        ({"bundles": {"claim": "a", "url": "s3://a"}}, "either claim or url"),
        ({**CLAIM, "secrets": {"tokens": ""}}, "must show a token"),
        ({**CLAIM, "registry": "sqlite:////var/lib/radimpress/registry.db"}, "need PostgreSQL"),
        ({**CLAIM, "registry": "postgresql://radimpress:secret@database/radimpress"}, "registry"),
        ({**CLAIM, "secrets": {"tls": ""}}, "tls"),
        ({**CLAIM, "replica": 3}, "replica"),
        ({**CLAIM, "settings": {"max_token": 3}}, "max_token"),
        ({**CLAIM, "settings": {"max_tokens": 0}}, "max_tokens"),
        ({**CLAIM, "settings": {"listen": "0.0.0.0:1"}}, "listen"),
        ({**CLAIM, "autoscaling": {"max": 3}}, "max"),
        ({**CLAIM, "image": {"digest": "sha256:0"}}, "digest"),
    ],
)
def test_what_cannot_be_is_refused_by_name(values: dict[str, Any], told: str) -> None:
    with pytest.raises(HelmError, match=told):
        render(values)


def test_the_schema_knows_the_servers_settings_and_refuses_others_everywhere() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    assert schema["properties"]["settings"]["properties"] == settings_schema()
    assert set(ServerSettings.model_fields) >= OWN
    told = [schema, *(value for value in schema["properties"].values() if "properties" in value)]
    assert len(told) > 8
    assert all(value["additionalProperties"] is False for value in told)


def test_every_value_has_a_default_and_every_default_is_known() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))["properties"]
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert set(values) == set(schema) - {"global"}
    for name, value in values.items():
        if "properties" in schema[name] and name not in {"settings", "resources"}:
            assert set(value) == set(schema[name]["properties"]), name


@pytest.mark.parametrize("release", ["radimpress", "a", "a-release-with-a-name-as-long-as-helm-would-ever-take"])
def test_names_fit_whatever_the_release_is_called(release: str) -> None:
    objects = render({**CLAIM, "autoscaling": {"enabled": True}}, release)
    names = [made["metadata"]["name"] for made in objects]
    assert len({(made["kind"], made["metadata"]["name"]) for made in objects}) == len(objects)
    # A StatefulSet's pods add a number, and their revision a hash, to a label of 63 signs.
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?", name) for name in names), names
    assert NAMESPACE not in names
