"""When a node deletes what is not kept, at the pace seen so far."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.backup.forecast import forecast_margin, forecast_margins
from logkeep.backup.node_backup import NodeBackup
from logkeep.backup.node_state import Target
from logkeep.clock import SystemClock
from logkeep.domain.manifest import Checkpoint, Fingerprint
from logkeep.sources.local import LocalSource
from tests.support.growing_node import SLOW, GrowingNode
from tests.support.model import InlineExecutor, MemoryCatalogue, MemoryStore

HOUR = 3_600_000
EXECUTOR = InlineExecutor()
SOME = Fingerprint(1, "x")


def generation(number: int, name: str, hour: int | None, *, present: bool = True, family: str = SLOW) -> Checkpoint:
    time = "" if hour is None else f"2026-11-{24 + hour // 24}T{hour % 24:02}:00:00,000+0000"
    return Checkpoint(number, family, float(number), name, 10, SOME, SOME, time, time, present)


def indexed(*hours: int | None) -> list[Checkpoint]:
    """Rotated files and the active one that began at these hours."""
    names = [f"es_index_search_slowlog-{number}.json" for number in range(1, len(hours))]
    return [generation(n, name, hour) for n, (name, hour) in enumerate(zip([*names, SLOW], hours, strict=True))]


def test_four_rotated_files_last_as_long_as_four_rotations() -> None:
    assert forecast_margin(indexed(0, 2, 4, 6, 8)) == 8 * HOUR


def test_the_shortest_stretch_counts() -> None:
    gone = [generation(number - 9, "x", number, present=False) for number in (0, 5)]
    family = [*gone, *indexed(10, 11, 12, 13, 20)]
    assert forecast_margin(family) == 8 * HOUR  # from 5 to 13


def test_fewer_rotations_than_are_kept_are_scaled() -> None:
    assert forecast_margin(indexed(0, 3)) == 12 * HOUR
    assert forecast_margin(indexed(0, 3, 4)) == 8 * HOUR


def test_what_never_rotated_has_no_forecast() -> None:
    assert forecast_margin(indexed(0)) is None
    assert forecast_margin([]) is None


def test_logs_without_times_have_no_forecast() -> None:
    assert forecast_margin(indexed(None, None, None)) is None


def test_an_unknown_time_is_not_taken_for_one_rotation() -> None:
    assert forecast_margin(indexed(0, None, 4)) == 8 * HOUR


def test_a_clock_that_was_set_back_is_passed_over() -> None:
    assert forecast_margin(indexed(5, 0)) is None


def dated(*hours: int, gone: int) -> list[Checkpoint]:
    names = [f"es-2026-11-24-{number}.json" for number in range(1, len(hours))]
    return [
        generation(n, name, hour, present=n >= gone, family="es_server.json")
        for n, (name, hour) in enumerate(zip([*names, "es_server.json"], hours, strict=True))
    ]


def test_dated_logs_have_a_forecast_once_one_was_deleted() -> None:
    assert forecast_margin(dated(0, 1, 2, 3, gone=0)) is None
    assert forecast_margin(dated(0, 1, 2, 3, gone=1)) == 2 * HOUR


def test_logs_of_which_not_all_was_kept_are_left_out() -> None:
    family = indexed(0, 2, 4, 6, 8)
    assert forecast_margins(family, ["es_index_search_slowlog-2.json.gz"]) == {}
    assert forecast_margins(family, ["es_server.json"]) == {SLOW: 8 * HOUR}


@pytest.mark.parametrize("family", [SLOW, "es_server.json"])
@settings(max_examples=60, deadline=None)
@given(
    lines=st.integers(1, 30),
    seconds=st.sampled_from([0.5, 1, 60, 3600]),
    keep=st.integers(1, 6),
    before=st.integers(1, 250),
    between=st.integers(0, 60),
)
def test_constant_growth_deletes_nothing_unkept_before_the_forecast(
    family: str, lines: int, seconds: float, keep: int, before: int, between: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = GrowingNode(Path(folder), family, lines=lines, seconds=seconds, keep=keep)
        catalogue, store = MemoryCatalogue(), MemoryStore()
        for job, grown in enumerate((before, between)):
            node.grow(grown)
            target = Target(store, "bucket", "base/cluster", f"{job:032x}", 1)  # type: ignore[arg-type]
            run = NodeBackup("n1", LocalSource(node.directory), target, catalogue, SystemClock(), EXECUTOR)
            found = run.run().generations
        margin = forecast_margin(found or [])
        if margin is None:
            return
        kept, backed_up = len(node.written(family)), node.now_ms
        while not node.lost_since(kept):
            node.grow()
        assert node.now_ms >= backed_up + margin
