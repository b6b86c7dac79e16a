from __future__ import annotations

import contextvars

import pytest

from radimpress.reports.errors import ForbiddenError
from radimpress.server.security.caller import LOCAL, Caller, Role, current_caller

CLINIC = Caller("ris-alder", Role.CLINIC, frozenset({"alder", "alder-north"}))


@pytest.mark.parametrize("clinic", ["alder", "alder-north"])
def test_a_clinics_caller_may_ask_for_its_own_clinics(clinic: str) -> None:
    CLINIC.check_clinic(clinic)


@pytest.mark.parametrize("clinic", ["birch", "Alder", "alder ", ""])
def test_a_clinics_caller_may_ask_for_no_other_and_not_for_none(clinic: str) -> None:
    with pytest.raises(ForbiddenError):
        CLINIC.check_clinic(clinic)


def test_the_refusal_does_not_quote_what_stood_in_the_field() -> None:
    with pytest.raises(ForbiddenError) as caught:
        CLINIC.check_clinic("a small left pleural effusion")
    assert "effusion" not in str(caught.value)


@pytest.mark.parametrize("role", [Role.EVALUATOR, Role.OPERATOR])
@pytest.mark.parametrize("clinic", ["alder", ""])
def test_the_other_roles_may_name_any_clinic(role: Role, clinic: str) -> None:
    Caller("somebody", role).check_clinic(clinic)


def test_what_passed_no_door_has_no_caller() -> None:
    with pytest.raises(LookupError):
        contextvars.Context().run(current_caller.get)


def test_without_tokens_everybody_on_loopback_is_an_operator() -> None:
    assert LOCAL.role is Role.OPERATOR
