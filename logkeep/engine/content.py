"""The plain bytes of a log file, whether it lies there plain or as `.gz`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from zlib_ng import zlib_ng

from logkeep.domain.manifest import EMPTY, Fingerprint
from logkeep.errors import SourceCorrupt, SourceFileError, SourceVanished
from logkeep.sources.base import LogFile, LogSource, OpenLog

HEAD = 4096  # bytes of the head that a generation is known by; also of the tail before its checkpoint
_PIECE = 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's wbits for a gzip header and trailer


class Incomplete(SourceFileError):
    """A compressed file that is still being written: it has no trailer yet. It waits for a later job."""


class Content:
    """An open log file, read as plain bytes; keeps reading the same file when its name changes."""

    def __init__(self, log: OpenLog, *, compressed: bool) -> None:
        self._log = log
        self.file = log.stat()
        self.compressed = compressed and log.read_at(0, 2) in {_GZIP_MAGIC, _GZIP_MAGIC[:1], b""}
        self.incomplete = False  # found to be still being compressed
        self._stream: Iterator[bytes] | None = None
        self._at = 0  # plain position of the stream's next byte
        self._held = b""  # the last plain bytes before `_at`, enough for a tail

    def close(self) -> None:
        self._log.close()

    def head(self) -> bytes:
        """The first `HEAD` plain bytes, fewer where the content is shorter (so far)."""
        if not self.compressed:
            return _read_exactly(self._log, 0, HEAD)
        gathered = b""
        try:
            for piece in _inflate(self._log, HEAD):
                gathered += piece
                if len(gathered) >= HEAD:
                    break
        except Incomplete:
            self.incomplete = True
        return gathered[:HEAD]

    def before(self, end: int, length: int) -> bytes | None:
        """The `length` bytes (at most `HEAD`) that end at `end`; None where the content is shorter.

        Of compressed content this reads on from the last call, so ask in ascending order.
        """
        if not self.compressed:
            found = _read_exactly(self._log, end - length, length)
            return found if len(found) == length else None
        if self._stream is None or end < self._at:
            self._stream, self._at, self._held = _inflate(self._log, _PIECE), 0, b""
        try:
            while self._at < end:
                piece = next(self._stream)
                self._at += len(piece)
                self._held = (self._held + piece)[-(HEAD + _PIECE) :]
        except StopIteration:
            return None
        except Incomplete:
            self.incomplete = True
            return None
        upto = len(self._held) - (self._at - end)
        return self._held[upto - length : upto] if upto >= length else None

    def begins(self, whole: Content) -> bool:
        """Whether all that is here (so far) is what a plain file begins with."""
        head = self.head()
        if not head:
            return self.incomplete
        if whole.head()[: len(head)] != head:
            return False
        end, last = self._end()
        return end <= whole.file.size and whole.before(end, len(last)) == last

    def _end(self) -> tuple[int, bytes]:
        """Where the content ends (so far), and the last bytes before that."""
        end, last = 0, b""
        if not self.compressed:
            end = self.file.size
            return end, self.before(end, min(HEAD, end)) or b""
        try:
            for piece in _inflate(self._log, _PIECE):
                end += len(piece)
                last = (last + piece)[-HEAD:]
        except Incomplete:
            pass
        return end, last

    def pieces(self, start: int) -> Iterator[bytes]:
        """Plain bytes from `start` to the end, which is fixed now for a plain file.

        Raises `Incomplete` at the end of a file still being compressed, `SourceVanished` where a plain
        file was cut short on the way.
        """
        if not self.compressed:
            yield from self._plain_pieces(start)
            return
        position = 0
        for piece in _inflate(self._log, _PIECE):
            position += len(piece)
            if position > start:
                yield piece[-(position - start) :] if position - start < len(piece) else piece

    def _plain_pieces(self, start: int) -> Iterator[bytes]:
        end = self.file.size
        while start < end:
            piece = self._log.read_at(start, min(_PIECE, end - start))
            if not piece:
                raise SourceVanished(f"{self.file.name!r} was cut short while it was read")
            start += len(piece)
            yield piece

    def check_unchanged(self, end: int, head: Fingerprint) -> None:
        """Raise `SourceVanished` where what was read up to `end` is no longer there, as after a truncation."""
        now = self._log.stat()
        kept_size = now.size >= (self.file.size if self.compressed else end)
        if not kept_size or (not self.compressed and fingerprint(_read_exactly(self._log, 0, head.length)) != head):
            raise SourceVanished(f"{self.file.name!r} was truncated while it was read")

    def stat(self) -> LogFile:
        """The file as it is now."""
        return self._log.stat()


def open_content(source: LogSource, name: str, *, compressed: bool) -> Content:
    """Open a log file; raises `SourceVanished`, `SourceUnreadable`. The caller closes it."""
    log = source.open(name)
    try:
        return Content(log, compressed=compressed)
    except BaseException:
        log.close()
        raise


def fingerprint(data: bytes) -> Fingerprint:
    return Fingerprint(len(data), hashlib.sha256(data).hexdigest()) if data else EMPTY


def _read_exactly(log: OpenLog, offset: int, length: int) -> bytes:
    gathered = b""
    while len(gathered) < length:
        piece = log.read_at(offset + len(gathered), length - len(gathered))
        if not piece:
            break
        gathered += piece
    return gathered


def _inflate(log: OpenLog, most: int) -> Iterator[bytes]:
    """Plain bytes in pieces of at most `most`; members follow each other, zeros after the last are padding."""
    stored = _stored_pieces(log)
    rest = b""
    while True:
        member = zlib_ng.decompressobj(_GZIP_WINDOW)
        while not member.eof:
            rest = rest or next(stored, b"")
            piece = _decompress(member, rest, most, log)
            if not rest and not piece and not member.eof:
                raise Incomplete(f"{log.stat().name!r} is still being compressed")
            rest = member.unused_data if member.eof else member.unconsumed_tail
            if piece:
                yield piece
        rest = rest.lstrip(b"\0")
        while not rest:
            following = next(stored, b"")
            if not following:
                return
            rest = following.lstrip(b"\0")


def _stored_pieces(log: OpenLog) -> Iterator[bytes]:
    offset = 0
    while piece := log.read_at(offset, 256 * 1024):
        offset += len(piece)
        yield piece


def _decompress(member: Any, stored: bytes, most: int, log: OpenLog) -> bytes:
    try:
        return member.decompress(stored, most)
    except zlib_ng.error as error:  # pyright: ignore[reportGeneralTypeIssues]  its stub does not say exception
        raise SourceCorrupt(
            f"{log.stat().name!r} is a damaged gzip file: {error}; check the disk of the node, "
            "or move the file out of the log directory"
        ) from error
