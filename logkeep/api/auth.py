"""Who sends a request: its signature is verified over the raw bytes, the key looked up in the service."""

from __future__ import annotations

import time
from collections.abc import Mapping

from starlette.types import Scope

from logkeep.domain.cluster import AccessKey
from logkeep.errors import ClusterNotFound, NotAuthenticated
from logkeep.service import identity
from logkeep.service.context import Context
from logkeep.signing import sdk_hmac
from logkeep.signing.sdk_hmac import Authorization, SignatureError

_KEPT_SECONDS = 1.0  # a key that is revoked is refused after this time at the latest
_MAX_KEPT = 1024  # keys

_Found = tuple[AccessKey, str]


class Authenticator:
    """Verifies signatures and knows the keys used in the last second."""

    def __init__(self, context: Context, max_skew_ms: int) -> None:
        self._context = context
        self._max_skew_ms = max_skew_ms
        self._kept: dict[str, tuple[float, _Found]] = {}

    def identify(
        self, authorization: Authorization, scope: Scope, headers: Mapping[bytes, bytes], body: bytes
    ) -> AccessKey:
        """The key that signed this request. Raises `NotAuthenticated`."""
        key, secret = self._find_key(authorization.access_key)
        try:
            sdk_hmac.verify(
                authorization,
                secret,
                method=scope["method"],
                raw_path=scope["raw_path"],
                raw_query=scope["query_string"],
                headers=headers,
                body=body,
                now_ms=self._context.clock.now_ms(),
                max_skew_ms=self._max_skew_ms,
            )
        except SignatureError as error:
            raise NotAuthenticated(str(error)) from error
        return key

    def _find_key(self, access_key: str) -> _Found:
        now = time.monotonic()
        kept = self._kept.get(access_key)
        if kept and now - kept[0] < _KEPT_SECONDS:
            return kept[1]
        found = identity.find_key(self._context, access_key)
        if found is None:  # not kept: a key made this moment works at once
            self._kept.pop(access_key, None)
            raise NotAuthenticated(f"ak {access_key} not exist")
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[access_key] = (now, found)
        return found


def read_authorization(headers: Mapping[bytes, bytes]) -> Authorization:
    """The Authorization header, taken apart. Raises `NotAuthenticated`."""
    header = headers.get(b"authorization")
    if header is None and b"x-auth-token" in headers:
        raise NotAuthenticated("decrypt token fail")  # no tokens are given out here (contract.md 2.4)
    if header is None:
        raise NotAuthenticated()
    try:
        return sdk_hmac.parse_authorization(header)
    except SignatureError as error:
        raise NotAuthenticated(str(error)) from error


def check_project(key: AccessKey, parameters: Mapping[str, str]) -> None:
    """A key sees only its own project; any other is answered like a cluster that does not exist."""
    project_id = parameters.get("project_id")
    if project_id is not None and project_id != key.project_id:
        raise ClusterNotFound()
