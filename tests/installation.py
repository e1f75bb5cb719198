"""The service functions over a database and a folder as bucket; jobs are carried out at once, without the queue.

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

from logkeep import bootstrap
from logkeep.clock import Clock, FixedClock
from logkeep.database import archive as database_archive
from logkeep.domain.backup_job import BackupJob
from logkeep.domain.cluster import Cluster, Project
from logkeep.domain.log_setting import LogSettingChange
from logkeep.domain.manifest import Gap, Segment
from logkeep.domain.policy import PolicyRules
from logkeep.installation_id import ID_FILE
from logkeep.keyfiles.creation import create_keys
from logkeep.service import archive, backups, clusters, identity, job_details, log_settings, verification
from logkeep.service.context import Context
from logkeep.settings import load_settings

SETTING = LogSettingChange("css_obs_agency", "logs", "css/log")


@dataclass
class Installation:
    context: Context
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
        cluster = clusters.add_cluster(self.context, self.project.id, "prod", new)
        log_settings.open_backup(self.context, cluster, SETTING)
        return cluster

    def back_up(self, cluster: Cluster) -> BackupJob:
        if isinstance(self.clock, FixedClock):
            self.clock.advance(1000)
        return self.carry_out(cluster, backups.start_backup(self.context, cluster))

    def carry_out(self, cluster: Cluster, job: BackupJob) -> BackupJob:
        backups.carry_out(self.context, job.job_id)
        return backups.get_job(self.context, cluster, job.job_id)

    def gaps(self, job: BackupJob) -> tuple[Gap, ...]:
        """What went before the job could keep it."""
        return job_details.get_detail(self.context, self.project.id, job.job_id).gaps

    def objects(self) -> list[Path]:
        return sorted(self.bucket.rglob("*.zst"))

    def jobs(self, cluster: Cluster) -> list[BackupJob]:
        """Newest first."""
        return backups.list_jobs(self.context, cluster.project_id, cluster.id, limit=1000)[0]

    def segment_of(self, cluster: Cluster, path: Path) -> Segment:
        """What the catalogue knows of an object."""
        name = str(path.relative_to(self.bucket))
        rows = database_archive.fetch_segments(self.context.database, cluster.id)
        return next(segment for segment, _ in rows if segment.object == name)

    def restored(self, cluster: Cluster) -> dict[tuple[str, str], bytes]:
        """Node and family -> everything that is kept."""
        found: dict[tuple[str, str], bytes] = {}
        for log in archive.list_kept(self.context, cluster):
            data = b"".join(archive.read_kept(self.context, cluster, log.node, log.generation))
            found[log.node, log.family] = found.get((log.node, log.family), b"") + data
        return found

    def restored_sizes(self, cluster: Cluster) -> dict[tuple[str, str], int]:
        """Node and family -> how many bytes are kept."""
        sizes: dict[tuple[str, str], int] = {}
        for log in archive.list_kept(self.context, cluster):
            sizes[log.node, log.family] = sizes.get((log.node, log.family), 0) + log.size
        return sizes

    def verify(self, cluster: Cluster, **asked: Any) -> list[verification.UnreportedJob]:
        return list(self.verify_step_by_step(cluster, **asked))

    def verify_step_by_step(self, cluster: Cluster, **asked: Any) -> Iterator[verification.UnreportedJob]:
        return verification.verify(self.context, cluster, **asked)

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
    with _open_context(folder, clock, environment) as (context, clock_):
        yield Installation(context, folder, identity.add_project(context, "cn-north-4"), clock_, environment)


@contextmanager
def reopen_installation(folder: Path, clock: Clock | None = None) -> Iterator[Installation]:
    """One on SQLite that is there, as after a crash."""
    with _open_context(folder, clock, {}) as (context, clock_):
        yield Installation(context, folder, identity.list_projects(context)[0], clock_, {})


@contextmanager
def _open_context(folder: Path, clock: Clock | None, environment: dict[str, str]) -> Iterator[tuple[Context, Clock]]:
    settings = load_settings(folder, environment)
    made = (folder / ID_FILE).exists()
    context = bootstrap.open_context(settings) if made else bootstrap.make_context(settings)
    clock = clock or FixedClock(4_000_000_000_000)  # far after the files, so that none looks as if it had just changed
    try:
        # Without a spread: a test that asks for none knows when a run starts.
        yield replace(context, enqueue=lambda *_: None, clock=clock, policy=PolicyRules()), clock
    finally:
        context.database.dispose()
