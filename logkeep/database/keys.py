"""Statements on projects and access keys."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Engine, bindparam, func, or_, select, update

from logkeep.database.connection import delete_in_batches
from logkeep.database.records import read_row, read_rows, values
from logkeep.database.tables import access_keys, projects
from logkeep.domain.access import AccessKey, KeyKind
from logkeep.domain.cluster import Project

_OTHER_PROJECT = select(projects.c.id).where(projects.c.id != bindparam("project")).limit(1)


def insert_project(connection: Connection, project: Project) -> None:
    connection.execute(projects.insert().values(**values(projects, project)))


def fetch_projects(
    connection: Connection, *, project_id: str | None = None, name: str | None = None, found_by: str | None = None
) -> list[Project]:
    """Return the projects with these values; `found_by` matches the name or the region."""
    statement = select(projects).order_by(projects.c.created_at, projects.c.id)
    if project_id is not None:
        statement = statement.where(projects.c.id == project_id)
    if name is not None:
        statement = statement.where(projects.c.name == name)
    if found_by is not None:
        statement = statement.where(or_(projects.c.name == found_by, projects.c.region == found_by))
    return list(read_rows(Project, connection.execute(statement)))


def has_other_projects(connection: Connection, project_id: str) -> bool:
    return connection.execute(_OTHER_PROJECT, {"project": project_id}).first() is not None


def fetch_any_secret(connection: Connection) -> bytes | None:
    """Return a sealed secret, None if there is no key yet."""
    return connection.execute(select(access_keys.c.sealed_sk).limit(1)).scalar()


def insert_key(connection: Connection, key: AccessKey, sealed_sk: bytes) -> None:
    connection.execute(access_keys.insert().values(sealed_sk=sealed_sk, **values(access_keys, key)))


def fetch_key(connection: Connection, ak: str) -> tuple[AccessKey, bytes] | None:
    """Return a key that is not revoked, and its sealed secret."""
    statement = select(access_keys).where(access_keys.c.ak == ak, access_keys.c.revoked_at.is_(None))
    row = connection.execute(statement).first()
    return (read_row(AccessKey, row), row.sealed_sk) if row else None


def fetch_keys(connection: Connection) -> list[AccessKey]:
    return list(read_rows(AccessKey, connection.execute(select(access_keys).order_by(access_keys.c.created_at))))


def fetch_key_page(
    connection: Connection, project_id: str, kind: KeyKind, now_ms: int, *, offset: int, limit: int
) -> tuple[list[AccessKey], int]:
    """Return a page of a project's keys, newest first, and the number of all."""
    wanted = access_keys.c.project_id == project_id, _is_of_kind(kind, now_ms)
    total = connection.execute(select(func.count()).select_from(access_keys).where(*wanted)).scalar_one()
    page = select(access_keys).where(*wanted).order_by(access_keys.c.created_at.desc(), access_keys.c.ak)
    return list(read_rows(AccessKey, connection.execute(page.limit(limit).offset(offset)))), total


def _is_of_kind(kind: KeyKind, now_ms: int) -> ColumnElement[bool]:
    revoked_at, expires_at = access_keys.c.revoked_at, access_keys.c.expires_at
    match kind:
        case KeyKind.LASTING:
            return revoked_at.is_(None) & expires_at.is_(None)
        case KeyKind.TEMPORARY:
            return revoked_at.is_(None) & (expires_at > now_ms)
        case KeyKind.ENDED:
            return revoked_at.is_not(None) | (expires_at <= now_ms)


def revoke_key(connection: Connection, ak: str, now_ms: int, project_id: str | None = None) -> bool:
    """Revoke a key and those that were issued for it; False if there is no such key, or it is of another project."""
    statement = update(access_keys).where(access_keys.c.ak == ak, access_keys.c.revoked_at.is_(None))
    if project_id is not None:
        statement = statement.where(access_keys.c.project_id == project_id)
    if not connection.execute(statement.values(revoked_at=now_ms)).rowcount:
        return False
    revoke_issued(connection, ak, now_ms)
    return True


def revoke_issued(connection: Connection, issuer: str, now_ms: int) -> None:
    """Revoke the temporary keys that were issued for a user or key."""
    statement = update(access_keys).where(access_keys.c.issuer == issuer, access_keys.c.revoked_at.is_(None))
    connection.execute(statement.values(revoked_at=now_ms))


def count_issued(connection: Connection, issuer: str, now_ms: int) -> int:
    """Count the keys of an issuer that have not expired, revoked or not."""
    statement = select(func.count()).where(access_keys.c.issuer == issuer, access_keys.c.expires_at > now_ms)
    return connection.execute(statement).scalar_one()


def delete_expired_keys(engine: Engine, before_ms: int) -> None:
    """Delete issued keys that expired before a time."""
    delete_in_batches(
        engine, access_keys.c.ak, access_keys.c.issuer.is_not(None) & (access_keys.c.expires_at < before_ms)
    )
