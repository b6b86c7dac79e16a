"""Who may ask what: every role, every rpc, one's own clinic and another's, over a real server with tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from radimpress.v1 import adapter_pb2, impression_pb2
from tests.server.conftest import CT_LIST, FINDINGS, Site
from tests.server.processes import code_of

# Written down here a second time on purpose: C own clinic, c other or no clinic; E evaluator; O operator.
_TABLE = {
    "ImpressionService/GenerateImpression": "C E O",
    "ImpressionService/StreamImpression": "C E O",
    "ImpressionService/BatchImpressions": "C E O",
    "ImpressionService/RecordFinalImpression": "C O",
    "AdapterService/RegisterAdapter": "O",
    "AdapterService/GetAdapter": "E O",
    "AdapterService/ListAdapters": "E O",
    "AdapterService/VerifyAdapter": "E O",
    "AdapterService/RetireAdapter": "O",
    "AdapterService/EvaluateAdapter": "E O",
    "AdapterService/PromoteAdapter": "O",
    "AdapterService/EndTrial": "O",
    "AdapterService/RollbackRouteTable": "O",
    "AdapterService/GetRouteTable": "E O",
    "AdapterService/ListRouteTables": "E O",
    "AdapterService/ExplainRoute": "C E O",
    "AdapterService/GetLiveQuality": "E O",
    "AdapterService/ListEvents": "O",
}
_METHODS = {
    f"{service.name}/{method.name}": method
    for file in (impression_pb2.DESCRIPTOR, adapter_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
}
_OF_A_CLINIC = [name for name in _TABLE if name.startswith("ImpressionService/") or name.endswith("/ExplainRoute")]
_ROLES = {"C": ("clinic", ["alder"]), "E": ("evaluator", []), "O": ("operator", [])}
_DENIED = grpc.StatusCode.PERMISSION_DENIED
_REFUSED = {_DENIED, grpc.StatusCode.UNAUTHENTICATED}
# What would say nothing about permission.
_BROKEN = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server that knows a token of each role, and one that is no longer valid."""

    channel: grpc.Channel

    def code(self, name: str, token: str, clinic: str = "alder") -> grpc.StatusCode:
        """How an rpc ends for this token, about this clinic."""
        method = _METHODS[name]
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        path = f"/{method.containing_service.full_name}/{method.name}"
        made = _request(method, clinic, f"{token}-{clinic}")
        answers = message_factory.GetMessageClass(method.output_type)
        call: Any = getattr(self.channel, f"{_kind(method.client_streaming)}_{_kind(method.server_streaming)}")(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answers.FromString,
        )
        try:
            answer = call(iter([made]) if method.client_streaming else made, metadata=metadata, timeout=30)
            for one in answer if method.server_streaming else [answer]:
                if isinstance(one, impression_pb2.BatchImpressionsResponse) and one.HasField("failure"):
                    return _by_number(one.failure.code)
        except grpc.RpcError as error:
            return code_of(error)
        return grpc.StatusCode.OK


def _kind(streaming: bool) -> str:
    return "stream" if streaming else "unary"


def _by_number(number: int) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == number)


def _request(method: MethodDescriptor, clinic: str, request_id: str) -> Message:
    """A request that would be answered, or refused for another reason than who asks."""
    made: Any = message_factory.GetMessageClass(method.input_type)()
    names = method.input_type.fields_by_name
    if "report" in names:
        made.report.findings = FINDINGS
        made.report.modality = "CT"
        made.report.clinic = clinic
        made.request_id = request_id
    elif "clinic" in names:
        made.clinic = clinic
    if "final_impression" in names:
        made.final_impression = "No fracture."
    if "name" in names:
        # Nobody has it, so that what is allowed changes nothing for the next.
        made.name = "nobody"
    if method.name == "RollbackRouteTable":
        made.number = 10_000
    return made  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a token a role, each called as its letter, and an expired operator, X."""
    blocks = []
    rows: Iterable[tuple[str, str, list[str], str]] = [
        *((letter, role, clinics, "2100-01-01T00:00:00Z") for letter, (role, clinics) in _ROLES.items()),
        ("X", "operator", [], "2020-01-01T00:00:00Z"),
    ]
    for token, role, clinics, expires in rows:
        digest = hashlib.sha256(f"token-of-{token}".encode()).hexdigest()
        blocks.append(
            f'[[token]]\nsha256 = "{digest}"\nsubject = "{token}"\nrole = "{role}"\n'
            f"clinics = {clinics}\nexpires = {expires}\n"
        )
    path = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    path.write_text("\n".join(blocks), "utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def guarded(site: Site, tokens: Path) -> Iterator[Guarded]:
    """The site's server with these tokens."""
    site.promote(site.first, CT_LIST)
    with site.serving(tokens=tokens) as address, grpc.insecure_channel(address) as channel:
        yield Guarded(channel)


def test_every_rpc_of_the_contract_has_a_row() -> None:
    assert set(_TABLE) == set(_METHODS)


def test_every_cell_of_the_table_is_right(guarded: Guarded) -> None:
    """One server for all, so that the whole table can be read in one failure."""
    wrong = []
    for name, allowed in _TABLE.items():
        for letter in _ROLES:
            for clinic in ("alder", "elm", "willow", "") if name in _OF_A_CLINIC else ("alder",):
                may = letter in allowed.split() and (letter != "C" or clinic == "alder")
                code = guarded.code(name, f"token-of-{letter}", clinic)
                right = code not in _REFUSED | _BROKEN if may else code is _DENIED
                if not right:
                    wrong.append((name, letter, clinic, code.name))
    assert not wrong


@pytest.mark.parametrize("token", ["", "token-of-nobody", "token-of-X", "token-of-", "x" * 5000])
def test_without_a_valid_token_nothing_of_ours_is_answered(guarded: Guarded, token: str) -> None:
    codes = {name: guarded.code(name, token) for name in _TABLE}
    assert {name: code.name for name, code in codes.items() if code is not grpc.StatusCode.UNAUTHENTICATED} == {}


@pytest.mark.parametrize("header", ["token-of-O", "Basic token-of-O", "Bearer", "Bearer ", "bearer  token-of-O x"])
def test_a_header_that_is_no_bearer_token_is_no_token(guarded: Guarded, header: str) -> None:
    call = guarded.channel.unary_unary(
        "/radimpress.v1.AdapterService/ListAdapters",
        request_serializer=adapter_pb2.ListAdaptersRequest.SerializeToString,
        response_deserializer=adapter_pb2.ListAdaptersResponse.FromString,
    )
    with pytest.raises(grpc.RpcError) as caught:
        call(adapter_pb2.ListAdaptersRequest(), metadata=(("authorization", header),), timeout=30)
    assert code_of(caught.value) is grpc.StatusCode.UNAUTHENTICATED


def test_health_needs_no_token(guarded: Guarded) -> None:
    stub = health_pb2_grpc.HealthStub(guarded.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=30)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_an_rpc_that_is_in_no_contract_is_not_answered(guarded: Guarded) -> None:
    call = guarded.channel.unary_unary("/radimpress.v1.AdapterService/Anything")  # type: ignore[call-arg]
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", metadata=(("authorization", "Bearer token-of-O"),), timeout=30)
    assert code_of(caught.value) in {_DENIED, grpc.StatusCode.UNIMPLEMENTED}


def test_a_clinic_cannot_read_another_clinics_answer_by_its_request_id(guarded: Guarded) -> None:
    assert guarded.code("ImpressionService/GenerateImpression", "token-of-O", "elm") is grpc.StatusCode.OK
    stub = guarded.channel.unary_unary(
        "/radimpress.v1.ImpressionService/GenerateImpression",
        request_serializer=impression_pb2.GenerateImpressionRequest.SerializeToString,
        response_deserializer=impression_pb2.GenerateImpressionResponse.FromString,
    )
    report = impression_pb2.ReportInput(findings=FINDINGS, modality="CT", clinic="elm")
    request = impression_pb2.GenerateImpressionRequest(request_id="token-of-O-elm", report=report)
    with pytest.raises(grpc.RpcError) as caught:
        stub(request, metadata=(("authorization", "Bearer token-of-C"),), timeout=30)
    assert code_of(caught.value) is _DENIED
    # The same name within one's own clinic is another request.
    request.report.clinic = "alder"
    answer = stub(request, metadata=(("authorization", "Bearer token-of-C"),), timeout=30)
    assert answer.impression.provenance.cell.cluster == "list"
