"""Plain bytes of a log file, whether it is stored plain or compressed."""

from __future__ import annotations

from collections.abc import Iterator

from logkeep.backup.compressed import MAGIC, Ending, PlainBytes, find_codec
from logkeep.backup.identity import fingerprint
from logkeep.backup.padding import find_end
from logkeep.domain.manifest import Fingerprint, Flaw
from logkeep.errors import SourceFileError, SourceVanished
from logkeep.sources.base import LogFile, LogSource, OpenLog

HEAD = 4096  # bytes of the head that a generation is known by; also of the tail before its checkpoint
_PIECE = 1024 * 1024
_TEXT = bytes({7, 8, 9, 10, 12, 13, 27} | set(range(0x20, 0x100)) - {0x7F})  # as the `file` command takes it


class Incomplete(SourceFileError):
    """A compressed file that does not end as it should and may still be being written. It waits for a later job."""


class Content:
    """An open log file, read as plain bytes; keeps reading the same file when its name changes."""

    def __init__(self, log: OpenLog, *, compressed: bool, most: int = 2**62) -> None:
        """`compressed` says its name; what it is decides its content. Of a compressed file `most` plain bytes are read.

        What a file that holds more ends like is not known, and nothing is said of it.
        """
        self._log = log
        self._most = most
        self.file = log.stat()
        self.size = self.file.size  # of a plain file, without the NULs at its end once they were looked for
        self._codec = find_codec(self.file.name, read_exactly(log, 0, MAGIC)) if compressed else None
        self.ending: Ending | None = None  # of a compressed file, once it was read to its end
        if compressed and self._codec is None:
            self._judge_uncompressed()
        self._stream: Iterator[bytes] | None = None
        self._at = 0  # plain position of the stream's next byte
        self._held = b""  # the last plain bytes before `_at`, enough for a tail

    @property
    def compressed(self) -> bool:
        return self._codec is not None

    def _judge_uncompressed(self) -> None:
        """A file that is only called compressed is kept as it is; where it is no text, it may be a damaged one."""
        head = read_exactly(self._log, 0, HEAD)
        if head.translate(None, _TEXT):
            detail = "it is called compressed, but is none of gzip, xz, bzip2 and zstd, and no text"
            self.ending = Ending(self.file.size, 0, Flaw.FOREIGN, detail)

    def close(self) -> None:
        self._log.close()

    def head(self) -> bytes:
        """Return the first `HEAD` plain bytes, fewer where the content is shorter so far."""
        if not self.compressed:
            return read_exactly(self._log, 0, HEAD)
        gathered = b""
        for piece in self._inflate(HEAD):
            gathered += piece
            if len(gathered) >= HEAD:
                break
        return gathered[:HEAD]

    def end(self) -> Ending:
        """Return where and how the content ends; reads a compressed file through, once."""
        if not self.compressed:
            return self.ending or Ending(self.file.size, self.file.size)
        if self.ending is None:
            while self._read_on():
                pass
        assert self.ending is not None
        return self.ending

    def before(self, end: int, length: int) -> bytes | None:
        """Return the `length` bytes (at most `HEAD`) that end at `end`; None where the content is shorter.

        Of compressed content this reads on from the last call, so ask in ascending order.
        """
        if not self.compressed:
            found = read_exactly(self._log, end - length, length)
            return found if len(found) == length else None
        if end < self._at:
            self._stream, self._at = None, 0
        while self._at < end:
            if not self._read_on():
                return None
        upto = len(self._held) - (self._at - end)
        return self._held[upto - length : upto] if upto >= length else None

    def _read_on(self) -> bytes:
        """Return the next piece, from which `before` takes; empty at the end."""
        if self._stream is None:
            self._stream, self._at, self._held = self._inflate(_PIECE), 0, b""
        piece = next(self._stream, b"")
        self._at += len(piece)
        self._held = (self._held + piece)[-(HEAD + _PIECE) :]
        return piece

    def begins(self, whole: Content) -> bool:
        """Return whether all of this content so far is what another file begins with."""
        head = self.head()
        if not head:
            return self.ending is not None and self.ending.flaw is Flaw.CUT
        if whole.head()[: len(head)] != head:
            return False
        end, last = self._last()
        return (whole.compressed or end <= whole.file.size) and whole.before(end, len(last)) == last

    def _last(self) -> tuple[int, bytes]:
        """Return where the content ends so far, and the last bytes before that."""
        end, last = 0, b""
        if not self.compressed:
            end = self.file.size
            return end, self.before(end, min(HEAD, end)) or b""
        for piece in self._inflate(_PIECE):
            end += len(piece)
            last = (last + piece)[-HEAD:]
        return end, last

    def pieces(self, start: int, *, as_it_ends: bool = True) -> Iterator[bytes]:
        """Plain bytes from `start` to the end, which is fixed now for a plain file.

        Raises `SourceVanished` where a plain file was cut short on the way; at the end of a compressed one that may
        still be being written, `Incomplete` where it is not to be taken `as_it_ends`.
        """
        if not self.compressed:
            yield from self._plain_pieces(start)
            return
        position = 0
        for piece in self._inflate(_PIECE):
            position += len(piece)
            if position > start:
                yield piece[-(position - start) :] if position - start < len(piece) else piece
        if not as_it_ends and self.ending and self.ending.may_change:
            raise Incomplete(self.file.name)

    def _inflate(self, most: int) -> Iterator[bytes]:
        assert self._codec
        plain = PlainBytes(self._read_stored, self._codec, most)
        for piece in plain:
            yield piece
            if plain.length > self._most:
                self.ending = Ending(plain.length, plain.proven)
                return
        self.ending = plain.ending

    def _read_stored(self, offset: int, length: int) -> bytes:
        """Up to the end as it was when the file was opened: one that grows faster than it is read ends too."""
        length = min(length, self.file.size - offset)
        return self._log.read_at(offset, length) if length > 0 else b""

    def find_end(self, *, thorough: bool) -> int:
        """Return the end of a plain file without trailing NULs, which writers allocate ahead."""
        self.size = find_end(self._before, self.size, thorough=thorough)
        return self.size

    def _before(self, end: int, length: int) -> bytes:
        found = read_exactly(self._log, end - length, length)
        if len(found) < length:
            raise SourceVanished(f"{self.file.name!r} was cut short while it was read")
        return found

    def _plain_pieces(self, start: int) -> Iterator[bytes]:
        end = self.size
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
        if not kept_size or (not self.compressed and fingerprint(read_exactly(self._log, 0, head.length)) != head):
            raise SourceVanished(f"{self.file.name!r} was truncated while it was read")

    def stat(self) -> LogFile:
        """Return the file's size, times and inode as they are now."""
        return self._log.stat()


def open_content(source: LogSource, name: str, *, compressed: bool, most: int = 2**62) -> Content:
    """Open a log file; raises `SourceVanished`, `SourceUnreadable`. The caller closes it."""
    log = source.open(name)
    try:
        return Content(log, compressed=compressed, most=most)
    except BaseException:
        log.close()
        raise


def read_exactly(log: OpenLog, offset: int, length: int) -> bytes:
    """Return `length` bytes from `offset`; fewer only where the file ends."""
    gathered = b""
    while len(gathered) < length:
        piece = log.read_at(offset + len(gathered), length - len(gathered))
        if not piece:
            break
        gathered += piece
    return gathered
