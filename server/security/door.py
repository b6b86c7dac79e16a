"""The door that every rpc passes: who asks, may they, not too often; and how it ends, for log and metrics."""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

import grpc

from radimpress.reports.errors import InputError, UnauthenticatedError
from radimpress.server.security.audit import Audit
from radimpress.server.security.caller import LOCAL, Caller, current_caller
from radimpress.server.security.jwks import Jwks
from radimpress.server.security.limiter import Limiter
from radimpress.server.security.permissions import HEALTH, REFLECTION, check_permission
from radimpress.server.security.tokens import Tokens
from radimpress.server.status import boundary
from radimpress.server.telemetry import Metrics, log

_UNREADABLE = object()
_LATE_SECONDS = 0.05


class Door(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """The server's one interceptor.

    A call that is not let in ends before its message is read. One that is runs in `boundary`, so that a
    service raises our errors and nothing else ever reaches the caller, with `current_caller` set.

    Args:
        tokens: static tokens.
        jwks: JSON Web Tokens. With neither of the two everybody is `LOCAL`: on loopback only.
        limiter: how often a caller may ask; None lets all.
        metrics: counts calls; None counts nothing.
        audit: gets a line for each call that its caller may not make; those that are answered write their own.
        reflection: whether reflection is open to all.
    """

    def __init__(
        self,
        *,
        tokens: Tokens | None = None,
        jwks: Jwks | None = None,
        limiter: Limiter | None = None,
        metrics: Metrics | None = None,
        audit: Audit | None = None,
        reflection: bool = True,
    ) -> None:
        self._tokens = tokens
        self._jwks = jwks
        self._limiter = limiter
        self._metrics = metrics
        self._audit = audit
        self._open = HEALTH | REFLECTION if reflection else HEALTH
        self._guards: dict[str, tuple[Any, Any]] = {}

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """See grpc.aio.ServerInterceptor: gives the handler, guarded, or one that refuses."""
        method = handler_call_details.method
        handler = await continuation(handler_call_details)
        if handler is None:
            # gRPC answers UNIMPLEMENTED. The path is anybody's text, so the log has nothing of it.
            self._count(method, grpc.StatusCode.UNIMPLEMENTED, 0.0)
            return None
        if method not in self._open:
            try:
                caller = await self._caller(handler_call_details.invocation_metadata)
                current_caller.set(caller)
                # First, so that what is forbidden cannot fill the audit trail either.
                if self._limiter is not None:
                    self._limiter.take(caller.subject)
                check_permission(method, caller)
            except Exception as error:
                return self._refusal(method, error)
        known = self._guards.get(method)
        if known is None or known[0] is not handler:
            known = self._guards[method] = handler, self._guard(method, handler)
        return known[1]

    async def _caller(self, metadata: Any) -> Caller:
        if self._tokens is None and self._jwks is None:
            return LOCAL
        token = _bearer(metadata)
        known = self._tokens.caller(token) if self._tokens is not None else None
        if known is not None:
            return known
        if self._jwks is None:
            raise UnauthenticatedError("the token is not known, or no longer valid")
        return await self._jwks.caller(token)

    def _refusal(self, method: str, error: Exception) -> Any:
        async def refuse(_requests: Any, context: Any) -> None:
            began = time.perf_counter()
            try:
                async with boundary(context):
                    raise error
            finally:
                self._ended(method, context, began)

        # Whatever the rpc's shape: only a handler of this one is called before a message was read.
        return grpc.stream_stream_rpc_method_handler(refuse)

    def _guard(self, method: str, handler: Any) -> Any:
        """The same rpc, within the boundary; it is made once for each rpc, as every call takes it."""
        asked, answered = (
            "stream" if streaming else "unary" for streaming in (handler.request_streaming, handler.response_streaming)
        )
        inner = getattr(handler, f"{asked}_{answered}")
        read: Callable[[Any], Any] = self._messages if handler.request_streaming else _readable

        async def whole(request: Any, context: Any) -> Any:
            began = time.perf_counter()
            try:
                async with boundary(context):
                    return await inner(read(request), context)
            finally:
                self._ended(method, context, began)

        async def pieces(request: Any, context: Any) -> AsyncIterator[Any]:
            began = time.perf_counter()
            try:
                async with boundary(context), aclosing(inner(read(request), context)) as responses:
                    async for response in responses:
                        yield response
            finally:
                self._ended(method, context, began)

        make = getattr(grpc, f"{asked}_{answered}_rpc_method_handler")
        outer = pieces if inspect.isasyncgenfunction(inner) else whole
        return make(outer, _lenient(handler.request_deserializer), handler.response_serializer)

    def _messages(self, requests: Any) -> _Messages:
        return _Messages(requests, self._limiter, current_caller.get(None))

    def _ended(self, method: str, context: Any, began: float) -> None:
        seconds = time.perf_counter() - began
        code = context.code()
        if code is None and sys.exception() is None:
            code = grpc.StatusCode.OK
        elif code is None:
            # The caller went away, or its deadline passed, which it may notice a little before we do.
            remaining = context.time_remaining()
            late = remaining is not None and remaining < _LATE_SECONDS
            code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
        caller = current_caller.get(None)
        subject = _peer(context) if caller is None else caller.subject
        log.request(method, code, seconds, subject)
        self._count(method, code, seconds)
        if code is grpc.StatusCode.PERMISSION_DENIED and self._audit is not None:
            self._audit.refused(method.rpartition("/")[2], subject=subject)

    def _count(self, method: str, code: grpc.StatusCode, seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.rpc(method, code, seconds)


class _Messages:
    """The messages of a request stream; past the first each is held up to the caller's rate."""

    def __init__(self, requests: Any, limiter: Limiter | None, caller: Caller | None) -> None:
        self._requests = requests
        self._limiter = limiter if caller is not None else None
        # A bucket of its own: a long batch does not close the door to its sender's other calls.
        self._bucket = f"{caller.subject}\0stream" if caller is not None else ""
        self._first = True

    def __aiter__(self) -> _Messages:
        return self

    async def __anext__(self) -> Any:
        message = await anext(self._requests)
        if self._limiter is not None and not self._first:
            await asyncio.sleep(self._limiter.delay(self._bucket))
        self._first = False
        return _readable(message)


def _bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The token of `authorization: Bearer …`."""
    given = [value for key, value in metadata if key == "authorization"]
    if not given:
        raise UnauthenticatedError("there is no authorization in the call's metadata")
    scheme, _, token = str(given[0]).partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError("the authorization is not one 'Bearer' and a token")
    return token.strip()


def _lenient(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """A deserializer that never raises: gRPC would answer UNKNOWN with the error's text, and log it."""
    if deserialize is None:
        return None

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except Exception:
            return _UNREADABLE

    return read


def _readable(message: Any) -> Any:
    if message is _UNREADABLE:
        raise InputError("message", "is not a message of this rpc")
    return message


def _peer(context: Any) -> str:
    """The common name of the client's certificate, for the log of calls that no caller stands for."""
    names = list(context.auth_context().get("x509_common_name", ()))
    return names[0].decode(errors="replace") if names else ""
