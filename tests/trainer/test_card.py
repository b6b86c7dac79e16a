from __future__ import annotations

from pathlib import Path

import pytest

from radimpress.reports.synthetic import synthesize
from radimpress.trainer.bases import BASES
from radimpress.trainer.card import Measured, Word, model_card
from radimpress.trainer.fit import fit
from radimpress.trainer.plan import PlannedAdapter
from radimpress.trainer.settings import FitSettings
from tests.conftest import TINY

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

REPORTS = tuple(synthesize(8, 0, 0.0))


@pytest.fixture(scope="module")
def card(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The card of a bundle as `fit` leaves it."""
    bundle = fit(
        PlannedAdapter("unified", None, None, REPORTS),
        REPORTS[:2],
        base=TINY,
        base_folder=tiny_folder,
        settings=FitSettings(rank=2, batch=1, accumulation=1, max_tokens=600),
        start=None,
        clusters_digest="c" * 64,
        into=tmp_path_factory.mktemp("bundles"),
    )
    measured = [Measured("all", "style", 9, 0.5, 0.4, 0.6, None)]
    return model_card(bundle, TINY, measured, [Word("CT/list", "PASS", "a | b")], "Nothing came out.")


def test_a_card_holds_no_reports_text(card: str) -> None:
    for report in REPORTS:
        for text in (report.findings, report.impression, report.indication, report.patient, report.clinic, report.id):
            assert text[:25] not in card


def test_a_card_of_a_fit_has_all_that_the_manifest_has(card: str) -> None:
    assert "8 reports, " in card
    assert "| max_tokens | 600 |" in card
    assert "quantisation" not in card
    assert "$" not in card
    assert "With torch " in card
    assert "Nothing came out." in card
    assert "The manifest does not say." not in card
    assert "not known to radimpress" in card


def test_a_table_keeps_its_columns(card: str) -> None:
    assert "| CT/list | PASS | a / b |" in card
    assert "| all | style conformance | 9 | 0.500 [0.400, 0.600] |  |" in card


def test_every_base_model_of_the_table_has_a_licence_and_an_id_on_the_hub() -> None:
    assert all(base.licence and "/" in base.hub_id for base in BASES.values())
