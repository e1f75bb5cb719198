"""What a benchmark needs around it: room on a disk, and the programs that Logkeep is compared with."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.real.servers import need_command


@contextmanager
def scratch() -> Generator[Path]:
    """A directory of the checkout's own disk: /tmp may lie in memory."""
    parent = Path("build/bench").absolute()
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as temporary:
        yield Path(temporary)


def has_room(folder: Path, size: int) -> bool:
    return shutil.disk_usage(folder).free > size * 5 // 4


def find_program(command: str, package: str = "") -> str | None:
    """The path of a program; its Debian package is installed where it is missing and this user may do so."""
    try:
        return need_command(command, package or command)
    except RuntimeError:
        return None
