"""Directories of this machine as sources."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from logkeep.errors import SourceRefused, SourceUnreadable, SourceVanished
from logkeep.sources.base import LogSource, OpenLog
from logkeep.sources.confinement import Confinement
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


class Counted:
    """Counts what `os.open` is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self._open = os.open
        monkeypatch.setattr(os, "open", self)

    def __call__(self, *arguments: Any, **named: Any) -> int:
        self.number += 1
        return self._open(*arguments, **named)


@pytest.fixture
def source(tmp_path: Path) -> LocalSource:
    return LocalSource(tmp_path / "logs", confinement=Confinement())


def write(file: Path, content: bytes = b"line\n") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def read(source: LogSource, name: str) -> bytes:
    with closing(source.open(name)) as log:
        return log.read_at(0, 100)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_way_to_a_folder_is_walked_once_for_many_files(
    tmp_path: Path, source: LocalSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{folder}{number}.log" for folder in ("", "a/", "a/b/") for number in range(100)]
    for name in names:
        write(tmp_path / "logs" / name)
    counted = Counted(monkeypatch)
    assert source.run(lambda: [read(source, name) for name in names]) == [b"line\n"] * 300
    assert counted.number <= 300 + len(tmp_path.parts) + 6


def test_a_folder_that_was_moved_away_and_replaced_is_noticed(tmp_path: Path, source: LocalSource) -> None:
    for name in ("es.log", "a/es.log"):
        write(tmp_path / "logs" / name)

    def look() -> None:
        assert read(source, "es.log") == read(source, "a/es.log") == b"line\n"
        (tmp_path / "logs" / "a").rename(tmp_path / "logs" / "moved")
        with pytest.raises(SourceVanished):
            source.open("a/es.log")
        write(tmp_path / "logs/a/es.log", b"another\n")
        assert read(source, "a/es.log") == b"another\n"
        (tmp_path / "logs").rename(tmp_path / "moved")
        with pytest.raises(SourceVanished):
            source.open("es.log")
        write(tmp_path / "logs/a/es.log", b"third\n")
        assert read(source, "a/es.log") == b"third\n"

    source.run(look)


@pytest.mark.parametrize("part", ["logs", "logs/a"])
def test_a_link_that_was_swapped_in_for_a_folder_that_is_open_leads_nowhere(
    tmp_path: Path, source: LocalSource, part: str
) -> None:
    for name in ("logs/a/es.log", "other/es.log", "other/a/es.log"):
        write(tmp_path / name, name.encode())

    def look() -> None:
        assert read(source, "a/es.log") == b"logs/a/es.log"
        (tmp_path / part).rename(tmp_path / "moved")
        (tmp_path / part).symlink_to(tmp_path / "other")
        with pytest.raises((SourceRefused, SourceVanished)):
            source.open("a/es.log")

    source.run(look)


def test_few_folders_are_held_open_and_none_in_the_end(tmp_path: Path, source: LocalSource) -> None:
    names = [f"{folder}/es.log" for folder in range(200)]
    for name in names:
        write(tmp_path / "logs" / name)
    before, held = open_descriptors(), list[int]()

    def look() -> None:
        for name in [*names, *names]:
            assert read(source, name) == b"line\n"
            held.append(open_descriptors() - before)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        source.run(look)
    assert 1 < max(held) <= 32
    assert open_descriptors() == before
