"""Which frames of a log a search reads, and which of them together."""

from __future__ import annotations

from collections.abc import Mapping

from logkeep.domain.manifest import EMPTY, Frame, Segment
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.span import Span, read_moment
from logkeep.search.plan import KeptFrame, Ruling, plan_log

ABSENT, THERE = Ruling(absent=True, ends_line=True), Ruling(absent=False, ends_line=True)
CUT = Ruling(absent=True, ends_line=False)
EVERYTHING = RecordFilter()


def frames(*hours: int | None, of_segment: int = 100) -> list[KeptFrame]:
    """A frame for each hour of a day in which its records lie, None where that is not known."""
    made: list[Frame] = []
    for number, hour in enumerate(hours):
        time = "" if hour is None else f"2026-11-24T{hour:02}:10:00,000"
        made.append(
            Frame(offset=0, stored=1, start=number * 10, raw=10, first_time=time, last_time=time, levels=None, lines=1)
        )
    segments = [made[at : at + of_segment] for at in range(0, len(made), of_segment)]
    return [KeptFrame(_segment(part), number) for part in segments for number in range(len(part))]


def _segment(part: list[Frame]) -> Segment:
    return Segment(
        node="n1",
        family="a.log",
        generation=1,
        position=1.0,
        name="a.log",
        start=part[0].start,
        end=part[-1].start + part[-1].raw,
        bucket="logs",
        object="o",
        stored=1,
        sha256="",
        head=EMPTY,
        tail=EMPTY,
        frames=tuple(part),
    )


def planned(
    log: list[KeptFrame], rulings: Mapping[int, Ruling], wanted: RecordFilter = EVERYTHING
) -> tuple[list[list[int]], list[int]]:
    """The indexes of the frames of each stretch, and those of which the index was asked."""
    asked: list[int] = []

    def consult(one: KeptFrame) -> Ruling | None:
        asked.append(one.frame.start // 10)
        return rulings.get(asked[-1])

    found = [
        list(range(stretch.first, stretch.first + len(stretch.frames))) for stretch in plan_log(log, wanted, consult)
    ]
    return found, asked


def between(since: int, until: int) -> RecordFilter:
    return RecordFilter(Span(read_moment(f"2026-11-24T{since:02}:00"), read_moment(f"2026-11-24T{until:02}:00")))


def test_what_no_index_tells_of_is_read_frame_by_frame() -> None:
    assert planned(frames(1, 2, 3), {})[0] == [[0], [1], [2]]


def test_segments_that_may_end_within_a_line_are_read_together() -> None:
    assert planned(frames(1, 2, 3, 4, of_segment=2), {})[0] == [[0], [1, 2], [3]]


def test_frames_without_the_text_are_left_out() -> None:
    assert planned(frames(1, 2, 3), {0: ABSENT, 1: THERE, 2: ABSENT})[0] == [[1]]
    assert planned(frames(1, 2, 3), {0: ABSENT, 1: ABSENT, 2: ABSENT})[0] == []


def test_frame_that_ends_within_a_line_is_read_with_the_next() -> None:
    assert planned(frames(1, 2, 3, 4), {0: ABSENT, 1: CUT, 2: ABSENT, 3: ABSENT})[0] == [[1, 2]]
    assert planned(frames(1, 2, 3, 4), {0: CUT, 1: CUT, 2: THERE, 3: ABSENT})[0] == [[0, 1, 2]]


def test_of_a_span_the_frame_behind_is_read_as_its_first_lines_may_be_of_a_record_before() -> None:
    everything = dict.fromkeys(range(6), THERE)
    assert planned(frames(1, 2, 3, 4, 5, 6), everything, between(3, 4))[0] == [[2], [3]]
    assert planned(frames(1, None, 3, 4, 5, 6), everything, between(7, 8))[0] == [[1], [2]]


def test_index_is_asked_of_what_is_near_the_span_alone() -> None:
    assert planned(frames(1, 2, 3, 4, 5, 6), {}, between(3, 4))[1] == [1, 2, 3, 4]
    assert planned(frames(1, 2, 3), {}, between(9, 10)) == ([], [])
