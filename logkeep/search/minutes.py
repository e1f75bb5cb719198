"""Table of a frame in an index object: how many records begin in it, by minute and level. See docs/backup-format.md."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else it starts a thread for each core, and none is used

import msgspec
import numpy as np

from logkeep.logformat.minutes import FIRST_MINUTE, LAST_MINUTE, MinuteCounts, count_minutes, find_open_head

_MOST_ENTRIES = 8192  # of one frame; a frame that has more is read
_MOST_KINDS = 255
_LARGEST = 2**32 - 1


class _Stored(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    kinds: tuple[tuple[str, str], ...]
    first: int  # minute
    steps: bytes  # from each minute to the next, in four bytes each, as `counts`, the least significant first
    of: bytes  # a byte each
    counts: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Stored)


def build_table(raw: bytes) -> bytes:
    """Return the table of the plain bytes of a frame; empty where there is none, and the frame is read.

    Its first bytes are counted as if they began a line.
    """
    return b"" if find_open_head(raw) >= 0 else encode_table(count_minutes(raw))


def encode_table(counts: MinuteCounts) -> bytes:
    """Encode counts; empty if they are too many, or too large."""
    kinds, minutes, of, numbers = counts
    if len(minutes) > _MOST_ENTRIES or len(kinds) > _MOST_KINDS:
        return b""
    steps = np.diff(minutes, prepend=minutes[:1])
    if max(steps.max(initial=0), numbers.max(initial=0)) > _LARGEST:
        return b""
    columns = steps.astype("<u4").tobytes(), of.astype(np.uint8).tobytes(), numbers.astype("<u4").tobytes()
    return _encoder.encode(_Stored(kinds, int(minutes[0]) if len(minutes) else 0, *columns))


def decode_table(stored: bytes) -> MinuteCounts | None:
    """Decode the table of a frame; None if there is none, or it cannot be."""
    if not stored:
        return None
    try:
        told = _decoder.decode(stored)
        of = np.frombuffer(told.of, np.uint8).astype(np.int64)
        steps = np.frombuffer(told.steps, "<u4").astype(np.int64)
        counts = np.frombuffer(told.counts, "<u4").astype(np.int64)
    except (msgspec.MsgspecError, ValueError, OverflowError):
        return None
    if not FIRST_MINUTE <= told.first <= LAST_MINUTE:
        return None
    if not len(of) == len(steps) == len(counts) or of.max(initial=-1) >= len(told.kinds):
        return None
    minutes = told.first + np.cumsum(steps)
    if minutes.max(initial=0) > LAST_MINUTE:
        return None
    return MinuteCounts(told.kinds, minutes, of, counts)
