"""Statements on users and their tokens."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, update

from logkeep.database.tables import tokens, users
from logkeep.domain.access import Role, Token, User


def insert_user(connection: Connection, user: User, password_hash: str) -> None:
    """Insert a user. Raises `IntegrityError` if the name is or was taken."""
    connection.execute(
        users.insert().values(
            id=user.id,
            name=user.name,
            project_id=user.project_id,
            role=user.role,
            password_hash=password_hash,
            created_at=user.created_at,
        )
    )


def fetch_user(connection: Connection, name_or_id: str) -> tuple[User, str] | None:
    """Return a user who is not revoked, and the hash of the password; a name takes precedence over an id."""
    statement = select(users).where(or_(users.c.name == name_or_id, users.c.id == name_or_id))
    rows = connection.execute(statement.where(users.c.revoked_at.is_(None))).all()
    rows = sorted(rows, key=lambda row: row.name != name_or_id)
    return (_user(rows[0]), rows[0].password_hash) if rows else None


def fetch_users(connection: Connection) -> list[User]:
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.created_at, users.c.name))]


def revoke_user(connection: Connection, name: str, now_ms: int) -> bool:
    """Revoke a user and delete the user's tokens; False if there is no such user."""
    statement = update(users).where(users.c.name == name, users.c.revoked_at.is_(None))
    if not connection.execute(statement.values(revoked_at=now_ms)).rowcount:
        return False
    ids = select(users.c.id).where(users.c.name == name)
    connection.execute(delete(tokens).where(tokens.c.user_id.in_(ids)))
    return True


def insert_token(connection: Connection, token: Token) -> None:
    connection.execute(
        tokens.insert().values(
            sha256=token.sha256,
            user_id=token.user_id,
            project_id=token.project_id,
            issued_at=token.issued_at,
            expires_at=token.expires_at,
        )
    )


def fetch_token(connection: Connection, sha256: str) -> tuple[Token, User] | None:
    """Return a token, expired or not, and its user, who is not revoked."""
    columns = (*users.c, *(column.label(f"token_{column.name}") for column in tokens.c))
    statement = select(*columns).join_from(tokens, users, tokens.c.user_id == users.c.id)
    row = connection.execute(statement.where(tokens.c.sha256 == sha256, users.c.revoked_at.is_(None))).first()
    if row is None:
        return None
    token = Token(
        sha256=row.token_sha256,
        user_id=row.id,
        project_id=row.token_project_id,
        issued_at=row.token_issued_at,
        expires_at=row.token_expires_at,
    )
    return token, _user(row)


def delete_expired_tokens(connection: Connection, before_ms: int, limit: int) -> int:
    """Delete at most `limit` tokens that expired before a time; return how many."""
    expired = select(tokens.c.sha256).where(tokens.c.expires_at < before_ms).limit(limit)
    return connection.execute(delete(tokens).where(tokens.c.sha256.in_(expired))).rowcount


def _user(row: Row[*tuple[Any, ...]]) -> User:
    return User(
        id=row.id,
        name=row.name,
        project_id=row.project_id,
        role=Role(row.role),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
