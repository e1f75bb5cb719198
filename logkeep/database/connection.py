"""The engine, transactions, and the only place that knows which database it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Engine, Select, create_engine, event
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.sql.compiler import SQLCompiler

from logkeep.errors import CatalogueError, SettingError

_BUSY_SECONDS = 30  # SQLite has one writer; a commit takes milliseconds, so this is never reached in health


def connect(url: str) -> Engine:
    """The engine for a database URL; raises `SettingError` for one that is no URL."""
    url = _with_driver(url)
    try:
        # An error of the database must not carry hashes of passwords into a log.
        engine = create_engine(url, hide_parameters=True, **_options(url))
    except (ArgumentError, ImportError) as error:
        raise SettingError(f"database: {error}; give for example sqlite:///logkeep.db") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _with_driver(url: str) -> str:
    """`postgresql://` means psycopg 3 here, as it does to the queue; SQLAlchemy would take its predecessor."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if separator and scheme in {"postgres", "postgresql"} else url


def _options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": _BUSY_SECONDS, "check_same_thread": False}}
    return {"pool_pre_ping": True}


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails with "database is locked" when another one wrote between,
    # so one that writes takes the lock at once; statements that only read need none.
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """A connection for reading, each statement by itself. Raises `CatalogueError` where the database fails."""
    with naming_failures(), _autocommitting(engine).connect() as connection:
        yield connection


@cache
def _autocommitting(engine: Engine) -> Engine:
    return engine if engine.dialect.name == "sqlite" else engine.execution_options(isolation_level="AUTOCOMMIT")


Ask = Callable[[Select[*tuple[Any, ...]], Mapping[str, Any]], list[tuple[Any, ...]]]


@contextmanager
def asking(engine: Engine) -> Generator[Ask]:
    """A function that gives all rows of a statement and its parameters, by the driver itself.

    For what is asked thousands of times a second: SQLAlchemy's own way takes several times as long. Raises
    `CatalogueError` where the database fails.
    """
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
        raise _catalogue_error(error) from error
    finally:
        if connection:
            connection.close()


@cache
def _driver_sql(statement: Select[*tuple[Any, ...]], dialect: Dialect) -> tuple[str, Sequence[str] | None]:
    """SQL as the driver takes it, and the order of its parameters; None where they go by name."""
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    return str(compiled), compiled.positiontup


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """A transaction that writes; durable when it is left without an error.

    Raises `CatalogueError` where the database fails, and SQLAlchemy's `IntegrityError` for a row that is there.
    """
    with naming_failures(), engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def naming_failures() -> Generator[None]:
    """Turns what SQLAlchemy raises where the database fails into a `CatalogueError`."""
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError, NotSupportedError):
        raise  # the database works
    except DatabaseError as error:
        raise _catalogue_error(error.orig or error) from error.orig


def _catalogue_error(cause: BaseException) -> CatalogueError:
    said = str(cause).partition("\n")[0]
    return CatalogueError(
        f"the database cannot be used: {said}; check that it runs, and the space and health of its disk"
    )


def upsert(dialect: Dialect) -> Any:
    """The dialect's `insert`, which knows `on_conflict_do_update`."""
    return import_module(f"sqlalchemy.dialects.{dialect.name}").insert  # one of them is slow to import and not needed
