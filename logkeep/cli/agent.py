"""`agent`: serve the logs of a node that offers no SSH."""

from __future__ import annotations

import hashlib
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from logkeep.agent.app import Agent
from logkeep.agent.server import Certificate, make_server
from logkeep.cli.errors import UsageError
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import note, print_ready
from logkeep.errors import SettingError, SourceRefused, SourceUnreachable
from logkeep.http.server import listen
from logkeep.keyfiles.agent import create_certificate, create_token
from logkeep.logformat.names import NOT_LOGS, compile_exclusions
from logkeep.sources.confinement import Confinement, OwnPlaces
from logkeep.sources.local import LocalSource
from logkeep.sources.watched import WatchedSource, watch_sources
from logkeep.watchdog import watch

_RELOAD_SECONDS = 5.0
_STALLED_SECONDS = 20.0  # without progress, as on a dead mount; the service waits 30 for an answer


def add_commands(app: typer.Typer) -> None:
    app.command("agent", epilog=EVERYWHERE)(agent)


def agent(
    context: typer.Context,
    logs: Annotated[Path, typer.Option(help="The log directory of this node; it is only read.")],
    listen: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = "0.0.0.0:8476",
    cert: Annotated[
        Path | None, typer.Option(help="Certificate in PEM; else agent.crt in --dir, made where it is missing.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its key in PEM; else agent.key in --dir.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="The token; else agent.token in --dir, made where it is missing.")
    ] = None,
) -> None:
    """Serve the log directory of this node over HTTPS, read-only.

    It runs until Ctrl-C or SIGTERM. A certificate or token that was renewed in its file is taken up within seconds, by
    SIGHUP at once.

    Who shows the token may list and read the logs below --logs, and nothing else. The fingerprint of the certificate
    is printed; both go into [agents.NAME] of the logkeep.toml of the service, and the source of the node is agent:NAME.
    """
    asked = invocation(context)
    host, port = _parse_listen(listen)
    if (cert is None) != (key is None):
        raise UsageError("--cert and --key belong together; give both or none")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    _serve(asked.directory, asked.as_json, logs, (host, port), cert, key, token_file)
    note("logkeep agent has ended")


def _serve(
    directory: Path,
    as_json: bool,
    logs: Path,
    address: tuple[str, int],
    cert: Path | None,
    key: Path | None,
    token_file: Path | None,
) -> None:
    watchdog = watch_sources(_STALLED_SECONDS, "")
    try:
        found = watchdog.call(watch(logs.absolute()), lambda: logs.resolve() if logs.is_dir() else None)
    except SourceUnreachable as error:
        raise UsageError(error.message) from error
    if found is None:
        raise UsageError(f"{logs} is no directory; name the log directory of this node with --logs")
    logs, watched = found, watch(found)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate, private = cert or directory / "agent.crt", key or directory / "agent.key"
    if cert is None:
        create_certificate(certificate, private, socket.gethostname())
    token_file = token_file or directory / "agent.token"
    token = create_token(token_file)
    own = dict.fromkeys((directory, certificate, private, token_file), "which is the agent's own")
    confinement = Confinement([logs], OwnPlaces(own))
    source = LocalSource(logs, compile_exclusions(NOT_LOGS), confinement, watchdog.note_progress)
    try:
        watchdog.call(watched, source.check)
    except (SourceRefused, SourceUnreachable) as error:
        raise UsageError(error.message) from error
    application = Agent(WatchedSource(source, watched, watchdog), token)
    shown = Certificate(certificate, private)
    server = make_server(application, shown)
    fingerprint = _fingerprint(certificate)
    try:
        listener = listen(*address)
    except OSError as error:
        raise UsageError(
            f"{':'.join(map(str, address))} cannot be listened on: {error.strerror}; see --listen"
        ) from error
    host, port = listener.getsockname()[:2]
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    def reload() -> None:
        if token_file.exists() and application.take_token(create_token(token_file)):
            note(f"logkeep agent asks for another token, that of {token_file}")
        if shown.take_up():
            note(f"logkeep agent shows another certificate, whose fingerprint is {_fingerprint(certificate)}")

    with suppress(SystemExit), _reloading(reload):
        if as_json:
            print_ready({"url": url, "logs": str(logs), "fingerprint": fingerprint, "token_file": str(token_file)})
            sys.stdout.flush()
        note(f"logkeep agent serves {logs} on {url}; its token is in {token_file}, its fingerprint is {fingerprint}")
        server.run(sockets=[listener])


@contextmanager
def _reloading(reload: Callable[[], None]) -> Generator[None]:
    """Reload each few seconds, and at once by SIGHUP; what cannot be taken up is told, and the agent serves on."""
    asked, over = threading.Event(), threading.Event()

    def look() -> None:
        told = ""
        while not over.is_set():
            asked.wait(_RELOAD_SECONDS)
            asked.clear()
            try:
                reload()
                told = ""
            except (SettingError, OSError, ValueError) as error:
                if str(error) != told:
                    note(f"logkeep agent serves on with what it has: {error}")
                told = str(error)

    signal.signal(signal.SIGHUP, lambda _number, _frame: asked.set())
    threading.Thread(target=look, name="reload", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        asked.set()


def _parse_listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--listen {text}: is written as HOST:PORT, for example 0.0.0.0:8476")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _fingerprint(certificate: Path) -> str:
    pem = certificate.read_text("ascii")
    first = pem[: pem.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first[first.index(ssl.PEM_HEADER) :])).hexdigest()


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)
