"""The key files of an installation as files: their names, whether they are there, and how they are read and written."""

from __future__ import annotations

import os
from pathlib import Path

from logkeep.domain.causes import Cause
from logkeep.errors import SettingError

SEAL_FILE = "seal.key"
SIGN_FILE = "sign.key"  # Ed25519, PEM
TRUST_FILE = "sign.pub"  # PEM; trusted public keys: of this installation, and of earlier ones


def no_installation(directory: Path) -> SettingError:
    """Return the error for a directory without a sealing key: not of Logkeep, or one that has lost it."""
    if lacks_seal(directory):
        return damaged(directory / SEAL_FILE, "it is missing, and other keys of an installation are there")
    return SettingError(f"{directory} is no Logkeep directory; make one with `logkeep init`")


def lacks_seal(directory: Path) -> bool:
    """Return whether only the sealing key is missing, as after an interrupted `init`, or since it was lost."""
    others = any((directory / name).exists() for name in (SIGN_FILE, TRUST_FILE))
    return others and not (directory / SEAL_FILE).exists()


def read_file(path: Path, cause: Cause = Cause.KEY_DAMAGED) -> bytes:
    """Read a file of keys. Raises `SettingError`, and `FileNotFoundError` if it is missing."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise SettingError(Cause.KEY_DENIED.tell(path=path, said=error.strerror)) from error
    except OSError as error:
        raise damaged(path, error.strerror or str(error), cause) from error
    if not data.strip():
        raise damaged(path, "it is empty", cause)
    return data


def damaged(path: Path, said: str = "its content is damaged", cause: Cause = Cause.KEY_DAMAGED) -> SettingError:
    return SettingError(cause.tell(path=path, said=said))


def create_file(path: Path, data: bytes, mode: int) -> bool:
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
    sync(path.parent)
    return True


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file durably and whole, replacing an existing one."""
    _write_beside(path, data, mode).rename(path)
    sync(path.parent)


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    made = path.with_name(f"{path.name}.{os.getpid()}.new")
    made.unlink(missing_ok=True)
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return made


def sync(directory: Path) -> None:
    """Make durable what was created or renamed in the directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
