"""Where a directory really lies: the file system, and the path in it, whatever links and mounts lead there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from logkeep.mounts import Mount, read_mounts

_SELF = Path("/proc/self")
_ID = re.compile(r"^mnt_id:\s*(\d+)$", re.MULTILINE)


class Place(NamedTuple):
    """A directory or file as it is reached, and what it is."""

    path: Path  # without links
    device: str = ""  # of its file system; '' where the system does not tell
    inside: Path = Path()  # the path in that file system
    kind: str = ""  # of that file system

    def is_within(self, other: Place) -> bool:
        """Return whether it is the other place or below it, even where another mount shows it elsewhere."""
        if self.path.is_relative_to(other.path):
            return True
        return bool(self.device) and self.device == other.device and self.inside.is_relative_to(other.inside)


class Mounts:
    """All mounts by id; none where the system does not tell."""

    def __init__(self) -> None:
        self._known = read_mounts()

    def find(self, number: int) -> Mount | None:
        if number not in self._known:  # mounted since
            self._known = read_mounts()
        return self._known.get(number)


def locate(descriptor: int, path: Path, mounts: Mounts) -> Place:
    """Return the place of an open file or folder, under its present name if the system tells that."""
    try:
        found = _ID.search((_SELF / "fdinfo" / str(descriptor)).read_text("ascii"))
        now = (_SELF / "fd" / str(descriptor)).readlink()
    except OSError:
        return Place(path)
    mount = mounts.find(int(found[1])) if found else None
    if mount is None or not now.is_relative_to(mount.point):
        return Place(now)
    return Place(now, mount.device, mount.root / now.relative_to(mount.point), mount.kind)


def find_place(path: Path, mounts: Mounts) -> Place:
    """Return the place of a path with its links resolved, whether it exists or not."""
    real = Path(os.path.realpath(path))
    try:
        descriptor = os.open(real, getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return Place(real)
    try:
        return locate(descriptor, real, mounts)
    finally:
        os.close(descriptor)
