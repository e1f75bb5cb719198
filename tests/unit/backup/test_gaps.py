"""What is told as a gap, and what is not: one sentence each."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from logkeep.backup import node_backup
from logkeep.backup.gaps import DELETED, TRUNCATED, UNREACHED, UNREADABLE, UNSEEN
from logkeep.domain.manifest import Gap, Sighting
from logkeep.errors import SourceUnreadable, StoreUnreachable
from logkeep.sources.base import LogSource, OpenLog
from logkeep.sources.local import LocalSource
from tests.support.model import BusySource, WithoutInodes
from tests.unit.backup.test_node_backup import Kept

SERVER = "os_server.json"


def line(hour: int, number: int = 0) -> bytes:
    return b'{"type": "server", "timestamp": "2026-11-24T%02d:00:00,000+0000", "message": "line %d"}\n' % (hour, number)


def time(hour: int) -> str:
    return f"2026-11-24T{hour:02}:00:00,000+0000"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr(node_backup, "_WAIT_SECONDS", 0)
    return Kept(tmp_path)


def write(kept: Kept, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        kept.write(name, gzip.compress(data) if name.endswith(".gz") else data)


def delete(kept: Kept, *names: str) -> None:
    for name in names:
        (kept.directory / name).unlink()


def shift(kept: Kept, old: str, new: str) -> None:
    (kept.directory / old).rename(kept.directory / new)


def without_inodes(directory: Path) -> LogSource:
    return WithoutInodes(LocalSource(directory))


def gaps_of_next(
    kept: Kept, meanwhile: Callable[[], None] = lambda: None, source: LogSource | None = None
) -> list[Gap]:
    before = len(kept.catalogue.gaps)
    kept.back_up(meanwhile, source=source)
    return kept.catalogue.gaps[before:]


def at_call(number: int, action: Callable[[], None]) -> Callable[[], None]:
    """Something that happens once, before one call of the source."""
    calls: Iterator[int] = iter(range(1_000_000))

    def meanwhile() -> None:
        if next(calls) == number:
            action()

    return meanwhile


def dated(number: int, day: int = 24) -> str:
    return f"os-2026-11-{day}-{number}.json"


# Files that go before their turn


def deletion_before_its_turn(kept: Kept) -> list[Gap]:
    """Two files that are new; the second one goes when the first one has been stored."""
    kept.store.before_put = lambda: delete(kept, dated(2)) if (kept.directory / dated(2)).exists() else None
    return gaps_of_next(kept)


def test_file_that_was_listed_and_deleted_before_its_turn_is_a_gap_of_its_size(kept: Kept) -> None:
    write(kept, {dated(1): line(1), dated(2): line(2), SERVER: line(3)})
    assert deletion_before_its_turn(kept) == [Gap("n1", SERVER, time(1), time(3), len(line(2)), UNREACHED)]
    assert kept.of(SERVER) == line(1) + line(3)
    assert not gaps_of_next(kept)


def test_new_bytes_of_a_known_log_that_goes_before_its_turn_are_a_gap(kept: Kept) -> None:
    write(kept, {dated(1): line(1), dated(2): line(2)})
    kept.back_up()
    write(kept, {dated(1): line(1) + line(1, 7), dated(2): line(2) + line(2, 7) + line(2, 8), SERVER: line(3)})
    [gap] = deletion_before_its_turn(kept)
    assert gap == Gap("n1", SERVER, time(2), time(3), len(line(2, 7) + line(2, 8)), DELETED)


def test_how_much_a_compressed_file_held_is_not_known(kept: Kept) -> None:
    write(kept, {dated(1): line(1), f"{dated(2)}.gz": line(2), SERVER: line(3)})
    kept.store.before_put = lambda: (kept.directory / f"{dated(2)}.gz").unlink(missing_ok=True)
    [gap] = gaps_of_next(kept)
    assert (gap.at_least, gap.reason) == (0, UNREACHED)


@pytest.mark.parametrize("packed", [False, True])
def test_file_that_is_only_renamed_or_compressed_before_its_turn_is_no_gap(kept: Kept, packed: bool) -> None:
    write(kept, {"app.log.1": line(1), "app.log": line(2)})

    def shift() -> None:
        if (kept.directory / "app.log").exists():
            (kept.directory / "app.log.1").rename(kept.directory / "app.log.2")
            (kept.directory / "app.log").rename(kept.directory / "app.log.1")
            if packed:
                write(kept, {"app.log.1.gz": line(2)})
                delete(kept, "app.log.1")

    kept.store.before_put = shift
    assert not gaps_of_next(kept)
    assert kept.of("app.log") == line(1) + line(2)


@pytest.mark.parametrize("moment", range(1, 40))
def test_deletion_at_any_moment_of_the_first_backup_keeps_the_file_or_is_told(kept: Kept, moment: int) -> None:
    write(kept, {dated(1): line(1), dated(2): line(2), SERVER: line(3)})
    gaps = gaps_of_next(kept, at_call(moment, lambda: delete(kept, dated(1))))
    if line(1) in kept.of(SERVER):
        assert not gaps
    else:
        assert [(gap.family, gap.at_least) for gap in gaps] == [(SERVER, len(line(1)))]


def test_killed_job_tells_what_went_between_its_two_attempts_once(kept: Kept) -> None:
    write(kept, {dated(1): line(1), dated(2): line(2), SERVER: line(3)})

    def kill() -> None:
        raise KeyboardInterrupt

    kept.store.before_put = kill
    with pytest.raises(KeyboardInterrupt):
        kept.back_up()
    delete(kept, dated(1))
    kept.store.before_put = lambda: None
    assert gaps_of_next(kept) == [Gap("n1", SERVER, "", time(2), len(line(1)), UNREACHED)]
    assert not gaps_of_next(kept)


@pytest.mark.parametrize("moment", range(1, 40))
@pytest.mark.parametrize("longer", [0, 60])
@pytest.mark.parametrize("elder", [{"app.log.2": line(1)}, {}])
def test_what_a_copy_still_holds_of_a_log_that_was_cut_is_not_told_as_missing(
    kept: Kept, moment: int, longer: int, elder: dict[str, bytes]
) -> None:
    """A copy that was made before the last lines: at any moment the log is cut, and its copy is what is kept of it."""
    copied = b"".join(line(2, number) for number in range(longer + 1))
    write(kept, {"app.log": line(1)})
    kept.back_up()
    write(kept, {"app.log": copied + line(3), "app.log.1": copied, **elder})

    def cut() -> None:
        write(kept, {"app.log": b""})
        kept.write("app.log", line(4))

    gaps = gaps_of_next(kept, at_call(moment, cut)) + gaps_of_next(kept)
    whole = line(1) + copied + line(3)
    missing = b"" if kept.of("app.log").startswith(whole) else line(3)
    assert kept.of("app.log").startswith(whole.removesuffix(missing))
    assert sum(gap.at_least for gap in gaps) in {0, len(missing)}


@pytest.mark.parametrize("moment", range(1, 60))
@pytest.mark.parametrize("known", [0, 1, 60])
def test_log_that_is_copied_cut_and_longer_again_at_any_moment_is_kept_once(
    kept: Kept, moment: int, known: int
) -> None:
    before = b"".join(line(1, number) for number in range(known))
    whole = before + b"".join(line(2, number) for number in range(20))
    anew = b"".join(line(3, number) for number in range(90))
    if known:
        write(kept, {"app.log": before})
        kept.back_up()
    write(kept, {"app.log": whole})

    def rotate() -> None:
        write(kept, {"app.log.1": whole, "app.log": anew})

    outcome = kept.back_up(at_call(moment, rotate))
    assert not outcome.failures
    assert not outcome.warnings
    assert not gaps_of_next(kept)
    rotated = (kept.directory / "app.log.1").exists()
    assert kept.of("app.log") == (whole + anew if rotated else whole)
    assert not kept.catalogue.gaps


@pytest.mark.parametrize("moment", range(1, 30))
def test_file_that_was_planned_renamed_and_deleted_is_told_once(kept: Kept, moment: int) -> None:
    files = {"app.log.1": line(1), "app.log": line(2)}
    write(kept, files)

    def kill() -> None:
        raise KeyboardInterrupt

    kept.store.before_put = kill
    with pytest.raises(KeyboardInterrupt):
        kept.back_up()
    kept.store.before_put = lambda: None
    (kept.directory / "app.log.1").rename(kept.directory / "app.log.2")
    gaps = gaps_of_next(kept, at_call(moment, lambda: delete(kept, "app.log.2"))) + gaps_of_next(kept)
    lost = 0 if line(1) in kept.of("app.log") else len(line(1))
    assert [gap.at_least for gap in gaps] == [lost] * bool(lost)


@pytest.mark.parametrize("moment", range(1, 15))
@pytest.mark.parametrize("record", range(1, 6))
def test_log_that_is_compressed_before_it_is_looked_into_again_is_no_loss(kept: Kept, moment: int, record: int) -> None:
    """Kept by a job that was killed, it is not known by its inode; an older one that went held less."""
    write(kept, {"app-1.log.gz": line(1), "app.log": line(2) + line(2, 100)})

    def kill() -> None:
        raise KeyboardInterrupt

    kept.catalogue.before_record = at_call(record, kill)
    with suppress(KeyboardInterrupt):
        kept.back_up()
    kept.catalogue.before_record = lambda: None
    (kept.directory / "app.log").rename(kept.directory / "app-2.log")
    write(kept, {"app.log": line(3)})

    def rotate() -> None:
        write(kept, {"app-1.log.gz": (kept.directory / "app-2.log").read_bytes()})
        (kept.directory / "app.log").rename(kept.directory / "app-3.log")
        write(kept, {"app.log": line(4)})  # before the inode of the other one is free
        delete(kept, "app-2.log")

    gaps = gaps_of_next(kept, at_call(moment, rotate)) + gaps_of_next(kept)
    whole = b"".join([line(1), line(2), line(2, 100), line(3), line(4)])
    assert sum(gap.at_least for gap in gaps) <= len(whole) - len(kept.of("app.log"))


# Files that cannot be read


def test_file_that_could_never_be_read_is_a_gap_when_it_goes(kept: Kept) -> None:
    write(kept, {dated(1): line(1), SERVER: line(3)})
    broken = gzip.compress(line(2) * 20)[:-9] + b"\0" * 9
    kept.write(f"{dated(2)}.gz", broken)
    assert not gaps_of_next(kept)
    assert not gaps_of_next(kept)
    delete(kept, f"{dated(2)}.gz")
    assert gaps_of_next(kept) == [Gap("n1", SERVER, time(1), time(3), len(broken), UNREADABLE)]
    assert not gaps_of_next(kept)


class Refusing(LocalSource):
    """Does not let the active file be read."""

    def open(self, name: str) -> OpenLog:
        if name == SERVER:
            raise SourceUnreadable(f"{name!r} cannot be read: Permission denied")
        return super().open(name)


@pytest.mark.parametrize("packed", [False, True])
def test_file_that_may_be_read_again_is_no_gap(kept: Kept, packed: bool) -> None:
    write(kept, {SERVER: line(1)})
    assert kept.back_up(source=Refusing(kept.directory)).failures
    (kept.directory / SERVER).rename(kept.directory / dated(1))
    if packed:
        write(kept, {f"{dated(1)}.gz": line(1)})
        delete(kept, dated(1))
    write(kept, {SERVER: line(2)})
    assert not gaps_of_next(kept)
    assert kept.of(SERVER) == line(1) + line(2)


def test_log_that_could_not_be_read_and_went_with_all_that_followed_is_a_gap(kept: Kept) -> None:
    write(kept, {SERVER: line(1)})
    kept.back_up(source=Refusing(kept.directory))
    delete(kept, SERVER)
    assert not gaps_of_next(kept)  # an empty directory proves nothing
    write(kept, {"another.log": b""})
    assert [(gap.at_least, gap.reason) for gap in gaps_of_next(kept)] == [(len(line(1)), UNREADABLE)]


def test_damaged_file_that_is_mended_is_no_gap(kept: Kept) -> None:
    kept.write(f"{dated(1)}.gz", gzip.compress(line(1) * 20)[:-9] + b"\0" * 9)
    assert kept.back_up().waiting
    write(kept, {f"{dated(1)}.gz": line(1) * 20})
    assert not gaps_of_next(kept)
    delete(kept, f"{dated(1)}.gz")
    assert not gaps_of_next(kept)


# What came and went between two backups


def test_newest_known_log_that_is_gone_with_others_in_its_place_is_a_gap(kept: Kept) -> None:
    write(kept, {"logs_index_search_slowlog-4.json.gz": line(1), "logs_index_search_slowlog.json": b""})
    kept.back_up()
    write(kept, {"logs_index_search_slowlog-4.json.gz": line(8), "logs_index_search_slowlog.json": line(9)})
    assert gaps_of_next(kept) == [Gap("n1", "logs_index_search_slowlog.json", time(1), time(8), 0, UNSEEN)]
    assert not gaps_of_next(kept)


def test_oldest_logs_that_are_deleted_while_the_newest_known_one_stays_are_no_gap(kept: Kept) -> None:
    write(kept, {dated(number): line(number) for number in (1, 2, 3)})
    kept.back_up()
    delete(kept, dated(1), dated(2))
    write(kept, {dated(4): line(4), SERVER: line(5)})
    assert not gaps_of_next(kept)


def test_compressed_file_of_nothing_is_no_proof_that_something_is_missing(kept: Kept) -> None:
    write(kept, {"app.log.2.gz": line(1), "app.log.1": b"", "app.log": line(2)})
    kept.back_up()
    write(kept, {"app.log.3.gz": b"", "app.log.2.gz": b"", "app.log.1": line(2), "app.log": b""})
    kept.back_up(settle_ns=10**18)  # before anything can be remembered of a file that holds nothing
    assert not kept.catalogue.gaps


def test_names_that_go_on_by_one_prove_that_nothing_is_missing(kept: Kept) -> None:
    write(kept, {dated(2): line(2), dated(3): line(3), SERVER: b""})
    kept.back_up()
    delete(kept, dated(2), dated(3))
    write(kept, {dated(4): line(4), dated(5): line(5), SERVER: line(6)})
    assert not gaps_of_next(kept)


def test_names_that_jump_tell_how_many_files_came_and_went(kept: Kept) -> None:
    write(kept, {dated(4): line(3), SERVER: b""})
    kept.back_up()
    delete(kept, dated(4))
    write(kept, {dated(7): line(6), SERVER: line(7)})
    [gap] = gaps_of_next(kept)
    reason = (
        "the names jump from os-2026-11-24-4.json to os-2026-11-24-7.json: 2 files came and went between two backups"
    )
    assert gap == Gap("n1", SERVER, time(3), time(6), 0, reason)


def hourly(hour: str, day: int = 24) -> str:
    return f"prod-2026-11-{day}-{hour}.log"


@pytest.mark.parametrize("form", ["{:02}", "{:02}00", "{:02}3000"])
def test_hour_without_a_file_is_no_gap_while_the_hour_before_is_there(kept: Kept, form: str) -> None:
    write(kept, {hourly(form.format(hour)): line(hour) for hour in (8, 9, 10, 11)} | {"prod.log": line(11, 7)})
    kept.back_up()
    (kept.directory / "prod.log").rename(kept.directory / hourly(form.format(12)))
    write(kept, {hourly(form.format(14)): line(14), "prod.log": line(15)})
    assert not gaps_of_next(kept)
    delete(kept, hourly(form.format(8)), hourly(form.format(9)))
    (kept.directory / "prod.log").rename(kept.directory / hourly(form.format(17)))
    write(kept, {hourly(form.format(20)): line(20), "prod.log": line(21)})
    assert not gaps_of_next(kept)


@pytest.mark.parametrize("hours", [(10, 11, 13), (20, 22, 23)])
def test_hours_that_are_never_below_ten_are_not_taken_for_a_counter(kept: Kept, hours: tuple[int, int, int]) -> None:
    first, second, third = hours
    write(kept, {hourly(str(first)): line(first), "prod.log": b""})
    kept.back_up()
    write(kept, {hourly(str(second)): line(second)})
    kept.back_up()
    write(kept, {hourly(str(third)): line(third)})
    kept.back_up()
    assert not kept.catalogue.gaps


def test_new_day_of_hourly_files_need_not_begin_at_one(kept: Kept) -> None:
    write(kept, {hourly("23", day=23): line(1), "prod.log": b""})
    kept.back_up()
    write(kept, {hourly("05"): line(5), "prod.log": line(6)})
    assert not gaps_of_next(kept)


def test_hourly_files_that_all_went_are_told_without_a_count(kept: Kept) -> None:
    write(kept, {hourly("08"): line(8), "prod.log": b""})
    kept.back_up()
    delete(kept, hourly("08"))
    write(kept, {hourly("11"): line(11), "prod.log": line(12)})
    assert gaps_of_next(kept) == [Gap("n1", "prod.log", time(8), time(11), 0, UNSEEN)]


def test_hours_that_follow_each_other_prove_that_nothing_is_missing(kept: Kept) -> None:
    write(kept, {hourly("08"): line(8), "prod.log": b""})
    kept.back_up()
    delete(kept, hourly("08"))
    write(kept, {hourly("09"): line(9), "prod.log": line(10)})
    assert not gaps_of_next(kept)


@pytest.mark.parametrize("shown", [3, 24, 100])
def test_counter_that_shows_itself_as_one_tells_its_jump_also_between_ten_and_twenty(kept: Kept, shown: int) -> None:
    write(kept, {dated(shown, day=23): line(1), dated(10): line(10), SERVER: b""})
    kept.back_up()
    delete(kept, dated(shown, day=23))
    write(kept, {dated(13): line(13), SERVER: line(14)})
    [gap] = gaps_of_next(kept)
    assert gap.reason.endswith("to os-2026-11-24-13.json: 2 files came and went between two backups")


def test_end_of_a_gap_is_found_by_instants_where_clocks_are_put_back(kept: Kept) -> None:
    def at(clock: str) -> bytes:
        return b'{"type": "server", "timestamp": "2026-10-25T%s", "message": "line"}\n' % clock.encode()

    write(kept, {"app.log.1": at("02:50:00,000+0200")})
    kept.back_up()
    delete(kept, "app.log.1")
    write(kept, {"app.log.1": at("02:10:00,000+0100"), "app.log": at("03:10:00,000+0100")})
    [gap] = gaps_of_next(kept)
    assert (gap.after, gap.until) == ("2026-10-25T02:50:00,000+0200", "2026-10-25T02:10:00,000+0100")


def test_active_log_that_went_accounts_for_one_name_and_all_is_one_gap(kept: Kept) -> None:
    write(kept, {dated(4): line(3), SERVER: line(4)})
    kept.back_up()
    delete(kept, dated(4), SERVER)
    write(kept, {dated(7): line(6), SERVER: line(7)})
    [gap] = gaps_of_next(kept)
    assert (gap.after, gap.until) == (time(4), time(6))
    assert gap.reason.endswith("to os-2026-11-24-7.json: 1 file came and went between two backups")


def test_active_log_that_alone_went_is_told_as_what_it_is(kept: Kept) -> None:
    write(kept, {dated(3): line(3), SERVER: line(4)})
    kept.back_up()
    write(kept, {dated(5): line(5), "new": line(6)})
    (kept.directory / "new").replace(kept.directory / SERVER)
    delete(kept, dated(3))
    assert [gap.reason for gap in gaps_of_next(kept)] == [DELETED]


def test_names_of_a_new_day_begin_with_one(kept: Kept) -> None:
    write(kept, {dated(3): line(3)})
    kept.back_up()
    write(kept, {dated(2, day=25): line(5), SERVER: line(6)})
    [gap] = gaps_of_next(kept)
    assert gap.reason.endswith("to os-2026-11-25-2.json: 1 file came and went between two backups")


def test_name_that_is_listed_but_cannot_be_read_is_not_missing(kept: Kept) -> None:
    write(kept, {dated(3): line(3)})
    kept.back_up()
    kept.write(f"{dated(4)}.gz", gzip.compress(line(4) * 20)[:-9] + b"\0" * 9)
    write(kept, {dated(5): line(5)})
    assert not gaps_of_next(kept)
    write(kept, {f"{dated(4)}.gz": line(4) * 20})
    assert not gaps_of_next(kept)
    assert kept.of(SERVER) == line(3) + line(4) * 20 + line(5)


def test_first_backup_tells_nothing_of_what_was_deleted_before(kept: Kept) -> None:
    write(kept, {dated(7): line(7), dated(9): line(9), SERVER: line(10)})
    assert not gaps_of_next(kept)


def test_quiet_log_whose_old_files_are_deleted_at_last_is_no_gap(kept: Kept) -> None:
    write(kept, {"app.log.1": line(1), "app.log": b""})
    kept.back_up()
    delete(kept, "app.log.1")
    kept.back_up()
    with (kept.directory / "app.log").open("ab") as file:
        file.write(line(9))
    assert not gaps_of_next(kept)


def test_empty_log_that_was_begun_anew_when_all_that_was_kept_is_gone_is_a_gap(kept: Kept) -> None:
    write(kept, {"app.log.1": line(1), "app.log": b""})
    kept.back_up()
    write(kept, {"new": b""})
    (kept.directory / "new").replace(kept.directory / "app.log")
    delete(kept, "app.log.1")
    assert [gap.reason for gap in gaps_of_next(kept)] == [UNSEEN]
    write(kept, {"app.log": line(9)})
    assert not gaps_of_next(kept)


def test_hole_found_by_a_job_that_was_killed_is_told_by_the_next(kept: Kept) -> None:
    write(kept, {"app.log.1": line(1)})
    kept.back_up()
    delete(kept, "app.log.1")
    write(kept, {"app.log.1": line(6), "app.log": line(7)})
    stored: list[int] = []

    def fail() -> None:
        if stored:
            raise StoreUnreachable("the bucket does not answer")
        stored.append(1)

    kept.store.before_put = fail
    with pytest.raises(StoreUnreachable):
        kept.back_up()
    assert line(6) in kept.of("app.log")
    kept.store.before_put = lambda: None
    assert gaps_of_next(kept) == [Gap("n1", "app.log", time(1), time(6), 0, UNSEEN)]
    assert not gaps_of_next(kept)


def test_gc_logs_are_no_gap_while_the_newest_known_one_is_there(kept: Kept) -> None:
    for name, hour in (("gc.log", 12), ("gc.log.00", 9), ("gc.log.01", 11)):
        kept.write(name, b"[2026-11-24T%02d:00:00.000+0000][1][gc] started\n" % hour)
    kept.back_up()
    (kept.directory / "gc.log").replace(kept.directory / "gc.log.00")
    kept.write("gc.log", b"[2026-11-24T13:00:00.000+0000][1][gc] started\n")
    assert not gaps_of_next(kept)
    delete(kept, "gc.log.00", "gc.log.01", "gc.log")
    kept.write("gc.log.05", b"[2026-11-24T16:00:00.000+0000][1][gc] started\n")
    [gap] = gaps_of_next(kept)
    assert (gap.reason, gap.after[11:13], gap.until[11:13]) == (DELETED, "13", "16")


def test_truncated_log_that_is_written_to_later_is_told_once(kept: Kept) -> None:
    write(kept, {"app.log": line(1)})
    kept.back_up()
    os.truncate(kept.directory / "app.log", 0)
    assert [gap.reason for gap in gaps_of_next(kept)] == [TRUNCATED]
    write(kept, {"app.log": line(5)})
    assert not gaps_of_next(kept)


# What else a job leaves behind


def test_generation_that_went_is_told_as_no_longer_seen(kept: Kept) -> None:
    write(kept, {dated(1): line(1), dated(2): line(2)})
    kept.back_up()
    delete(kept, dated(1))
    kept.back_up()
    assert kept.catalogue.sightings == [Sighting("n1", SERVER, 1, 1.0, dated(1), present=False)]
    write(kept, {dated(1): line(1)})
    kept.back_up()
    assert kept.catalogue.sightings[1:] == [Sighting("n1", SERVER, 1, 1.0, dated(1), present=True)]


def test_segment_that_is_given_up_leaves_no_object(kept: Kept) -> None:
    write(kept, {"app.log": line(1) * 100})
    kept.store.after_put = lambda: os.truncate(kept.directory / "app.log", 0)
    kept.back_up()
    assert not kept.store.objects
    assert [gap.reason for gap in kept.catalogue.gaps] == [TRUNCATED]


def test_object_that_cannot_be_deleted_is_left_to_the_sweep(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise StoreUnreachable("the bucket does not answer")

    write(kept, {"app.log": line(1) * 100, "b.log": line(2)})
    kept.store.after_put = lambda: os.truncate(kept.directory / "app.log", 0)
    monkeypatch.setattr(kept.store, "delete", refuse)
    kept.back_up()
    assert kept.of("b.log") == line(2)


@pytest.mark.parametrize("keeps_times", [False, True], ids=["log4j2", "logrotate"])
@pytest.mark.parametrize("source", [LocalSource, without_inodes])
def test_compressed_file_that_was_shifted_before_it_was_whole_is_no_loss(
    kept: Kept, source: Callable[[Path], LogSource], keeps_times: bool
) -> None:
    def gaps(meanwhile: Callable[[], None] = lambda: None) -> list[Gap]:
        return gaps_of_next(kept, meanwhile, source(kept.directory))

    write(kept, {"app.log.1": line(1) * 50, "app.log": line(2) * 50})
    assert not gaps()
    whole = gzip.compress(line(1) * 50)
    kept.write("app.log.1.gz", whole[:30])
    os.utime(kept.directory / "app.log.1.gz", (1, 1))

    def end_and_shift() -> None:
        kept.write("app.log.1.gz", whole)
        if keeps_times:
            os.utime(kept.directory / "app.log.1.gz", (0, 0))
        delete(kept, "app.log.1")
        shift(kept, "app.log.1.gz", "app.log.2.gz")
        shift(kept, "app.log", "app.log.1")
        kept.write("app.log", line(3))

    assert not gaps(at_call(1, end_and_shift))
    assert kept.of("app.log") == line(1) * 50 + line(2) * 50 + line(3)


@pytest.mark.parametrize("moment", range(0, 96, 8))  # calls of the source; at 0 nothing was read before
def test_rotated_file_is_not_taken_for_what_had_its_name_before(kept: Kept, moment: int) -> None:
    """Over SFTP: a listing that a rotation tears shows a file under the name of the one before it."""
    data = [line(1) * 20, line(2) * 50, line(3) * 11, line(4) * 8, line(5) * 6]
    write(kept, {"app.log.2": data[0], "app.log.1": data[1], "app.log": line(3)})
    assert not gaps_of_next(kept, source=without_inodes(kept.directory))
    younger = iter(data[3:])

    def rotate() -> None:
        for number in (3, 2, 1):
            if (kept.directory / f"app.log.{number}").exists():
                shift(kept, f"app.log.{number}", f"app.log.{number + 1}")
        shift(kept, "app.log", "app.log.1")
        kept.write("app.log", next(younger))

    tears, follows = at_call(moment, rotate), at_call(moment + 1, rotate)
    source = BusySource(without_inodes(kept.directory), lambda: (tears(), follows())[0], torn=True)
    kept.write("app.log", line(3) * 11)
    assert not gaps_of_next(kept, source=source)
    assert not gaps_of_next(kept, source=without_inodes(kept.directory))
    assert kept.of("app.log") == b"".join(data)


def test_rotated_file_that_went_before_its_turn_with_what_was_before_it_is_told_without_inodes(kept: Kept) -> None:
    write(kept, {SERVER: line(1)})
    assert not gaps_of_next(kept, source=without_inodes(kept.directory))
    write(kept, {f"{dated(1)}.gz": line(1), f"{dated(2)}.gz": line(2), SERVER: line(3) * 2})
    went = at_call(1, lambda: delete(kept, f"{dated(1)}.gz", f"{dated(2)}.gz"))
    told = gaps_of_next(kept, went, without_inodes(kept.directory))
    assert told == [Gap("n1", SERVER, time(1), time(3), 0, UNREACHED)]


def test_rotated_file_that_went_alone_before_its_turn_is_told_without_inodes(kept: Kept) -> None:
    write(kept, {dated(1): line(1), SERVER: line(2)})
    assert not gaps_of_next(kept, source=without_inodes(kept.directory))
    write(kept, {f"{dated(2)}.gz": line(2), SERVER: line(3) * 2})
    went = at_call(1, lambda: delete(kept, f"{dated(2)}.gz"))
    assert UNREACHED in [gap.reason for gap in gaps_of_next(kept, went, without_inodes(kept.directory))]


def test_inode_of_a_compressed_file_that_went_before_its_turn_is_no_reason_to_take_a_younger_one_for_it(
    kept: Kept,
) -> None:
    write(kept, {"app.log": line(9) * 50})
    assert not gaps_of_next(kept)
    write(kept, {"app.log.4.gz": line(1) * 50})  # copied in
    os.utime(kept.directory / "app.log.4.gz", (1, 1))

    def delete_and_use_its_inode() -> None:
        (kept.directory / "app.log.4.gz").rename(kept.directory / "app.log.1.gz")
        (kept.directory / "app.log.1.gz").write_bytes(gzip.compress(line(9) * 50))
        (kept.directory / "app.log").write_bytes(line(10))

    assert gaps_of_next(kept, at_call(1, delete_and_use_its_inode))
