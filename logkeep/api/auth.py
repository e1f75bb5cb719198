"""Who sends a request: a signature is verified over the raw bytes, a token looked up by its hash."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple, TypeVar

from starlette.types import Scope

from logkeep.api.call import AuditTrail
from logkeep.contract.operations import Operation
from logkeep.domain.access import AccessKey, Caller, Token
from logkeep.errors import ClusterNotFound, NotAtOnce, NotAuthenticated, NotAuthorized, WrongSignature
from logkeep.service import identity, users
from logkeep.service.context import Context
from logkeep.signing import sdk_hmac
from logkeep.signing.sdk_hmac import Authorization, SignatureError, SignatureMismatch

_KEPT_SECONDS = 1.0  # a key that is revoked is refused after this time at the latest
_MAX_KEPT = 1024  # keys, and as many tokens

T = TypeVar("T")
Credentials = Authorization | bytes  # a signature, or a token


class _Key(NamedTuple):
    key: AccessKey
    secret: str
    caller: Caller


class _Recent(dict[str, tuple[float, T]]):
    """What was found in the last second."""

    def find(self, name: str) -> T | None:
        kept = self.get(name)
        return kept[1] if kept and time.monotonic() - kept[0] < _KEPT_SECONDS else None

    def keep(self, name: str, found: T) -> T:
        if len(self) >= _MAX_KEPT:
            self.clear()
        self[name] = (time.monotonic(), found)
        return found


class Authenticator:
    """Verifies signatures and tokens; knows those used in the last second."""

    def __init__(self, context: Context, max_skew_ms: int) -> None:
        self._context = context
        self._max_skew_ms = max_skew_ms
        self._keys = _Recent[_Key]()
        self._tokens = _Recent[tuple[Token, Caller]]()

    def recognize(self, credentials: Credentials, trail: AuditTrail, *, at_once: bool = False) -> None:
        """Check that such a key or token exists, before a body is read. Raises `NotAuthenticated`.

        With `at_once` raises `NotAtOnce` for what was not looked up within the last second.
        """
        if isinstance(credentials, bytes):
            self._identify_by_token(credentials, trail, at_once)
        else:
            trail.who = credentials.access_key
            trail.project_id = self._find_key(credentials.access_key, at_once).caller.project_id

    def identify(
        self,
        credentials: Credentials,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        body: bytes,
        trail: AuditTrail,
        *,
        at_once: bool = False,
    ) -> Caller:
        """Identify the sender, and note in the trail what is known of it. Raises `NotAuthenticated`.

        With `at_once` raises `NotAtOnce` for a sender who was not looked up within the last second.
        """
        if isinstance(credentials, bytes):
            caller = self._identify_by_token(credentials, trail, at_once)
        else:
            caller = self._identify_by_signature(credentials, scope, headers, body, trail, at_once)
        trail.proven = True
        return caller

    def _identify_by_signature(
        self,
        credentials: Authorization,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        body: bytes,
        trail: AuditTrail,
        at_once: bool,
    ) -> Caller:
        ak = trail.who = credentials.access_key
        now_ms, lockout = self._context.clock.now_ms(), self._context.lockout
        found = self._find_key(ak, at_once)
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

    def _identify_by_token(self, secret: bytes, trail: AuditTrail, at_once: bool) -> Caller:
        digest = users.hash_token(secret)
        found = self._tokens.find(digest)
        if found:
            users.check_token(found[0], self._context.clock.now_ms())
        elif at_once:
            raise NotAtOnce()
        else:
            token, user = users.find_token(self._context, digest)
            caller = Caller(user.name, user.project_id, user.role, scoped=token.project_id is not None)
            found = self._tokens.keep(digest, (token, caller))
        trail.who, trail.project_id = found[1].name, found[1].project_id
        return found[1]

    def _find_key(self, ak: str, at_once: bool) -> _Key:
        kept = self._keys.find(ak)
        if kept:
            return kept
        if at_once:
            raise NotAtOnce()
        found = identity.find_key(self._context, ak)
        if found is None:  # not kept: a key made this moment works at once
            self._keys.pop(ak, None)
            raise NotAuthenticated(f"ak {ak} not exist")
        key, secret = found
        return self._keys.keep(ak, _Key(key, secret, Caller(ak, key.project_id, key.role)))


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
    if not hmac.compare_digest(sha256(token).hexdigest(), key.security_token_sha256):
        raise NotAuthenticated(f"x-security-token is missing or not that of the temporary ak {key.ak}")
    if now_ms >= key.expires_at:
        moment = datetime.fromtimestamp(key.expires_at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        raise NotAuthenticated(f"the temporary ak {key.ak} has expired, expires_at: {moment}")
