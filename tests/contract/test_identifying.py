"""Who is identified while strangers at the same address, as behind one proxy, fill the pool that looks up keys."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from logkeep.api.pools import STRANGERS
from logkeep.service import identity
from tests.contract.service import Service, running_service

_CLUSTERS = "/api/v1/clusters"


def ask_as_nobody(service: Service, stack: ExitStack) -> socket.socket:
    """A connection on which one request was sent whose key does not exist."""
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", service.port), 10))
    signed = service.signed("GET", _CLUSTERS, headers={"Host": f"127.0.0.1:{service.port}"})
    signed["Authorization"] = signed["Authorization"].replace(service.tenant.key.ak, "NOBODY")
    head = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    connection.sendall(f"GET {_CLUSTERS} HTTP/1.1\r\n{head}\r\n".encode())
    return connection


@pytest.mark.parametrize("large", [False, True], ids=["small", "with a large body"])
def test_strangers_who_fill_the_pool_keep_nobody_out_who_was_right_before(tmp_path: Path, large: bool) -> None:
    body = b"x" * 50_000 if large else None
    expected = 403 if large else 200  # the key may not add a cluster, which is told once it is identified
    find, released = identity.find_key, threading.Event()

    def find_slowly(runtime: Any, ak: str) -> Any:
        if ak == "NOBODY":
            released.wait(60)
        return find(runtime, ak)

    method = "POST" if large else "GET"
    with running_service(tmp_path) as service, ExitStack() as stack:
        assert service.call(method, _CLUSTERS, body).status == expected
        stack.callback(released.set)
        stack.enter_context(patch.object(identity, "find_key", find_slowly))
        stack.enter_context(patch("logkeep.api.auth._KEPT_SECONDS", 0.0))
        full = STRANGERS.each + STRANGERS.waiting_each
        strangers = [ask_as_nobody(service, stack) for _ in range(full + 1)]
        assert b" 503 " in strangers[-1].recv(1000), "the pool is full"
        assert service.call(method, _CLUSTERS, body).status == expected
        assert service.call("GET", _CLUSTERS, key=service.stranger).status == 503, "who was never here has to wait"
