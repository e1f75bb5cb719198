"""Directories of this machine as sources."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from logkeep.errors import SourceUnreadable, SourceVanished
from logkeep.sources.base import LogSource, OpenLog
from logkeep.sources.local import LocalSource
from tests.suites.source_suite import EXCLUDED, SourceSuite, folder_for_all, not_root


class TestLocalSource(SourceSuite):
    @pytest.fixture
    def logs(self) -> Iterator[Path]:
        with folder_for_all() as folder:
            yield folder

    @pytest.fixture
    def opened(self) -> Callable[..., LogSource]:
        return lambda directory: LocalSource(directory, EXCLUDED)

    def denied(self) -> AbstractContextManager[object]:
        return not_root()


ASKED: list[Callable[[OpenLog], object]] = [lambda log: log.stat(), lambda log: log.read_at(0, 10)]


@pytest.mark.parametrize("ask", ASKED, ids=["stat", "read"])
@pytest.mark.parametrize("number", [errno.ENOENT, errno.ESTALE])
def test_an_open_file_that_its_mount_has_no_more_is_gone(
    ask: Callable[[OpenLog], object], number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "es.log").write_text("line")
    log = LocalSource(tmp_path).open("es.log")
    with failing(number, monkeypatch), pytest.raises(SourceVanished, match=r"es\.log is gone"):
        ask(log)
    told = r"Input/output error; check the disk of the node"
    with failing(errno.EIO, monkeypatch), pytest.raises(SourceUnreadable, match=told):
        ask(log)
    log.close()


@contextmanager
def failing(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As FUSE and network mounts do, whose open files go with their names."""

    def fail(*_: object) -> object:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", fail)
        patched.setattr(os, "pread", fail)
        yield
