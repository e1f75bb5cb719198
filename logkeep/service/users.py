"""Users, and the tokens that they get for their passwords."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from logkeep.database import console_sessions, keys, users
from logkeep.database.connection import reading, writing
from logkeep.domain.access import Caller, Role, SignedIn, SignIn, Token, User
from logkeep.domain.cluster import Project
from logkeep.errors import InvalidField, NameTaken, NotAuthenticated, NotAuthorized, TokenNotFound, WrongPassword
from logkeep.service.identity import check_name, get_project
from logkeep.service.passwords import check_password, hash_password
from logkeep.service.runtime import Runtime

VALID_MS = 24 * 3_600_000  # of a token
_TOLD_MS = 3_600_000  # how long an expired token is kept, so that its owner is told that it expired


def add_user(runtime: Runtime, project: Project, name: str, password: str, role: Role) -> User:
    """Add a user. Raises `InvalidField`, `NameTaken`."""
    check_name(name)
    user = User(id=uuid4().hex, name=name, project_id=project.id, role=role, created_at=runtime.clock.now_ms())
    hashed = hash_password(password)
    try:
        with writing(runtime.database) as connection:
            users.insert_user(connection, user, hashed)
    except IntegrityError as error:
        raise NameTaken(f"there is or was a user named {name}; choose another name") from error
    return user


def list_users(runtime: Runtime) -> list[User]:
    with reading(runtime.database) as connection:
        return users.fetch_users(connection)


def list_project_users(
    runtime: Runtime, project_id: str, *, ended: bool = False, offset: int = 0, limit: int = 50
) -> tuple[list[User], int]:
    """Return one page of a project's users in use, or of those that were `ended`, and the number of all."""
    with reading(runtime.database) as connection:
        return users.fetch_user_page(connection, project_id, ended=ended, offset=offset, limit=limit)


def revoke_user(runtime: Runtime, name: str, project_id: str | None = None) -> str:
    """Revoke a user, with a project only one of it, within a second; return the id of the user's project.

    Raises `InvalidField` if there is no such user.
    """
    return _update_user(runtime, name, project_id, revoked_at=runtime.clock.now_ms()).project_id


def change_password(runtime: Runtime, name: str, password: str, project_id: str | None = None) -> str:
    """Change a user's password, with a project only of one of it; revoke the user's tokens and keys.

    Return the id of the user's project. Raises `InvalidField`.
    """
    return _update_user(runtime, name, project_id, password_hash=hash_password(password)).project_id


def sign_in(runtime: Runtime, asked: SignIn, address: str) -> SignedIn:
    """Issue a new token. Raises `WrongPassword`, `NotAuthenticated`."""
    now = runtime.clock.now_ms()
    checked = None
    if asked.token:
        old, user = find_token(runtime, hash_token(asked.token.encode()))
        expires_at = old.expires_at  # a token cannot extend its own life
    else:
        checked = check_user(runtime, asked, address, now)
        user, expires_at = checked.user, now + VALID_MS
    project = None if asked.account else _project(runtime, user, asked.project)
    secret = secrets.token_hex(32)
    token = Token(
        sha256=hash_token(secret.encode()),
        user_id=user.id,
        project_id=project.id if project else None,
        issued_at=now,
        expires_at=expires_at,
    )
    with writing(runtime.database) as connection:
        if checked:
            expect_unchanged(connection, checked)
        users.insert_token(connection, token)
    return SignedIn(secret, token, user, project)


def show_token(runtime: Runtime, secret: bytes, caller: Caller | None) -> SignedIn:
    """Show a token: the caller's own (None), or another of the project of an administrator.

    Raises `InvalidField` without one, `NotAuthorized`, `TokenNotFound`.
    """
    if not secret:
        raise InvalidField("X-Subject-Token", "send the token that is asked about in this header")
    if caller and not caller.admin:
        raise NotAuthorized("Only an administrator may ask about the token of somebody else.")
    try:
        token, user = find_token(runtime, hash_token(secret))
    except NotAuthenticated as error:
        raise TokenNotFound() from error
    if caller and user.project_id != caller.project_id:
        raise TokenNotFound()
    return SignedIn(secret.decode("latin-1"), token, user, _project(runtime, user, "") if token.project_id else None)


def hash_token(secret: bytes) -> str:
    return sha256(secret).hexdigest()


def find_token(runtime: Runtime, token_sha256: str) -> tuple[Token, User]:
    """Return a valid token and its user. Raises `NotAuthenticated` (docs/contract.md, "Gateway codes")."""
    with reading(runtime.database) as connection:
        found = users.fetch_token(connection, token_sha256)
    if found is None:
        raise NotAuthenticated("decrypt token fail")
    check_token(found[0], runtime.clock.now_ms())
    return found


def check_token(token: Token, now_ms: int) -> None:
    """Raise `NotAuthenticated` if the token has expired."""
    if now_ms >= token.expires_at:
        moment = datetime.fromtimestamp(token.expires_at / 1000, UTC)
        raise NotAuthenticated(f"token expires, expires_at: {moment.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}")


def remove_expired_tokens(runtime: Runtime) -> None:
    users.delete_expired_tokens(runtime.database, runtime.clock.now_ms() - _TOLD_MS)


def _update_user(runtime: Runtime, name: str, project_id: str | None, **changed: object) -> User:
    """Change a user, and end all that was got for the password."""
    with writing(runtime.database) as connection:
        user = users.update_user(connection, name, project_id, **changed)
        if user is None:
            raise InvalidField("name", f"there is no user {name[:64]!r} in use; see `logkeep user list`")
        keys.revoke_issued(connection, user.id, runtime.clock.now_ms())
        console_sessions.delete_of_user(connection, user.id)
    return user


@dataclass(frozen=True, slots=True)
class CheckedUser:
    """A user, and the hash that the password was held against."""

    user: User
    password_hash: str = field(repr=False)


def expect_unchanged(connection: Connection, checked: CheckedUser) -> None:
    """Raise `WrongPassword` for who got another password, or was revoked, while the one that was given was checked.

    What ended with it then does not begin after it; the check takes a while on purpose.
    """
    if users.lock_user(connection, checked.user.id) != checked.password_hash:
        raise WrongPassword(who=checked.user.name, project_id=checked.user.project_id)


def check_user(runtime: Runtime, asked: SignIn, address: str, now_ms: int) -> CheckedUser:
    """Return the user. Neither the error nor its timing reveals whether the user exists."""
    locked_by = f"user {asked.user}"
    if runtime.lockout.is_locked(locked_by, address, now_ms):
        raise WrongPassword("The password failed too often from this address; try again in 5 minutes.")
    with reading(runtime.database) as connection:
        found = users.fetch_user(connection, asked.user)
    if not check_password(asked.password, found[1] if found else None) or found is None:
        runtime.lockout.failed(locked_by, address, now_ms)
        raise WrongPassword(who=found[0].name if found else "", project_id=found[0].project_id if found else "")
    runtime.lockout.succeeded(locked_by, address)
    return CheckedUser(*found)


def _project(runtime: Runtime, user: User, asked: str) -> Project:
    """Return the user's own project. Raises `WrongPassword` if `asked` is not its id, name or region, nor ''."""
    project = get_project(runtime, user.project_id)
    if asked not in {"", project.id, project.name, project.region}:
        raise WrongPassword(
            "The user has no role in this project, or there is no such project.",
            who=user.name,
            project_id=user.project_id,
        )
    return project
