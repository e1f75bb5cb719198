"""The key files of an installation: one seals secrets in the database, one signs the manifests in the buckets."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from logkeep.domain.causes import Cause
from logkeep.errors import SettingError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SEAL_FILE = "seal.key"
SIGN_FILE = "sign.key"  # Ed25519, PEM
TRUST_FILE = "sign.pub"  # PEM; one or more public keys, of this installation and of those before it


@dataclass(frozen=True, slots=True)
class Signing:
    """Signs manifests, and holds those that were signed against the keys of `sign.pub`."""

    key: str  # the public key, 32 bytes in hex
    sign: Callable[[bytes], bytes]  # 64 bytes
    find_signer: Callable[[bytes, bytes], str]  # data, signature: the trusted key that it is of in hex, '' for none


def create_keys(directory: Path) -> None:
    """Make the key files that are missing; what exists is kept."""
    from cryptography.fernet import Fernet  # noqa: PLC0415  slow to import, and not all commands need it

    _create(directory / SEAL_FILE, Fernet.generate_key(), 0o600)
    _create_signing_key(directory)


def create_certificate(certificate: Path, key: Path, host: str) -> None:
    """Make a TLS key and a certificate of it, signed by itself; what exists is kept."""
    if certificate.exists() and key.exists():
        return
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host[:64])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))  # the clock of the other side may be behind
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, os.O_CREAT | os.O_TRUNC, pem, 0o600)
    _write(certificate, os.O_CREAT | os.O_TRUNC, made.public_bytes(serialization.Encoding.PEM), 0o644)


def create_token(path: Path) -> str:
    """The token of 256 random bits in a file, which is made where it is missing. Raises `SettingError`."""
    _create(path, f"{secrets.token_urlsafe(32)}\n".encode(), 0o600)
    token = path.read_text().strip()
    if len(token) < 32:
        raise SettingError(f"{path}: holds no token of 32 characters at least; remove it, and a new one is made")
    if path.stat().st_mode & 0o077:
        raise SettingError(f"{path}: can be read by others; make it private with `chmod 600 {path}`")
    return token


def open_seal(directory: Path) -> tuple[Callable[[str], bytes], Callable[[bytes], str]]:
    """Functions that encrypt a secret for the database and decrypt it. Raises `SettingError`."""
    from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415

    path = directory / SEAL_FILE
    try:
        sealer = Fernet(path.read_bytes())
    except FileNotFoundError as error:
        raise SettingError(
            f"{directory} is no Logkeep directory; make one with `logkeep --dir {directory} init`"
        ) from error
    except OSError as error:
        raise SettingError(Cause.KEY_DENIED.tell(path=path, said=error.strerror)) from error
    except ValueError as error:
        raise SettingError(Cause.KEY_DAMAGED.tell(path=path)) from error

    def unseal(sealed: bytes) -> str:
        try:
            return sealer.decrypt(sealed).decode()
        except InvalidToken as error:
            raise SettingError(
                f"{path}: is not the key that the database was sealed with; copy the one of the installation here"
            ) from error

    return lambda secret: sealer.encrypt(secret.encode()), unseal


def open_signing(directory: Path) -> Signing:
    """Open the signing key, which is made anew where it was removed. Raises `SettingError`."""
    _create_signing_key(directory)
    key = _private_key(directory / SIGN_FILE)
    own = key.public_key()
    trusted = {_hex(public): public for public in (own, *_public_keys(directory / TRUST_FILE))}

    def find_signer(data: bytes, signature: bytes) -> str:
        return next((name for name, public in trusted.items() if _fits(public, data, signature)), "")

    return Signing(_hex(own), key.sign, find_signer)


def trust_keys(directory: Path, pem: bytes, where: str = "the file of trusted keys") -> None:
    """Add public keys to those that manifests may be signed with. Raises `SettingError` for what is none."""
    keys = _read_public_keys(pem, where)
    if not keys:
        raise SettingError(f"{where}: holds no public key in PEM form; give the sign.pub that you keep")
    _trust(directory, keys)


def trust_fingerprint(directory: Path, key: str) -> None:
    """Add the public key of 64 hex digits. Raises `SettingError` for anything else, also for a part of one."""
    _trust(directory, [_public_key(key)])


def is_signed_by(key: str, data: bytes, signature: bytes) -> bool:
    """Whether a signature is of a public key in hex that need not be trusted."""
    try:
        return _fits(_public_key(key), data, signature)
    except SettingError:
        return False


def _trust(directory: Path, keys: Iterable[Ed25519PublicKey]) -> None:
    if not (directory / SEAL_FILE).exists():
        raise SettingError(f"{directory} is no Logkeep directory; make one with `logkeep --dir {directory} init`")
    path = directory / TRUST_FILE
    known = {_hex(public) for public in _public_keys(path)}
    new = {_hex(public): public for public in keys if _hex(public) not in known}
    _write(path, os.O_APPEND | os.O_CREAT, b"".join(map(_pem, new.values())), 0o644)


def _fits(public: Ed25519PublicKey, data: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    try:
        public.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _create_signing_key(directory: Path) -> None:
    if (directory / SIGN_FILE).exists() or not (directory / SEAL_FILE).exists():
        return
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    if _create(directory / SIGN_FILE, pem, 0o600):
        _trust(directory, [key.public_key()])


def _private_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise SettingError(Cause.KEY_DENIED.tell(path=path, said=error.strerror)) from error
    except (ValueError, TypeError) as error:
        raise SettingError(Cause.KEY_DAMAGED.tell(path=path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingError(Cause.KEY_DAMAGED.tell(path=path))
    return key


def _public_keys(path: Path) -> list[Ed25519PublicKey]:
    return _read_public_keys(path.read_bytes(), str(path)) if path.exists() else []


def _read_public_keys(pem: bytes, where: str) -> list[Ed25519PublicKey]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    keys: list[Ed25519PublicKey] = []
    for block in pem.split(b"-----BEGIN ")[1:]:
        try:
            key = load_pem_public_key(b"-----BEGIN " + block)
        except ValueError as error:
            raise SettingError(f"{where}: holds what is no public key in PEM form") from error
        if not isinstance(key, Ed25519PublicKey):
            raise SettingError(f"{where}: holds a key that is no Ed25519 key")
        keys.append(key)
    return keys


def _pem(public: Ed25519PublicKey) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _hex(public: Ed25519PublicKey) -> str:
    return public.public_bytes_raw().hex()


def _public_key(key: str) -> Ed25519PublicKey:
    """Raises `SettingError` for what is none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    if not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        raise SettingError(f"{key[:64]!r} is no fingerprint of a key; give all 64 hex digits of it")
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))


def _create(path: Path, data: bytes, mode: int) -> bool:
    """Write a new file durably; False where there is one."""
    try:
        _write(path, os.O_CREAT | os.O_EXCL, data, mode)
    except FileExistsError:
        return False
    return True


def _write(path: Path, how: int, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | how, mode), "ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
