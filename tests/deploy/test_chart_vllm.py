"""vLLM in the Helm chart: it is Kubernetes, only servers reach it, and both sides are told the same."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
from helm_python import HelmError

from radimpress.trainer.bundle import RANK_MAX
from tests.deploy.chart import NAMESPACE, of_kind, render
from tests.deploy.files import settings_of
from tests.deploy.test_chart import KUBERNETES
from tests.deploy.test_image import LAST

VALUES: dict[str, Any] = {
    "bundles": {"claim": "bundles"},
    "secrets": {"engine": "radimpress-engine"},
    "settings": {"base": "mediphi-instruct", "drain_seconds": 20},
    "vllm": {"enabled": True, "model": "microsoft/MediPhi-Instruct", "models": "models", "replicas": 2},
}


def _pod(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    pod: dict[str, Any] = of_kind(objects, "StatefulSet", name)["spec"]["template"]["spec"]
    return pod


def _options(pod: dict[str, Any]) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in pod["containers"][0]["args"])


@pytest.fixture(scope="module")
def installed() -> list[dict[str, Any]]:
    """What is made of it."""
    return render(VALUES)


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("more", [{}, {"models": "", "gpus": 0, "nodeSelector": {"gpu": "yes"}, "egress": [{}]}])
def test_it_is_kubernetes(version: str, more: dict[str, Any]) -> None:
    objects = render({**VALUES, "vllm": {**VALUES["vllm"], **more}})
    made = [one for one in objects if one["metadata"]["name"] == "radimpress-vllm"]
    assert {one["kind"] for one in made} == {"StatefulSet", "Service", "NetworkPolicy", "PodDisruptionBudget"}
    for one in objects:
        kubernetes_validate.validate(one, version, strict=True)


def test_without_it_there_is_nothing_of_it() -> None:
    objects = render({"bundles": {"claim": "bundles"}})
    assert not any(one["metadata"]["name"].endswith("vllm") for one in objects)
    given = {row["name"] for row in _pod(objects, "radimpress")["containers"][0]["env"]}
    assert not any(name.startswith("RADIMPRESS_ENGINE") for name in given)


def test_servers_are_told_each_vllm_and_what_it_was_started_with(installed: list[dict[str, Any]]) -> None:
    pod, options = _pod(installed, "radimpress"), _options(_pod(installed, "-vllm"))
    settings = settings_of({row["name"]: row.get("value", "word") for row in pod["containers"][0]["env"]})
    made, service = of_kind(installed, "StatefulSet", "-vllm"), of_kind(installed, "Service", "-vllm")
    assert settings.engine == "vllm"
    assert settings.engine_urls == tuple(
        f"http://{made['metadata']['name']}-{at}.{service['metadata']['name']}.{NAMESPACE}.svc:8000" for at in range(2)
    )
    assert made["spec"]["serviceName"] == service["metadata"]["name"]
    # A name that is not ready must not vanish, and what stands for several would hide which of them answers.
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"]
    assert settings.context == int(options["--max-model-len"])
    # One of them stands for the base model.
    assert settings.resident + 1 == int(options["--max-loras"])
    assert settings.batch == 2 * int(options["--max-num-seqs"])
    assert int(options["--max-lora-rank"]) <= RANK_MAX
    many = render({**VALUES, "vllm": {**VALUES["vllm"], "replicas": 64}})
    given = {row["name"]: row.get("value", "word") for row in _pod(many, "radimpress")["containers"][0]["env"]}
    assert settings_of(given).batch == 256


def test_both_know_the_token_and_see_the_bundles_in_the_same_place(installed: list[dict[str, Any]]) -> None:
    server, vllm = _pod(installed, "radimpress"), _pod(installed, "-vllm")
    given = {row["name"]: row.get("value", "word") for row in server["containers"][0]["env"]}
    (key,) = [row for row in vllm["containers"][0]["env"] if row["name"] == "VLLM_API_KEY"]
    assert key["valueFrom"]["secretKeyRef"] == {"name": "radimpress-engine", "key": "token"}
    assert given["RADIMPRESS_ENGINE_TOKEN"].endswith("/engine/token")
    (secret,) = [row for row in server["volumes"] if row["name"] == "engine"]
    assert secret["secret"]["secretName"] == "radimpress-engine"
    places = {row["name"]: row for row in vllm["containers"][0]["volumeMounts"]}
    assert places["bundles"]["mountPath"] == given["RADIMPRESS_BUNDLES"]
    assert places["bundles"]["readOnly"]
    assert places["models"]["readOnly"]
    assert {row["name"] for row in vllm["volumes"]} == set(places)


def test_it_may_do_as_little_as_can_be(installed: list[dict[str, Any]]) -> None:
    pod = _pod(installed, "-vllm")
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsUser"] == int(LAST["USER"].split(":")[0])
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "memory" in container["resources"]["limits"]
    (port,) = container["ports"]
    assert {container[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "liveness", "readiness")} == {
        port["name"]
    }
    assert "--no-enable-log-requests" in container["args"]


def test_only_servers_and_monitoring_reach_it(installed: list[dict[str, Any]]) -> None:
    servers, vllm = of_kind(installed, "NetworkPolicy", "radimpress"), of_kind(installed, "NetworkPolicy", "-vllm")
    label = "app.kubernetes.io/component"
    labels = of_kind(installed, "StatefulSet", "-vllm")["spec"]["template"]["metadata"]["labels"]
    assert vllm["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    from_servers, from_monitoring = vllm["spec"]["ingress"]
    (peer,) = from_servers["from"]
    assert peer["podSelector"]["matchLabels"][label] == "server"
    assert from_monitoring["from"][0]["namespaceSelector"]
    # Policies add up: that of the servers, which clients may ask and which may go further, is not vLLM's too.
    (apart,) = servers["spec"]["podSelector"]["matchExpressions"]
    assert apart == {"key": label, "operator": "NotIn", "values": [labels[label]]}
    (way,) = [rule for rule in servers["spec"]["egress"] if rule["ports"][0]["port"] == 8000]
    assert way["to"][0]["podSelector"]["matchLabels"].items() <= labels.items()
    assert all(rule["ports"] for rule in vllm["spec"]["egress"])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"bundles": {"url": "s3://hospital/bundles"}}, "say bundles.claim"),
        ({"secrets": {"engine": ""}}, "must ask for a token"),
        ({"vllm": {"enabled": True}}, "say vllm.model"),
        ({"settings": {"engine": "inprocess"}}, "settings.engine: vllm says it"),
        ({"settings": {"engine_urls": ["http://other:8000"]}}, "settings.engine_urls: vllm says it"),
        ({"settings": {"batch": 4}}, "settings.batch: vllm says it"),
        ({"vllm": {**VALUES["vllm"], "rank": 12}}, "rank"),
        ({"vllm": {**VALUES["vllm"], "argument": []}}, "argument"),
        ({"vllm": {**VALUES["vllm"], "arguments": ["-O3"]}}, "arguments"),
    ],
)
def test_what_cannot_be_is_refused_by_name(values: dict[str, Any], told: str) -> None:
    with pytest.raises(HelmError, match=told):
        render({**VALUES, **values})


def test_a_tgi_or_vllm_that_is_there_already_is_asked_by_settings() -> None:
    there = {"engine": "tgi", "engine_urls": ["http://tgi-0.tgi.ris.svc:8080"]}
    objects = render({"bundles": {"claim": "bundles"}, "secrets": {"engine": "tgi"}, "settings": there})
    pod = _pod(objects, "radimpress")
    settings = settings_of({row["name"]: row.get("value", "word") for row in pod["containers"][0]["env"]})
    assert (settings.engine, settings.engine_urls) == ("tgi", tuple(there["engine_urls"]))
    assert settings.engine_token is not None
    assert any(row["mountPath"] == str(settings.engine_token.parent) for row in pod["containers"][0]["volumeMounts"])
