"""Passwords as Argon2id hashes; checking one takes some 20 ms and 19 MiB whether there is a hash or not."""

from __future__ import annotations

import os
import threading
from base64 import b64encode
from functools import cache
from typing import TYPE_CHECKING

from logkeep.errors import InvalidField

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_LENGTH, MAX_LENGTH = 8, 256  # characters
_PASSES, _KIBIBYTES, _LANES = 2, 19 * 1024, 1  # what OWASP names as the least that is enough
# So that many guesses at a time fill neither the memory nor all cores.
_AT_ONCE = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))


def hash_password(password: str) -> str:
    """Raises `InvalidField`."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH or not password.isprintable():
        raise InvalidField("password", f"{MIN_LENGTH} to {MAX_LENGTH} printable characters are allowed")
    return _hasher().hash(password)


def check_password(password: str, password_hash: str | None) -> bool:
    """Without a hash, which is for a user that does not exist, it takes as long and is False."""
    from argon2.exceptions import VerifyMismatchError  # noqa: PLC0415  as below

    with _AT_ONCE:
        try:
            _hasher().verify(password_hash or _nobodys_hash(), password)
        except VerifyMismatchError:
            return False
    return password_hash is not None


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415  imported when the first password is checked: most have none

    return PasswordHasher(_PASSES, _KIBIBYTES, _LANES)


@cache
def _nobodys_hash() -> str:
    """A hash that no password has, with the same cost."""
    salt, digest = (b64encode(bytes(length)).decode().rstrip("=") for length in (16, 32))
    return f"$argon2id$v=19$m={_KIBIBYTES},t={_PASSES},p={_LANES}${salt}${digest}"
