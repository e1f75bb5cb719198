"""Plain bytes of compressed files: gzip, xz, bzip2 and zstd, in bounded pieces, and how such a file ends."""

from __future__ import annotations

import bz2
import lzma
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

from zlib_ng import zlib_ng

from logkeep.domain.manifest import Flaw

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LARGEST_WINDOW = 128 * 1024 * 1024  # bytes; what `zstd -d` takes by default, and twice that of `xz -9`
_XZ_MEMORY = LARGEST_WINDOW + 8 * 1024 * 1024  # the window, and what the decoder needs beside it
_STORED = 256 * 1024  # bytes that are read at a time
_CHUNK = 32 * 1024  # stored bytes that are handed to a decoder at a time
_LISTEN = 64 * 1024 * 1024  # plain bytes; after so many the file is asked again, which is where a stop is heard
_STEP = 256  # plain bytes that are asked for at a time, just before an error
_GZIP_WINDOW = 31  # zlib's wbits for a gzip header and trailer
_TOO_LARGE = ("Memory usage limit", "too much memory")  # how lzma and zstd say that the window is larger

ReadAt = Callable[[int, int], bytes]  # offset, length


class _Decoder(Protocol):
    """Of one member (gzip, zstd: a frame; xz, bzip2: a stream), as those of the standard library."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _GzipDecoder:
    """zlib's, which hands back what it has not taken, as one that keeps it."""

    def __init__(self) -> None:
        self._member: Any = zlib_ng.decompressobj(_GZIP_WINDOW)
        self._rest = b""

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return not self._rest

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        piece = self._member.decompress(self._rest + data if self._rest else data, max_length)
        self._rest = self._member.unconsumed_tail
        return piece


@dataclass(frozen=True, slots=True)
class Codec:
    """One way of compressing."""

    name: str
    suffixes: tuple[str, ...]
    magics: tuple[bytes, ...]  # what a member begins with
    open: Callable[[], _Decoder]

    def begins(self, data: bytes) -> bool:
        """Return whether the data, as far as there is any, is the beginning of a member."""
        return any(data[: len(magic)] == magic[: len(data)] for magic in self.magics)


_SKIPPABLE = tuple(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))
CODECS = (
    Codec("gzip", (".gz",), (b"\x1f\x8b",), _GzipDecoder),
    Codec("xz", (".xz",), (b"\xfd7zXZ\0",), lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)),
    Codec("bzip2", (".bz2",), tuple(b"BZh%d" % level for level in range(1, 10)), bz2.BZ2Decompressor),
    Codec(
        "zstd",
        (".zst", ".zstd"),
        (b"\x28\xb5\x2f\xfd", *_SKIPPABLE),
        lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 27}),
    ),
)
MAGIC = max(len(magic) for codec in CODECS for magic in codec.magics)
_ZLIB_ERROR = cast("type[Exception]", zlib_ng.error)  # its stub does not say exception
_ERRORS = (_ZLIB_ERROR, lzma.LZMAError, zstd.ZstdError, OSError, ValueError, EOFError)  # bz2 raises the last three


def find_codec(name: str, beginning: bytes) -> Codec | None:
    """Return the codec of a file by its first `MAGIC` bytes; None for no compression.

    Its name only tells where it is too short: logrotate's `compresscmd xz` alone makes an xz file that is called `.gz`.
    """
    hollow = not beginning.strip(b"\0")  # what a loss of power leaves
    for codec in CODECS:
        named = name.lower().endswith(codec.suffixes)
        if any(map(beginning.startswith, codec.magics)) or (named and (hollow or codec.begins(beginning))):
            return codec
    return None


@dataclass(frozen=True, slots=True)
class Ending:
    """Outcome of reading a compressed file to its end."""

    length: int  # plain bytes that come out
    proven: int  # plain bytes in members that ended as they should, checksums included
    flaw: Flaw = Flaw.NONE
    detail: str = ""  # what is wrong, as a part of a sentence

    @property
    def may_change(self) -> bool:
        """Return whether the file may still be being written; garbage behind a whole member does not matter."""
        return self.flaw not in {Flaw.NONE, Flaw.GARBAGE}


class PlainBytes:
    """One pass over the plain bytes of a compressed file, whose members follow each other; zeros between are padding.

    All that comes out is handed out, whatever is wrong behind it. Raises what `read_at` raises.
    """

    def __init__(self, read_at: ReadAt, codec: Codec, most: int) -> None:
        """`most` plain bytes are in a piece."""
        self._stored = _Stored(read_at)
        self._read_at = read_at
        self._codec = codec
        self._most = most
        self.length = self.proven = 0
        self._member_at = 0  # where the member that is being read begins, in the file
        self.ending: Ending | None = None  # once all was read

    def __iter__(self) -> Iterator[bytes]:
        while self.ending is None:
            yield from self._member()
            if self.ending is None:
                self.proven = self.length
                self._find_next()

    def _member(self) -> Iterator[bytes]:
        decoder = self._codec.open()
        self._member_at = self._stored.at
        chunk_at = self._member_at
        while not decoder.eof:
            if decoder.needs_input:
                chunk_at = self._stored.at
            stored = self._stored.next() if decoder.needs_input else b""
            waits = decoder.needs_input and not stored
            try:
                piece = decoder.decompress(stored, self._most)
            except _ERRORS as error:
                yield from self._to_the_error(chunk_at)
                self._end_at(error)
                return
            if piece:
                self._add(len(piece))
                yield piece
            elif waits and not decoder.eof:
                self._end(Flaw.CUT, f"it ends in the middle of its {self._codec.name} data")
                return
        self._stored.put_back(decoder.unused_data)

    def _to_the_error(self, chunk_at: int) -> Iterator[bytes]:
        """Yield what the member holds before the error: a decoder that finds one drops its output."""
        stored, decoder = _Stored(self._read_at, self._member_at), self._codec.open()
        known = self.length - self.proven  # was handed out
        while not decoder.eof:
            before = max(0, min(_CHUNK, chunk_at - stored.at))  # in larger steps up to the bytes that hold the error
            data = stored.next(before or 1) if decoder.needs_input else b""
            ends = decoder.needs_input and not data
            try:
                piece = decoder.decompress(data, self._most if before else min(_STEP, self._most))
            except _ERRORS:
                return
            if ends and not piece:
                return
            new = piece[known:]
            known -= len(piece) - len(new)
            if new:
                self._add(len(new))
                yield new

    def _add(self, plain: int) -> None:
        self.length += plain
        if self.length // _LISTEN > (self.length - plain) // _LISTEN:
            self._read_at(0, 1)  # a few bytes may hold GiB

    def _end_at(self, error: Exception) -> None:
        if any(words in str(error) for words in _TOO_LARGE):
            self._end(Flaw.REFUSED, f"it asks for more than {LARGEST_WINDOW // 1024**2} MiB of memory to be read")
        else:
            self._end(Flaw.DAMAGED, f"its {self._codec.name} data is damaged ({error})")

    def _find_next(self) -> None:
        """Go to the next member; what is none ends the file."""
        stored = self._stored.skip_zeros()
        if not stored:
            self._end(Flaw.NONE, "")
        elif not self._codec.begins(stored):
            self._end(Flaw.GARBAGE, f"what follows its first {self._stored.at} bytes is no {self._codec.name} data")

    def _end(self, flaw: Flaw, detail: str) -> None:
        self.ending = Ending(self.length, self.proven, flaw, detail)


class _Stored:
    """Stored bytes of the file, in pieces."""

    def __init__(self, read_at: ReadAt, at: int = 0) -> None:
        self._read_at = read_at
        self._read = at
        self._held = b""
        self._used = 0  # of what is held

    @property
    def at(self) -> int:
        """Offset of the next byte."""
        return self._read - len(self._held) + self._used

    def next(self, most: int = _CHUNK) -> bytes:
        """Empty at the end."""
        if self._used == len(self._held):
            self._fill()
        piece = self._held[self._used : self._used + most]
        self._used += len(piece)
        return piece

    def put_back(self, piece: bytes) -> None:
        self._held, self._used = piece + self._held[self._used :], 0

    def skip_zeros(self) -> bytes:
        """Return the bytes behind zeros, at least `MAGIC` where there are as many; they stay the next ones."""
        while True:
            self._held, self._used = self._held[self._used :].lstrip(b"\0"), 0
            if len(self._held) >= MAGIC or not self._fill():
                return self._held

    def _fill(self) -> bool:
        piece = self._read_at(self._read, _STORED)
        self._read += len(piece)
        self._held, self._used = self._held[self._used :] + piece, 0
        return bool(piece)
