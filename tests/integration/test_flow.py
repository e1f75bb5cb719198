"""How far a job is shows bytes as they are read, before a segment of them is committed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from logkeep.database import job_nodes
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.errors import CatalogueError
from logkeep.service import backups, catalogue
from logkeep.service.backup_run import run_job
from tests.support.installation import Installation


def test_bytes_count_as_they_flow_and_once(
    installation: Installation, cluster: Cluster, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_FLOW_SECONDS", 0.0)
    (logs / "prod.log").write_bytes(b"".join(os.urandom(40).hex().encode() + b"\n" for _ in range(200_000)))
    size, seen = 200_000 * 81, list[tuple[int, int]]()
    advance = job_nodes.advance_node

    def watched(connection: Any, job_id: str, node: str, read: int) -> None:
        advance(connection, job_id, node, read)
        (only,) = job_nodes.fetch_nodes(connection, job_id)
        seen.append((only.done or 0, only.raw))

    monkeypatch.setattr(job_nodes, "advance_node", watched)
    job = installation.back_up(cluster)
    flowing = [done for done, raw in seen if not raw]
    assert flowing == sorted(flowing)
    assert 0 < flowing[0] < size / 2
    with reading(installation.runtime.database) as connection:
        (only,) = job_nodes.fetch_nodes(connection, job.job_id)
    assert only.done == only.planned == only.raw
    assert only.raw >= size


def test_what_an_attempt_only_read_does_not_count_in_the_next(
    installation: Installation, cluster: Cluster, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_FLOW_SECONDS", 0.0)
    (logs / "prod.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ] a line\n" * 100_000)
    commit = catalogue.JobCatalogue.commit

    def fail(*_: Any) -> None:
        raise CatalogueError()

    monkeypatch.setattr(catalogue.JobCatalogue, "commit", fail)
    job = backups.start_backup(installation.runtime, cluster)
    with pytest.raises(CatalogueError):
        run_job(installation.runtime, job.job_id)
    monkeypatch.setattr(catalogue.JobCatalogue, "commit", commit)
    run_job(installation.runtime, job.job_id)
    with reading(installation.runtime.database) as connection:
        (only,) = job_nodes.fetch_nodes(connection, job.job_id)
    assert only.done == only.planned == only.raw > 0
