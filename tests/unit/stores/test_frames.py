"""zstd frames, one by one and in a chain."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.domain.manifest import Frame
from logkeep.errors import StoreCorrupt
from logkeep.stores.frames import (
    LARGEST_FRAME,
    LARGEST_WINDOW,
    compress_frame,
    decode,
    decompress_frame,
    encode,
    pass_frame,
    read_frames,
    zstd,
)

LINES = b"".join(b"[2026-03-01T00:00:%02d,000][INFO ][o.o.n.Node] line %d\n" % (n % 60, n) for n in range(2000))


class CountingStream(io.BytesIO):
    """Remembers what was read of it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads: list[tuple[int, int]] = []

    def read(self, size: int | None = -1) -> bytes:
        self.reads.append((self.tell(), size or 0))
        return super().read(size)


def chain(raws: list[bytes], start: int = 0) -> tuple[bytes, list[Frame]]:
    """An object and its frame table."""
    stored = b""
    frames: list[Frame] = []
    for raw in raws:
        frame = compress_frame(raw)
        frames.append(Frame(len(stored), len(frame), start, len(raw), "", "", None, 0))
        stored += frame
        start += len(raw)
    return stored, frames


@given(st.binary(max_size=100_000))
def test_a_frame_gives_back_its_bytes(raw: bytes) -> None:
    assert decompress_frame(compress_frame(raw)) == raw


@pytest.mark.parametrize("size", [0, 1, 2**17 - 1, 2**17, 2**17 + 1, 2**20])
def test_a_frame_of_any_number_of_pieces_is_read(size: int) -> None:
    stored = compress_frame(bytes(size))
    assert decompress_frame(stored, size) == bytes(size)
    for cut in (stored[:-1], stored[:-4], stored + b"x", stored[:5]):
        with pytest.raises(StoreCorrupt):
            decompress_frame(cut, size)


def test_a_frame_says_its_size_and_carries_a_checksum() -> None:
    stored = compress_frame(LINES)
    assert zstd.get_frame_info(stored).decompressed_size == len(LINES)
    assert stored[4] & 0b100, "the checksum flag of the frame header"
    assert len(stored) < len(LINES) / 10


@given(st.data(), st.binary(min_size=1, max_size=500))
def test_a_changed_byte_is_noticed(data: st.DataObject, raw: bytes) -> None:
    """Or the change has no meaning: some bits of a frame's header are unused."""
    stored = bytearray(compress_frame(raw))
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(StoreCorrupt):
        assert decompress_frame(bytes(stored)) == raw


@given(st.integers(0, 200))
def test_a_cut_frame_is_noticed(size: int) -> None:
    stored = compress_frame(LINES)
    with pytest.raises(StoreCorrupt, match="LK-STORE-CORRUPT: a zstd frame is damaged"):
        decompress_frame(stored[: len(stored) - 1 - size])


DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda stored: b"",
    lambda stored: b"not a frame at all, but text",
    lambda stored: stored + b"x",
    lambda stored: stored + stored,
    lambda stored: stored[:-4] + b"\0\0\0\0",
    lambda stored: b"\x50\x2a\x4d\x18\x04\0\0\0skip" + stored,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=["empty", "text", "tail", "two frames", "checksum", "skippable"])
def test_what_is_not_exactly_one_frame_is_damage(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(StoreCorrupt):
        decompress_frame(damage(compress_frame(LINES)))


@pytest.mark.parametrize("size", [LARGEST_FRAME + 1, 1 << 40])
def test_a_frame_that_says_it_is_huge_is_refused_before_it_is_read(size: int) -> None:
    header = b"\x28\xb5\x2f\xfd" + b"\xe0" + size.to_bytes(8, "little")
    with pytest.raises(StoreCorrupt, match=f"it holds {size} bytes"):
        decompress_frame(header + b"\0" * 20)


def test_a_frame_that_does_not_say_its_size_is_refused() -> None:
    compressor = zstd.ZstdCompressor()
    stored = compressor.compress(LINES) + compressor.flush()
    with pytest.raises(StoreCorrupt, match="it holds None bytes"):
        decompress_frame(stored)


def test_a_frame_that_holds_more_than_it_says_is_damage() -> None:
    stored = bytearray(compress_frame(bytes(1000)))
    at = stored.index((1000 - 256).to_bytes(2, "little"))
    stored[at : at + 2] = (10).to_bytes(2, "little")
    with pytest.raises(StoreCorrupt):
        decompress_frame(bytes(stored))


def test_too_much_for_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        compress_frame(bytes(LARGEST_FRAME + 1))


@given(st.data(), st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8), st.integers(0, 10**12))
def test_any_range_of_a_segment_can_be_read(data: st.DataObject, raws: list[bytes], start: int) -> None:
    stored, frames = chain(raws, start)
    whole = b"".join(raws)
    first = data.draw(st.integers(0, len(whole)))
    last = data.draw(st.integers(first, len(whole)))
    stream = CountingStream(stored)
    assert b"".join(read_frames(stream, frames, start + first, start + last)) == whole[first:last]
    touched = [
        (f.offset, f.stored)
        for f in frames
        if first < last and f.start - start < last and f.start - start + f.raw > first
    ]
    assert stream.reads == touched


def test_a_piece_is_read_only_when_it_is_asked_for() -> None:
    stored, frames = chain([b"a" * 100, b"b" * 100, b"c" * 100])
    stream = CountingStream(stored)
    pieces = read_frames(stream, frames, 50, 300)
    assert next(pieces) == b"a" * 50
    assert len(stream.reads) == 1


@pytest.mark.parametrize(("start", "end"), [(0, 10), (95, 250), (1000, 1001), (250, 400)])
def test_a_range_that_the_table_lacks_is_damage(start: int, end: int) -> None:
    stored, frames = chain([b"a" * 100, b"b" * 100, b"c" * 100], start=10)
    with pytest.raises(StoreCorrupt, match="the frame table of the object lacks"):
        list(read_frames(io.BytesIO(stored), [frames[0], frames[2]], start, end))


def test_damage_in_a_chain_says_where() -> None:
    stored, frames = chain([LINES, LINES])
    stream = io.BytesIO(stored[:-3])
    stream.name = "'a/b.zst' in s3://logs/"  # type: ignore[attr-defined]
    with pytest.raises(
        StoreCorrupt, match=f"'a/b.zst' in s3://logs/, at byte {frames[1].offset}: the object ends 3 bytes"
    ):
        list(read_frames(stream, frames, 0, 2 * len(LINES)))


@pytest.mark.parametrize("wrong", [Frame(0, stored, 0, 100, "", "", None, 0) for stored in (10**9, 5, 100)])
def test_a_wrong_table_is_damage(wrong: Frame) -> None:
    with pytest.raises(StoreCorrupt):
        list(read_frames(io.BytesIO(compress_frame(b"a" * 99)), [wrong], 0, 100))


@pytest.mark.skipif(not shutil.which("zstd"), reason="tests/real has this too, and there it is never skipped")
def test_the_zstd_command_reads_a_chain() -> None:
    stored, _ = chain([LINES, b"", b"x" * 5_000_000, LINES])
    done = subprocess.run(["zstd", "-dc"], input=stored, capture_output=True, check=True)
    assert done.stdout == LINES + b"x" * 5_000_000 + LINES


REFUSING = """
import resource, sys
from logkeep.domain.manifest import Frame
from logkeep.errors import StoreCorrupt
from logkeep.stores.frames import compress_frame, read_frame
stored, raw = sys.stdin.buffer.read(), int(sys.argv[1])
compress_frame(b"")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_frame(stored, Frame(0, len(stored), 0, raw, "", "", None, 0))
except StoreCorrupt:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def taken_to_refuse(stored: bytes, raw: int) -> int:
    """MiB that a process takes at most to refuse a frame whose table says that it has `raw` plain bytes."""
    command = [sys.executable, "-c", REFUSING, str(raw)]
    return int(subprocess.run(command, input=stored, capture_output=True, check=True).stdout)


def bomb(size: int) -> bytes:
    """A frame of `size` zeros that says so."""
    stream = io.BytesIO()
    options = {zstd.CompressionParameter.content_size_flag: 1}
    compressor = zstd.ZstdCompressor(options=options)
    compressor.set_pledged_input_size(size)
    for _ in range(size >> 20):
        stream.write(compressor.compress(bytes(1 << 20)))
    stream.write(compressor.flush())
    return stream.getvalue()


def test_a_frame_that_inflates_beyond_its_table_is_refused_in_little_memory() -> None:
    stored = bomb(1 << 30)
    assert len(stored) < 200_000
    assert taken_to_refuse(stored, 4 << 20) <= 8
    lied = bytearray(stored)
    assert lied[4] >> 6 == 2, "the size has four bytes"
    lied[6:10] = (4 << 20).to_bytes(4, "little")
    assert taken_to_refuse(bytes(lied), 4 << 20) <= 16


def test_a_frame_that_asks_for_a_large_window_is_refused_in_little_memory() -> None:
    stored = b"\x28\xb5\x2f\xfd" + b"\x80" + bytes([(31 - 10) << 3]) + (1000).to_bytes(4, "little") + b"\1\0\0"
    assert taken_to_refuse(stored, 1000) <= 8


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 100_000, 4 << 20, (4 << 20) + 1, 9_000_000])
def test_whatever_compresses_a_frame_its_window_is_large_enough(size: int) -> None:
    raw = os.urandom(size // 2) * 2
    for level in (1, 3, 19):
        options = {zstd.CompressionParameter.compression_level: level, zstd.CompressionParameter.content_size_flag: 1}
        assert decompress_frame(zstd.compress(raw, options=options)) == raw


@given(st.lists(st.binary(max_size=300), max_size=5), st.lists(st.integers(0, 2000), max_size=8))
def test_frames_are_decoded_wherever_they_are_cut(raws: list[bytes], cuts: list[int]) -> None:
    stored = b"".join(compress_frame(raw) for raw in raws)
    places = [0, *sorted(cut for cut in cuts if cut < len(stored)), len(stored)]
    assert b"".join(decode(stored[a:b] for a, b in itertools.pairwise(places))) == b"".join(raws)


@pytest.mark.parametrize("place", [0, 5, 40, -1])
def test_nothing_of_a_damaged_frame_is_decoded(place: int) -> None:
    sound, damaged = compress_frame(b"sound\n"), bytearray(compress_frame(LINES))
    damaged[place] ^= 0xFF
    got: list[bytes] = []
    with pytest.raises(StoreCorrupt, match="is damaged"):
        got.extend(decode([sound + bytes(damaged)]))
    assert b"".join(got) == b"sound\n"


def test_a_frame_that_does_not_end_is_damage() -> None:
    with pytest.raises(StoreCorrupt, match="does not end"):
        list(decode([compress_frame(LINES)[:-1]]))


def test_a_frame_larger_than_clients_decode_is_made_anew_and_refused_as_it_is() -> None:
    raw = bytes(LARGEST_WINDOW + 1)
    stored = compress_frame(raw)
    with pytest.raises(StoreCorrupt):
        list(decode([stored]))
    frame = Frame(0, len(stored), 0, len(raw), "", "", None, 0)
    assert b"".join(decode(pass_frame(stored, frame))) == raw
    assert [len(decompress_frame(one)) for one in encode(raw)] == [LARGEST_WINDOW, 1]


@pytest.mark.parametrize(
    ("stored", "raw"), [(compress_frame(b"ab"), 3), (b"no frame", 8), (b"", 1), (compress_frame(b"ab")[:-1], 2)]
)
def test_a_frame_that_is_not_as_the_table_says_is_not_passed_on(stored: bytes, raw: int) -> None:
    frame = Frame(0, max(len(stored), len(compress_frame(b"ab"))), 0, raw, "", "", None, 0)
    with pytest.raises(StoreCorrupt):
        b"".join(pass_frame(stored, frame))
