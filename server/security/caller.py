"""Who asks: a subject with a role, and for a clinic's caller the clinics that are its own."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from radimpress.reports.errors import ForbiddenError


class Role(StrEnum):
    """What a caller is here for; `permissions.py` says what each may ask."""

    CLINIC = "clinic"
    EVALUATOR = "evaluator"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        subject: the name that the token gives; goes into logs, the audit trail and events.
        role: what it may ask.
        clinics: of a clinic's caller, those that it may ask for; empty for the other roles.
    """

    subject: str
    role: Role
    clinics: frozenset[str] = frozenset()

    def check_clinic(self, clinic: str) -> None:
        """Passes where the caller may ask for this clinic.

        Raises:
            ForbiddenError: a clinic's caller names another clinic, or none.
        """
        if self.role is Role.CLINIC and clinic not in self.clinics:
            # The text may be a report that stands in the wrong field: it is not quoted.
            raise ForbiddenError("the clinic is not one that this caller may ask for")


LOCAL = Caller("local", Role.OPERATOR)
"""Who asks where neither tokens nor a key set are configured, which is on loopback only."""

current_caller: ContextVar[Caller] = ContextVar("current_caller")
"""The caller of the rpc in hand; without a default, so that what passed no door fails."""
