"""The tables, as a database that is made today has them; on PostgreSQL where LOGKEEP_TEST_POSTGRESQL holds a URL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Engine, text

from logkeep.database.connection import connect, reading, writing
from logkeep.database.migrate import migrate
from tests.conftest import Golden
from tests.golden.test_manifest import FULL
from tests.support.installation import new_database
from tests.support.manifests import insert_rows

OF_SQLITE = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name"
OF_POSTGRESQL = (
    """
    SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
        || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
    """,
    """
    SELECT conrelid::regclass || ' CONSTRAINT ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = current_schema()::regnamespace AND contype <> 'n'
    """,
    "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema()",
)


@pytest.fixture(scope="module")
def database(migrations: None) -> Iterator[Engine]:
    engine = connect(new_database().get("LOGKEEP_DATABASE", "sqlite://"))
    migrate(engine)
    yield engine
    engine.dispose()


def test_tables_are_these(golden: Golden, database: Engine) -> None:
    with reading(database) as connection:
        if database.dialect.name == "sqlite":
            lines = [f"{statement};" for statement in connection.execute(text(OF_SQLITE)).scalars()]
        else:
            lines = [line for query in OF_POSTGRESQL for line in _sorted(connection, query)]
    golden(
        f"tables.{database.dialect.name}.sql", "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"
    )


def test_bodies_of_rows_are_these(golden: Golden, database: Engine) -> None:
    """A renamed field of a record changes none of them."""
    found: dict[str, list[Any]] = {}
    with writing(database) as connection:
        insert_rows(connection, FULL)
        for table in ("segments", "findings"):
            bodies = connection.execute(text(f"SELECT body FROM {table}")).scalars()
            found[table] = sorted((msgspec.msgpack.decode(body) for body in bodies), key=json.dumps)
    golden("bodies.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def _sorted(connection: Connection, query: str) -> list[str]:
    """By bytes, whatever the collation of the database is."""
    return sorted(connection.execute(text(query)).scalars())
