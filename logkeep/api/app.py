"""The service as an ASGI application: routes, request ids, bounds, and the one place where errors become answers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from math import inf
from typing import NamedTuple

import msgspec
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logkeep.api import admin, css, iam
from logkeep.api.auditing import Auditor
from logkeep.api.auth import Authenticator, Credentials, check_rights, read_credentials
from logkeep.api.call import Call, Stream, Trail, WithHeaders, read_cluster_id
from logkeep.api.routes import Route, Routes
from logkeep.api.threads import Threads
from logkeep.contract.faults import find_fault, render_fault
from logkeep.contract.openapi import build_document
from logkeep.contract.operations import HEALTH, OPENAPI, READY
from logkeep.domain.access import Caller, Role
from logkeep.errors import BodyTooLarge, NotAtOnce, RequestError
from logkeep.service.context import Context
from logkeep.signing.sdk_hmac import MAX_SKEW_MS

MAX_BODY = 12 * 1024 * 1024  # bytes, as the gateway's (contract.md 2.4)
_MAX_STRANGERS_BODY = 64 * 1024  # bytes, of a call that nobody has to sign
JSON = b"application/json"
_CALL_THREADS = 10  # fewer than the database has connections for one process
_BODY_SECONDS = 60  # for a whole body to come; what was read of it is held in memory, before anybody is identified
_STALLED_SECONDS = 60  # for a client to take a chunk; what a stream holds must not be held for ever
_LONG_AT_ONCE = 0.02  # seconds on the loop
_SLOW_IN_A_ROW = 3  # took so long: the disk is slow, and the loop is left to others
_SLOW_SECONDS = 10.0  # for so long
_STREAM_THREADS = 16  # of their own, so that slow buckets do not hold up short calls

_logger = structlog.get_logger("logkeep.api")


class Answer(NamedTuple):
    """A whole response."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    code: str = ""  # of an error


class Begun(NamedTuple):
    """A response whose first chunk has been made, so that errors before it have their proper status."""

    stream: Stream
    first: bytes | None


class Request(NamedTuple):
    """One request as it came, its body read."""

    id: str  # 32 hex digits
    route: Route
    parameters: dict[str, str]
    scope: Scope
    headers: dict[bytes, bytes]
    credentials: Credentials
    body: bytes


_NOBODY = Caller("", "", Role.READER, scoped=False)  # who calls what needs no credentials
_OPERATION = "logkeep.operation"  # in the scope: the id of what was asked
_HEALTHY = Answer(200, b'{"status":"ok"}')


class Application:
    """See `create_app`."""

    def __init__(self, context: Context, ready: Callable[[], list[str]], max_clock_skew_ms: int) -> None:
        self._context = context
        self._ready = ready
        self._authenticator = Authenticator(context, max_clock_skew_ms)
        self._auditor = Auditor(context)
        handlers = [*css.HANDLERS, *iam.HANDLERS, *admin.HANDLERS]
        self._routes = Routes(handlers)
        document = build_document([*(operation for operation, _ in handlers), HEALTH, READY, OPENAPI])
        self._fixed = {HEALTH.path: _HEALTHY, OPENAPI.path: Answer(200, msgspec.json.encode(document))}
        self._fixed_operations = {operation.path: operation.id for operation in (HEALTH, OPENAPI)}
        self._at_once_from = 0.0 if context.reads_at_once else inf  # of the monotonic clock
        self._slow = 0  # answers in a row
        self._call_threads: Threads | None = None
        self._stream_threads: Threads | None = None

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
        for threads in (self._call_threads, self._stream_threads):
            if threads:
                threads.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id, began = os.urandom(16).hex(), time.perf_counter()
        answer = await self._respond(request_id, scope, receive)
        if answer:
            status = answer.status if isinstance(answer, Answer) else 200
            self._context.meter.count_request(scope.get(_OPERATION, ""), status, time.perf_counter() - began)
        if isinstance(answer, Answer):
            await _send_answer(send, request_id, answer)
        elif answer:
            await self._send_stream(receive, send, request_id, answer)

    async def _respond(self, request_id: str, scope: Scope, receive: Receive) -> Answer | Begun | None:
        """None where the client has gone before its request was complete."""
        if scope["path"] in self._fixed and scope["method"] == "GET":
            scope[_OPERATION] = self._fixed_operations[scope["path"]]
            return self._fixed[scope["path"]]
        if self._call_threads is None:
            self._call_threads = Threads(_CALL_THREADS, "call")
        if scope["path"] == READY.path and scope["method"] == "GET":
            scope[_OPERATION] = READY.id
            return await self._call_threads.run(self._check_ready, request_id)
        try:
            route, parameters = self._routes.find(scope["method"], scope["raw_path"])
        except Exception as error:
            return self._fault(error, request_id)
        scope[_OPERATION] = route.operation.id
        try:
            headers = _single_headers(scope["headers"])
            signed = route.operation.signed
            credentials = read_credentials(headers) if signed else b""  # before anything is read for a stranger
            body = await _read_body(headers, receive, MAX_BODY if signed else _MAX_STRANGERS_BODY)
        except Exception as error:
            answer = self._fault(error, request_id)
            if route.operation.mutating:
                trail = _trail(scope)
                await self._call_threads.run(self._audit, route, parameters, trail, answer, request_id)
            return answer
        if body is None:
            return None
        request = Request(request_id, route, parameters, scope, headers, credentials, body)
        return self._handle_at_once(request) or await self._call_threads.run(self._handle, request)

    def _handle_at_once(self, request: Request) -> Answer | Begun | None:
        """What takes less time than handing it to a thread and back; None for all else."""
        began = time.monotonic()
        if request.route.operation.id not in css.AT_ONCE or began < self._at_once_from:
            return None
        try:
            return self._handle(request, at_once=True)
        except NotAtOnce:
            return None
        finally:
            ended = time.monotonic()
            self._slow = self._slow + 1 if ended - began > _LONG_AT_ONCE else 0
            if self._slow >= _SLOW_IN_A_ROW:
                self._at_once_from = ended + _SLOW_SECONDS

    def _handle(self, request: Request, *, at_once: bool = False) -> Answer | Begun:
        """Everything that may wait, in one thread; or what may not, on the loop: else `NotAtOnce` is raised."""
        trail = _trail(request.scope)
        try:
            result = request.route.handler(self._authenticated(request, trail, at_once))
            if isinstance(result, Stream):
                return Begun(result, next(result.chunks, None))
            if isinstance(result, WithHeaders):
                answer = Answer(request.route.operation.status, result.body, result.headers)
            else:
                answer = Answer(request.route.operation.status, result)
        except NotAtOnce:
            raise
        except Exception as error:
            answer = self._fault(error, request.id, request.route.operation.id)
        if request.route.operation.mutating:
            self._audit(request.route, request.parameters, trail, answer, request.id)
        return answer

    def _audit(self, route: Route, parameters: dict[str, str], trail: Trail, answer: Answer, request_id: str) -> None:
        trail.cluster_id = trail.cluster_id or read_cluster_id(parameters)
        self._auditor.record(trail, route.operation.id, answer.status, answer.code, request_id)

    def _authenticated(self, request: Request, trail: Trail, at_once: bool) -> Call:
        scope, caller = request.scope, _NOBODY
        if request.route.operation.signed:
            caller = self._authenticator.identify(
                request.credentials, scope, request.headers, request.body, trail, at_once=at_once
            )
        check_rights(caller, request.route.operation, request.parameters)
        return Call(
            self._context,
            caller,
            trail,
            request.parameters,
            scope["query_string"],
            request.headers,
            request.body,
            scope["scheme"],
            at_once,
        )

    def _check_ready(self, request_id: str) -> Answer:
        try:
            problems = self._ready()
        except Exception as error:
            return self._fault(error, request_id)
        if problems:
            return Answer(503, msgspec.json.encode({"status": "not ready", "problems": problems}))
        return Answer(200, b'{"status":"ready"}')

    async def _send_stream(self, receive: Receive, send: Send, request_id: str, begun: Begun) -> None:
        """Chunk after chunk, the next one made when the client has taken the last."""
        if self._stream_threads is None:
            self._stream_threads = Threads(_STREAM_THREADS, "stream")
        stream, chunk = begun
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await send(_start(200, request_id, stream.content_type.encode()))
            while chunk is not None and not gone.done():
                message: Message = {"type": "http.response.body", "body": chunk, "more_body": True}
                await asyncio.wait_for(send(message), _STALLED_SECONDS)
                chunk = await self._stream_threads.run(next, stream.chunks, None)
        except Exception as error:
            self._log_fault(error, request_id)
            if stream.last_words is None or isinstance(error, TimeoutError):
                return  # without the end of the body: the server breaks the connection off
            await send({"type": "http.response.body", "body": stream.last_words(error), "more_body": True})
        finally:
            gone.cancel()
            await self._stream_threads.run(_close, stream.chunks)
        await send({"type": "http.response.body", "body": b""})

    def _fault(self, error: Exception, request_id: str, operation: str = "") -> Answer:
        status, body = render_fault(error, request_id)
        if status >= 500:
            self._log_fault(error, request_id, operation)
        return Answer(status, body, code=find_fault(error).code)

    def _log_fault(self, error: Exception, request_id: str, operation: str = "") -> None:
        _logger.error("request failed", request_id=request_id, operation=operation, exc_info=error)


def create_app(
    context: Context,
    *,
    ready: Callable[[], list[str]] = list,
    max_clock_skew_ms: int = MAX_SKEW_MS,
) -> ASGIApp:
    """The HTTP service over these parts; `ready` names what keeps it from serving (`/readyz`)."""
    return Application(context, ready, max_clock_skew_ms)


def _trail(scope: Scope) -> Trail:
    client = scope["client"]
    return Trail(client[0] if client else "")


async def _read_body(headers: dict[bytes, bytes], receive: Receive, most: int) -> bytes | None:
    """The body, at most so many bytes, whether its length is announced or not. None where the client has gone."""
    length = headers.get(b"content-length")
    if length is None and b"transfer-encoding" not in headers:
        return b""
    if length is not None and not length.isdigit():
        raise RequestError("Content-Length must be a number.")
    if length is not None and int(length) > most:
        raise _too_large(most)
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await _collect_body(receive, most)
    except TimeoutError:
        raise RequestError(f"The body did not come within {_BODY_SECONDS} seconds.") from None


async def _collect_body(receive: Receive, most: int) -> bytes | None:
    chunks, size, more = list[bytes](), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > most:
            raise _too_large(most)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(None if most == MAX_BODY else f"The body is larger than {most // 1024} kB.")


def _single_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name; one that came twice is joined as HTTP says, so its signature covers both or fails."""
    pairs = list(pairs)
    headers = dict(pairs)
    if len(headers) != len(pairs):
        headers = {name: b", ".join(value for other, value in pairs if other == name) for name in headers}
    return headers


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_answer(send: Send, request_id: str, answer: Answer) -> None:
    start = _start(answer.status, request_id, JSON)
    start["headers"] += [(b"content-length", str(len(answer.body)).encode()), *answer.headers]
    await send(start)
    await send({"type": "http.response.body", "body": answer.body})


def _start(status: int, request_id: str, content_type: bytes) -> Message:
    headers = [(b"content-type", content_type), (b"x-request-id", request_id.encode())]
    return {"type": "http.response.start", "status": status, "headers": headers}


def _close(chunks: Iterator[bytes]) -> None:
    """Let go of what the stream holds, where it is a generator."""
    if isinstance(chunks, Generator):
        with suppress(ValueError):  # a chunk is just being made for a server that shuts down
            chunks.close()
