"""Bounds as people write them, against times as logs write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.domain.span import MOMENT, Place, Span, read_moment


@pytest.mark.parametrize(
    ("text", "written", "zoned"),
    [
        ("2026-11-24", "2026-11-24T00:00:00,000", False),
        ("2026-11-24T06:40", "2026-11-24T06:40:00,000", False),
        ("2026-11-24T06:40:21", "2026-11-24T06:40:21,000", False),
        ("2026-11-24T06:40:21,123", "2026-11-24T06:40:21,123", False),
        ("2026-11-24T06:40:21.123", "2026-11-24T06:40:21,123", False),
        ("2026-11-24T06:40Z", "2026-11-24T06:40:00,000", True),
        ("2026-11-24T06:40:21.123+08:00", "2026-11-24T06:40:21,123", True),
        ("2026-11-24T06:40:21,123-0130", "2026-11-24T06:40:21,123", True),
    ],
)
def test_bound_is_read_as_it_is_written(text: str, written: str, zoned: bool) -> None:
    moment = read_moment(text)
    assert (moment.written, moment.instant is not None) == (written, zoned)
    assert re.fullmatch(MOMENT, text)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026", "2026-02-30", "2026-13-01", "2026-11-24T", "2026-11-24T24:00", "2026-11-24T06", "2026-11-24Z",
     "2026-11-24T06:40:21,1", "2026-11-24 06:40", "2026-11-24T06:40+24:00", "２026-11-24", "2026-11-24\n", "0000-01-01"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it as|the calendar has no"):
        read_moment(text)


def test_since_is_in_the_span_and_until_is_not() -> None:
    span = Span(read_moment("2026-11-24T06:40"), read_moment("2026-11-24T06:41"))
    assert span.holds("2026-11-24T06:40:00,000")
    assert span.holds("2026-11-24T06:40:59,999")
    assert not span.holds("2026-11-24T06:39:59,999")
    assert not span.holds("2026-11-24T06:41:00,000")


def test_instants_are_compared_where_both_have_a_zone_else_what_is_written() -> None:
    zoned, plain = Span(since=read_moment("2026-11-24T06:40Z")), Span(since=read_moment("2026-11-24T06:40"))
    assert zoned.holds("2026-11-24T07:40:00,000+0100")
    assert not zoned.holds("2026-11-24T07:39:59,999+0100")
    assert plain.holds("2026-11-24T06:40:00,000+0100")
    assert not plain.holds("2026-11-24T06:39:59,999-0500")
    assert zoned.holds("2026-11-24T06:40:00,000")
    assert not zoned.holds("2026-11-24T06:39:59,999")


times = st.builds("2026-11-24T06:{:02}:00,000".format, st.integers(0, 9))
bounds = st.none() | st.builds("2026-11-24T06:{:02}".format, st.integers(0, 9))
zones = st.sampled_from(["", "Z", "+00:03", "-0002"])


@given(st.lists(times, min_size=1), zones, bounds, bounds, zones)
def test_a_place_is_true_of_every_record_of_a_frame(
    frame: list[str], zone: str, since: str | None, until: str | None, asked: str
) -> None:
    span = Span(since and read_moment(since + asked), until and read_moment(until + asked))
    held = {span.holds(time + zone) for time in frame}
    place = span.place(min(frame) + zone, max(frame) + zone)
    assert place is not Place.INSIDE or held == {True}
    assert place is not Place.OUTSIDE or held == {False}
    if len(set(frame)) == 1:
        assert place is (Place.INSIDE if held == {True} else Place.OUTSIDE)


def test_of_unknown_times_nothing_is_said() -> None:
    assert Span(since=read_moment("2026-11-24")).place("", "") is Place.UNCLEAR
