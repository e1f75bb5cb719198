"""`cluster add --adopt`: what a bucket holds of a cluster is taken up while the service runs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster, NewNode
from logkeep.errors import ChainForked, ClusterNotFound, InvalidField, NameTaken
from logkeep.service import clusters, identity, log_settings
from logkeep.service.adoption import Adoption, adopt_cluster
from logkeep.service.rebuild import rebuild
from logkeep.service.rebuild_report import Rebuilt
from tests.integration.test_put_back import back_up_and_copy, put_back, write
from tests.integration.test_rebuild import everything, forget
from tests.support.installation import SETTING, Installation

NOWHERE = "00000000-0000-4000-8000-000000000000"


def adopt(installation: Installation, cluster: Cluster, name: str = "prod", **asked: object) -> tuple[Cluster, Rebuilt]:
    project_id = installation.project.id
    done = adopt_cluster(installation.runtime, project_id, replace(Adoption(cluster.id, name), **asked))
    return clusters.get_cluster(installation.runtime, project_id, cluster.id), done


def fork_chain(
    installation: Installation, cluster: Cluster, logs: Path, folder: Path
) -> tuple[Installation, list[Path], list[Path]]:
    """Two backups that follow the same one; the manifests that only the database knows, and those of the other."""
    installation = back_up_and_copy(installation, cluster, logs, folder / "copy")
    manifests = installation.bucket / "css/log/prod/_manifests"
    common = set(manifests.glob("*.json"))
    write(logs, 2)
    installation.back_up(cluster)
    [other] = set(manifests.glob("*.json")) - common
    hidden = [path.rename(folder / path.name) for path in (other, Path(f"{other}.sig"))]
    installation = put_back(installation, folder / "copy")
    installation.clock.advance(1000)
    write(logs, 3)
    installation.back_up(cluster)
    mine = sorted(set(manifests.glob("*.json")) - common)
    for path in hidden:
        path.rename(manifests / path.name)
    return installation, mine, [other]


@pytest.fixture
def kept(installation: Installation, cluster: Cluster, logs: Path) -> Cluster:
    """A cluster with two backups."""
    for text in (b"line 1\n", b"line 1\nline 2\n"):
        (logs / "es.log").write_bytes(text)
        installation.back_up(cluster)
    return cluster


def test_a_removed_cluster_comes_back_whole_and_goes_on(installation: Installation, kept: Cluster, logs: Path) -> None:
    before = everything(installation, kept)
    clusters.remove_cluster(installation.runtime, kept)
    again, done = adopt(installation, kept)
    assert (done.records, done.objects, done.size, done.problems) == (2, 2, 14, [])
    after = everything(installation, again)
    assert after["cluster"].nodes == before["cluster"].nodes
    assert {name: after[name] for name in after if name != "cluster"} == {
        name: before[name] for name in before if name != "cluster"
    }
    (logs / "es.log").write_bytes(b"line 1\nline 2\nline 3\n")
    assert installation.back_up(again).status is JobStatus.SUCCESS
    assert installation.restored(again) == {("n1", "es.log"): b"line 1\nline 2\nline 3\n"}
    assert installation.findings(again, chain=True) == []


def test_an_archive_is_taken_up_under_another_name_and_with_other_sources(
    installation: Installation, kept: Cluster, logs: Path, tmp_path: Path
) -> None:
    clusters.remove_cluster(installation.runtime, kept)
    moved = logs.rename(tmp_path / "moved")
    (moved / "es.log").write_bytes(b"line 1\nline 2\nline 3\n")
    again, _ = adopt(installation, kept, "other", nodes=[NewNode("n1", f"file://{moved}")])
    assert [(node.name, node.id) for node in again.nodes] == [("n1", kept.nodes[0].id)]
    assert installation.back_up(again).status is JobStatus.SUCCESS
    assert installation.restored(again) == {("n1", "es.log"): b"line 1\nline 2\nline 3\n"}
    lost = forget(installation)
    with pytest.raises(ClusterNotFound):
        clusters.get_cluster(lost.runtime, lost.project.id, kept.id)


def test_an_archive_of_a_lost_database_is_taken_up_by_a_project_of_the_same_name(
    installation: Installation, kept: Cluster
) -> None:
    lost = forget(installation)
    lost.project = identity.add_project(lost.runtime, installation.project.name)
    assert lost.project.id != installation.project.id
    again, _ = adopt(lost, kept)
    assert lost.restored(again) == {("n1", "es.log"): b"line 1\nline 2\n"}


def test_another_project_cannot_take_an_archive_up(installation: Installation, kept: Cluster) -> None:
    other = replace(installation, project=identity.add_project(installation.runtime, "others"))
    with pytest.raises(ClusterNotFound):
        adopt(other, kept)
    clusters.remove_cluster(installation.runtime, kept)
    with pytest.raises(ClusterNotFound, match=f"no archive of cluster {kept.id} of this project in logs"):
        adopt(other, kept)
    assert clusters.find_clusters(installation.runtime) == []


def test_an_archive_that_no_trusted_key_signed_is_not_taken_up(installation: Installation, kept: Cluster) -> None:
    stranger = forget(installation, keys=True)
    stranger.project = identity.add_project(stranger.runtime, installation.project.name)
    with pytest.raises(ClusterNotFound, match=r"none of the 2 manifests .* is proven: .*--trust sign\.pub"):
        adopt(stranger, kept)
    assert clusters.find_clusters(stranger.runtime) == []


def test_a_manifest_that_somebody_put_behind_the_last_one_is_left_out_and_told(
    installation: Installation, kept: Cluster
) -> None:
    clusters.remove_cluster(installation.runtime, kept)
    last = max(installation.bucket.rglob("_manifests/*.json"))
    forged = json.loads(last.read_bytes()) | {"cluster_id": kept.id, "number": 3}
    (last.parent / last.name.replace(last.name[:4], "9999", 1)).write_text(json.dumps(forged))
    again, done = adopt(installation, kept)
    assert len(done.problems) == 1
    assert "its signature is missing, and no proven manifest follows it; left out" in done.problems[0]
    assert installation.restored(again) == {("n1", "es.log"): b"line 1\nline 2\n"}


def test_two_chains_are_told_before_they_stop_every_backup(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path
) -> None:
    installation, [mine], [other] = fork_chain(installation, cluster, logs, tmp_path)
    clusters.remove_cluster(installation.runtime, cluster)
    with pytest.raises(ChainForked, match="nothing was taken up") as caught:
        adopt(installation, cluster)
    told = re.search(r"either \S+/(\S+), or \S+/(\S+)$", str(caught.value))
    assert told
    assert set(told.groups()) == {mine.name, other.name}
    for path in (other, Path(f"{other}.sig")):
        path.unlink()  # as it says
    again, done = adopt(installation, cluster)
    assert (done.records, done.problems) == (2, [])
    assert installation.back_up(again).status is JobStatus.SUCCESS


def test_a_rebuild_says_what_is_to_be_moved_away_before_the_next_backup(
    installation: Installation, cluster: Cluster, logs: Path, tmp_path: Path
) -> None:
    installation, *_ = fork_chain(installation, cluster, logs, tmp_path)
    lost = forget(installation)
    [done] = rebuild(lost.runtime, ["logs"]).clusters
    [problem] = done.problems
    [end] = {text.rpartition("/")[2] for text in re.findall(r"\S+\.json", problem)}
    assert "LK-CHAIN-FORKED" in problem
    assert lost.back_up(cluster).status is JobStatus.FAIL
    for path in installation.bucket.rglob(f"_manifests/{end}*"):
        path.unlink()
    assert lost.back_up(cluster).status is JobStatus.SUCCESS


def test_a_cluster_that_is_registered_is_not_taken_up_again(
    installation: Installation, kept: Cluster, logs: Path
) -> None:
    with pytest.raises(NameTaken, match="registered already, as prod"):
        adopt(installation, kept, "other")
    clusters.remove_cluster(installation.runtime, kept)
    clusters.add_cluster(installation.runtime, installation.project.id, "prod", [NewNode("n", f"file://{logs}")])
    with pytest.raises(NameTaken, match="there is a cluster named prod"):
        adopt(installation, kept)


def test_what_cannot_be_taken_up_is_told_as_what_it_is(
    installation: Installation, kept: Cluster, tmp_path: Path
) -> None:
    clusters.remove_cluster(installation.runtime, kept)
    with pytest.raises(ClusterNotFound, match="no archive"):
        adopt(installation, replace(kept, id=NOWHERE))
    with pytest.raises(InvalidField, match=r"^buckets: no bucket 'none' is configured; there are logs"):
        adopt(installation, kept, buckets=["none"])
    with pytest.raises(InvalidField, match=r"^nodes.source: "):
        adopt(installation, kept, nodes=[NewNode("n1", "ftp://x/y")])
    last = max(installation.bucket.rglob("_manifests/*.json"))
    last.write_bytes(b"{}")
    last.with_name(f"{last.name}.sig").write_bytes(installation.runtime.signing.sign(b"{}"))
    with pytest.raises(ClusterNotFound, match=f"{last.name} in logs is signed and nothing follows it, but it cannot"):
        adopt(installation, kept)
    assert clusters.find_clusters(installation.runtime) == []


def test_log_backup_stays_closed_where_another_cluster_has_the_place_by_now(
    installation: Installation, kept: Cluster, logs: Path
) -> None:
    clusters.remove_cluster(installation.runtime, kept)
    other = clusters.add_cluster(
        installation.runtime, installation.project.id, "deep", [NewNode("n1", f"file://{logs}")]
    )
    log_settings.open_backup(installation.runtime, other, replace(SETTING, base_path="css/log/prod/n1"))
    again, done = adopt(installation, kept)
    setting = log_settings.get_setting(installation.runtime, again)
    assert setting
    assert not setting.enabled
    assert any("its log backup is closed" in one for one in done.problems)


def test_only_the_folders_of_the_cluster_are_read_to_their_ends(
    installation: Installation, kept: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "n2").mkdir()
    new = [NewNode("n2", f"file://{tmp_path / 'n2'}")]
    other = clusters.add_cluster(installation.runtime, installation.project.id, "big", new)
    log_settings.open_backup(installation.runtime, other, SETTING)
    for number in range(5):
        (tmp_path / "n2" / "es.log").write_bytes(b"line\n" * (number + 1))
        installation.back_up(other)
    clusters.remove_cluster(installation.runtime, kept)
    read: list[str] = []
    store = installation.runtime.stores["logs"]
    get = type(store).get
    monkeypatch.setattr(
        type(store), "get", lambda self, name, *rest, **more: read.append(name) or get(self, name, *rest, **more)
    )
    adopt(installation, kept)
    assert len({name for name in read if "/big/" in name and name.endswith(".json")}) == 1


def test_an_entry_of_a_removal_that_nobody_signed_is_foreign(installation: Installation, kept: Cluster) -> None:
    clusters.remove_cluster(installation.runtime, kept)
    again, _ = adopt(installation, kept)
    assert installation.findings(again) == []
    [entry] = installation.bucket.rglob("_removed/*.json")
    entry.with_name(entry.name.replace("Z-", "Z-f", 1)[:-6] + ".json").write_bytes(entry.read_bytes())
    entry.with_name(f"{entry.name}.sig").write_bytes(bytes(64))
    assert {one.problem.partition(":")[0] for one in installation.findings(again)} == {"foreign"}
    assert len(installation.findings(again)) == 3
