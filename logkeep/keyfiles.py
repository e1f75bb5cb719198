"""Key files of an installation: one encrypts secrets in the database, one signs the manifests in the buckets."""

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
TRUST_FILE = "sign.pub"  # PEM; trusted public keys: of this installation, and of earlier ones


@dataclass(frozen=True, slots=True)
class Signing:
    """Signs manifests, and verifies signatures with the keys of `sign.pub`."""

    key: str  # the public key, 32 bytes in hex
    sign: Callable[[bytes], bytes]  # 64 bytes
    find_signer: Callable[[bytes, bytes], str]  # data, signature: the trusted key that signed, in hex; '' if none


def create_keys(directory: Path) -> None:
    """Create missing key files; existing ones are kept."""
    from cryptography.fernet import Fernet  # noqa: PLC0415  slow to import, and not all commands need it

    _create(directory / SEAL_FILE, Fernet.generate_key(), 0o600)
    _create_signing_key(directory)


def create_certificate(certificate: Path, key: Path, host: str) -> None:
    """Create a TLS key and a self-signed certificate; existing ones are kept."""
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
        .not_valid_before(now - timedelta(days=2))  # the client's clock may be behind
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _replace(key, pem, 0o600)
    _replace(certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)


def create_token(path: Path) -> str:
    """Return the token of 256 random bits in a file, which is created if missing. Raises `SettingError`."""
    _create(path, f"{secrets.token_urlsafe(32)}\n".encode(), 0o600)
    token = _read(path).decode("utf-8", "replace").strip()
    if len(token) < 32:
        raise SettingError(f"{path}: holds no token of 32 characters at least; remove it, and a new one is made")
    if path.stat().st_mode & 0o077:
        raise SettingError(f"{path}: can be read by others; make it private with `chmod 600 {path}`")
    return token


def no_installation(directory: Path) -> SettingError:
    """Return the error for a directory without a sealing key: not of Logkeep, or one that has lost it."""
    if lacks_seal(directory):
        return _damaged(directory / SEAL_FILE, "it is missing, and other keys of an installation are there")
    return SettingError(f"{directory} is no Logkeep directory; make one with `logkeep --dir {directory} init`")


def lacks_seal(directory: Path) -> bool:
    """Tell if only the sealing key is missing, as after an interrupted `init`, or since it was lost."""
    others = any((directory / name).exists() for name in (SIGN_FILE, TRUST_FILE))
    return others and not (directory / SEAL_FILE).exists()


def open_seal(directory: Path) -> tuple[Callable[[str], bytes], Callable[[bytes], str]]:
    """Return functions that encrypt a secret for the database and decrypt it. Raises `SettingError`."""
    from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415

    path = directory / SEAL_FILE
    try:
        sealer = Fernet(_read(path))
    except FileNotFoundError as error:
        raise no_installation(directory) from error
    except ValueError as error:
        raise _damaged(path) from error

    def unseal(sealed: bytes) -> str:
        try:
            return sealer.decrypt(sealed).decode()
        except InvalidToken as error:
            raise SettingError(
                f"{path}: is not the key that the database was sealed with; copy the one of the installation here"
            ) from error

    return lambda secret: sealer.encrypt(secret.encode()), unseal


def open_signing(directory: Path, vouched: Iterable[str] = ()) -> Signing:
    """Open the signing key; create a new one if it was removed. Raises `SettingError`.

    `vouched` keys are trusted as well, but not written to `sign.pub`.
    """
    _create_signing_key(directory)
    key = _private_key(directory / SIGN_FILE)
    own = key.public_key()
    trusted = {_hex(public): public for public in (own, *_trusted_keys(directory / TRUST_FILE))}
    trusted |= {key: _public_key(key) for key in vouched}

    def find_signer(data: bytes, signature: bytes) -> str:
        return next((name for name, public in trusted.items() if _fits(public, data, signature)), "")

    return Signing(_hex(own), key.sign, find_signer)


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


def is_signed_by(key: str, data: bytes, signature: bytes) -> bool:
    """Tell if a signature is of this public key in hex, trusted or not."""
    try:
        return _fits(_public_key(key), data, signature)
    except SettingError:
        return False


def _trust(directory: Path, keys: Iterable[Ed25519PublicKey]) -> None:
    if not (directory / SEAL_FILE).exists():
        raise no_installation(directory)
    path = directory / TRUST_FILE
    known = {_hex(public) for public in _trusted_keys(path)} if path.exists() else set[str]()
    new = {_hex(public): public for public in keys if _hex(public) not in known}
    if new:
        before = path.read_bytes() if path.exists() else b""
        _replace(path, b"".join([before, *map(_pem, new.values())]), 0o644)


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
    _trust(directory, [key.public_key()])  # before the key exists: after a crash here nothing is ever signed with it
    _create(directory / SIGN_FILE, pem, 0o600)


def _private_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(_read(path), None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _damaged(path) from error
    except TypeError as error:
        raise _damaged(path, "it has a passphrase") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _damaged(path, "it is of another kind than Ed25519")
    return key


def _trusted_keys(path: Path) -> list[Ed25519PublicKey]:
    """Read the trusted keys. Raises `SettingError`, also if there are none: older manifests would lose their proof."""
    try:
        keys = _read_public_keys(_read(path, Cause.TRUST_DAMAGED))
    except FileNotFoundError as error:
        raise _damaged(path, "it is missing", Cause.TRUST_DAMAGED) from error
    except ValueError as error:
        raise _damaged(path, str(error), Cause.TRUST_DAMAGED) from error
    if not keys:
        raise _damaged(path, "it holds no public key in PEM form", Cause.TRUST_DAMAGED)
    return keys


def _read(path: Path, damaged: Cause = Cause.KEY_DAMAGED) -> bytes:
    """Read a file of keys. Raises `SettingError`, and `FileNotFoundError` if it is missing."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise SettingError(Cause.KEY_DENIED.tell(path=path, said=error.strerror)) from error
    except OSError as error:
        raise _damaged(path, error.strerror or str(error), damaged) from error
    if not data.strip():
        raise _damaged(path, "it is empty", damaged)
    return data


def _damaged(path: Path, said: str = "its content is damaged", cause: Cause = Cause.KEY_DAMAGED) -> SettingError:
    return SettingError(cause.tell(path=path, said=said))


def _read_public_keys(pem: bytes) -> list[Ed25519PublicKey]:
    """Parse PEM public keys. Raises `ValueError` that says what is wrong."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

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
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _hex(public: Ed25519PublicKey) -> str:
    return public.public_bytes_raw().hex()


def _public_key(key: str) -> Ed25519PublicKey:
    """Parse a public key in hex. Raises `SettingError` if it is none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    if not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        raise SettingError(f"{key[:64]!r} is no fingerprint of a key; give all 64 hex digits of it")
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))


def _create(path: Path, data: bytes, mode: int) -> bool:
    """Create a file durably and atomically; False if it exists."""
    if path.exists():
        return False
    made = _write_beside(path, data, mode)
    try:
        os.link(made, path)
    except FileExistsError:
        return False
    finally:
        made.unlink()
    _sync(path.parent)
    return True


def _replace(path: Path, data: bytes, mode: int) -> None:
    """Write a file durably and whole, replacing an existing one."""
    _write_beside(path, data, mode).rename(path)
    _sync(path.parent)


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    made = path.with_name(f"{path.name}.{os.getpid()}.new")
    made.unlink(missing_ok=True)
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return made


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
