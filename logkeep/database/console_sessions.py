"""Statements on sessions of the console, and on links that sign in once."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, delete, func, select, update

from logkeep.database.connection import delete_in_batches
from logkeep.database.records import read_row, values
from logkeep.database.tables import console_links, console_sessions
from logkeep.domain.access import ConsoleLink, ConsoleSession

_s = console_sessions.c


def insert_session(connection: Connection, session: ConsoleSession, most: int) -> None:
    """Insert a session; end the oldest ones of its owner beyond `most`."""
    own = _s.user_id == session.user_id if session.user_id else _s.ak == session.ak
    newest = select(_s.sha256).where(own).order_by(_s.created_at.desc()).limit(most - 1)
    kept = list(connection.execute(newest).scalars())
    connection.execute(delete(console_sessions).where(own, _s.sha256.not_in(kept)))
    connection.execute(console_sessions.insert().values(**values(console_sessions, session)))


def fetch_session(connection: Connection, sha256: str) -> ConsoleSession | None:
    row = connection.execute(select(console_sessions).where(_s.sha256 == sha256)).first()
    return read_row(ConsoleSession, row) if row else None


def mark_seen(connection: Connection, sha256: str, now_ms: int) -> None:
    connection.execute(update(console_sessions).where(_s.sha256 == sha256).values(seen_at=now_ms))


def delete_session(connection: Connection, sha256: str) -> None:
    connection.execute(delete(console_sessions).where(_s.sha256 == sha256))


def delete_of_user(connection: Connection, user_id: str) -> None:
    connection.execute(delete(console_sessions).where(_s.user_id == user_id))


def delete_idle_sessions(engine: Engine, before_ms: int) -> None:
    delete_in_batches(engine, _s.sha256, _s.seen_at < before_ms)


def count_links(connection: Connection, ak: str, now_ms: int) -> int:
    """Count the links of a key that have not expired."""
    c = console_links.c
    return connection.execute(select(func.count()).where(c.ak == ak, c.expires_at > now_ms)).scalar_one()


def insert_link(connection: Connection, link: ConsoleLink) -> None:
    connection.execute(console_links.insert().values(**values(console_links, link)))


def fetch_link(connection: Connection, sha256: str) -> ConsoleLink | None:
    row = connection.execute(select(console_links).where(console_links.c.sha256 == sha256)).first()
    return read_row(ConsoleLink, row) if row else None


def delete_link(connection: Connection, sha256: str) -> bool:
    """Delete a link; False if somebody else has."""
    return connection.execute(delete(console_links).where(console_links.c.sha256 == sha256)).rowcount > 0


def delete_expired_links(engine: Engine, before_ms: int) -> None:
    delete_in_batches(engine, console_links.c.sha256, console_links.c.expires_at < before_ms)
