"""The database is lost: the bucket gives it back."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from logkeep import bootstrap
from logkeep.clock import FixedClock
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSettingChange
from logkeep.keyfiles import SIGN_FILE, TRUST_FILE, create_keys, open_signing, trust_keys
from logkeep.service import archive, backups, clusters, identity, log_settings
from logkeep.service.rebuild import State, rebuild
from logkeep.settings import load_settings
from tests.installation import Installation, new_database
from tests.rotation import SimulatedNode

NODES = ("n1", "n2")
FAMILIES = {
    "prod_server.json": "dated",
    "prod_index_search_slowlog.json": "index",
    "gc.log": "jvm_start",
    "app.log": "copytruncate",
}


def forget(installation: Installation, *, keys: bool = False) -> Installation:
    """Lose the database, and with `keys` all files of the installation but the settings and the bucket."""
    installation.context.database.dispose()
    for path in installation.folder.glob("logkeep.db*"):
        path.unlink()
    if keys:
        for path in installation.folder.glob("*.key"):
            path.unlink()
        (installation.folder / TRUST_FILE).rename(installation.folder / "old.pub")
        create_keys(installation.folder)
    environment = new_database()
    context = bootstrap.make_context(load_settings(installation.folder, environment))
    context = replace(context, enqueue=lambda *_: None, clock=installation.clock)
    return replace(installation, context=context, environment=environment)


def everything(installation: Installation, cluster: Cluster) -> dict[str, Any]:
    """All that can be asked about a cluster."""
    context = installation.context
    found = clusters.get_cluster(context, cluster.project_id, cluster.id)
    records, total = backups.list_jobs(context, cluster.project_id, cluster.id, limit=1000)
    return {
        "cluster": found,
        "setting": log_settings.get_setting(context, found),
        "records": (records, total),
        "gaps": {job.job_id: installation.gaps(job) for job in records},
        "kept": list(archive.list_kept(context, found)),
        "restored": installation.restored(found),
        "findings": installation.findings(found, chain=True),
        "project": identity.list_projects(context, name="cn-north-4"),
    }


def live(installation: Installation, tmp_path: Path, *, rounds: int = 5) -> Cluster:
    """Some days of two nodes: rotations, an unreadable file, a bucket that is away, a moved base path, an empty log."""
    nodes = {name: SimulatedNode(tmp_path / name, seed) for seed, name in enumerate(NODES)}
    cluster = installation.add_cluster(**{name: tmp_path / name for name in NODES})
    for round_ in range(rounds):
        for node in nodes.values():
            for family, manner in FAMILIES.items():
                node.write(family, 20)
                if round_:
                    node.rotate(family, manner)
                    node.write(family, 5)
        (tmp_path / "n1" / "empty.log").touch()
        if round_ == 1:
            os.rename(installation.bucket, installation.folder / "away")
            assert installation.back_up(cluster).status is JobStatus.FAIL
            os.rename(installation.folder / "away", installation.bucket)
        if round_ == 2:
            (tmp_path / "n2" / "broken.log.gz").write_bytes(b"\x1f\x8b\x08\x00nothing of a gzip file")
        if round_ == 3:
            (tmp_path / "n2" / "broken.log.gz").unlink()
            log_settings.update_setting(installation.context, cluster, LogSettingChange("a", "logs", "moved"))
        installation.back_up(cluster)
    return cluster


def test_rebuilt_catalogue_gives_the_same_answers_and_goes_on(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path)
    before = everything(installation, cluster)
    assert {job.status for job in before["records"][0]} == {JobStatus.SUCCESS, JobStatus.FAIL}
    assert len(before["records"][0]) == 6
    installation = forget(installation)
    [rebuilt] = list(rebuild(installation.context, ["logs"]))
    assert (rebuilt.state, rebuilt.problems, rebuilt.records) == (State.REBUILT, [], 6)
    assert everything(installation, cluster) == before
    stored = installation.objects()
    job = installation.back_up(cluster)
    assert (job.status, installation.gaps(job)) == (JobStatus.SUCCESS, ())
    assert installation.objects() == stored
    with (tmp_path / "n1" / "gc.log").open("ab") as file:
        file.write(b"[2026-11-24T00:00:00.000+0000][1][gc] one line more\n")
    installation.back_up(cluster)
    assert len(installation.objects()) == len(stored) + 1
    assert not installation.findings(cluster, chain=True)


def test_failures_that_were_cleared_stay_away(installation: Installation, tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    cluster = installation.add_cluster(n1=logs)
    assert installation.back_up(cluster).status is JobStatus.FAIL
    logs.mkdir()
    (logs / "es.log").write_bytes(b"line\n")
    installation.back_up(cluster)
    log_settings.close_backup(installation.context, cluster)
    installation.clock.advance(1000)
    log_settings.open_backup(installation.context, cluster, LogSettingChange("a", "logs", "css/log"))
    installation.back_up(cluster)
    before = everything(installation, cluster)
    installation = forget(installation)
    assert [one.problems for one in rebuild(installation.context, ["logs"])] == [[]]
    assert everything(installation, cluster) == before


def test_rebuild_of_what_is_known_changes_nothing(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    before = everything(installation, cluster)
    assert [one.state for one in rebuild(installation.context, ["logs"])] == [State.KNOWN]
    assert everything(installation, cluster) == before


def test_missing_manifest_is_told_and_the_rest_is_rebuilt(installation: Installation, tmp_path: Path) -> None:
    live(installation, tmp_path, rounds=3)
    manifests = sorted((installation.bucket / "css/log/prod/_manifests").glob("*.json"))
    manifests[1].unlink()
    installation = forget(installation)
    [rebuilt] = list(rebuild(installation.context, ["logs"]))
    assert rebuilt.state is State.REBUILT
    assert rebuilt.problems == [f"{manifests[2].relative_to(installation.bucket)}: the manifest before it is missing"]


def test_new_installation_takes_the_key_that_it_meets_first(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    old_key, restored = installation.context.signing_key, installation.restored(cluster)
    installation = forget(installation, keys=True)
    [rebuilt] = list(rebuild(installation.context, ["logs"]))
    assert (rebuilt.state, rebuilt.problems, rebuilt.new_key) == (State.REBUILT, [], old_key)
    assert installation.restored(cluster) == restored
    installation.back_up(cluster)  # signed with the new key
    assert not installation.findings(cluster, chain=True)


def test_manifest_of_a_strange_key_is_refused_until_the_key_is_trusted(
    installation: Installation, tmp_path: Path
) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    installation = forget(installation, keys=True)
    other = tmp_path / "other"
    other.mkdir()
    create_keys(other)
    trust_keys(installation.folder, (other / TRUST_FILE).read_bytes())  # so that this installation is no new one
    installation = forget(installation)
    [refused] = list(rebuild(installation.context, ["logs"]))
    assert (refused.state, refused.records) == (State.REFUSED, 0)
    assert "signed with a key that sign.pub does not hold" in refused.problems[0]
    assert clusters.list_clusters(installation.context, cluster.project_id) == ([], 0)
    [rebuilt] = list(rebuild(installation.context, ["logs"], unproven=True))
    assert rebuilt.state is State.REBUILT
    assert len(rebuilt.problems) == rebuilt.records - 1  # one record had no manifest, its bucket being away
    assert not installation.findings(cluster, read_data=True)
    installation = forget(installation)
    trust_keys(installation.folder, (installation.folder / "old.pub").read_bytes())
    installation = forget(installation)
    assert [one.problems for one in rebuild(installation.context, ["logs"])] == [[]]


def test_forged_cluster_beside_true_ones_is_refused(installation: Installation, tmp_path: Path) -> None:
    """Who can write to the bucket may not say which directories the next backup reads."""
    live(installation, tmp_path, rounds=1)
    [manifest] = (installation.bucket / "css/log/prod/_manifests").glob("*.json")
    strange = tmp_path / "strange"
    strange.mkdir()
    create_keys(strange)
    signing = open_signing(strange)
    document = json.loads(manifest.read_bytes().replace(b'/n1"', b'/etc"'))
    document |= {"cluster_id": "0" * 36, "key": signing.key}
    document["cluster"]["id"] = document["job"]["cluster_id"] = document["setting"]["cluster_id"] = "0" * 36
    forged = installation.bucket / "css/log/forged/_manifests" / manifest.name
    forged.parent.mkdir(parents=True)
    forged.write_text(json.dumps(document))
    Path(f"{forged}.sig").write_bytes(signing.sign(forged.read_bytes()))
    installation = forget(installation)
    states = {one.cluster_id: one.state for one in rebuild(installation.context, ["logs"])}
    assert states.pop("0" * 36) is State.REFUSED
    assert list(states.values()) == [State.REBUILT]


def test_removed_cluster_comes_back_beside_the_one_that_took_its_name(
    installation: Installation, tmp_path: Path
) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    (logs / "es.log").write_bytes(b"line\n")
    old = installation.add_cluster(n1=logs)
    installation.back_up(old)
    clusters.remove_cluster(installation.context, old)
    new = installation.add_cluster(n1=logs)
    installation.back_up(new)
    installation = forget(installation)
    found = {one.cluster_id: one.name for one in rebuild(installation.context, ["logs"])}
    assert found == {new.id: "prod", old.id: "prod.~1"}
    assert installation.restored(old) == installation.restored(new)


def test_installation_made_anew_takes_the_clusters_into_its_project(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    installation = forget(installation)
    project = identity.add_project(installation.context, "cn-north-4")
    [rebuilt] = list(rebuild(installation.context, ["logs"]))
    assert (rebuilt.state, rebuilt.project) == (State.REBUILT, "cn-north-4")
    assert [c.id for c in clusters.list_clusters(installation.context, project.id)[0]] == [cluster.id]


def test_bucket_under_another_name_is_rebuilt(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    restored = installation.restored(cluster)
    shutil.copytree(installation.bucket, installation.folder / "buckets" / "copy")
    shutil.rmtree(installation.bucket)
    (installation.folder / "logkeep.toml").write_text("[buckets.copy]\n")
    installation = forget(installation)
    assert [one.problems for one in rebuild(installation.context, ["copy"])] == [[]]
    assert installation.restored(cluster) == restored


def test_damaged_manifest_is_told(installation: Installation, tmp_path: Path) -> None:
    live(installation, tmp_path, rounds=2)
    manifest = min((installation.bucket / "css/log/prod/_manifests").glob("*.json"))
    manifest.write_bytes(b"{}")
    installation = forget(installation)
    rebuilt, damaged = rebuild(installation.context, ["logs"])
    assert rebuilt.state is State.REBUILT
    assert "the manifest before it is missing" in rebuilt.problems[0]
    assert (damaged.cluster_id, damaged.problems[0].startswith(str(manifest.relative_to(installation.bucket)))) == (
        "",
        True,
    )


def test_attempts_of_one_job_are_told_from_the_job_that_counts(installation: Installation, tmp_path: Path) -> None:
    """A job was killed between its manifest and the database, and ended at its second attempt."""
    logs = tmp_path / "n1"
    logs.mkdir()
    (logs / "es.log").write_bytes(b"line\n")
    cluster = installation.add_cluster(n1=logs)
    first = installation.back_up(cluster)
    [manifest] = (installation.bucket / "css/log/prod/_manifests").glob("*.json")
    later = manifest.with_name(manifest.name.replace(".1.json", ".2.json"))
    document = json.loads(manifest.read_bytes())
    data = json.dumps(document | {"notes": ["of the second attempt"]}).encode()
    later.write_bytes(data)
    Path(f"{later}.sig").write_bytes(installation.context.sign(data))
    installation = forget(installation)
    [rebuilt] = list(rebuild(installation.context, ["logs"]))
    assert (rebuilt.records, rebuilt.objects, rebuilt.problems) == (1, 1, [])
    assert backups.get_job(installation.context, cluster, first.job_id) == first
    assert isinstance(installation.clock, FixedClock)
    assert (installation.folder / SIGN_FILE).exists()
