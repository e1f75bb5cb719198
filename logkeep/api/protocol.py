"""The HTTP server of the service: what cannot be parsed is refused in the contract's form."""

from __future__ import annotations

import os
from typing import Any

import uvicorn

from logkeep.contract.codes import HEAD_TOO_LARGE
from logkeep.contract.faults import render_fault
from logkeep.errors import RequestError
from logkeep.http.connections import Limits
from logkeep.http.server import make_server as make_bounded_server


def make_server(app: Any, finish_seconds: int, limits: Limits, backlog: int = 2048) -> uvicorn.Server:
    """Create a server without TLS, to run on a listening socket."""
    return make_bounded_server(app, limits, _refuse, finish_seconds, backlog=backlog)


def _refuse(too_large: bool) -> tuple[int, bytes, bytes]:
    """Answer a malformed request (docs/contract.md, "Gateway codes")."""
    status, text = HEAD_TOO_LARGE if too_large else (400, "API request error.")
    request_id = os.urandom(16).hex()
    _, body = render_fault(RequestError(text), request_id)
    return status, f"content-type: application/json\r\nx-request-id: {request_id}\r\n".encode(), body
