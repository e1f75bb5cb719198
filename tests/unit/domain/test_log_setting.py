"""The rules of log settings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from logkeep.domain.log_setting import check_agency, check_base_path, parse_period
from logkeep.errors import InvalidAgency, InvalidField, InvalidPeriod, InvalidZone


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("period", "now", "due"),
    [
        ("00:00 GMT+08:00", "2026-11-24T15:59:59.999", "2026-11-23T16:00:00"),
        ("00:00 GMT+08:00", "2026-11-24T16:00:00", "2026-11-24T16:00:00"),
        ("23:30 GMT-03:30", "2026-11-24T02:59:00", "2026-11-23T03:00:00"),
        ("5:05 GMT+00:00", "2026-03-01T04:00:00", "2026-02-28T05:05:00"),
        ("00:00 GMT+14:00", "2026-01-01T00:00:00", "2025-12-31T10:00:00"),
    ],
)
def test_the_last_daily_moment_is_at_or_before_now(period: str, now: str, due: str) -> None:
    assert parse_period(period).last_due(ms(now)) == ms(due)


@pytest.mark.parametrize(
    "period", ["", "24:00 GMT+08:00", "00:60 GMT+08:00", "noon GMT+08:00", "00:00", "٠٠:٠٠ GMT+08:00"]
)
def test_other_times_are_refused(period: str) -> None:
    with pytest.raises(InvalidPeriod):
        parse_period(period)


@pytest.mark.parametrize("zone", ["UTC", "GMT", "GMT+8", "GMT+15:00", "GMT-13:00", "GMT+08:75", "Asia/Shanghai"])
def test_other_zones_are_refused(zone: str) -> None:
    with pytest.raises(InvalidZone):
        parse_period(f"00:00 {zone}")


@pytest.mark.parametrize("path", ["css/log", "a", "a.b/c..d", "a//b", "日志/备份", "with space/x", "x" * 240])
def test_base_paths_that_a_bucket_can_hold_are_taken(path: str) -> None:
    check_base_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/css",
        ".css",
        "css.",
        "a///b",
        "a...b",
        "a/../b",
        "a/./b",
        "a/ b",
        "a\nb",
        "a\0b",
        "a:b",
        "a'b",
        "\ud800",
        "x" * 241,
        "x/" * 257,
        "日" * 200,
    ],
)
def test_other_base_paths_are_refused_by_name(path: str) -> None:
    with pytest.raises(InvalidField, match=r"^log_base_path: "):
        check_base_path(path)


def test_agencies_have_letters_digits_hyphens_and_underscores() -> None:
    check_agency("css-obs_agency1")
    for agency in ("", "a b", "ä", "a/b", "a\n", "x" * 65):
        with pytest.raises(InvalidAgency):
            check_agency(agency)
