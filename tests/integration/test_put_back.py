"""A database that was put back from a copy: the bucket tells what came after, and nothing is lost or kept twice."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from logkeep.bootstrap.runtime import open_runtime
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSettingChange
from logkeep.errors import JobSuperseded, StoreUnreachable
from logkeep.keyfiles.creation import create_keys
from logkeep.keyfiles.signing import open_signing
from logkeep.service import backups, clusters, heads, job_details, log_settings, sweep
from logkeep.settings import load_settings
from logkeep.stores.proven import ProvenStore
from tests.support.installation import Installation

DATABASE, ROTATED = "logkeep.db", "es-2026-11-24-1.log"


def reopened(installation: Installation) -> Installation:
    runtime = open_runtime(load_settings(installation.folder, installation.environment))
    runtime = replace(runtime, enqueue=lambda *_: None, clock=installation.clock)
    return replace(installation, runtime=runtime)


def copy_database(installation: Installation, to: Path) -> Installation:
    """As one that is stopped for it is copied."""
    installation.runtime.database.dispose()
    if url := installation.environment.get("LOGKEEP_DATABASE"):
        _copy_on_server(url, url.rpartition("/")[2], f"copy_{uuid4().hex[:12]}", to)
    else:
        shutil.copy(installation.folder / DATABASE, to)
    return reopened(installation)


def _copy_on_server(url: str, old: str, new: str, note: Path | None = None) -> None:
    with psycopg.connect(f"{url.rpartition('/')[0]}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(new)))
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(new), sql.Identifier(old)))
    if note:
        note.write_text(new)


def back_up_and_copy(installation: Installation, cluster: Cluster, logs: Path, to: Path) -> Installation:
    """One job, and the database as it was after that."""
    write(logs, 1)
    installation.back_up(cluster)
    return copy_database(installation, to)


def put_back(installation: Installation, copy: Path) -> Installation:
    installation.runtime.database.dispose()
    if url := installation.environment.get("LOGKEEP_DATABASE"):
        _copy_on_server(url, copy.read_text(), url.rpartition("/")[2])
        return reopened(installation)
    for path in installation.folder.glob(f"{DATABASE}*"):
        path.unlink()
    shutil.copy(copy, installation.folder / DATABASE)
    return reopened(installation)


def write(logs: Path, number: int, name: str = "es.log") -> None:
    with (logs / name).open("ab") as file:
        file.write(b"[2026-11-24T00:00:%02d,000] line of %s\n" % (number, name.encode()) * 9)


def rotate(logs: Path) -> None:
    (logs / "es.log").rename(logs / ROTATED)
    write(logs, 9)


def manifests(installation: Installation) -> list[dict[str, object]]:
    found = [json.loads(path.read_bytes()) for path in installation.bucket.rglob("_manifests/*.json")]
    return sorted(found, key=lambda one: one["number"])


def expect_one_chain(installation: Installation, cluster: Cluster, jobs: int) -> None:
    assert [one["number"] for one in manifests(installation)] == list(range(1, jobs + 1))
    assert len({one["previous"] for one in manifests(installation)}) == jobs
    assert installation.findings(cluster, chain=True) == []


def test_database_put_back_one_job_old_loses_nothing(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path
) -> None:
    installation = back_up_and_copy(installation, cluster, logs, tmp_path / "copy")
    write(logs, 2)
    rotate(logs)
    lost = installation.back_up(cluster)
    kept = installation.restored(cluster)
    (logs / ROTATED).unlink()  # the node deletes it
    installation = put_back(installation, tmp_path / "copy")
    assert ["that the database does not know" in one.problem for one in installation.findings(cluster)][:1] == [True]
    write(logs, 4)
    job = installation.back_up(cluster)
    assert (job.status, installation.gaps(job)) == (JobStatus.SUCCESS, ())
    assert installation.job(lost.job_id) == lost
    [now] = installation.restored(cluster).values()
    assert now.startswith(next(iter(kept.values())))
    assert now.endswith((logs / "es.log").read_bytes())
    expect_one_chain(installation, cluster, 3)
    again = installation.back_up(cluster)
    assert (again.status, installation.gaps(again)) == (JobStatus.SUCCESS, ())
    expect_one_chain(installation, cluster, 4)


def test_failed_jobs_and_many_jobs_between_are_taken_up(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path
) -> None:
    installation = back_up_and_copy(installation, cluster, logs, tmp_path / "copy")
    for number in range(2, 6):
        write(logs, number)
        write(logs, number, "gc.log")
        if number == 3:  # stores, and fails for want of the bucket
            installation.bucket.rename(tmp_path / "away")
            assert installation.back_up(cluster).status is JobStatus.FAIL
            (tmp_path / "away").rename(installation.bucket)
        if number == 4:
            (logs / "bad.log.gz").write_bytes(b"\x1f\x8b\x08\x00nothing of a gzip file")
        if number == 5:
            (logs / "bad.log.gz").unlink()
            rotate(logs)
        installation.back_up(cluster)
    before = installation.jobs(cluster)
    kept, stored = installation.restored(cluster), installation.objects()
    (logs / ROTATED).unlink()  # the node deletes it
    installation = put_back(installation, tmp_path / "copy")
    job = installation.back_up(cluster)
    assert (job.status, installation.gaps(job)) == (JobStatus.SUCCESS, ())
    assert installation.jobs(cluster)[1:] == before
    assert installation.restored(cluster) == kept
    assert installation.objects() == stored
    assert installation.findings(cluster, chain=True) == []


@pytest.mark.parametrize("bucket", ["logs", "other"])
def test_place_that_was_changed_between_is_found(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path, bucket: str
) -> None:
    (installation.folder / "buckets" / "other").mkdir()
    (installation.folder / "logkeep.toml").write_text("[buckets.logs]\n[buckets.other]\n")
    installation.runtime.database.dispose()
    installation = reopened(installation)
    installation = back_up_and_copy(installation, cluster, logs, tmp_path / "copy")
    installation.clock.advance(1000)
    log_settings.update_setting(installation.runtime, cluster, LogSettingChange("a", bucket, "moved"))
    for number in (2, 3):
        write(logs, number)
        if number == 3:
            rotate(logs)
        installation.back_up(cluster)
    assert installation.findings(cluster, chain=True) == []  # what points from place to place is not foreign
    kept = installation.restored(cluster)
    (logs / ROTATED).unlink()
    installation = put_back(installation, tmp_path / "copy")
    job = installation.back_up(cluster)
    assert (job.status, installation.gaps(job)) == (JobStatus.SUCCESS, ())
    assert installation.restored(cluster) == kept
    setting = log_settings.get_setting(installation.runtime, cluster)
    assert setting
    assert (setting.bucket, setting.base_path) == (bucket, "moved")
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.findings(cluster, chain=True) == []


def test_each_cluster_takes_up_its_own(installation: Installation, logs: Path, tmp_path: Path) -> None:
    both = []
    for name in ("one", "two"):
        (logs / name).mkdir()
        node = clusters.NewNode("n1", f"file://{logs / name}")
        both.append(clusters.add_cluster(installation.runtime, installation.project.id, name, [node]))
        log_settings.open_backup(installation.runtime, both[-1], LogSettingChange("a", "logs", "css/log"))
        write(logs / name, 1)
        installation.back_up(both[-1])
    installation = copy_database(installation, tmp_path / "copy")
    for cluster in both:
        write(logs / cluster.name, 2)
        installation.back_up(cluster)
    kept = [installation.restored(cluster) for cluster in both]
    installation = put_back(installation, tmp_path / "copy")
    for cluster in both:
        installation.back_up(cluster)
    assert [installation.restored(cluster) for cluster in both] == kept
    assert [installation.findings(cluster, chain=True) for cluster in both] == [[], []]


def test_kill_while_it_is_taken_up_leaves_all_or_nothing(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = back_up_and_copy(installation, cluster, logs, tmp_path / "copy")
    for number in (2, 3):
        write(logs, number)
        installation.back_up(cluster)
    kept = installation.restored(cluster)
    installation = put_back(installation, tmp_path / "copy")
    job = backups.start_backup(installation.runtime, cluster)
    for step in ("_add_job", "_add_segment", "finish"):
        with monkeypatch.context() as patched:
            patched.setattr(heads._Taking, step, _killed)
            with pytest.raises(KeyboardInterrupt):
                installation.run(job)
        assert installation.jobs(cluster)[0].status is JobStatus.RUNNING
        installation.runtime.database.dispose()
        installation = reopened(installation)
    assert installation.run(job).status is JobStatus.SUCCESS
    assert installation.restored(cluster) == kept
    assert installation.findings(cluster, chain=True) == []


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_copy_of_a_database_in_mid_job_ends_that_job_as_the_bucket_tells(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path
) -> None:
    write(logs, 1)
    installation.back_up(cluster)
    installation.clock.advance(1000)
    job = backups.start_backup(installation.runtime, cluster)
    installation = copy_database(installation, tmp_path / "copy")
    write(logs, 2)
    ended = installation.run(job)
    kept = installation.restored(cluster)
    (logs / "es.log").unlink()
    installation = put_back(installation, tmp_path / "copy")
    with pytest.raises(JobSuperseded):  # there is nothing left to do for it
        installation.run(job)
    assert installation.job(job.job_id) == ended
    assert installation.restored(cluster) == kept
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    expect_one_chain(installation, cluster, 3)


def test_two_that_went_on_from_one_are_told_apart(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path
) -> None:
    installation = back_up_and_copy(installation, cluster, logs, tmp_path / "copy")
    write(logs, 2)
    installation.back_up(cluster)
    [first, other] = sorted((installation.bucket / "css/log/prod/_manifests").glob("*.json"))
    hidden = [other.rename(tmp_path / other.name), Path(f"{other}.sig").rename(tmp_path / f"{other.name}.sig")]
    installation = put_back(installation, tmp_path / "copy")
    write(logs, 3)
    installation.back_up(cluster)  # as a second service that saw nothing of the first one
    for path in hidden:
        path.rename(first.parent / path.name)
    stored = sorted(path.name for path in first.parent.iterdir())
    job = installation.back_up(cluster)
    assert job.status is JobStatus.FAIL
    assert (job.failed_msg or "").startswith("LK-CHAIN-FORKED: the database ends with css/log/prod/_manifests/")
    assert other.name in (job.failed_msg or "")
    assert sorted(path.name for path in first.parent.iterdir()) == stored  # nothing was signed
    assert any("does not follow it" in one.problem for one in installation.findings(cluster))
    with pytest.raises(heads.ChainForked):
        list(sweep.sweep(installation.runtime, cluster, grace_ms=0, remove=True))
    for path in (other, Path(f"{other}.sig")):
        path.unlink()  # the remedy
    assert installation.back_up(cluster).status is JobStatus.SUCCESS


def test_manifests_that_nobody_trusted_signed_never_count(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path
) -> None:
    write(logs, 1)
    installation.back_up(cluster)
    [first] = (installation.bucket / "css/log/prod/_manifests").glob("*.json")
    strange = tmp_path / "strange"
    strange.mkdir()
    create_keys(strange)
    for number, sign in enumerate((None, open_signing(strange).sign, lambda _: b"x" * 64)):
        name = first.name.replace("Z-", f"Z-{number}", 1)
        forged = first.with_name(f"{name[:20]}{number:032x}.1.json")
        data = json.dumps(json.loads(first.read_bytes()) | {"previous": "0" * 64, "number": 2}).encode()
        forged.write_bytes(data)
        if sign:
            Path(f"{forged}.sig").write_bytes(sign(data))
    job = installation.back_up(cluster)
    assert job.status is JobStatus.SUCCESS


def test_sweep_deletes_nothing_that_a_newer_manifest_names(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path
) -> None:
    installation = back_up_and_copy(installation, cluster, logs, tmp_path / "copy")
    write(logs, 2)
    installation.back_up(cluster)
    stored = installation.objects()
    installation = put_back(installation, tmp_path / "copy")
    with pytest.raises(heads.CatalogueBehind, match="the next backup of the cluster takes them up"):
        list(sweep.sweep(installation.runtime, cluster, grace_ms=0, remove=True))
    assert installation.objects() == stored


def test_store_that_fails_at_a_newer_manifest_fails_the_job_and_nothing_is_signed(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = back_up_and_copy(installation, cluster, logs, tmp_path / "copy")
    write(logs, 2)
    installation.back_up(cluster)
    [_, newer] = sorted(installation.bucket.rglob("_manifests/*.json"))
    installation = put_back(installation, tmp_path / "copy")
    get = ProvenStore.get

    def fail_at_it(store: ProvenStore, name: str, *asked: int) -> bytes:
        if name.endswith(newer.name):
            raise StoreUnreachable("the server answers 503")
        return get(store, name, *asked)

    with monkeypatch.context() as patched:
        patched.setattr(ProvenStore, "get", fail_at_it)
        job = installation.back_up(cluster)
    assert job.status is JobStatus.FAIL
    assert (job.failed_msg or "").startswith("LK-STORE-UNREACHABLE: the server answers 503")
    assert len(list(installation.bucket.rglob("_manifests/*.json"))) == 2
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.findings(cluster, chain=True) == []


def test_any_number_of_objects_that_cannot_be_read_is_logged_in_two_lines(
    installation: Installation, cluster: Cluster, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(logs, 1)
    installation.back_up(cluster)
    [first] = installation.bucket.rglob("_manifests/*.json")
    for number in range(50):
        junk = first.with_name(f"{first.name[:20]}{number:032x}.1.json")
        with junk.open("wb") as file:
            file.truncate(300 * 1024 * 1024)
        Path(f"{junk}.sig").write_bytes(b"x" * 64)
    capsys.readouterr()
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    logged = [line for line in capsys.readouterr().out.splitlines() if "not looked at" in line]
    assert len(logged) == 2
    assert "{'logs': 50}" in logged[1]


def test_a_job_warns_of_manifests_that_it_did_not_read(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    write(logs, 1)
    installation.back_up(cluster)
    [first] = installation.bucket.rglob("_manifests/*.json")
    junk = first.with_name(f"{first.name[:20]}{0:032x}.1.json")
    with junk.open("wb") as file:
        file.truncate(300 * 1024 * 1024)
    Path(f"{junk}.sig").write_bytes(b"x" * 64)
    assert "1 of bucket logs" in unread_warning(installation, cluster)
    junk.unlink()
    assert not unread_warning(installation, cluster)


def test_no_job_reads_any_number_of_manifests_that_nobody_trusted_signed(
    installation: Installation, cluster: Cluster, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(logs, 1)
    installation.back_up(cluster)
    [first] = installation.bucket.rglob("_manifests/*.json")
    for number in range(50):
        junk = first.with_name(f"{first.name[:20]}{number:032x}.1.json")
        junk.write_bytes(first.read_bytes())
        Path(f"{junk}.sig").write_bytes(b"x" * 64)
    monkeypatch.setattr(heads, "_UNTRUSTED_BYTES", 20 * 64 * 1024)
    assert "30 of bucket logs" in unread_warning(installation, cluster)


def unread_warning(installation: Installation, cluster: Cluster) -> str:
    """What the next job says of manifests that it did not read."""
    job = installation.back_up(cluster)
    assert job.status is JobStatus.SUCCESS
    warnings = job_details.get_detail(installation.runtime, installation.project.id, job.job_id).warnings
    return "".join(warning.message for warning in warnings if warning.code == "LK-MANIFESTS-UNREAD")
