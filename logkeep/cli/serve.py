"""`serve`: the service itself, in one process."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn

from logkeep.api.protocol import make_server
from logkeep.cli.access import read_access, read_client, restore_client, write_access
from logkeep.cli.directory import endpoint_url, installed_settings
from logkeep.cli.ending import HAND_OVER_SECONDS, finish_within
from logkeep.cli.errors import CommandFailed, UsageError
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, invocation
from logkeep.cli.lock import only_process
from logkeep.cli.output import note, print_ready
from logkeep.cli.starting import StartupGate
from logkeep.domain.causes import listen_cause
from logkeep.errors import CatalogueError, SettingError
from logkeep.http.connections import Limits
from logkeep.http.server import default_connections, listen, most_connections, raise_open_files
from logkeep.settings import Settings

if TYPE_CHECKING:
    from logkeep.bootstrap.service import Service

_FINISH_SECONDS = 5  # for requests, once the end is asked for
_SETTLE_SECONDS = 5  # at most, for the database's own log
_PAUSE = 0.005  # seconds
_BACKLOG = 2048


def add_commands(app: typer.Typer) -> None:
    app.command("serve", epilog=EVERYWHERE)(serve)


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; else server.host of logkeep.toml.")] = "",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 takes a free one; else server.port of logkeep.toml.")
    ] = None,
    without_worker: Annotated[
        bool, typer.Option("--without-worker", help="Only answer; backups are left to `logkeep worker`.")
    ] = False,
) -> None:
    """Run the service until Ctrl-C or SIGTERM."""
    asked = invocation(context)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)  # until uvicorn takes over, and once more after it
    settings = installed_settings(asked.directory)
    if without_worker and settings.embedded:
        raise SettingError("database: with SQLite one process does it all; --without-worker needs PostgreSQL")
    listener = _listen(host or settings.server.host, settings.server.port if port is None else port)
    running = _Running(asked, settings, listener, works=not without_worker)
    with suppress(SystemExit):  # uvicorn raises the signal that ended it once more, and `_leave` answers
        running.server.run(sockets=[listener])
    running.stop()
    if running.failure:
        raise running.failure
    note("logkeep has ended")


class _Running:
    """HTTP server, and the thread that starts the service while the port answers already."""

    def __init__(self, asked: CommonOptions, settings: Settings, listener: socket.socket, *, works: bool) -> None:
        self._asked = asked
        self._settings = settings
        self._works = works
        self._address = listener.getsockname()[:2]
        self._starting = StartupGate()
        self._service: Service | None = None
        self._held = ExitStack()
        if settings.embedded:
            self._held.enter_context(only_process(settings.directory))
        self._before = read_client(asked.directory)
        _follow_endpoint(asked.directory, endpoint_url(*self._address))  # before any probe is answered
        self.failure: Exception | None = None
        self.server = _http_server(self._starting, settings)
        self._thread = threading.Thread(target=self._start, name="start", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the queue; what goes on longer ends with the process, as in a crash, and is gone on with."""
        self._starting.end()
        if self._service:
            finish_within(HAND_OVER_SECONDS, self._service.stop)
            finish_within(_SETTLE_SECONDS, partial(_settle, self._service))
        if self.failure:
            restore_client(self._asked.directory, self._before)
            self._held.close()

    def _start(self) -> None:
        while not (self.server.started or self.server.should_exit):  # what is imported here would hold that up
            time.sleep(_PAUSE)
        try:
            self._put_together()
        except BaseException as error:  # a library may exit or panic; who waits must be told in any case
            self.failure = error if isinstance(error, Exception) else CommandFailed(f"unexpected {_named(error)}")
            self._starting.end()
            self.server.should_exit = True

    def _put_together(self) -> None:
        from logkeep.cli import application  # noqa: PLC0415  takes longer than a probe waits; the port answers now

        service = application.open_service(self._settings, works=self._works)
        self._starting.begin_reading(application.make_app(service, self._settings))
        service.start()
        self._service = service
        self._starting.begin_working()
        self._announce()

    def _announce(self) -> None:
        endpoint = endpoint_url(*self._address)
        if self._asked.as_json:
            print_ready({"endpoint": endpoint, "dir": str(self._settings.directory), "pid": os.getpid()})
        note(f"logkeep listens on {endpoint} for {self._asked.directory}; Ctrl-C ends it")


def _settle(service: Service) -> None:
    with suppress(CatalogueError):  # as in a crash, the next start reads the log
        service.settle()


def _http_server(app: StartupGate, settings: Settings) -> uvicorn.Server:
    files, asked = raise_open_files(), settings.server
    if asked.connections > most_connections(files):
        raise SettingError(
            f"server.connections: this process may open {files} files, which is enough for {most_connections(files)} "
            "connections; raise its limit (LimitNOFILE= of systemd, ulimit -n), or take fewer"
        )
    limits = Limits(asked.connections or default_connections(files), asked.keep_alive_seconds, asked.stranger_seconds)
    return make_server(app, _FINISH_SECONDS, limits, _BACKLOG)


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}; the start was given up; please report it"


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port, _BACKLOG)
    except OSError as error:
        cause, where = listen_cause(error), f"{host}:{port}"
        said = f"{where} cannot be listened on: {error.strerror}"
        raise UsageError(cause.tell(where=where, said=error.strerror) if cause else said) from error


def _follow_endpoint(directory: Path, endpoint: str) -> None:
    """Keep `client.toml` true, where there is one."""
    try:
        access = read_access(directory)
    except UsageError as error:  # commands need it, the service does not
        note(f"logkeep: {error}")
        return
    if access and access.endpoint != endpoint:
        with suppress(OSError):  # a read-only directory: the line on standard error still tells
            write_access(directory, replace(access, endpoint=endpoint))


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)
