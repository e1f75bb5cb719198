"""What an agent has on its node: a TLS key with a certificate, and the token that it is asked with."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from logkeep.errors import SettingError
from logkeep.keyfiles.files import create_file, read_file, replace_file


def create_certificate(certificate: Path, key: Path, host: str) -> None:
    """Create a TLS key and a self-signed certificate; existing ones are kept."""
    if certificate.exists() and key.exists():
        return
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
    replace_file(key, pem, 0o600)
    replace_file(certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)


def create_token(path: Path) -> str:
    """Return the token of 256 random bits in a file, which is created if missing. Raises `SettingError`."""
    create_file(path, f"{secrets.token_urlsafe(32)}\n".encode(), 0o600)
    token = read_file(path).decode("utf-8", "replace").strip()
    if len(token) < 32:
        raise SettingError(f"{path}: holds no token of 32 characters at least; remove it, and a new one is made")
    if path.stat().st_mode & 0o077:
        raise SettingError(f"{path}: can be read by others; make it private with `chmod 600 {path}`")
    return token
