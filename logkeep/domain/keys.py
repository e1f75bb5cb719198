"""Keys of an installation, as what can be done with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signing:
    """Signs manifests, and verifies signatures."""

    key: str  # the public key that verifies new signatures, 32 bytes in hex
    sign: Callable[[bytes], bytes]  # 64 bytes
    find_signer: Callable[[bytes, bytes], str]  # data, signature: the trusted public key that signed, '' if none
    is_signed_by: Callable[[str, bytes, bytes], bool]  # any public key (hex), data, signature


@dataclass(frozen=True, slots=True)
class Seal:
    """Encrypts secrets for the database."""

    encrypt: Callable[[str], bytes]
    decrypt: Callable[[bytes], str]  # raises `SettingError` if it was encrypted with another key
