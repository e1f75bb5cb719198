"""Single cases of backing up one node: one sentence each."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from logkeep.backup import node_backup
from logkeep.backup.catalogue import Kept as Stored
from logkeep.backup.node_backup import NodeBackup
from logkeep.backup.node_state import Outcome, Target
from logkeep.backup.segment import Sizes
from logkeep.clock import FixedClock, SystemClock
from logkeep.errors import JobSuperseded, SourceError, SourceUnreachable, SourceUnreadable
from logkeep.logformat.names import NOT_LOGS, compile_exclusions
from logkeep.sources.base import Listing, LogSource, OpenLog, PassedKind
from logkeep.sources.local import LocalSource
from tests.support.model import BusySource, InlineExecutor, MemoryCatalogue, MemoryStore

EXECUTOR = InlineExecutor()
SETTLED = -1_000_000_000  # whatever was written this very moment counts as long ago


class Kept:
    """A node's directory and what was kept of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.catalogue, self.store = MemoryCatalogue(), MemoryStore()
        self.jobs = 0
        self.max_file_bytes = 2**62
        self.sizes = Sizes(4096, 20_000)
        self.seconds_ahead = 0  # of the clock

    def back_up(
        self,
        meanwhile: Callable[[], None] = lambda: None,
        settle_ns: int = SETTLED,
        source: LogSource | None = None,
    ) -> Outcome:
        self.jobs += 1
        return self.attempt(1, meanwhile, settle_ns, source)

    def attempt(
        self,
        number: int,
        meanwhile: Callable[[], None] = lambda: None,
        settle_ns: int = SETTLED,
        source: LogSource | None = None,
    ) -> Outcome:
        self.catalogue.job = f"{self.jobs:032x}"
        source = BusySource(source or LocalSource(self.directory, compile_exclusions(NOT_LOGS)), meanwhile)
        target = Target(self.store, "bucket", "base/cluster", self.catalogue.job, number)
        clock = FixedClock(SystemClock().now_ms() + self.seconds_ahead * 1000)
        return NodeBackup(
            "n1",
            source,
            target,
            self.catalogue,
            clock,
            EXECUTOR,
            settle_ns,
            self.sizes,
            max_file_bytes=self.max_file_bytes,
        ).run()

    def of(self, family: str) -> bytes:
        return b"".join(self.catalogue.contents(self.store.objects).get(family, []))

    def write(self, name: str, data: bytes) -> None:
        (self.directory / name).write_bytes(data)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def lines(first: int, last: int) -> bytes:
    return b"".join(b"[2026-11-24T00:00:00,000][INFO ] line %d\n" % n for n in range(first, last))


def test_second_backup_stores_only_what_is_new(kept: Kept) -> None:
    kept.write("es.log", lines(0, 2000))
    kept.back_up()
    before = len(kept.catalogue.segments)
    kept.write("es.log", lines(0, 2100))
    kept.back_up()
    assert sum(s.end - s.start for s in kept.catalogue.segments[before:]) == len(lines(2000, 2100))
    assert kept.of("es.log") == lines(0, 2100)


def test_unchanged_directory_stores_nothing_and_is_not_read(kept: Kept) -> None:
    kept.write("es.log", lines(0, 100))
    kept.back_up()
    calls = []
    kept.back_up(lambda: calls.append(1))
    assert len(kept.catalogue.segments) == 1
    assert len(calls) == 1  # the listing


def test_file_that_changed_a_moment_ago_is_looked_into_again(kept: Kept) -> None:
    kept.write("es.log", lines(0, 100))
    kept.back_up(settle_ns=60_000_000_000)
    assert not kept.catalogue.digest
    assert not kept.catalogue.kept[1].settled


def test_renamed_and_compressed_log_is_not_kept_twice(kept: Kept) -> None:
    kept.write("es.log", lines(0, 1000))
    kept.back_up()
    (kept.directory / "es.log").unlink()
    kept.write("es-2026-11-24-1.log.gz", gzip.compress(lines(0, 1200)))
    kept.write("es.log", lines(1200, 1300))
    kept.back_up()
    assert kept.of("es.log") == lines(0, 1300)
    assert sum(s.end - s.start for s in kept.catalogue.segments) == len(lines(0, 1300))


def test_files_that_share_their_first_four_kibibytes_are_told_apart(kept: Kept) -> None:
    banner = b"same\n" * 2000
    kept.write("es-1.log", banner + lines(0, 10))
    kept.write("es.log", banner + lines(10, 20))
    kept.back_up()
    kept.write("es-2.log", banner + lines(10, 25))
    kept.write("es.log", banner + lines(30, 35))
    kept.back_up()
    assert kept.of("es.log") == b"".join(banner + lines(*span) for span in ((0, 10), (10, 25), (30, 35)))


def test_rename_while_a_file_is_read_loses_nothing(kept: Kept) -> None:
    kept.write("es.log", lines(0, 3000))
    calls = iter(range(1_000_000))

    def rename_once() -> None:
        if next(calls) == 6:
            (kept.directory / "es.log").rename(kept.directory / "es-2026-11-24-1.log")
            kept.write("es.log", lines(3000, 3010))

    kept.back_up(rename_once)
    assert kept.of("es.log") == lines(0, 3010)


@pytest.mark.parametrize("moment", range(1, 14))
def test_truncation_while_a_file_is_read_keeps_no_mixture(kept: Kept, moment: int) -> None:
    kept.write("es.log", lines(0, 3000))
    calls = iter(range(1_000_000))

    def replace_content() -> None:
        if next(calls) == moment:
            with (kept.directory / "es.log").open("r+b") as file:
                file.truncate(0)
                file.write(lines(5000, 9000))

    kept.back_up(replace_content)
    kept.back_up()
    assert kept.of("es.log").endswith(lines(5000, 9000))
    assert lines(0, 3000).startswith(kept.of("es.log").removesuffix(lines(5000, 9000)))
    assert kept.store.objects.keys() == {segment.object for segment in kept.catalogue.segments}


def test_copytruncate_with_the_copy_still_being_made_keeps_nothing_twice(kept: Kept) -> None:
    kept.write("app.log", lines(0, 1000))
    kept.back_up()
    kept.write("app.log.1", lines(0, 400))
    kept.back_up()
    kept.write("app.log.1", lines(0, 1000))
    kept.back_up()
    kept.write("app.log.1", lines(0, 1003))
    kept.write("app.log", lines(1003, 1010))
    kept.back_up()
    assert kept.of("app.log") == lines(0, 1010)


def test_half_written_gz_waits_and_is_then_kept(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_backup, "_WAIT_SECONDS", 0)
    packed = gzip.compress(lines(0, 1000))
    kept.write("es-2026-11-24-1.log.gz", packed[:-5])
    outcome = kept.back_up()
    assert not outcome.failures
    assert outcome.waiting == {"es-2026-11-24-1.log.gz"}
    assert lines(0, 999).startswith(kept.of("es.log"))
    kept.write("es-2026-11-24-1.log.gz", packed)
    kept.back_up()
    assert kept.of("es.log") == lines(0, 1000)


def test_half_written_gz_of_a_known_log_is_not_taken_for_a_new_one(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_backup, "_WAIT_SECONDS", 0)
    kept.write("es.log", lines(0, 9000))
    kept.back_up()
    (kept.directory / "es.log").unlink()
    packed = gzip.compress(lines(0, 9000))
    kept.write("es-2026-11-24-1.log.gz", packed[: len(packed) // 2])
    kept.back_up()
    kept.write("es-2026-11-24-1.log.gz", packed)
    kept.back_up()
    assert kept.of("es.log") == lines(0, 9000)
    assert not kept.catalogue.gaps


def test_plain_twin_of_a_growing_gz_is_read(kept: Kept) -> None:
    kept.write("es-2026-11-24-1.log", lines(0, 1000))
    kept.write("es-2026-11-24-1.log.gz", gzip.compress(lines(0, 1000))[:300])
    outcome = kept.back_up()
    assert not outcome.waiting
    assert kept.of("es.log") == lines(0, 1000)


def test_file_called_gz_that_is_none_is_kept_as_it_is(kept: Kept) -> None:
    kept.write("es-2026-11-24-1.log.gz", lines(0, 10))
    kept.back_up()
    assert kept.of("es.log") == lines(0, 10)


@pytest.mark.parametrize("content", [b"", b"x", b"\n", b"no newline at the end"])
def test_small_files_are_kept(kept: Kept, content: bytes) -> None:
    kept.write("es.log", content)
    kept.back_up()
    assert kept.of("es.log") == content
    assert [c.family for c in kept.catalogue.kept.values()] == ["es.log"]


@pytest.mark.parametrize("name", ["with space.log", "%41.log", "日志.log", "tab\there.log", "=.log"])
def test_odd_names_are_kept(kept: Kept, name: str) -> None:
    kept.write(name, lines(0, 3))
    kept.back_up()
    [content] = kept.catalogue.contents(kept.store.objects).values()
    assert content == [lines(0, 3)]


def test_name_that_is_no_utf8_is_kept_under_its_text_form(kept: Kept) -> None:
    (kept.directory / os.fsdecode(b"caf\xe9.log")).write_bytes(lines(0, 3))
    kept.back_up()
    assert kept.of("caf%E9.log") == lines(0, 3)


def test_links_and_things_that_are_no_logs_are_left_out(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "secret.log").write_bytes(b"secret")
    (kept.directory / "link.log").symlink_to(elsewhere / "secret.log")
    (kept.directory / "folder").symlink_to(elsewhere, target_is_directory=True)
    os.mkfifo(kept.directory / "pipe.log")
    for name in ("java_pid1.hprof", "hs_err_pid7.log", "core", "core.123"):
        kept.write(name, b"dump")
    kept.write("es.log", lines(0, 3))
    outcome = kept.back_up()
    assert not outcome.failures
    assert list(kept.catalogue.contents(kept.store.objects)) == ["es.log"]


def test_directory_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match="cannot be listed: No such file"):
        Kept(tmp_path / "missing").back_up()


def test_directory_that_comes_back_is_not_kept_again(kept: Kept) -> None:
    kept.write("es.log", lines(0, 100))
    kept.back_up()
    away = kept.directory.with_name("away")
    kept.directory.rename(away)
    kept.directory.mkdir()
    kept.back_up()
    kept.directory.rmdir()
    away.rename(kept.directory)
    kept.back_up()
    assert kept.of("es.log") == lines(0, 100)


def test_log_that_left_between_two_jobs_is_a_gap(kept: Kept) -> None:
    kept.write("es.log", lines(0, 100))
    kept.back_up()
    kept.write("es.log", lines(200, 210))
    kept.back_up()
    [gap] = kept.catalogue.gaps
    assert (gap.node, gap.family, gap.reason) == ("n1", "es.log", "truncated")


def test_deletion_of_a_rotated_log_that_was_kept_whole_is_no_gap(kept: Kept) -> None:
    kept.write("es-2026-11-24-1.log", lines(0, 100))
    kept.write("es.log", lines(100, 110))
    kept.back_up()
    (kept.directory / "es-2026-11-24-1.log").unlink()
    kept.back_up()
    assert not kept.catalogue.gaps


def test_file_that_becomes_readable_later_takes_its_place_in_the_order(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_backup, "_WAIT_SECONDS", 0)
    packed = gzip.compress(lines(10, 20))
    kept.write("es-2026-11-24-1.log.gz", gzip.compress(lines(0, 10)))
    kept.write("es-2026-11-24-2.log.gz", packed[:-3])
    kept.write("es.log", lines(20, 30))
    kept.back_up()
    kept.write("es-2026-11-24-2.log.gz", packed)
    kept.back_up()
    assert kept.of("es.log") == lines(0, 30)


def test_log_that_was_seen_empty_keeps_its_order_after_a_rotation(kept: Kept) -> None:
    kept.write("es.log", b"")
    kept.back_up()
    kept.write("es-2026-11-24-1.log.gz", gzip.compress(lines(0, 10)))
    kept.write("es.log", lines(10, 20))
    kept.back_up()
    assert kept.of("es.log") == lines(0, 20)


def test_gc_logs_are_ordered_by_their_first_line(kept: Kept) -> None:
    for name, hour in (("gc.log", 12), ("gc.log.00", 9), ("gc.log.01", 11), ("gc.log.02", 10)):
        kept.write(name, b"[2026-11-24T%02d:00:00.000+0000][1][gc] started\n" % hour)
    kept.back_up()
    assert [line[12:14] for line in kept.of("gc.log").splitlines()] == [b"09", b"10", b"11", b"12"]


def test_each_object_is_named_for_its_upload(kept: Kept) -> None:
    kept.write("es.log", lines(0, 2000))
    kept.back_up()
    names = sorted(kept.store.objects)
    assert names[0] == f"base/cluster/n1/es.log/00000001-{0:015d}-{1:032x}.1-1.zst"
    assert len(names) > 2


def test_commit_of_an_attempt_that_was_overtaken_is_refused(kept: Kept) -> None:
    kept.write("es.log", lines(0, 100))
    real = kept.catalogue.commit

    def overtaken(kept: Sequence[Stored], remaining: int) -> None:
        real(kept, remaining)
        real(kept, remaining)

    kept.catalogue.commit = overtaken  # type: ignore[method-assign]
    with pytest.raises(JobSuperseded):
        kept.back_up()


@pytest.mark.parametrize("moment", range(1, 8))
def test_gz_finished_between_listing_and_looking_is_not_kept_again(kept: Kept, moment: int) -> None:
    kept.write("es-2026-11-24-1.log", lines(0, 1000))
    kept.back_up()
    packed = gzip.compress(lines(0, 1000))
    kept.write("es-2026-11-24-1.log.gz", packed[:100])
    calls = iter(range(1_000_000))

    def finish() -> None:
        if next(calls) == moment:
            kept.write("es-2026-11-24-1.log.gz", packed)
            (kept.directory / "es-2026-11-24-1.log").unlink()

    kept.back_up(finish)
    kept.back_up()
    assert kept.of("es.log") == lines(0, 1000)


@pytest.mark.parametrize("moment", range(1, 12))
def test_copytruncate_between_listing_and_looking_is_not_kept_again(kept: Kept, moment: int) -> None:
    kept.write("app.log", lines(0, 1000))
    kept.back_up()
    kept.write("app.log", lines(0, 1010))
    kept.write("app.log.1", lines(0, 500))
    calls = iter(range(1_000_000))

    def finish() -> None:
        if next(calls) == moment:
            with (kept.directory / "app.log.1").open("r+b") as copy:
                copy.write(lines(0, 1010))
            os.truncate(kept.directory / "app.log", 0)

    kept.back_up(finish)
    kept.back_up()
    assert kept.of("app.log") == lines(0, 1010)


def test_gz_of_which_only_the_beginning_was_there_is_not_kept_again(tmp_path: Path) -> None:
    packed = gzip.compress(lines(0, 1010))
    for size in (1, 10, 12, 100):
        for moment in range(1, 60):
            directory = tmp_path / f"{size}-{moment}"
            directory.mkdir()
            kept = Kept(directory)
            kept.write("es.log", lines(0, 1000))
            kept.back_up()
            (directory / "es.log").rename(directory / "es-2026-11-24-1.log")
            kept.write("es-2026-11-24-1.log", lines(0, 1010))
            kept.write("es-2026-11-24-1.log.gz", packed[:size])
            calls = iter(range(1_000_000))

            def finish(kept: Kept = kept, calls: Iterator[int] = calls, moment: int = moment) -> None:
                if next(calls) == moment:
                    kept.write("es-2026-11-24-1.log.gz", packed)
                    (kept.directory / "es-2026-11-24-1.log").unlink()

            kept.back_up(finish)
            kept.back_up()
            assert kept.of("es.log") == lines(0, 1010), (size, moment)


class Killed(BaseException):
    """The process is gone."""


def test_job_that_is_killed_again_and_again_reaches_every_log(kept: Kept) -> None:
    names = [f"{letter}.log" for letter in "abcdef"]
    for name in names:
        kept.write(name, lines(0, 100))
    puts = iter(range(1_000_000))

    def die_at_every_second_put() -> None:
        if next(puts) % 2:
            raise Killed

    kept.store.before_put = die_at_every_second_put
    for attempt in range(1, len(names)):
        with pytest.raises(Killed):
            kept.attempt(attempt)
        for name in names:  # the node goes on writing
            with (kept.directory / name).open("ab") as log:
                log.write(lines(80 + attempt * 20, 100 + attempt * 20))
    kept.attempt(len(names))
    assert all(kept.of(name) for name in names)
    kept.store.before_put = lambda: None
    kept.back_up()
    assert {name: kept.of(name) for name in names} == {name: lines(0, 200) for name in names}


def test_large_file_is_read_on_where_the_attempt_before_was_killed(kept: Kept) -> None:
    kept.write("es.log", lines(0, 3000))  # several segments
    puts = iter(range(1_000_000))

    def die_at_the_second_put() -> None:
        if next(puts) == 1:
            raise Killed

    kept.store.before_put = die_at_the_second_put
    with pytest.raises(Killed):
        kept.attempt(1)
    kept.attempt(2)
    assert kept.of("es.log") == lines(0, 3000)


# What a listing passes over


class Closed(LogSource):
    """A source some of whose folders cannot be listed."""

    def __init__(self, directory: Path, *folders: str) -> None:
        self._source = LocalSource(directory, compile_exclusions(NOT_LOGS))
        self._folders = folders

    def list(self) -> Listing:
        listing = self._source.list()
        seen = listing.with_files(file for file in listing if not file.name.startswith(self._folders))
        for folder in self._folders:
            seen.pass_over(folder, PassedKind.CLOSED, "Permission denied; let the logkeep user enter it")
        return seen

    def open(self, name: str) -> OpenLog:
        return self._source.open(name)


def test_a_folder_that_cannot_be_listed_fails_and_all_else_is_kept(kept: Kept) -> None:
    (kept.directory / "archive").mkdir()
    kept.write("es.log", lines(0, 10))
    kept.write("archive/app.log", lines(0, 10))
    outcome = kept.back_up(source=Closed(kept.directory, "archive/"))
    assert outcome.all_failures() == [
        "LK-SOURCE-UNREADABLE: node n1: folder 'archive/' cannot be listed: "
        "Permission denied; let the logkeep user enter it"
    ]
    assert (kept.of("es.log"), kept.of("archive/app.log")) == (lines(0, 10), b"")
    assert not kept.back_up().all_failures()
    assert kept.of("archive/app.log") == lines(0, 10)


def test_what_lies_in_a_folder_that_cannot_be_listed_is_not_told_as_gone(kept: Kept) -> None:
    (kept.directory / "archive").mkdir()
    kept.write("es.log", lines(0, 10))
    kept.write("archive/app-2026-11-24-1.log", lines(0, 10))
    kept.write("archive/app.log", lines(10, 20))
    kept.back_up()
    for _ in range(2):
        outcome = kept.back_up(source=Closed(kept.directory, "archive/"))
        assert len(outcome.all_failures()) == 1
        assert outcome.aside() >= {"archive/app.log", "archive/app-2026-11-24-1.log"}
        assert all(checkpoint.present for checkpoint in kept.catalogue.kept.values())
    with (kept.directory / "archive/app.log").open("ab") as file:
        file.write(lines(20, 30))
    kept.back_up()
    assert (kept.of("archive/app.log"), kept.catalogue.gaps) == (lines(0, 30), [])


def test_a_folder_without_logs_that_cannot_be_listed_fails_each_time(kept: Kept) -> None:
    (kept.directory / "empty").mkdir()
    kept.write("es.log", lines(0, 10))
    kept.back_up()
    for _ in range(2):
        assert len(kept.back_up(source=Closed(kept.directory, "empty/")).all_failures()) == 1


def test_files_too_far_below_are_warned_of_by_each_job(kept: Kept) -> None:
    deep = kept.directory.joinpath(*"123456789")
    deep.mkdir(parents=True)
    kept.write("es.log", lines(0, 10))
    (deep / "app.log").write_bytes(lines(0, 10))
    for _ in range(3):
        outcome = kept.back_up()
        assert not outcome.all_failures()
        assert {(one.code, one.file) for one in outcome.warnings} == {("LK-LOG-DEEP", "1/2/3/4/5/6/7/8/9/")}
    assert kept.of("es.log") == lines(0, 10)


# How much of one file is kept


@pytest.mark.parametrize("packed", [False, True])
def test_of_a_file_without_end_so_much_is_kept_and_the_rest_is_told_by_each_job(kept: Kept, packed: bool) -> None:
    data = lines(0, 5000)
    kept.write("es.log.gz" if packed else "es.log", gzip.compress(data) if packed else data)
    kept.max_file_bytes = 50_001
    for _ in range(3):
        outcome = kept.back_up()
        assert not outcome.all_failures()
        assert {(one.code, one.family) for one in outcome.warnings} == {("LK-LOG-LARGE", "es.log")}
        assert kept.of("es.log") == data[:50_001]
    kept.max_file_bytes = 1 << 40
    assert not kept.back_up().warnings
    assert kept.of("es.log") == data


def test_a_file_of_just_the_most_bytes_is_kept_without_a_word(kept: Kept) -> None:
    kept.write("es.log", lines(0, 1000))
    kept.max_file_bytes = len(lines(0, 1000))
    assert not kept.back_up().warnings
    with (kept.directory / "es.log").open("ab") as file:
        file.write(b"x")
    assert len(kept.back_up().warnings) == 1


# Emptiness


def test_a_directory_that_is_suddenly_empty_is_warned_of_and_nothing_is_told_as_lost(
    kept: Kept, tmp_path: Path
) -> None:
    kept.write("es-2026-11-24-1.log", lines(0, 10))
    kept.write("es.log", lines(10, 20))
    kept.back_up()
    away = [path.rename(tmp_path.parent / f"{tmp_path.name}-{path.name}") for path in sorted(tmp_path.iterdir())]
    for _ in range(3):
        [told] = kept.back_up().warnings
        assert told.code == "LK-NODE-EMPTY"
        assert "where there were logs before; nothing is taken for lost" in told.message
        assert all(one.present for one in kept.catalogue.kept.values())
    for path in away:  # it is mounted again
        path.rename(tmp_path / path.name.removeprefix(f"{tmp_path.name}-"))
    kept.write("es.log", lines(10, 30))
    outcome = kept.back_up()
    assert (outcome.warnings, kept.catalogue.gaps, kept.of("es.log")) == ([], [], lines(0, 30))


def test_after_emptiness_a_loss_is_told_once_something_proves_it(kept: Kept) -> None:
    kept.write("es.log", lines(0, 10))
    kept.back_up()
    (kept.directory / "es.log").unlink()
    kept.back_up()
    assert not kept.catalogue.gaps
    kept.write("es.log", lines(20, 30))
    assert not kept.back_up().warnings
    assert len(kept.catalogue.gaps) == 1


@pytest.mark.parametrize("links", [0, 3])
def test_a_directory_without_a_file_is_warned_of_by_each_job(kept: Kept, links: int) -> None:
    for number in range(links):
        (kept.directory / f"{number}.log").symlink_to("/dev/null")
    for _ in range(2):
        [told] = kept.back_up().warnings
        assert (told.code, f"{links} links" in told.message) == ("LK-NODE-EMPTY", bool(links))


def test_a_directory_that_is_emptied_while_it_is_read_is_not_judged(kept: Kept) -> None:
    kept.write("es.log", lines(0, 10))
    kept.back_up()
    kept.write("es.log", lines(0, 20))
    calls: list[int] = []

    def unmount() -> None:
        calls.append(1)
        if len(calls) == 2:  # after it was listed
            (kept.directory / "es.log").unlink()

    assert [one.code for one in kept.back_up(unmount).warnings] == ["LK-NODE-EMPTY"]
    assert kept.catalogue.gaps == []


class Breaking(LocalSource):
    """Over a link that breaks after some bytes of a file, each time that it is opened."""

    def __init__(self, directory: Path, bytes_a_link: int, error: SourceError) -> None:
        super().__init__(directory)
        self.bytes_a_link, self.error = bytes_a_link, error

    def open(self, name: str) -> OpenLog:
        return _BreakingLog(super().open(name), self)


class _BreakingLog(OpenLog):
    def __init__(self, log: OpenLog, link: Breaking) -> None:
        self._log, self._link, self._left = log, link, link.bytes_a_link
        self.stat, self.close = log.stat, log.close

    def read_at(self, offset: int, length: int) -> bytes:
        piece = self._log.read_at(offset, min(length, 5000))
        self._left -= len(piece)
        if self._left < 0:
            raise self._link.error
        return piece


@pytest.mark.parametrize("error", [SourceUnreachable("it broke"), SourceUnreadable("a bad block")])
def test_bad_link_gets_on_by_whole_lines(kept: Kept, error: SourceError) -> None:
    kept.write("es.log", lines(0, 3000))
    source = Breaking(kept.directory, 40_000, error)
    lengths = [0]
    while lengths[-1] < len(lines(0, 3000)):
        with suppress(SourceUnreachable):
            kept.back_up(source=source)
        assert kept.of("es.log").endswith(b"\n")
        lengths.append(len(kept.of("es.log")))
        assert lengths[-1] > lengths[-2]
    assert kept.of("es.log") == lines(0, 3000)
    assert len(lengths) > 4
    assert kept.store.objects.keys() == {segment.object for segment in kept.catalogue.segments}


def test_nothing_of_a_compressed_file_is_kept_over_a_link_that_breaks(kept: Kept) -> None:
    kept.write("es-2026-11-24-1.log.gz", gzip.compress(os.urandom(60_000)))
    with pytest.raises(SourceUnreachable):
        kept.back_up(source=Breaking(kept.directory, 40_000, SourceUnreachable("it broke")))
    assert not kept.catalogue.segments
    assert not kept.store.objects
