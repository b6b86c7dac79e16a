"""Which role may ask which rpc; what is not in the table is refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from radimpress.reports.errors import ForbiddenError
from radimpress.server.security.caller import Caller, Role

_IMPRESSIONS = "/radimpress.v1.ImpressionService/"
_ADAPTERS = "/radimpress.v1.AdapterService/"
_EVERYBODY = frozenset(Role)
_CLINIC = frozenset({Role.CLINIC, Role.OPERATOR})
_EVALUATOR = frozenset({Role.EVALUATOR, Role.OPERATOR})
_OPERATOR = frozenset({Role.OPERATOR})

PERMISSIONS: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        f"{_IMPRESSIONS}GenerateImpression": _EVERYBODY,
        f"{_IMPRESSIONS}StreamImpression": _EVERYBODY,
        f"{_IMPRESSIONS}BatchImpressions": _EVERYBODY,
        f"{_IMPRESSIONS}RecordFinalImpression": _CLINIC,
        f"{_ADAPTERS}RegisterAdapter": _OPERATOR,
        f"{_ADAPTERS}GetAdapter": _EVALUATOR,
        f"{_ADAPTERS}ListAdapters": _EVALUATOR,
        f"{_ADAPTERS}VerifyAdapter": _EVALUATOR,
        f"{_ADAPTERS}RetireAdapter": _OPERATOR,
        f"{_ADAPTERS}EvaluateAdapter": _EVALUATOR,
        f"{_ADAPTERS}PromoteAdapter": _OPERATOR,
        f"{_ADAPTERS}EndTrial": _OPERATOR,
        f"{_ADAPTERS}RollbackRouteTable": _OPERATOR,
        f"{_ADAPTERS}GetRouteTable": _EVALUATOR,
        f"{_ADAPTERS}ListRouteTables": _EVALUATOR,
        f"{_ADAPTERS}ExplainRoute": _EVERYBODY,
        f"{_ADAPTERS}GetLiveQuality": _EVALUATOR,
        f"{_ADAPTERS}ListEvents": _OPERATOR,
    }
)
"""By full rpc name, as gRPC has it. Which clinics a clinic's caller may name is `Caller.check_clinic`."""

HEALTH = frozenset(f"/grpc.health.v1.Health/{name}" for name in ("Check", "List", "Watch"))
"""Open to all: a load balancer has no token."""

REFLECTION = frozenset(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1alpha", "v1")
)
"""Open to all where the server offers it: the contract is public."""


def check_permission(method: str, caller: Caller) -> None:
    """Passes where the caller's role may ask this rpc.

    Raises:
        ForbiddenError: it may not, or the rpc is not in the table.
    """
    if caller.role not in PERMISSIONS.get(method, frozenset()):
        raise ForbiddenError(f"the role {caller.role} may not ask this")
