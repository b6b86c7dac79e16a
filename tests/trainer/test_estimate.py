from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.reports.errors import InputError
from radimpress.reports.synthetic import synthesize
from radimpress.trainer.estimate import estimate
from radimpress.trainer.load import BaseTokens, load_tokens
from radimpress.trainer.plan import PlannedAdapter
from radimpress.trainer.record import runs
from radimpress.trainer.settings import FitSettings
from tests.conftest import TINY
from tests.trainer.fits import fit_tiny

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

SETTINGS = FitSettings(rank=2, batch=2, accumulation=2, max_tokens=600, epochs=1.5, price_per_hour=36)
REPORTS = tuple(synthesize(9, 0, 0.0))
ENDLESS = replace(REPORTS[0], id="endless", findings="x" * 100_000)
VALIDATION = list(synthesize(3, 1, 0.0))
PLANNED = PlannedAdapter("planned", None, None, (*REPORTS, ENDLESS))


@pytest.fixture(scope="module")
def reader(tiny_folder: Path) -> BaseTokens:
    return load_tokens(TINY, tiny_folder)


def test_a_fit_makes_the_steps_and_reads_the_tokens_that_were_estimated(
    tiny_folder: Path, tmp_path: Path, reader: BaseTokens
) -> None:
    told = estimate(PLANNED, VALIDATION, reader, SETTINGS, 100.0)
    bundle = fit_tiny(
        tiny_folder, tmp_path, name=PLANNED.name, reports=PLANNED.reports, validation=VALIDATION, settings=SETTINGS
    )
    data, record = bundle.manifest["data"], runs(tmp_path)[0].rows
    assert told.steps == bundle.manifest["steps"]["made"] > 1
    assert (sum(told.reports.values()), told.cut, told.too_long) == (data["reports"], data["cut"], data["too_long"])
    assert told.too_long == 1
    assert [row["step"] for row in record if "loss" in row] == list(range(1, told.steps + 1))
    # Half of the tokens come again in the second epoch.
    assert data["tokens"] < told.tokens < 2 * data["tokens"]


def test_time_follows_from_the_speed_and_the_cost_from_the_price(reader: BaseTokens) -> None:
    slow = estimate(PLANNED, VALIDATION, reader, SETTINGS, 50.0)
    fast = estimate(PLANNED, VALIDATION, reader, SETTINGS, 100.0)
    assert slow.seconds is not None
    assert fast.seconds == pytest.approx(slow.seconds / 2, abs=0.1)
    assert slow.seconds > slow.tokens / 50
    assert slow.cost_usd == pytest.approx(slow.seconds / 100, abs=1e-3)
    often = SETTINGS.model_copy(update={"validation_steps": 1})
    assert (estimate(PLANNED, VALIDATION, reader, often, 50.0).seconds or 0) > slow.seconds


def test_nothing_is_made_up_where_no_speed_or_price_is_known(reader: BaseTokens) -> None:
    unknown = estimate(PLANNED, VALIDATION, reader, SETTINGS, None)
    assert (unknown.seconds, unknown.cost_usd) == (None, None)
    free = SETTINGS.model_copy(update={"price_per_hour": 0.0})
    assert estimate(PLANNED, VALIDATION, reader, free, 50.0).cost_usd is None


def test_reports_that_are_all_too_long_are_refused(reader: BaseTokens) -> None:
    with pytest.raises(InputError, match="no report fits"):
        estimate(replace(PLANNED, reports=(ENDLESS,)), VALIDATION, reader, SETTINGS, None)
