"""The strip of the last days of each cluster."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import pytest
from sqlalchemy import event, insert

from logkeep.database import tables
from logkeep.database.connection import writing
from logkeep.domain.cluster import Cluster
from logkeep.domain.day_strip import DAY_MS, Day
from logkeep.errors import InvalidField
from logkeep.service import log_settings
from logkeep.service.day_strips import list_days
from tests.support.installation import Installation

HOUR = 3_600_000
MARKS = {"none": ".", "kept": "k", "failed": "f", "missed": "m", "running": "r"}


def insert_jobs(installation: Installation, cluster_id: str, ends: Sequence[tuple[int, str]], lasts: int = 1) -> None:
    """Jobs as (end, status), each begun so long before its end."""
    row = {"cluster_id": cluster_id, "type": "Auto", "bucket": "logs", "base_path": "css/log"}
    rows = [
        {**row, "id": str(uuid4()), "job_id": uuid4().hex, "status": status, "created_at": at - lasts}
        | {"finished_at": None if status == "RUNNING" else at}
        for at, status in ends
    ]
    with writing(installation.runtime.database) as connection:
        connection.execute(insert(tables.jobs), rows)


def strip(days: Sequence[Day]) -> str:
    return "".join(MARKS[day.state] for day in days)


def test_a_failure_that_was_mended_the_same_day_counts_as_kept(installation: Installation, cluster: Cluster) -> None:
    midnight = installation.clock.now_ms() // DAY_MS * DAY_MS
    yesterday = midnight - DAY_MS
    insert_jobs(installation, cluster.id, [(yesterday, "FAIL"), (midnight - 1, "SUCCESS"), (midnight, "FAIL")])
    days = list_days(installation.runtime, [cluster.id], days=3)[cluster.id]
    assert strip(days) == ".kf"
    assert [(day.jobs, day.failed) for day in days] == [(0, 0), (2, 1), (1, 1)]
    [first, *_] = list_days(installation.runtime, [cluster.id], days=30, offset_minutes=14 * 60).values()
    assert (len(first), first[-1].date) == (30, "2096-10-02")


def test_a_daily_run_that_did_not_come_is_missed(installation: Installation, cluster: Cluster) -> None:
    log_settings.start_policy(installation.runtime, cluster, "23:00 GMT+00:00")
    assert strip(list_days(installation.runtime, [cluster.id], days=3)[cluster.id]) == "..."
    installation.clock.advance(3 * 24 * HOUR)
    assert strip(list_days(installation.runtime, [cluster.id], days=5)[cluster.id]) == "..mm."
    insert_jobs(installation, cluster.id, [(installation.clock.now_ms() - DAY_MS, "SUCCESS")], lasts=DAY_MS)
    assert strip(list_days(installation.runtime, [cluster.id], days=5)[cluster.id]) == "...k."
    log_settings.stop_policy(installation.runtime, cluster)
    installation.clock.advance(3 * 24 * HOUR)
    assert strip(list_days(installation.runtime, [cluster.id], days=3)[cluster.id]) == "..."


def test_a_job_that_runs_is_told_until_one_ends(installation: Installation, cluster: Cluster) -> None:
    now = installation.clock.now_ms()
    insert_jobs(installation, cluster.id, [(now - 40 * DAY_MS, "SUCCESS"), (now - DAY_MS, "RUNNING")])
    assert strip(list_days(installation.runtime, [cluster.id], days=3)[cluster.id]) == ".rr"
    insert_jobs(installation, cluster.id, [(now - 1, "FAIL")])
    assert strip(list_days(installation.runtime, [cluster.id], days=3)[cluster.id]) == ".rf"


def test_a_job_that_began_before_the_days_is_counted_where_it_ended(
    installation: Installation, cluster: Cluster
) -> None:
    now = installation.clock.now_ms()
    insert_jobs(installation, cluster.id, [(now - DAY_MS, "SUCCESS")], lasts=9 * DAY_MS)
    assert strip(list_days(installation.runtime, [cluster.id], days=3)[cluster.id]) == ".k."
    insert_jobs(installation, cluster.id, [(now - DAY_MS + 2, "FAIL")])
    day = list_days(installation.runtime, [cluster.id], days=3)[cluster.id][1]
    assert (day.state, day.jobs, day.failed) == ("failed", 2, 1)


def test_many_clusters_cost_no_more_statements_than_one(installation: Installation, cluster: Cluster) -> None:
    said: list[str] = []
    event.listen(installation.runtime.database, "before_cursor_execute", lambda *given: said.append(given[2]))
    ids = [cluster.id, *(str(uuid4()) for _ in range(99))]
    found = list_days(installation.runtime, ids, days=90)
    assert list(found) == ids and {len(days) for days in found.values()} == {90}
    assert sum(text.startswith("SELECT") for text in said) == 4


@pytest.mark.parametrize(("days", "offset"), [(0, 0), (91, 0), (30, 841), (30, -841)])
def test_bounds_of_a_strip(installation: Installation, days: int, offset: int) -> None:
    with pytest.raises(InvalidField, match="came"):
        list_days(installation.runtime, [], days=days, offset_minutes=offset)
