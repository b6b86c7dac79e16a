"""Adapters, tables and certificates that the tests of rollouts make up; no files behind them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from radimpress.clustering.cell import Cell
from radimpress.eval.certificate import Certificate, decode_certificate
from radimpress.server.routes import AdapterVersion, Entry, RouteTable, Trial, TrialKind, TrialPlan
from tests.server.conftest import CLINICS, certificate, clusters

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = TrialPlan(TrialKind.CANARY, 10)
SHADOW = TrialPlan(TrialKind.SHADOW, 50)


def version(name: str, number: int, digit: str) -> AdapterVersion:
    """A version whose weights' digest is one digit over and over."""
    return AdapterVersion(name, number, digit * 64, "tiny", "0" * 64, 2, f"{name}/{digit}", "e" * 64, NOW)


OLD, NEW, OTHER = version("unified", 1, "1"), version("unified", 2, "2"), version("cluster-list", 1, "3")


def table_of(entries: Mapping[Cell, Entry] | None = None, number: int = 7) -> RouteTable:
    """A table with these entries."""
    return RouteTable(number, entries or {}, CLINICS, clusters().digest, "made up", NOW)


def judged(adapter: AdapterVersion, *cells: Cell, incumbent: AdapterVersion | None = None) -> Certificate:
    """A certificate that passes these slices."""
    return decode_certificate(certificate(adapter, *cells, incumbent=incumbent))


def on_trial(adapter: AdapterVersion = NEW, plan: TrialPlan = CANARY, since: int = 7) -> Trial:
    """A trial."""
    return Trial(adapter, "f" * 64, plan, since)
