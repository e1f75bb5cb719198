"""Statements on projects and access keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from logkeep.database.tables import access_keys, projects
from logkeep.domain.access import AccessKey, Role
from logkeep.domain.cluster import Project


def insert_project(connection: Connection, project: Project) -> None:
    connection.execute(
        projects.insert().values(id=project.id, name=project.name, created_at=project.created_at, region=project.region)
    )


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
    return [Project(row.id, row.name, row.created_at, row.region) for row in connection.execute(statement)]


def has_other_projects(connection: Connection, project_id: str) -> bool:
    return connection.execute(select(projects.c.id).where(projects.c.id != project_id).limit(1)).first() is not None


def fetch_any_secret(connection: Connection) -> bytes | None:
    """Return a sealed secret, None if there is no key yet."""
    return connection.execute(select(access_keys.c.sealed_sk).limit(1)).scalar()


def insert_key(connection: Connection, key: AccessKey, sealed_sk: bytes) -> None:
    connection.execute(
        access_keys.insert().values(
            ak=key.ak,
            project_id=key.project_id,
            sealed_sk=sealed_sk,
            role=key.role,
            created_at=key.created_at,
            expires_at=key.expires_at,
            security_token_sha256=key.security_token_sha256,
        )
    )


def fetch_key(connection: Connection, ak: str) -> tuple[AccessKey, bytes] | None:
    """Return a key that is not revoked, and its sealed secret."""
    statement = select(access_keys).where(access_keys.c.ak == ak, access_keys.c.revoked_at.is_(None))
    row = connection.execute(statement).first()
    return (_key(row), row.sealed_sk) if row else None


def fetch_keys(connection: Connection) -> Sequence[AccessKey]:
    return [_key(row) for row in connection.execute(select(access_keys).order_by(access_keys.c.created_at))]


def revoke_key(connection: Connection, ak: str, now_ms: int) -> bool:
    statement = update(access_keys).where(access_keys.c.ak == ak, access_keys.c.revoked_at.is_(None))
    return connection.execute(statement.values(revoked_at=now_ms)).rowcount > 0


def _key(row: Row[*tuple[Any, ...]]) -> AccessKey:
    return AccessKey(
        ak=row.ak,
        project_id=row.project_id,
        role=Role(row.role),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        expires_at=row.expires_at,
        security_token_sha256=row.security_token_sha256,
    )
