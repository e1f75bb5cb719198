"""What every kind of source must do: inherit `SourceSuite` in a `Test…` class that has the fixtures `logs` and `opened`."""

from __future__ import annotations

import os
import re
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path

import pytest

from logkeep.errors import SourceUnreachable, SourceUnreadable, SourceVanished
from logkeep.logformat.names import NOT_LOGS, compile_exclusions
from logkeep.sources.base import LogSource, OpenLog, PassedKind
from logkeep.sources.names import name_text

MIB = 1024 * 1024
NAMES = [
    b"es.log",
    b"es-2026-11-24-1.json.gz",
    b"a name with spaces .log",
    b"  ",
    b"line\nbreak\r\t.log",
    b"100%41%.log",
    b"no utf-8 \xff\xe9.log",
    "日志-\U0001f5c4.log".encode(),
    b"q'\"<>\\|*?:&;$(){}[]~^#!.log",
    b"-rf",
    b"n" * 250,
]
EXCLUDED = compile_exclusions(NOT_LOGS)


class SourceSuite:
    """`logs` is the directory as this process sees it, `opened` opens a source on it or on a directory below."""

    whole_seconds = False  # of times
    tells_inodes = True

    @pytest.fixture
    def logs(self) -> Path:
        raise NotImplementedError

    @pytest.fixture
    def opened(self, logs: Path) -> Callable[..., LogSource]:
        """Takes the path of a directory."""
        raise NotImplementedError

    @pytest.fixture
    def source(self, logs: Path, opened: Callable[..., LogSource]) -> LogSource:
        return opened(logs)

    def denied(self) -> AbstractContextManager[object]:
        """While it is entered, the source reads as a user who is not root."""
        return nullcontext()

    # Listing

    @pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
    def test_a_name_survives_the_round_trip(self, logs: Path, source: LogSource, name: bytes) -> None:
        (logs / os.fsdecode(name)).write_bytes(name)
        [file] = source.list()
        assert (file.name, file.size) == (name_text(os.fsdecode(name)), len(name))
        with closing(source.open(file.name)) as log:
            assert log.read_at(0, 1000) == name
            assert log.stat() == file

    def test_an_empty_directory_has_no_logs(self, source: LogSource) -> None:
        assert source.list() == []

    def test_sizes_and_times_are_told(self, logs: Path, source: LogSource) -> None:
        for name, size, time_ns in (("empty.log", 0, 1_500_000_000), ("a.log", 5 * MIB, 1_600_000_000_123_456_789)):
            (logs / name).write_bytes(b"x" * size)
            os.utime(logs / name, ns=(time_ns, time_ns))
        tick = 1_000_000_000 if self.whole_seconds else 1
        assert {file.name: (file.size, file.mtime_ns) for file in source.list()} == {
            "empty.log": (0, 1_500_000_000 // tick * tick),
            "a.log": (5 * MIB, 1_600_000_000_123_456_789 // tick * tick),
        }

    def test_two_names_of_one_file_have_one_inode(self, logs: Path, source: LogSource) -> None:
        (logs / "a.log").write_bytes(b"x")
        (logs / "b.log").write_bytes(b"x")
        os.link(logs / "a.log", logs / "c.log")
        inodes = {file.name: file.inode for file in source.list()}
        if self.tells_inodes:
            assert inodes["a.log"] == inodes["c.log"] != inodes["b.log"]
        else:
            assert set(inodes.values()) == {""}

    def test_folders_are_listed_through(self, logs: Path, source: LogSource) -> None:
        for name in ("es.log", "inner/es.log", "inner/more/a b.log", "in\nner/x%2Fy.log", "none/.hidden"):
            (logs / name).parent.mkdir(exist_ok=True, parents=True)
            (logs / name).write_text(name)
        names = ["es.log", "in%0Aner/x%252Fy.log", "inner/es.log", "inner/more/a b.log"]
        assert sorted(file.name for file in source.list()) == names
        with closing(source.open("in%0Aner/x%252Fy.log")) as log:
            assert log.read_at(0, 100) == b"in\nner/x%2Fy.log"

    def test_folders_far_below_are_left_out_and_told(self, logs: Path, source: LogSource) -> None:
        deepest = logs.joinpath(*"12345678")
        (deepest / "9").mkdir(parents=True)
        (deepest / "empty").mkdir()
        (deepest / "here.log").write_text("x")
        (deepest / "9" / "not.log").write_text("x")
        listing = source.list()
        assert [file.name for file in listing] == ["1/2/3/4/5/6/7/8/here.log"]
        [told] = listing.passed
        assert (told.name, told.kind) == ("1/2/3/4/5/6/7/8/9/", PassedKind.DEEP)
        assert "more than 8 folders below the log directory" in told.why

    def test_a_folder_that_cannot_be_listed_is_told_and_the_others_are_listed(
        self, logs: Path, source: LogSource
    ) -> None:
        for name in ("archive", "closed", "entered not"):
            (logs / name).mkdir()
            (logs / name / "old.log").write_text("x")
        (logs / "es.log").write_text("x")
        (logs / "closed").chmod(0)
        (logs / "entered not").chmod(0o644)
        with self.denied():
            listing = source.list()
        assert sorted(file.name for file in listing) == ["archive/old.log", "es.log"]
        told = {one.name: one.why for one in listing.passed if one.kind is PassedKind.CLOSED}
        assert sorted(told) == ["closed/", "entered not/"]
        assert re.search(r"ermission denied; let the .*user .*read and enter it", told["closed/"])

    def test_links_and_what_is_no_file_are_not_followed(self, logs: Path, source: LogSource, tmp_path: Path) -> None:
        secret = logs / "folder"
        secret.mkdir()
        (secret / "real.log").write_text("real")
        (logs / "link.log").symlink_to(secret / "real.log")
        (logs / "broken.log").symlink_to("/none")
        (logs / "linked").symlink_to(secret)
        os.mkfifo(logs / "pipe.log")
        listing = source.list()
        assert [file.name for file in listing] == ["folder/real.log"]
        assert listing.counts == {PassedKind.LINK: 3, PassedKind.SPECIAL: 1}
        for name in ("link.log", "broken.log", "linked/real.log", "pipe.log", "folder"):
            with pytest.raises(SourceVanished):
                source.open(name)

    def test_no_name_leads_out_of_the_directory(self, logs: Path, opened: Callable[..., LogSource]) -> None:
        (logs / "inner").mkdir()
        (logs / "outside.log").write_text("outside")
        source = opened(logs / "inner")
        for name in ("../outside.log", "..%2Foutside.log", str(logs / "outside.log"), "", ".", "..", "a/../x", "a%00"):
            with pytest.raises(SourceVanished):
                source.open(name)

    def test_what_is_no_log_is_left_out(self, logs: Path, source: LogSource) -> None:
        (logs / "lost+found").mkdir()
        for name in ("es.log", "java_pid1.hprof", "hs_err_pid1.log", ".hidden.log", "lost+found/#123"):
            (logs / name).write_text("x")
        listing = source.list()
        assert [file.name for file in listing] == ["es.log"]
        assert listing.counts == {PassedKind.EXCLUDED: 4}
        told = {one.name for one in listing.passed}
        assert told == {"java_pid1.hprof", "hs_err_pid1.log", ".hidden.log", "lost+found/"}
        for name in ("java_pid1.hprof", "lost+found/#123"):
            with pytest.raises(SourceVanished):
                source.open(name)

    @pytest.mark.parametrize("folder", ["core", "x.tmp", ".x", "x.hprof", "a.pid"])
    def test_a_folder_whose_name_is_left_out_for_files_is_listed(
        self, logs: Path, source: LogSource, folder: str
    ) -> None:
        (logs / folder).mkdir()
        (logs / folder / "es.log").write_text("x")
        assert [file.name for file in source.list()] == [f"{folder}/es.log"]
        source.open(f"{folder}/es.log").close()

    def test_a_directory_that_is_not_there_is_unreachable(self, logs: Path, opened: Callable[..., LogSource]) -> None:
        (logs / "file.log").write_text("x")
        for name in ("none", "file.log"):
            with pytest.raises(SourceUnreachable, match=r"^LK-SOURCE-UNREACHABLE: .*cannot be listed: "):
                opened(logs / name).list()

    def test_a_directory_that_may_not_be_read_is_unreachable(
        self, logs: Path, opened: Callable[..., LogSource]
    ) -> None:
        (logs / "closed").mkdir(mode=0)
        source = opened(logs / "closed")
        with self.denied(), pytest.raises(SourceUnreachable, match=r"ermission denied; check"):
            source.list()

    def test_thousands_of_files_are_listed(self, logs: Path, source: LogSource) -> None:
        for number in range(3000):
            (logs / f"es-{number}.log").touch()
        began = time.monotonic()
        assert len({file.name for file in source.list()}) == 3000
        assert time.monotonic() - began < 10

    # Reading

    def test_ranges_are_read(self, logs: Path, source: LogSource) -> None:
        data = os.urandom(3 * MIB + 17)
        (logs / "es.log").write_bytes(data)
        with closing(source.open("es.log")) as log:
            for offset, length in ((0, 1), (5, 100), (MIB - 1, 2), (3 * MIB, MIB), (3 * MIB + 17, 5), (9 * MIB, 5)):
                assert log.read_at(offset, length) == data[offset : offset + length]
            assert b"".join(pieces(log, 0)) == data

    def test_the_end_of_a_growing_file_is_read(self, logs: Path, source: LogSource) -> None:
        (logs / "es.log").write_bytes(b"one\n")
        with closing(source.open("es.log")) as log:
            assert log.read_at(0, 100) == b"one\n"
            assert log.read_at(4, 100) == b""
            with (logs / "es.log").open("ab") as file:
                file.write(b"two\n")
            assert log.stat().size == 8
            assert log.read_at(4, 100) == b"two\n"

    def test_an_open_file_stays_the_same_when_it_is_renamed_and_deleted(self, logs: Path, source: LogSource) -> None:
        (logs / "es.log").write_bytes(b"old\n" * 1000)
        with closing(source.open("es.log")) as log:
            before = log.stat()
            (logs / "es.log").rename(logs / "es-1.log")
            (logs / "es.log").write_bytes(b"new\n")
            assert log.read_at(0, 8) == b"old\nold\n"
            assert (log.stat().name, log.stat().size, log.stat().inode) == ("es.log", 4000, before.inode)
            (logs / "es-1.log").unlink()
            assert log.read_at(3996, 100) == b"old\n"

    def test_a_file_that_is_cut_short_says_so(self, logs: Path, source: LogSource) -> None:
        (logs / "es.log").write_bytes(b"x" * 100)
        with closing(source.open("es.log")) as log:
            os.truncate(logs / "es.log", 10)
            assert (log.stat().size, log.read_at(0, 100), log.read_at(50, 100)) == (10, b"x" * 10, b"")

    def test_a_file_that_was_replaced_since_the_listing_is_told(self, logs: Path, source: LogSource) -> None:
        (logs / "es.log").write_bytes(b"old\n")
        [listed] = source.list()
        (logs / "es.log").rename(logs.parent / "moved.log")
        (logs / "es.log").write_bytes(b"another\n")
        with closing(source.open("es.log")) as log:
            assert log.stat()._replace(name="", mtime_ns=0) != listed._replace(name="", mtime_ns=0)
            assert log.read_at(0, 100) == b"another\n"

    def test_a_name_that_is_gone_has_vanished(self, logs: Path, source: LogSource) -> None:
        (logs / "es.log").write_bytes(b"x")
        for name in ("none.log", "none/es.log", "es.log/x", "n" * 300):
            with pytest.raises((SourceVanished, SourceUnreadable) if len(name) > 255 else SourceVanished):
                source.open(name)

    def test_a_file_that_may_not_be_read_says_what_to_do(self, logs: Path, source: LogSource) -> None:
        (logs / "secret.log").write_bytes(b"x")
        (logs / "secret.log").chmod(0)
        with self.denied(), pytest.raises(SourceUnreadable, match=r"'secret.log' cannot be read: .*ermission.*group"):
            source.open("secret.log")

    def test_memory_does_not_grow_with_a_file(self, logs: Path, source: LogSource) -> None:
        with (logs / "es.log").open("wb") as file:
            file.truncate(10 * 1024 * MIB)
            file.seek(10 * 1024 * MIB - 4)
            file.write(b"end\n")
        with closing(source.open("es.log")) as log:
            assert log.stat().size == 10 * 1024 * MIB
            assert log.read_at(10 * 1024 * MIB - 4, 100) == b"end\n"
            next(pieces(log, 0))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for number, piece in enumerate(pieces(log, 0)):
                assert len(piece) <= MIB
                if number == 100:
                    break
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024

    def test_many_files_are_open_at_once_and_closed(self, logs: Path, source: LogSource) -> None:
        for number in range(30):
            (logs / f"{number}.log").write_text(str(number))
        for _ in range(4):
            opened = [source.open(f"{number}.log") for number in range(30)]
            assert [log.read_at(0, 9) for log in opened] == [str(number).encode() for number in range(30)]
            for log in opened:
                log.close()

    def test_threads_can_share_a_source(self, logs: Path, source: LogSource) -> None:
        data = [os.urandom(20_000 * number) for number in range(8)]
        for number, content in enumerate(data):
            (logs / f"{number}.log").write_bytes(content)

        def read(turn: int) -> bool:
            assert len(source.list()) == 8
            with closing(source.open(f"{turn % 8}.log")) as log:
                return b"".join(pieces(log, 0)) == data[turn % 8]

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(read, range(32)))


def pieces(log: OpenLog, start: int) -> Iterator[bytes]:
    """As the engine reads."""
    while piece := log.read_at(start, MIB):
        start += len(piece)
        yield piece


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A directory for logs that any user may enter; pytest's folders are closed to others."""
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        (folder / "logs").mkdir()
        yield folder / "logs"
    finally:
        shutil.rmtree(folder)


@contextmanager
def not_root(user: int = 65534) -> Iterator[None]:
    """Act as another user, where this is root."""
    if os.geteuid():
        yield
        return
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
