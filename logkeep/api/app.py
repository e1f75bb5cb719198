"""The service as an ASGI application: routes, request ids, bounds, and the one place where errors become answers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from math import inf
from typing import NamedTuple

import msgspec
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from logkeep.api import css, iam, native
from logkeep.api.answers import Answer, send_answer
from logkeep.api.auth import (
    Authenticator,
    Credentials,
    RecentSenders,
    StoredSenders,
    check_rights,
    read_credentials,
)
from logkeep.api.call import Call, WithHeaders, read_cluster_id
from logkeep.api.pools import Pools
from logkeep.api.routes import Route, Routes
from logkeep.contract.codes import find_fault
from logkeep.contract.faults import render_fault
from logkeep.contract.native.operations import HEALTH, OPENAPI, READY
from logkeep.contract.openapi import build_document
from logkeep.contract.operation import JSON as JSON_TYPE
from logkeep.domain.access import AuditTrail, Caller, Role
from logkeep.domain.blocking import WouldBlock
from logkeep.errors import CatalogueError, Overloaded, SourceError, StoreError, WrongSignature
from logkeep.http.addresses import ClientAddresses
from logkeep.http.bodies import MAX_BODY, SMALL, Budget, Reader
from logkeep.http.pools import Pool
from logkeep.http.protocol import CONNECTION
from logkeep.http.streams import StartedStream, Stream, StreamSlots, discard, send_stream
from logkeep.service.auditing import Auditor
from logkeep.service.runtime import Runtime
from logkeep.signing.sdk_hmac import MAX_SKEW_MS

_MIB = 1024 * 1024
# Bytes of large bodies: of those whose key is known, but not yet whether they have its secret; and of tenants.
_STRANGERS_BODIES = 24 * _MIB
_TENANTS_BODIES, _TENANTS_BODIES_EACH = 128 * _MIB, 48 * _MIB
_STREAMS, _STREAMS_EACH = 64, 16  # open at a time, and of one tenant
_LONG_ON_LOOP = 0.02  # seconds
_SLOW_IN_A_ROW = 3  # took so long: the disk is slow, and the loop is left to others
_SLOW_SECONDS = 10.0  # for so long
# Where more than so many signatures of a key from one address were wrong in a row, the refusal of each further one
# takes its time: on the loop, where it holds no thread, and only so many at a time. A right one never waits.
_FREE_TRIES, _SLOWED_SECONDS, _MOST_SLOWED = 5, 1.0, 64
_MOST_SLOWED_STRANGERS = 1024  # that were refused as too many, so that they do not ask again at once
_TOLD_SECONDS = 10.0  # between two lines of the log on calls that were refused as too many

_logger = structlog.get_logger("logkeep.api")


class Request(NamedTuple):
    """One request as it came."""

    id: str  # 32 hex digits
    route: Route
    parameters: dict[str, str]
    scope: Scope
    trail: AuditTrail


_NOBODY = Caller("", "", Role.READER, scoped=False)  # who calls what needs no credentials
_OPERATION = "logkeep.operation"  # in the scope: the id of what was asked
_HEALTHY = Answer(200, b'{"status":"ok"}')


class Application:
    """See `create_app`."""

    def __init__(self, runtime: Runtime, ready: Callable[[], list[str]], max_clock_skew_ms: int) -> None:
        self._runtime = runtime
        self._ready = ready
        self._recent = RecentSenders()
        self._authenticator = Authenticator(runtime, max_clock_skew_ms, StoredSenders(runtime, self._recent))
        self._loop_authenticator = Authenticator(runtime, max_clock_skew_ms, self._recent)
        self._auditor = Auditor(runtime)
        handlers = [*css.HANDLERS, *iam.HANDLERS, *native.HANDLERS]
        self._routes = Routes(handlers)
        document = build_document([*(operation for operation, _ in handlers), HEALTH, READY, OPENAPI])
        self._fixed = {HEALTH.path: _HEALTHY, OPENAPI.path: Answer(200, msgspec.json.encode(document))}
        self._fixed_operations = {operation.path: operation.id for operation in (HEALTH, OPENAPI)}
        loop_reader = runtime.loop_reader
        self._loop_runtime = replace(runtime, reader=loop_reader) if loop_reader else None
        self._loop_from = 0.0  # monotonic clock: until then the loop is left to others
        self._slow = 0  # answers in a row
        self._pools: Pools | None = None
        self._strangers_bodies = Budget(_STRANGERS_BODIES, MAX_BODY)
        self._tenants_bodies = Budget(_TENANTS_BODIES, _TENANTS_BODIES_EACH)
        self._streams = StreamSlots(_STREAMS, _STREAMS_EACH, "Too many answers are being streamed just now.")
        self._addresses = ClientAddresses(runtime.trusted_proxies)
        self._slowed = 0  # refusals that take their time just now
        self._refused = 0  # calls that were too many, since the log told of them
        self._refused_told = -inf  # when it did

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._pools:
            self._pools.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id, began = os.urandom(16).hex(), time.perf_counter()
        answer = await self._respond(request_id, scope, receive)
        if answer:
            status = answer.status if isinstance(answer, Answer) else 200
            self._runtime.meter.count_request(scope.get(_OPERATION, ""), status, time.perf_counter() - began)
        if isinstance(answer, Answer):
            await send_answer(send, request_id, answer)
        elif answer:
            try:
                await send_stream(receive, send, request_id, answer, lambda error: self._log_fault(error, request_id))
            finally:
                self._streams.end(answer.owner)

    async def _respond(self, request_id: str, scope: Scope, receive: Receive) -> Answer | StartedStream | None:
        """Answer one request; None if the client has disconnected before it was complete."""
        if scope["path"] in self._fixed and scope["method"] == "GET":
            scope[_OPERATION] = self._fixed_operations[scope["path"]]
            return self._fixed[scope["path"]]
        if scope["path"] == READY.path and scope["method"] == "GET":
            scope[_OPERATION] = READY.id
            return self._check_ready(request_id)
        try:
            route, parameters = self._routes.find(scope["method"], scope["raw_path"])
        except Exception as error:
            return self._fault(error, request_id)
        scope[_OPERATION] = route.operation.id
        if self._pools is None:
            self._pools = Pools()
        request = Request(
            id=request_id,
            route=route,
            parameters=parameters,
            scope=scope,
            trail=AuditTrail(self._addresses.find(scope)),
        )
        try:
            call = await self._admit(request, receive, self._pools)
            if call is None:
                return None
            return self._handle_on_loop(request, call) or await self._handle_in_pool(request, call, self._pools)
        except Exception as error:
            return await self._refuse(error, request, self._pools)

    async def _admit(self, request: Request, receive: Receive, pools: Pools) -> Call | None:
        """Read the body and identify the sender; None if the client has disconnected. Of a stranger little is read.

        Raises what is wrong with the request, or `Overloaded`.
        """
        operation, scope, trail = request.route.operation, request.scope, request.trail
        headers = _single_headers(scope["headers"])
        credentials = read_credentials(headers) if operation.signed else None
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            caller = self._identify_on_loop(credentials, request, headers, b"")
            if caller is None:
                caller = await self._identify(credentials, request, headers, b"", pools)
            return self._call(request, headers, b"", caller)
        if credentials is not None:
            await self._recognize(credentials, trail, pools)
        most = MAX_BODY if operation.signed else SMALL
        with closing(Reader(self._strangers_bodies, trail.who or trail.address, most)) as reader:
            body = await reader.read(headers, receive)
            if body is None:
                return None
            caller = self._identify_on_loop(credentials, request, headers, body)
            if caller is None:
                caller = await self._identify(credentials, request, headers, body, pools)
            return self._call(request, headers, body, caller)

    async def _recognize(self, credentials: Credentials, trail: AuditTrail, pools: Pools) -> None:
        try:
            self._loop_authenticator.recognize(credentials, trail)
        except WouldBlock:
            pool = self._pool_to_identify(credentials, trail.address, pools)
            await pool.run(trail.address, self._authenticator.recognize, credentials, trail)

    def _identify_on_loop(
        self, credentials: Credentials | None, request: Request, headers: dict[bytes, bytes], body: bytes
    ) -> Caller | None:
        """Identify the sender without waiting; None for a key not used just now, or a large body to hash."""
        if credentials is None:
            return _NOBODY
        if len(body) > SMALL:
            return None
        try:
            caller = self._loop_authenticator.identify(credentials, request.scope, headers, body, request.trail)
        except WouldBlock:
            return None
        self._know(caller, credentials, request)
        return caller

    async def _identify(
        self,
        credentials: Credentials | None,
        request: Request,
        headers: dict[bytes, bytes],
        body: bytes,
        pools: Pools,
    ) -> Caller:
        assert credentials is not None
        identify = self._authenticator.identify
        address = request.trail.address
        pool = self._pool_to_identify(credentials, address, pools)
        caller = await pool.run(address, identify, credentials, request.scope, headers, body, request.trail)
        self._know(caller, credentials, request)
        return caller

    def _pool_to_identify(self, credentials: Credentials, address: str, pools: Pools) -> Pool:
        return pools.callers if self._recent.were_right(credentials, address) else pools.strangers

    def _know(self, caller: Caller, credentials: Credentials, request: Request) -> None:
        self._recent.prove(credentials, request.trail.address)
        if connection := request.scope.get(CONNECTION):
            connection.know(caller.project_id)

    def _call(self, request: Request, headers: dict[bytes, bytes], body: bytes, caller: Caller) -> Call:
        check_rights(caller, request.route.operation, request.parameters)
        scope = request.scope
        return Call(
            runtime=self._runtime,
            caller=caller,
            trail=request.trail,
            parameters=request.parameters,
            query=scope["query_string"],
            headers=headers,
            body=body,
            scheme=scope["scheme"],
        )

    def _handle_on_loop(self, request: Request, call: Call) -> Answer | StartedStream | None:
        """Handle on the event loop what takes less time than a thread's hand-over; return None for all else."""
        if self._loop_runtime is None or request.route.operation.id not in css.ON_LOOP:
            return None
        began = time.monotonic()
        if began < self._loop_from:
            return None
        try:
            return self._handle(request, call._replace(runtime=self._loop_runtime))
        except WouldBlock:
            return None
        finally:
            ended = time.monotonic()
            self._slow = self._slow + 1 if ended - began > _LONG_ON_LOOP else 0
            if self._slow >= _SLOW_IN_A_ROW:
                self._loop_from = ended + _SLOW_SECONDS

    async def _handle_in_pool(self, request: Request, call: Call, pools: Pools) -> Answer | StartedStream:
        """Handle in a thread of the operation's pool, counted for the caller's project. Raises `Overloaded`."""
        operation = request.route.operation
        pool, owner = pools[operation.waits_for], call.caller.project_id or call.trail.address
        size = len(call.body) if len(call.body) > SMALL else 0
        if size:
            await self._tenants_bodies.take(owner, size)
        try:
            if operation.content_type == JSON_TYPE:
                return await pool.run(owner, self._handle, request, call, seconds=operation.seconds, discard=discard)
            return await self._streams.begin(pool, owner, self._handle, request, call, seconds=operation.seconds)
        finally:
            if size:
                self._tenants_bodies.put_back(owner, size)

    def _handle(self, request: Request, call: Call) -> Answer | StartedStream:
        """Call the handler, in a thread or on the event loop; there it raises `WouldBlock` rather than wait."""
        operation = request.route.operation
        answer: Answer | StartedStream
        try:
            result = request.route.handler(call)
            if isinstance(result, Stream):
                answer = StartedStream(result, next(result.chunks, None))
            elif isinstance(result, WithHeaders):
                answer = Answer(operation.status, result.body, result.headers)
            else:
                answer = Answer(operation.status, result)
        except WouldBlock:
            raise
        except Exception as error:
            answer = self._fault(error, request.id, operation.id)
        if operation.mutating:
            self._audit(request, answer)
        return answer

    async def _refuse(self, error: Exception, request: Request, pools: Pools) -> Answer:
        """Answer a call that was not carried out, and record it in the audit if that can be written in time."""
        operation = request.route.operation
        answer = self._fault(error, request.id, operation.id)
        if (operation.mutating or _is_told(error)) and not self._auditor.is_full_for(request.trail):
            try:
                await pools.audit.run(request.trail.address, self._audit, request, answer)
            except Overloaded:
                _logger.warning("the audit cannot be written in time", request_id=request.id, operation=operation.id)
        if self._is_slowed(error, request):
            self._slowed += 1
            try:
                await asyncio.sleep(_SLOWED_SECONDS)
            finally:
                self._slowed -= 1
        return answer

    def _is_slowed(self, error: Exception, request: Request) -> bool:
        """Return whether the refusal is delayed: of many wrong signatures, and of a stranger who asks too much."""
        if isinstance(error, WrongSignature):
            return error.in_a_row > _FREE_TRIES and self._slowed < _MOST_SLOWED
        return isinstance(error, Overloaded) and not request.trail.proven and self._slowed < _MOST_SLOWED_STRANGERS

    def _audit(self, request: Request, answer: Answer | StartedStream) -> None:
        """Record a call; one that streams its answer once that has begun."""
        trail, operation = request.trail, request.route.operation
        trail.cluster_id = trail.cluster_id or read_cluster_id(request.parameters)
        status, code = (answer.status, answer.code) if isinstance(answer, Answer) else (operation.status, "")
        self._auditor.record(trail, operation.id, status, code, request.id)

    def _check_ready(self, request_id: str) -> Answer:
        try:
            problems = self._ready()
        except Exception as error:
            return self._fault(error, request_id)
        if problems:
            return Answer(503, msgspec.json.encode({"status": "not ready", "problems": problems}))
        return Answer(200, b'{"status":"ready"}')

    def _fault(self, error: Exception, request_id: str, operation: str = "") -> Answer:
        status, body = render_fault(error, request_id)
        fault = find_fault(error)
        if isinstance(error, Overloaded):
            self._tell_refused(operation)
        elif status >= 500:
            self._log_fault(error, request_id, operation)
        headers = [(b"retry-after", str(fault.retry_after).encode())] if fault.retry_after else ()
        return Answer(status, body, headers, fault.code)

    def _tell_refused(self, operation: str) -> None:
        """Log one line for many refused calls: a flood must not fill the log."""
        self._refused, now = self._refused + 1, time.monotonic()
        if now - self._refused_told >= _TOLD_SECONDS:
            _logger.warning("calls were refused as too many, or too slow", calls=self._refused, last=operation)
            self._refused, self._refused_told = 0, now

    def _log_fault(self, error: Exception, request_id: str, operation: str = "") -> None:
        if isinstance(error, CatalogueError):
            self._runtime.outage.failed(error)
            return
        if isinstance(error, SourceError | StoreError):  # a known fault, which its sentence tells
            _logger.error("request failed", request_id=request_id, operation=operation, problem=str(error))
            return
        _logger.error("request failed", request_id=request_id, operation=operation, exc_info=error)


def create_app(
    runtime: Runtime,
    *,
    ready: Callable[[], list[str]] = list,
    max_clock_skew_ms: int = MAX_SKEW_MS,
) -> ASGIApp:
    """Create the ASGI application; `ready` returns the problems that `/readyz` shows."""
    return Application(runtime, ready, max_clock_skew_ms)


def _is_told(error: Exception) -> bool:
    """Select the wrong signatures that the audit records for calls that only read.

    These are the first in a row, the second, the fourth, …
    """
    return isinstance(error, WrongSignature) and error.in_a_row.bit_count() == 1


def _single_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by name, and join those that came twice.

    HTTP defines the joined form, so a signature covers both values or fails.
    """
    pairs = list(pairs)
    headers = dict(pairs)
    if len(headers) != len(pairs):
        headers = {name: b", ".join(value for other, value in pairs if other == name) for name in headers}
    return headers
