"""Carrying a job out in a process that is killed at a given point between two of its side effects."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy.engine.default import DefaultDialect

from logkeep.clock import FixedClock
from logkeep.errors import StoreError
from logkeep.service import backups, clusters
from logkeep.sources.base import Tenant
from logkeep.stores.base import ObjectStore
from tests.support.installation import Installation, reopen_installation
from tests.support.model import BusySource

NOW = 4_000_000_100_000  # long after the logs were written


class Points:
    """Counts the points that are passed, and kills the process at one of them."""

    def __init__(self, fatal: int | None = None) -> None:
        self._fatal = fatal
        self.passed: list[str] = []

    def __call__(self, what: str) -> None:
        if len(self.passed) == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed.append(what)


class WatchedStore:
    """A store with a point before and after each write, and after each piece of it."""

    def __init__(self, store: ObjectStore, points: Points) -> None:
        self._store = store
        self._points = points

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        self._points(f"before put {name}")
        size = self._store.put(name, self._watched(chunks, name))
        self._points(f"after put {name}")
        return size

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> list[int | StoreError]:
        """Killed in the middle, some are there: each, or none of those behind it."""
        outcomes: list[int | StoreError] = []
        for one in objects:
            self._points(f"before put {one[0]}")
            outcomes += self._store.put_many([one])
        self._points(f"after put of {len(objects)}")
        return outcomes

    def remove(self, names: Sequence[str]) -> list[StoreError | None]:
        """Killed in the middle, some are gone."""
        outcomes: list[StoreError | None] = []
        for name in names:
            self._points(f"before remove {name}")
            outcomes += self._store.remove([name])
        self._points(f"after removal of {len(names)}")
        return outcomes

    def _watched(self, chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk
            self._points(f"amid put {name}")

    def check(self) -> None:
        self._points("before the bucket is tried")
        self._store.check()
        self._points("after the bucket was tried")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def watched(installation: Installation, points: Points) -> Installation:
    runtime = installation.runtime
    stores = {name: WatchedStore(store, points) for name, store in runtime.stores.items()}

    def open_source(url: str, tenant: Tenant) -> BusySource:
        return BusySource(runtime.open_source(url, tenant), lambda: points("read of the source"))

    return replace(installation, runtime=replace(runtime, stores=stores, open_source=open_source))


def watch_commits(points: Points) -> Any:
    """A patch of each commit of every database of this process."""
    commit: Callable[..., None] = DefaultDialect.do_commit

    def watched_commit(dialect: DefaultDialect, connection: Any) -> None:
        points("before commit")
        commit(dialect, connection)
        points("after commit")

    return patch.object(DefaultDialect, "do_commit", watched_commit)


def go_on(installation: Installation) -> None:
    """What a start does: carry out every job that is RUNNING."""
    for job_id, _ in backups.list_running(installation.runtime):
        installation.run(installation.job(job_id))


def run_until(folder: Path, fatal: int | None, report: Path) -> None:
    """Carry out what is RUNNING and die at the fatal point; without one, write down the points that were passed."""
    points = Points(fatal)
    with reopen_installation(folder, FixedClock(NOW)) as installation, watch_commits(points):
        go_on(watched(installation, points))
    report.write_text("\n".join(points.passed), encoding="utf-8")


def remove_until(folder: Path, fatal: int | None, report: Path) -> None:
    """The same of removing the cluster."""
    points = Points(fatal)
    with reopen_installation(folder, FixedClock(NOW)) as installation, watch_commits(points):
        cluster = clusters.list_clusters(installation.runtime, installation.project.id)[0][0]
        clusters.remove_cluster(watched(installation, points).runtime, cluster)
    report.write_text("\n".join(points.passed), encoding="utf-8")
