"""Filters of frames: no frame that holds the text is skipped, and what is kept never changes its form."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.search.frame_filter import Needle, build_filter
from tests.support import corpus

LINE = b"[2026-11-23T10:49:05,123][WARN ][o.e.c.r.a.DiskThresholdMonitor] [es-1] high disk watermark [90%] exceeded on [kf3sZ4sBq0rJ]\n"
CHINESE = "[2026-11-23T10:49:05,123][ERROR][索引] 写入失败：磁盘空间不足\n".encode()


def test_what_occurs_is_found_in_any_case() -> None:
    found = build_filter(LINE * 3)
    for text in (b"DiskThresholdMonitor", b"diskthresholdMONITOR] [ES-1]", b"[kf3sZ4sBq0rJ]", b"[90%] ex"):
        assert Needle(text).usable
        assert Needle(text).may_be_in(found)
        assert Needle(text).may_be_in(memoryview(found))


def test_what_does_not_occur_is_skipped() -> None:
    found = build_filter(LINE * 100)
    for text in (b"OutOfMemoryError", b"5f0c1e9ab8d24c37b1a0d4e6f7a8b9c0", b"unauthorized request"):
        assert not Needle(text).may_be_in(found)


def test_a_part_of_a_longer_word_is_found() -> None:
    found = build_filter(b"x" * 300 + b"id=5f0c1e9ab8d24c37b1a0d4e6f7a8b9c0,")
    assert Needle(b"b8d24c37").may_be_in(found)


def test_short_texts_are_asked_of_no_filter_but_two_chinese_characters() -> None:
    assert not Needle(b"").usable
    assert not Needle(b"timeout").usable
    assert not Needle("盘".encode()).usable
    assert Needle("磁盘".encode()).usable
    assert Needle("磁盘".encode()).may_be_in(build_filter(CHINESE * 10))
    assert not Needle("网络".encode()).may_be_in(build_filter(CHINESE * 100))


def test_without_a_filter_the_frame_is_read() -> None:
    assert build_filter(b"x" * 255) == b""
    for size in (0, 1, 4, 7, 9, 300, 2**21):
        assert Needle(b"OutOfMemoryError").may_be_in(bytes(size))
    assert Needle(b"timeout").may_be_in(bytes(64))


def test_a_filter_takes_no_more_than_a_share_of_its_frame() -> None:
    chance = random.Random(5)
    for size in (256, 300, 5000, 70_000, 4 * 1024 * 1024):
        assert 8 <= len(build_filter(chance.randbytes(size))) <= size // 32
    assert len(build_filter(LINE * 32_000)) <= 256


def test_bytes_of_a_filter_stay_the_same() -> None:
    assert build_filter(LINE * 4).hex() == "20f72df7f6ffdeeb"
    assert build_filter(CHINESE * 6).hex() == "b8ff6ec3fffb6c4d"
    mixed = b"".join(b"id=%08x order %010d %c\n" % (n * 2654435761 % 2**32, n * n, n % 256) for n in range(20_000))
    assert (
        hashlib.sha256(build_filter(mixed)).hexdigest()
        == "bf2b7174aed96e77e0a4368deb8f510e34553dd36d63392162ed7320ce80c98a"
    )


def test_it_does_not_matter_where_blocks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = (LINE + CHINESE) * 20
    whole = build_filter(raw)
    monkeypatch.setattr("logkeep.search.frame_filter._BLOCK", 13)
    assert build_filter(raw) == whole


@given(st.data())
def test_no_frame_that_holds_the_text_is_skipped(data: st.DataObject) -> None:
    piece = st.one_of(
        st.binary(max_size=40),
        st.text(max_size=20).map(str.encode),
        st.text("0123456789abcdefABCDEF-", max_size=40).map(str.encode),
        st.sampled_from((LINE, CHINESE)),
    )
    raw = b"".join(data.draw(st.lists(piece, max_size=30))) + data.draw(st.binary(min_size=1, max_size=300))
    raw = raw * data.draw(st.sampled_from((1, 3)))
    start = data.draw(st.one_of(st.just(0), st.integers(0, len(raw))))
    end = data.draw(st.one_of(st.just(len(raw)), st.integers(start, len(raw))))
    text = raw[start:end]
    change = data.draw(st.sampled_from((bytes.lower, bytes.upper, bytes.swapcase, bytes)))
    assert Needle(change(text)).may_be_in(build_filter(raw))


def test_100_000_needles_from_real_logs_are_found(tmp_path: Path) -> None:
    chance = random.Random(8475)
    frames = [
        log[at : at + chance.choice((300, 5_000, 100_000, 4 * 1024 * 1024))]
        for node in corpus.NODES
        for file in corpus.unpack(node, tmp_path / node)
        for log in [corpus.plain(file)]
        for at in range(0, len(log), 2 * 1024 * 1024)
    ]
    filters = [build_filter(frame) for frame in frames]
    skipped: list[tuple[int, bytes]] = []
    for number in range(100_000):
        which = chance.randrange(len(frames))
        start = chance.randrange(len(frames[which]))
        text = frames[which][start : start + chance.randint(8, 60)]
        if number % 2:
            text = text.swapcase() if number % 4 == 1 else text.upper()
        if not Needle(text).may_be_in(filters[which]):
            skipped.append((which, text))
    assert skipped == []
