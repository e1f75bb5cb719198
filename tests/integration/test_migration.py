"""A database of an earlier version is brought forward with what is in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from logkeep.bootstrap.runtime import make_runtime
from logkeep.database import migrate as migration
from logkeep.database import workers
from logkeep.database.connection import connect, reading, writing
from logkeep.database.tables import metadata
from logkeep.domain.access import Role
from logkeep.domain.worker import Worker
from logkeep.errors import SettingError
from logkeep.keyfiles.creation import create_keys
from logkeep.keyfiles.seal import open_seal
from logkeep.service import identity
from logkeep.settings import Settings, load_settings
from tests.support.installation import new_database
from tests.support.migrated import migrated_once

pytestmark = pytest.mark.usefixtures("migrations")

PROJECT = "0123456789abcdef0123456789abcdef"


def at_revision(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent / "migrations"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(tmp_path, new_database())


@pytest.fixture
def old(tmp_path: Path, settings: Settings) -> Settings:
    """An installation of the first version with a project, an administrator's key, another one, and a revoked one."""
    create_keys(tmp_path)
    engine = connect(settings.database_url)
    at_revision(engine, "0001")
    seal = open_seal(tmp_path)
    keys = [("LKA", True, None), ("LKB", False, None), ("LKC", False, 5)]
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO projects VALUES (:id, 'cn-north-4', 1)"), {"id": PROJECT})
        for number, (ak, admin, revoked_at) in enumerate(keys):
            row: dict[str, Any] = {"ak": ak, "sk": seal.encrypt(f"secret of {ak}"), "admin": admin, "at": number}
            connection.execute(
                text(f"INSERT INTO access_keys VALUES (:ak, '{PROJECT}', :sk, :admin, :at, :revoked_at)"),
                row | {"revoked_at": revoked_at},
            )
        connection.execute(
            text("INSERT INTO clusters VALUES ('c', :id, 'prod', 'opensearch', '', '', 1, 1)"), {"id": PROJECT}
        )
    engine.dispose()
    return settings


def test_keys_and_projects_of_the_first_version_work_on(old: Settings) -> None:
    runtime = make_runtime(old)
    try:
        found = [(key.ak, key.role, key.revoked_at, key.expires_at) for key in identity.list_keys(runtime)]
        assert found == [
            ("LKA", Role.ADMIN, None, None),
            ("LKB", Role.OPERATOR, None, None),
            ("LKC", Role.OPERATOR, 5, None),
        ]
        for ak in ("LKA", "LKB"):
            key = identity.find_key(runtime, ak)
            assert key
            assert key[1] == f"secret of {ak}"
        (project,) = identity.list_projects(runtime, found_by="cn-north-4")
        assert (project.id, project.region) == (PROJECT, "")
        with reading(runtime.database) as connection:
            assert connection.execute(text("SELECT project_id FROM clusters")).scalars().all() == [PROJECT]
    finally:
        runtime.database.dispose()


@pytest.mark.parametrize("from_revision", ["", "0001", "0002"])
def test_tables_are_those_that_the_code_knows(settings: Settings, from_revision: str) -> None:
    engine = connect(settings.database_url)
    if from_revision:
        at_revision(engine, from_revision)
    migration.migrate(engine)
    with reading(engine) as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == migration.HEAD
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        if engine.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
    engine.dispose()


def test_what_is_kept_is_told_by_the_new_columns(settings: Settings) -> None:
    engine = connect(settings.database_url)
    at_revision(engine, "0002")
    bodies = [
        msgspec.msgpack.encode({"start": start, "frames": [{"raw": 5, "first_time": time} for time in times]})
        for start, times in ((0, ("", "2026-11-24T00:00:01,000", "2026-11-24T00:00:00,000")), (70, ()))
    ]
    with writing(engine) as connection:
        connection.execute(text(f"INSERT INTO projects (id, name, created_at) VALUES ('{PROJECT}', 'p', 1)"))
        connection.execute(text(f"INSERT INTO clusters VALUES ('c', '{PROJECT}', 'prod', 'opensearch', '', '', 1, 1)"))
        connection.execute(
            text(
                "INSERT INTO generations (cluster_id, node, generation, family, position, name, kept, head_length,"
                " head_sha256, tail_length, tail_sha256, last_time, present, size, mtime_ns, ctime_ns, inode)"
                " VALUES ('c', 'n', 1, 'f', 1.0, 'f', 100, 0, '', 0, '', '', true, -1, 0, 0, '')"
            )
        )
        for start, body in zip((0, 70), bodies, strict=True):
            connection.execute(
                text(
                    "INSERT INTO segments (cluster_id, node, generation, start, job_id, bucket, object, stored, body)"
                    f" VALUES ('c', 'n', 1, {start}, 'j', 'logs', 'o', 9, :body)"
                ),
                {"body": body},
            )
    migration.migrate(engine)
    with reading(engine) as connection:
        assert connection.execute(text("SELECT raw FROM segments ORDER BY start")).scalars().all() == [70, 30]
        assert connection.execute(text("SELECT first_time FROM generations")).scalar() == "2026-11-24T00:00:00,000"
    engine.dispose()


def test_policies_are_planned_from_the_last_moment_that_was_served(settings: Settings) -> None:
    engine = connect(settings.database_url)
    at_revision(engine, "0003")
    with writing(engine) as connection:
        connection.execute(text(f"INSERT INTO projects (id, name, created_at) VALUES ('{PROJECT}', 'p', 1)"))
        for name, period in (("daily", "'00:00 GMT+00:00'"), ("by-hand", "NULL")):
            connection.execute(
                text(f"INSERT INTO clusters VALUES ('{name}', '{PROJECT}', '{name}', 'opensearch', '', '', 1, 1)")
            )
            connection.execute(
                text(
                    "INSERT INTO log_settings (cluster_id, id, enabled, agency, bucket, base_path, period, updated_at,"
                    f" last_due, extra_due) VALUES ('{name}', 'x', true, 'a', 'b', 'p', {period}, 7, 172800000, 5)"
                )
            )
        connection.execute(
            text(
                "INSERT INTO jobs (id, job_id, cluster_id, type, status, bucket, base_path, created_at, finished_at)"
                " VALUES ('i', 'j', 'daily', 'Auto', 'SUCCESS', 'b', 'p', 1, 9)"
            )
        )
        connection.execute(text("INSERT INTO job_counts VALUES ('daily', 'SUCCESS', 1), ('daily', 'RUNNING', 0)"))
    migration.migrate(engine)
    with reading(engine) as connection:
        planned = "SELECT policy_since, due_at, missed_at, extra_due FROM log_settings ORDER BY cluster_id"
        assert connection.execute(text(planned)).all() == [(None, None, None, None), (7, 259_200_000, None, None)]
        assert connection.execute(text("SELECT last_at FROM job_counts ORDER BY status")).scalars().all() == [None, 9]
    engine.dispose()


def test_tables_of_other_tests_are_those_of_the_migrations(tmp_path: Path) -> None:
    def made(name: str) -> list[Any]:
        engine = connect(f"sqlite:///{tmp_path / name}")
        migration.migrate(engine)
        engine.dispose()
        with closing(sqlite3.connect(tmp_path / name)) as database:
            tables = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid").fetchall()
            return [tables, list(database.iterdump())]

    with migrated_once():
        at_once = made("at-once")
    assert at_once == made("by-migrations")


def test_head_is_the_newest_file() -> None:
    files = (Path(migration.__file__).parent / "migrations" / "versions").glob("[0-9]*.py")
    assert max(path.name[:4] for path in files) == migration.HEAD


def test_database_of_a_newer_version_is_refused(settings: Settings) -> None:
    engine = connect(settings.database_url)
    migration.migrate(engine)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingError, match="newer Logkeep"):
        migration.migrate(engine)
    engine.dispose()


def test_migration_is_refused_while_a_process_runs_that_needs_the_old_tables(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = connect(settings.database_url)
    migration.migrate(engine)
    head = migration.HEAD
    worker = Worker("old-1", "old", 1, "0.1.0", "1", head, 2, 0)
    with writing(engine) as connection:
        workers.save_beat(connection, worker)
    monkeypatch.setattr(migration, "HEAD", "9999")
    with pytest.raises(SettingError, match=r"processes that need it so still run: old-1 \(0\.1\.0\); stop them"):
        migration.migrate(engine)
    with writing(engine) as connection:  # it died a minute ago
        connection.execute(text("UPDATE workers SET seen_at = seen_at - 60000"))
    monkeypatch.setattr(migration, "_upgrade", lambda _connection: None)
    assert migration.migrate(engine) == (head, "9999")
    engine.dispose()
