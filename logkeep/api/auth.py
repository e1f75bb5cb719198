"""Who sends a request: a signature is verified over the raw bytes, a token looked up by its hash."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple, Protocol, TypeVar

from starlette.types import Scope

from logkeep.contract.operation import Operation
from logkeep.domain.access import AccessKey, AuditTrail, Caller, Token
from logkeep.domain.blocking import WouldBlock
from logkeep.errors import ClusterNotFound, NotAuthenticated, NotAuthorized, WrongSignature
from logkeep.service import identity, users
from logkeep.service.runtime import Runtime
from logkeep.signing import sdk_hmac
from logkeep.signing.sdk_hmac import Authorization, SignatureError, SignatureMismatch

_KEPT_SECONDS = 1.0  # a key that is revoked is refused after this time at the latest
_PROVEN_SECONDS = 600.0  # a caller is no stranger for so long, at the address of his last request
_MAX_KEPT = 1024  # keys, and as many tokens

T = TypeVar("T")
Credentials = Authorization | bytes  # a signature, or a token


class _Key(NamedTuple):
    key: AccessKey
    secret: str
    caller: Caller


class _Recent(dict[str, tuple[float, T]]):
    """What was found in the last seconds, by name."""

    def find(self, name: str, seconds: float) -> T | None:
        kept = self.get(name)
        return kept[1] if kept and time.monotonic() - kept[0] < seconds else None

    def keep(self, name: str, found: T) -> T:
        if len(self) >= _MAX_KEPT:
            self.clear()
        self[name] = (time.monotonic(), found)
        return found


class Senders(Protocol):
    """Finds who may send. Raises `NotAuthenticated`."""

    def find_key(self, ak: str) -> _Key: ...

    def find_token(self, digest: str) -> tuple[Token, Caller]: ...


class RecentSenders:
    """Finds who was looked up within the last second, and raises `WouldBlock` for others: for the event loop."""

    def __init__(self) -> None:
        self.keys = _Recent[_Key]()
        self.tokens = _Recent[tuple[Token, Caller]]()
        self._proven = _Recent[bool]()  # keys and hashes of tokens, each with the address at which it was right

    def find_key(self, ak: str) -> _Key:
        if kept := self.keys.find(ak, _KEPT_SECONDS):
            return kept
        raise WouldBlock()

    def find_token(self, digest: str) -> tuple[Token, Caller]:
        if kept := self.tokens.find(digest, _KEPT_SECONDS):
            return kept
        raise WouldBlock()

    def prove(self, credentials: Credentials, address: str) -> None:
        """Note that they are right."""
        self._proven.keep(_name(credentials, address), True)

    def were_right(self, credentials: Credentials, address: str) -> bool:
        """Return whether they were right some time ago at this address; whether they still are is to be looked up."""
        return self._proven.find(_name(credentials, address), _PROVEN_SECONDS) is not None


class StoredSenders:
    """Looks up in the database who was not looked up within the last second."""

    def __init__(self, runtime: Runtime, recent: RecentSenders) -> None:
        self._runtime = runtime
        self._recent = recent

    def find_key(self, ak: str) -> _Key:
        if kept := self._recent.keys.find(ak, _KEPT_SECONDS):
            return kept
        found = identity.find_key(self._runtime, ak)
        if found is None:  # not kept: a key made this moment works immediately
            self._recent.keys.pop(ak, None)
            raise NotAuthenticated(f"ak {ak} not exist")
        key, secret = found
        return self._recent.keys.keep(ak, _Key(key, secret, Caller(ak, key.project_id, key.role)))

    def find_token(self, digest: str) -> tuple[Token, Caller]:
        if kept := self._recent.tokens.find(digest, _KEPT_SECONDS):
            return kept
        token, user = users.find_token(self._runtime, digest)
        caller = Caller(user.name, user.project_id, user.role, scoped=token.project_id is not None)
        return self._recent.tokens.keep(digest, (token, caller))


class Authenticator:
    """Verifies signatures and tokens."""

    def __init__(self, runtime: Runtime, max_skew_ms: int, senders: Senders) -> None:
        self._runtime = runtime
        self._max_skew_ms = max_skew_ms
        self._senders = senders

    def recognize(self, credentials: Credentials, trail: AuditTrail) -> None:
        """Check that such a key or token exists, before a body is read. Raises `NotAuthenticated`."""
        if isinstance(credentials, bytes):
            self._identify_by_token(credentials, trail)
        else:
            trail.who = credentials.access_key
            trail.project_id = self._senders.find_key(credentials.access_key).caller.project_id

    def identify(
        self,
        credentials: Credentials,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        body: bytes,
        trail: AuditTrail,
    ) -> Caller:
        """Identify the sender, and note in the trail what is known of it. Raises `NotAuthenticated`."""
        if isinstance(credentials, bytes):
            caller = self._identify_by_token(credentials, trail)
        else:
            caller = self._identify_by_signature(credentials, scope, headers, body, trail)
        trail.proven = True
        return caller

    def _identify_by_signature(
        self,
        credentials: Authorization,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        body: bytes,
        trail: AuditTrail,
    ) -> Caller:
        ak = trail.who = credentials.access_key
        now_ms, lockout = self._runtime.clock.now_ms(), self._runtime.lockout
        found = self._senders.find_key(ak)
        trail.project_id = found.caller.project_id
        try:
            sdk_hmac.verify(
                credentials,
                found.secret,
                method=scope["method"],
                raw_path=scope["raw_path"],
                raw_query=scope["query_string"],
                headers=headers,
                body=body,
                now_ms=now_ms,
                max_skew_ms=self._max_skew_ms,
            )
        except SignatureError as error:
            if isinstance(error, SignatureMismatch):
                raise WrongSignature(str(error), lockout.failed(ak, trail.address, now_ms)) from error
            raise NotAuthenticated(str(error)) from error
        lockout.succeeded(ak, trail.address)
        if found.key.expires_at is not None:
            _check_temporary(found.key, headers, now_ms)
        return found.caller

    def _identify_by_token(self, secret: bytes, trail: AuditTrail) -> Caller:
        token, caller = self._senders.find_token(users.hash_token(secret))
        users.check_token(token, self._runtime.clock.now_ms())
        trail.who, trail.project_id = caller.name, caller.project_id
        return caller


def read_credentials(headers: Mapping[bytes, bytes]) -> Credentials:
    """Read the signature, or the token if there is no signature. Raises `NotAuthenticated`."""
    header = headers.get(b"authorization")
    if header is None:
        token = headers.get(b"x-auth-token")
        if token is None:
            raise NotAuthenticated()
        return token
    try:
        return sdk_hmac.parse_authorization(header)
    except SignatureError as error:
        raise NotAuthenticated(str(error)) from error


def _name(credentials: Credentials, address: str) -> str:
    who = users.hash_token(credentials) if isinstance(credentials, bytes) else credentials.access_key
    return f"{who} {address}"


def check_rights(caller: Caller, operation: Operation, parameters: Mapping[str, str]) -> None:
    """Raise `NotAuthorized`, or `ClusterNotFound` for another project: a caller sees only its own."""
    project_id = parameters.get("project_id")
    if project_id is not None and project_id != caller.project_id:
        raise ClusterNotFound()
    if caller.may(operation.right):
        return
    who = f"the role {caller.role}" if caller.scoped else "a token without a project"
    raise NotAuthorized(f"{NotAuthorized.__doc__} ({operation.id} is not for {who})")


def _check_temporary(key: AccessKey, headers: Mapping[bytes, bytes], now_ms: int) -> None:
    """Check the security token of a temporary key, signed or not, and its expiry. Raises `NotAuthenticated`."""
    assert key.expires_at is not None
    token = headers.get(b"x-security-token", b"")
    if not hmac.compare_digest(sha256(token).hexdigest(), key.security_token_sha256 or ""):
        raise NotAuthenticated(f"x-security-token is missing or not that of the temporary ak {key.ak}")
    if now_ms >= key.expires_at:
        moment = datetime.fromtimestamp(key.expires_at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        raise NotAuthenticated(f"the temporary ak {key.ak} has expired, expires_at: {moment}")
