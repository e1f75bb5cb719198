"""Segments put straight into the tables, as many and as large as a test of usage wants them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from sqlalchemy import insert

from logkeep.database import tables
from logkeep.database.connection import writing
from logkeep.domain.usage import DAY_MS
from logkeep.service.runtime import Runtime


def add_segments(runtime: Runtime, cluster_id: str, day: int, sizes: Sequence[int], node: str = "n1") -> None:
    """Add segments of these stored bytes and ten times as many raw ones, which a job of a day stored."""
    job_id = uuid4().hex
    job = {"id": str(uuid4()), "job_id": job_id, "cluster_id": cluster_id, "type": "Auto", "status": "SUCCESS"}
    job |= {"bucket": "logs", "base_path": "css/log"}
    common = {"cluster_id": cluster_id, "node": node, "start": 0, "job_id": job_id, "bucket": "logs", "body": b""}
    rows = [
        {**common, "generation": uuid4().int % 2**31, "object": uuid4().hex, "stored": size, "raw": 10 * size}
        for size in sizes
    ]
    with writing(runtime.database) as connection:
        connection.execute(insert(tables.jobs).values(**job, created_at=day * DAY_MS + 1))
        if rows:
            connection.execute(insert(tables.segments), rows)
