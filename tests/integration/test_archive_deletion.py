"""A cluster is removed with its archive: all that is of it goes from its buckets, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from logkeep.domain.cluster import Cluster
from logkeep.errors import ArchiveProtected, BackupRunning, BucketNotWritable, InvalidField, StoreDenied, StoreError
from logkeep.service import archive_deletion, backups, clusters, log_settings, protection, retention
from logkeep.service.archive_deletion import delete_most_due, list_deletions, remove_with_archive
from logkeep.service.rebuild import rebuild
from tests.support.installation import SETTING, Installation

HOUR = 3_600_000


@pytest.fixture
def kept(installation: Installation, cluster: Cluster, logs: Path) -> Cluster:
    """With three backups."""
    for number in range(3):
        (logs / f"log{number}.log").write_bytes(b"[2026-01-02T06:40:21,123] a line\n" * 10)
        installation.back_up(cluster)
    return cluster


def files(installation: Installation) -> list[str]:
    found = (str(path.relative_to(installation.bucket)) for path in installation.bucket.rglob("*") if path.is_file())
    return sorted(found)


def remove(installation: Installation, cluster: Cluster) -> archive_deletion.ArchiveDeletion:
    return remove_with_archive(installation.runtime, cluster, name=cluster.name, who="alice")


def work(installation: Installation) -> Any:
    due = delete_most_due(installation.runtime)
    assert due
    return list(due[1])[-1]


def refuse(installation: Installation, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Let the bucket keep objects whose names have this part."""
    store = installation.runtime.stores["logs"]
    removes = store.remove

    def remove_some(names: list[str]) -> list[StoreError | None]:
        removed = iter(removes([name for name in names if part not in name]))
        return [StoreDenied("it is locked") if part in name else next(removed) for name in names]

    monkeypatch.setattr(store, "remove", remove_some)


def test_all_of_the_archive_goes_and_its_folder_is_free_again(
    installation: Installation, kept: Cluster, logs: Path, shared_folder: None
) -> None:
    size = sum((installation.bucket / name).stat().st_size for name in files(installation) if "css/" in name)
    stranger = installation.bucket / "css/log/prod/notes.txt"
    stranger.write_text("of somebody")
    remove(installation, kept)
    assert len(list((installation.bucket / "css/log/prod/_removed").iterdir())) == 2
    other = clusters.add_cluster(
        installation.runtime, installation.project.id, "prod", [clusters.NewNode("n1", f"file://{logs}")]
    )
    with pytest.raises(InvalidField, match="keeps or kept"):
        log_settings.open_backup(installation.runtime, other, SETTING)
    done = work(installation)
    assert done.done
    assert done.waiting == 0
    assert [name for name in files(installation) if name.startswith("css/")] == ["css/log/prod/notes.txt"]
    [deletion] = list_deletions(installation.runtime, kept.project_id)
    assert deletion.finished_at
    assert deletion.stored >= size
    log_settings.open_backup(installation.runtime, other, SETTING)
    assert delete_most_due(installation.runtime) is None


def test_it_is_named_twice_and_refused_while_something_needs_it(installation: Installation, kept: Cluster) -> None:
    before = files(installation)
    with pytest.raises(InvalidField, match="prod"):
        remove_with_archive(installation.runtime, kept, name="prod2", who="alice")
    made = protection.protect(
        installation.runtime, kept, why="audit", who="bob", span_from="2026-01-01", span_until="2026-01-02"
    )
    with pytest.raises(ArchiveProtected, match="bob: audit"):
        remove(installation, kept)
    protection.unprotect(installation.runtime, kept, made.id, "bob")
    job = backups.start_backup(installation.runtime, kept)
    with pytest.raises(BackupRunning):
        remove(installation, kept)
    installation.run(job)
    assert set(before) <= set(files(installation))
    assert clusters.get_cluster(installation.runtime, kept.project_id, kept.id)


def test_nothing_is_removed_while_the_bucket_cannot_be_told(
    installation: Installation, kept: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(*_: object) -> int:
        raise StoreDenied("no")

    monkeypatch.setattr(installation.runtime.stores["logs"], "put", put)
    with pytest.raises(BucketNotWritable, match="Nothing was removed"):
        remove(installation, kept)
    assert clusters.get_cluster(installation.runtime, kept.project_id, kept.id)
    assert not list_deletions(installation.runtime)


def test_what_the_bucket_keeps_is_tried_again_and_its_manifests_stay(
    installation: Installation, kept: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        refuse(installation, patch, "log1.log")
        remove(installation, kept)
        assert work(installation).waiting == 1
    assert [len(installation.objects()), len(list(installation.bucket.rglob("_manifests/*.json")))] == [1, 3]
    [deletion] = list_deletions(installation.runtime)
    assert (deletion.waiting, deletion.reason) == (1, "LK-STORE-DENIED: it is locked")
    assert delete_most_due(installation.runtime) is None
    installation.clock.advance(HOUR)
    assert work(installation).waiting == 0
    assert not [name for name in files(installation) if name.startswith("css/")]


def test_a_deletion_that_broke_off_goes_on_and_a_rebuild_meanwhile_restores_nothing(
    installation: Installation, kept: Cluster
) -> None:
    remove(installation, kept)
    due = delete_most_due(installation.runtime)
    assert due
    next(due[1])
    due[1].close()
    [outcome] = rebuild(installation.runtime, ["logs"]).clusters
    assert outcome.state == "removed"
    assert work(installation).done
    assert not rebuild(installation.runtime, ["logs"]).clusters


def test_objects_of_another_cluster_in_the_same_folder_stay(
    installation: Installation, kept: Cluster, logs: Path, shared_folder: None
) -> None:
    """As where one of the name was removed, and its archive was left."""
    clusters.remove_cluster(installation.runtime, kept)
    before = files(installation)
    again = installation.add_cluster(n1=logs)
    installation.back_up(again)
    retention.set_rules(installation.runtime, again, [], "alice")
    remove(installation, again)
    assert work(installation).done
    assert files(installation) == before
    [deletion] = list_deletions(installation.runtime)
    assert "stay in its folders" in deletion.reason
