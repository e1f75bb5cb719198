"""What the service deletes by itself of its own database."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, event, func, insert, inspect, select, text

from logkeep.clock import SystemClock
from logkeep.database import findings, tables
from logkeep.database.connection import connect, reading, writing
from logkeep.database.users import fetch_token
from logkeep.domain.access import AuditEntry, Caller, Role, SignIn
from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.forecast import Forecast
from logkeep.domain.keep_times import KeepTimes
from logkeep.errors import CatalogueError
from logkeep.service import audit, console_sessions, identity, job_details, temporary_keys, users
from logkeep.service.users import VALID_MS
from logkeep.settings import documentation
from logkeep.work.pruning import Pruning
from logkeep.work.queue import APP, QUEUE, WORKFLOW, Queue, prepare_database
from tests.integration.cli.installed import until
from tests.support.installation import Installation

DAY_MS = 86_400_000
LINE = b"[2026-11-24T06:40:21,123][INFO ][o.e.n.Node               ] [n1] a line that is long enough\n"
KEEP = KeepTimes(audit_days=32, missed_days=400, usage_days=400, forecast_days=90, session_minutes=60)


@pytest.fixture
def pruning(installation: Installation) -> Pruning:
    return Pruning(installation.runtime, KEEP, lambda: None)


def test_old_entries_of_the_audit_and_expired_tokens_go_by_themselves(installation: Installation) -> None:
    runtime = installation.runtime
    users.add_user(runtime, installation.project, "alice", "a password", Role.READER)
    old = users.sign_in(runtime, SignIn("alice", "a password"), "127.0.0.1")
    record(installation, age_days=31)
    record(installation, age_days=29)
    installation.clock.advance(2 * VALID_MS)
    pruning = Pruning(runtime, KEEP, lambda: None, tick_seconds=0.05)
    pruning.start()
    try:
        until(lambda: audit.list_entries(runtime)[1] == 1, seconds=10)
    finally:
        pruning.stop()
    with reading(runtime.database) as connection:
        assert fetch_token(connection, old.token.sha256) is None


def test_sessions_links_and_keys_that_are_over_go(installation: Installation, pruning: Pruning) -> None:
    runtime = installation.runtime
    lasting = identity.add_key(runtime, installation.project)
    temporary_keys.add_for_key(runtime, lasting.key.ak, 900)
    console_sessions.sign_in_key(runtime, lasting.key.ak, lasting.sk, "127.0.0.1")
    console_sessions.make_link(runtime, Caller(lasting.key.ak, lasting.key.project_id, lasting.key.role))
    counted = (tables.console_sessions, tables.console_links, tables.access_keys)
    pruning.prune()
    assert [count(installation, table) for table in counted] == [1, 1, 2]
    installation.clock.advance(DAY_MS)
    pruning.prune()
    assert [count(installation, table) for table in counted] == [0, 0, 1]


def test_sightings_go_once_a_manifest_tells_of_them(
    installation: Installation, cluster: Cluster, logs: Path, pruning: Pruning
) -> None:
    back_up_with_sighting(installation, cluster, logs)
    assert kinds(installation) == {"sighting"}
    pruning.prune()
    assert kinds(installation) == set()
    assert installation.findings(cluster, chain=True) == []


def test_sightings_of_a_job_without_a_manifest_wait_for_the_next_one(
    installation: Installation, cluster: Cluster, logs: Path, pruning: Pruning
) -> None:
    job = back_up_with_sighting(installation, cluster, logs)
    with writing(installation.runtime.database) as connection:
        connection.execute(tables.jobs.update().where(tables.jobs.c.job_id == job.job_id).values(manifest_job_id=None))
    pruning.prune()
    assert kinds(installation) == {"sighting"}


def test_forecasts_go_after_their_time_and_gaps_and_failures_stay(
    installation: Installation, cluster: Cluster, logs: Path, pruning: Pruning
) -> None:
    (logs / "es.log").write_bytes(LINE)
    job = installation.back_up(cluster)
    with writing(installation.runtime.database) as connection:
        findings.insert_findings(connection, job.job_id, "n1", [Forecast("n1", "es.log", 1, 2), "it was away"])
    for days, left in ((89, 1), (2, 0)):
        installation.clock.advance(days * DAY_MS)
        pruning.prune()
        detail = job_details.get_detail(installation.runtime, installation.project.id, job.job_id)
        assert (len(detail.forecasts), detail.failures) == (left, ("it was away",))
        pruning.prune()  # at the end of the table, from where it begins anew


def test_a_backlog_is_worked_off_in_small_transactions(installation: Installation, pruning: Pruning) -> None:
    entries = [values(installation, age_days=40) for _ in range(12_000)]
    with writing(installation.runtime.database) as connection:
        connection.execute(insert(tables.audit), entries)
    deleted: list[int] = []
    event.listen(installation.runtime.database, "after_cursor_execute", lambda *given: note(deleted, *given))
    pruning.prune()
    assert (max(deleted), sum(deleted)) == (500, 10_000)
    pruning.prune()
    assert count(installation, tables.audit) == 0


def test_what_fails_keeps_nothing_else_from_being_pruned(installation: Installation) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    record(installation, age_days=40)
    with pytest.raises(ZeroDivisionError):
        Pruning(installation.runtime, KEEP, fail).prune()
    assert count(installation, tables.audit) == 0


def test_after_an_outage_it_is_pruned_soon_so_that_the_outage_ends(installation: Installation) -> None:
    failures = iter([CatalogueError("it is away")])

    def forget_ended() -> None:
        for failure in failures:
            raise failure

    record(installation, age_days=40)
    pruning = Pruning(installation.runtime, KEEP, forget_ended, tick_seconds=3600)
    pruning.start()
    try:
        until(lambda: count(installation, tables.audit) == 0, seconds=10)
    finally:
        pruning.stop()


def test_ended_workflows_go_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'queue.db'}"
    prepare_database(url)
    engine = connect(url)
    queue = Queue(engine)
    with writing(engine) as connection:
        for _ in range(3):
            queue.enqueue(connection, "f" * 32, by_hand=False)
        connection.execute(text("UPDATE workflow_status SET created_at = created_at - 200000000"))
        row = f"'SUCCESS', '{WORKFLOW}', '{QUEUE}', '{APP}', 1, 1, 1, {SystemClock().now_ms() - DAY_MS}"
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)"
        columns = "status, name, queue_name, application_name, priority, created_at, updated_at, completed_at"
        connection.execute(
            text(f"INSERT INTO workflow_status (workflow_uuid, {columns}) {numbers} SELECT i, {row} - 60000 FROM n")
        )
        connection.execute(text(f"INSERT INTO workflow_status (workflow_uuid, {columns}) SELECT 'new', {row} + 60000"))
        for table in ("workflow_input", "workflow_output"):
            connection.execute(text(f"INSERT INTO {table} (workflow_uuid) {numbers} SELECT i FROM n"))
    for left in (2000, 0):
        queue.forget_ended(timedelta(days=1))
        with reading(engine) as connection:
            for table, stay in (("workflow_status", 2), ("workflow_input", 1), ("workflow_output", 0)):
                assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == left + stay
    queue.close()
    engine.dispose()


def test_each_table_is_named_where_it_is_told_what_grows(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'queue.db'}"
    prepare_database(url)
    engine = connect(url)
    of_queue = inspect(engine).get_table_names()
    engine.dispose()
    section = documentation("running").read_text("utf-8").partition("\n## What grows, and what deletes it\n")[2]
    told = set(re.findall(r"`([a-z_]+)`", section.partition("\n## ")[0]))
    assert {*tables.metadata.tables, *of_queue} - told == set()


def back_up_with_sighting(installation: Installation, cluster: Cluster, logs: Path) -> BackupJob:
    (logs / "es.log").write_bytes(LINE)
    installation.back_up(cluster)
    (logs / "es.log").rename(logs / "es-2026-11-24-1.log")
    job = installation.back_up(cluster)
    assert job.status is JobStatus.SUCCESS
    return job


def kinds(installation: Installation) -> set[str]:
    with reading(installation.runtime.database) as connection:
        return set(connection.execute(select(tables.findings.c.kind)).scalars())


def count(installation: Installation, table: Table) -> int:
    with reading(installation.runtime.database) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def values(installation: Installation, age_days: int) -> dict[str, Any]:
    entry = AuditEntry(
        installation.clock.now_ms() - age_days * DAY_MS, "ak", "p", "StopLogs", "", "127.0.0.1", 200, "", "0" * 32
    )
    return {column.name: getattr(entry, column.name) for column in tables.audit.c if column.name != "id"}


def record(installation: Installation, age_days: int) -> None:
    audit.record(installation.runtime, AuditEntry(**values(installation, age_days)))


def note(deleted: list[int], _connection: Any, cursor: Any, statement: str, *_more: Any) -> None:
    if statement.startswith("DELETE FROM audit"):
        deleted.append(cursor.rowcount)
