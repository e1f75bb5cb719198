"""Filter of a frame: which short pieces of text occur in it, so that a search need not read it."""

from __future__ import annotations

import os
from collections.abc import Iterator

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else it starts a thread for each core, and none is used

import numpy as np
from numpy.typing import NDArray

_Hashes = NDArray[np.uint32]

# What the numbers below say is the format of what is kept, `docs/backup-format.md`: none may ever change.
_WINDOW = 8  # bytes, each of which gives one piece
_PAIR = 6  # bytes of two characters of three bytes each
_LEAST_BITS, _MOST_BITS = 6, 23  # of a filter, as powers of two: 8 bytes to 1 MiB
_SHARE = 4  # bytes of the frame for each bit of the largest filter that it may have
_LOAD = 3  # a filter is halved while at most one bit of three would be set

_BLOCK = 128 * 1024  # bytes that are hashed at a time, so that what is computed of them stays in the cache
_MOST_BITS_ASKED = 64  # of a needle; they take 3 µs

_FIRST, _SECOND, _THIRD = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D)
_MIX, _OTHER = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)
_LONGER = np.uint32(0x80000000)  # the bit of a hash that tells the longer pieces, which mark one bit


def build_filter(raw: bytes) -> bytes:
    """Return the filter of the plain bytes of a frame; empty if it is so short that it is read instead."""
    bits = min(_MOST_BITS, (len(raw) // _SHARE).bit_length() - 1)
    if bits < _LEAST_BITS:
        return b""
    marks = np.zeros(1 << bits, np.bool_)
    for at in range(0, len(raw), _BLOCK):
        for hashes in _hash_pieces(raw[at : at + _BLOCK + _WINDOW - 1]):
            marks[(_place(hashes) >> np.uint32(32 - bits)).astype(np.intp)] = True
    while bits > _LEAST_BITS and np.count_nonzero(half := marks[0::2] | marks[1::2]) * _LOAD <= len(half):
        marks, bits = half, bits - 1
    return np.packbits(marks, bitorder="little").tobytes()


class Needle:
    """A text that is looked for without regard to the case of ASCII letters."""

    def __init__(self, text: bytes) -> None:
        """Hash its pieces, which takes 0.1 ms."""
        hashes = dict.fromkeys(value for found in _hash_pieces(text) for value in _place(found).tolist())
        self._hashes = tuple(hashes)[:_MOST_BITS_ASKED]
        self._bits: dict[int, list[tuple[int, int]]] = {}  # size of a filter -> bytes and bits in it

    @property
    def usable(self) -> bool:
        """Whether a filter can tell that the text is not in its frame.

        True from eight bytes on, and of six or seven bytes for two characters of three bytes each.
        """
        return bool(self._hashes)

    def may_be_in(self, filter: bytes | memoryview) -> bool:
        """Return whether the frame of a filter must be read; false only if the text does not occur in it."""
        bits = self._bits.get(len(filter))
        if bits is None:
            bits = self._find_bits(len(filter))
        for at, bit in bits:  # noqa: SIM110 - takes half as long as `all` of a generator
            if not filter[at] & bit:
                return False
        return True

    def _find_bits(self, size: int) -> list[tuple[int, int]]:
        """Return where a filter of `size` bytes is asked; nowhere if there is none of that size."""
        power = size.bit_length() + 2
        if size.bit_count() != 1 or not _LEAST_BITS <= power <= _MOST_BITS:
            return []
        places = (value >> (32 - power) for value in self._hashes)
        self._bits[size] = bits = [(place >> 3, 1 << (place & 7)) for place in places]
        return bits


def _hash_pieces(text: bytes) -> Iterator[_Hashes]:
    """Yield the hash of the piece of each window of eight bytes, and of each pair of characters of three bytes."""
    if len(text) < _PAIR:
        return
    data = np.frombuffer(text, np.uint8)
    data = data | (data - ord("A") < 26).view(np.uint8) << np.uint8(5)
    words = _read_words(data)
    longer = words[:-2] * _FIRST
    longer += words[2:] * _SECOND
    longer |= _LONGER
    lead = data >> np.uint8(4) == 0xE
    if lead.any():
        yield longer[lead[: len(longer)] & lead[3 : 3 + len(longer)]]
    if len(text) >= _WINDOW:
        words *= _FIRST
        words >>= np.uint32(1)
        yield _choose(data, words, longer)


def _read_words(data: NDArray[np.uint8]) -> _Hashes:
    """Return each four bytes as a number, of which the first byte is the least."""
    padded = data.tobytes() + bytes(3)
    words = np.empty(len(data), np.uint32)
    for at in range(4):
        words[at::4] = np.frombuffer(padded, "<u4", len(words[at::4]), at)
    return words[: len(data) - 3]


def _choose(data: NDArray[np.uint8], shorter: _Hashes, longer: _Hashes) -> _Hashes:
    """Return the hash of the piece of each window, once where neighbours have the same."""
    digit = (data - ord("0") < 10) | (data - ord("a") < 6)
    digit = digit[:-1] & digit[1:]
    shorter |= np.negative((digit[:-2] & digit[2:]).view(np.uint8).astype(np.uint32))  # never less than another
    two = np.minimum(shorter[:-1], shorter[1:])
    least = np.minimum(two[:-2], two[2:])[:-1]
    np.minimum(least, shorter[4:], out=least)
    np.minimum(longer[:-1], longer[1:], out=two[:-2])
    np.minimum(least, two[: len(least)], out=least)
    np.minimum(least, longer[2:], out=least)
    last = np.flatnonzero(least[1:] != least[:-1])
    return np.append(least[last], least[-1])


def _place(hashes: _Hashes) -> _Hashes:
    """Return numbers whose first bits say which bits of a filter the hashes mark: two a hash, one if it is longer."""
    mixed = hashes ^ hashes >> np.uint32(16)
    mixed *= _MIX
    mixed ^= mixed >> np.uint32(15)
    mixed *= _OTHER
    again = mixed ^ mixed >> np.uint32(15)
    again *= _THIRD
    return np.concatenate((mixed, again[hashes < _LONGER]))
