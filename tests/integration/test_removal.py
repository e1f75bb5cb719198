"""A cluster that was removed on purpose is not brought back by a rebuild, unless somebody says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.errors import InvalidField
from logkeep.service import clusters, log_settings
from logkeep.service.rebuild import rebuild
from logkeep.service.rebuild_report import State
from logkeep.stores.layout import Removal, encode_removal, manifest_hash, removal_object
from tests.integration.test_rebuild import forget
from tests.support.installation import SETTING, Installation


def states(installation: Installation, **asked: list[str]) -> list[State]:
    return [one.state for one in rebuild(installation.runtime, ["logs"], **asked).clusters]


def kept(installation: Installation, cluster: Cluster, logs: Path) -> None:
    (logs / "es.log").write_bytes(b"line\n")
    installation.back_up(cluster)


def test_a_removed_cluster_is_left_out_by_a_rebuild_and_taken_up_where_somebody_says_so(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    kept(installation, cluster, logs)
    assert clusters.remove_cluster(installation.runtime, cluster) is None
    lost = forget(installation)
    outcome = rebuild(lost.runtime, ["logs"])
    assert [(one.state, one.cluster_id, one.problems) for one in outcome.clusters] == [(State.REMOVED, cluster.id, [])]
    assert outcome.problems == []
    assert states(lost, adopt=[cluster.id]) == [State.REBUILT]
    assert lost.restored(cluster) == {("n1", "es.log"): b"line\n"}


def test_a_cluster_that_was_taken_up_again_and_went_on_is_rebuilt(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    kept(installation, cluster, logs)
    clusters.remove_cluster(installation.runtime, cluster)
    lost = forget(installation)
    states(lost, adopt=[cluster.id])
    (logs / "es.log").write_bytes(b"line\nmore\n")
    lost.back_up(cluster)
    again = forget(lost)
    assert states(again) == [State.REBUILT]
    assert again.restored(cluster) == {("n1", "es.log"): b"line\nmore\n"}


def test_a_removal_that_no_trusted_key_signed_hides_nothing(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    kept(installation, cluster, logs)
    [manifest] = installation.bucket.rglob("_manifests/*.json")
    name = removal_object("css/log/prod", 5, cluster.id)
    last = manifest_hash(manifest.read_bytes())
    removal = Removal(1, cluster.id, "prod", name, 5, last, installation.runtime.signing.key)
    forged = installation.bucket / name
    forged.parent.mkdir()
    forged.write_bytes(encode_removal(removal))
    for signature in (None, bytes(64)):
        if signature:
            forged.with_name(f"{forged.name}.sig").write_bytes(signature)
        lost = forget(installation)
        outcome = rebuild(lost.runtime, ["logs"])
        assert [one.state for one in outcome.clusters] == [State.REBUILT]
        assert ["counts for nothing" in one for one in outcome.problems] == [True]


def test_a_removal_that_the_bucket_does_not_take_is_carried_out_and_told(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    kept(installation, cluster, logs)
    installation.bucket.rename(installation.folder / "away")
    problem = clusters.remove_cluster(installation.runtime, cluster)
    assert problem.startswith(
        "the bucket logs could not be told that prod was removed, so a rebuild would bring it back"
    )
    assert clusters.find_clusters(installation.runtime) == []


def test_a_cluster_of_the_same_name_is_not_mixed_into_the_archive_of_a_removed_one(
    installation: Installation, cluster: Cluster, logs: Path
) -> None:
    kept(installation, cluster, logs)
    clusters.remove_cluster(installation.runtime, cluster)
    with pytest.raises(InvalidField, match=rf"^log_base_path: css/log/prod .* {cluster.id}; .*--adopt {cluster.id}"):
        installation.add_cluster(n1=logs)
    [again] = clusters.find_clusters(installation.runtime, "prod")
    log_settings.open_backup(installation.runtime, again, replace(SETTING, base_path="css/other"))
    assert installation.back_up(again).status is JobStatus.SUCCESS
    log_settings.update_setting(installation.runtime, again, replace(SETTING, base_path="css/other"))


def test_a_cluster_that_was_never_backed_up_leaves_nothing_in_the_bucket(
    installation: Installation, cluster: Cluster
) -> None:
    clusters.remove_cluster(installation.runtime, cluster)
    assert not list(installation.bucket.rglob("_removed"))
