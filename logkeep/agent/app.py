"""Agent of a node as an ASGI application: serves the log directory over HTTP to clients that send its token.

    GET    /agent/v1/files                        lists every log: [[name, size, mtime_ns, ctime_ns, inode], …]
    POST   /agent/v1/open?name=NAME               opens a log: {"handle": …, "file": […]}
    GET    /agent/v1/open/HANDLE                  returns the current state of the file: […]
    GET    /agent/v1/open/HANDLE/bytes?offset=&length=
    DELETE /agent/v1/open/HANDLE

A handle keeps reading the same file when that is renamed or deleted. Errors are {"error": KIND, "message": …}.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive, Scope, Send

from logkeep.agent.handles import IDLE_SECONDS, Handles
from logkeep.agent.pace import Pace
from logkeep.errors import SourceError, SourceUnreachable, SourceVanished
from logkeep.http.protocol import CONNECTION
from logkeep.http.threads import Threads
from logkeep.sources.base import LogSource

_T = TypeVar("_T")

MOST_BYTES = 1024 * 1024  # of one answer
# Limits for the holder of the token; requests beyond them wait, so that the node keeps working.
_REQUESTS_A_SECOND = 1000
_BYTES_A_SECOND = 256 * 1024 * 1024
_CONCURRENT_READS = 8  # requests that read the disk at the same time
_OPEN = re.compile(r"/agent/v1/open/([0-9a-f]{32})(/bytes)?")


class Answer(NamedTuple):
    """HTTP answer of the agent."""

    status: int
    body: bytes = b""
    kind: bytes = b"application/json"


class Agent:
    """Serves one source to clients that send the token."""

    def __init__(self, source: LogSource, token: str) -> None:
        self._source = source
        self._expected = b""
        self.take_token(token)
        self._handles = Handles()
        self._pace = Pace(_REQUESTS_A_SECOND, _BYTES_A_SECOND)
        self._room: asyncio.Semaphore | None = None
        self._threads: Threads | None = None  # not asyncio's, for which a process waits when it ends
        self._looking = False  # a check for idle handles is scheduled

    def take_token(self, token: str) -> bool:
        """Replace the token; True if it differs from the one before."""
        before, self._expected = self._expected, f"Bearer {token}".encode()
        return before != self._expected

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = await self._answer(scope)
        headers = [(b"content-type", answer.kind), (b"content-length", str(len(answer.body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope) -> Answer:
        shown = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(shown, self._expected):
            return _error(401, "token", "the token is not that of this node")
        if connection := scope.get(CONNECTION):
            connection.know("service")
        question = self._find(scope)
        if question is None:
            return _error(404, "path", "the agent has no such path")
        self._room = self._room or asyncio.Semaphore(_CONCURRENT_READS)
        async with self._room:
            answer = await self._in_thread(_run_call, question)
        await self._pace.wait(len(answer.body))
        return answer

    def _find(self, scope: Scope) -> Callable[[], Answer] | None:
        method, path = scope["method"], scope["path"]
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        if (method, path) == ("GET", "/agent/v1/files"):
            return self._list
        if (method, path) == ("POST", "/agent/v1/open"):
            self._look_later()
            return lambda: self._open(query.get("name", ""))
        found = _OPEN.fullmatch(path)
        if found is None:
            return None
        number, reads = found[1], bool(found[2])
        if method == "GET" and reads:
            return lambda: self._read(number, query)
        if method == "GET":
            return lambda: self._stat(number)
        return (lambda: self._close(number)) if method == "DELETE" and not reads else None

    def _list(self) -> Answer:
        listing = self._source.list()
        return _json({"files": list(listing), "passed": listing.passed, "counts": listing.counts})

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(IDLE_SECONDS + 1, self._look)

    def _look(self) -> None:
        self._looking = False
        self._in_thread(self._handles.close_idle).add_done_callback(self._look_on)

    def _look_on(self, closing: asyncio.Future[None]) -> None:
        if not closing.cancelled() and len(self._handles):
            self._look_later()

    def _in_thread(self, function: Callable[..., _T], *arguments: Any) -> asyncio.Future[_T]:
        self._threads = self._threads or Threads(_CONCURRENT_READS + 1, "disk")
        return self._threads.run(function, *arguments)

    def _open(self, name: str) -> Answer:
        log = self._source.open(name)
        number = self._handles.add(log)
        if number is None:
            log.close()
            return _error(503, "unreachable", "too many files are open; they are closed when nobody reads them")
        return _json({"handle": number, "file": log.stat()})

    def _stat(self, number: str) -> Answer:
        with self._handles.use(number) as log:
            return _json(log.stat())

    def _read(self, number: str, query: dict[str, str]) -> Answer:
        offset, length = int(query["offset"]), min(int(query["length"]), MOST_BYTES)
        if not 0 <= offset < 2**63 or length < 0:
            raise ValueError
        with self._handles.use(number) as log:
            return Answer(200, log.read_at(offset, length), b"application/octet-stream")

    def _close(self, number: str) -> Answer:
        self._handles.close(number)
        return Answer(204)


def _run_call(question: Callable[[], Answer]) -> Answer:
    try:
        return question()
    except SourceVanished as error:
        return _error(404, "vanished", error.message)
    except SourceUnreachable as error:
        return _error(503, "unreachable", error.message)
    except SourceError as error:
        return _error(403, "unreadable", error.message)
    except KeyError:
        return _error(410, "vanished", "the file is not open any more")
    except ValueError:
        return _error(400, "path", "offset and length are numbers")


def _json(document: Any) -> Answer:
    return Answer(200, msgspec.json.encode(document))


def _error(status: int, kind: str, message: str) -> Answer:
    return Answer(status, msgspec.json.encode({"error": kind, "message": message}))
