"""An installation with its queue, and workers as processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from logkeep.bootstrap.database import migrate_database
from logkeep.bootstrap.runtime import make_runtime
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSettingChange
from logkeep.keyfiles.creation import create_keys
from logkeep.service import clusters, identity, log_settings
from logkeep.service.runtime import Runtime
from logkeep.settings import load_settings
from logkeep.work.queue import Queue
from tests.integration.cli.installed import COMMAND, environment
from tests.real.postgres import PostgresServer
from tests.support.processes import running

SETTING = LogSettingChange("agency", "logs", "css/log")
_ENDED = "SELECT count(*) FROM jobs WHERE status <> 'RUNNING'"


@dataclass
class Site:
    folder: Path
    runtime: Runtime
    queue: Queue
    project_id: str
    held: ExitStack
    workers: dict[str, subprocess.Popen[str]] = field(default_factory=dict)  # by id

    def start_worker(self) -> None:
        line, process = start(self.held, [*COMMAND, "--dir", str(self.folder), "worker"], r"worker \S+ takes up to")
        self.workers[line.split()[2]] = process

    def add_cluster(self, name: str, logs: Path) -> Cluster:
        new = [clusters.NewNode("n", f"file://{logs}")]
        cluster = clusters.add_cluster(self.runtime, self.project_id, name, new)
        log_settings.open_backup(self.runtime, cluster, SETTING)
        return cluster

    def value(self, statement: str) -> Any:
        with reading(self.runtime.database) as connection:
            return connection.execute(text(statement)).scalar()

    def wait_for(self, statement: str, wanted: int, seconds: float) -> None:
        """Until a number has grown to what is wanted."""
        deadline = time.monotonic() + seconds
        while int(self.value(statement) or 0) < wanted:
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {statement}"
            time.sleep(0.05)

    def wait_for_jobs(self, number: int, seconds: float) -> None:
        self.wait_for(_ENDED, number, seconds)
        assert self.value("SELECT count(*) FROM jobs WHERE status = 'FAIL'") == 0


def new_database(server: PostgresServer, name: str) -> str:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{server.url().rpartition('/')[0]}/{name}"


@contextmanager
def open_site(folder: Path, database: str, backup: str, visible: float = 5.0) -> Generator[Site]:
    """`backup` are the lines of the table [backup] of its settings; without a `database` it is SQLite."""
    (folder / "buckets" / "logs").mkdir(parents=True)
    chosen = f'database = "{database}"\n' if database else ""
    chosen += f"[records]\nrunning_visible_seconds = {visible}\n[policy]\nspread_minutes = 0\n"
    (folder / "logkeep.toml").write_text(f"{chosen}[backup]\n{backup}\n[buckets.logs]\n", encoding="utf-8")
    create_keys(folder)
    settings = load_settings(folder, {})
    runtime = make_runtime(settings)
    migrate_database(settings)
    identity.check_seal(runtime)
    queue = Queue(runtime.database)
    runtime = replace(runtime, enqueue=queue.enqueue)
    project = identity.add_project(runtime, "bench")
    with ExitStack() as held:
        yield Site(folder, runtime, queue, project.id, held)
    queue.close()
    runtime.database.dispose()


def start(held: ExitStack, command: Sequence[str], ready: str = "") -> tuple[str, subprocess.Popen[str]]:
    """A process that runs until `held` is left, and the line by which it said that it is `ready`: a pattern."""
    found = held.enter_context(running(command, ready, env=environment(), stdout=subprocess.DEVNULL))
    return found.found.string, found.process
