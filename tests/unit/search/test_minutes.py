"""Tables of frames as an index object holds them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.errors import StoreCorrupt
from logkeep.logformat.minutes import MinuteCounts, number_minute, write_minute
from logkeep.search.index_object import decode_index, encode_index, index_segment
from logkeep.search.minutes import build_table, decode_table, encode_table

_MINUTES = st.builds(
    "{:04}-{:02}-{:02}T{:02}:{:02}{}".format,
    st.integers(1, 9999),
    st.integers(1, 12),
    st.integers(1, 28),
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from(["", "Z", "+0800", "-03:30"]),
)


def made(counts: dict[tuple[str, str], int]) -> MinuteCounts:
    kinds = tuple(sorted({(minute[16:], level) for minute, level in counts}))
    rows = sorted(
        (number_minute(minute), kinds.index((minute[16:], level)), count) for (minute, level), count in counts.items()
    )
    return MinuteCounts(kinds, *np.array(rows, np.int64).reshape(-1, 3).T)


def read(stored: bytes) -> dict[tuple[str, str], int]:
    table = decode_table(stored)
    assert table
    columns = zip(table.minutes.tolist(), table.of.tolist(), table.counts.tolist(), strict=True)
    return {(write_minute(at) + table.kinds[of][0], table.kinds[of][1]): count for at, of, count in columns}


@given(st.dictionaries(st.tuples(_MINUTES, st.sampled_from(["", "INFO", "WARN"])), st.integers(1, 2**32 - 1)))
def test_table_holds_what_was_counted(counts: dict[tuple[str, str], int]) -> None:
    stored = encode_table(made(counts))
    if stored:
        assert read(stored) == counts
    else:
        assert len({minute[:4] for minute, _ in counts}) > 1  # too far from each other


def test_frame_with_too_many_minutes_or_an_open_head_has_no_table() -> None:
    first = number_minute("2026-11-24T00:00")
    many = {(write_minute(first + at // 60 * 60 + at % 60), "INFO" if at % 2 else ""): 1 for at in range(1400)}
    many = {(minute, f"{level}{number}"): 1 for minute, level in many for number in range(6)}
    assert encode_table(made(many)) == b""
    few = dict([*many.items()][:8192])
    assert read(encode_table(made(few))) == few
    assert build_table(b"[2026-11-24T00:00:00,000][INFO ] x\n[2026-11-24T0") == b""
    assert decode_table(b"") is None


@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_none(stored: bytes) -> None:
    decode_table(stored)


def test_index_object_tells_what_was_put_in() -> None:
    frames = [b"[2026-11-24T00:00:00,000][INFO ] x\n" * 9, b"no record", b"[2026-11"]
    segments = [index_segment("ab", frames), index_segment("cd", [])]
    assert decode_index(encode_index(segments)) == segments
    assert [bool(one) for one in segments[0].minutes] == [True, True, False]
    assert segments[0].unended == {1, 2}
    assert read(segments[0].minutes[0]) == {("2026-11-24T00:00", "INFO"): 9}
    data = encode_index(segments)
    for cut in (1, 20, len(data) // 2, len(data) - 1):
        with pytest.raises(StoreCorrupt):
            decode_index(data[:cut])
