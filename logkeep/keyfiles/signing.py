"""The key that signs the manifests in the buckets, and the public keys whose signatures are trusted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from logkeep.domain.causes import Cause
from logkeep.domain.keys import Signing
from logkeep.errors import SettingError
from logkeep.keyfiles.files import (
    SEAL_FILE,
    SIGN_FILE,
    TRUST_FILE,
    create_file,
    damaged,
    no_installation,
    read_file,
    replace_file,
)


def create_signing_key(directory: Path) -> None:
    """Make the signing key where it is missing, in a directory that has a sealing key."""
    if (directory / SIGN_FILE).exists() or not (directory / SEAL_FILE).exists():
        return
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _trust(directory, [key.public_key()])  # before the key exists: after a crash here nothing is ever signed with it
    create_file(directory / SIGN_FILE, pem, 0o600)


def open_signing(directory: Path, vouched: Iterable[str] = ()) -> Signing:
    """Open the signing key; create a new one if it was removed. Raises `SettingError`.

    `vouched` keys are trusted as well, but not written to `sign.pub`.
    """
    create_signing_key(directory)
    key = _private_key(directory / SIGN_FILE)
    own = key.public_key()
    trusted = {_hex(public): public for public in (own, *_trusted_keys(directory / TRUST_FILE))}
    trusted |= {key: _public_key(key) for key in vouched}

    def find_signer(data: bytes, signature: bytes) -> str:
        return next((name for name, public in trusted.items() if _fits(public, data, signature)), "")

    return Signing(_hex(own), key.sign, find_signer, _is_signed_by)


def read_public_keys(pem: bytes, where: str) -> list[str]:
    """Read public keys, in hex, from a file like `sign.pub`. Raises `SettingError` for anything else in it, or none."""
    try:
        keys = _read_public_keys(pem)
    except ValueError as error:
        raise SettingError(f"{where}: {error}") from error
    if not keys:
        raise SettingError(f"{where}: holds no public key in PEM form; give the sign.pub that you keep")
    return [_hex(key) for key in keys]


def check_fingerprint(key: str) -> str:
    """Return a public key of 64 hex digits, in lower case. Raises `SettingError` for anything else or a part of one."""
    return _hex(_public_key(key))


def trust_keys(directory: Path, keys: Iterable[str]) -> None:
    """Add public keys, in hex, to those trusted to sign manifests. Raises `SettingError`."""
    _trust(directory, [_public_key(key) for key in keys])


def _trust(directory: Path, keys: Iterable[Ed25519PublicKey]) -> None:
    if not (directory / SEAL_FILE).exists():
        raise no_installation(directory)
    path = directory / TRUST_FILE
    known = {_hex(public) for public in _trusted_keys(path)} if path.exists() else set[str]()
    new = {_hex(public): public for public in keys if _hex(public) not in known}
    if new:
        before = path.read_bytes() if path.exists() else b""
        replace_file(path, b"".join([before, *map(_pem, new.values())]), 0o644)


def _is_signed_by(key: str, data: bytes, signature: bytes) -> bool:
    """Return whether a signature is of this public key in hex, trusted or not."""
    try:
        return _fits(_public_key(key), data, signature)
    except SettingError:
        return False


def _fits(public: Ed25519PublicKey, data: bytes, signature: bytes) -> bool:
    try:
        public.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(read_file(path), None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise damaged(path) from error
    except TypeError as error:
        raise damaged(path, "it has a passphrase") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise damaged(path, "it is of another kind than Ed25519")
    return key


def _trusted_keys(path: Path) -> list[Ed25519PublicKey]:
    """Read the trusted keys. Raises `SettingError`, also if there are none: older manifests would lose their proof."""
    try:
        keys = _read_public_keys(read_file(path, Cause.TRUST_DAMAGED))
    except FileNotFoundError as error:
        raise damaged(path, "it is missing", Cause.TRUST_DAMAGED) from error
    except ValueError as error:
        raise damaged(path, str(error), Cause.TRUST_DAMAGED) from error
    if not keys:
        raise damaged(path, "it holds no public key in PEM form", Cause.TRUST_DAMAGED)
    return keys


def _read_public_keys(pem: bytes) -> list[Ed25519PublicKey]:
    """Parse PEM public keys. Raises `ValueError` that says what is wrong."""
    keys: list[Ed25519PublicKey] = []
    for block in pem.split(b"-----BEGIN ")[1:]:
        try:
            key = load_pem_public_key(b"-----BEGIN " + block)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError("it holds what is no public key in PEM form") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("it holds a key that is no Ed25519 key")
        keys.append(key)
    return keys


def _pem(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _hex(public: Ed25519PublicKey) -> str:
    return public.public_bytes_raw().hex()


def _public_key(key: str) -> Ed25519PublicKey:
    """Parse a public key in hex. Raises `SettingError` if it is none."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        raise SettingError(f"{key[:64]!r} is no fingerprint of a key; give all 64 hex digits of it")
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
