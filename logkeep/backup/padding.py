"""NULs that are no content: those a writer left at the end that allocates ahead, and pages that have not come yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator

_BLOCK = 4096
_PIECE = 1024 * 1024
_NEAR = 64 * _PIECE  # so far behind an end that was found, nothing else may stand in a file that stands still
_HOLE = 16  # NULs in a row; text has none, and bytes of any kind hardly ever so many

Read = Callable[[int, int], bytes]  # end, length -> the bytes before `end`


def find_end(read: Read, size: int, *, thorough: bool) -> int:
    """Return where the trailing NULs begin, by bisection, without reading all of them.

    Of a file that stands still it is looked into `thorough`ly: a hole in its content may be larger than what was read.
    """
    end = _find_by_halves(read, size)
    if not thorough:
        return end
    behind = min(size, end + _NEAR)
    while behind > end:
        length = min(_PIECE, behind - end)
        found = len(read(behind, length).rstrip(b"\0"))
        if found:
            return behind - length + found
        behind -= length
    return end


def _find_by_halves(read: Read, size: int) -> int:
    data, padding = 0, size  # bytes before `data` hold content, at its end; those from `padding` on are NULs
    distance = 0
    while padding > 0 and not data:
        distance = min(padding, 2 * distance or _BLOCK)
        at = max(0, padding - distance)
        length = min(_BLOCK, padding - at)
        found = len(read(at + length, length).rstrip(b"\0"))
        if found:
            data = at + found
        else:
            padding = at
    while padding - data > _BLOCK:
        middle = (data + padding) // 2
        length = min(_BLOCK, middle - data)
        found = len(read(middle, length).rstrip(b"\0"))
        if found:
            data = middle - length + found
        else:
            padding = middle - length
    return data + len(read(padding, padding - data).rstrip(b"\0")) if padding > data else data


class Dense:
    """Pieces of content without the NULs at their end; where those of a `hole` may be filled yet, up to that."""

    def __init__(self, pieces: Iterator[bytes], *, stands: bool, padded: bool = True) -> None:
        """Without `padded` NULs are content as any other bytes."""
        self._pieces = self._without_nuls(pieces, stands) if padded else pieces
        self.hole = False

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def __next__(self) -> bytes:
        return next(self._pieces)

    def _without_nuls(self, pieces: Iterator[bytes], stands: bool) -> Iterator[bytes]:
        held = 0  # NULs that are content if something follows them
        for piece in pieces:
            begun = len(piece) - len(piece.lstrip(b"\0"))
            if begun == len(piece):
                held += begun
                continue
            body = piece.rstrip(b"\0")
            if not stands and (cut := self._find_hole(body, held, begun)) is not None:
                self.hole = True
                if cut:
                    yield from _nuls(held)
                    yield body[:cut]
                return
            yield from _nuls(held)
            yield body
            held = len(piece) - len(body)

    @staticmethod
    def _find_hole(body: bytes, held: int, begun: int) -> int | None:
        if held + begun >= _HOLE:
            return 0
        at = body.find(b"\0" * _HOLE)
        return at if at >= 0 else None


def _nuls(count: int) -> Iterator[bytes]:
    while count > 0:
        yield bytes(min(count, _PIECE))
        count -= _PIECE
