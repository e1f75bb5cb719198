"""A process rotates eleven logs faster than they can be read, three pairs of which hold the same lines; the engine is killed at its writes."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from logkeep.backup.node_backup import NodeBackup
from logkeep.backup.node_state import Outcome, Target
from logkeep.backup.segment import Sizes
from logkeep.clock import SystemClock
from logkeep.contract.native.job_responses import GapView, JobRemovedView, JobView
from logkeep.domain.backup_job import JobStatus, JobType
from logkeep.domain.manifest import Gap
from logkeep.sources.local import LocalSource
from tests.integration.cli.installed import environment
from tests.support.long_run import Figures, Journal, allow, check_missing, compare
from tests.support.model import InlineExecutor, MemoryCatalogue, MemoryStore
from tests.support.numbered_node import CLUSTER, FAMILIES, NODE, Writing

_LINES, _ROTATIONS, _RATE = 50_000, 200, 8000  # of all logs; lines a second of each


class _Killed(BaseException):
    """The process is gone."""


class _Engine:
    """Backs up one directory again and again, killed at some of its writes."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.catalogue, self._store = MemoryCatalogue(), MemoryStore()
        self.jobs: list[JobView] = []
        self.kills = 0
        self._directory = directory
        self._chance = random.Random(seed)
        self._executor = InlineExecutor()
        self._writes_left: int | None = None
        self._store.before_put = self._store.after_put = self.catalogue.before_record = self._burn

    def back_up(self, *, kill: bool = True) -> Outcome:
        self.catalogue.job = f"{len(self.jobs) + 1:032x}"
        began, told = _now_ms(), len(self.catalogue.gaps)
        for attempt in range(1, 100):
            self._writes_left = self._next_kill() if kill else None
            try:
                outcome = self._attempt(attempt)
            except _Killed:
                self.kills += 1
                continue
            gaps = [_told(gap) for gap in self.catalogue.gaps[told:]]
            status = "FAIL" if outcome.all_failures() else "SUCCESS"
            self.jobs.append(
                JobView(
                    id="",
                    cluster_id="",
                    create_at=began,
                    log_path="",
                    status=JobStatus(status),
                    finished_at=_now_ms(),
                    job_types=JobType.MANUAL,
                    failed_msg=None,
                    job_id=self.catalogue.job,
                    attempts=1,
                    nodes=[],
                    files=[],
                    files_total=0,
                    gaps=gaps,
                    failures=[],
                    warnings=[],
                    forecasts=[],
                    removed=JobRemovedView(objects=0, raw=0, stored=0, lines=0),
                )
            )
            return outcome
        raise AssertionError("killed at each attempt")

    def contents(self) -> dict[str, list[bytes]]:
        return self.catalogue.contents(self._store.objects)

    def _attempt(self, attempt: int) -> Outcome:
        target = Target(self._store, "bucket", f"base/{CLUSTER}", self.catalogue.job, attempt)  # type: ignore[arg-type]
        source, sizes = LocalSource(self._directory), Sizes(65_536, 262_144)
        return NodeBackup(NODE, source, target, self.catalogue, SystemClock(), self._executor, sizes=sizes).run()

    def _next_kill(self) -> int | None:
        """Choose before which write; early until there was one, as a slow machine may back up but a few times."""
        if not self.kills:
            return self._chance.randrange(3)
        return self._chance.randrange(25) if self._chance.random() < 0.7 else None

    def _burn(self) -> None:
        if self._writes_left is not None:
            self._writes_left -= 1
            if self._writes_left < 0:
                self._writes_left = None
                raise _Killed


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _told(gap: Gap) -> GapView:
    return GapView(gap.node, gap.family, gap.after, gap.until, gap.at_least, gap.reason)


def _start_node(logs: Path, journal: Path, writing: Writing) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "tests.support.numbered_node",
        str(logs),
        str(journal),
        "--seed",
        str(writing.seed),
    ]
    command += ["--lines", str(writing.lines), "--rotations", str(writing.rotations), "--rate", str(_RATE)]
    return subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE)


@pytest.mark.real
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_a_storm_of_rotations_leaves_is_kept_once_and_in_order(tmp_path: Path, seed: int) -> None:
    logs = tmp_path / "node"
    logs.mkdir()
    writing, engine, figures = Writing(seed, _LINES, _ROTATIONS), _Engine(logs, seed), Figures(seed)
    with _start_node(logs, tmp_path / "journal", writing) as node:
        allow(node, writing.total() // 100)
        while not all((logs / family.name).is_file() and (logs / family.name).stat().st_size for family in FAMILIES):
            assert node.poll() is None
            time.sleep(0.01)
        engine.back_up(kill=False)  # what went before a first backup looked can be told by nobody
        allow(node, writing.total())
        ended = False
        while not ended:
            ended = node.poll() is not None
            engine.back_up()
        assert node.wait() == 0
    engine.back_up(kill=False)
    time.sleep(2.2)  # files that changed a moment ago are looked into again
    assert not engine.back_up(kill=False).all_failures()
    journal, kept = Journal.read(tmp_path / "journal"), engine.contents()
    assert kept.keys() <= {family.name for family in FAMILIES}
    for family in FAMILIES:
        parts = kept.get(family.name, [])
        joined = io.BytesIO(b"".join(parts))
        missing = list(compare(writing, family, journal, joined, [len(part) for part in parts], figures))
        check_missing(family, missing, journal, [job for job in engine.jobs if job.status == "SUCCESS"], figures)
    assert not figures.faults
    assert journal.rotations > _ROTATIONS and engine.kills
