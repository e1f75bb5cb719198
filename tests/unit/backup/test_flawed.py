"""Compressed files that are cut, damaged, grown or of an odd kind: one sentence each."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sys
import time
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path

import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from logkeep.backup import node_backup
from logkeep.backup.node_state import Outcome
from logkeep.domain.manifest import Flaw
from tests.unit.backup.test_node_backup import Kept, lines

OLD = "es-2026-11-24-1.log"
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, mtime=0),
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
}
TRAILER = {"gz": 8, "xz": 24, "bz2": 10, "zst": 4}  # bytes behind the compressed data
codecs = pytest.mark.parametrize("suffix", PACK)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr(node_backup, "_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(node_backup, "_MAX_WAITS", 3)
    return Kept(tmp_path)


def left(kept: Kept, name: str, data: bytes, minutes: float = 5) -> None:
    """Write a file that nobody has touched for some minutes."""
    kept.write(name, data)
    then = time.time() - minutes * 60
    os.utime(kept.directory / name, (then, then))


def codes(outcome: Outcome) -> list[tuple[str, str]]:
    assert not outcome.failures
    return sorted((warning.file, warning.code) for warning in outcome.warnings)


def silent(kept: Kept) -> bool:
    """Whether the next two jobs find nothing to say and nothing to keep; the second need not even look."""
    segments, gaps = len(kept.catalogue.segments), len(kept.catalogue.gaps)
    said = codes(kept.back_up())
    calls: list[int] = []
    said += codes(kept.back_up(lambda: calls.append(1)))
    return not said and len(calls) == 1 and (segments, gaps) == (len(kept.catalogue.segments), len(kept.catalogue.gaps))


# Cut


@codecs
def test_cut_file_is_kept_as_far_as_it_goes_and_told_once(kept: Kept, suffix: str) -> None:
    left(kept, f"{OLD}.{suffix}", PACK[suffix](lines(1, 61))[: -TRAILER[suffix]])
    kept.write("es.log", lines(61, 71))
    assert codes(kept.back_up()) == [(f"{OLD}.{suffix}", "LK-LOG-CUT")]
    assert kept.of("es.log") == lines(1, 71)
    assert silent(kept)


@codecs
def test_rest_of_a_cut_file_is_kept_from_a_whole_one(kept: Kept, suffix: str) -> None:
    packed = PACK[suffix](lines(1, 20_000))
    left(kept, f"{OLD}.{suffix}", packed[: len(packed) * 3 // 4])
    kept.back_up()
    some = kept.of("es.log")
    assert lines(1, 20_000).startswith(some)
    assert len(some) < len(lines(1, 20_000))
    kept.write(f"es-2026-11-24-2.log.{suffix}", packed)
    (kept.directory / f"{OLD}.{suffix}").unlink()
    assert codes(kept.back_up()) == []
    assert kept.of("es.log") == lines(1, 20_000)
    assert len(kept.catalogue.kept) == 1
    assert not kept.catalogue.gaps


def test_cut_file_goes_on_with_what_was_kept_before_it_was_compressed(kept: Kept) -> None:
    kept.write("es.log", lines(1, 51))
    kept.back_up()
    (kept.directory / "es.log").unlink()
    left(kept, f"{OLD}.gz", gzip.compress(lines(1, 61))[:-8])
    kept.write("es.log", lines(61, 71))
    assert codes(kept.back_up()) == [(f"{OLD}.gz", "LK-LOG-CUT")]
    assert kept.of("es.log") == lines(1, 71)
    assert silent(kept)


@pytest.mark.parametrize("number", [60, 2000])
@codecs
def test_cut_file_of_which_more_is_kept_is_not_kept_again(kept: Kept, suffix: str, number: int) -> None:
    kept.write("es.log", lines(1, number))
    kept.back_up()
    (kept.directory / "es.log").unlink()
    packed = PACK[suffix](lines(1, number))
    left(kept, f"{OLD}.{suffix}", packed[: len(packed) * 2 // 3])
    kept.write("es.log", lines(number, number + 10))
    assert codes(kept.back_up()) == [(f"{OLD}.{suffix}", "LK-LOG-CUT")]
    assert kept.of("es.log") == lines(1, number + 10)
    assert [gap.family for gap in kept.catalogue.gaps] == ["es.log"]  # of what may have been written before it was cut
    assert silent(kept)


def test_cut_file_hides_no_gap(kept: Kept) -> None:
    left(kept, f"{OLD}.gz", gzip.compress(lines(1, 61))[:-8])
    kept.write("es.log", lines(61, 71))
    kept.back_up()
    (kept.directory / "es.log").unlink()
    kept.write("es.log", lines(81, 91))
    kept.back_up()
    assert len(kept.catalogue.gaps) == 1


def test_file_that_moved_within_the_minute_waits_and_that_is_said(kept: Kept) -> None:
    left(kept, f"{OLD}.gz", gzip.compress(lines(1, 61))[:-8], minutes=0.9)
    kept.write("es.log", lines(61, 71))
    assert codes(kept.back_up()) == [(f"{OLD}.gz", "LK-LOG-WAITING")]
    assert kept.of("es.log") == lines(61, 71)
    left(kept, f"{OLD}.gz", gzip.compress(lines(1, 61))[:-8], minutes=1.1)
    assert codes(kept.back_up()) == [(f"{OLD}.gz", "LK-LOG-CUT")]
    assert kept.of("es.log") == lines(1, 71)


def test_file_that_moves_though_it_looks_old_waits(kept: Kept) -> None:
    packed = gzip.compress(lines(1, 3000))
    sizes = chain(range(100, len(packed) - 10), repeat(len(packed) - 10))

    def compress() -> None:  # on a node whose clock is behind
        left(kept, f"{OLD}.gz", packed[: next(sizes)])

    compress()
    assert codes(kept.back_up(compress)) == [(f"{OLD}.gz", "LK-LOG-WAITING")]
    assert kept.of("es.log") == b""


def test_file_of_a_node_whose_clock_is_ahead_is_kept_once_it_was_seen_for_a_minute(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    left(kept, f"{OLD}.gz", gzip.compress(lines(1, 61))[:-8], minutes=-600)
    assert codes(kept.back_up()) == [(f"{OLD}.gz", "LK-LOG-WAITING")]
    kept.seconds_ahead = 61
    assert codes(kept.back_up()) == [(f"{OLD}.gz", "LK-LOG-CUT")]
    assert kept.of("es.log") == lines(1, 61)
    assert silent(kept)


@codecs
@pytest.mark.parametrize("size", [1, 5, 10])
def test_file_of_nothing_but_a_header_is_told_once(kept: Kept, suffix: str, size: int) -> None:
    left(kept, f"{OLD}.{suffix}", PACK[suffix](lines(1, 61))[:size])
    kept.write("es.log", lines(61, 71))
    assert codes(kept.back_up()) == [(f"{OLD}.{suffix}", "LK-LOG-CUT")]
    assert kept.of("es.log") == lines(61, 71)
    assert silent(kept)


def test_compressed_file_of_no_bytes_is_told_once(kept: Kept) -> None:
    left(kept, f"{OLD}.gz", b"")
    kept.write("es.log", lines(61, 71))
    said = codes(kept.back_up()) + codes(kept.back_up())
    assert said == [(f"{OLD}.gz", "LK-LOG-CUT")]
    assert silent(kept)


@codecs
def test_compressed_nothing_is_no_fault(kept: Kept, suffix: str) -> None:
    left(kept, f"{OLD}.{suffix}", PACK[suffix](b""))
    assert codes(kept.back_up()) == []
    assert silent(kept)


def test_file_of_nothing_but_zeros_is_told_and_not_kept(kept: Kept) -> None:
    left(kept, f"{OLD}.gz", bytes(5000))
    assert codes(kept.back_up()) == [(f"{OLD}.gz", "LK-LOG-DAMAGED")]
    assert kept.of("es.log") == b""
    assert silent(kept)


# Damaged


@codecs
def test_flipped_byte_keeps_what_comes_out_and_the_whole_copy_as_well(kept: Kept, suffix: str) -> None:
    packed = PACK[suffix](lines(1, 20_000))
    broken = bytearray(packed)
    broken[len(packed) * 3 // 4] ^= 0x10
    left(kept, f"{OLD}.{suffix}", bytes(broken))
    assert codes(kept.back_up()) == [(f"{OLD}.{suffix}", "LK-LOG-DAMAGED")]
    some = kept.of("es.log")
    assert some[:1000] == (lines(1, 20_000)[:1000] if suffix == "gz" else some[:1000])
    assert silent(kept)
    kept.write("es-2026-11-24-2.log.gz", gzip.compress(lines(1, 20_000)))
    assert codes(kept.back_up()) == []
    assert kept.of("es.log") == some + lines(1, 20_000)
    assert not kept.catalogue.gaps


def test_wrong_checksum_alone_proves_nothing_either(kept: Kept) -> None:
    packed = bytearray(gzip.compress(lines(1, 2000)))
    packed[-6] ^= 1
    left(kept, f"{OLD}.gz", bytes(packed))
    assert codes(kept.back_up()) == [(f"{OLD}.gz", "LK-LOG-DAMAGED")]
    assert kept.of("es.log") == lines(1, 2000)
    assert [c.flaw for c in kept.catalogue.kept.values()] == [Flaw.DAMAGED]
    kept.write(f"{OLD}.gz", gzip.compress(lines(1, 2000)))
    kept.back_up()
    assert kept.of("es.log") == lines(1, 2000) * 2
    assert not kept.catalogue.gaps


def test_damaged_file_that_is_renamed_is_not_kept_again_nor_told(kept: Kept) -> None:
    packed = bytearray(gzip.compress(lines(1, 2000)))
    packed[-6] ^= 1
    left(kept, "app.log.1.gz", bytes(packed))
    kept.back_up()
    (kept.directory / "app.log.1.gz").rename(kept.directory / "app.log.2.gz")
    assert codes(kept.back_up()) == []
    assert kept.of("app.log") == lines(1, 2000)
    assert not kept.catalogue.gaps


def test_bytes_of_a_damaged_file_do_not_continue_what_is_kept(kept: Kept) -> None:
    kept.write("es.log", lines(1, 1000))
    kept.back_up()
    (kept.directory / "es.log").unlink()
    packed = bytearray(gzip.compress(lines(1, 2000)))
    packed[-6] ^= 1
    left(kept, f"{OLD}.gz", bytes(packed))
    assert codes(kept.back_up()) == [(f"{OLD}.gz", "LK-LOG-DAMAGED")]
    assert kept.of("es.log") == lines(1, 1000) + lines(1, 2000)
    assert len(kept.catalogue.gaps) == 1  # as if the damaged file were not there


def test_all_comes_out_that_stands_before_the_damage(kept: Kept) -> None:
    whole = os.urandom(200_000)  # stored as it is: the place of the damage is that in the plain bytes
    packed = bytearray(gzip.compress(whole, 0))
    packed[150_000:] = b"\xff" * (len(packed) - 150_000)
    left(kept, f"{OLD}.gz", bytes(packed))
    kept.back_up()
    assert kept.of("es.log")[:140_000] == whole[:140_000]


def test_large_damaged_file_is_known_for_damaged_with_its_first_segment(kept: Kept) -> None:
    packed = bytearray(gzip.compress(lines(1, 5000)))
    packed[-6] ^= 1
    left(kept, f"{OLD}.gz", bytes(packed))
    kept.back_up()
    assert len(kept.catalogue.segments) > 5
    assert {segment.flaw for segment in kept.catalogue.segments} == {Flaw.DAMAGED}


# Waiting, and renamed meanwhile

NOTED = "prod-2026-11-23-1.log"


@pytest.mark.parametrize("to", ["prod-2026-11-23-2.log.gz", "archive/prod-2026-11-23-1.log.gz"])
@pytest.mark.parametrize("how", ["moved", "written anew"])
@pytest.mark.parametrize("number", [60, 5000])
@pytest.mark.parametrize("begun", [True, False])
def test_file_that_waited_and_is_whole_under_another_name_is_no_gap(
    kept: Kept, to: str, how: str, number: int, begun: bool
) -> None:
    whole, path = gzip.compress(timed(0, number)), kept.directory / to
    kept.write("prod.log", timed(0, 50) if begun else timed(number, number + 9))
    kept.back_up()
    if begun:
        (kept.directory / "prod.log").rename(kept.directory / NOTED)
        (kept.directory / NOTED).unlink()
    kept.write("prod.log", timed(number, number + 9))
    kept.write(f"{NOTED}.gz", whole[:-20])
    assert codes(kept.back_up()) == [(f"{NOTED}.gz", "LK-LOG-WAITING")]
    path.parent.mkdir(exist_ok=True)
    if how == "moved":
        (kept.directory / f"{NOTED}.gz").rename(path)
    else:
        (kept.directory / f"{NOTED}.gz").unlink()
    path.write_bytes(whole if how == "moved" else gzip.compress(timed(0, number), 1))
    assert codes(kept.back_up()) == []
    assert not kept.catalogue.gaps
    assert sorted((kept.of("prod.log") + kept.of("archive/prod.log")).splitlines()) == sorted(
        timed(0, number + 9).splitlines()
    )


def test_file_that_waited_and_went_is_a_gap_though_a_shorter_copy_of_it_is_there(kept: Kept) -> None:
    kept.write("prod.log", timed(60, 70))
    kept.back_up()
    kept.write(f"{NOTED}.gz", gzip.compress(timed(0, 60))[:-20])
    assert codes(kept.back_up()) == [(f"{NOTED}.gz", "LK-LOG-WAITING")]
    (kept.directory / f"{NOTED}.gz").unlink()
    kept.write("prod-2026-11-22-1.log", timed(0, 50))
    kept.back_up()
    assert [gap.reason for gap in kept.catalogue.gaps] == ["deleted by the node after it could not be read"]


def timed(first: int, last: int) -> bytes:
    """Lines of which each has a time of its own."""
    return b"".join(
        b"[2026-11-23T10:%02d:%02d,000][INFO ] event %d\n" % (n // 60 % 60, n % 60, n) for n in range(first, last)
    )


# Garbage behind, members appended


@codecs
def test_garbage_behind_a_whole_member_is_told_once_and_all_is_kept(kept: Kept, suffix: str) -> None:
    left(kept, f"{OLD}.{suffix}", PACK[suffix](lines(1, 61)) + b"garbage")
    assert codes(kept.back_up()) == [(f"{OLD}.{suffix}", "LK-LOG-GARBAGE")]
    assert kept.of("es.log") == lines(1, 61)
    assert silent(kept)


@codecs
@pytest.mark.parametrize("number", [61, 20_000])
def test_whole_member_with_garbage_behind_waits_for_nothing(kept: Kept, suffix: str, number: int) -> None:
    kept.write(f"{OLD}.{suffix}", PACK[suffix](lines(1, number)) + b"garbage")
    assert codes(kept.back_up()) == [(f"{OLD}.{suffix}", "LK-LOG-GARBAGE")]
    assert kept.of("es.log") == lines(1, number)
    assert codes(kept.back_up()) == []
    kept.write(f"{OLD}.{suffix}", PACK[suffix](lines(1, number)) + PACK[suffix](lines(number, number + 9)))
    assert codes(kept.back_up()) == []
    assert kept.of("es.log") == lines(1, number + 9)


@codecs
def test_members_that_are_appended_go_on_where_the_last_one_ended(kept: Kept, suffix: str) -> None:
    data = b""
    for day in range(4):
        data += PACK[suffix](lines(day * 1000, day * 1000 + 1000)) + bytes(4 * day)
        left(kept, f"prod.log.{suffix}", data)
        assert codes(kept.back_up()) == []
        assert kept.of("prod.log") == lines(0, day * 1000 + 1000)
    assert len(kept.catalogue.kept) == 1
    assert not kept.catalogue.gaps


def test_member_that_is_being_appended_is_kept_when_it_is_whole(kept: Kept) -> None:
    first, second = gzip.compress(lines(0, 100)), gzip.compress(lines(100, 200))
    left(kept, "prod.log.gz", first)
    kept.back_up()
    kept.write("prod.log.gz", first + second[:1])
    assert codes(kept.back_up()) == [("prod.log.gz", "LK-LOG-WAITING")]
    kept.write("prod.log.gz", first + second)
    assert codes(kept.back_up()) == []
    assert kept.of("prod.log") == lines(0, 200)


def test_zstd_frames_that_are_to_be_skipped_are_skipped(kept: Kept) -> None:
    skipped = b"\x5a\x2a\x4d\x18" + (6).to_bytes(4, "little") + b"ignore"
    unsized = zstd.ZstdCompressor()
    frame = unsized.compress(lines(0, 50)) + unsized.flush()
    left(kept, f"{OLD}.zst", skipped + frame + skipped + PACK["zst"](lines(50, 100)) + skipped)
    assert codes(kept.back_up()) == []
    assert kept.of("es.log") == lines(0, 100)


# What is called compressed


@codecs
def test_file_is_read_by_its_content_and_not_by_its_name(kept: Kept, suffix: str) -> None:
    left(kept, f"{OLD}.gz", PACK[suffix](lines(1, 61)))
    assert codes(kept.back_up()) == []
    assert kept.of("es.log") == lines(1, 61)


@codecs
def test_text_that_is_called_compressed_is_kept_as_it_is(kept: Kept, suffix: str) -> None:
    left(kept, f"{OLD}.{suffix}", "Größe: 5 \t\x1b[1mB\x1b[0m\r\n".encode() * 3)
    assert codes(kept.back_up()) == []
    assert kept.of("es.log") == "Größe: 5 \t\x1b[1mB\x1b[0m\r\n".encode() * 3
    assert silent(kept)


def test_what_is_called_compressed_and_is_neither_that_nor_text_is_kept_and_told_once(kept: Kept) -> None:
    data = b"\0" + gzip.compress(lines(1, 61))[1:]
    left(kept, f"{OLD}.gz", data)
    assert codes(kept.back_up()) == [(f"{OLD}.gz", "LK-LOG-DAMAGED")]
    assert kept.of("es.log") == data
    assert silent(kept)


@codecs
def test_rotation_compressed_by_another_command_is_not_kept_twice(kept: Kept, suffix: str) -> None:
    kept.write("es.log", lines(1, 51))
    kept.back_up()
    (kept.directory / "es.log").unlink()
    kept.write(f"{OLD}.{suffix}", PACK[suffix](lines(1, 61)))
    assert codes(kept.back_up()) == []
    assert kept.of("es.log") == lines(1, 61)
    assert not kept.catalogue.gaps


# Memory


@pytest.mark.parametrize("suffix", ["xz", "zst"])
def test_file_that_asks_for_too_much_memory_is_refused_and_told_once(kept: Kept, suffix: str) -> None:
    if suffix == "xz":
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 * 1024**2, "preset": 0}]
        packed = lzma.compress(lines(1, 61), filters=filters)
    else:
        large = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
        packed = large.compress(lines(1, 61)) + large.flush()
    left(kept, f"{OLD}.{suffix}", packed)
    kept.write("es.log", lines(61, 71))
    outcome = kept.back_up()
    assert codes(outcome) == [(f"{OLD}.{suffix}", "LK-LOG-REFUSED")]
    assert "more than 128 MiB" in outcome.warnings[0].message
    assert codes(kept.back_up()) == []
    assert kept.of("es.log") == lines(61, 71)
    assert not kept.catalogue.gaps
    (kept.directory / f"{OLD}.{suffix}").unlink()
    kept.back_up()
    assert [gap.at_least for gap in kept.catalogue.gaps] == [len(packed)]
