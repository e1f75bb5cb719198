"""Whole jobs over the real catalogue and a real folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.backup.node_backup import NodeBackup
from logkeep.database import connection, generations, job_nodes, segments
from logkeep.database.connection import reading
from logkeep.domain.backup_job import JobStatus, JobType, StatusFilter
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSettingChange
from logkeep.domain.verification import Progress
from logkeep.errors import (
    BackupClosed,
    BackupRunning,
    ClusterNotFound,
    InvalidField,
    JobSuperseded,
    SourceUnreachable,
    SourceUnreadable,
    StoreCorrupt,
)
from logkeep.service import archive, backups, clusters, log_settings
from logkeep.service.backup_run import begin_run, run_job
from logkeep.service.runtime import BackupLimits
from logkeep.sources.base import Listing, LogSource, OpenLog, PassedKind, Tenant
from tests.support import corpus
from tests.support.installation import SETTING, Installation


def test_logs_of_four_real_nodes_come_back_byte_for_byte(installation: Installation, tmp_path: Path) -> None:
    for node in corpus.NODES:
        corpus.unpack(node, tmp_path / node)
    cluster = installation.add_cluster(**{node: tmp_path / node for node in corpus.NODES})
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    restored = installation.restored(cluster)
    for node in corpus.NODES:
        for family, data in corpus.families(tmp_path / node).items():
            assert restored[node, family] == data, (node, family)
    stored = installation.objects()
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.objects() == stored
    assert not installation.findings(cluster, read_data=True)


def test_objects_are_plain_zstd(installation: Installation, tmp_path: Path) -> None:
    zstd = shutil.which("zstd")
    if not zstd:
        pytest.skip("the zstd command is not here; tests/real has it")
    corpus.unpack("os2", tmp_path / "os2")
    installation.add_cluster(os2=tmp_path / "os2")
    cluster = clusters.list_clusters(installation.runtime, installation.project.id)[0][0]
    installation.back_up(cluster)
    folder = installation.bucket / "css/log/prod/os2/gc.log"
    shown = subprocess.run([zstd, "-dcq", *sorted(map(str, folder.iterdir()))], capture_output=True, check=True).stdout
    assert shown == corpus.families(tmp_path / "os2")["gc.log"]


def test_manifests_tell_all_that_is_kept_and_form_a_chain(installation: Installation, tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    (logs / "es.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ] one\n")
    (logs / "es_audit.json").touch()
    cluster = installation.add_cluster(n1=logs)
    installation.back_up(cluster)
    with (logs / "es.log").open("ab") as file:
        file.write(b"[2026-11-24T00:00:01,000][WARN ] two\n")
    job = installation.back_up(cluster)
    first, second = sorted((installation.bucket / "css/log/prod/_manifests").glob("*.json"))
    told = json.loads(second.read_bytes())
    assert told["previous"] == hashlib.sha256(first.read_bytes()).hexdigest()
    assert told["job"]["job_id"] == job.job_id
    assert told["job"]["finished_at"] == job.finished_at
    [segment] = told["segments"]
    stored = (installation.bucket / segment["object"]).read_bytes()
    assert (segment["start"], segment["end"]) == (37, 74)
    assert segment["sha256"] == hashlib.sha256(stored).hexdigest()
    assert segment["frames"][0]["levels"] == ["WARN"]
    assert segment["frames"][0]["first_time"] == "2026-11-24T00:00:01,000"
    assert [s["name"] for s in json.loads(first.read_bytes())["sightings"]] == ["es_audit.json"]


class _Saying(LogSource):
    """A source of which another side says what no database holds, at the step that is named."""

    said = "it says \0 and \ud800\n"

    def __init__(self, source: LogSource, step: str) -> None:
        self._source = source
        self._step = step

    def list(self) -> Listing:
        if self._step == "list":
            raise SourceUnreachable(self.said)
        listing = self._source.list()
        if self._step == "folder":
            listing.pass_over("inner/", PassedKind.CLOSED, self.said)
        if self._step == "link":
            listing.pass_over("link.log", PassedKind.LINK, self.said)
        return listing

    def open(self, name: str) -> OpenLog:
        if self._step == "open":
            raise SourceUnreadable(self.said)
        return self._source.open(name)


@pytest.mark.parametrize("step", ["list", "folder", "link", "open"])
def test_message_with_what_no_database_holds_is_kept_readable(
    installation: Installation, cluster: Cluster, logs: Path, step: str
) -> None:
    (logs / "es.log").write_bytes(b"[2026-11-24T00:00:00,000] a line\n")
    opened = installation.runtime.open_source
    runtime = replace(installation.runtime, open_source=lambda url, tenant: _Saying(opened(url, tenant), step))
    job = replace(installation, runtime=runtime).back_up(cluster)
    if step != "link":
        assert job.status is JobStatus.FAIL
        assert r"it says \x00 and \ud800" in (job.failed_msg or "")
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.findings(cluster, chain=True) == []


def test_unreadable_node_fails_the_job_and_keeps_the_others(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "es.log").write_bytes(b"kept\n")
    cluster = installation.add_cluster(bad=tmp_path / "missing", good=tmp_path / "good")
    job = installation.back_up(cluster)
    assert job.status is JobStatus.FAIL
    assert job.failed_msg is not None
    assert job.failed_msg.startswith("LK-SOURCE-UNREACHABLE: node bad: the log directory ")
    assert installation.restored(cluster) == {("good", "es.log"): b"kept\n"}


def test_job_after_a_failed_one_catches_up(installation: Installation, tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    cluster = installation.add_cluster(n1=logs)
    assert installation.back_up(cluster).status is JobStatus.FAIL
    logs.mkdir()
    (logs / "es.log").write_bytes(b"line\n")
    job = installation.back_up(cluster)
    assert (job.status, job.failed_msg) == (JobStatus.SUCCESS, None)


def test_bucket_that_is_gone_fails_the_job_and_the_next_one_catches_up(
    installation: Installation, tmp_path: Path
) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    (logs / "es.log").write_bytes(b"line\n")
    cluster = installation.add_cluster(n1=logs)
    away = installation.bucket.with_name("away")
    installation.bucket.rename(away)
    job = installation.back_up(cluster)
    assert job.status is JobStatus.FAIL
    assert (job.failed_msg or "").startswith("LK-STORE-MISSING: ")
    assert not installation.bucket.exists()
    away.rename(installation.bucket)
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.restored(cluster) == {("n1", "es.log"): b"line\n"}


@pytest.mark.parametrize("damage", ["flip", "remove", "cut", "lengthen"])
def test_verify_names_every_damaged_object(installation: Installation, tmp_path: Path, damage: str) -> None:
    corpus.unpack("os2", tmp_path / "os2")
    cluster = installation.add_cluster(os2=tmp_path / "os2")
    job = installation.back_up(cluster)
    victim = installation.objects()[2]
    data = bytearray(victim.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    elif damage == "remove":
        victim.unlink()
    else:
        victim.write_bytes(data[:-1] if damage == "cut" else data + b"\0")
    [finding] = installation.findings(cluster, read_data=True)
    assert finding.object == str(victim.relative_to(installation.bucket))
    assert finding.job_id == job.job_id
    assert (finding.node, bool(finding.family), bool(finding.problem)) == ("os2", True, True)


def test_verify_names_a_manifest_that_was_changed(installation: Installation, tmp_path: Path) -> None:
    corpus.unpack("os2", tmp_path / "os2")
    cluster = installation.add_cluster(os2=tmp_path / "os2")
    installation.back_up(cluster)
    [manifest] = (installation.bucket / "css/log/prod/_manifests").glob("*.json")
    manifest.write_bytes(manifest.read_bytes().replace(b"SUCCESS", b"success"))
    assert [f.problem for f in installation.findings(cluster)] == ["manifest changed since it was written"]


def test_restore_of_damaged_data_stops_with_its_name(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1" / "es.log").write_bytes(os.urandom(5000))
    cluster = installation.add_cluster(n1=tmp_path / "n1")
    installation.back_up(cluster)
    [victim] = installation.objects()
    data = bytearray(victim.read_bytes())
    data[2000] ^= 4
    victim.write_bytes(data)
    with pytest.raises(StoreCorrupt, match=r"es\.log/"):
        installation.restored(cluster)


def test_second_backup_while_one_runs_is_refused(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    cluster = installation.add_cluster(n1=tmp_path / "n1")
    backups.start_backup(installation.runtime, cluster)
    with pytest.raises(BackupRunning):
        backups.start_backup(installation.runtime, cluster)


def test_overtaken_attempt_cannot_commit_nor_finish(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1" / "es.log").write_bytes(b"line\n")
    cluster = installation.add_cluster(n1=tmp_path / "n1")
    job = backups.start_backup(installation.runtime, cluster)
    first = begin_run(installation.runtime, job.job_id)
    second = begin_run(installation.runtime, job.job_id)
    assert first and second
    with pytest.raises(JobSuperseded):
        first.back_up()
    second.back_up()
    with pytest.raises(JobSuperseded):
        first.finish()
    second.finish()
    assert begin_run(installation.runtime, job.job_id) is None
    assert installation.restored(cluster) == {("n1", "es.log"): b"line\n"}


def test_kept_segments_of_a_job_without_manifest_are_named_by_the_next(
    installation: Installation, tmp_path: Path
) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    (logs / "es.log").write_bytes(b"line\n")
    cluster = installation.add_cluster(n1=logs)
    job = backups.start_backup(installation.runtime, cluster)
    run = begin_run(installation.runtime, job.job_id)
    assert run
    run.back_up()
    run.finish("LK-STORE-UNREACHABLE: gone")
    installation.back_up(cluster)
    [manifest] = (installation.bucket / "css/log/prod/_manifests").glob("*.json")
    assert len(json.loads(manifest.read_bytes())["segments"]) == 1


def test_records_are_newest_first_and_close_clears_failures(installation: Installation, tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    cluster = installation.add_cluster(n1=logs)
    failed = installation.back_up(cluster)
    logs.mkdir()
    kept = [installation.back_up(cluster) for _ in range(3)]
    runtime = installation.runtime
    assert backups.list_jobs(runtime, cluster.project_id, cluster.id) == ([*reversed(kept), failed], 4)
    assert backups.list_jobs(runtime, cluster.project_id, cluster.id, status=StatusFilter.FAIL) == ([failed], 1)
    assert backups.list_jobs(
        runtime, cluster.project_id, cluster.id, offset=1, limit=1, status=StatusFilter.NOT_FAIL
    ) == ([kept[1]], 3)
    assert backups.list_jobs(runtime, cluster.project_id, cluster.id, offset=2**63 - 1) == ([], 4)
    log_settings.close_backup(runtime, cluster)
    assert backups.list_jobs(runtime, cluster.project_id, cluster.id) == (list(reversed(kept)), 3)
    with pytest.raises(BackupClosed):
        backups.start_backup(runtime, cluster)
    with pytest.raises(BackupClosed):
        log_settings.close_backup(runtime, cluster)


def test_daily_policy_starts_one_automatic_job_at_its_time(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    runtime, clock = installation.runtime, installation.clock
    cluster = installation.add_cluster(n1=tmp_path / "n1")
    log_settings.start_policy(runtime, cluster, "00:00 GMT+08:00")
    assert backups.start_due_backups(runtime) == []
    day = 86_400_000
    clock.value += (16 * 3_600_000 - clock.value) % day - 1  # one millisecond before midnight at GMT+8
    assert backups.start_due_backups(runtime) == []
    clock.advance(1)
    [job] = backups.start_due_backups(runtime)
    assert (job.type, job.created_at) == (JobType.AUTO, clock.value)
    assert backups.start_due_backups(runtime) == []
    installation.run(job)
    clock.advance(5 * day + 1000)  # days on which nothing ran are made up for once
    [job] = backups.start_due_backups(runtime)
    installation.run(job)
    assert backups.start_due_backups(runtime) == []
    log_settings.stop_policy(runtime, cluster)
    clock.advance(day)
    assert backups.start_due_backups(runtime) == []


@pytest.mark.parametrize(
    ("steps", "automatic"),
    [
        ((0, 1, 0, 1), [0, 1, 0, 0]),  # hours; the moment is between 0 and 1
        ((0, 1, 0, 25, 24, 25), [0, 1, 0, 1, 0, 0]),
        ((0, 25, 0, 1, 25), [0, 1, 0, 1, 1]),
        ((0, 24 * 30, 0, 1, 25), [0, 1, 0, 1, 1]),
        ((0, -24 * 30, 0, 1), [0, 0, 1, 1]),
    ],
    ids=["an hour back", "an hour back on two days", "a day forward", "a month forward", "a month back"],
)
def test_daily_moment_when_the_clock_jumps(
    installation: Installation, tmp_path: Path, steps: list[int], automatic: list[int]
) -> None:
    """Served once where the clock goes back by an hour, and not left out where it was far ahead."""
    (tmp_path / "n1").mkdir()
    runtime, clock = installation.runtime, installation.clock
    begin = clock.value = clock.value // 86_400_000 * 86_400_000 - 1_800_000
    cluster = installation.add_cluster(n1=tmp_path / "n1")
    log_settings.start_policy(runtime, cluster, "00:00 GMT+00:00")
    found: list[int] = []
    for hours in steps:
        clock.value = begin + hours * 3_600_000
        started = backups.start_due_backups(runtime) + backups.start_due_backups(runtime)
        found.append(len(started))
        for job in started:
            installation.run(job)
    assert found == automatic


def test_records_stay_in_the_order_of_the_jobs_when_the_clock_is_set_back(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "n1").mkdir()
    cluster = installation.add_cluster(n1=tmp_path / "n1")
    kept = [installation.back_up(cluster)]
    for hours in (-1, 24, -24):
        installation.clock.advance(hours * 3_600_000)
        kept.append(installation.back_up(cluster))
    records, _ = backups.list_jobs(installation.runtime, cluster.project_id, cluster.id)
    assert records == kept[::-1]
    assert len({record.created_at for record in records}) == len(records)
    assert all(record.finished_at is not None and record.finished_at >= record.created_at for record in records)


def test_policy_moment_during_a_job_is_served_when_it_has_ended(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    runtime, clock = installation.runtime, installation.clock
    cluster = installation.add_cluster(n1=tmp_path / "n1")
    log_settings.start_policy(runtime, cluster, "00:00 GMT+00:00")
    manual = backups.start_backup(runtime, cluster)
    clock.advance(86_400_000)
    assert backups.start_due_backups(runtime) == []
    installation.run(manual)
    assert [job.type for job in backups.start_due_backups(runtime)] == [JobType.AUTO]


def test_settings_may_move_to_another_path_and_all_is_still_restored(
    installation: Installation, tmp_path: Path
) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    (logs / "es.log").write_bytes(b"one\n")
    cluster = installation.add_cluster(n1=logs)
    installation.back_up(cluster)
    log_settings.update_setting(installation.runtime, cluster, LogSettingChange("a", "logs", "other path/日志"))
    with (logs / "es.log").open("ab") as file:
        file.write(b"two\n")
    job = installation.back_up(cluster)
    assert job.log_path == "logs/other path/日志"
    assert installation.restored(cluster) == {("n1", "es.log"): b"one\ntwo\n"}
    assert len(list((installation.bucket / "other path/日志/prod/n1/es.log").iterdir())) == 1


def test_cluster_of_another_project_is_not_found(installation: Installation, logs: Path) -> None:
    cluster = installation.add_cluster(n1=logs)
    with pytest.raises(ClusterNotFound):
        clusters.get_cluster(installation.runtime, "0" * 32, cluster.id)


def test_sources_outside_the_allowed_roots_are_refused(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "allowed").mkdir()
    (tmp_path / "escape").symlink_to("/etc")
    shutil.copy(installation.folder / "logkeep.toml", installation.folder / "old.toml")
    (installation.folder / "logkeep.toml").write_text(f'[sources]\nroots = ["{tmp_path}/allowed"]\n[buckets.logs]\n')
    from logkeep.bootstrap.runtime import open_runtime
    from logkeep.settings import load_settings

    confined = open_runtime(load_settings(installation.folder, installation.environment))
    add = lambda url: clusters.add_cluster(confined, installation.project.id, "c", [clusters.NewNode("n", url)])  # noqa: E731
    for url in (
        "file:///etc",
        f"file://{tmp_path}/escape",
        f"file://{tmp_path}/allowed/../x",
        "http://x/y",
        "file:relative",
    ):
        with pytest.raises(InvalidField, match=r"nodes\.source"):
            add(url)
    assert add(f"file://{tmp_path}/allowed").nodes
    confined.database.dispose()


def test_removed_cluster_leaves_its_objects_in_the_bucket(installation: Installation, tmp_path: Path) -> None:
    corpus.unpack("os2", tmp_path / "os2")
    cluster = installation.add_cluster(os2=tmp_path / "os2")
    installation.back_up(cluster)
    stored = installation.objects()
    clusters.remove_cluster(installation.runtime, cluster)
    assert installation.objects() == stored
    with pytest.raises(ClusterNotFound):
        clusters.get_cluster(installation.runtime, installation.project.id, cluster.id)


def test_opening_what_is_open_changes_it_and_keeps_the_policy(installation: Installation, logs: Path) -> None:
    cluster = installation.add_cluster(n1=logs)
    log_settings.start_policy(installation.runtime, cluster, "01:00 GMT+08:00")
    log_settings.open_backup(installation.runtime, cluster, replace(SETTING, base_path="new"))
    setting = log_settings.get_setting(installation.runtime, cluster)
    assert setting and (setting.base_path, setting.period) == ("new", "01:00 GMT+08:00")


def test_read_of_a_generation_that_is_not_there_is_refused(installation: Installation, logs: Path) -> None:
    cluster = installation.add_cluster(n1=logs)
    with pytest.raises(InvalidField):
        archive.read_kept(installation.runtime, cluster, "n1", 7)


def test_archive_of_many_logs_is_listed_and_verified_page_by_page(installation: Installation, tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    for number in range(1, 251):
        (logs / f"es-2026-11-24-{number}.log").write_bytes(b"%d\n" % number)
    cluster = installation.add_cluster(n1=logs)
    monkeypatch = pytest.MonkeyPatch()
    pages = connection.read_pages
    for module in (generations, segments):
        monkeypatch.setattr(module, "read_pages", lambda *given: pages(*given[:-1], 7))
    try:
        installation.back_up(cluster)
        listed = [log.name for log in archive.list_kept(installation.runtime, cluster)]
        progress = [one for one in installation.verify(cluster) if isinstance(one, Progress)]
    finally:
        monkeypatch.undo()
    assert listed == [f"es-2026-11-24-{number}.log" for number in range(1, 251)]
    assert len(progress) == 250


def test_gap_is_told_with_its_span(installation: Installation, tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    (logs / "es.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ] one\n")
    cluster = installation.add_cluster(n1=logs)
    installation.back_up(cluster)
    (logs / "es.log").write_bytes(b"[2026-11-24T05:00:00,000][INFO ] two\n")
    job = installation.back_up(cluster)
    assert job.status is JobStatus.SUCCESS
    [gap] = installation.gaps(job)
    assert (gap.node, gap.family, gap.reason) == ("n1", "es.log", "truncated")
    assert (gap.after, gap.until) == ("2026-11-24T00:00:00,000", "2026-11-24T05:00:00,000")
    last = sorted((installation.bucket / "css/log/prod/_manifests").glob("*.json"))[-1]
    assert json.loads(last.read_bytes())["gaps"][0]["until"] == gap.until


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("secret inside"), "LK-INTERNAL: node n1: unexpected error"),
        (MemoryError("secret inside"), "LK-MEMORY: node n1: The service has too little memory for this"),
    ],
)
def test_unexpected_error_on_one_node_fails_the_job_and_keeps_the_others(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    for node in ("n1", "n2"):
        (tmp_path / node).mkdir()
        (tmp_path / node / "es.log").write_bytes(b"line\n")
    cluster = installation.add_cluster(n1=tmp_path / "n1", n2=tmp_path / "n2")
    run = NodeBackup.run

    def fail_on_n1(self: NodeBackup) -> object:
        if self._state.node == "n1":
            raise error
        return run(self)

    monkeypatch.setattr(NodeBackup, "run", fail_on_n1)
    job = installation.back_up(cluster)
    assert (job.failed_msg or "").startswith(said)
    assert "secret" not in (job.failed_msg or "")
    assert installation.restored(cluster) == {("n2", "es.log"): b"line\n"}


def test_nodes_of_a_cluster_are_read_some_at_a_time_and_those_that_are_done_only_once(
    installation: Installation, tmp_path: Path
) -> None:
    nodes = {f"n{number}": tmp_path / f"n{number}" for number in range(5)}
    for path in nodes.values():
        path.mkdir()
        (path / "es.log").write_bytes(b"a line\n")
    cluster = installation.add_cluster(**nodes)
    together = threading.Barrier(2)
    opened: list[str] = []

    def open_source(url: str, tenant: Tenant) -> LogSource:
        opened.append(url.rpartition("/")[2])
        if len(opened) <= 2:
            together.wait(10)  # which fails unless two are read at the same time
        elif not again:
            raise SystemExit  # killed between two nodes
        return installation.runtime.open_source(url, tenant)

    runtime = replace(installation.runtime, open_source=open_source, limits=BackupLimits(concurrent_nodes=2))
    job, again = backups.start_backup(runtime, cluster), False
    with pytest.raises(SystemExit):
        run_job(runtime, job.job_id)
    with reading(runtime.database) as connection:
        done = job_nodes.fetch_ended(connection, job.job_id)
    again, first = True, len(opened)
    run_job(runtime, job.job_id)
    assert done
    assert sorted(opened[first:]) == sorted(nodes.keys() - done)
    assert installation.job(job.job_id).status is JobStatus.SUCCESS
    assert len(installation.restored(cluster)) == 5
