"""Which file is which log: what proves it, what only proposes it, and what is told. One sentence each."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from logkeep.backup import node_backup
from logkeep.backup.gaps import DELETED, TRUNCATED
from logkeep.backup.node_state import Outcome
from logkeep.backup.segment import SIZES
from logkeep.domain.manifest import Gap
from logkeep.domain.warning import WarningCode
from logkeep.sources.base import Listing, LogFile, LogSource, OpenLog
from logkeep.sources.local import LocalSource
from tests.support.model import WithoutInodes
from tests.unit.backup.test_flawed import PACK
from tests.unit.backup.test_node_backup import SETTLED, Kept

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
JVM_HEADER = (
    b"Java HotSpot(TM) 64-Bit Server VM (25.402-b06) for linux-amd64 JRE (1.8.0_402-b06), built on Mar 20 2024 13:44:31\n"
    b"Memory: 4k page, physical 16330752k(1024k free), swap 0k(0k free)\n"
    b"CommandLine flags: -XX:CICompilerCount=4 -XX:InitialHeapSize=1073741824 -XX:MaxHeapSize=1073741824 -XX:+UseG1GC\n"
)


def events(first: int, last: int) -> bytes:
    """Lines `first` to `last`, a second apart."""
    times = ((START + timedelta(seconds=n), n) for n in range(first, last + 1))
    return b"".join(b"[%s,000][INFO ] event %d\n" % (at.isoformat()[:19].encode(), n) for at, n in times)


class Node(Kept):
    """A directory that commands change, and its backups."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.told: list[Gap] = []
        self.unproven: set[str] = set()  # logs of which a job told that their order is not proven

    def attempt(
        self,
        number: int,
        meanwhile: Callable[[], None] = lambda: None,
        settle_ns: int = SETTLED,
        source: LogSource | None = None,
    ) -> Outcome:
        outcome = super().attempt(number, meanwhile, settle_ns, source)
        self.unproven |= {one.family for one in outcome.warnings if one.code is WarningCode.ORDER_UNPROVEN}
        return outcome

    def put(self, name: str, data: bytes) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_bytes(data)

    def add(self, name: str, data: bytes) -> None:
        with self.path(name).open("ab") as file:
            file.write(data)

    def overwrite(self, name: str, at: int, data: bytes) -> None:
        """As `dd conv=notrunc` does."""
        with self.path(name).open("r+b") as file:
            file.seek(at)
            file.write(data)

    def move(self, old: str, new: str) -> None:
        self.path(new).parent.mkdir(parents=True, exist_ok=True)
        self.path(old).rename(self.path(new))

    def copy(self, old: str, new: str) -> None:
        self.path(new).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(self.path(old), self.path(new))

    def link(self, old: str, new: str) -> None:
        self.path(new).parent.mkdir(parents=True, exist_ok=True)
        self.path(new).hardlink_to(self.path(old))

    def path(self, name: str) -> Path:
        return self.directory / name

    def gaps(self) -> list[Gap]:
        """Those of the next job."""
        before = len(self.catalogue.gaps)
        outcome = self.back_up()
        assert not outcome.failures
        return self.catalogue.gaps[before:]

    def logs(self) -> dict[str, bytes]:
        """What is kept of each log, in the order of writing."""
        kept = self.catalogue.contents(self.store.objects)
        return {family: b"".join(parts) for family, parts in kept.items() if any(parts)}


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(node_backup, "_WAIT_SECONDS", 0)
    return Node(tmp_path)


QUIET = (
    "old/prod.log-20261123.gz",
    "old/prod.log.1.gz",
    "old/prod-2026-11-23-1.log.gz",
    "old/prod-20261123.log.gz",
    "old/20261123-prod.log.gz",
    "2026/11/prod.20261123.0.log.gz",
    "prod-23.11.2026.20261123.log.gz",
)


@pytest.mark.parametrize("name", QUIET)
def test_quiet_log_that_is_compressed_into_another_folder_is_known_by_little(node: Node, name: str) -> None:
    """logrotate with `olddir` and `compress`, a line a day."""
    node.put("prod.log", events(1, 1))
    assert not node.gaps()
    for day in range(1, 4):
        node.put(name.replace("20261123", f"2026112{day}"), gzip.compress(events(day, day)))
        node.put("prod.log", events(day + 1, day + 1))
        assert not node.gaps()
    assert node.logs() == {"prod.log": events(1, 4)}


@pytest.mark.parametrize("pack", [False, True])
def test_quiet_logs_that_hold_the_same_lines_in_two_folders_are_told_apart(node: Node, pack: bool) -> None:
    for folder in ("a", "b"):
        node.put(f"{folder}/m.log", events(1, 1))
    assert not node.gaps()
    for day in range(2, 5):
        for folder in ("a", "b"):
            name = f"{folder}/old/m.log-2026112{day}"
            node.move(f"{folder}/m.log", name)
            if pack:
                node.put(f"{name}.gz", gzip.compress(node.path(name).read_bytes()))
                node.path(name).unlink()
            node.put(f"{folder}/m.log", events(day, day))
            assert not node.gaps()
    assert node.logs() == {"a/m.log": events(1, 4), "b/m.log": events(1, 4)}


def test_active_file_is_last_and_what_is_new_is_younger_though_the_clock_was_set_back(node: Node) -> None:
    node.put("prod.log.1", events(100, 110))
    node.put("prod.log", events(1, 3))
    assert not node.gaps()
    assert node.logs() == {"prod.log": events(100, 110) + events(1, 3)}
    node.move("prod.log.1", "prod.log.3")
    node.move("prod.log", "prod.log.2")
    node.put("prod.log.1", events(10, 12))
    node.put("prod.log", events(20, 22))
    assert not node.gaps()
    assert node.logs() == {"prod.log": events(100, 110) + events(1, 3) + events(10, 12) + events(20, 22)}


def test_file_that_came_and_was_rotated_after_the_clock_was_set_back_is_younger(node: Node) -> None:
    node.put("prod.log", events(100, 110))
    assert not node.gaps()
    node.move("prod.log", "prod.log.2")
    node.put("prod.log.1", events(1, 3))
    node.put("prod.log", events(4, 6))
    assert not node.gaps()
    assert node.logs() == {"prod.log": events(100, 110) + events(1, 6)}


@pytest.mark.parametrize("manner", ["moved away", "truncated"])
@pytest.mark.parametrize("name", ["snap/prod.log", "prod.log.bak", "zz.out"])
def test_copy_of_a_log_that_went_on_hides_nothing_that_was_lost(node: Node, manner: str, name: str) -> None:
    node.put("prod.log", events(1, 20))
    node.gaps()
    node.copy("prod.log", name)
    assert not node.gaps()
    node.seconds_ahead += 3600
    node.add("prod.log", events(21, 25))
    if manner == "truncated":
        os.truncate(node.path("prod.log"), 0)
        node.add("prod.log", events(26, 28))
    else:
        node.move("prod.log", "../away.log")
        node.put("prod.log", events(26, 28))
    (gap,) = node.gaps()
    assert gap.family == "prod.log"
    assert node.logs() == {"prod.log": events(1, 20) + events(26, 28)}
    assert not node.gaps()


def test_little_that_two_logs_hold_is_in_doubt_in_another_folder(node: Node) -> None:
    for folder in ("a", "b"):
        node.put(f"{folder}/prod.log", events(1, 1))
    assert not node.gaps()
    for folder in ("a", "b"):
        node.put(f"{folder}/prod.log", events(2, 2))
    node.put("old/prod.log.1.gz", gzip.compress(events(1, 1)))
    node.gaps()
    assert node.logs()["old/prod.log"] == events(1, 1)


ROTATED = (
    "archive/prod-2026-11-23-1.log",
    "prod-2026-11-23-10-1.log",
    "prod.log-1764000000",
    "prod.log.2026-11-23_10-30",
    "prod.log.old",
    "prod-2.log",
    "archive/prod.log",
    "what.ever",
    "2026/11/23/prod.log.1",
)


@pytest.mark.parametrize("name", ROTATED)
@pytest.mark.parametrize("pack", [False, True])
def test_renamed_log_goes_on_in_the_log_where_it_began(node: Node, name: str, pack: bool) -> None:
    node.put("prod.log", events(1, 50))
    assert not node.gaps()
    node.add("prod.log", events(51, 60))
    node.move("prod.log", name)
    if pack:
        node.put(f"{name}.gz", gzip.compress(node.path(name).read_bytes()))
        node.path(name).unlink()
    node.put("prod.log", events(61, 70))
    assert not node.gaps()
    assert node.logs() == {"prod.log": events(1, 70)}
    node.add("prod.log", events(71, 80))
    assert not node.gaps()
    assert node.logs() == {"prod.log": events(1, 80)}


@pytest.mark.parametrize("name", ROTATED)
def test_copied_and_truncated_log_goes_on_in_the_log_where_it_began(node: Node, name: str) -> None:
    node.put("prod.log", events(1, 50))
    assert not node.gaps()
    node.add("prod.log", events(51, 60))
    node.copy("prod.log", name)
    assert not node.gaps()
    os.truncate(node.path("prod.log"), 0)
    node.add("prod.log", events(61, 70))
    assert not node.gaps()
    assert node.logs() == {"prod.log": events(1, 70)}


def test_banner_proves_nothing_over_the_border_of_a_log(node: Node) -> None:
    node.put("a.out", JVM_HEADER)
    assert not node.gaps()
    node.path("a.out").unlink()
    node.put("b.out", JVM_HEADER + events(1, 5))
    assert [gap.family for gap in node.gaps()] == ["a.out"]
    assert node.logs() == {"a.out": JVM_HEADER, "b.out": JVM_HEADER + events(1, 5)}


def test_banner_and_inode_prove_nothing_without_the_stem_in_the_name(node: Node) -> None:
    node.put("a.out", JVM_HEADER)
    assert not node.gaps()
    node.move("a.out", "b.out")
    node.add("b.out", events(1, 5))
    assert [gap.family for gap in node.gaps()] == ["a.out"]
    assert node.logs() == {"a.out": JVM_HEADER, "b.out": JVM_HEADER + events(1, 5)}


@pytest.mark.parametrize("data", [JVM_HEADER, events(1, 2)])
def test_little_is_known_again_by_inode_and_stem_together(node: Node, data: bytes) -> None:
    node.put("app.out", data)
    assert not node.gaps()
    node.move("app.out", "old/app.out.before")
    node.add("old/app.out.before", events(3, 5))
    assert not node.gaps()
    assert node.logs() == {"app.out": data + events(3, 5)}


def test_little_under_another_name_is_a_new_log_and_a_gap_is_told(node: Node) -> None:
    node.put("app.out", events(1, 2))
    assert not node.gaps()
    node.path("app.out").unlink()
    node.put("old/app.out.before", events(1, 5))
    os.utime(node.path("old/app.out.before"))
    assert [gap.family for gap in node.gaps()] == ["app.out"]


def test_two_files_that_fit_are_in_doubt(node: Node) -> None:
    node.put("prod.log", events(1, 50))
    assert not node.gaps()
    node.path("prod.log").unlink()
    node.put("x.out", events(1, 50) + events(60, 61))
    node.put("y.out", events(1, 50) + events(70, 71))
    node.gaps()
    assert node.logs()["prod.log"] == events(1, 50)
    assert node.logs()["x.out"] == events(1, 50) + events(60, 61)
    assert node.logs()["y.out"] == events(1, 50) + events(70, 71)


# Several names of one content


@pytest.mark.parametrize("how", [Node.link, Node.copy])
@pytest.mark.parametrize("name", ["backup/prod.log", "a.log", "zz/prod.log", "prod.log.1"])
def test_name_known_before_stays(node: Node, how: Callable[[Node, str, str], None], name: str) -> None:
    node.put("prod.log", events(1, 50))
    assert not node.gaps()
    how(node, "prod.log", name)
    node.add("prod.log", events(51, 60))
    assert not node.gaps()
    assert node.logs() == {"prod.log": events(1, 60)}
    node.add("prod.log", events(61, 70))
    assert not node.gaps()
    node.move("prod.log", "prod-2026-11-23-1.log")
    node.put("prod.log", events(71, 80))
    assert not node.gaps()
    assert node.logs() == {"prod.log": events(1, 80)}


@pytest.mark.parametrize("name", ["backup/prod.log", "prod.log.1", "prod-1.log", "zz.out"])
def test_copy_of_a_growing_log_is_not_kept_again_when_the_original_begins_anew(node: Node, name: str) -> None:
    node.put("prod.log", events(1, 50))
    assert not node.gaps()
    node.copy("prod.log", name)
    node.add("prod.log", events(51, 60))
    assert not node.gaps()
    node.path("prod.log").unlink()
    node.put("prod.log", events(61, 70))
    node.gaps()
    assert node.logs() == {"prod.log": events(1, 70)}
    assert not node.gaps()


@pytest.mark.parametrize("lines", [1, 2, 50])
@pytest.mark.parametrize("inodes", [True, False])
def test_known_copy_that_is_compressed_beside_its_original_is_not_kept_again(
    node: Node, lines: int, inodes: bool
) -> None:
    def back_up() -> None:
        source = LocalSource(node.directory) if inodes else WithoutInodes(LocalSource(node.directory), 1)
        assert not node.back_up(source=source).failures

    node.put("prod.log", events(1, lines))
    back_up()
    node.copy("prod.log", "prod-2026-11-23-1.log")
    back_up()
    node.put("prod-2026-11-23-1.log.gz", gzip.compress(events(1, lines)))
    back_up()
    assert node.logs() == {"prod.log": events(1, lines)}
    node.path("prod-2026-11-23-1.log").unlink()
    back_up()
    os.truncate(node.path("prod.log"), 0)
    node.add("prod.log", events(lines + 1, lines + 9))
    back_up()
    assert node.logs() == {"prod.log": events(1, lines + 9)}
    assert not node.catalogue.gaps


@pytest.mark.parametrize("name", ["prod.log.1", "prod-1.log", "prod-2026-11-23-1.log"])
@pytest.mark.parametrize("pack", [False, True])
def test_copy_of_less_than_is_kept_of_a_log_that_began_anew_is_not_kept_again(
    node: Node, name: str, pack: bool
) -> None:
    node.put("prod.log", events(1, 200))
    assert not node.gaps()
    copied = events(1, 180)
    node.put(f"{name}.gz" if pack else name, gzip.compress(copied) if pack else copied)
    os.truncate(node.path("prod.log"), 0)
    node.add("prod.log", events(201, 210))
    node.gaps()
    assert node.logs() == {"prod.log": events(1, 210)}
    assert not node.gaps()


@pytest.mark.parametrize("manner", ["link", "copy"])
@pytest.mark.parametrize("name", ["prod.log.1", "prod-2026-11-23-1.log", "backup/prod.log"])
def test_log_that_began_anew_shorter_than_before_is_kept_beside_its_link_or_copy(
    node: Node, manner: str, name: str
) -> None:
    node.put("prod.log", events(1, 50))
    assert not node.gaps()
    node.put("prod.log", events(60, 62))
    getattr(node, manner)("prod.log", name)
    node.gaps()
    node.gaps()
    assert set(b"".join(node.logs().values()).splitlines()) == set((events(1, 50) + events(60, 62)).splitlines())


def test_log_that_was_cut_and_goes_on_is_kept_again(node: Node) -> None:
    node.put("prod.log", events(1, 200))
    assert not node.gaps()
    os.truncate(node.path("prod.log"), len(events(1, 100)))
    node.add("prod.log", events(300, 310))
    node.gaps()
    assert node.logs()["prod.log"].endswith(events(300, 310))


def test_snapshots_by_hard_links_keep_nothing_twice(node: Node) -> None:
    node.put("logs/prod.log", events(1, 50))
    assert not node.gaps()
    for day in range(3):
        node.link("logs/prod.log", f"daily.{day}/prod.log")
        node.move("logs/prod.log", f"logs/prod-2026-11-2{day}-1.log")
        node.put("logs/prod.log", events(100 * day + 51, 100 * day + 60))
        assert not node.gaps()
    expected = events(1, 50) + b"".join(events(100 * day + 51, 100 * day + 60) for day in range(3))
    assert node.logs() == {"logs/prod.log": expected}


@pytest.mark.parametrize("shifts", range(3))
@pytest.mark.parametrize("longer", [0, 5])
@pytest.mark.parametrize("pack", [False, True])
def test_rotated_log_is_no_copy_of_another_log_that_holds_the_same_lines(
    node: Node, shifts: int, longer: int, pack: bool
) -> None:
    for name in ("copied.log", "proxy.log"):
        node.put(name, events(1, 50))
    assert not node.gaps()
    node.put("proxy.log", events(1, 60 + longer))
    node.put("copied.log", events(1, 60))
    node.move("proxy.log", "proxy.log.1")
    node.put("proxy.log", events(200, 202))
    for shift in range(shifts + 1):
        for number in range(shift, 0, -1):
            node.move(f"copied.log.{number}", f"copied.log.{number + 1}")
        node.copy("copied.log", "copied.log.1")
        node.put("copied.log", events(100 + 20 * shift, 110 + 20 * shift))
    if pack:
        name = f"copied.log.{shifts + 1}"
        node.put(f"{name}.gz", gzip.compress(node.path(name).read_bytes()))
        node.path(name).unlink()
    assert not node.gaps()
    between = b"".join(events(100 + 20 * shift, 110 + 20 * shift) for shift in range(shifts + 1))
    assert node.logs() == {
        "copied.log": events(1, 60) + between,
        "proxy.log": events(1, 60 + longer) + events(200, 202),
    }
    assert not node.gaps()


@pytest.mark.parametrize("long", [False, True])
def test_new_log_of_a_written_one_holds_the_lines_of_another_that_is_gone(node: Node, long: bool) -> None:
    """Both have a writer: the same lines do not make one of them the other."""
    lines = 100 if long else 20
    for name in ("one.log", "two.log"):
        node.put(name, events(1, 50))
    assert not node.gaps()
    node.put("one.log", events(101, 100 + lines))
    node.gaps()
    node.path("one.log").unlink()
    node.put("two.log", events(101, 100 + lines))
    node.gaps()
    assert node.logs() == {
        "one.log": events(1, 50) + events(101, 100 + lines),
        "two.log": events(1, 50) + events(101, 100 + lines),
    }


# Logs that look like one


def test_logs_whose_times_overlap_are_two(node: Node) -> None:
    node.put("prod.log", b"".join(events(n, n) for n in range(1, 20, 2)))
    node.put("prod-2.log", b"".join(events(n, n) for n in range(2, 21, 2)))
    assert not node.gaps()
    node.add("prod-2.log", events(30, 31))
    node.add("prod.log", events(32, 33))
    assert not node.gaps()
    assert set(node.logs()) == {"prod.log", "prod-2.log"}


def test_log_that_was_there_before_its_supposed_active_file_stays_one_of_its_own(node: Node) -> None:
    node.put("es-01.log", events(1, 7))
    node.put("es-02.log", events(11, 17))
    assert not node.gaps()
    node.put("es.log", events(21, 27))
    node.add("es-01.log", events(31, 32))
    assert not node.gaps()
    assert node.logs() == {
        "es-01.log": events(1, 7) + events(31, 32), "es-02.log": events(11, 17), "es.log": events(21, 27)
    }  # fmt: skip


@pytest.mark.parametrize("name", ["app.log.1", "app-1.log", "app-2026-11-23-1.log"])
def test_rotated_file_that_still_grows_goes_on(node: Node, name: str) -> None:
    node.put("app.log", events(1, 50))
    assert not node.gaps()
    node.move("app.log", name)
    node.put("app.log", events(71, 80))
    node.add(name, events(51, 60))
    assert not node.gaps()
    node.add(name, events(61, 70))
    assert not node.gaps()
    assert node.logs() == {"app.log": events(1, 80)}


# Bytes that change, and bytes that are none


def test_padding_at_the_end_is_no_content(node: Node) -> None:
    node.put("out.log", bytes(40_000))
    node.overwrite("out.log", 0, events(1, 200))
    assert not node.gaps()
    assert node.logs() == {"out.log": events(1, 200)}
    node.overwrite("out.log", 0, events(1, 500))
    assert not node.gaps()
    assert node.logs() == {"out.log": events(1, 500)}
    node.path("out.log").unlink()
    node.put("other.log", events(1000, 1001))
    assert all(gap.at_least == 0 for gap in node.gaps())


def test_file_of_nothing_but_padding_is_empty_so_far(node: Node) -> None:
    node.put("out.log", bytes(3_000_000))
    assert not node.gaps()
    assert not node.logs()
    node.overwrite("out.log", 0, events(1, 9))
    assert not node.gaps()
    assert node.logs() == {"out.log": events(1, 9)}


def test_padding_that_is_cut_off_at_the_rotation_is_no_loss(node: Node) -> None:
    node.put("out.log", events(1, 200) + bytes(40_000))
    assert not node.gaps()
    os.truncate(node.path("out.log"), len(events(1, 200)))
    node.move("out.log", "out.log.1")
    node.put("out.log", events(201, 210) + bytes(40_000))
    assert not node.gaps()
    assert node.logs() == {"out.log": events(1, 210)}


def test_hole_in_what_was_just_written_waits_until_it_is_filled(node: Node) -> None:
    whole = events(1, 500)
    node.put("out.log", whole[:4096] + bytes(4096) + whole[8192:12_288])
    assert not node.gaps()
    assert node.logs() == {"out.log": whole[:4096]}
    node.put("out.log", whole)
    assert not node.gaps()
    assert node.logs() == {"out.log": whole}


def test_hole_in_a_file_that_stands_still_is_kept_as_it_is(node: Node) -> None:
    whole = events(1, 500)
    holed = whole[:4096] + bytes(4096) + whole[8192:12_288]
    node.put("out.log", holed)
    os.utime(node.path("out.log"), (1_700_000_000, 1_700_000_000))
    assert not node.gaps()
    assert node.logs() == {"out.log": holed}


def test_bytes_that_changed_before_the_checkpoint_are_kept_again_from_their_frame_on(node: Node) -> None:
    node.put("out.log", events(1, 1000))
    assert not node.gaps()
    first = node.catalogue.segments[0].frames[0].raw
    changed = bytearray(events(1, 1010))
    changed[first + 100 : first + 110] = b"##########"
    jobs = 0
    while len(node.catalogue.kept) == 1 and jobs < 30:
        changed += events(2000 + jobs, 2000 + jobs)
        node.put("out.log", bytes(changed))
        assert not node.gaps()
        jobs += 1
    node.gaps()
    old, new = sorted(node.catalogue.kept.values(), key=lambda one: one.position)
    assert new.start == first
    assert node.logs()["out.log"][old.kept :] == bytes(changed[first:])


def test_byte_that_changed_in_the_first_frame_is_told_once_and_all_is_kept_again(node: Node) -> None:
    """A log is mostly shorter than a frame, and longer than the head that is compared each time."""
    node.sizes = SIZES
    before, changed = events(1, 1000), bytearray(events(1, 1010))
    changed[9000:9010] = b"##########"
    node.put("out.log", before)
    assert not node.gaps()
    node.put("out.log", bytes(changed))
    outcome = node.back_up()
    assert not outcome.failures
    assert [warning.code for warning in outcome.warnings] == [WarningCode.LOG_CHANGED]
    node.add("out.log", events(2001, 2010))
    node.move("out.log", "out.log.1")
    node.put("out.log", events(3001, 3010))
    assert not node.gaps()
    assert node.logs()["out.log"] == before + bytes(changed) + events(2001, 2010) + events(3001, 3010)
    assert not node.catalogue.gaps


# What is no gap


def test_truncation_between_listing_and_reading_after_copytruncate_is_told(node: Node) -> None:
    node.put("app.log", events(1, 50))
    assert not node.gaps()
    node.copy("app.log", "app.log.1")
    node.add("app.log", events(51, 60))
    calls = iter(range(1_000_000))

    def truncate() -> None:
        if next(calls) == 1:
            os.truncate(node.path("app.log"), 0)

    before = len(node.catalogue.gaps)
    node.back_up(truncate)
    assert [(gap.at_least, gap.reason) for gap in node.catalogue.gaps[before:]] == [(len(events(51, 60)), TRUNCATED)]


def test_remount_while_the_active_file_is_empty_is_no_gap(node: Node) -> None:
    node.put("es-2026-11-23-1.log", events(1, 10))
    node.put("es.log", b"")
    assert not node.gaps()
    node.path("es-2026-11-23-1.log").unlink()
    node.back_up()
    before = len(node.catalogue.gaps)
    node.back_up(source=Renumbered(node.directory, lambda inode: f"77:{inode.partition(':')[2]}"))
    assert node.catalogue.gaps[before:] == []


# Inodes that lie


class Renumbered(LogSource):
    """A directory whose inodes are told as somebody likes, in listings and of open files."""

    def __init__(
        self, directory: Path, listed: Callable[[str], str], opened: Callable[[str], str] | None = None
    ) -> None:
        self._source, self._listed, self._opened = LocalSource(directory), listed, opened or listed

    def list(self) -> Listing:
        listing = self._source.list()
        return listing.with_files(file._replace(inode=self._listed(file.inode)) for file in listing)

    def open(self, name: str) -> OpenLog:
        return RenumberedLog(self._source.open(name), self._opened)


class RenumberedLog(OpenLog):
    def __init__(self, log: OpenLog, opened: Callable[[str], str]) -> None:
        self._log, self._opened = log, opened
        self.read_at, self.close = log.read_at, log.close

    def stat(self) -> LogFile:
        file = self._log.stat()
        return file._replace(inode=self._opened(file.inode))


def numbering() -> Callable[[str], str]:
    numbers = iter(range(1_000_000))
    return lambda _: f"1:{next(numbers)}"


@pytest.mark.parametrize(
    ("listed", "opened"),
    [
        (lambda _: "1:1", None),
        (lambda _: "0:0", None),
        (lambda inode: inode, lambda inode: f"9{inode}"),
        (lambda inode: inode, lambda _: "0:1"),
        (numbering(), numbering()),
    ],
)
def test_inodes_that_lie_keep_nothing_from_being_kept(
    node: Node, listed: Callable[[str], str], opened: Callable[[str], str] | None
) -> None:
    source = Renumbered(node.directory, listed, opened)
    for name, first in (("a.log", 1), ("b.log", 101), ("sub/c.log", 201)):
        node.put(name, events(first, first + 9))
    assert not node.back_up(source=source).failures
    assert node.logs() == {"a.log": events(1, 10), "b.log": events(101, 110), "sub/c.log": events(201, 210)}
    node.add("a.log", events(11, 12))
    node.move("b.log", "b.log.1")
    node.put("b.log", events(111, 120))
    assert not node.back_up(source=source).failures
    assert node.logs() == {"a.log": events(1, 12), "b.log": events(101, 120), "sub/c.log": events(201, 210)}
    assert not node.catalogue.gaps


def test_two_files_that_look_the_same_to_the_nanosecond_are_both_kept(node: Node) -> None:
    class Twins(Renumbered):
        def list(self) -> Listing:
            listing = super().list()
            return listing.with_files(file._replace(mtime_ns=1, ctime_ns=1) for file in listing)

    node.put("a.out", events(1, 20))
    node.put("b.out", events(21, 40)[: len(events(1, 20))])
    node.back_up(source=Twins(node.directory, lambda _: "1:1"))
    assert len(node.logs()) == 2


def test_job_that_uses_up_its_rounds_says_what_it_left(node: Node) -> None:
    numbers = iter(range(1_000_000))

    def rename() -> None:
        """Before each look at the directory or at a file."""
        number = next(numbers)
        node.move(f"w-{number}.out", f"w-{number + 1}.out")

    node.put("a.log", events(1, 5))
    node.put("w-0.out", events(11, 15))
    outcome = node.back_up(rename)
    assert node.logs() == {"a.log": events(1, 5)}
    [failure] = outcome.failures.values()
    assert failure.startswith("LK-SOURCE-UNSETTLED: node n1: ")
    assert "start the backup again" in failure


def test_log_that_was_taken_for_a_rotation_is_kept_whole_and_once_when_it_is_rotated_itself(node: Node) -> None:
    node.put("prod-2.log", events(1, 50))
    node.put("prod.log", events(51, 60))
    assert not node.gaps()
    node.add("prod-2.log", events(161, 170))
    node.add("prod.log", events(61, 70))
    assert not node.gaps()
    for number in (1, 2):
        node.move("prod-2.log", f"prod-2-2026-11-23-{number}.log")
        node.put("prod-2.log", events(200 * number, 200 * number + 99))
        node.add("prod.log", events(60 + 10 * number + 1, 70 + 10 * number))
        assert not node.gaps()
    node.path("prod-2-2026-11-23-1.log").unlink()
    assert not node.gaps()
    spans = [(1, 90), (161, 170), (200, 299), (400, 499)]
    written = b"".join(events(*span) for span in spans)
    assert sorted(b"".join(node.logs().values()).splitlines()) == sorted(written.splitlines())


# The order of --join


@pytest.mark.parametrize("pack", [False, True])
def test_names_that_count_from_the_newest_are_joined_in_the_order_of_writing(node: Node, pack: bool) -> None:
    def put(name: str, data: bytes) -> None:
        node.put(f"{name}.gz" if pack else name, gzip.compress(data) if pack else data)

    put("prod-3.log", events(1, 9))
    put("prod-2.log", events(11, 19))
    put("prod-1.log", events(21, 29))
    node.put("prod.log", events(31, 39))
    assert not node.gaps()
    for n in (3, 2, 1):
        ending = ".gz" if pack else ""
        node.move(f"prod-{n}.log{ending}", f"prod-{n + 1}.log{ending}")
    put("prod-1.log", events(31, 39) + events(40, 45))
    node.put("prod.log", events(51, 59))
    assert not node.gaps()
    times = [(1, 9), (11, 19), (21, 29), (31, 45), (51, 59)]
    assert node.logs() == {"prod.log": b"".join(events(*span) for span in times)}


def test_log_whose_clock_was_ahead_is_joined_in_the_order_of_writing(node: Node) -> None:
    year = b"[2036-01-01T00:00:00,000][INFO ] from the future %d\n"
    ahead = b"".join(year % n for n in range(10))
    node.put("prod.log", ahead)
    node.gaps()
    node.move("prod.log", "prod-2036-01-01-1.log")
    node.put("prod.log", events(1, 9))
    node.gaps()
    node.move("prod.log", "prod-2026-11-23-1.log")
    node.put("prod.log", events(11, 19))
    assert not node.gaps()
    assert node.logs() == {"prod.log": ahead + events(1, 9) + events(11, 19)}


def test_gc_logs_are_joined_by_instants_over_a_change_of_daylight_saving(node: Node) -> None:
    def gc(hour: int, minute: int, zone: int) -> bytes:
        return b"".join(b"[2026-10-25T%02d:%02d:%02d.000+0%d00][1][gc] x\n" % (hour, minute, n, zone) for n in range(9))

    node.put("gc.log.00", gc(2, 50, 2))
    node.put("gc.log.01", gc(2, 10, 1))
    node.put("gc.log", gc(3, 0, 1))
    assert not node.gaps()
    assert node.logs() == {"gc.log": gc(2, 50, 2) + gc(2, 10, 1) + gc(3, 0, 1)}


def test_old_file_that_is_copied_in_takes_its_place_by_its_times(node: Node) -> None:
    node.put("prod-2026-11-23-3.log", events(21, 29))
    node.put("prod.log", events(31, 39))
    assert not node.gaps()
    node.put("prod-2026-11-23-1.log", events(1, 9))
    node.gaps()
    assert node.logs() == {"prod.log": events(1, 9) + events(21, 29) + events(31, 39)}


@pytest.mark.parametrize("pack", [False, True])
def test_old_files_that_are_copied_in_together_take_their_places_by_their_times(node: Node, pack: bool) -> None:
    def put(number: int, *span: int) -> None:
        data = events(*span)
        name = f"prod-2026-11-23-{number}.log"
        node.put(f"{name}.gz" if pack else name, gzip.compress(data) if pack else data)

    put(4, 31, 39)
    put(7, 61, 69)
    node.put("prod.log", events(71, 79))
    assert not node.gaps()
    for number in (3, 1, 2, 6, 5):
        put(number, 10 * number - 9, 10 * number - 1)
    outcome = node.back_up()
    assert [warning.code for warning in outcome.warnings] == []
    spans = [(1, 9), (11, 19), (21, 29), (31, 39), (41, 49), (51, 59), (61, 69), (71, 79)]
    assert node.logs() == {"prod.log": b"".join(events(*span) for span in spans)}


def test_old_file_whose_times_lie_across_what_is_kept_is_put_behind_it_and_told(node: Node) -> None:
    node.put("prod-2026-11-23-3.log", events(21, 29))
    node.put("prod.log", events(31, 39))
    assert not node.gaps()
    node.put("prod-2026-11-23-1.log", events(15, 25))
    outcome = node.back_up()
    assert [(one.code, one.family, one.file) for one in outcome.warnings] == [
        ("LK-ORDER-UNPROVEN", "prod.log", "prod-2026-11-23-1.log")
    ]
    assert node.logs() == {"prod.log": events(21, 29) + events(31, 39) + events(15, 25)}
    assert node.back_up().warnings == []


def test_hours_without_a_zero_are_joined_in_the_order_of_writing(node: Node) -> None:
    def hour(number: int) -> bytes:
        return b"".join(b"[2026-11-23T%02d:00:%02d,000][INFO ] event\n" % (number, second) for second in range(9))

    for number in (10, 7, 9, 8):
        node.put(f"prod-2026-11-23-{number}.log", hour(number))
    node.put("prod.log", hour(11))
    assert not node.gaps()
    node.move("prod.log", "prod-2026-11-23-11.log")
    node.put("prod.log", hour(12))
    node.put("prod-2026-11-23-6.log", hour(6))
    assert not node.gaps()
    assert node.logs() == {"prod.log": b"".join(hour(number) for number in range(6, 13))}


def test_hour_without_a_file_is_no_gap_where_hours_are_written_without_a_zero(node: Node) -> None:
    def hour(number: int) -> bytes:
        return b"[2026-11-23T%02d:00:00,000][INFO ] event\n" % number * 9

    node.put("prod-2026-11-23-5.log", hour(5))
    node.put("prod.log", hour(7))
    assert not node.gaps()
    node.move("prod.log", "prod-2026-11-23-7.log")
    node.put("prod-2026-11-23-9.log", hour(9))
    node.put("prod.log", hour(10))
    assert not node.gaps()


def test_file_that_goes_whole_and_is_kept_to_its_end_is_no_gap(node: Node) -> None:
    node.put("prod.log", events(1, 50))
    assert not node.gaps()
    node.path("prod.log").unlink()
    node.put("prod.log", events(1001, 1002))
    assert [gap.reason for gap in node.gaps()] in ([TRUNCATED], [DELETED])


def test_changed_bytes_of_a_log_under_a_name_that_tells_nothing_are_kept_in_its_log(node: Node) -> None:
    node.put("prod.log", events(1, 400))
    assert not node.gaps()
    node.move("prod.log", "what.ever")
    assert not node.gaps()
    node.overwrite("what.ever", 5000, b"changed")
    for number in range(401, 405):  # one older frame is compared at each turn
        node.add("what.ever", events(number, number))
        assert not node.back_up().failures
    assert set(node.logs()) == {"prod.log"}
    assert node.logs()["prod.log"].endswith(node.path("what.ever").read_bytes()[5000:])


def test_what_was_read_and_deleted_within_one_job_is_told_once(node: Node) -> None:
    node.put("prod.log", events(1, 50))
    node.put("other.log", events(1, 3))
    assert not node.gaps()
    node.path("prod.log").unlink()
    node.put("prod.log", events(100, 150))
    before = len(node.catalogue.segments)

    def meanwhile() -> None:
        if len(node.catalogue.segments) > before:
            node.path("prod.log").unlink(missing_ok=True)

    assert not node.back_up(meanwhile).failures
    assert [gap.family for gap in node.catalogue.gaps] == ["prod.log", "prod.log"]
    node.add("other.log", events(4, 5))
    assert not node.gaps()


class TornOnce(LogSource):
    """A directory without inodes; its first listing has a file as it was before a step, and the others as after it."""

    def __init__(self, directory: Path, early: str, step: Callable[[], None]) -> None:
        self._source, self._early, self._step = WithoutInodes(LocalSource(directory)), early, step
        self.open = self._source.open

    def list(self) -> Listing:
        before = [file for file in self._source.list() if file.name == self._early]
        step, self._step = self._step, lambda: None
        step()
        after = self._source.list()
        return after.with_files([*before, *(file for file in after if file.name != self._early or not before)])


def test_active_log_that_is_renamed_and_compressed_while_the_listing_is_made_is_no_gap(node: Node) -> None:
    node.put("prod.log", events(1, 20))
    node.back_up(source=WithoutInodes(LocalSource(node.directory)))
    node.move("prod.log", "prod-2026-11-23-1.log")
    node.back_up(source=WithoutInodes(LocalSource(node.directory)))
    node.put("prod.log", events(21, 50))

    def rotate() -> None:
        node.put("prod-2026-11-23-2.log.gz", gzip.compress(events(21, 50)))
        node.put("prod.log", events(51, 52))

    outcome = node.back_up(source=TornOnce(node.directory, "prod.log", rotate))
    assert not outcome.failures
    assert node.logs() == {"prod.log": events(1, 52)}
    assert not node.catalogue.gaps


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize("suffix", PACK)
def test_what_was_unpacked_beside_its_known_archive_is_not_kept_again(node: Node, suffix: str, count: int) -> None:
    """As `gunzip -k` does; and a folder that is listed while a file is compressed may show the archive first."""
    packed, plain = f"prod-2026-11-23-1.log.{suffix}", "prod-2026-11-23-1.log"
    node.put(packed, PACK[suffix](events(1, count)))
    node.put("prod.log", events(100, 110))
    node.back_up()
    node.put(plain, events(1, count))
    node.back_up()
    assert node.logs() == {"prod.log": events(1, count) + events(100, 110)}
    node.path(packed).unlink()
    node.back_up()
    node.path(plain).unlink()
    node.back_up()
    assert node.logs() == {"prod.log": events(1, count) + events(100, 110)}
    assert not node.catalogue.gaps


def test_another_file_beside_a_known_archive_of_its_name_is_kept(node: Node) -> None:
    node.put("prod-2026-11-23-1.log.gz", gzip.compress(events(1, 9)))
    node.put("prod.log", events(100, 110))
    node.back_up()
    node.put("prod-2026-11-23-1.log", events(20, 29))
    node.back_up()
    assert node.logs()["prod.log"].count(b"\n") == 9 + 10 + 11
