"""What the queue needs of SQLite, whichever one this Python has."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from dbos import DBOSClient
from sqlalchemy import create_engine, text

from logkeep.database import connection
from logkeep.database.connection import connect
from logkeep.errors import SettingError


@pytest.mark.parametrize("engine", [connect, create_engine], ids=["ours", "of the queue"])
def test_every_connection_knows_the_time_to_the_millisecond(tmp_path: Path, engine: object) -> None:
    """From Python 3.12 on the queue asks for it, with SQLite older than 3.42 too, as Debian 12 has it."""
    opened = engine(f"sqlite:///{tmp_path}/logkeep.db")  # type: ignore[operator]
    with opened.connect() as connection:
        value = connection.execute(text("SELECT unixepoch('subsec')")).scalar()
        assert abs(value - time.time()) < 5
        connection.execute(text("CREATE TABLE t (a INTEGER, at INTEGER NOT NULL DEFAULT (unixepoch('subsec') * 1000))"))
        connection.execute(text("INSERT INTO t (a) VALUES (1)"))
        assert abs(connection.execute(text("SELECT at FROM t")).scalar() - time.time() * 1000) < 5000
    opened.dispose()


def test_sqlite_that_is_too_old_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection.sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(SettingError, match=r"SQLite 3\.35 or newer is needed, and this Python has 3\.34\.1"):
        connect(f"sqlite:///{tmp_path}/logkeep.db")
    assert not list(tmp_path.iterdir())


def test_the_queue_uses_what_is_added_here() -> None:
    """If it does so no more, what `connection.py` adds can go."""
    source = Path(str(DBOSClient.__init__.__code__.co_filename)).with_name("_migration.py").read_text()
    assert "unixepoch('subsec')" in source
