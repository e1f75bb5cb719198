"""Independent zstd frames: an object is a plain chain of them, so that `zstd -dc` gives the plain bytes."""

from __future__ import annotations

import sys
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, cast

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from logkeep.domain.manifest import LARGEST_FRAME, LARGEST_STORED_FRAME, Frame
from logkeep.errors import StoreCorrupt

LARGEST_WINDOW = 8 * 1024 * 1024  # bytes of a frame that is sent as the content coding of HTTP (RFC 9659)
_PIECE = 128 * 1024  # bytes
_WINDOW_LOG = zstd.DecompressionParameter.window_log_max
_COMPRESS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 3,
    zstd.CompressionParameter.checksum_flag: 1,
    zstd.CompressionParameter.content_size_flag: 1,
}
_DECODE: dict[int, int] = {_WINDOW_LOG: LARGEST_WINDOW.bit_length() - 1}
_own = threading.local()  # a compressor for each thread: a new one takes ten times as long as a small frame
_CHECK: dict[int, int] = {
    zstd.CompressionParameter.compression_level: -7,
    zstd.CompressionParameter.checksum_flag: 1,
}


def compress_frame(raw: bytes) -> bytes:
    """Compress `raw`, at most 64 MiB, into one frame that carries its size and a checksum."""
    if len(raw) > LARGEST_FRAME:
        raise ValueError(f"a frame holds at most {LARGEST_FRAME} bytes, not {len(raw)}")
    compressor: zstd.ZstdCompressor = getattr(_own, "compressor", None) or zstd.ZstdCompressor(options=_COMPRESS)
    _own.compressor = None  # not used again where an error leaves it in the middle of a frame
    compressor.set_pledged_input_size(len(raw))
    frame = compressor.compress(raw, zstd.ZstdCompressor.FLUSH_FRAME)
    _own.compressor = compressor
    return frame


def frame_check(raw: bytes) -> str:
    """Return zstd's content checksum of these plain bytes in hex: the last 4 bytes of a frame, whatever its level."""
    return zstd.compress(raw, options=_CHECK)[-4:].hex()


def decompress_frame(stored: bytes, most: int = LARGEST_FRAME) -> bytes:
    """Decompress exactly one frame of at most `most` plain bytes. Raises `StoreCorrupt` for anything else.

    Memory and window are bounded by the size that the frame declares, which is checked before decompression.
    """
    return b"".join(_decompress(stored, most))


def _decompress(stored: bytes, most: int, *, at_once: bool = False) -> Iterator[bytes]:
    """Yield the plain bytes of one frame in pieces, of which none is proven before the last; a usual one `at_once`.

    In a service with many threads, malloc gives the memory of large blocks back at once: the kernel then took more
    time to clear new pages for a frame of 4 MiB in one piece than zstd for its bytes.
    """
    size = _told_size(stored)
    if size is None or size > most:
        raise StoreCorrupt(f"a zstd frame says that it holds {size} bytes, at most {most} are expected there")
    try:
        decompressor = zstd.ZstdDecompressor(options={_WINDOW_LOG: _window_log(size)})
        piece, left, length = stored, size, max(size, 1) if at_once and size <= LARGEST_WINDOW else _PIECE
        while piece and left >= 0 and not decompressor.eof:
            piece = decompressor.decompress(stored if left == size else b"", length)
            left -= len(piece)
            yield piece
    except zstd.ZstdError as error:
        raise StoreCorrupt(f"a zstd frame is damaged: {error}") from error
    # The end is reached only after the checksum was read and found right.
    if not decompressor.eof or decompressor.unused_data or left:
        raise StoreCorrupt("a zstd frame is damaged: it does not end where it should")


def _told_size(stored: bytes) -> int | None:
    """Return how many plain bytes a frame says that it holds; None if it does not. Raises `StoreCorrupt`."""
    try:
        return cast("int | None", zstd.get_frame_info(stored).decompressed_size)
    except zstd.ZstdError as error:
        raise StoreCorrupt(f"a zstd frame is damaged: {error}") from error


def frame_size(data: bytes) -> int:
    """Return how many bytes the frame takes that `data` begins with. Raises `StoreCorrupt` if none is whole."""
    try:
        return zstd.get_frame_size(data)
    except zstd.ZstdError as error:
        raise StoreCorrupt(f"a zstd frame is damaged: {error}") from error


def _window_log(size: int) -> int:
    """Return the log of the smallest window that holds the whole frame; no compressor needs a larger one."""
    return max(_WINDOW_LOG.bounds()[0], (size - 1).bit_length())


def read_frames(stream: BinaryIO, frames: Sequence[Frame], start: int, end: int) -> Iterator[bytes]:
    """Yield the plain bytes [start, end) of a segment, one piece per frame; read no frame outside of them.

    `frames` is the whole frame table in order; `start` and `end` are offsets in the generation, as in the table.
    """
    at = start
    first = max(0, bisect_right(frames, start, key=lambda frame: frame.start) - 1)
    for frame in frames[first:]:
        if at >= end:
            return
        if not frame.start <= at < frame.start + frame.raw:
            break
        raw = _read_frame(stream, frame)
        yield raw[at - frame.start : end - frame.start]
        at = min(end, frame.start + frame.raw)
    if at < end:
        raise StoreCorrupt(f"the frame table of {_name(stream)} lacks the bytes from {at} to {end}")


def read_frame(stored: bytes, frame: Frame) -> bytes:
    """Decompress a frame of the table. Raises `StoreCorrupt` if its size differs from the table's."""
    return b"".join(_read_pieces(stored, frame, at_once=True))


def check_frame(stored: bytes, frame: Frame) -> None:
    """Decompress a frame of the table, and keep nothing of it. Raises `StoreCorrupt` as `read_frame` does."""
    for _ in _read_pieces(stored, frame):
        pass


def _read_pieces(stored: bytes, frame: Frame, *, at_once: bool = False) -> Iterator[bytes]:
    if len(stored) < frame.stored:
        raise StoreCorrupt(f"the object ends {frame.stored - len(stored)} bytes before the end of this frame")
    size = 0
    for piece in _decompress(stored, min(frame.raw, LARGEST_FRAME), at_once=at_once):
        size += len(piece)
        yield piece
    if size != frame.raw:
        raise StoreCorrupt(f"the frame holds {size} bytes, its table says {frame.raw}")


def pass_frame(stored: bytes, frame: Frame) -> Iterable[bytes]:
    """Return a frame of the table for who decodes it: as it is, or made anew where its window is too large for HTTP.

    Raises `StoreCorrupt` if it ends early, or says another size than the table.
    """
    if frame.raw > LARGEST_WINDOW or len(stored) < frame.stored:
        return encode(read_frame(stored, frame))
    size = _told_size(stored)
    if size != frame.raw:
        raise StoreCorrupt(f"the frame says that it holds {size} bytes, its table says {frame.raw}")
    return (stored,)


def encode(plain: bytes) -> Iterator[bytes]:
    """Yield plain bytes as frames that every client of the content coding `zstd` can decode: one at least."""
    for at in range(0, max(1, len(plain)), LARGEST_WINDOW):
        yield compress_frame(plain[at : at + LARGEST_WINDOW])


def decode(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the plain bytes of frames that come cut anywhere; those of a frame only once its checksum was right.

    Raises `StoreCorrupt` for anything else, and for a frame that is not whole at the end.
    """
    decompressor, plain, size = zstd.ZstdDecompressor(options=_DECODE), list[bytes](), 0
    begun = False
    for piece in pieces:
        left = piece
        while left or not decompressor.needs_input:
            begun = True
            try:
                part = decompressor.decompress(left, _PIECE)
            except zstd.ZstdError as error:
                raise StoreCorrupt(f"a zstd frame is damaged: {error}") from error
            left = b""
            plain.append(part)
            size += len(part)
            if size > LARGEST_WINDOW:
                raise StoreCorrupt(f"a zstd frame holds more than {LARGEST_WINDOW} bytes")
            if decompressor.eof:
                yield from plain
                left = decompressor.unused_data
                decompressor, plain, size, begun = zstd.ZstdDecompressor(options=_DECODE), [], 0, False
    if begun:
        raise StoreCorrupt("a zstd frame is damaged: it does not end")


def next_frame(stream: BinaryIO, frame: Frame) -> bytes:
    """Read the stored bytes of a frame at the stream's position; fewer if the stream ends. Raises `StoreCorrupt`."""
    if not 0 <= frame.stored <= LARGEST_STORED_FRAME:
        raise StoreCorrupt(f"the frame table of {_name(stream)} has a frame of {frame.stored} bytes")
    return stream.read(frame.stored)


def _read_frame(stream: BinaryIO, frame: Frame) -> bytes:
    stream.seek(frame.offset)
    stored = next_frame(stream, frame)
    try:
        return read_frame(stored, frame)
    except StoreCorrupt as error:
        raise StoreCorrupt(f"{_name(stream)}, at byte {frame.offset}: {error.message}") from error


def _name(stream: BinaryIO) -> object:
    """Return the name of the object for a message; streams of a store have one, those in memory have none."""
    return getattr(stream, "name", "the object")
