"""uvicorn with bounds: on heads, on what is read ahead, on idle connections, and on clients that take no answer.

uvicorn's own protocol collects headers of any length, reads 256 kB ahead before anybody is identified, closes an idle
connection while a request is on its way, and answers a malformed request with plain text, which the Java SDK cannot
read (docs/contract.md, "Types in answers").
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import socket
import struct
import termios
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from logkeep.http.connections import Connections

MAX_HEAD = 16 * 1024  # bytes of request line and headers, and of the trailers of a chunked body
MAX_HEADERS = 100
HEAD_SECONDS = 30  # for the head of a request of who is known; strangers have the time of their idle connections
DRAIN_SECONDS = 30  # for the rest of a body that was answered before it had come
STALLED_SECONDS = 60  # for a client to take what was sent to it
CONNECTION = "logkeep.connection"  # in the scope: the protocol, to be told who is known
_CLOSING_SECONDS = 2  # for a client to see that a connection has ended
_MOST_QUEUED = 8  # requests sent ahead on one connection of a stranger
_MOST_QUEUED_OF_KNOWN = 64
_UNCOUNTED = 1024  # bytes of a request that are not worth counting
_WRITTEN_AHEAD = 16 * 1024  # bytes that a client has not taken yet, before the next ones wait
_SPREAD = 0.2  # of the time of an idle connection, by chance: no period of a client's meets it again and again

Refusal = Callable[[bool], tuple[int, bytes, bytes]]  # of a head that is too large or no HTTP: status, headers, body


class BoundedHttpProtocol(HttpToolsProtocol):
    """Answers 431 to a head over its bounds and 400 to what cannot be parsed, in the words of `refuse`.

    Hangs up where a head does not come, or an answer is not taken; a body has a time of its own, by the application.
    """

    owner = ""  # whose connection it is, '' while it is a stranger's
    held = 0  # bytes of a stranger's request
    reads_much = False  # large pieces of it may be read at once
    _in_head = False  # in the middle of a head, or of the trailers after a chunked body
    _in_message = False  # between head and end of the body
    _head = 0  # bytes of it, from reads that held nothing else
    _first = 0  # bytes of the read in which it began, whatever else that held
    _begun = False  # it began within the present read
    _read = 0  # bytes of the present read
    _too_large = False
    _ended = False  # nothing that comes is answered any more
    _hang_up: asyncio.TimerHandle | None = None  # set while a head is waited for, or the rest of a body
    _stalled: asyncio.TimerHandle | None = None  # set while an answer is not taken

    def __init__(self, connections: Connections, refuse: Refusal, **given: Any) -> None:
        super().__init__(**given)
        self._connections = connections
        self._refuse = refuse
        self._head_seconds = connections.limits.stranger_seconds
        self._keep(self._head_seconds)

    # What the application says, and what `Connections` asks

    def know(self, owner: str) -> None:
        """Note the caller whose request is being carried out."""
        if self.held:
            self._connections.release(self)
        if owner != self.owner:
            self._connections.know(self, owner)
            self._keep(self._connections.limits.known_seconds)
            self._head_seconds = HEAD_SECONDS
            if not self.reads_much and self.scheme == "http" and not self._ended:
                self.transport.set_protocol(self)  # without the door, which reads little
            self.reads_much = True

    @property
    def working(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def hang_up(self) -> None:
        self._ended = True
        self.transport.abort()

    # What the transport says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_WRITTEN_AHEAD)
        self._wait(self._head_seconds)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._connections.remove(self)
        self._stop_waiting()
        self._stop_stalling()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._connections.seen(self)
        self._begun, self._read = False, len(data)
        super().data_received(data)
        if self._ended or self.transport.is_closing():
            return
        if not self.owner and (self.held or len(data) > _UNCOUNTED) and (self._in_head or self.working):
            self._connections.hold(self, len(data))
        if self._in_head:
            self._measure_head(len(data))
        elif self._hang_up is not None and not self._draining:
            self._stop_waiting()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self._stalled or self.loop.call_later(STALLED_SECONDS, self.hang_up)

    def resume_writing(self) -> None:
        self._stop_stalling()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close it where no request has arrived meanwhile; first one way, so that what is on its way is no reset."""
        if self.transport.is_closing() or self._ended:
            return
        if self.scheme == "https":  # the library says farewell
            self.transport.close()
            return
        with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as own:
            if _unread(own):
                self.timeout_keep_alive_task = self.loop.call_later(_CLOSING_SECONDS, self.timeout_keep_alive_handler)
                return
            try:
                own.shutdown(socket.SHUT_WR)
            except OSError:  # the client has gone
                self.transport.close()
                return
        self._ended = True
        self._wait(_CLOSING_SECONDS)

    def eof_received(self) -> None:
        if self._ended:
            self.transport.close()

    # What the parser says

    def on_message_begin(self) -> None:
        self._begin_head()
        super().on_message_begin()
        self.scope[CONNECTION] = self  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportGeneralTypeIssues]

    def on_headers_complete(self) -> None:
        self._in_head, self._in_message = False, True
        if (
            self._first + self._head + self._read > MAX_HEAD or len(self.headers) > MAX_HEADERS
        ):  # else it need not be counted
            head = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            self._too_large = head > MAX_HEAD or len(self.headers) > MAX_HEADERS
            if self._too_large:
                raise ValueError("too large")  # the parser has it answered by `send_400_response`
        super().on_headers_complete()
        if len(self.pipeline) > (_MOST_QUEUED_OF_KNOWN if self.owner else _MOST_QUEUED):
            self.hang_up()
            raise ValueError("too many requests ahead")

    def on_chunk_header(self) -> None:
        self._begin_head()  # the last chunk has no body: what follows it are trailers, which are kept like headers

    def on_body(self, body: bytes) -> None:
        self._in_head = False
        if self.cycle.response_complete:
            return
        self.cycle.body += body
        self.flow.pause_reading()  # until the application takes it
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._in_head = self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.held:
            self._connections.release(self)
        super().on_response_complete()
        if self._in_message and not self.transport.is_closing():
            self._stop_waiting()
            self._wait(DRAIN_SECONDS)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Refuse what could not be parsed, or is too large, and close the connection."""
        if self._ended or self.transport.is_closing():
            return
        status, headers, body = self._refuse(self._too_large)
        head = b"content-length: %d\r\nconnection: close\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + headers + head + b"\r\n" + body)
        self._ended = True
        if self.scheme == "https":
            self.transport.close()
            return
        self.transport.write_eof()  # what comes is read on for a moment: else the client gets a reset and no answer
        self._stop_waiting()
        self._wait(_CLOSING_SECONDS)

    @property
    def _draining(self) -> bool:
        return self._in_message and not self.working

    def _measure_head(self, read: int) -> None:
        if self._hang_up is None:
            self._wait(self._head_seconds)
        if self._begun:
            self._first = read
        else:
            self._head += read
        if self._head > MAX_HEAD or len(self.headers) > MAX_HEADERS:
            self._too_large = True
            self.send_400_response("")

    def _begin_head(self) -> None:
        self._in_head, self._first, self._head, self._begun = True, 0, 0, True

    def _keep(self, seconds: float) -> None:
        """Set how long the connection may be idle: `seconds`, lengthened by up to a fifth at random."""
        spread = 1 + _SPREAD * random.random()  # noqa: S311
        self.timeout_keep_alive = seconds * spread  # pyright: ignore[reportAttributeAccessIssue]

    def _wait(self, seconds: float) -> None:
        self._hang_up = self.loop.call_later(seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._hang_up is not None:
            self._hang_up.cancel()
            self._hang_up = None

    def _stop_stalling(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


def _unread(own: socket.socket) -> int:
    """Return how many received bytes nobody has read yet."""
    return struct.unpack("i", fcntl.ioctl(own, termios.FIONREAD, bytes(4)))[0]
