"""The key that seals the secrets in the database."""

from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from logkeep.domain.keys import Seal
from logkeep.errors import SettingError
from logkeep.keyfiles.files import SEAL_FILE, create_file, damaged, no_installation, read_file


def create_seal(directory: Path) -> None:
    """Make the sealing key where it is missing."""
    create_file(directory / SEAL_FILE, Fernet.generate_key(), 0o600)


def open_seal(directory: Path) -> Seal:
    """Open the sealing key. Raises `SettingError`."""
    path = directory / SEAL_FILE
    try:
        sealer = Fernet(read_file(path))
    except FileNotFoundError as error:
        raise no_installation(directory) from error
    except ValueError as error:
        raise damaged(path) from error

    def decrypt(sealed: bytes) -> str:
        try:
            return sealer.decrypt(sealed).decode()
        except InvalidToken as error:
            raise SettingError(
                f"{path}: is not the key that the database was sealed with; copy the one of the installation here"
            ) from error

    return Seal(lambda secret: sealer.encrypt(secret.encode()), decrypt)
