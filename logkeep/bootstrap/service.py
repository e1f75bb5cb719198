"""The service: a process of an installation that answers, and works on the queue."""

from __future__ import annotations

import importlib
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection

from logkeep import __version__
from logkeep.bootstrap.database import open_database
from logkeep.bootstrap.runtime import build_runtime
from logkeep.database.connection import settle
from logkeep.database.migrate import HEAD
from logkeep.domain.keep_times import KeepTimes
from logkeep.domain.worker import QUEUE_VERSION, Worker
from logkeep.errors import CatalogueError
from logkeep.service import archive_usage, identity, workers
from logkeep.service.runtime import Runtime
from logkeep.settings import Settings
from logkeep.work.heartbeat import Heartbeat
from logkeep.work.indexer import IndexThread
from logkeep.work.notices import NoticeThreads
from logkeep.work.policies import Maintenance
from logkeep.work.pruning import Pruning
from logkeep.work.retention import RetentionThread
from logkeep.work.takeover import Takeover
from logkeep.work.verifier import Verifier

if TYPE_CHECKING:  # slow to import, see `Service.start` and `Service._open_metrics`
    from logkeep.api.metrics_server import MetricsServer
    from logkeep.work.queue import Queue
    from logkeep.work.runner import Runner

_log = structlog.get_logger("logkeep.settings")
_MAX_NAMED = 20


class Service:
    """A running process of an installation.

    DBOS takes as long to import as all the rest, so only `start` imports it, and requests that only read are answered
    earlier. Nothing may be enqueued until `start` has returned.
    """

    def __init__(self, settings: Settings, *, works: bool = True) -> None:
        """Open the installation; jobs run in this process if it `works`, else only in others. Raises `SettingError`."""
        # DBOS imports it while calls run, whose statements would fail at what is not whole yet.
        importlib.import_module("sqlalchemy.orm")
        self._settings = settings
        runtime = build_runtime(settings, open_database(settings), self.enqueue)
        self.runtime = replace(runtime, others_wait=lambda: self._running_queue().others_wait())
        identity.check_seal(self.runtime)
        _warn_of_unknown_projects(self.runtime, settings)
        self._metrics = self._open_metrics() if settings.metrics.listen else None
        self._worker = _this_process(settings.backup.jobs_at_once if works else 0)
        self._queue: Queue | None = None
        self._runner: Runner | None = None
        self._heartbeat = Heartbeat(self.runtime, self._worker)
        self._verifier = Verifier(self.runtime, settings.verify.every_hours, settings.verify.sample_percent)
        self._retention = RetentionThread(self.runtime, settings.retention.every_hours)
        self._indexer = IndexThread(self.runtime) if settings.search.index else None
        self._notices = NoticeThreads(self.runtime)
        self._maintenance: Maintenance | None = None
        self._pruning = Pruning(self.runtime, _keep_times(settings), self._forget_ended)

    @property
    def worker_id(self) -> str:
        return self._worker.id

    def start(self) -> None:
        """Begin the work on the queue, if this process works, and that on the queue itself."""
        from logkeep.work.queue import Queue, prepare_database  # noqa: PLC0415  see above

        settings, runtime = self._settings, self.runtime
        if settings.embedded:
            workers.forget_others(runtime)  # with SQLite only one process serves a database
        self._queue = queue = Queue(runtime.database)
        self._runner = runner = self._make_runner(queue) if self._worker.jobs_at_once else None
        takeover = Takeover(runtime, queue, self.worker_id, runner.running if runner else ())
        maintenance = Maintenance(runtime, takeover.look)
        self._heartbeat.start()
        if runner:
            runner.start()
            self._verifier.start()
            self._retention.start()
            if self._indexer:
                self._indexer.start()
        else:
            prepare_database(settings.database_url)
        maintenance.start()
        self._notices.start()
        self._pruning.start()
        self._maintenance = maintenance

    def stop(self) -> None:
        """Hand over what runs here, and stop."""
        if self._queue and self._maintenance:
            self._notices.stop()
            self._verifier.stop()
            self._retention.stop()
            if self._indexer:
                self._indexer.stop()
            self._maintenance.stop()
            self._pruning.stop()
            if self._runner:
                self._runner.stop()
                self._queue.hand_over(self.worker_id)
                self._runner.release()
            self._heartbeat.stop()
            with suppress(CatalogueError):  # the database is away: what was counted last is lost
                archive_usage.save_requests(self.runtime)
            workers.leave(self.runtime, self.worker_id)
        if self._metrics:
            self._metrics.stop()

    def ready(self) -> list[str]:
        """Return the problems that keep it from being ready."""
        if self._maintenance is None:
            return ["the queue does not run"]
        return [problem for problem in (self._heartbeat.problem, self._maintenance.problem) if problem]

    def enqueue(self, connection: Connection, job_id: str, by_hand: bool) -> None:
        """Enqueue a job in the caller's transaction; `by_hand` if a user started it."""
        self._running_queue().enqueue(connection, job_id, by_hand)

    def settle(self) -> None:
        """Merge the write-ahead log into the database file, after `stop`. Raises `CatalogueError`."""
        settle(self.runtime.database)

    def _forget_ended(self) -> None:
        self._running_queue().forget_ended(timedelta(days=self._settings.backup.queue_keep_days))

    def _running_queue(self) -> Queue:
        assert self._queue, "the service was not started"
        return self._queue

    def _make_runner(self, queue: Queue) -> Runner:
        from logkeep.work.runner import Runner  # noqa: PLC0415  see above

        settings = self._settings
        return Runner(
            self.runtime,
            self.worker_id,
            settings.database_url,
            queue.enqueue_behind,
            jobs_at_once=self._worker.jobs_at_once,
            jobs_in_all=settings.backup.jobs_in_all,
            visible_ms=round(settings.records.running_visible_seconds * 1000),
            poll_seconds=settings.backup.poll_seconds,
        )

    def _open_metrics(self) -> MetricsServer:
        """Count from now on, and serve the metrics at their own port."""
        from logkeep.api import metrics, metrics_server  # noqa: PLC0415  their library takes a tenth of a second to import

        chosen = self._settings.metrics
        meter = metrics.PrometheusMeter(__version__)
        self.runtime = replace(self.runtime, meter=meter)
        meter.watch(self.runtime, chosen.named_clusters)
        server = metrics_server.MetricsServer(chosen.listen, meter.registry)
        server.start()
        return server


def _warn_of_unknown_projects(runtime: Runtime, settings: Settings) -> None:
    """Warn about settings for unknown projects. They grant nothing, so they must not keep the service from starting."""
    known = [project.name for project in identity.list_projects(runtime)]
    for name in settings.sources.projects:
        if name not in known:
            _log.warning(
                f"sources.projects.{name}: there is no project of this name; correct it in logkeep.toml, or add the "
                f"project with `logkeep project add {name}`",
                projects=known[:_MAX_NAMED],
            )


def _keep_times(settings: Settings) -> KeepTimes:
    return KeepTimes(
        audit_days=settings.audit.keep_days,
        missed_days=settings.policy.missed_keep_days,
        usage_days=settings.usage.keep_days,
        forecast_days=settings.records.forecast_keep_days,
        session_minutes=settings.console.idle_minutes,
    )


def _this_process(jobs_at_once: int) -> Worker:
    host, pid = socket.gethostname(), os.getpid()
    return Worker(
        id=f"{host}-{pid}-{secrets.token_hex(3)}",
        host=host,
        pid=pid,
        version=__version__,
        queue_version=QUEUE_VERSION,
        revision=HEAD,
        jobs_at_once=jobs_at_once,
        started_at=0,
    )
