"""Brings the database to this version's tables."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from logkeep.database import workers
from logkeep.database.connection import hold_alone, reading, writing
from logkeep.errors import SettingError

HEAD = "0019"  # newest file in migrations/versions


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Create or upgrade the tables; return the revision before (None if there were none) and the one now.

    Raises `SettingError` if the database is of a newer Logkeep, or if a process that needs the old tables is running.
    """
    with reading(engine) as connection:
        found = _revision(connection)
    if found != HEAD:
        with writing(engine) as connection:
            hold_alone(connection)  # of several processes that start at the same time one upgrades, the others wait
            found = _revision(connection)
            if found != HEAD:
                _check(connection, found)
                _upgrade(connection)
    return found, HEAD


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _check(connection: Connection, found: str | None) -> None:
    if found is not None and found > HEAD:
        raise SettingError(
            f"database: it is of a newer Logkeep (revision {found}, this one knows {HEAD}); start that version"
        )
    if not inspect(connection).has_table("workers"):
        return  # of a version that has one process
    older = [worker for worker in workers.fetch_workers(connection) if worker.alive and worker.revision != HEAD]
    if older:
        named = ", ".join(f"{worker.id} ({worker.version})" for worker in older)
        raise SettingError(
            f"database: it is at revision {found}, and processes that need it so still run: {named}; stop them, and "
            "try again ten seconds later"
        )


def _upgrade(connection: Connection) -> None:
    from alembic import command, config  # noqa: PLC0415  takes half a second to import, and is needed once per version

    alembic = config.Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, "head")
