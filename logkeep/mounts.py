"""What is mounted where, as the system tells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A part of a file system, and where it is seen."""

    device: str  # major:minor
    root: Path  # of the part, in the file system
    point: Path
    kind: str  # ext4, proc, …


def find_mount(path: Path) -> tuple[int, Mount | None]:
    """Return id and mount of a path without links; (0, None) if the system does not tell.

    The mount itself, which may hang, is not called.
    """
    over = [(number, mount) for number, mount in read_mounts().items() if path.is_relative_to(mount.point)]
    # Of those at one point the last one lies over the others.
    return max(reversed(over), key=lambda one: len(one[1].point.parts), default=(0, None))


def read_mounts() -> dict[int, Mount]:
    """Return all mounts by id; none where the system does not tell."""
    try:
        text = _MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return {}
    return dict(_read_mount(line) for line in text.split("\n") if line)


def _read_mount(line: str) -> tuple[int, Mount]:
    """Parse `36 35 98:0 /part /point rw,noatime master:1 - ext4 /dev/root rw`, see proc(5)."""
    seen, _, source = line.partition(" - ")
    number, _, device, root, point, *_ = seen.split(" ")
    return int(number), Mount(device, _path(root), _path(point), source.partition(" ")[0])


def _path(text: str) -> Path:
    return Path(_ESCAPE.sub(lambda escape: chr(int(escape[1], 8)), text))
