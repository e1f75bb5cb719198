"""Id of an installation, in a file beside its keys; the database stores it too, as proof that they belong together."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from logkeep.errors import SettingError

ID_FILE = "installation.id"
UNFINISHED_FILE = "installation.id.new"  # its name until `init` is complete
_ID = re.compile(r"[0-9a-f]{32}")


def is_unfinished(directory: Path) -> bool:
    """Tell if an `init` was interrupted here; running it again continues with the keys it made."""
    return (directory / UNFINISHED_FILE).exists() and not (directory / ID_FILE).exists()


def begin_id(directory: Path) -> str:
    """Return the id for the installation being made; an earlier attempt's, if there was one."""
    return begun_id(directory) or _write(directory, UNFINISHED_FILE, secrets.token_hex(16))


def begun_id(directory: Path) -> str:
    """Return the id of an earlier attempt, '' if there was none."""
    return _read(directory / UNFINISHED_FILE) or ""


def finish_id(directory: Path) -> None:
    """Mark the installation as complete: from now on its database must exist."""
    if is_unfinished(directory):
        (directory / UNFINISHED_FILE).rename(directory / ID_FILE)
        _sync(directory)


def read_id(directory: Path) -> str | None:
    """Return the id, None if there is no file. Raises `SettingError` for a file that holds no id."""
    return _read(directory / ID_FILE)


def write_id(directory: Path, id_: str = "") -> str:
    """Write this id, or a new one, and return it."""
    return _write(directory, ID_FILE, id_ or secrets.token_hex(16))


def _read(path: Path) -> str | None:
    try:
        text = path.read_text("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingError(f"{path}: cannot be read: {error.strerror}; let the logkeep user read it") from error
    if not text and path.name == UNFINISHED_FILE:
        return None  # `init` was broken off before it had written anything
    if not _ID.fullmatch(text):
        raise SettingError(f"{path}: holds no id of an installation; copy the file of the machine where `init` ran")
    return text


def _write(directory: Path, name: str, id_: str) -> str:
    """Write the file durably and atomically."""
    made = directory / f"{name}.{os.getpid()}"
    with made.open("w", encoding="ascii") as file:
        file.write(f"{id_}\n")
        file.flush()
        os.fsync(file.fileno())
    made.rename(directory / name)
    _sync(directory)
    return id_


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
