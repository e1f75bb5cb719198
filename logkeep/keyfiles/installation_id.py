"""Id of an installation, in a file beside its keys; the database stores it too, as proof that they belong together."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from logkeep.errors import SettingError
from logkeep.keyfiles.files import SEAL_FILE, SIGN_FILE, TRUST_FILE, replace_file, sync

ID_FILE = "installation.id"
UNFINISHED_FILE = "installation.id.new"  # its name until `init` is complete
_ID = re.compile(r"[0-9a-f]{32}")
_WRITTEN = "|".join(map(re.escape, (UNFINISHED_FILE, SEAL_FILE, SIGN_FILE, TRUST_FILE)))
_LEFTOVER = re.compile(rf"({_WRITTEN})\.\d+(\.new)?")  # the number is that of the process


def is_unfinished(directory: Path) -> bool:
    """Return whether an `init` was interrupted here; running it again continues with the keys it made."""
    return (directory / UNFINISHED_FILE).exists() and not (directory / ID_FILE).exists()


def is_leftover(name: str) -> bool:
    """Return whether an `init` that was killed while it wrote a file left one of this name."""
    return _LEFTOVER.fullmatch(name) is not None


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
        sync(directory)


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
    replace_file(directory / name, f"{id_}\n".encode(), 0o644)
    return id_
