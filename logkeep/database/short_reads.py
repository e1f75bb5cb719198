"""Readers: they run statements by the driver itself, which takes a fraction of the time that SQLAlchemy's own way does.

For what is asked thousands of times a second.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from math import inf
from typing import Any, cast

from sqlalchemy import Dialect, Engine, Select, event
from sqlalchemy.sql.compiler import SQLCompiler

from logkeep.database.connection import catalogue_error, naming_failures
from logkeep.domain.blocking import WouldBlock

_LOOP_ROWS = 100  # takes less than a millisecond

Ask = Callable[[Select[*tuple[Any, ...]], Mapping[str, Any]], list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Reader:
    """Opens what runs statements, and returns all rows of each."""

    open: Callable[[], AbstractContextManager[Ask]]
    max_rows: float = inf  # given or passed over; further ones are for another reader


def pool_reader(engine: Engine) -> Reader:
    """Return the reader for threads, with connections of the pool. It raises `CatalogueError` if the database fails."""
    return Reader(partial(asking, engine))


def loop_reader(engine: Engine) -> Reader:
    """Return the reader for the event loop, which must not wait: it raises `WouldBlock` if the answer takes a wait.

    Only for SQLite, on a connection of its own. No other user of the pool can delay it, and taking a connection out of
    the pool and back takes as long as reading a page of records.
    """
    return Reader(partial(_asking_on_loop, engine), _LOOP_ROWS)


@contextmanager
def asking(engine: Engine) -> Generator[Ask]:
    """Open a connection of the pool. Raises `CatalogueError` if the database fails."""
    driver: Any = engine.dialect.loaded_dbapi
    connection = None
    try:
        with naming_failures():
            connection = engine.raw_connection()
        cursor = connection.cursor()

        def ask(statement: Select[*tuple[Any, ...]], values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
            sql, order = _driver_sql(statement, engine.dialect)
            cursor.execute(sql, [values[name] for name in order] if order else values)
            return cast("list[tuple[Any, ...]]", cursor.fetchall())

        yield ask
    except driver.DatabaseError as error:
        raise catalogue_error(error) from error
    finally:
        if connection:
            connection.close()


@contextmanager
def _asking_on_loop(engine: Engine) -> Generator[Ask]:
    try:
        connection = _loop_connection(engine)

        def ask(statement: Select[*tuple[Any, ...]], values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
            sql, order = _driver_sql(statement, engine.dialect)
            return connection.execute(sql, [values[name] for name in order or ()]).fetchall()

        yield ask
    except sqlite3.Error as error:
        raise WouldBlock() from error


@cache
def _loop_connection(engine: Engine) -> sqlite3.Connection:
    where, options = engine.dialect.create_connect_args(engine.url)
    options.update(timeout=0, isolation_level=None, check_same_thread=False)
    connection = cast("sqlite3.Connection", engine.dialect.connect(*where, **options))
    connection.execute("PRAGMA query_only=ON")
    event.listen(engine, "engine_disposed", _closer(connection))
    return connection


def _closer(connection: sqlite3.Connection) -> Callable[[Engine], None]:
    return lambda _engine: connection.close()


@cache
def _driver_sql(statement: Select[*tuple[Any, ...]], dialect: Dialect) -> tuple[str, Sequence[str] | None]:
    """Return the SQL for the driver and the order of its parameters; None if they are passed by name."""
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    return str(compiled), compiled.positiontup
