"""Who is signed in to the console: sessions of browsers, and links that sign in once.

A session has the rights of its user or key at the moment, and ends with them: a user who is revoked or gets another
password, and a key that is revoked or expires, have no session any more.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import sha256

from sqlalchemy import Connection

from logkeep.database import console_sessions as sessions
from logkeep.database import keys, users
from logkeep.database.connection import reading, writing
from logkeep.domain.access import Caller, ConsoleLink, ConsoleSession, SignIn
from logkeep.errors import LinkSpent, RequestError, SessionEnded, WrongPassword
from logkeep.service.runtime import Runtime
from logkeep.service.users import CheckedUser, check_user, expect_unchanged

LINK_MS = 5 * 60_000  # for which a link can be used
_SEEN_EACH_MS = 60_000  # between two notes that a session is in use
_LONGEST_MS = 7 * 24 * 3_600_000  # of a session, however much it is used
_MOST_SESSIONS = 50  # of one user or key
_MOST_LINKS = 20  # of one key, at a time


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session with its secret, which only the browser keeps."""

    secret: str = field(repr=False)
    caller: Caller


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link with its secret, which is told once."""

    secret: str = field(repr=False)
    expires_at: int  # Unix ms


def sign_in_user(runtime: Runtime, name: str, password: str, address: str) -> NewSession:
    """Begin a session of a user. Raises `WrongPassword`, also for who failed too often."""
    checked = check_user(runtime, SignIn(user=name, password=password), address, runtime.clock.now_ms())
    user = checked.user
    return _begin(runtime, Caller(user.name, user.project_id, user.role), checked=checked)


def sign_in_key(runtime: Runtime, ak: str, sk: str, address: str) -> NewSession:
    """Begin a session of an access key. Raises `WrongPassword`, also for who failed too often."""
    now, lockout, locked_by = runtime.clock.now_ms(), runtime.lockout, f"key {ak}"
    if lockout.is_locked(locked_by, address, now):
        raise WrongPassword("The secret was wrong too often from this address; try again in 5 minutes.")
    with reading(runtime.database) as connection:
        found = keys.fetch_key(connection, ak)
    secret = runtime.seal.decrypt(found[1]) if found else ""
    right = hmac.compare_digest(secret.encode(), sk.encode(errors="surrogatepass")) and secret != ""
    if found is None or not right or found[0].expires_at is not None:  # a temporary key has a security token too
        lockout.failed(locked_by, address, now)
        raise WrongPassword(
            "There is no such access key, or this is not its secret.",
            who=ak if found else "",
            project_id=found[0].project_id if found else "",
        )
    lockout.succeeded(locked_by, address)
    return _begin(runtime, Caller(ak, found[0].project_id, found[0].role), ak=ak)


def make_link(runtime: Runtime, caller: Caller) -> NewLink:
    """Make a link that signs in once with the rights of the calling key. Raises `RequestError` for a user, or many."""
    if not runtime.console:
        raise RequestError("The console is turned off, by console.enabled in logkeep.toml of the service.")
    now, secret = runtime.clock.now_ms(), secrets.token_urlsafe(24)
    with writing(runtime.database) as connection:
        if keys.fetch_key(connection, caller.name) is None:
            raise RequestError("A link is made with an access key; users sign in with their password.")
        if sessions.count_links(connection, caller.name, now) >= _MOST_LINKS:
            raise RequestError(f"{_MOST_LINKS} links of this key wait to be used; use one, or wait 5 minutes.")
        sessions.insert_link(connection, ConsoleLink(_hash(secret), caller.name, now + LINK_MS))
    return NewLink(secret, now + LINK_MS)


def find_link(runtime: Runtime, secret: str) -> Caller:
    """Return whose rights the link gives, and leave it as it is. Raises `LinkSpent`."""
    with reading(runtime.database) as connection:
        link = sessions.fetch_link(connection, _hash(secret))
        caller = _caller_of_key(connection, link.ak, runtime.clock.now_ms()) if link else None
    left = link.expires_at - runtime.clock.now_ms() if link else 0
    if caller is None or not 0 < left <= LINK_MS:  # more where the clock was wrong
        raise LinkSpent()
    return caller


def spend_link(runtime: Runtime, secret: str) -> NewSession:
    """Begin a session by a link, which works no more. Raises `LinkSpent`."""
    caller = find_link(runtime, secret)
    with writing(runtime.database) as connection:
        if not sessions.delete_link(connection, _hash(secret)):
            raise LinkSpent()
    return _begin(runtime, caller, ak=caller.name)


@dataclass(frozen=True, slots=True)
class FoundSession:
    """Whose session it is, and whether it is time to note that it is in use."""

    caller: Caller
    due: bool


def find_session(runtime: Runtime, secret: str, idle_ms: int) -> FoundSession:
    """Return a session that has not ended. Raises `SessionEnded`."""
    now, digest = runtime.clock.now_ms(), _hash(secret)
    with reading(runtime.database) as connection:
        session = sessions.fetch_session(connection, digest)
        if session is None or abs(now - session.seen_at) > idle_ms or now - session.created_at > _LONGEST_MS:
            raise SessionEnded()  # also where it began by a clock that was wrong, which it would outlive
        caller = _caller(connection, session, now)
    if caller is None:
        raise SessionEnded()
    return FoundSession(caller, now - session.seen_at > _SEEN_EACH_MS)


def note_use(runtime: Runtime, secret: str) -> None:
    """Note that a session is in use."""
    with writing(runtime.database) as connection:
        sessions.mark_seen(connection, _hash(secret), runtime.clock.now_ms())


def end_session(runtime: Runtime, secret: str) -> None:
    with writing(runtime.database) as connection:
        sessions.delete_session(connection, _hash(secret))


def remove_ended(runtime: Runtime, idle_minutes: float) -> None:
    """Delete what no browser can use any more."""
    now = runtime.clock.now_ms()
    sessions.delete_idle_sessions(runtime.database, now - round(idle_minutes * 60_000))
    sessions.delete_expired_links(runtime.database, now)


def _begin(
    runtime: Runtime, caller: Caller, *, checked: CheckedUser | None = None, ak: str | None = None
) -> NewSession:
    now, secret, user_id = runtime.clock.now_ms(), secrets.token_hex(32), checked.user.id if checked else None
    session = ConsoleSession(_hash(secret), user_id, ak, created_at=now, seen_at=now)
    with writing(runtime.database) as connection:
        if checked:
            expect_unchanged(connection, checked)
        sessions.insert_session(connection, session, _MOST_SESSIONS)
    return NewSession(secret, caller)


def _hash(secret: str) -> str:
    return sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _caller(connection: Connection, session: ConsoleSession, now: int) -> Caller | None:
    if session.ak:
        return _caller_of_key(connection, session.ak, now)
    user = users.fetch_user_of_id(connection, session.user_id or "")
    return Caller(user.name, user.project_id, user.role) if user else None


def _caller_of_key(connection: Connection, ak: str, now: int) -> Caller | None:
    found = keys.fetch_key(connection, ak)
    if found is None or (found[0].expires_at is not None and found[0].expires_at <= now):
        return None
    return Caller(ak, found[0].project_id, found[0].role)
