"""The lock of an installation, in a file that is quick to import: `serve` takes it before its port answers."""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from logkeep.domain.causes import Cause
from logkeep.errors import SettingError


@contextmanager
def only_process(directory: Path) -> Generator[None]:
    """Lock the installation: with SQLite one process serves it. Raises `SettingError` if another one has the lock."""
    path = directory / "serve.lock"
    with ExitStack() as held:
        try:
            fcntl.flock(held.enter_context(path.open("w")), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingError(Cause.DIRECTORY_SERVED.tell(path=directory)) from error
        except OSError as error:
            raise SettingError(Cause.DIRECTORY_DENIED.tell(path=path, said=error.strerror)) from error
        yield
