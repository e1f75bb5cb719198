"""What the archive takes: sums, recorded days, months, indexes, requests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from logkeep.database import tables
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import Cluster
from logkeep.domain.usage import DAY_MS, RequestKind, Sums, Usage, UsageBy, day_of, day_text
from logkeep.errors import ClusterNotFound
from logkeep.service import archive_usage, clusters, identity, indexing, log_settings
from tests.support.installation import Installation, open_installation
from tests.support.usage import add_segments

KEEP = 400


def used(installation: Installation, by: UsageBy = UsageBy.CLUSTER, *cluster_ids: str) -> Usage:
    return archive_usage.get_usage(
        installation.runtime, installation.project.id, by, cluster_ids=cluster_ids, limit=100
    )


def recorded(installation: Installation) -> dict[str, int]:
    """Stored bytes by day."""
    d = tables.usage_days.c
    with reading(installation.runtime.database) as connection:
        rows = connection.execute(select(d.day, d.stored).order_by(d.day)).all()
    assert len({row.day for row in rows}) == len(rows)
    return {day_text(row.day): row.stored for row in rows}


def record(installation: Installation) -> None:
    archive_usage.record_days(installation.runtime, KEEP)


@pytest.fixture
def today(installation: Installation) -> int:
    return day_of(installation.clock.now_ms())


def test_sums_are_those_of_the_objects_in_the_bucket(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "prod.log").write_bytes(b"[2026-11-24T05:00:00,000][INFO ] a line\n" * 100)
    (logs / "prod_audit.json").write_bytes(b'{"a": 1}\n' * 50)
    installation.back_up(cluster)
    found = used(installation)
    (row,) = found.rows
    objects = installation.objects()
    assert (row.cluster, row.sums) == ("prod", found.total.sums)
    assert row.sums == Sums(4000 + 450, sum(one.stat().st_size for one in objects), len(objects))
    by_log = {one.log: one.sums.raw for one in used(installation, UsageBy.LOG).rows}
    assert by_log == {"prod.log": 4000, "prod_audit.json": 450}
    (node,) = used(installation, UsageBy.NODE, cluster.id).rows
    assert (node.node, node.sums) == ("n1", row.sums)


def test_rows_are_the_largest_first_page_by_page_and_the_total_is_of_all(
    installation: Installation, cluster: Cluster, today: int
) -> None:
    for number, size in enumerate((5, 9, 7)):
        add_segments(installation.runtime, cluster.id, today, [size], f"n{number}")
    found = archive_usage.get_usage(installation.runtime, installation.project.id, UsageBy.NODE, offset=1, limit=1)
    assert ([row.node for row in found.rows], found.rows_total) == (["n2"], 3)
    assert found.total.sums == Sums(210, 21, 3)


def test_logs_of_generations_that_are_gone_count_all_the_same(
    installation: Installation, cluster: Cluster, today: int
) -> None:
    add_segments(installation.runtime, cluster.id, today, [5, 9])
    found = used(installation, UsageBy.LOG)
    assert [(row.log, row.sums.stored) for row in found.rows] == [("", 14)]


def test_a_cluster_without_logs_is_listed_and_one_of_another_project_refused(
    installation: Installation, cluster: Cluster
) -> None:
    assert [(row.cluster, row.sums) for row in used(installation).rows] == [("prod", Sums())]
    other = identity.add_project(installation.runtime, "other")
    with pytest.raises(ClusterNotFound):
        archive_usage.get_usage(installation.runtime, other.id, UsageBy.CLUSTER, cluster_ids=[cluster.id], limit=1)
    assert archive_usage.get_usage(installation.runtime, other.id, UsageBy.CLUSTER, limit=1).rows == []


def test_days_before_the_first_look_are_worked_out_from_the_jobs(
    installation: Installation, cluster: Cluster, today: int
) -> None:
    for age in (100, 3, 1, 0):
        add_segments(installation.runtime, cluster.id, today - age, [age + 1])
    record(installation)
    days = recorded(installation)
    assert [days[day_text(today - age)] for age in (4, 3, 2, 1)] == [101, 105, 105, 107]
    assert day_text(today) not in days
    assert used(installation).days[-1].sums.stored == 108
    record(installation)
    assert recorded(installation) == days


def test_growth_and_forecast_come_from_recorded_days(installation: Installation, cluster: Cluster, today: int) -> None:
    for age in range(40):
        add_segments(installation.runtime, cluster.id, today - age, [100])
    assert used(installation).total.growth is None  # nothing is recorded yet
    record(installation)
    found = used(installation)
    assert found.total.growth and found.rows[0].growth == found.total.growth
    assert (found.total.growth.per_day, found.total.growth.days) == (100.0, 30)


def test_months_end_with_what_there_was(installation: Installation, cluster: Cluster, today: int) -> None:
    for age in (70, 40, 0):
        add_segments(installation.runtime, cluster.id, today - age, [10])
    record(installation)
    months = used(installation, UsageBy.MONTH).rows
    assert [row.sums.stored for row in months][:1] == [30]
    assert [row.month for row in months] == sorted((row.month for row in months), reverse=True)
    assert sum(row.added or 0 for row in months) == 30 - months[-1].sums.stored


def test_a_day_is_recorded_once_whoever_races(installation: Installation, cluster: Cluster, today: int) -> None:
    for number in range(150):  # more than one batch
        name = f"c{number}"
        clusters.add_cluster(installation.runtime, installation.project.id, name, [node_in(installation)])
    add_segments(installation.runtime, cluster.id, today - 3, [7])
    barrier = Barrier(4)

    def race(_: int) -> None:
        barrier.wait(10)
        record(installation)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(race, range(4)))
    d = tables.usage_days.c
    with reading(installation.runtime.database) as connection:
        rows = connection.execute(select(d.cluster_id).where(d.day == today - 1)).scalars().all()
        mine = connection.execute(select(d.day, d.stored).where(d.cluster_id == cluster.id).order_by(d.day)).all()
    assert len(rows) == len(set(rows)) == 151
    assert [row.stored for row in mine] == [0, 7, 7, 7]


def test_what_is_too_old_goes_and_the_ends_of_months_stay(
    installation: Installation, cluster: Cluster, today: int
) -> None:
    add_segments(installation.runtime, cluster.id, today - 300, [1])
    record(installation)
    installation.clock.advance(200 * DAY_MS)
    record(installation)
    days = recorded(installation)
    assert min(days) >= day_text(today + 200 - KEEP)
    old = [day for day in days if day < day_text(today + 200 - 62)]
    assert old == sorted(old) and 8 <= len(old) <= 12
    assert all(day[8:] in {"28", "29", "30", "31"} for day in old)


def test_days_go_with_their_cluster(installation: Installation, cluster: Cluster) -> None:
    record(installation)
    assert recorded(installation)
    log_settings.close_backup(installation.runtime, cluster)
    clusters.remove_cluster(installation.runtime, cluster)
    assert recorded(installation) == {}


def test_recorded_days_are_as_a_model_says(tmp_path: Path) -> None:
    with open_installation(tmp_path / "installation") as installation:  # one for all examples, as making it takes long

        @settings(max_examples=15, deadline=None)
        @given(
            st.lists(
                st.tuples(st.lists(st.integers(1, 50), max_size=3), st.booleans(), st.booleans()),
                min_size=1,
                max_size=12,
            )
        )
        def recorded_days_are_true(history: list[tuple[list[int], bool, bool]]) -> None:
            """Each day some objects are stored; where the service looks, some may be removed behind it."""
            with new_cluster(installation) as cluster_id:
                follow(installation, cluster_id, history)

        recorded_days_are_true()


def follow(installation: Installation, cluster_id: str, history: list[tuple[list[int], bool, bool]]) -> None:
    truth: dict[str, int] = {}
    kept: list[int] = []
    for sizes, looks, removes in history:
        day = day_of(installation.clock.now_ms())
        add_segments(installation.runtime, cluster_id, day, sizes)
        kept += sizes
        installation.clock.advance(DAY_MS)
        truth[day_text(day)] = sum(kept)
        if looks:
            record(installation)
            found = recorded(installation)
            assert {name: found.get(name, 0) for name in truth} == truth
            if removes and kept:  # as retention does, once what was before is recorded
                with writing(installation.runtime.database) as connection:
                    connection.execute(delete(tables.segments).where(tables.segments.c.stored == kept[0]))
                kept = [size for size in kept if size != kept[0]]


@contextmanager
def new_cluster(installation: Installation) -> Iterator[str]:
    name = f"c{uuid4().hex}"
    cluster = clusters.add_cluster(installation.runtime, installation.project.id, name, [node_in(installation)])
    yield cluster.id
    clusters.remove_cluster(installation.runtime, cluster)


def node_in(installation: Installation) -> clusters.NewNode:
    folder = installation.folder.parent / "node"
    folder.mkdir(exist_ok=True)
    return clusters.NewNode("n", folder.as_uri())


# Indexes


def test_the_size_of_an_index_is_known_once_it_is_made(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    (logs / "prod.log").write_bytes(b"[2026-11-24T05:00:00,000][INFO ] a line\n" * 100)
    installation.back_up(cluster)
    assert used(installation).rows[0].index is None
    list(indexing.index_cluster(installation.runtime, cluster))
    files = [one for one in installation.bucket.rglob("_index/**/*") if one.is_file()]
    index = used(installation).rows[0].index
    assert index and (index.objects, index.stored) == (len(files), sum(one.stat().st_size for one in files))
    assert used(installation).total.index == index


# Requests


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Installation]:
    """Its bucket is no folder, so that it takes requests."""
    with open_installation(tmp_path / "memory", toml='[buckets.logs]\nurl = "memory:"\n') as installation:
        yield installation


def test_requests_count_for_the_cluster_whose_objects_they_are_about(in_memory: Installation, logs: Path) -> None:
    runtime = in_memory.runtime
    cluster = in_memory.add_cluster(n1=logs)
    quiet = clusters.add_cluster(runtime, in_memory.project.id, "quiet", [clusters.NewNode("n", f"file://{logs}")])
    (logs / "prod.log").write_bytes(b"[2026-11-24T05:00:00,000][INFO ] a line\n" * 100)
    in_memory.back_up(cluster)
    assert in_memory.restored(cluster)
    counted = runtime.requests.all()
    archive_usage.save_requests(runtime)
    found = {row.cluster_id: row.requests or {} for row in used(in_memory).rows}
    mine = found[cluster.id]
    assert mine[RequestKind.PUT] >= 2  # a segment, and a manifest with its signature
    assert mine[RequestKind.GET] >= 1
    assert all(number <= counted["logs", kind] for kind, number in mine.items())
    assert not found[quiet.id]
    (month,) = used(in_memory, UsageBy.MONTH).rows
    assert month.requests == mine
    archive_usage.save_requests(runtime)
    assert used(in_memory).rows[0].requests == mine  # nothing counts twice


def test_processes_add_up_and_what_could_not_be_saved_is_saved_later(in_memory: Installation, logs: Path) -> None:
    runtime = in_memory.runtime
    cluster = in_memory.add_cluster(n1=logs)
    archive_usage.save_requests(runtime)
    before = dict((used(in_memory).rows[0].requests or {}).items())
    count = runtime.requests.of_bucket("logs")
    with ThreadPoolExecutor(4) as pool:
        for _ in range(100):
            pool.submit(count, RequestKind.GET, f"css/log/{cluster.name}/n1/prod.log/00000000-0-a.zst", 3)
            pool.submit(archive_usage.save_requests, runtime)
    archive_usage.save_requests(runtime)
    after = used(in_memory).rows[0].requests or {}
    assert after[RequestKind.GET] - before.get(RequestKind.GET, 0) == 300


def test_what_could_not_be_saved_is_not_lost(in_memory: Installation, logs: Path) -> None:
    runtime = in_memory.runtime
    in_memory.add_cluster(n1=logs)
    archive_usage.save_requests(runtime)
    runtime.requests.of_bucket("logs")(RequestKind.LIST, "css/log/prod/n1/", 2)
    with writing(runtime.database) as connection:
        connection.exec_driver_sql("ALTER TABLE store_requests RENAME TO hidden")
    with pytest.raises(Exception, match="store_requests"):
        archive_usage.save_requests(runtime)
    with writing(runtime.database) as connection:
        connection.exec_driver_sql("ALTER TABLE hidden RENAME TO store_requests")
    archive_usage.save_requests(runtime)
    assert (used(in_memory).rows[0].requests or {})[RequestKind.LIST] >= 2


def test_a_folder_as_a_bucket_takes_no_requests(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "prod.log").write_bytes(b"a line\n")
    installation.back_up(cluster)
    assert installation.runtime.requests.all() == {}
