"""Which installation a database belongs to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, inspect, select

from logkeep.database.connection import reading, writing
from logkeep.database.tables import installation


def looks_made(engine: Engine) -> bool:
    """Return False for a SQLite file that is missing or has no tables of Logkeep; the file is not changed."""
    return engine.dialect.name != "sqlite" or _has_tables(engine.url.database or "")


def find_owner(engine: Engine) -> str | None:
    """Return the id of the database's installation: '' if its tables belong to none, None if it has no tables."""
    with reading(engine) as connection:
        there = inspect(connection)
        if not there.has_table("alembic_version"):
            return None
        if not there.has_table(installation.name):
            return ""
        return connection.execute(select(installation.c.id)).scalar() or ""


def save_owner(engine: Engine, id_: str) -> None:
    """Make it the database of this installation."""
    with writing(engine) as connection:
        connection.execute(installation.delete())
        connection.execute(installation.insert().values(id=id_))


def is_missing(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists()


def describe(engine: Engine) -> str:
    """Return the database's name for a message, without its password."""
    return engine.url.database or "" if engine.dialect.name == "sqlite" else engine.url.render_as_string()


def _has_tables(path: str) -> bool:
    """Return whether a SQLite file has tables of Logkeep; True for one that cannot be read: opening it says why."""
    file = Path(path)
    if not path or path == ":memory:" or not file.exists():
        return False
    # Without a log of changes nothing can be at it, and reading it so leaves no file beside it.
    how = "mode=ro" if Path(f"{path}-wal").exists() else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True)) as connection:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    except sqlite3.Error:
        return True
    return found is not None
