"""Brings the database to this version's tables."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, text

from logkeep.database.connection import reading, writing
from logkeep.errors import SettingError

HEAD = "0004"  # newest file in migrations/versions


def migrate(engine: Engine) -> None:
    """Create or upgrade the tables; raises `SettingError` where the database is of a newer Logkeep."""
    found = _revision(engine)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise SettingError(
            f"database: it is of a newer Logkeep (revision {found}, this one knows {HEAD}); start that version"
        )
    _upgrade(engine)


def _revision(engine: Engine) -> str | None:
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(engine: Engine) -> None:
    from alembic import command  # noqa: PLC0415  takes half a second to import, and is needed once per version
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
