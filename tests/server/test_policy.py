from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from radimpress.reports.errors import ConfigError, FindingsError
from radimpress.reports.report import Report
from radimpress.server.policy import SHORT, Outside, Policy
from radimpress.server.routes import Reason

_DATA = Path(os.environ.get("TEST_REAL_REPORTS", "../shared/data"))
GERMAN = (
    "Kein Nachweis einer frischen Fraktur. Die Lungen sind beidseits gut belüftet, kein Erguss, kein Infiltrat. "
    "Das Herz ist normal groß, das Mediastinum ist nicht verbreitert."
)
FRENCH = (
    "Pas de fracture visible. Les poumons sont bien aérés des deux côtés, sans épanchement pleural ni foyer. "
    "Le cœur est de taille normale et le médiastin n'est pas élargi."
)
SPANISH = (
    "No se observan fracturas. Los pulmones están bien aireados en ambos lados, sin derrame pleural ni infiltrados. "
    "El corazón es de tamaño normal y el mediastino no está ensanchado."
)
ENGLISH = (
    "No acute fracture. The lungs are well aerated on both sides, without effusion or infiltrate. "
    "The heart is of normal size and the mediastinum is not widened."
)


def _report(findings: str) -> Report:
    return Report(id="r", findings=findings)


def _policy(short: Outside = Outside.BASE, language: Outside = Outside.BASE, *languages: str) -> Policy:
    return Policy(short, language, languages or ("en",))


@pytest.mark.parametrize("findings", ["x", "The lungs are clear.", "a " * (SHORT // 2 - 1), f"{'x' * 99}     "])
def test_findings_under_a_hundred_characters_go_to_base(findings: str) -> None:
    assert _policy().outside(_report(findings)) is Reason.FINDINGS_SHORT


def test_findings_of_a_hundred_characters_in_english_may_go_to_adapters() -> None:
    assert len(ENGLISH) > SHORT
    assert _policy().outside(_report(ENGLISH)) is None


@pytest.mark.parametrize("findings", [GERMAN, FRENCH, SPANISH])
def test_findings_in_another_language_go_to_base(findings: str) -> None:
    assert _policy().outside(_report(findings)) is Reason.LANGUAGE
    assert _policy().outside(_report(findings.upper())) is Reason.LANGUAGE


def test_a_language_that_adapters_learnt_may_go_to_them() -> None:
    policy = _policy(Outside.BASE, Outside.BASE, "en", "de")
    assert policy.outside(_report(GERMAN)) is None
    assert policy.outside(_report(FRENCH)) is Reason.LANGUAGE


def test_what_the_policy_refuses_is_refused_by_field_and_not_quoted() -> None:
    policy = _policy(Outside.REFUSE, Outside.REFUSE)
    for findings, told in (("The spleen is lacerated.", "has 24 characters"), (GERMAN, "is not in en")):
        with pytest.raises(FindingsError, match=told) as caught:
            policy.outside(_report(findings))
        assert caught.value.field == "findings"
        assert findings[:10] not in str(caught.value)


def test_the_policy_may_let_adapters_answer_everything() -> None:
    policy = _policy(Outside.ADAPTER, Outside.ADAPTER)
    assert policy.outside(_report("x")) is None
    assert policy.outside(_report(GERMAN)) is None


@pytest.mark.parametrize(
    ("who", "length", "said"),
    [(Outside.BASE, 99, Reason.FINDINGS_SHORT), (Outside.BASE, 100, None), (Outside.ADAPTER, 1, None)],
)
def test_a_length_alone_says_what_findings_of_that_length_would(who: Outside, length: int, said: Any) -> None:
    assert _policy(who).outside_by_length(length) is said


def test_a_length_alone_is_refused_as_findings_would_be() -> None:
    with pytest.raises(FindingsError):
        _policy(Outside.REFUSE).outside_by_length(99)


def test_a_language_that_nobody_can_tell_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="'english'"):
        _policy(Outside.BASE, Outside.BASE, "en", "english")
