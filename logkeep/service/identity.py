"""Projects and access keys."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import uuid4

from sqlalchemy.exc import IntegrityError

from logkeep.database import keys, users
from logkeep.database.connection import reading, writing
from logkeep.domain.access import AccessKey, Caller, KeyKind, Role
from logkeep.domain.cluster import Project
from logkeep.errors import InvalidField, NameTaken, NotAuthorized
from logkeep.service.runtime import Runtime

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its secret, which is never shown again."""

    key: AccessKey
    sk: str = field(repr=False)
    security_token: str = field(default="", repr=False)  # of a temporary key


def check_seal(runtime: Runtime) -> None:
    """Raise `SettingError` if the sealing key is not the one that encrypted the secrets in the database."""
    with reading(runtime.database) as connection:
        secret = keys.fetch_any_secret(connection)
    if secret is not None:
        runtime.seal.decrypt(secret)


def check_name(name: str, field: str = "name") -> None:
    """Raise `InvalidField` for a name that a project, region or user cannot have."""
    if not _NAME.fullmatch(name):
        raise InvalidField(field, "1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit")
    if _ID.fullmatch(name):
        raise InvalidField(field, "has the form of an id, and could be taken for one; choose another")


def add_project(runtime: Runtime, name: str, *, region: str = "") -> Project:
    """Add a project; `region` is a second name that finds it. Raises `InvalidField`, `NameTaken`."""
    check_name(name)
    if region:
        check_name(region, "region")
    project = Project(uuid4().hex, name, runtime.clock.now_ms(), region)
    try:
        with writing(runtime.database) as connection:
            keys.insert_project(connection, project)
    except IntegrityError as error:
        raise NameTaken(f"there is a project named {name}; choose another name") from error
    return project


def add_key(
    runtime: Runtime,
    project: Project,
    *,
    admin: bool = False,
    role: Role | None = None,
    valid_ms: int | None = None,
    issuer: str | None = None,
) -> NewKey:
    """Add an access key, an operator's by default; with `valid_ms` it is temporary and has a security token.

    It is revoked with its `issuer`, the id of a user or another key.
    """
    role = role or (Role.ADMIN if admin else Role.OPERATOR)
    now, sk = runtime.clock.now_ms(), secrets.token_hex(20)
    security_token = secrets.token_hex(32) if valid_ms is not None else ""
    key = AccessKey(
        ak=f"LK{secrets.token_hex(9).upper()}",
        project_id=project.id,
        role=role,
        created_at=now,
        expires_at=None if valid_ms is None else now + valid_ms,
        security_token_sha256=sha256(security_token.encode()).hexdigest() if security_token else None,
        issuer=issuer,
    )
    with writing(runtime.database) as connection:
        keys.insert_key(connection, key, runtime.seal.encrypt(sk))
    return NewKey(key, sk, security_token)


def expect_lasting(runtime: Runtime, caller: Caller) -> None:
    """Raise `NotAuthorized` for the caller of a temporary key: what it makes would outlive it."""
    with reading(runtime.database) as connection:
        found = keys.fetch_key(connection, caller.name)
    if found and found[0].expires_at is not None:
        raise NotAuthorized(
            "A temporary key makes no other keys and changes no users; sign in with a lasting key or a password."
        )


def put_key_back(runtime: Runtime, project_id: str, ak: str, sk: str) -> bool:
    """Restore an administrator's key that a lost database knew. False if it exists, or its project does not."""
    if find_key(runtime, ak) or not list_projects(runtime, project_id=project_id):
        return False
    with writing(runtime.database) as connection:
        keys.insert_key(
            connection, AccessKey(ak, project_id, Role.ADMIN, runtime.clock.now_ms()), runtime.seal.encrypt(sk)
        )
    return True


def revoke_key(runtime: Runtime, ak: str, project_id: str | None = None) -> None:
    """Revoke a key, with a project only one of it; takes effect within a second.

    Raises `InvalidField` if there is no such key.
    """
    with writing(runtime.database) as connection:
        if not keys.revoke_key(connection, ak, runtime.clock.now_ms(), project_id):
            raise InvalidField("ak", f"there is no key {ak[:64]!r} in use; see `logkeep key list`")


def list_keys(runtime: Runtime) -> list[AccessKey]:
    with reading(runtime.database) as connection:
        return list(keys.fetch_keys(connection))


@dataclass(frozen=True, slots=True)
class KeyPage:
    """One page of a project's keys."""

    keys: list[AccessKey]  # newest first
    total: int  # on all pages
    issuers: dict[str, str]  # names of the users among their issuers, by id


def list_project_keys(
    runtime: Runtime, project_id: str, kind: KeyKind = KeyKind.LASTING, *, offset: int = 0, limit: int = 50
) -> KeyPage:
    """Return one page of the keys of a project."""
    now = runtime.clock.now_ms()
    with reading(runtime.database) as connection:
        found, total = keys.fetch_key_page(connection, project_id, kind, now, offset=offset, limit=limit)
        issuers = users.fetch_names(connection, {key.issuer for key in found if key.issuer})
    return KeyPage(found, total, issuers)


def find_key(runtime: Runtime, ak: str) -> tuple[AccessKey, str] | None:
    """Return a key and its secret; None if it is unknown or revoked."""
    with reading(runtime.database) as connection:
        found = keys.fetch_key(connection, ak)
    return (found[0], runtime.seal.decrypt(found[1])) if found else None


def list_projects(
    runtime: Runtime, *, project_id: str | None = None, name: str | None = None, found_by: str | None = None
) -> list[Project]:
    """List projects, optionally only those with this id, this exact name, or this name or region (`found_by`)."""
    with reading(runtime.database) as connection:
        return keys.fetch_projects(connection, project_id=project_id, name=name, found_by=found_by)


def has_other_projects(runtime: Runtime, project_id: str) -> bool:
    with reading(runtime.database) as connection:
        return keys.has_other_projects(connection, project_id)


def get_project(runtime: Runtime, project_id: str) -> Project:
    """Return a project that is known to exist, as that of a key, a user or a cluster."""
    (project,) = list_projects(runtime, project_id=project_id)
    return project
