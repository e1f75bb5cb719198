"""Statements on users and their tokens."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, or_, select, update

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


def lock_user(connection: Connection, user_id: str) -> str | None:
    """Return the hash of a user's password, which stays until the transaction ends; None for who is revoked."""
    statement = select(users.c.password_hash).where(users.c.id == user_id, users.c.revoked_at.is_(None))
    return connection.execute(statement.with_for_update()).scalar_one_or_none()


def fetch_users(connection: Connection) -> list[User]:
    return list(read_rows(User, connection.execute(select(users).order_by(users.c.created_at, users.c.name))))


def fetch_user_page(
    connection: Connection, project_id: str, *, ended: bool, offset: int, limit: int
) -> tuple[list[User], int]:
    """Return a page of a project's users in use, or of those that were revoked, by name, and the number of all."""
    revoked_at = users.c.revoked_at
    wanted = users.c.project_id == project_id, revoked_at.is_not(None) if ended else revoked_at.is_(None)
    total = connection.execute(select(func.count()).select_from(users).where(*wanted)).scalar_one()
    page = select(users).where(*wanted).order_by(users.c.name).limit(limit).offset(offset)
    return list(read_rows(User, connection.execute(page))), total


def fetch_names(connection: Connection, user_ids: Collection[str]) -> dict[str, str]:
    """Return the names of users by their ids, of those that there are or were."""
    statement = select(users.c.id, users.c.name).where(users.c.id.in_(user_ids))
    return {row.id: row.name for row in connection.execute(statement)}


def update_user(connection: Connection, name: str, project_id: str | None = None, **changed: object) -> User | None:
    """Change columns of a user and delete the user's tokens; return the user as before.

    None if there is none, or, with a project, none of it.
    """
    statement = select(users).where(users.c.name == name, users.c.revoked_at.is_(None)).with_for_update()
    if project_id is not None:
        statement = statement.where(users.c.project_id == project_id)
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
