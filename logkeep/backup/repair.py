"""Keeping again what the bucket lost, where a file of the node still has the very bytes.

Names and times only say where to look first. The file's bytes are cut as the frame table tells and compressed again,
and what comes out must have the hash of the lost object: so it is the object that the signed manifest names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from logkeep.backup.bandwidth import Bandwidth
from logkeep.backup.content import Content, open_content
from logkeep.backup.identity import fingerprint
from logkeep.domain.manifest import Segment
from logkeep.errors import SourceFileError
from logkeep.logformat.names import is_compressed, parse_name
from logkeep.sources.base import LogFile, LogSource, PassedKind
from logkeep.stores.frames import compress_frame

Put = Callable[[Segment, Iterator[bytes]], None]  # stores an object again, or tells why its store fails


class _Unlike(Exception):
    """The file does not have the bytes of the segment, or nothing proves it."""

    def __init__(self, *, otherwise: bool = False) -> None:
        """`otherwise`: a frame's checksum is that of the plain bytes, and only its compressed form is another."""
        super().__init__()
        self.otherwise = otherwise


class NodeRepair:
    """Looks for lost segments among the files of one node."""

    def __init__(self, source: LogSource, bandwidth: Bandwidth, max_file_bytes: int) -> None:
        self._source = source
        self._bandwidth = bandwidth
        self._max_file_bytes = max_file_bytes
        self._files: list[LogFile] | None = None
        self.otherwise: set[str] = set()  # objects of which a file has what this zstd compresses to other bytes
        self.doubts = ""  # why a file that was not seen may have what was not found; '' for none

    def mend(self, lost: Sequence[Segment], put: Put) -> list[Segment]:
        """Store each segment that a file has by `put`, and return those that no file has.

        A file that cannot be read is passed over. Raises `SourceUnreachable`.
        """
        left = {segment.object: segment for segment in lost}
        for file in self._listed({segment.name for segment in lost}):
            if not left:
                break
            try:
                with closing(self._open(file)) as content:
                    self._mend_from(content, left, put)
            except SourceFileError as error:
                self.doubts = error.message
        return list(left.values())

    def _listed(self, names: set[str]) -> list[LogFile]:
        """Return the files of the node, those first that had these names; listed once."""
        if self._files is None:
            self._files = listing = self._source.list()
            if not listing:
                self.doubts = "no file at all is in the log directory"
            if closed := [one for one in listing.passed if one.kind is PassedKind.CLOSED]:
                self.doubts = f"folder {closed[0].name!r} cannot be listed: {closed[0].why}"
        return sorted(self._files, key=lambda file: parse_name(file.name, ()).plain not in names)

    def _open(self, file: LogFile) -> Content:
        compressed = is_compressed(file.name)
        return open_content(self._source, file.name, compressed=compressed, most=self._max_file_bytes)

    def _mend_from(self, content: Content, left: dict[str, Segment], put: Put) -> None:
        """Take out of `left` what this file has. It is read once, but for segments that overlap."""
        head = content.head()
        fitting = [one for one in left.values() if fingerprint(head[: one.head.length]) == one.head]
        fitting.sort(key=lambda one: one.start)
        while fitting:
            plain = _PlainBytes(self._bandwidth.limit(content.pieces(fitting[0].start)), fitting[0].start)
            overlapping: list[Segment] = []
            for segment in fitting:
                if segment.start < plain.at:
                    overlapping.append(segment)
                elif self._mend_one(plain, segment, put):
                    del left[segment.object]
            fitting = overlapping

    def _mend_one(self, plain: _PlainBytes, segment: Segment, put: Put) -> bool:
        """Return False if nothing proves that the file's bytes are those of the segment."""
        try:
            put(segment, _compressed(plain, segment))
        except _Unlike as unlike:
            if unlike.otherwise:
                self.otherwise.add(segment.object)
            return False
        return True


def _compressed(plain: _PlainBytes, segment: Segment) -> Iterator[bytes]:
    """Yield the object's frames; raise `_Unlike` before the last one unless they are what was stored."""
    plain.skip_to(segment.start)
    whole = hashlib.sha256()
    for frame in segment.frames:
        stored = compress_frame(plain.take(frame.raw))
        whole.update(stored)
        last = frame is segment.frames[-1]
        if len(stored) != frame.stored or (last and whole.hexdigest() != segment.sha256):
            raise _Unlike(otherwise=stored[-4:].hex() == frame.check)
        yield stored


class _PlainBytes:
    """Plain bytes of a file, taken from front to back."""

    def __init__(self, pieces: Iterator[bytes], at: int) -> None:
        self._pieces = pieces
        self._held = bytearray()
        self.at = at  # of the next byte

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes. Raises `_Unlike` where the file ends before."""
        while len(self._held) < size:
            self._held += self._next()
        taken = bytes(self._held[:size])
        del self._held[:size]
        self.at += size
        return taken

    def skip_to(self, at: int) -> None:
        """Leave out what comes before; hold no more than a piece meanwhile."""
        while self.at + len(self._held) < at:
            self.at += len(self._held)
            self._held[:] = self._next()
        del self._held[: at - self.at]
        self.at = at

    def _next(self) -> bytes:
        piece = next(self._pieces, b"")
        if not piece:
            raise _Unlike
        return piece
