"""Callers of the API: keys, users and tokens, and the rights of their roles."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from logkeep.domain.cluster import Project


class Role(StrEnum):
    """Set of rights that a key or user has in its project."""

    ADMIN = "admin"  # everything; registers clusters, so names paths and URLs
    OPERATOR = "operator"  # everything on logs
    READER = "reader"  # lists, shows, reads the archive, verifies


class Right(StrEnum):
    """Permission that an operation requires."""

    IDENTIFY = "identify"  # any valid key or token
    READ = "read"
    OPERATE = "operate"
    ADMINISTER = "administer"


RIGHTS = {
    Role.ADMIN: frozenset(Right),
    Role.OPERATOR: frozenset({Right.IDENTIFY, Right.READ, Right.OPERATE}),
    Role.READER: frozenset({Right.IDENTIFY, Right.READ}),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Authenticated sender of a request: a key, or a user with a token."""

    name: str  # of the key or the user
    project_id: str
    role: Role
    scoped: bool = True  # False with a token for the account: it may identify itself and nothing else

    @property
    def admin(self) -> bool:
        return self.may(Right.ADMINISTER)

    def may(self, right: Right) -> bool:
        return right is Right.IDENTIFY or (self.scoped and right in RIGHTS[self.role])


@dataclass(frozen=True, slots=True)
class AccessKey:
    """Access key with which a client signs requests; belongs to one project."""

    ak: str
    project_id: str
    role: Role
    created_at: int  # Unix ms
    revoked_at: int | None = None
    expires_at: int | None = None  # of a temporary key
    security_token_sha256: str | None = None  # of a temporary key: hash of its X-Security-Token
    issuer: str | None = None  # of a temporary key got by a call: the id of the user, or the key, that asked for it

    @property
    def admin(self) -> bool:
        return self.role is Role.ADMIN


class KeyKind(StrEnum):
    """Which keys a list shows."""

    LASTING = "lasting"  # in use, without an end
    TEMPORARY = "temporary"  # in use, until they expire
    ENDED = "ended"  # revoked or expired


@dataclass(frozen=True, slots=True)
class User:
    """Person with a password; belongs to one project."""

    id: str  # 32 lower-case hex digits
    name: str  # never reused, so that an audit entry always means the same user
    project_id: str
    role: Role
    created_at: int  # Unix ms
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """Token that a user got for a password. Only its hash is stored."""

    sha256: str
    user_id: str
    project_id: str | None  # None: for the account
    issued_at: int  # Unix ms
    expires_at: int


@dataclass(frozen=True, slots=True)
class SignIn:
    """Request for a token: credentials (user and password, or another token) and the scope of the new token."""

    user: str = ""  # name or id
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    project: str = ""  # name or id, '' for the user's own
    account: bool = False  # for the account and not for a project


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new token with its secret, which is never shown again."""

    secret: str = field(repr=False)
    token: Token
    user: User
    project: Project | None  # None: for the account


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One call that changes something, or that was refused."""

    at: int  # Unix ms
    who: str  # access key or user; '' if unknown
    project_id: str  # '' if unknown
    operation: str  # id of the operation
    cluster_id: str  # '' if the call is about no cluster
    address: str  # of the peer
    status: int
    code: str  # error code, '' for success
    request_id: str


@dataclass(frozen=True, slots=True)
class AuditPosition:
    """Entry after which a page of the audit begins."""

    at: int
    id: int  # its number in the database, as several may be of one moment


@dataclass(slots=True)
class AuditTrail:
    """What the audit will tell of a request, as far as it becomes known."""

    address: str  # of the peer
    who: str = ""  # access key or user
    project_id: str = ""
    cluster_id: str = ""
    proven: bool = False  # whether it is known that `who` sent it


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """Session of a browser, of a user or of a key. Only the hash of its secret is stored."""

    sha256: str
    user_id: str | None  # None: of a key
    ak: str | None  # None: of a user
    created_at: int  # Unix ms
    seen_at: int  # Unix ms, to the minute: when somebody last did something in it


@dataclass(frozen=True, slots=True)
class ConsoleLink:
    """Link that signs in to the console once, with the rights of a key."""

    sha256: str
    ak: str
    expires_at: int  # Unix ms
