"""Statements on users and their tokens."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, or_, select, update

from logkeep.database.connection import delete_in_batches
from logkeep.database.records import read_row, read_rows, values
from logkeep.database.tables import tokens, users
from logkeep.domain.access import Token, User

_TABLES = (("token", tokens), ("user", users))


@dataclass(frozen=True, slots=True)
class _TokenOfUser:
    token: Token
    user: User


def insert_user(connection: Connection, user: User, password_hash: str) -> None:
    """Insert a user. Raises `IntegrityError` if the name is or was taken."""
    connection.execute(users.insert().values(password_hash=password_hash, **values(users, user)))


def fetch_user(connection: Connection, name_or_id: str) -> tuple[User, str] | None:
    """Return a user who is not revoked, and the hash of the password; a name takes precedence over an id."""
    statement = select(users).where(or_(users.c.name == name_or_id, users.c.id == name_or_id))
    rows = connection.execute(statement.where(users.c.revoked_at.is_(None))).all()
    rows = sorted(rows, key=lambda row: row.name != name_or_id)
    return (read_row(User, rows[0]), rows[0].password_hash) if rows else None


def fetch_user_of_id(connection: Connection, user_id: str) -> User | None:
    """Return the user of this id, unless revoked."""
    row = connection.execute(select(users).where(users.c.id == user_id, users.c.revoked_at.is_(None))).first()
    return read_row(User, row) if row else None


def fetch_users(connection: Connection) -> list[User]:
    return list(read_rows(User, connection.execute(select(users).order_by(users.c.created_at, users.c.name))))


def update_user(connection: Connection, name: str, **changed: object) -> User | None:
    """Change columns of a user and delete the user's tokens; return the user as before, None if there is none."""
    statement = select(users).where(users.c.name == name, users.c.revoked_at.is_(None)).with_for_update()
    row = connection.execute(statement).first()
    if row is None:
        return None
    connection.execute(update(users).where(users.c.id == row.id).values(**changed))
    connection.execute(delete(tokens).where(tokens.c.user_id == row.id))
    return read_row(User, row)


def insert_token(connection: Connection, token: Token) -> None:
    connection.execute(tokens.insert().values(**values(tokens, token)))


def fetch_token(connection: Connection, sha256: str) -> tuple[Token, User] | None:
    """Return a token, expired or not, and its user, who is not revoked."""
    columns = [column.label(f"{name}_{column.name}") for name, table in _TABLES for column in table.c]
    statement = select(*columns).join_from(tokens, users, tokens.c.user_id == users.c.id)
    row = connection.execute(statement.where(tokens.c.sha256 == sha256, users.c.revoked_at.is_(None))).first()
    found = read_row(_TokenOfUser, row) if row else None
    return found and (found.token, found.user)


def delete_expired_tokens(engine: Engine, before_ms: int) -> None:
    """Delete tokens that expired before a time."""
    delete_in_batches(engine, tokens.c.sha256, tokens.c.expires_at < before_ms)
