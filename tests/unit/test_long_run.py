"""The judge of the long run sees what it is there to see."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from logkeep.contract.native.job_responses import GapView, JobRemovedView, JobView
from logkeep.domain.backup_job import JobStatus, JobType
from tests.support.long_run import Figures, Journal, Missing, check_missing, compare
from tests.support.numbered_node import FAMILIES, NumberedNode, Writing

WRITING = Writing(seed=3, lines=5000, rotations=20)
FAMILY = next(family for family in FAMILIES if family.name == "oslogs_server.json")
CUTS = (0, 100, 250, WRITING.each)  # the lines at which it is rotated


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Of a node that wrote three generations and deleted the first two."""
    (tmp_path / "node").mkdir()
    with closing(NumberedNode(tmp_path / "node", tmp_path / "journal", 3)) as node:
        for first, end in pairwise(CUTS):
            node.append(FAMILY.name, WRITING.text(FAMILY, first, end))
            if end != WRITING.each:
                steps = node.rotate_steps(FAMILY.name, FAMILY.manner)
                while node.step_of(steps):
                    pass
        node.delete_oldest(FAMILY.name)
        node.delete_oldest(FAMILY.name)
    return Journal.read(tmp_path / "journal")


def generations() -> list[bytes]:
    return [WRITING.text(FAMILY, first, end) for first, end in pairwise(CUTS)]


def judge(journal: Journal, kept: list[bytes], jobs: list[JobView] | None = None) -> tuple[list[Missing], list[str]]:
    figures = Figures(3)
    joined = io.BytesIO(b"".join(kept))
    missing = list(compare(WRITING, FAMILY, journal, joined, [len(one) for one in kept], figures))
    check_missing(FAMILY, missing, journal, jobs or [], figures)
    return missing, figures.faults


def job(began: int, ended: int, *gaps: GapView) -> JobView:
    return JobView(
        id="id",
        cluster_id="",
        create_at=began,
        log_path="logs/css/log",
        status=JobStatus.SUCCESS,
        finished_at=ended,
        job_types=JobType.MANUAL,
        failed_msg=None,
        job_id="job",
        attempts=1,
        nodes=[],
        files=[],
        files_total=0,
        gaps=list(gaps),
        failures=[],
        warnings=[],
        forecasts=[],
        removed=JobRemovedView(objects=0, raw=0, stored=0, lines=0),
    )


def test_whole_archive_is_in_order(journal: Journal) -> None:
    assert judge(journal, generations()) == ([], [])


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda kept: [kept[0], kept[0], *kept[1:]], id="a generation twice"),
        pytest.param(lambda kept: [kept[1], kept[0], kept[2]], id="out of order"),
        pytest.param(lambda kept: [kept[0].replace(b"#000000007#", b"#000000008#"), *kept[1:]], id="a line twice"),
        pytest.param(lambda kept: [kept[0].replace(b"WARN", b"warn", 1), *kept[1:]], id="mangled"),
        pytest.param(lambda kept: [kept[0], kept[1], kept[2] + b"x\n"], id="more than was written"),
        pytest.param(lambda kept: [kept[0], kept[1][150:], kept[2]], id="without its beginning"),
        pytest.param(lambda kept: [*kept[:2], kept[2][:-1]], id="without what the node still has"),
        pytest.param(lambda kept: kept[1:], id="lost and not told"),
    ],
)
def test_what_is_wrong_is_seen(journal: Journal, spoil: Callable[[list[bytes]], list[bytes]]) -> None:
    assert judge(journal, spoil(generations()))[1]


def test_line_that_a_rotation_cut_in_two_is_put_together(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    whole = WRITING.text(FAMILY, 0, WRITING.each)
    cut = len(WRITING.text(FAMILY, 0, 100)) + 40
    with closing(NumberedNode(tmp_path / "node", tmp_path / "journal", 3)) as node:
        node.append(FAMILY.name, whole[:cut])
        for _ in node.rotate_steps(FAMILY.name, FAMILY.manner):
            pass
        node.append(FAMILY.name, whole[cut:])
    journal = Journal.read(tmp_path / "journal")
    assert judge(journal, [whole[:cut], whole[cut:]]) == ([], [])
    assert judge(journal, [whole[:cut], whole[cut + 1 :]])[1]


def test_lost_and_told_is_no_fault(journal: Journal) -> None:
    first, second, third = generations()
    gap = GapView("n1", FAMILY.name, "", "", 0, "deleted")
    [missing], faults = judge(journal, [second, third], [job(0, 0), job(0, 2**50, gap)])
    assert (missing.lines, missing.first_time, faults) == (100, "2026-11-22T18:00:00,000", [])
    half = first[: len(first) // 2]
    [missing], faults = judge(journal, [half, second, third], [job(0, 2**50, gap)])
    assert (missing.lines, faults) == (100 - half.count(b"\n"), [])


def test_lost_though_a_job_could_have_kept_it(journal: Journal) -> None:
    written_at = journal.written[FAMILY.name][0][0] // 1_000_000
    deleted_at = journal.gone[FAMILY.name][0][2] // 1_000_000
    gap = GapView("n1", FAMILY.name, "", "", 0, "deleted")
    slept_through = [job(written_at + 1, deleted_at - 2), job(0, 2**50, gap)]
    assert "did not keep them" in judge(journal, generations()[1:], slept_through)[1][0]


def test_gap_of_another_time_does_not_tell(journal: Journal) -> None:
    later = GapView("n1", FAMILY.name, "2026-11-25T00:00:00,000+0000", "", 0, "deleted")
    assert "no gap tells of" in judge(journal, generations()[1:], [job(0, 2**50, later)])[1][0]
