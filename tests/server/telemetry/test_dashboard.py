from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from radimpress.server.routes import Arm, Reason, TrialKind
from radimpress.server.telemetry import Metrics
from tests.server.telemetry.test_metrics import CELL, UNIFIED

ROOT = Path(__file__).parents[3]
DASHBOARD = ROOT / "deploy" / "grafana" / "radimpress.json"
WATCHING = ROOT / "docs" / "watching.md"
# What Prometheus adds to every series, and what a histogram's buckets are told apart by.
ADDED = {"instance", "job", "le"}


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """Every series that a server can show, with the labels it has."""
    metrics = Metrics()
    metrics.rpc("/radimpress.v1.ImpressionService/GenerateImpression", grpc.StatusCode.OK, 0.1)
    metrics.answered(
        UNIFIED,
        CELL,
        Arm.INCUMBENT,
        reason=Reason.CELL,
        seconds=0.1,
        first_token_seconds=0.1,
        prompt_tokens=1,
        tokens=1,
        checks=("phi",),
    )
    metrics.resident(["unified@1"])
    metrics.trial_ended(UNIFIED, TrialKind.CANARY)
    found: dict[str, set[str]] = defaultdict(set)
    for family in metrics.registry.collect():
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return found


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within a JSON value."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(inner)


def check(expression: str, known: dict[str, set[str]]) -> None:
    """Every metric of a PromQL expression exists, and has the labels that the expression names."""
    metrics = set(re.findall(r"\b(?:radimpress|process)_[a-z_]+", expression))
    assert metrics, expression
    assert metrics <= set(known), expression
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression))
    for group in re.findall(r"\b(?:by|on|without|ignoring|group_left)\s*\(([^)]*)\)", expression):
        labels |= {label.strip() for label in group.split(",") if label.strip()}
    assert labels - ADDED <= set().union(*(known[name] for name in metrics)), expression


def test_every_expression_of_the_dashboard_is_about_what_the_server_shows(known: dict[str, set[str]]) -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    expressions = [part["expr"] for part in parts(dashboard) if "expr" in part]
    assert len(expressions) > 20
    for expression in expressions:
        check(expression, known)


def test_every_choice_of_the_dashboard_is_a_label(known: dict[str, set[str]]) -> None:
    queries = [
        part["query"]
        for part in json.loads(DASHBOARD.read_text("utf-8"))["templating"]["list"]
        if part["type"] == "query"
    ]
    for query in queries:
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", query).groups()  # type: ignore[union-attr]
        assert label in known[metric] | ADDED


def test_every_metric_of_ours_is_on_the_dashboard_and_in_the_docs(known: dict[str, set[str]]) -> None:
    drawn, told = DASHBOARD.read_text("utf-8"), WATCHING.read_text("utf-8")
    for name in known:
        if name.startswith("radimpress_"):
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert family in drawn, name
            assert f"`{family}`" in told, name


def test_every_alert_is_about_what_the_server_shows(known: dict[str, set[str]]) -> None:
    rules = re.findall(r"^ +expr: (.+)$", WATCHING.read_text("utf-8"), re.MULTILINE)
    assert len(rules) > 5
    for rule in rules:
        if not rule.startswith("up{"):
            check(rule, known)


def test_no_panel_lies_upon_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, panel["title"]
                assert x < 24
                taken.add((x, y))
