from __future__ import annotations

from collections.abc import Callable

import pytest

from radimpress.eval.checks import Notice, annotate
from radimpress.reports.report import Report

Noticed = Callable[..., Notice | None]


@pytest.fixture
def noticed() -> Noticed:
    """What one check notices: noticed("organ", findings, impression, exam="CT head")."""

    def ask(check: str, findings: str, impression: str, finish: str = "stop", **fields: str) -> Notice | None:
        return annotate(Report(id="r", findings=findings, **fields), impression, finish).get(check)  # type: ignore[arg-type]

    return ask
