"""`worker`: carries out backups beside the processes that answer; `workers` and `migrate`: what they share."""

from __future__ import annotations

import os
import signal
import threading

import typer

from logkeep.bootstrap.database import migrate_database
from logkeep.bootstrap.logs import set_up_logging
from logkeep.bootstrap.service import Service
from logkeep.cli.directory import installed_settings
from logkeep.cli.ending import HAND_OVER_SECONDS, finish_within
from logkeep.cli.installation import open_installation
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.missing import tell_missing
from logkeep.cli.output import note, print_json, print_line, print_ready, print_table
from logkeep.cli.texts import time_text
from logkeep.domain.worker import Worker
from logkeep.errors import SettingError
from logkeep.service import workers


def add_commands(app: typer.Typer) -> None:
    app.command("worker", epilog=EVERYWHERE)(work)
    app.command("workers", epilog=EVERYWHERE)(list_workers)
    app.command("migrate", epilog=EVERYWHERE)(migrate)


def work(context: typer.Context) -> None:
    """Carry out backups; many machines may share one database.

    The database is PostgreSQL then. It runs until Ctrl-C or SIGTERM. The directory needs the logkeep.toml,
    installation.id, seal.key, sign.key and sign.pub of the installation. At its end a worker finishes the slice that it
    reads and hands the rest over to others; a second signal ends it at once.
    """
    asked = invocation(context)
    settings = installed_settings(asked.directory)
    if settings.embedded:
        raise SettingError(
            "database: workers need PostgreSQL, which processes can share; with SQLite `logkeep serve` does it all"
        )
    working, ending = threading.Event(), threading.Event()
    _end_on_signal(working, ending)
    set_up_logging(settings.log_level)
    tell_missing(settings)
    service = Service(settings)
    service.start()
    working.set()
    if asked.as_json:
        print_ready({"worker": service.worker_id, "dir": str(settings.directory), "pid": os.getpid()})
    at_once = settings.backup.jobs_at_once
    note(f"logkeep worker {service.worker_id} takes up to {at_once} backups at a time; Ctrl-C ends it")
    ending.wait()
    note("logkeep worker hands over what it has; once more ends it at once")
    if finish_within(HAND_OVER_SECONDS, service.stop):
        note("logkeep worker has ended")
    else:
        note("logkeep worker has ended without handing over, as the database does not answer; others take over")


def list_workers(context: typer.Context) -> None:
    """Show the processes that share the database.

    They are workers, and those that only answer.
    """
    asked = invocation(context)
    with open_installation(asked.directory) as opened:
        found = workers.list_workers(opened)
    if asked.as_json:
        print_json({"workers": [_document(worker) for worker in found]})
        return
    if not found:
        print_line("No process runs; start one with `logkeep serve`.")
        return
    print_table(
        ("WORKER", "VERSION", "JOBS AT ONCE", "SINCE", "STATE"),
        [
            (
                worker.id,
                worker.version,
                str(worker.jobs_at_once) if worker.jobs_at_once else "answers only",
                time_text(worker.started_at),
                "alive" if worker.alive else f"dead, silent for {worker.silent_ms // 1000} s",
            )
            for worker in found
        ],
    )


def migrate(context: typer.Context) -> None:
    """Bring the database to the tables of this version.

    It is done by `logkeep serve` and `logkeep worker` too when they start. It is refused while a process of an older
    version runs that needs other tables.
    """
    asked = invocation(context)
    settings = installed_settings(asked.directory)
    before, now = migrate_database(settings)
    if asked.as_json:
        print_json({"before": before, "now": now})
    elif before == now:
        print_line(f"The database is at revision {now} already; nothing was changed.")
    else:
        print_line(f"The database went from revision {before or 'none'} to {now}.")


def _end_on_signal(working: threading.Event, ending: threading.Event) -> None:
    """Set `ending` at the first SIGTERM or SIGINT. The second one ends the process, and so does one before it works.

    A start may wait for a database that does not answer, and has nothing to hand over.
    """

    def end(_number: int, _frame: object) -> None:
        if not working.is_set():
            os._exit(0)
        if ending.is_set():
            os._exit(1)
        ending.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _document(worker: Worker) -> dict[str, object]:
    return {
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "jobs_at_once": worker.jobs_at_once,
        "started_at": worker.started_at,
        "silent_ms": worker.silent_ms,
        "alive": worker.alive,
    }
