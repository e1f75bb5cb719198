"""Argon2id hashes of passwords. A check takes some 20 ms and 19 MiB, also for a user that does not exist."""

from __future__ import annotations

import os
import threading
from base64 import b64encode
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from logkeep.errors import InvalidField

MIN_LENGTH, MAX_LENGTH = 8, 256  # characters
_PASSES, _KIBIBYTES, _LANES = 2, 19 * 1024, 1  # minimum recommended by OWASP
# Bounds memory and cores used by many guesses at the same time.
_CONCURRENT_CHECKS = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))


def hash_password(password: str) -> str:
    """Return the hash of a new password. Raises `InvalidField` for one that is not allowed."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH or not password.isprintable():
        raise InvalidField("password", f"{MIN_LENGTH} to {MAX_LENGTH} printable characters are allowed")
    return _hasher().hash(password)


def check_password(password: str, password_hash: str | None) -> bool:
    """Return whether the password matches. A hash of None, for an unknown user, takes as long and never matches."""
    with _CONCURRENT_CHECKS:
        try:
            _hasher().verify(password_hash or _nobodys_hash(), password)
        except VerifyMismatchError:
            return False
    return password_hash is not None


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher(_PASSES, _KIBIBYTES, _LANES)


@cache
def _nobodys_hash() -> str:
    """Return a hash that no password matches, at the same cost."""
    salt, digest = (b64encode(bytes(length)).decode().rstrip("=") for length in (16, 32))
    return f"$argon2id$v=19$m={_KIBIBYTES},t={_PASSES},p={_LANES}${salt}${digest}"
