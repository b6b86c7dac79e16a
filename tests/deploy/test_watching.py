"""Dashboard and alerts: every expression is about what a server shows, and each alert is told when it should be."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import grpc
import pytest
import yaml

from radimpress.server.routes import Arm, Reason, TrialKind
from radimpress.server.telemetry import Metrics
from tests.deploy.files import DEPLOY, ROOT, parts
from tests.server.telemetry.test_metrics import CELL, UNIFIED

DASHBOARD = DEPLOY / "grafana" / "radimpress.json"
PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "rules.yaml"
TESTS = Path(__file__).with_name("rules_test.yaml")
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


def _alerts() -> dict[str, str]:
    """Each alert's expression, by its name."""
    rules = [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]
    found = {rule["alert"]: rule["expr"] for rule in rules}
    assert len(found) == len(rules) > 5
    return found


def test_every_alert_is_about_what_the_server_shows(known: dict[str, set[str]]) -> None:
    for expression in _alerts().values():
        if "up{" not in expression:
            check(expression, known)


def test_every_alert_is_tried_where_it_should_be_told_and_where_not() -> None:
    tried = [case for test in yaml.safe_load(TESTS.read_text("utf-8"))["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in tried if case.get("exp_alerts")} == set(_alerts())
    assert {case["alertname"] for case in tried if not case.get("exp_alerts")} == set(_alerts())


def test_what_is_scraped_is_called_as_the_alerts_call_it() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text("utf-8"))
    assert [(PROMETHEUS / name).exists() for name in config["rule_files"]] == [True]
    (job,) = config["scrape_configs"]
    assert f'job="{job["job_name"]}"' in _alerts()["RadimpressDown"]


def _promtool(*words: str | Path) -> None:
    """Runs promtool, which says what is wrong on standard output."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_configuration_and_its_rules() -> None:
    _promtool("check", "config", PROMETHEUS / "prometheus.yaml")


def test_each_alert_does_what_it_should(tmp_path: Path) -> None:
    for file in (RULES, TESTS):
        shutil.copy(file, tmp_path)
    _promtool("test", "rules", tmp_path / TESTS.name)


def test_no_panel_lies_upon_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, panel["title"]
                assert x < 24
                taken.add((x, y))
