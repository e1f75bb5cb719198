"""What waits for a service that is still being put together is bounded."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from logkeep.cli import starting
from logkeep.cli.starting import StartupGate


async def ask(
    app: StartupGate, path: str = "/v1.0/p/clusters", method: str = "GET"
) -> tuple[int, dict[str, Any], set[bytes]]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read of a stranger")

    await app({"type": "http", "method": method, "path": path}, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"]), {name for name, _ in sent[0]["headers"]}


def test_requests_beyond_what_may_wait_are_refused_in_the_form_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_MOST_WAITING", 2)

    async def main() -> None:
        app = StartupGate()
        waiting = [asyncio.create_task(ask(app)) for _ in range(2)]
        await asyncio.sleep(0)
        status, body, headers = await ask(app)
        assert (status, body["error_code"], len(body["request_id"])) == (503, "CSS.9998", 32)
        assert {b"retry-after", b"x-request-id"} <= headers
        assert (await ask(app, "/healthz"))[0] == 200
        for one in waiting:
            one.cancel()

    asyncio.run(main())


def test_a_request_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_WAIT_SECONDS", 0.05)
    assert asyncio.run(ask(StartupGate()))[0] == 503
