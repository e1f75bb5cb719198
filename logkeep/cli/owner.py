"""What a directory is and whose, quickly: every command looks, and `--help` too."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from logkeep.domain.causes import Cause
from logkeep.errors import SettingError
from logkeep.keyfiles.files import SEAL_FILE

CLIENT_FILE = "client.toml"


def is_installation(directory: Path) -> bool:
    try:
        return (directory / SEAL_FILE).exists()
    except PermissionError:  # nobody knows
        return False


def is_client(directory: Path) -> bool:
    """Return whether the directory only says where a service is."""
    try:
        return (directory / CLIENT_FILE).exists() and not is_installation(directory)
    except PermissionError:  # nobody knows
        return False


def check_readable(directory: Path) -> None:
    """Raise `SettingError` where there is such a directory, and this user may not look into it."""
    try:
        if not directory.exists() or os.access(directory, os.R_OK | os.X_OK, effective_ids=True):
            return
        said = f"it belongs to {user_name(directory.stat().st_uid)}, and this runs as {user_name(os.geteuid())}"
    except PermissionError as error:
        said = f"{error.strerror}, as {user_name(os.geteuid())}"
    raise SettingError(Cause.DIRECTORY_CLOSED.tell(path=directory, said=said))


def user_name(uid: int) -> str:
    """Return the name of a user of this system, or the number of one that has none, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
