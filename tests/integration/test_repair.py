"""What a bucket lost is kept again from the nodes that still have the very bytes, and nothing else is."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.backup import repair
from logkeep.backup.segment import Sizes
from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.errors import BackupRunning, StoreDenied, StoreError
from logkeep.service import backup_run, backups, clusters, job_details
from logkeep.service.rebuild import rebuild
from logkeep.service.rebuild_report import State
from logkeep.service.repair import SegmentRepair
from logkeep.stores.base import ObjectStore, put_each
from tests.integration.test_rebuild import forget
from tests.support.installation import Installation

_SCRIPT = Path(__file__).parents[2] / "docs" / "verify_chain.py"


@pytest.fixture(autouse=True)
def _small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_run, "SIZES", Sizes(700, 7000))


def lines(first: int, last: int) -> bytes:
    text = "[2026-11-24T{:02}:{:02}:{:02},000][INFO ] line {}\n"
    return "".join(text.format(n // 3600, n // 60 % 60, n % 60, n) for n in range(first, last)).encode()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "n1"
    folder.mkdir()
    (folder / "es.log").write_bytes(lines(0, 400))
    (folder / "gc.log").write_bytes(lines(1000, 1100))
    return folder


@pytest.fixture
def kept(installation: Installation, logs: Path) -> Cluster:
    """A cluster with two backups; es.log grew between them and is three objects."""
    cluster = installation.add_cluster(n1=logs)
    installation.back_up(cluster)
    with (logs / "es.log").open("ab") as log:
        log.write(lines(400, 500))
    installation.back_up(cluster)
    return cluster


def repaired(installation: Installation, cluster: Cluster) -> BackupJob:
    installation.clock.advance(1000)
    return installation.run(backups.start_backup(installation.runtime, cluster, repair=True))


def told(installation: Installation, job: BackupJob) -> dict[str, str]:
    """By object, what the job says of segments."""
    warnings = job_details.get_detail(installation.runtime, installation.project.id, job.job_id).warnings
    return {one.file: f"{one.code} {one.message}" for one in warnings if one.code.startswith("LK-SEGMENT")}


def contents(installation: Installation) -> Mapping[Path, bytes]:
    return {path: path.read_bytes() for path in installation.objects()}


def check_whole(installation: Installation, cluster: Cluster) -> None:
    assert not installation.findings(cluster, read_data=True, chain=True)
    keys = installation.folder / "sign.pub"
    ran = subprocess.run(
        [sys.executable, str(_SCRIPT), str(keys), str(installation.bucket)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout


def test_missing_and_damaged_objects_are_the_same_bytes_again(
    installation: Installation, kept: Cluster, logs: Path
) -> None:
    before = contents(installation)
    restored = installation.restored(kept)
    missing, damaged, cut, *_ = before
    missing.unlink()
    damaged.write_bytes(before[damaged][:-9] + bytes(9))
    cut.write_bytes(before[cut][:100])
    assert {one.on_node for one in installation.findings(kept, read_data=True)} == {True}
    job = repaired(installation, kept)
    assert job.status is JobStatus.SUCCESS
    assert {path: data for path, data in contents(installation).items() if path in before} == before
    said = told(installation, job)
    names = [str(path.relative_to(installation.bucket)) for path in (missing, damaged, cut)]
    assert sorted(said) == sorted(names)
    assert all(text.startswith("LK-SEGMENT-REPAIRED") for text in said.values())
    assert "(missing)" in said[names[0]]
    check_whole(installation, kept)
    assert installation.restored(kept) == restored
    assert not told(installation, installation.back_up(kept))


@pytest.mark.parametrize("how", ["rotated", "compressed", "moved to a folder"])
def test_bytes_are_found_under_any_name(installation: Installation, kept: Cluster, logs: Path, how: str) -> None:
    before = contents(installation)
    for path in before:
        path.unlink()
    if how == "rotated":
        (logs / "es.log").rename(logs / "es.log.1")
        (logs / "es.log").write_bytes(lines(600, 700))
    elif how == "compressed":
        (logs / "es-2026-11-24-1.log.gz").write_bytes(gzip.compress((logs / "es.log").read_bytes()))
        (logs / "es.log").unlink()
    else:
        (logs / "old").mkdir()
        (logs / "es.log").rename(logs / "old" / "anything")
    installation.findings(kept)
    repaired(installation, kept)
    assert {path: data for path, data in contents(installation).items() if path in before} == before
    check_whole(installation, kept)


def test_a_name_is_no_proof(installation: Installation, kept: Cluster, logs: Path) -> None:
    """The file has the name, size, time and head of what is lost, and one byte is another one."""
    damaged = installation.objects()[0]
    stored = damaged.read_bytes()
    segment = installation.segment_of(kept, damaged)
    file = logs / segment.name
    data = bytearray(file.read_bytes())
    data[segment.frames[-1].start + 30] ^= 1
    file.write_bytes(data)
    damaged.write_bytes(stored[:-1])
    installation.findings(kept)
    said = told(installation, repaired(installation, kept))
    assert said[segment.object].startswith("LK-SEGMENT-LOST")
    assert "no file of the node has these bytes" in said[segment.object]
    assert damaged.read_bytes() == stored[:-1]  # nothing was written over it
    finding, *_ = installation.findings(kept)
    assert (finding.object, finding.start, finding.end) == (segment.object, segment.frames[-1].start, segment.end)
    assert not finding.on_node  # so that nobody is told to try it again
    assert not told(installation, installation.back_up(kept))


def test_what_compresses_otherwise_is_not_called_the_same(
    installation: Installation, kept: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = installation.objects()[0]
    missing.unlink()
    installation.findings(kept)
    compress = repair.compress_frame
    monkeypatch.setattr(repair, "compress_frame", lambda raw: b"another form" + compress(raw)[-4:])
    said = told(installation, repaired(installation, kept))
    [text] = said.values()
    assert text.startswith("LK-SEGMENT-LOST") and "compresses them otherwise" in text
    assert not missing.exists()


def test_a_node_that_has_deleted_the_file_leaves_it_lost(installation: Installation, kept: Cluster, logs: Path) -> None:
    lost = [path for path in installation.objects() if "gc.log" in path.parts]
    for path in lost:
        path.unlink()
    (logs / "gc.log").unlink()
    installation.findings(kept)
    assert installation.back_up(kept).status is JobStatus.SUCCESS  # which was not asked to repair
    assert not any(one.on_node for one in installation.findings(kept))
    said = told(installation, repaired(installation, kept))
    assert len(said) == len(lost)
    assert all("copy" in text and "back from a replica" in text for text in said.values())
    assert [one.problem for one in installation.findings(kept)] == ["missing"] * len(lost)


def test_an_empty_directory_proves_no_loss(installation: Installation, kept: Cluster, logs: Path) -> None:
    """As a volume that is not mounted; the next backup, asked or not, looks again."""
    installation.objects()[0].unlink()
    installation.findings(kept)
    away = logs.rename(logs.parent / "away")
    logs.mkdir()
    said = told(installation, repaired(installation, kept))
    assert "no file at all is in the log directory" in "".join(said.values())
    logs.rmdir()
    away.rename(logs)
    assert "LK-SEGMENT-REPAIRED" in "".join(told(installation, installation.back_up(kept)).values())
    check_whole(installation, kept)


def test_a_node_that_does_not_answer_is_asked_by_the_next_backup(
    installation: Installation, kept: Cluster, logs: Path
) -> None:
    installation.objects()[0].unlink()
    installation.findings(kept)
    away = logs.rename(logs.parent / "away")
    assert repaired(installation, kept).status is JobStatus.FAIL
    away.rename(logs)
    assert told(installation, installation.back_up(kept))
    check_whole(installation, kept)


class ReadOnly:
    """A store that refuses to write one kind of object."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.refused = 0

    def put(self, name: str, chunks: Iterator[bytes]) -> int:
        if not name.endswith(".zst"):
            return self._store.put(name, chunks)
        self.refused += 1
        raise StoreDenied("no right to write")

    def put_many(self, objects: Sequence[tuple[str, bytes]]) -> list[int | StoreError]:
        return put_each(self.put, objects, 1)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_a_bucket_that_refuses_is_told_and_tried_again(installation: Installation, kept: Cluster) -> None:
    paths = installation.objects()
    for path in paths:
        path.unlink()
    installation.findings(kept)
    store = ReadOnly(installation.runtime.stores["logs"])
    refusing = replace(installation, runtime=replace(installation.runtime, stores={"logs": store}))
    job = repaired(refusing, kept)
    assert job.status is JobStatus.SUCCESS  # nothing new was to be stored
    assert store.refused == 3 < len(paths)  # which is enough to know
    assert all("LK-STORE-DENIED" in text for text in told(installation, job).values())
    assert told(installation, installation.back_up(kept)).keys() == {
        str(path.relative_to(installation.bucket)) for path in paths
    }
    check_whole(installation, kept)


def test_what_was_copied_back_meanwhile_is_left_alone(
    installation: Installation, kept: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = installation.objects()[0]
    data = path.read_bytes()
    path.unlink()
    installation.findings(kept)
    path.write_bytes(data)
    monkeypatch.setattr(SegmentRepair, "_put", lambda *_: pytest.fail("it is whole"))
    assert not told(installation, repaired(installation, kept))
    check_whole(installation, kept)


def test_segments_of_a_node_that_was_removed_are_told_as_lost(
    installation: Installation, kept: Cluster, tmp_path: Path
) -> None:
    installation.objects()[0].unlink()
    installation.findings(kept)
    (tmp_path / "n2").mkdir()
    change = clusters.ClusterChange(nodes=[clusters.NewNode("n2", f"file://{tmp_path / 'n2'}")], remove_nodes=["n1"])
    changed = clusters.update_cluster(installation.runtime, kept, change)
    assert not any(one.on_node for one in installation.findings(changed))
    assert "its node is no longer registered" in "".join(told(installation, repaired(installation, kept)).values())


def test_nothing_is_asked_while_another_backup_runs(installation: Installation, kept: Cluster) -> None:
    path = installation.objects()[0]
    path.unlink()
    installation.findings(kept)
    job = backups.start_backup(installation.runtime, kept)
    with pytest.raises(BackupRunning):
        backups.start_backup(installation.runtime, kept, repair=True)
    assert not told(installation, installation.run(job))
    assert not path.exists()


def test_a_verification_meanwhile_forgets_nothing(installation: Installation, kept: Cluster) -> None:
    path = installation.objects()[0]
    path.unlink()
    installation.findings(kept)
    installation.clock.advance(1000)
    job = backups.start_backup(installation.runtime, kept, repair=True)
    installation.findings(kept, read_data=True)
    installation.run(job)
    assert path.exists()


def test_more_segments_than_are_looked_for_at_a_time(
    installation: Installation, kept: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logkeep.service.repair._AT_ONCE", 2)
    before = contents(installation)
    assert len(before) > 4
    for path in before:
        path.unlink()
    installation.findings(kept)
    assert len(told(installation, repaired(installation, kept))) == len(before)
    check_whole(installation, kept)


def test_a_catalogue_made_anew_tells_of_the_repair_and_goes_on(
    installation: Installation, kept: Cluster, logs: Path
) -> None:
    before, restored = contents(installation), installation.restored(kept)
    installation.objects()[0].unlink()
    installation.findings(kept)
    job = repaired(installation, kept)
    said = told(installation, job)
    assert len(said) == 1
    installation = forget(installation)
    [rebuilt] = rebuild(installation.runtime, ["logs"]).clusters
    assert (rebuilt.state, rebuilt.problems, rebuilt.objects) == (State.REBUILT, [], len(before))
    assert told(installation, job) == said
    assert installation.restored(kept) == restored
    check_whole(installation, kept)
    with (logs / "es.log").open("ab") as log:
        log.write(lines(500, 510))
    assert installation.back_up(kept).status is JobStatus.SUCCESS
    assert contents(installation).items() > before.items() and len(installation.objects()) == len(before) + 1
    check_whole(installation, kept)


def test_what_was_lost_before_the_catalogue_was_is_kept_again(installation: Installation, kept: Cluster) -> None:
    before = contents(installation)
    installation.objects()[0].unlink()
    installation = forget(installation)
    [rebuilt] = rebuild(installation.runtime, ["logs"]).clusters
    assert rebuilt.state is State.REBUILT
    assert [one.on_node for one in installation.findings(kept)] == [True]
    repaired(installation, kept)
    assert contents(installation) == before
    check_whole(installation, kept)
