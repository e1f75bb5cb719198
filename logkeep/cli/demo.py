"""`demo`: the main job on real logs, from nothing to a service that an SDK can ask."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from logkeep.cli.access import Access
from logkeep.cli.client import ServiceClient
from logkeep.cli.demo_steps import Demonstration
from logkeep.cli.errors import CommandFailed, UsageError
from logkeep.cli.invocation import DEFAULT_DIRECTORY, EVERYWHERE, CommonOptions, invocation
from logkeep.cli.output import note, print_json

DATA = "data"  # the installation within the demo's directory
_MARK = ".logkeep-demo"  # by which a demo knows a directory that it may empty
_CONFIGURATION = """\
# Settings of a demonstration; docs/configuration.md tells all of them.

[records]
running_visible_seconds = 0  # 5 by default, since Terraform looks for a new backup that is RUNNING

[backup]
poll_seconds = 0.2

[buckets.logs]
"""
_END_SECONDS = 15
_START_SECONDS = 120


def add_commands(app: typer.Typer) -> None:
    app.command("demo", epilog=EVERYWHERE)(demo)


def demo(
    context: typer.Context,
    logs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Real logs; they are only read. Else a small sample.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End after printing, instead of serving until Ctrl-C.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep what an earlier demo left, and begin beside it.")] = False,
) -> None:
    """Show the main job on real logs, then serve.

    In a directory of its own (build/demo, or demo in --dir) a service is started, a copy of the logs becomes the node
    of a cluster, and two backups are made, between which the node writes and rotates. Exit code 0 only if both
    succeeded and the archive equals the files, byte for byte.
    """
    asked = invocation(context)
    source = logs or _sample()
    if not source.is_dir():
        raise UsageError(f"{source} is no directory; name one with logs by --logs")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # so that the service is ended in any case
    directory = _fresh_directory(asked, source, keep=keep)
    demonstration = Demonstration(directory, quiet=asked.as_json, once=once)
    demonstration.prepare_node(source)
    with _serving(directory) as (access, service):
        with closing(ServiceClient(access)) as client:
            demonstration.run(client)
        if asked.as_json:
            print_json(demonstration.document())
        sys.stdout.flush()
        if demonstration.problems:
            raise CommandFailed(f"the demonstration failed: {'; '.join(demonstration.problems)}")
        if not once:
            _wait(service)


def _sample() -> Path:
    """Logs of a real node: shipped in the package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    for directory in (package / "examples" / "logs", package.parent / "examples" / "logs"):
        if directory.is_dir():
            return directory
    raise UsageError("the sample is not installed; name a directory with logs by --logs")


def _fresh_directory(asked: CommonOptions, source: Path, *, keep: bool) -> Path:
    """A new directory; one that an earlier demo made is emptied, or with `keep` left beside."""
    first = Path("build/demo") if asked.directory == DEFAULT_DIRECTORY else asked.directory / "demo"
    directory, number = first, 1
    while keep and directory.exists():
        number += 1
        directory = first.with_name(f"{first.name}-{number}")
    if directory.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"the demo would write to {directory}, which lies in {source}; name another place with --dir")
    if directory.exists():
        if any(directory.iterdir()) and not (directory / _MARK).exists():
            raise UsageError(f"{directory} was not made by a demo; name another place with --dir")
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    (directory / _MARK).touch()
    return directory


@contextmanager
def _serving(directory: Path) -> Generator[tuple[Access, subprocess.Popen[str]]]:
    """A new installation and its service, the very command `logkeep serve`; ends it."""
    data = directory / DATA
    data.mkdir(mode=0o700)
    (data / "logkeep.toml").write_text(_CONFIGURATION, "utf-8")
    made = json.loads(_call(data, "init"))
    with (directory / "serve.log").open("w") as log:
        service = subprocess.Popen(  # noqa: S603  this very program
            _command(data, "serve", "--port", "0"), env=_environment(), stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        served = _first_document(service)
        if served is None:
            raise CommandFailed(f"the service did not start: {(directory / 'serve.log').read_text().strip()}")
        yield Access(served["endpoint"], made["ak"], made["sk"], made["project_id"]), service
    finally:
        _end(service)


def _call(data: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603  this very program
        _command(data, *arguments), env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandFailed(done.stderr.strip().removeprefix("logkeep: "))
    return done.stdout


def _command(data: Path, *arguments: str) -> Sequence[str]:
    safe = ["-P"] if sys.flags.safe_path else []
    return [sys.executable, *safe, "-m", "logkeep", "--dir", str(data), "--json", *arguments]


def _environment() -> dict[str, str]:
    """Without settings that are meant for another installation: its database must not be touched."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LOGKEEP_")}


def _first_document(service: subprocess.Popen[str]) -> dict[str, Any] | None:
    """Return the JSON document that `serve` prints once it is ready; None where it ended instead, or was too slow."""
    assert service.stdout
    late = threading.Timer(_START_SECONDS, service.kill)
    late.start()
    line = service.stdout.readline()
    late.cancel()
    return json.loads(line) if line else None


def _wait(service: subprocess.Popen[str]) -> None:
    """Until Ctrl-C or SIGTERM, which is how a demo ends well."""
    note("The service goes on until Ctrl-C.")
    with suppress(KeyboardInterrupt):
        code = service.wait()
        if code:
            raise CommandFailed(f"the service ended with exit code {code}")


def _end(service: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        service.terminate()
    try:
        service.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        service.kill()
        service.wait()
    if service.stdout:
        service.stdout.close()
