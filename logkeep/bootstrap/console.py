"""The console beside the API. It is imported when its first page is asked for: who never opens it pays nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from logkeep.bootstrap.database import read_own_id
from logkeep.service.runtime import Runtime
from logkeep.settings import Settings

if TYPE_CHECKING:
    from logkeep.console.app import Console

_ROOT = "/console"


class WithConsole:
    """An application that has the console below `/console`, and another one everywhere else."""

    def __init__(self, api: ASGIApp, runtime: Runtime, settings: Settings) -> None:
        self._api = api
        self._runtime = runtime
        self._settings = settings
        self._opening: asyncio.Future[Console] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] == _ROOT or scope["path"].startswith(f"{_ROOT}/")):
            failed = self._opening and self._opening.done() and self._opening.exception()
            if self._opening is None or failed:  # the next one tries again
                self._opening = asyncio.ensure_future(asyncio.to_thread(self._open))
            console = await asyncio.shield(self._opening)
            await console(scope, receive, send)
            return
        await self._api(scope, receive, send)
        if scope["type"] == "lifespan" and self._opening and self._opening.done() and not self._opening.exception():
            self._opening.result().close()

    def _open(self) -> Console:
        from logkeep.console.app import Console, ConsoleRules  # noqa: PLC0415  see above

        chosen = self._settings.console
        rules = ConsoleRules(read_own_id(self._settings) or "", round(chosen.idle_minutes * 60_000), chosen.hosts)
        return Console(self._runtime, rules)


def add_console(api: ASGIApp, runtime: Runtime, settings: Settings) -> ASGIApp:
    """Return the application with the console, unless the settings turn it off."""
    return WithConsole(api, runtime, settings) if settings.console.enabled else api
