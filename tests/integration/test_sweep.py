"""Orphans are found and removed, and never anything else."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.verification import Finding, Orphans
from logkeep.service import backups, clusters, log_settings, orphans
from logkeep.service.backup_run import begin_run
from logkeep.service.sweep import Fate, Orphan, sweep
from tests.support.installation import SETTING, Installation

HOUR = 3_600_000
GRACE = 24 * HOUR


@dataclass
class Swept:
    """An installation with clusters prod and prod2, and jobs of prod that ended in every way."""

    installation: Installation
    prod: Cluster
    prod2: Cluster
    jobs: dict[str, str]  # how it ended -> job id

    @property
    def folder(self) -> Path:
        return self.installation.bucket / "css/log/prod"

    def files(self) -> dict[str, bytes]:
        bucket = self.installation.bucket
        return {str(path.relative_to(bucket)): path.read_bytes() for path in bucket.rglob("*") if path.is_file()}

    def put(self, name: str, age_ms: int = 2 * GRACE) -> str:
        """An object of this age; the name is below the folder of prod."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")
        at = (self.installation.clock.now_ms() - age_ms) * 1_000_000
        os.utime(path, ns=(at, at))
        return str(path.relative_to(self.installation.bucket))

    def sweep(self, *, remove: bool = True, cluster: Cluster | None = None) -> list[Orphan]:
        return list(sweep(self.installation.runtime, cluster or self.prod, grace_ms=GRACE, remove=remove))


def segment(job_id: str, upload: str = "1-9", log: str = "n1/es.log") -> str:
    return f"{log}/00000001-000000000000999-{job_id}.{upload}.zst"


@pytest.fixture
def swept(installation: Installation, tmp_path: Path) -> Swept:
    logs = tmp_path / "n1"
    logs.mkdir()
    prod = installation.add_cluster(n1=logs)
    new = clusters.NewNode("n1", f"file://{logs}")
    prod2 = clusters.add_cluster(installation.runtime, installation.project.id, "prod2", [new])
    log_settings.open_backup(installation.runtime, prod2, SETTING)
    jobs = {"unknown": "e" * 32}
    for name in ("success", "again", "fail"):
        with (logs / "es.log").open("ab") as log:
            log.write(f"{name}\n".encode())
        job = backups.start_backup(installation.runtime, prod)
        if name == "again":  # its first attempt was killed
            begin_run(installation.runtime, job.job_id)
        installation.run(job) if name != "fail" else _fail(installation, job)
        jobs[name] = job.job_id
        installation.clock.advance(1000)
    jobs["other"] = installation.back_up(prod2).job_id
    jobs["running"] = backups.start_backup(installation.runtime, prod).job_id
    return Swept(installation, prod, prod2, jobs)


def _fail(installation: Installation, job: BackupJob) -> None:
    run = begin_run(installation.runtime, job.job_id)
    assert run
    run.finish("LK-STORE-UNREACHABLE: gone")


@pytest.mark.parametrize("how", ["again", "fail", "unknown"])
def test_what_an_upload_left_is_listed_and_then_removed(swept: Swept, how: str) -> None:
    before = swept.files()
    name = swept.put(segment(swept.jobs[how]))
    [listed] = swept.sweep(remove=False)
    assert (listed.object, listed.bytes, listed.job_id, listed.fate) == (name, 4, swept.jobs[how], Fate.REMOVABLE)
    assert listed.modified_at == swept.installation.clock.now_ms() - 2 * GRACE
    assert swept.installation.verify(swept.prod)[-1] == Orphans(1, 4)
    assert not swept.installation.findings(swept.prod)
    assert [one.fate for one in swept.sweep()] == [Fate.REMOVED]
    assert swept.files() == before
    assert swept.sweep() == []


def test_a_manifest_that_another_attempt_followed_goes_with_its_signature(swept: Swept) -> None:
    before = swept.files()
    [manifest] = [name for name in before if swept.jobs["again"] in name and name.endswith(".json")]
    first = manifest.replace(".2.json", ".1.json").removeprefix("css/log/prod/")
    assert first != manifest
    for name in (first, f"{first}.sig"):
        swept.put(name)
    data = before[manifest].replace(b".2.json", b".1.json")
    (swept.folder / first).write_bytes(data)
    (swept.folder / f"{first}.sig").write_bytes(swept.installation.runtime.signing.sign(data))
    for name in (first, f"{first}.sig"):
        os.utime(swept.folder / name, (0, 0))
    assert [one.fate for one in swept.sweep()] == [Fate.REMOVED] * 2
    assert swept.files() == before


KEPT = {
    "foreign": lambda s: "notes.txt",
    "a copy of an object": lambda s: f"{segment(s.jobs['fail'])}.bak",
    "its job succeeded at once": lambda s: segment(s.jobs["success"]),
    "in a folder that is none of ours": lambda s: f"deeper/{segment(s.jobs['fail'])}",
    "a manifest of an unknown job": lambda s: f"_manifests/20261124T000000000Z-{s.jobs['unknown']}.1.json",
    "of another cluster": lambda s: segment(s.jobs["other"]),
    "in the folder of another cluster": lambda s: f"../prod2/{segment(s.jobs['other'])}",
    "in the folder of a cluster within": lambda s: f"inner/{segment(s.jobs['other'])}",
    "an orphan elsewhere in the bucket": lambda s: f"../../{segment(s.jobs['fail'])}",
}


@pytest.mark.parametrize("case", KEPT)
def test_what_is_no_orphan_of_the_cluster_is_never_removed(swept: Swept, case: str) -> None:
    swept.put(KEPT[case](swept))
    before = swept.files()
    assert swept.sweep() == []
    assert swept.files() == before


@pytest.mark.parametrize(
    ("how", "age", "reason"),
    [
        ("running", 2 * GRACE, "its job is running"),
        ("fail", GRACE - 1, "it is younger than the grace time"),
        ("fail", -GRACE, "it is younger than the grace time"),
    ],
)
def test_an_orphan_that_is_young_or_whose_job_runs_stays(swept: Swept, how: str, age: int, reason: str) -> None:
    swept.put(segment(swept.jobs[how]), age)
    before = swept.files()
    [kept] = swept.sweep()
    assert (kept.fate, kept.reason) == (Fate.KEPT, reason)
    assert swept.files() == before


@pytest.mark.usefixtures("shared_folder")
def test_what_a_manifest_names_that_the_catalogue_does_not_know_is_no_orphan(swept: Swept) -> None:
    """As after a database was put back that is older than the bucket, or the cluster was registered anew."""
    clusters_before = swept.files()
    _finish_running(swept)
    clusters.remove_cluster(swept.installation.runtime, swept.prod)
    again = swept.installation.add_cluster(n1=swept.installation.folder.parent / "n1")
    for name in clusters_before:
        os.utime(swept.installation.bucket / name, (0, 0))
    before = swept.files()
    assert swept.sweep(cluster=again) == []
    assert swept.files() == before


def test_what_a_followed_manifest_names_and_the_catalogue_does_not_is_no_orphan(swept: Swept) -> None:
    [manifest] = [name for name in swept.files() if swept.jobs["again"] in name and name.endswith(".json")]
    [known] = [name for name in swept.files() if swept.jobs["again"] in name and name.endswith(".zst")]
    lost = swept.put(segment(swept.jobs["again"]))
    first = swept.put(manifest.replace(".2.json", ".1.json").removeprefix("css/log/prod/"))
    told = (swept.installation.bucket / manifest).read_bytes().replace(known.encode(), lost.encode())
    (swept.installation.bucket / first).write_bytes(told)
    assert swept.sweep() == []
    assert {f.object for f in swept.installation.findings(swept.prod)} == {lost, first}


def test_an_object_that_is_committed_after_the_listing_stays(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    swept.put(segment(swept.jobs["again"]))
    left = sweep(swept.installation.runtime, swept.prod, grace_ms=GRACE, remove=True)
    scan = orphans.OrphanScanner.scan
    known = next(name for name in swept.files() if swept.jobs["success"] in name and name.endswith(".zst"))

    def listed_before(self, found):  # type: ignore[no-untyped-def]
        for verdict, unknown_object in scan(self, found):
            was = replace(unknown_object, object=replace(unknown_object.object, name=known))
            yield verdict, was

    monkeypatch.setattr(orphans.OrphanScanner, "scan", listed_before)
    before = swept.files()
    assert [(one.fate, one.reason) for one in left] == [(Fate.KEPT, "it was committed meanwhile")]
    assert swept.files() == before


def _finish_running(swept: Swept) -> None:
    job = swept.installation.job(swept.jobs["running"])
    swept.installation.run(job)


names = st.sampled_from(
    ["n1/es.log", "n2/gc.log", "inner/n1/es.log", "_manifests", "x", "../prod2/n1/es.log", "../prod.old/n/f"]
)
forms = st.sampled_from(
    [
        "{g}-{s}-{job}.{u}.zst",
        "{g}-{s}-{job}.{u}.zst.bak",
        "20261124T000000000Z-{job}.7.json",
        "20261124T000000000Z-{job}.7.json.sig",
        "{job}",
    ]
)
jobs = st.sampled_from(["success", "again", "fail", "running", "unknown", "other"])
ages = st.sampled_from([0, GRACE - 1, GRACE + 1, 100 * GRACE])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.tuples(names, forms, jobs, ages), max_size=8))
def test_whatever_lies_there_only_old_orphans_go(swept: Swept, put: list[tuple[str, str, str, int]]) -> None:
    before = swept.files()
    allowed: set[str] = set()
    for folder, form, job, age in put:
        name = form.format(g="0" * 7 + "1", s="0" * 15, job=swept.jobs[job], u="9-9")
        path = swept.put(f"{folder}/{name}", age)
        segment_form = folder in ("n1/es.log", "n2/gc.log") and name.endswith(".zst")
        signature_form = folder == "_manifests" and name.endswith(".sig")
        manifest_form = folder == "_manifests" and name.endswith(".json") and job != "unknown"
        ended = job in ("again", "fail", "unknown")
        if ended and age > GRACE and (segment_form or signature_form or manifest_form):
            allowed.add(os.path.normpath(path))
    try:
        told = swept.sweep()
        gone = {os.path.normpath(one.object) for one in told if one.fate is Fate.REMOVED}
        after = swept.files()
        assert gone <= allowed
        assert before.items() <= after.items()
    finally:
        for name in set(swept.files()) - set(before):
            (swept.installation.bucket / name).unlink()


def test_restore_and_verification_are_as_before(swept: Swept) -> None:
    _finish_running(swept)
    before = swept.installation.restored(swept.prod)
    for how in ("again", "fail", "unknown"):
        swept.put(segment(swept.jobs[how]))
    assert [one.fate for one in swept.sweep()] == [Fate.REMOVED] * 3
    assert swept.installation.restored(swept.prod) == before
    told = swept.installation.verify(swept.prod, read_data=True, chain=True)
    assert not [one for one in told if isinstance(one, Finding)]
    assert swept.installation.job(swept.jobs["again"]).status is JobStatus.SUCCESS
