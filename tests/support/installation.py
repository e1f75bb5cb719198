"""The service functions over a database and a folder as bucket; jobs are run by the caller, without the queue.

The database is SQLite, or where LOGKEEP_TEST_POSTGRESQL holds a URL, one that is made there for each installation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from logkeep.bootstrap.runtime import make_runtime, open_runtime
from logkeep.clock import Clock, FixedClock
from logkeep.database import jobs as database_jobs
from logkeep.database.connection import reading
from logkeep.domain.backup_job import BackupJob
from logkeep.domain.cluster import Cluster, Project
from logkeep.domain.log_setting import LogSettingChange
from logkeep.domain.manifest import Gap, Segment
from logkeep.domain.policy import PolicyRules
from logkeep.keyfiles.creation import create_keys
from logkeep.keyfiles.installation_id import ID_FILE
from logkeep.service import archive, backups, clusters, identity, job_details, log_settings, verification
from logkeep.service.backup_run import run_job
from logkeep.service.runtime import Runtime
from logkeep.settings import load_settings
from tests.support.catalogue import all_segments

SETTING = LogSettingChange("css_obs_agency", "logs", "css/log")


@dataclass
class Installation:
    runtime: Runtime
    folder: Path
    project: Project
    clock: Any  # a FixedClock unless the test asks for another
    environment: dict[str, str]  # settings besides those of the folder

    @property
    def bucket(self) -> Path:
        return self.folder / "buckets" / "logs"

    def add_cluster(self, **nodes: Path) -> Cluster:
        """A cluster with log backup open."""
        new = [clusters.NewNode(name, f"file://{path}") for name, path in nodes.items()]
        cluster = clusters.add_cluster(self.runtime, self.project.id, "prod", new)
        log_settings.open_backup(self.runtime, cluster, SETTING)
        return cluster

    def back_up(self, cluster: Cluster) -> BackupJob:
        if isinstance(self.clock, FixedClock):
            self.clock.advance(1000)
        return self.run(backups.start_backup(self.runtime, cluster))

    def run(self, job: BackupJob) -> BackupJob:
        run_job(self.runtime, job.job_id)
        return self.job(job.job_id)

    def job(self, job_id: str) -> BackupJob:
        with reading(self.runtime.database) as connection:
            found = database_jobs.fetch_job(connection, job_id)
        assert found
        return found

    def gaps(self, job: BackupJob) -> tuple[Gap, ...]:
        """What went before the job could keep it."""
        return job_details.get_detail(self.runtime, self.project.id, job.job_id).gaps

    def objects(self) -> list[Path]:
        return sorted(self.bucket.rglob("*.zst"))

    def jobs(self, cluster: Cluster) -> list[BackupJob]:
        """Newest first."""
        return backups.list_jobs(self.runtime, cluster.project_id, cluster.id, limit=1000)[0]

    def segment_of(self, cluster: Cluster, path: Path) -> Segment:
        """What the catalogue knows of an object."""
        name = str(path.relative_to(self.bucket))
        rows = all_segments(self.runtime.database, cluster.id)
        return next(segment for segment in rows if segment.object == name)

    def restored(self, cluster: Cluster) -> dict[tuple[str, str], bytes]:
        """Node and family -> everything that is kept."""
        found: dict[tuple[str, str], bytes] = {}
        for log in archive.list_kept(self.runtime, cluster):
            data = b"".join(archive.read_kept(self.runtime, cluster, log.node, log.generation))
            found[log.node, log.family] = found.get((log.node, log.family), b"") + data
        return found

    def restored_sizes(self, cluster: Cluster) -> dict[tuple[str, str], int]:
        """Node and family -> how many bytes are kept."""
        sizes: dict[tuple[str, str], int] = {}
        for log in archive.list_kept(self.runtime, cluster):
            sizes[log.node, log.family] = sizes.get((log.node, log.family), 0) + log.size
        return sizes

    def verify(self, cluster: Cluster, **asked: Any) -> list[verification.UnreportedJob]:
        return list(self.verify_step_by_step(cluster, **asked))

    def verify_step_by_step(self, cluster: Cluster, **asked: Any) -> Iterator[verification.UnreportedJob]:
        return verification.verify(self.runtime, cluster, **asked)

    def findings(self, cluster: Cluster, **asked: Any) -> list[verification.Finding]:
        return [one for one in self.verify(cluster, **asked) if isinstance(one, verification.Finding)]


def new_database() -> dict[str, str]:
    """The variables that give an installation a database of its own."""
    server = os.environ.get("LOGKEEP_TEST_POSTGRESQL")
    if not server:
        return {}
    name = f"logkeep_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return {"LOGKEEP_DATABASE": f"{server.rpartition('/')[0]}/{name}"}


@contextmanager
def open_installation(
    folder: Path, clock: Clock | None = None, toml: str = "[buckets.logs]\n"
) -> Iterator[Installation]:
    """A new installation with a project, and a folder for a bucket named logs."""
    (folder / "buckets" / "logs").mkdir(parents=True)
    (folder / "logkeep.toml").write_text(toml, encoding="utf-8")
    create_keys(folder)
    environment = new_database()
    with _open_context(folder, clock, environment) as (runtime, clock_):
        yield Installation(runtime, folder, identity.add_project(runtime, "cn-north-4"), clock_, environment)


@contextmanager
def reopen_installation(folder: Path, clock: Clock | None = None) -> Iterator[Installation]:
    """One on SQLite that is there, as after a crash."""
    with _open_context(folder, clock, {}) as (runtime, clock_):
        yield Installation(runtime, folder, identity.list_projects(runtime)[0], clock_, {})


@contextmanager
def _open_context(folder: Path, clock: Clock | None, environment: dict[str, str]) -> Iterator[tuple[Runtime, Clock]]:
    settings = load_settings(folder, environment)
    made = (folder / ID_FILE).exists()
    runtime = open_runtime(settings) if made else make_runtime(settings)
    clock = clock or FixedClock(4_000_000_000_000)  # far after the files, so that none looks as if it had just changed
    try:
        # Without a spread: a test that asks for none knows when a run starts.
        yield replace(runtime, enqueue=lambda *_: None, clock=clock, policy=PolicyRules()), clock
    finally:
        runtime.database.dispose()
