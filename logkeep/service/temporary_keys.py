"""Temporary keys that a caller gets for a token or a key: they never outlive it, nor may more."""

from __future__ import annotations

from logkeep.database import keys
from logkeep.database.connection import reading
from logkeep.domain.access import Role
from logkeep.errors import NotAuthenticated, NotAuthorized, Overloaded
from logkeep.service.identity import NewKey, add_key, find_key, get_project
from logkeep.service.runtime import Runtime
from logkeep.service.users import find_token, hash_token

_MAX_VALID = 1000  # keys of one issuer at a time
_SHOWN_MS = 3_600_000  # how long an expired key is kept, so that its owner is told that it expired


def add_for_token(runtime: Runtime, token: bytes, seconds: int) -> NewKey:
    """Add a key for the user of a token. Raises `NotAuthenticated`, `NotAuthorized`, `Overloaded`."""
    found, user = find_token(runtime, hash_token(token))
    if found.project_id is None:
        raise NotAuthorized("A token without a project can get no key; get one with the scope of a project.")
    return _add(runtime, found.project_id, user.role, user.id, seconds, found.expires_at)


def add_for_key(runtime: Runtime, ak: str, seconds: int) -> NewKey:
    """Add a key for a lasting key. Raises `NotAuthenticated`, `NotAuthorized`, `Overloaded`."""
    found = find_key(runtime, ak)
    if found is None:
        raise NotAuthenticated(f"ak {ak} not exist")
    key, _ = found
    if key.expires_at is not None:
        raise NotAuthorized("A temporary key can get no other key; ask with a token or a lasting key.")
    return _add(runtime, key.project_id, key.role, key.ak, seconds, None)


def remove_expired(runtime: Runtime) -> None:
    keys.delete_expired_keys(runtime.database, runtime.clock.now_ms() - _SHOWN_MS)


def _add(runtime: Runtime, project_id: str, role: Role, issuer: str, seconds: int, until: int | None) -> NewKey:
    now = runtime.clock.now_ms()
    with reading(runtime.database) as connection:
        if keys.count_issued(connection, issuer, now) >= _MAX_VALID:
            raise Overloaded(f"This caller has {_MAX_VALID} temporary keys; use one of them until some have expired.")
    ends = now + seconds * 1000
    project = get_project(runtime, project_id)
    return add_key(runtime, project, role=role, valid_ms=min(ends, until or ends) - now, issuer=issuer)
