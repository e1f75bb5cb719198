"""What a job tells of itself while it runs and afterwards."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.job_detail import JobDetail, JobNode
from logkeep.errors import InvalidField, StoreError, StoreUnreachable
from logkeep.service import backups, job_details
from logkeep.stores.base import put_each
from tests.support.installation import Installation

LINE = b"[2026-11-24T00:00:00,000][INFO ] a line\n"


class WatchedStore:
    """A store that lets the test look before each upload."""

    def __init__(self, store: Any, look: Callable[[], None]) -> None:
        self._store = store
        self._look = look

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        self._look()
        return self._store.put(name, chunks)

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> list[int | StoreError]:
        return put_each(self.put, objects, 1)


@pytest.fixture(autouse=True)
def _one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each segment is committed before the next one is stored, so that there is one order of things."""
    monkeypatch.setattr("logkeep.backup.uploads._MOST", 1)


def watch(installation: Installation, look: Callable[[JobNode], None]) -> None:
    """Show what is told of the node n1 before each upload of the job that runs."""

    def now() -> None:
        [(job_id, _)] = backups.list_running(installation.runtime)
        look(next(node for node in detail(installation, job_id).nodes if node.node == "n1"))

    stores = {name: WatchedStore(store, now) for name, store in installation.runtime.stores.items()}
    installation.runtime = replace(installation.runtime, stores=stores)


def detail(installation: Installation, job_id: str, **page: int) -> JobDetail:
    return job_details.get_detail(installation.runtime, installation.project.id, job_id, **page)


def test_done_moves_with_each_file(installation: Installation, cluster: Cluster, logs: Path) -> None:
    for number, count in enumerate((10, 20, 30), 1):
        (logs / f"es-2026-11-24-{number}.log").write_bytes(LINE * count)
    seen: list[tuple[int | None, int | None]] = []
    watch(installation, lambda node: seen.append((node.done, node.planned)))
    job = installation.back_up(cluster)
    size = len(LINE)
    whole = 60 * size
    assert seen[:3] == [(0, whole), (10 * size, whole), (30 * size, whole)]
    [node] = detail(installation, job.job_id).nodes
    assert (node.done, node.planned, node.raw, node.lines, node.files) == (whole, whole, whole, 60, 3)
    assert node.started_at is not None
    assert node.finished_at is not None


def test_only_what_is_not_kept_is_planned(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "es.log").write_bytes(LINE * 10)
    installation.back_up(cluster)
    (logs / "es.log").write_bytes(LINE * 12)
    planned: list[int | None] = []
    watch(installation, lambda node: planned.append(node.planned))
    installation.back_up(cluster)
    assert planned[0] == 2 * len(LINE)


def test_a_compressed_file_is_planned_with_the_size_it_has(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    packed = gzip.compress(LINE * 10_000)
    (logs / "es-2026-11-24-1.log.gz").write_bytes(packed)
    (logs / "es.log").write_bytes(LINE)
    seen: list[tuple[int | None, int | None]] = []
    watch(installation, lambda node: seen.append((node.done, node.planned)))
    job = installation.back_up(cluster)
    whole = 10_000 * len(LINE)
    assert seen[:2] == [(0, len(packed) + len(LINE)), (whole, whole + len(LINE))]
    [node] = detail(installation, job.job_id).nodes
    assert node.done == node.planned == whole + len(LINE)


def test_nodes_that_are_still_to_come_are_told_while_it_runs(installation: Installation, tmp_path: Path) -> None:
    for name in ("n1", "n2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "es.log").write_bytes(LINE)
    cluster = installation.add_cluster(n1=tmp_path / "n1", n2=tmp_path / "n2")
    running = backups.start_backup(installation.runtime, cluster)
    assert [(n.node, n.started_at, n.planned) for n in detail(installation, running.job_id).nodes] == [
        ("n1", None, None),
        ("n2", None, None),
    ]
    installation.run(running)
    assert all(node.started_at for node in detail(installation, running.job_id).nodes)


def test_a_second_attempt_goes_on_counting(installation: Installation, cluster: Cluster, logs: Path) -> None:
    for number in (1, 2, 3):
        (logs / f"es-2026-11-24-{number}.log").write_bytes(LINE * number)
    before = installation.runtime
    left = [2]

    def fail(_: JobNode) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    watch(installation, fail)
    running = backups.start_backup(installation.runtime, cluster)
    with pytest.raises(KeyboardInterrupt):
        installation.run(running)
    told = detail(installation, running.job_id)
    assert (told.attempts, told.nodes[0].done, told.nodes[0].finished_at) == (1, 3 * len(LINE), None)
    installation.runtime = before
    installation.run(running)
    told = detail(installation, running.job_id)
    assert (told.attempts, told.nodes[0].done, told.nodes[0].planned) == (2, 6 * len(LINE), 6 * len(LINE))


def test_a_node_that_could_not_be_read_is_told(installation: Installation, tmp_path: Path) -> None:
    job = installation.back_up(installation.add_cluster(n1=tmp_path / "missing"))
    told = detail(installation, job.job_id)
    assert told.job.status is JobStatus.FAIL
    [failure] = told.failures
    assert failure.startswith("LK-SOURCE-UNREACHABLE: node n1")
    assert (told.nodes[0].files, told.nodes[0].lines) == (0, 0)


def test_a_node_that_the_bucket_failed_is_not_finished(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    (logs / "es.log").write_bytes(LINE)

    def fail(_: JobNode) -> None:
        raise StoreUnreachable("the bucket does not answer")

    watch(installation, fail)
    job = installation.back_up(cluster)
    assert job.status is JobStatus.FAIL
    assert detail(installation, job.job_id).nodes[0].finished_at is None


def test_files_of_a_job_come_in_pages(installation: Installation, cluster: Cluster, logs: Path) -> None:
    for number in range(1, 8):
        (logs / f"es-2026-11-24-{number}.log").write_bytes(LINE * number)
    job = installation.back_up(cluster)
    pages = [detail(installation, job.job_id, offset=offset, limit=3).files for offset in (0, 3, 6, 9)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert [file.lines for page in pages for file in page] == [1, 2, 3, 4, 5, 6, 7]
    again = installation.back_up(cluster)
    assert detail(installation, again.job_id).files == []


def test_a_job_that_is_not_there_is_refused(installation: Installation, cluster: Cluster) -> None:
    with pytest.raises(InvalidField, match="job_id: the project has no such job"):
        detail(installation, "0" * 32)
