"""Where new files stand in their log. One sentence each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from logkeep.backup.observation import ContentState, FileObservation
from logkeep.backup.order import Family, place_new
from logkeep.domain.manifest import EMPTY, Checkpoint, PendingFile, PendingKind
from logkeep.logformat.names import parse_name
from logkeep.sources.base import LogFile

START = datetime(2026, 11, 23, 10, tzinfo=UTC)


def at(minute: int) -> str:
    return (START + timedelta(minutes=minute)).isoformat()[:19]


def observed(name: str, minute: int | None = None) -> FileObservation:
    look = ContentState.VANISHED if minute is None else ContentState.READABLE
    file = LogFile(name, 100, 0, 0, "1:1")
    return FileObservation(
        file, parse_name(name, {"prod.log"}), state=look, first_time="" if minute is None else at(minute)
    )


def kept(number: int, position: float, minute: int) -> Checkpoint:
    return Checkpoint(number, "prod.log", position, "prod.log", 100, EMPTY, EMPTY, at(minute), at(minute))


def planned(position: float, minute: int) -> PendingFile:
    return PendingFile(PendingKind.PLANNED, "prod.log", position, 0, "prod.log", "1:2", 100, 0, first_time=at(minute))


def places(
    observations: list[FileObservation], known: list[Checkpoint], reserved: list[PendingFile]
) -> dict[str, float]:
    """By name, as in a job after one that had seen the first generation alone."""
    placed = place_new(range(len(observations)), observations, {}, {}, Family(known, {1}, reserved))
    return {observations[index].file.name: place for index, place in placed.positions.items()}


def test_new_file_stands_before_a_younger_one_that_this_listing_does_not_show() -> None:
    known = [kept(1, 1.0, 0), kept(2, 2.0, 30)]
    found = places([observed("prod.log.2", 10), observed("prod.log")], known, [])
    assert 1.0 < found["prod.log.2"] < 2.0 < found["prod.log"]


def test_new_file_stands_before_a_younger_one_that_is_still_to_be_read() -> None:
    found = places([observed("prod.log.2", 10), observed("prod.log.1", 40)], [kept(1, 1.0, 0)], [planned(2.0, 30)])
    assert 1.0 < found["prod.log.2"] < 2.0 < found["prod.log.1"]


def test_file_of_which_no_time_is_known_stands_where_its_name_tells() -> None:
    found = places(
        [observed("prod.log.3", 10), observed("prod.log.2"), observed("prod.log.1", 30)], [kept(1, 1.0, 0)], []
    )
    assert 1.0 < found["prod.log.3"] < found["prod.log.2"] < found["prod.log.1"]


def test_nothing_that_a_complete_listing_did_not_have_is_older_than_what_it_had() -> None:
    assert places([observed("prod.log", -60)], [kept(1, 1.0, 0)], [])["prod.log"] > 1.0


def test_old_file_that_was_planned_and_vanished_keeps_its_place_when_it_is_seen_again() -> None:
    family = Family([kept(1, 1.0, 0)], {1}, [planned(0.5, 10)])
    assert place_new([0], [observed("prod.log.2", 10)], {}, {0: 0.5}, family).positions == {0: 0.5}


def test_old_files_stand_on_both_sides_of_one_between_them_that_is_still_to_be_read() -> None:
    known = [kept(1, 1.0, 0), kept(2, 2.0, 60)]
    found = places([observed("prod.log.3", 10), observed("prod.log.2", 40)], known, [planned(1.5, 30)])
    assert 1.0 < found["prod.log.3"] < 1.5 < found["prod.log.2"] < 2.0


def test_ten_thousand_new_files_are_placed_in_one_pass() -> None:
    observations = [observed(f"prod.log.{number}", 10_000 - number) for number in range(10_000)]
    found = places(observations, [kept(1, 1.0, 0)], [])
    assert sorted(found, key=lambda name: found[name]) == [f"prod.log.{number}" for number in range(9_999, -1, -1)]


def test_rotated_file_is_never_younger_than_the_active_one_that_was_there_before() -> None:
    known = [kept(1, 1.0, 0), kept(2, 2.0, 60)]
    observations = [observed("prod.log.1", 30), observed("prod.log", 60)]
    placed = place_new([0, 1], observations, {1: known[1]}, {1: 2.0}, Family(known, {1, 2}, []))
    assert 1.0 < placed.positions[0] < 2.0
    assert not placed.unproven


def test_it_is_told_where_no_time_says_how_old_such_a_file_is() -> None:
    known = [kept(1, 1.0, 0), kept(2, 2.0, 60)]
    file = replace(observed("prod.log.1"), state=ContentState.READABLE)
    placed = place_new([0, 1], [file, observed("prod.log", 60)], {1: known[1]}, {1: 2.0}, Family(known, {1, 2}, []))
    assert placed.unproven == [0]
