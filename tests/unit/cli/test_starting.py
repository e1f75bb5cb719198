"""What is answered before the service is put together."""

from __future__ import annotations

import asyncio
from typing import Any

from logkeep.cli.starting import StartupGate


async def call(app: StartupGate, method: str, path: str) -> int:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    await app({"type": "http", "method": method, "path": path}, receive, send)
    return sent[0]["status"]


async def real(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})


def test_probes_are_answered_at_once_and_others_wait() -> None:
    async def scenario() -> None:
        app = StartupGate()
        assert await call(app, "GET", "/healthz") == 200
        assert await call(app, "GET", "/readyz") == 503
        read = asyncio.create_task(call(app, "GET", "/v3/projects"))
        change = asyncio.create_task(call(app, "POST", "/api/v1/clusters"))
        await asyncio.sleep(0.05)
        assert not read.done()
        app.begin_reading(real)
        assert await read == 299
        assert await call(app, "GET", "/readyz") == 299
        await asyncio.sleep(0.05)
        assert not change.done()
        app.begin_working()
        assert await change == 299
        assert await call(app, "PUT", "/x") == 299

    asyncio.run(scenario())


def test_what_waits_is_refused_at_the_end() -> None:
    async def scenario() -> None:
        app = StartupGate()
        waiting = asyncio.create_task(call(app, "POST", "/x"))
        await asyncio.sleep(0.02)
        app.end()
        assert await waiting == 503

    asyncio.run(scenario())
