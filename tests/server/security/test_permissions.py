from __future__ import annotations

from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from radimpress.reports.errors import ForbiddenError
from radimpress.server.security.caller import Caller, Role
from radimpress.server.security.permissions import HEALTH, PERMISSIONS, REFLECTION, check_permission
from radimpress.v1 import adapter_pb2, impression_pb2


def _methods(*files: object) -> set[str]:
    return {
        f"/{service.full_name}/{method.name}"
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()  # type: ignore[attr-defined]
        for method in service.methods
    }


def test_the_table_holds_every_rpc_of_the_contract_and_no_other() -> None:
    assert set(PERMISSIONS) == _methods(impression_pb2, adapter_pb2)


def test_what_is_open_is_health_and_reflection() -> None:
    assert _methods(health_pb2) <= HEALTH
    assert _methods(reflection_pb2) <= REFLECTION
    assert all(method.startswith("/grpc.") for method in HEALTH | REFLECTION)


def test_an_operator_may_ask_everything() -> None:
    assert all(Role.OPERATOR in roles for roles in PERMISSIONS.values())


def test_a_clinic_may_ask_for_impressions_send_what_was_signed_and_have_its_routes_explained() -> None:
    assert {name.rpartition("/")[2] for name, roles in PERMISSIONS.items() if Role.CLINIC in roles} == {
        "GenerateImpression",
        "StreamImpression",
        "BatchImpressions",
        "RecordFinalImpression",
        "ExplainRoute",
    }


def test_an_evaluator_changes_no_route_and_signs_nothing() -> None:
    refused = {name.rpartition("/")[2] for name, roles in PERMISSIONS.items() if Role.EVALUATOR not in roles}
    assert refused == {
        "RecordFinalImpression",
        "RegisterAdapter",
        "RetireAdapter",
        "PromoteAdapter",
        "EndTrial",
        "RollbackRouteTable",
        "ListEvents",
    }


@pytest.mark.parametrize("role", list(Role))
def test_an_rpc_that_is_not_in_the_table_is_refused_to_all(role: Role) -> None:
    with pytest.raises(ForbiddenError):
        check_permission("/radimpress.v1.AdapterService/DeleteEverything", Caller("somebody", role))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("method", sorted(PERMISSIONS))
def test_the_check_says_what_the_table_says(method: str, role: Role) -> None:
    caller = Caller("somebody", role)
    if role in PERMISSIONS[method]:
        check_permission(method, caller)
    else:
        with pytest.raises(ForbiddenError, match=role):
            check_permission(method, caller)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PERMISSIONS["/x/Y"] = frozenset(Role)  # type: ignore[index]


def test_the_table_in_the_documentation_is_this_one() -> None:
    text = (Path(__file__).parents[3] / "docs/security.md").read_text("utf-8")
    _, _, below = text.partition("### Roles\n")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in below.splitlines() if line.startswith("| `")
    ]
    told = {row[0].strip("`"): {role for role, cell in zip(Role, row[1:], strict=True) if cell} for row in rows}
    assert told == {method.rpartition("/")[2]: set(roles) for method, roles in PERMISSIONS.items()}
