"""The door on a real server: who is let in, what is told of those who are not, and how calls end."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from radimpress.reports.errors import ConfigError, OverloadError
from radimpress.server.security.audit import Audit
from radimpress.server.security.caller import LOCAL, Caller, Role, current_caller
from radimpress.server.security.door import Door
from radimpress.server.security.jwks import Jwks
from radimpress.server.security.limiter import Limiter
from radimpress.server.security.tls import server_credentials
from radimpress.server.security.tokens import Tokens, entry, make_token
from radimpress.server.telemetry import Metrics, log
from radimpress.v1 import adapter_pb2, adapter_pb2_grpc, impression_pb2, impression_pb2_grpc
from tests.server.pki import Authority
from tests.server.security.test_jwks import AUDIENCE, ISSUER, key_set
from tests.server.security.test_jwks import token as jwt_token

GENERATE = "/radimpress.v1.ImpressionService/GenerateImpression"
SECRET = "a small left pleural effusion"


class Service(impression_pb2_grpc.ImpressionServiceServicer):
    """Says who asked; what it does besides, the request's id says."""

    def __init__(self) -> None:
        self.calls = 0
        self.started = asyncio.Event()
        self.closed = asyncio.Event()

    async def GenerateImpression(  # noqa: N802
        self, request: impression_pb2.GenerateImpressionRequest, context: Any
    ) -> impression_pb2.GenerateImpressionResponse:
        self.calls += 1
        self.started.set()
        match request.request_id:
            case "overload":
                raise OverloadError("the queue is full", 2.0)
            case "bug":
                raise RuntimeError(SECRET)
            case "wait":
                await asyncio.sleep(60)
        current_caller.get().check_clinic(request.report.clinic)
        answer = impression_pb2.Impression(request_id=request.request_id, text=current_caller.get().subject)
        return impression_pb2.GenerateImpressionResponse(impression=answer)

    async def StreamImpression(  # noqa: N802
        self, request: impression_pb2.StreamImpressionRequest, context: Any
    ) -> AsyncIterator[impression_pb2.StreamImpressionResponse]:
        try:
            yield impression_pb2.StreamImpressionResponse(piece=current_caller.get().subject)
            if request.request_id == "bug":
                raise RuntimeError(SECRET)
            if request.request_id == "wait":
                self.started.set()
                await asyncio.sleep(60)
        finally:
            self.closed.set()

    async def BatchImpressions(  # noqa: N802
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[impression_pb2.BatchImpressionsResponse]:
        async for request in request_iterator:
            yield impression_pb2.BatchImpressionsResponse(request_id=request.request_id)

    async def RecordFinalImpression(  # noqa: N802
        self, request: impression_pb2.RecordFinalImpressionRequest, context: Any
    ) -> impression_pb2.RecordFinalImpressionResponse:
        return impression_pb2.RecordFinalImpressionResponse()


class Asked:
    """A channel to a server behind a door."""

    def __init__(self, channel: grpc.aio.Channel, service: Service) -> None:
        self.channel = channel
        self.service = service
        self.stub: Any = impression_pb2_grpc.ImpressionServiceStub(channel)
        self.adapters: Any = adapter_pb2_grpc.AdapterServiceStub(channel)

    async def generate(self, token: str = "", clinic: str = "alder", request_id: str = "r", timeout: float = 10) -> str:
        """Whom the server took the caller for."""
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        report = impression_pb2.ReportInput(clinic=clinic)
        request = impression_pb2.GenerateImpressionRequest(request_id=request_id, report=report)
        answer = await self.stub.GenerateImpression(request, metadata=metadata, timeout=timeout)
        return str(answer.impression.text)


@asynccontextmanager
async def _server(door: Door, credentials: grpc.ServerCredentials | None) -> AsyncIterator[tuple[int, Service]]:
    server = grpc.aio.server(interceptors=[door])
    service = Service()
    impression_pb2_grpc.add_ImpressionServiceServicer_to_server(service, server)
    adapters: Any = adapter_pb2_grpc.AdapterServiceServicer
    adapter_pb2_grpc.add_AdapterServiceServicer_to_server(adapters(), server)
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)  # type: ignore[attr-defined]
    reflection.enable_server_reflection([health.SERVICE_NAME], server)
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "elsewhere.Service", {"Do": grpc.unary_unary_rpc_method_handler(service.GenerateImpression)}
            ),
        )
    )
    where = "127.0.0.1:0"
    port = server.add_insecure_port(where) if credentials is None else server.add_secure_port(where, credentials)
    await server.start()
    try:
        yield port, service
    finally:
        await server.stop(None)


def run(
    door: Door,
    ask: Callable[[Asked], Awaitable[None]],
    credentials: tuple[grpc.ServerCredentials, grpc.ChannelCredentials] | None = None,
) -> None:
    """Serves behind this door while `ask` asks."""

    async def main() -> None:
        async with _server(door, credentials and credentials[0]) as (port, service):
            target = f"127.0.0.1:{port}"
            channel = (
                grpc.aio.insecure_channel(target)
                if credentials is None
                else grpc.aio.secure_channel(target, credentials[1])
            )
            async with channel:
                await ask(Asked(channel, service))

    asyncio.run(main())


async def ended(call: Awaitable[Any]) -> tuple[grpc.StatusCode, str, status_pb2.Status]:
    """How a call ended that was not answered."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error: Any = caught.value
    details = {str(key): value for key, value in error.trailing_metadata()}.get("grpc-status-details-bin", b"")
    assert isinstance(details, bytes)
    return error.code(), str(error.details()), status_pb2.Status.FromString(details)


def reason(status: status_pb2.Status) -> str:
    """The reason of the ErrorInfo."""
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


class Keys:
    """A file of three tokens."""

    def __init__(self, folder: Path) -> None:
        made = {name: make_token() for name in ("alder", "judge", "ops")}
        self.alder, self.judge, self.ops = (token for token, _ in made.values())
        path = folder / "tokens.toml"
        path.write_text(
            entry(made["alder"][1], "ris-alder", Role.CLINIC, ["alder"])
            + entry(made["judge"][1], "judge", Role.EVALUATOR)
            + entry(made["ops"][1], "ops", Role.OPERATOR),
            "utf-8",
        )
        self.tokens = Tokens(path)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_a_token_lets_its_caller_in(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        assert await asked.generate(keys.alder) == "ris-alder"
        assert await asked.generate(keys.judge, clinic="any") == "judge"
        assert await asked.generate(keys.ops, clinic="") == "ops"

    run(Door(tokens=keys.tokens), ask)


def test_without_tokens_everybody_is_local() -> None:
    async def ask(asked: Asked) -> None:
        assert await asked.generate() == LOCAL.subject

    run(Door(), ask)


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", "Bearer nobody"),),
        (("authorization", "Bearer "),),
        (("authorization", "Bearer"),),
        (("authorization", "TOKEN"),),
        (("authorization", "Basic TOKEN"),),
        (("authorization", "Bearer TOKEN"), ("authorization", "Bearer nobody")),
        (("authorization", "Bearer nobody"), ("authorization", "Bearer TOKEN")),
        (("x-authorization", "Bearer TOKEN"),),
    ],
)
def test_without_a_token_that_is_known_nobody_is_let_in(keys: Keys, metadata: tuple[tuple[str, str], ...]) -> None:
    given = tuple((name, value.replace("TOKEN", keys.ops)) for name, value in metadata)

    async def ask(asked: Asked) -> None:
        request = impression_pb2.GenerateImpressionRequest()
        code, message, status = await ended(asked.stub.GenerateImpression(request, metadata=given))
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert reason(status) == "UNAUTHENTICATED"
        assert keys.ops not in message
        assert asked.service.calls == 0

    run(Door(tokens=keys.tokens), ask)


def test_the_scheme_is_read_in_any_case(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        metadata = (("authorization", f"bearer  {keys.ops}"),)
        await asked.stub.GenerateImpression(impression_pb2.GenerateImpressionRequest(), metadata=metadata)

    run(Door(tokens=keys.tokens), ask)


def test_a_json_web_token_lets_its_caller_in_beside_static_tokens(tmp_path: Path, keys: Keys) -> None:
    (tmp_path / "jwks.json").write_bytes(key_set("ec"))
    jwks = Jwks(str(tmp_path / "jwks.json"), AUDIENCE, ISSUER)

    async def ask(asked: Asked) -> None:
        assert await asked.generate(jwt_token(sub="by-jwt")) == "by-jwt"
        assert await asked.generate(keys.ops) == "ops"
        code, _, _ = await ended(asked.generate("nobody"))
        assert code is grpc.StatusCode.UNAUTHENTICATED

    run(Door(tokens=keys.tokens, jwks=jwks), ask)


def test_a_role_that_may_not_ask_is_refused(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        metadata = (("authorization", f"Bearer {keys.alder}"),)
        call = asked.adapters.RollbackRouteTable(adapter_pb2.RollbackRouteTableRequest(), metadata=metadata)
        code, _, status = await ended(call)
        assert (code, reason(status)) == (grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN")

    run(Door(tokens=keys.tokens), ask)


def test_another_clinic_is_refused_by_the_services_own_check(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        code, _, _ = await ended(asked.generate(keys.alder, clinic="birch"))
        assert code is grpc.StatusCode.PERMISSION_DENIED

    run(Door(tokens=keys.tokens), ask)


def test_an_rpc_that_is_not_in_the_table_is_refused_to_an_operator(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        call = asked.channel.unary_unary("/elsewhere.Service/Do", None, None)
        code, _, _ = await ended(call(b"", metadata=(("authorization", f"Bearer {keys.ops}"),)))
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert asked.service.calls == 0

    run(Door(tokens=keys.tokens), ask)


def test_an_rpc_that_is_not_there_is_not_implemented(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        code, _, _ = await ended(asked.channel.unary_unary("/elsewhere.Service/Undo", None, None)(b""))
        assert code is grpc.StatusCode.UNIMPLEMENTED

    run(Door(tokens=keys.tokens), ask)


def test_who_is_not_let_in_is_refused_before_a_stream_sends_anything(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        call = asked.stub.BatchImpressions()
        async with asyncio.timeout(5):
            code, _, _ = await ended(call.read())
        assert code is grpc.StatusCode.UNAUTHENTICATED

    run(Door(tokens=keys.tokens), ask)


def test_health_and_reflection_need_no_token(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        stub: Any = health_pb2_grpc.HealthStub(asked.channel)
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        assert await _services(asked)

    run(Door(tokens=keys.tokens), ask)


def test_reflection_that_is_not_offered_is_not_open(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        code, _, _ = await ended(_services(asked))
        assert code is grpc.StatusCode.UNAUTHENTICATED

    run(Door(tokens=keys.tokens, reflection=False), ask)


async def _services(asked: Asked) -> Any:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(asked.channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    return await call.read()


def test_an_error_of_ours_ends_the_call_with_its_code() -> None:
    async def ask(asked: Asked) -> None:
        code, message, status = await ended(asked.generate(request_id="overload"))
        assert (code, message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")
        assert reason(status) == "OVERLOADED"

    run(Door(), ask)


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_that_nobody_meant_says_nothing_of_its_text(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    async def ask(asked: Asked) -> None:
        if stream:
            call = asked.stub.StreamImpression(impression_pb2.StreamImpressionRequest(request_id="bug"))
            await call.read()
            code, message, _ = await ended(call.read())
        else:
            code, message, _ = await ended(asked.generate(request_id="bug"))
        assert (code, message) == (grpc.StatusCode.INTERNAL, "internal error")

    run(Door(), ask)
    said = "".join(capsys.readouterr()) + caplog.text
    assert "RuntimeError" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    "method",
    [
        GENERATE,
        "/radimpress.v1.ImpressionService/StreamImpression",
        "/radimpress.v1.ImpressionService/BatchImpressions",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
def test_bytes_that_are_no_message_are_an_invalid_argument(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, method: str
) -> None:
    unreadable = b"\x0a\xff" + SECRET.encode()

    async def ask(asked: Asked) -> None:
        call = asked.channel.stream_stream(method, None, None)(iter([unreadable]))
        code, _, status = await ended(call.read())
        assert (code, reason(status)) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")

    run(Door(), ask)
    assert SECRET not in "".join(capsys.readouterr()) + caplog.text


def test_a_stream_is_answered_message_by_message(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        metadata = (("authorization", f"Bearer {keys.alder}"),)
        sent = [impression_pb2.BatchImpressionsRequest(request_id=str(number)) for number in range(5)]
        call = asked.stub.BatchImpressions(iter(sent), metadata=metadata)
        assert [answer.request_id async for answer in call] == ["0", "1", "2", "3", "4"]
        pieces = asked.stub.StreamImpression(impression_pb2.StreamImpressionRequest(), metadata=metadata)
        assert [piece.piece async for piece in pieces] == ["ris-alder"]

    run(Door(tokens=keys.tokens), ask)


def test_callers_do_not_mix_however_many_ask_at_once(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        asking = [keys.alder, keys.judge, keys.ops] * 50
        assert await asyncio.gather(*map(asked.generate, asking)) == ["ris-alder", "judge", "ops"] * 50

    run(Door(tokens=keys.tokens), ask)


def test_a_caller_that_asks_too_often_is_told_when_to_come_back_and_others_are_not(keys: Keys) -> None:
    async def ask(asked: Asked) -> None:
        await asked.generate(keys.alder)
        await asked.generate(keys.alder)
        code, _, status = await ended(asked.generate(keys.alder))
        assert (code, reason(status)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        retry = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in status.details)
        assert 0 < retry.retry_delay.ToTimedelta().total_seconds() <= 100
        await asked.generate(keys.ops)
        assert asked.service.calls == 3

    run(Door(tokens=keys.tokens, limiter=Limiter(0.01, 2)), ask)


def test_a_stream_that_sends_too_fast_is_held_up_and_not_refused() -> None:
    async def ask(asked: Asked) -> None:
        sent = [impression_pb2.BatchImpressionsRequest(request_id=str(number)) for number in range(6)]
        began = asyncio.get_running_loop().time()
        call = asked.stub.BatchImpressions(iter(sent))
        assert len([answer async for answer in call]) == 6
        # Five past the first, of which one is the burst's: four at 20 a second.
        assert asyncio.get_running_loop().time() - began >= 0.19

    run(Door(limiter=Limiter(20.0, 1)), ask)


class Ends:
    """What metrics are told."""

    def __init__(self) -> None:
        self.rpcs: list[tuple[str, grpc.StatusCode]] = []
        self.ended = asyncio.Event()

    def rpc(self, method: str, code: grpc.StatusCode, seconds: float) -> None:
        assert seconds >= 0
        self.rpcs.append((method.rpartition("/")[2], code))
        self.ended.set()


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Sends the server's log to a file while the block runs."""
    root = logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (threading.excepthook, sys.unraisablehook)
    before = structlog.get_config()
    with path.open("w", encoding="utf-8") as file:
        log.configure("info", file)
        try:
            yield
        finally:
            structlog.configure(**before)
            root.handlers[:] = handlers
            root.setLevel(level)
            threading.excepthook, sys.unraisablehook = hooks


def _counting(**given: Any) -> tuple[Door, Ends]:
    ends: Any = Ends()
    return Door(metrics=ends, **given), ends


def test_every_call_is_counted_with_the_code_that_it_ended_with(keys: Keys) -> None:
    door, ends = _counting(tokens=keys.tokens)

    async def ask(asked: Asked) -> None:
        await asked.generate(keys.ops)
        await ended(asked.generate(keys.ops, request_id="overload"))
        await ended(asked.generate(keys.ops, request_id="bug"))
        await ended(asked.generate(keys.alder, clinic="birch"))
        await ended(asked.generate())
        await ended(asked.channel.unary_unary("/elsewhere.Service/Undo", None, None)(b""))
        metadata = (("authorization", f"Bearer {keys.ops}"),)
        call = asked.stub.StreamImpression(impression_pb2.StreamImpressionRequest(), metadata=metadata)
        assert [piece async for piece in call]

    run(door, ask)
    assert ends.rpcs == [
        ("GenerateImpression", grpc.StatusCode.OK),
        ("GenerateImpression", grpc.StatusCode.RESOURCE_EXHAUSTED),
        ("GenerateImpression", grpc.StatusCode.INTERNAL),
        ("GenerateImpression", grpc.StatusCode.PERMISSION_DENIED),
        ("GenerateImpression", grpc.StatusCode.UNAUTHENTICATED),
        ("Undo", grpc.StatusCode.UNIMPLEMENTED),
        ("StreamImpression", grpc.StatusCode.OK),
    ]


def test_the_servers_own_metrics_fit_the_door(keys: Keys) -> None:
    metrics = Metrics()

    async def ask(asked: Asked) -> None:
        await asked.generate(keys.ops)
        await ended(asked.channel.unary_unary("/elsewhere.Service/Undo", None, None)(b""))

    run(Door(tokens=keys.tokens, metrics=metrics), ask)
    counted = {
        (sample.labels["method"], sample.labels["code"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "radimpress_rpcs_total"
    }
    assert counted[GENERATE.removeprefix("/"), "OK"] == 1
    assert counted["other", "UNIMPLEMENTED"] == 1


def test_a_client_that_goes_away_is_counted_as_cancelled_and_the_work_stops() -> None:
    door, ends = _counting()

    async def ask(asked: Asked) -> None:
        call = asked.stub.StreamImpression(impression_pb2.StreamImpressionRequest(request_id="wait"))
        await call.read()
        await asked.service.started.wait()
        call.cancel()
        async with asyncio.timeout(5):
            await asked.service.closed.wait()
            await ends.ended.wait()

    run(door, ask)
    assert ends.rpcs == [("StreamImpression", grpc.StatusCode.CANCELLED)]


def test_a_deadline_that_passes_is_counted_as_such() -> None:
    door, ends = _counting()

    async def ask(asked: Asked) -> None:
        code, _, _ = await ended(asked.generate(request_id="wait", timeout=0.3))
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(5):
            await ends.ended.wait()

    run(door, ask)
    assert ends.rpcs == [("GenerateImpression", grpc.StatusCode.DEADLINE_EXCEEDED)]


def test_the_log_has_one_line_a_call_with_its_caller(keys: Keys, tmp_path: Path) -> None:
    told = tmp_path / "log"

    async def ask(asked: Asked) -> None:
        await asked.generate(keys.alder)
        await ended(asked.generate(keys.alder, clinic=SECRET))
        await ended(asked.generate())

    with _logging_to(told):
        run(Door(tokens=keys.tokens), ask)
    lines = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
    assert [(line["rpc"], line["code"], line["subject"]) for line in lines if line["event"] == "request"] == [
        ("GenerateImpression", "OK", "ris-alder"),
        ("GenerateImpression", "PERMISSION_DENIED", "ris-alder"),
        ("GenerateImpression", "UNAUTHENTICATED", ""),
    ]
    assert SECRET not in told.read_text("utf-8")


def test_the_common_name_of_a_clients_certificate_stands_in_the_log_of_a_call_without_a_caller(
    keys: Keys, tmp_path: Path
) -> None:
    authority = Authority()
    roots = tmp_path / "roots.pem"
    roots.write_bytes(authority.pem)
    client = authority.issue("ris-machine-7", client=True)
    told = tmp_path / "log"

    async def ask(asked: Asked) -> None:
        await ended(asked.generate())
        assert await asked.generate(keys.ops) == "ops"

    with _logging_to(told):
        run(
            Door(tokens=keys.tokens),
            ask,
            (
                server_credentials(*authority.issue().write(tmp_path, "server"), roots),
                grpc.ssl_channel_credentials(authority.pem, client.key, client.certificate),
            ),
        )
    lines = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
    assert [line["subject"] for line in lines if line["event"] == "request"] == ["ris-machine-7", "ops"]


def test_what_a_caller_may_not_ask_stands_in_the_audit_trail(keys: Keys, tmp_path: Path) -> None:
    audit = Audit(tmp_path, "one")

    async def ask(asked: Asked) -> None:
        await asked.generate(keys.alder)
        await ended(asked.generate(keys.alder, clinic="birch"))
        await ended(asked.generate())

    run(Door(tokens=keys.tokens, audit=audit), ask)
    audit.close()
    (line,) = [json.loads(line) for line in audit.path.read_bytes().splitlines()]
    assert (line["subject"], line["action"], line["outcome"]) == (
        "ris-alder",
        "GenerateImpression",
        "PERMISSION_DENIED",
    )


def test_an_error_while_a_caller_is_looked_up_lets_nobody_in(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> Caller | None:
        raise ConfigError("the file of tokens is gone")

    monkeypatch.setattr(keys.tokens, "caller", broken)

    async def ask(asked: Asked) -> None:
        code, _, _ = await ended(asked.generate(keys.ops))
        assert code is grpc.StatusCode.INTERNAL
        assert asked.service.calls == 0

    run(Door(tokens=keys.tokens), ask)


def test_what_a_caller_may_not_ask_counts_against_its_rate(keys: Keys, tmp_path: Path) -> None:
    audit = Audit(tmp_path, "one")

    async def ask(asked: Asked) -> None:
        metadata = (("authorization", f"Bearer {keys.alder}"),)
        codes = [
            (await ended(asked.adapters.ListEvents(adapter_pb2.ListEventsRequest(), metadata=metadata)))[0]
            for _ in range(10)
        ]
        assert codes[:2] == [grpc.StatusCode.PERMISSION_DENIED] * 2
        assert set(codes[2:]) == {grpc.StatusCode.RESOURCE_EXHAUSTED}

    run(Door(tokens=keys.tokens, limiter=Limiter(0.01, 2), audit=audit), ask)
    audit.close()
    assert len(audit.path.read_bytes().splitlines()) == 2
