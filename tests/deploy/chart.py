"""The Helm chart as Helm renders it, and what its schema must say of the server's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import helm_python
import yaml

from radimpress.server.settings import ServerSettings
from tests.deploy.files import DEPLOY

CHART = DEPLOY / "helm" / "radimpress"
NAMESPACE = "ris"
# These the chart sets itself, from what else it is told.
OWN = {
    "listen",
    "metrics_listen",
    "server_name",
    "registry",
    "bundles",
    "bundle_cache",
    "audit",
    "tls_certificate",
    "tls_key",
    "tokens",
    "trusted_keys",
    "feedback_keys",
    "engine_token",
}
_KEPT = ("type", "enum", "items", "minItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def render(values: Mapping[str, Any], release: str = "radimpress") -> list[dict[str, Any]]:
    """All objects of an installation."""
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render(dict(values), name=release, namespace=NAMESPACE)
    manifests = [text for name, text in texts.items() if not name.endswith("NOTES.txt")]
    return [found for text in manifests for found in yaml.safe_load_all(text) if found]


def of_kind(objects: list[dict[str, Any]], kind: str, end: str = "") -> dict[str, Any]:
    """The one object of a kind whose name ends so."""
    (found,) = [made for made in objects if made["kind"] == kind and made["metadata"]["name"].endswith(end)]
    return found


def settings_schema() -> dict[str, Any]:
    """What values.schema.json must say of `settings`: each setting of the server that the chart leaves to others."""
    told = ServerSettings.model_json_schema()
    names = {name: field for name, field in told["properties"].items() if name not in OWN}
    return {name: _plain(field, told.get("$defs", {})) for name, field in names.items()}


def _plain(field: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    given = dict(field)
    if "anyOf" in given:
        (given,) = [choice for choice in given["anyOf"] if choice.get("type") != "null"]
    if "$ref" in given:
        given = known[given["$ref"].rpartition("/")[2]]
    found = {key: given[key] for key in _KEPT if key in given}
    if "items" in found:
        found["items"] = _plain(found["items"], known)
    if "description" in field:
        found["description"] = field["description"]
    return found
