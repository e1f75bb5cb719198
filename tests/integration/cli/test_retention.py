"""Retention as an operator meets it: a rule is set, looked at and carried out, and everything else says so."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from logkeep.clock import FixedClock
from logkeep.domain.cluster import Cluster
from logkeep.domain.retention import DAY_MS
from logkeep.service import backups, clusters, log_settings
from logkeep.service.backup_run import run_job
from tests.contract.service import Service, running_service
from tests.integration.cli.installed import Done
from tests.support.installation import SETTING

VERIFY_CHAIN = Path(__file__).parents[3] / "docs" / "verify_chain.py"
LINE = "[2026-11-{day:02d}T08:00:00,000][INFO ][a] [n1] line of day {day}\n"
DAYS = 6


@dataclass
class Operated:
    """A service with a cluster whose backups were made in the last days, and the command line of its administrator."""

    service: Service
    cluster: Cluster
    jobs: list[str]  # of each day, the oldest first
    call: Callable[..., Done]

    def objects(self) -> set[Path]:
        return set((self.service.folder / "buckets" / "logs").rglob("*.zst"))

    def entries(self) -> list[Path]:
        return sorted((self.service.folder / "buckets" / "logs").rglob("_retention/*.json"))


@pytest.fixture
def new(tmp_path: Path, command: Callable[..., Done]) -> Iterator[Operated]:
    """Without a backup."""
    logs = tmp_path / "node"
    logs.mkdir()
    folder = tmp_path / "installation"
    folder.mkdir()
    with running_service(folder) as service:
        nodes = [clusters.NewNode("n1", f"file://{logs}")]
        cluster = clusters.add_cluster(service.runtime, service.project.id, "prod", nodes)
        log_settings.open_backup(service.runtime, cluster, SETTING)
        key = service.admin

        def call(*arguments: str | Path) -> Done:
            service_ = ("--endpoint", f"http://127.0.0.1:{service.port}", "--ak", key.key.ak, "--sk", key.sk)
            return command(*service_, *arguments)

        yield Operated(service, cluster, [], call)


@pytest.fixture
def operated(new: Operated, tmp_path: Path) -> Operated:
    """With a backup of each day."""
    new.jobs = [back_up_day(new.service, new.cluster, tmp_path / "node", day) for day in range(1, DAYS + 1)]
    return new


def back_up_day(service: Service, cluster: Cluster, logs: Path, day: int) -> str:
    """Back up a file that the node deletes before the next day, as of so many days ago."""
    then = time.time_ns() // 1_000_000 - (DAYS - day) * DAY_MS - 60_000
    for old in logs.iterdir():
        old.unlink()
    (logs / "prod.log").write_text(LINE.format(day=day) * (100 + day))
    os.utime(logs / "prod.log", (then / 1000 - 60, then / 1000 - 60))
    earlier = replace(service.runtime, clock=FixedClock(then))
    job = backups.start_backup(earlier, cluster)
    run_job(earlier, job.job_id)
    return job.job_id


def test_a_rule_is_set_previewed_and_carried_out(operated: Operated) -> None:
    call, before = operated.call, operated.objects()
    assert "nothing is ever removed" in call("retention", "show", "prod").ended(0).out
    done = call("retention", "set", "prod", "--keep-days", "3").ended(0)
    assert "3 days" in done.out
    assert "`logkeep retention run prod --yes` confirms it" in done.err

    preview = call("retention", "run", "prod").ended(0)
    assert "would go:" in preview.out
    assert "out of every limit of the rule" in preview.out
    assert "nothing was removed" in preview.err
    each = call("retention", "run", "prod", "--objects").ended(0).out
    gone = {line.partition(": ")[2] for line in each.splitlines() if line.startswith("goes: ")}
    kept = {line.partition(": ")[2] for line in each.splitlines() if line.startswith("kept: ")}
    names = {str(path.relative_to(operated.service.folder / "buckets" / "logs")) for path in before}
    assert (gone | kept, gone & kept) == (names, set())
    assert operated.objects() == before

    call("retention", "run", "prod", "--yes").ended(0)
    assert {path.name for path in operated.objects()} == {name.rpartition("/")[2] for name in kept}
    assert len(operated.entries()) == 1
    shown = call("retention", "show", "prod").ended(0).out
    assert f"{len(gone)} objects" in shown
    assert "keep_days=3" in call("retention", "removals", "prod").ended(0).out
    again = call("retention", "run", "prod", "--yes").ended(0)
    assert "removed 0 objects" in again.out
    assert len(operated.entries()) == 1


def test_what_is_protected_stays_until_it_is_not(operated: Operated) -> None:
    call = operated.call
    done = call("protect", "prod", "--job", operated.jobs[0], "--why", "ticket 4711", "--for", "90d").ended(0)
    protection_id = done.out.split()[-1]
    call("retention", "set", "prod", "--keep-days", "3").ended(0)
    told = call("retention", "run", "prod", "--objects").ended(0).out
    assert "ticket 4711" in told
    before = len(operated.objects())
    call("retention", "run", "prod", "--yes").ended(0)
    between = len(operated.objects())
    assert between < before
    assert "ticket 4711" in call("retention", "show", "prod").ended(0).out
    call("unprotect", "prod", protection_id).ended(0)
    call("retention", "run", "prod", "--yes").ended(0)
    assert len(operated.objects()) == between - 1


def test_everything_else_says_what_was_removed(operated: Operated, tmp_path: Path) -> None:
    call = operated.call
    call("retention", "set", "prod", "--keep-days", "3").ended(0)
    call("retention", "run", "prod", "--yes").ended(0)
    verified = call("verify", "prod", "--chain").ended(0)
    assert "removed" in verified.out + verified.err
    restored = call("restore", "prod", "--to", tmp_path / "restored", "--join")
    assert "keep_days=3" in restored.out + restored.err
    kept = "".join(path.read_text() for path in (tmp_path / "restored").rglob("*") if path.is_file())
    assert f"line of day {DAYS}" in kept
    assert "line of day 1\n" not in kept
    searched = call("search", "prod", "line of day")
    assert "keep_days=3" in searched.out + searched.err
    public, bucket = operated.service.folder / "sign.pub", operated.service.folder / "buckets" / "logs"
    proven = subprocess.run(
        [sys.executable, VERIFY_CHAIN, public, bucket], check=False, capture_output=True, text=True, timeout=60
    )
    assert proven.returncode == 0, proven.stdout + proven.stderr


def test_an_archive_is_deleted_where_the_cluster_is_named_twice(new: Operated) -> None:
    call = new.call
    refused = call("cluster", "remove", "prod", "--delete-archive").ended(2)
    assert "say --yes-delete NAME" in refused.err
    call("cluster", "remove", "prod", "--yes-delete", "prod").ended(2)
    call("cluster", "remove", "prod", "--delete-archive", "--yes-delete", "other").ended(2)
    assert call("cluster", "show", "prod").ended(0)
    done = call("cluster", "remove", "prod", "--delete-archive", "--yes-delete", "prod").ended(0)
    assert "its archive is being deleted" in done.out
    listed = call("retention", "deletions").ended(0).out
    assert "prod" in listed
    assert "going on" in listed


def test_wrong_use_is_told_before_anything_is_asked(new: Operated) -> None:
    for arguments, told in (
        (("retention", "set", "prod"), "give limits"),
        (("retention", "set", "prod", "--keep-days", "1", "--none"), "give limits"),
        (("retention", "set", "prod", "--forever"), "name it with --log"),
        (("retention", "set", "prod", "--keep-bytes", "10 elephants"), "write it as 500GiB"),
        (("retention", "run", "prod", "--yes", "--objects"), "leave --yes out"),
        (("retention", "run", "prod", "--yes"), "has no rule"),
        (("protect", "prod", "--why", "x"), "say what is to be kept"),
        (("protect", "prod", "--why", "x", "--job", "x"), "32 hex digits"),
        (("protect", "prod", "--why", "x", "--job", "0" * 32, "--node", "n1"), "give either --job, or a span"),
        (("protect", "prod", "--why", "x", "--since", "2026-11-01", "--until", "2026-11-02", "--for", "soon"), "90d"),
        (("unprotect", "prod", "nothing"), "has no protection nothing"),
    ):
        done = new.call(*arguments).ended(2)
        assert told in done.err, arguments


def test_sizes_are_read_as_they_are_written(new: Operated) -> None:
    for text, size in (("1", 1), ("10KiB", 10_240), ("1.5 gib", 1_610_612_736), ("2TiB", 2**41)):
        state = new.call("retention", "set", "prod", "--keep-bytes", text, "--json").ended(0).json
        assert [one["keepBytes"] for one in state["rules"]] == [size]
    new.call("retention", "set", "prod", "--log", "gc.log", "--forever").ended(0)
    shown = new.call("retention", "show", "prod").ended(0).out
    assert "all, for ever" in shown
    state = new.call("retention", "set", "prod", "--log", "gc.log", "--none", "--json").ended(0).json
    assert [one["log"] for one in state["rules"]] == [""]
