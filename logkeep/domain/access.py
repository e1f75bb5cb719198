"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from logkeep.domain.cluster import Project


class Role(StrEnum):
    """What a key or a user may do in its project."""

    ADMIN = "admin"  # everything; registers clusters, so names paths and URLs
    OPERATOR = "operator"  # everything on logs
    READER = "reader"  # lists, shows, reads the archive, verifies


class Right(StrEnum):
    """What an operation needs."""

    IDENTIFY = "identify"  # whoever is known
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
    """Who sends a request: a key, or a user with a token."""

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
    """A key by which a client signs; belongs to one project."""

    ak: str
    project_id: str
    role: Role
    created_at: int  # Unix ms
    revoked_at: int | None = None
    expires_at: int | None = None  # of a temporary key
    security_token_sha256: str = ""  # of a temporary key: what must come in X-Security-Token

    @property
    def admin(self) -> bool:
        return self.role is Role.ADMIN


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a password; belongs to one project."""

    id: str  # 32 lower-case hex digits
    name: str  # unique for ever, so that the audit stays true
    project_id: str
    role: Role
    created_at: int  # Unix ms
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """What a user got for a password; known by its hash only."""

    sha256: str
    user_id: str
    project_id: str | None  # None: for the account
    issued_at: int  # Unix ms
    expires_at: int


@dataclass(frozen=True, slots=True)
class SignIn:
    """What somebody gives for a token: a user and a password, or a token; and what the new one is to be for."""

    user: str = ""  # name or id
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    project: str = ""  # name or id, '' for the user's own
    account: bool = False  # for the account and not for a project


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A token, shown once."""

    secret: str = field(repr=False)
    token: Token
    user: User
    project: Project | None  # None: for the account


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One call that changes something, or that was refused to."""

    at: int  # Unix ms
    who: str  # access key or user; '' where nobody is known
    project_id: str  # '' where it is not known
    operation: str  # its id
    cluster_id: str  # '' where there is none
    address: str  # of the peer
    status: int
    code: str  # of the error, '' for success
    request_id: str
