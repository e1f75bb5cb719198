"""Users, and the tokens that they get for their passwords."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from hashlib import sha256
from uuid import uuid4

from sqlalchemy.exc import IntegrityError

from logkeep.database import keys, users
from logkeep.database.connection import reading, writing
from logkeep.domain.access import Role, SignedIn, SignIn, Token, User
from logkeep.domain.cluster import Project
from logkeep.errors import InvalidField, NameTaken, NotAuthenticated, WrongPassword
from logkeep.service.context import Context
from logkeep.service.identity import check_name
from logkeep.service.passwords import check_password, hash_password

VALID_MS = 24 * 3_600_000  # of a token
_TOLD_MS = 3_600_000  # how long an expired token is kept, so that its owner is told that it expired
_BATCH, _BATCHES = 500, 20  # tokens per transaction, and transactions per call


def add_user(context: Context, project: Project, name: str, password: str, role: Role) -> User:
    """Add a user. Raises `InvalidField`, `NameTaken`."""
    check_name(name)
    user = User(id=uuid4().hex, name=name, project_id=project.id, role=role, created_at=context.clock.now_ms())
    hashed = hash_password(password)
    try:
        with writing(context.database) as connection:
            users.insert_user(connection, user, hashed)
    except IntegrityError as error:
        raise NameTaken(f"there is or was a user named {name}; choose another name") from error
    return user


def list_users(context: Context) -> list[User]:
    with reading(context.database) as connection:
        return users.fetch_users(connection)


def revoke_user(context: Context, name: str) -> None:
    """Revoke a user; takes effect within a second. Raises `InvalidField` if there is no such user."""
    with writing(context.database) as connection:
        if not users.revoke_user(connection, name, context.clock.now_ms()):
            raise InvalidField("name", f"there is no user {name[:64]!r} in use; see `logkeep user list`")


def sign_in(context: Context, asked: SignIn, address: str) -> SignedIn:
    """Issue a new token. Raises `WrongPassword`, `NotAuthenticated`."""
    now = context.clock.now_ms()
    if asked.token:
        old, user = find_token(context, hash_token(asked.token.encode()))
        expires_at = old.expires_at  # a token cannot extend its own life
    else:
        user, expires_at = _check_user(context, asked, address, now), now + VALID_MS
    project = None if asked.account else _project(context, user, asked.project)
    secret = secrets.token_hex(32)
    token = Token(
        sha256=hash_token(secret.encode()),
        user_id=user.id,
        project_id=project.id if project else None,
        issued_at=now,
        expires_at=expires_at,
    )
    with writing(context.database) as connection:
        users.insert_token(connection, token)
    return SignedIn(secret, token, user, project)


def hash_token(secret: bytes) -> str:
    return sha256(secret).hexdigest()


def find_token(context: Context, token_sha256: str) -> tuple[Token, User]:
    """Return a valid token and its user. Raises `NotAuthenticated` (docs/contract.md, "Gateway codes")."""
    with reading(context.database) as connection:
        found = users.fetch_token(connection, token_sha256)
    if found is None:
        raise NotAuthenticated("decrypt token fail")
    check_token(found[0], context.clock.now_ms())
    return found


def check_token(token: Token, now_ms: int) -> None:
    """Raise `NotAuthenticated` if the token has expired."""
    if now_ms >= token.expires_at:
        moment = datetime.fromtimestamp(token.expires_at / 1000, UTC)
        raise NotAuthenticated(f"token expires, expires_at: {moment.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}")


def remove_expired_tokens(context: Context) -> None:
    """Delete expired tokens in batches, each in its own transaction."""
    before = context.clock.now_ms() - _TOLD_MS
    for _ in range(_BATCHES):
        with writing(context.database) as connection:
            if users.delete_expired_tokens(connection, before, _BATCH) < _BATCH:
                return


def _check_user(context: Context, asked: SignIn, address: str, now_ms: int) -> User:
    """Return the user. Neither the error nor its timing reveals whether the user exists."""
    locked_by = f"user {asked.user}"
    if context.lockout.is_locked(locked_by, address, now_ms):
        raise WrongPassword("The password failed too often from this address; try again in 5 minutes.")
    with reading(context.database) as connection:
        found = users.fetch_user(connection, asked.user)
    if not check_password(asked.password, found[1] if found else None) or found is None:
        context.lockout.failed(locked_by, address, now_ms)
        raise WrongPassword(who=found[0].name if found else "", project_id=found[0].project_id if found else "")
    context.lockout.succeeded(locked_by, address)
    return found[0]


def _project(context: Context, user: User, asked: str) -> Project:
    """Return the user's own project. Raises `WrongPassword` if `asked` is not its id, name or region, nor ''."""
    with reading(context.database) as connection:
        (project,) = keys.fetch_projects(connection, project_id=user.project_id)
    if asked not in {"", project.id, project.name, project.region}:
        raise WrongPassword(
            "The user has no role in this project, or there is no such project.",
            who=user.name,
            project_id=user.project_id,
        )
    return project
