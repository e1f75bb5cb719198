"""The engine, transactions, and the only place that knows which database it is."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Row,
    Select,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.pool import Pool

from logkeep.domain.causes import Cause, explain_database
from logkeep.errors import CatalogueError, SettingError

_T = TypeVar("_T")
_LEAST_SQLITE = (3, 35)  # RETURNING, without which the queue gives no job out
_BUSY_SECONDS = 30  # SQLite has one writer; a commit takes milliseconds, so this is never reached in health

# A server that a broken network hides is given up after so long, also in mid-statement. What the URL says wins.
_CONNECT = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
}
# Of a process, more than it has threads that ask at a time: a heartbeat must never wait for one, nor a list for calls
# that hang. SQLite's cost a file descriptor or three each, PostgreSQL's a process of the server.
_MOST_CONNECTIONS = 60
_KEPT_CONNECTIONS = 10  # of them that stay open: eight jobs at a time use about so many
_MOST_SQLITE = 200
_POSTGRESQL = "postgresql+psycopg"
_BATCH, _BATCHES = 500, 20  # rows or values of one statement, and transactions of one call that deletes
_MIGRATION_LOCK = 0x4C4F474B  # a number of our own among the locks of the server


def connect(url: str) -> Engine:
    """Create the engine for a database URL; raises `SettingError` for what is no URL of a database."""
    url = _with_driver(url)
    try:
        # An error of the database must not carry hashes of passwords into a log.
        engine = create_engine(url, hide_parameters=True, **_options(url))
    except (ArgumentError, ValueError) as error:  # neither may be shown: both hold the URL, and that a password
        example = "write it as postgresql://user:password@host:5432/name, or sqlite:////absolute/path"
        raise SettingError(f"database: this is no URL of a database; {example}") from error
    if engine.dialect.name == "sqlite":
        _expect_sqlite(sqlite3.sqlite_version_info)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _expect_sqlite(version: tuple[int, ...]) -> None:
    if version < _LEAST_SQLITE:
        raise SettingError(
            f"database: SQLite {'.'.join(map(str, _LEAST_SQLITE))} or newer is needed, and this Python has "
            f"{'.'.join(map(str, version))}; use another Python, or PostgreSQL"
        )


def _add_subsec(connection: Any, _record: object) -> None:
    """Add `unixepoch('subsec')`, which SQLite has since 3.42 and the queue uses from Python 3.12 on.

    An older SQLite takes the word for a time that it cannot read, and returns NULL.
    """
    if isinstance(connection, sqlite3.Connection):
        connection.create_function("unixepoch", 1, _unixepoch)


def _unixepoch(word: object) -> float:
    if word != "subsec":
        raise ValueError(f"unixepoch({word!r}) is not known here")
    return time.time_ns() // 1_000_000 / 1000


if sqlite3.sqlite_version_info < (3, 42):
    event.listen(Pool, "connect", _add_subsec)  # of every engine, as the queue makes some of its own


def try_connection(engine: Engine) -> None:
    """Raise `SettingError` if the database cannot be used as it is configured."""
    try:
        with reading(engine) as connection:
            connection.execute(select(1))
    except CatalogueError as error:
        raise SettingError(_explain(error.__cause__ or error)) from error


def _with_driver(url: str) -> str:
    """Make `postgresql://` mean psycopg 3, as the queue does; SQLAlchemy would use its predecessor."""
    scheme, separator, rest = url.partition("://")
    return f"{_POSTGRESQL}://{rest}" if separator and scheme in {"postgres", "postgresql"} else url


def _options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        connect_args = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
        if make_url(url).database in {None, "", ":memory:"}:
            return {"connect_args": connect_args}
        return {
            "pool_size": _KEPT_CONNECTIONS,
            "max_overflow": _MOST_SQLITE - _KEPT_CONNECTIONS,
            "connect_args": connect_args,
        }
    parsed = make_url(url)
    if parsed.drivername != _POSTGRESQL:
        raise ArgumentError("neither SQLite nor PostgreSQL")
    connect_args = {k: v for k, v in _CONNECT.items() if k not in parsed.query}
    return {
        "pool_pre_ping": True,
        "pool_size": _KEPT_CONNECTIONS,
        "max_overflow": _MOST_CONNECTIONS - _KEPT_CONNECTIONS,
        "connect_args": connect_args,
    }


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
    """Open a connection for reading, each statement on its own. Raises `CatalogueError` if the database fails."""
    with naming_failures(), _autocommitting(engine).connect() as connection:
        yield connection


@cache
def _autocommitting(engine: Engine) -> Engine:
    return engine if engine.dialect.name == "sqlite" else engine.execution_options(isolation_level="AUTOCOMMIT")


def read_pages(
    engine: Engine, statement: Select[*tuple[Any, ...]], order: Sequence[Column[Any]], size: int
) -> Iterator[Row[*tuple[Any, ...]]]:
    """Yield all rows, sorted by columns that are selected and together unique; no connection is held meanwhile."""
    page = statement.order_by(*order).limit(size)
    after = page
    while True:
        with reading(engine) as connection:
            rows = connection.execute(after).all()
        yield from rows
        if len(rows) < size:
            return
        after = page.where(tuple_(*order) > tuple(getattr(rows[-1], column.name) for column in order))


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """Open a transaction for writing; it is durable when left without an error.

    Raises `CatalogueError` if the database fails, and SQLAlchemy's `IntegrityError` for a row that exists.
    """
    with naming_failures(), engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def of(*columns: Column[Any]) -> Sequence[ColumnElement[bool]]:
    """Return the condition that each column equals a parameter, `of_NAME`.

    Building a statement takes longer than running it, so those that each job runs are built once.
    """
    return [column == bindparam(f"of_{column.name}") for column in columns]


def in_batches(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield the values, at most `_BATCH` at a time: as many as one statement may name."""
    return (values[at : at + _BATCH] for at in range(0, len(values), _BATCH))


def delete_in_batches(engine: Engine, key: Column[Any], condition: ColumnElement[bool], *more: Column[Any]) -> None:
    """Delete rows of a table, each batch in its own transaction, so that other writers wait for one batch at most.

    The key of the table may have `more` columns. At most 10,000 rows are deleted; the next call goes on.
    """
    some = select(key, *more).where(condition).limit(_BATCH)
    chosen = tuple_(key, *more).in_(some) if more else key.in_(some)
    for _ in range(_BATCHES):
        with writing(engine) as connection:
            if connection.execute(delete(key.table).where(chosen)).rowcount < _BATCH:
                return


@contextmanager
def naming_failures() -> Generator[None]:
    """Translate what SQLAlchemy raises for a failing database into a `CatalogueError`."""
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError, NotSupportedError):
        raise  # the database works
    except DatabaseError as error:
        raise catalogue_error(error.orig or error) from error.orig


def catalogue_error(cause: BaseException) -> CatalogueError:
    """Return what a driver raised as an error of ours."""
    return CatalogueError(_explain(cause))


def _explain(error: BaseException) -> str:
    said = str(error).strip().partition("\n")[0].removeprefix("connection failed: ")
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:  # SQLite tells of that as of a file that cannot be opened
        return Cause.OPEN_FILES.tell(path="the database")
    return explain_database(said)


def settle(engine: Engine) -> None:
    """Checkpoint SQLite's write-ahead log into the file, so that a copy of the file alone is complete.

    If another connection keeps the database busy for longer than two seconds, the log stays.
    """
    if engine.dialect.name == "sqlite":
        with naming_failures(), engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=2000")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def hold_alone(connection: Connection) -> None:
    """Wait until no other transaction holds this lock; SQLite has a single writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))


def clock_ms(dialect: Dialect) -> ColumnElement[int]:
    """Return the database's own time in Unix ms, the same for every machine."""
    if dialect.name == "sqlite":
        return literal_column("CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)", BigInteger)
    return literal_column("CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)", BigInteger)


def upsert(dialect: Dialect) -> Any:
    """Return the dialect's `insert`, which has `on_conflict_do_update`."""
    return import_module(f"sqlalchemy.dialects.{dialect.name}").insert  # one of them is slow to import and not needed
