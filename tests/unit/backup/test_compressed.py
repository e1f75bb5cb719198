"""Decoding in bounded pieces: whatever a file holds, memory does not grow with it and a stop is heard."""

from __future__ import annotations

import bz2
import lzma
import os
import resource
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.backup.compressed import MAGIC, PlainBytes, find_codec
from logkeep.domain.manifest import Flaw
from tests.unit.backup.test_flawed import PACK, zstd

MIB = 1024 * 1024
BOMB = 160 * MIB
PACKERS: dict[str, Any] = {
    "gz": lambda: zlib.compressobj(9, wbits=31),
    "xz": lzma.LZMACompressor,
    "bz2": bz2.BZ2Compressor,
    "zst": zstd.ZstdCompressor,
}


def read(
    stored: bytes, suffix: str, most: int = MIB, reads: list[int] | None = None
) -> tuple[PlainBytes, Iterator[bytes]]:
    def read_at(offset: int, length: int) -> bytes:
        if reads is not None:
            reads.append(plain.length)
        return stored[offset : offset + length]

    codec = find_codec(f"x.{suffix}", stored[:MAGIC])
    assert codec
    plain = PlainBytes(read_at, codec, most)
    return plain, iter(plain)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_bomb_is_read_in_small_pieces_and_a_stop_is_heard(suffix: str) -> None:
    packer = PACKERS[suffix]()
    stored = b"".join(packer.compress(bytes(MIB)) for _ in range(BOMB // MIB)) + packer.flush()
    assert len(stored) < MIB
    reads: list[int] = []
    plain, pieces = read(stored, suffix, reads=reads)
    next(pieces)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert max(len(piece) for piece in pieces) <= MIB
    assert plain.ending
    assert (plain.ending.length, plain.ending.flaw) == (BOMB, Flaw.NONE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
    assert max(after - at for at, after in zip(reads, [*reads[1:], BOMB], strict=True)) <= 66 * MIB


@given(
    st.sampled_from(sorted(PACK)),
    st.binary(max_size=3000),
    st.integers(1, 5000),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 255),
)
def test_what_comes_out_does_not_depend_on_the_size_of_the_pieces(
    suffix: str, data: bytes, most: int, place: float, change: int
) -> None:
    stored = bytearray(PACK[suffix](data * 3))
    stored[int(place * (len(stored) - MAGIC)) + MAGIC] ^= change
    found = []
    for size in (most, MIB):
        plain, pieces = read(bytes(stored), suffix, size)
        found.append((b"".join(pieces), plain.ending))
        assert plain.ending
        assert len(found[-1][0]) == plain.ending.length
    (small, first), (large, second) = found
    assert first and second
    assert first.flaw == second.flaw
    shorter = min(len(small), len(large))
    assert small[:shorter] == large[:shorter]
    assert abs(len(small) - len(large)) <= 256


def test_damage_far_behind_costs_one_more_pass() -> None:
    stored = bytearray(PACK["gz"](os.urandom(4 * MIB)))
    stored[-5] ^= 1
    reads: list[int] = []
    plain, pieces = read(bytes(stored), "gz", reads=reads)
    assert sum(map(len, pieces)) == 4 * MIB
    assert plain.ending
    assert (plain.ending.flaw, plain.ending.proven) == (Flaw.DAMAGED, 0)
    assert len(reads) < 2 * (len(stored) // (256 * 1024) + 2)
