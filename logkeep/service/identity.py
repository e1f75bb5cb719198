"""Projects and access keys."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy.exc import IntegrityError

from logkeep.database import keys
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import AccessKey, Project
from logkeep.errors import InvalidField, NameTaken
from logkeep.service.context import Context

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its secret, which is shown once."""

    key: AccessKey
    sk: str


def add_project(context: Context, name: str) -> Project:
    """Raises `InvalidField`, `NameTaken`."""
    if not _NAME.fullmatch(name):
        raise InvalidField("name", "1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit")
    project = Project(uuid4().hex, name, context.clock.now_ms())
    try:
        with writing(context.database) as connection:
            keys.insert_project(connection, project)
    except IntegrityError as error:
        raise NameTaken(f"there is a project named {name}; choose another name") from error
    return project


def add_key(context: Context, project: Project, *, admin: bool = False) -> NewKey:
    key = AccessKey(f"LK{secrets.token_hex(9).upper()}", project.id, admin, context.clock.now_ms())
    sk = secrets.token_urlsafe(30)
    with writing(context.database) as connection:
        keys.insert_key(connection, key, context.seal(sk))
    return NewKey(key, sk)


def revoke_key(context: Context, ak: str) -> None:
    """Takes effect within a second. Raises `InvalidField` where there is no such key."""
    with writing(context.database) as connection:
        if not keys.revoke_key(connection, ak, context.clock.now_ms()):
            raise InvalidField("ak", f"there is no key {ak[:64]!r} in use; see `logkeep key list`")


def list_keys(context: Context) -> list[AccessKey]:
    with reading(context.database) as connection:
        return list(keys.fetch_keys(connection))


def find_key(context: Context, ak: str) -> tuple[AccessKey, str] | None:
    """The key and its secret, None where it is unknown or revoked."""
    with reading(context.database) as connection:
        found = keys.fetch_key(connection, ak)
    return (found[0], context.unseal(found[1])) if found else None


def list_projects(context: Context, *, project_id: str | None = None, name: str | None = None) -> list[Project]:
    """Projects, of this id and of exactly this name where given."""
    with reading(context.database) as connection:
        return keys.fetch_projects(connection, project_id=project_id, name=name)
