"""Filter of a frame: which short pieces of text occur in it, so that a search need not read it."""

from __future__ import annotations

import os
from collections.abc import Iterator

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else it starts a thread for each core, and none is used

import numpy as np
from numpy.typing import NDArray

_Hashes = NDArray[np.uint32]
_Mask = NDArray[np.bool_]

_WINDOW = 8  # bytes, each of which gives one piece
_MIXED, _HEX = 4, 6  # bytes of a piece
_PAIR = 6  # bytes of two characters of three bytes each
_OVERLAP = _WINDOW - 1
_BLOCK = 64 * 1024  # bytes that are hashed at a time, so that what is computed of them stays in the cache

_LEAST_BITS, _MOST_BITS = 6, 23  # powers of two: 8 bytes to 1 MiB
_SHARE = 4  # bytes of the frame for each bit of the largest filter that it may have
_LOAD = 0.35  # of the bits that are set; a filter is halved while no more would be
_MOST_PIECES = 64  # of a needle that are asked for

_LOWER = bytes(range(256)).lower()
_HEX_DIGIT, _LINE_END, _LEAD = 1, 2, 4
_CLASS = bytes(
    _HEX_DIGIT * (byte in b"0123456789abcdef") | _LINE_END * (byte == 10) | _LEAD * (byte >> 4 == 0xE)
    for byte in range(256)
)
_FIRST, _SECOND = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)
_MIX, _OTHER = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)
_NONE = np.uint32(0xFFFFFFFF)


def build_filter(raw: bytes) -> bytes:
    """Return the filter of the plain bytes of a frame; empty if it is so short that it is read instead."""
    bits = min(_MOST_BITS, (len(raw) // _SHARE).bit_length() - 1)
    if bits < _LEAST_BITS:
        return b""
    marks = np.zeros(1 << bits, np.bool_)
    for at in range(0, len(raw), _BLOCK):
        for hashes in _hash_pieces(raw[at : at + _BLOCK + _OVERLAP]):
            marks[_place(hashes) >> np.uint32(32 - bits)] = True
    while bits > _LEAST_BITS and np.count_nonzero(half := marks[0::2] | marks[1::2]) <= len(half) * _LOAD:
        marks, bits = half, bits - 1
    return np.packbits(marks, bitorder="little").tobytes()


class Needle:
    """A text that is looked for without regard to the case of ASCII letters."""

    def __init__(self, text: bytes) -> None:
        """Hash the pieces of a text that has no line end."""
        hashes = dict.fromkeys(value for found in _hash_pieces(text) for value in _place(found).tolist())
        self._hashes = tuple(hashes)[:_MOST_PIECES]
        self._bits: dict[int, tuple[tuple[int, int], ...]] = {}  # size of a filter -> bytes and bits in it

    @property
    def usable(self) -> bool:
        """Whether a filter can tell that the text is not in its frame; false for most texts below eight bytes."""
        return bool(self._hashes)

    def may_be_in(self, filter: bytes | memoryview) -> bool:
        """Return whether the frame of a filter must be read; false only if the text does not occur in it."""
        size = len(filter)
        bits = self._bits.get(size)
        if bits is None:
            bits = self._bits[size] = self._find_bits(size)
        return all(filter[at] & bit for at, bit in bits)

    def _find_bits(self, size: int) -> tuple[tuple[int, int], ...]:
        """Return where the pieces are in filters of `size` bytes; nowhere if there are no such filters."""
        count = size.bit_length() + 2
        if size.bit_count() != 1 or not _LEAST_BITS <= count <= _MOST_BITS:
            return ()
        places = (value >> (32 - count) for value in self._hashes)
        return tuple((place >> 3, 1 << (place & 7)) for place in places)


def _hash_pieces(text: bytes) -> Iterator[_Hashes]:
    """Yield the hash of the piece of each window of eight bytes, and of each pair of characters of three bytes."""
    if len(text) < _PAIR:
        return
    data = np.frombuffer(text.translate(_LOWER), np.uint8)
    classes = np.frombuffer(_CLASS, np.uint8)[data]
    words = data.astype(np.uint32)
    words = words[:-1] | words[1:] << np.uint32(8)
    words = words[:-2] | words[2:] << np.uint32(16)
    longer = words[:-2] * _FIRST + words[2:] * _SECOND
    lead = (classes & _LEAD) != 0
    if lead.any():
        yield longer[lead[: len(longer)] & lead[3 : 3 + len(longer)]]
    if len(text) >= _WINDOW:
        yield _choose(words, longer, classes)


def _choose(words: _Hashes, longer: _Hashes, classes: NDArray[np.uint8]) -> _Hashes:
    """Return the least hash of each window without a line end, once where neighbours have the same."""
    digit = (classes & _HEX_DIGIT) != 0
    digits = digit[:-1] & digit[1:]
    digits = digits[:-2] & digits[2:]  # four of them
    shorter = words * _FIRST
    shorter[digits] = _NONE
    least = _slide_least(shorter, _WINDOW - _MIXED)
    np.copyto(least, _slide_least(longer, _WINDOW - _HEX), where=digits[:-4] & digits[4:])
    ends = np.flatnonzero(classes & _LINE_END)
    keep = np.ones(len(least) + _OVERLAP, np.bool_)
    for before in range(_WINDOW):
        keep[ends - before] = False  # those before the first window wrap to the end, which is cut off
    least = least[keep[: len(least)]]
    return least[np.concatenate(((True,), least[1:] != least[:-1]))[: len(least)]]


def _slide_least(hashes: _Hashes, steps: int) -> _Hashes:
    """Return the least of each hash and those of the next `steps`."""
    least = hashes[: len(hashes) - steps].copy()
    for step in range(1, steps + 1):
        np.minimum(least, hashes[step : len(hashes) - steps + step], out=least)
    return least


def _place(hashes: _Hashes) -> _Hashes:
    """Mix hashes so that their first bits are as good as random."""
    mixed = hashes ^ hashes >> np.uint32(16)
    mixed *= _MIX
    mixed ^= mixed >> np.uint32(15)
    mixed *= _OTHER
    return mixed
