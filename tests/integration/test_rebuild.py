"""The database is lost: the bucket gives it back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logkeep.bootstrap.runtime import make_runtime
from logkeep.clock import FixedClock
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSettingChange
from logkeep.domain.policy import PolicyRules, spread
from logkeep.keyfiles.creation import create_keys
from logkeep.keyfiles.files import SIGN_FILE, TRUST_FILE
from logkeep.keyfiles.signing import trust_keys
from logkeep.service import archive, backup_run, backups, clusters, forecasts, identity, log_settings, verification
from logkeep.service.rebuild import rebuild
from logkeep.service.rebuild_report import State
from logkeep.settings import load_settings
from logkeep.stores.layout import decode_manifest, manifest_hash
from tests.support.installation import SETTING, Installation, new_database, reopen_installation
from tests.support.rotation import SimulatedNode
from tests.support.tampering import (
    Document,
    follow,
    forge,
    invent,
    make_stranger,
    manifests,
    move_cluster,
    new_job,
    rewrite_chain,
    signature,
)

NODES = ("n1", "n2")
FAMILIES = {
    "prod_server.json": "dated",
    "prod_index_search_slowlog.json": "index",
    "gc.log": "jvm_start",
    "app.log": "copytruncate",
}


def forget(installation: Installation, *, keys: bool = False) -> Installation:
    """Lose the database, and with `keys` all files of the installation but the settings and the bucket."""
    installation.runtime.database.dispose()
    for path in installation.folder.glob("logkeep.db*"):
        path.unlink()
    if keys:
        for path in installation.folder.glob("*.key"):
            path.unlink()
        (installation.folder / TRUST_FILE).rename(installation.folder / "old.pub")
        create_keys(installation.folder)
    environment = new_database()
    runtime = make_runtime(load_settings(installation.folder, environment))
    runtime = replace(runtime, enqueue=lambda *_: None, clock=installation.clock)
    return replace(installation, runtime=runtime, environment=environment)


def everything(installation: Installation, cluster: Cluster) -> dict[str, Any]:
    """All that can be asked about a cluster."""
    runtime = installation.runtime
    found = clusters.get_cluster(runtime, cluster.project_id, cluster.id)
    records, total = backups.list_jobs(runtime, cluster.project_id, cluster.id, limit=1000)
    return {
        "cluster": found,
        "setting": log_settings.get_setting(runtime, found),
        "records": (records, total),
        "gaps": {job.job_id: installation.gaps(job) for job in records},
        "kept": list(archive.list_kept(runtime, found)),
        "restored": installation.restored(found),
        "findings": installation.findings(found, chain=True),
        "project": identity.list_projects(runtime, name="cn-north-4"),
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
            log_settings.update_setting(installation.runtime, cluster, LogSettingChange("a", "logs", "moved"))
        installation.back_up(cluster)
    return cluster


def test_rebuilt_catalogue_gives_the_same_answers_and_goes_on(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path)
    before = everything(installation, cluster)
    assert {job.status for job in before["records"][0]} == {JobStatus.SUCCESS, JobStatus.FAIL}
    assert len(before["records"][0]) == 6
    installation = forget(installation)
    [rebuilt] = rebuild(installation.runtime, ["logs"]).clusters
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
    log_settings.close_backup(installation.runtime, cluster)
    installation.clock.advance(1000)
    log_settings.open_backup(installation.runtime, cluster, LogSettingChange("a", "logs", "css/log"))
    installation.back_up(cluster)
    before = everything(installation, cluster)
    installation = forget(installation)
    assert [one.problems for one in rebuild(installation.runtime, ["logs"]).clusters] == [[]]
    assert everything(installation, cluster) == before


def test_rebuild_of_what_is_known_changes_nothing(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    before = everything(installation, cluster)
    assert [one.state for one in rebuild(installation.runtime, ["logs"]).clusters] == [State.KNOWN]
    assert everything(installation, cluster) == before


def test_missing_manifest_is_told_and_the_rest_is_rebuilt(installation: Installation, tmp_path: Path) -> None:
    live(installation, tmp_path, rounds=3)
    found = manifests(installation.bucket)
    found[1].unlink()
    installation = forget(installation)
    [rebuilt] = rebuild(installation.runtime, ["logs"]).clusters
    assert rebuilt.state is State.REBUILT
    assert rebuilt.problems == [f"{name_of(installation, found[2])}: the manifest before it is missing"]


def test_new_installation_trusts_no_key_because_it_is_there(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    old_key, restored = installation.runtime.signing.key, installation.restored(cluster)
    installation = forget(installation, keys=True)
    outcome = rebuild(installation.runtime, ["logs"])
    assert [(one.cluster_id, one.state) for one in outcome.clusters] == [(cluster.id, State.REFUSED)]
    [key] = outcome.keys
    assert (key.key, key.signed, key.claimed, key.clusters) == (old_key, 2, 0, {cluster.id})
    assert (key.first, key.last) == (4_000_000_001_000, 4_000_000_003_000)
    assert clusters.list_clusters(installation.runtime, cluster.project_id) == ([], 0)
    assert old_key not in (installation.folder / TRUST_FILE).read_text()
    trust_keys(installation.folder, [old_key])
    installation = forget(installation)
    [rebuilt] = rebuild(installation.runtime, ["logs"]).clusters
    assert (rebuilt.state, rebuilt.problems) == (State.REBUILT, [])
    assert installation.restored(cluster) == restored
    installation.back_up(cluster)  # signed with the new key
    assert not installation.findings(cluster, chain=True)


def test_stranger_with_a_newer_date_takes_nothing(installation: Installation, tmp_path: Path) -> None:
    """A new installation trusts the old key; the stranger's manifest is a year ahead, and validly signed by himself."""
    cluster = live(installation, tmp_path, rounds=2)
    before = everything(installation, cluster)
    last = manifests(installation.bucket)[-1]
    stranger = make_stranger(tmp_path / "stranger")

    def go_on(document: Document) -> None:
        follow(last)(document)
        document["cluster"]["nodes"][0]["source"] = "file:///etc"

    ahead = invent(installation.bucket, last, stranger, go_on)
    installation = forget(installation)
    outcome = rebuild(installation.runtime, ["logs"])
    assert [(one.cluster_id, one.state, one.problems) for one in outcome.clusters] == [(cluster.id, State.REBUILT, [])]
    [problem] = outcome.problems
    assert problem.startswith(f"{name_of(installation, ahead)}: it is not signed with a key of sign.pub")
    assert [(key.key, key.signed) for key in outcome.keys] == [(stranger.key, 1)]
    ahead.unlink()
    signature(ahead).unlink()
    assert everything(installation, cluster) == before


def name_of(installation: Installation, path: Path) -> str:
    return path.relative_to(installation.bucket).as_posix()


def test_manifest_without_a_key_is_no_older_one(installation: Installation, tmp_path: Path) -> None:
    """It names a cluster of its own, with a directory of this machine and a daily policy, and has no signature."""
    cluster = live(installation, tmp_path, rounds=1)
    [manifest] = manifests(installation.bucket)

    def name_another(document: Document) -> None:
        move_cluster(document, "0" * 36)
        document["cluster"]["nodes"][0]["source"] = "file:///etc"
        document["setting"]["period"] = "00:00 GMT+08:00"

    for signing in (None, make_stranger(tmp_path / "stranger")):
        invent(installation.bucket, manifest, signing, name_another)
        installation = forget(installation)
        states = {one.cluster_id: one.state for one in rebuild(installation.runtime, ["logs"]).clusters}
        assert states == {cluster.id: State.REBUILT, "0" * 36: State.REFUSED}
        found, total = clusters.list_clusters(installation.runtime, cluster.project_id)
        assert ([one.id for one in found], total) == ([cluster.id], 1)


@pytest.mark.parametrize("signed", [False, True])
def test_chain_that_was_written_anew_is_refused(installation: Installation, tmp_path: Path, signed: bool) -> None:
    cluster = live(installation, tmp_path, rounds=3)
    rewrite_chain(installation.bucket, make_stranger(tmp_path / "stranger") if signed else None)
    installation = forget(installation)
    [refused] = rebuild(installation.runtime, ["logs"]).clusters
    assert (refused.cluster_id, refused.state, refused.records) == (cluster.id, State.REFUSED, 0)
    assert "none of its 3 manifests is proven" in refused.problems[0]
    assert clusters.list_clusters(installation.runtime, cluster.project_id) == ([], 0)


def test_lost_signature_in_the_middle_is_told_and_at_the_end_it_ends_the_chain(
    installation: Installation, tmp_path: Path
) -> None:
    live(installation, tmp_path, rounds=3)
    _, middle, last = manifests(installation.bucket)
    signature(middle).unlink()
    installation = forget(installation)
    [rebuilt] = rebuild(installation.runtime, ["logs"]).clusters
    told = f"{name_of(installation, middle)}: its signature is missing; a proven manifest tells what it is"
    assert (rebuilt.state, rebuilt.records, rebuilt.problems) == (State.REBUILT, 4, [told])
    signature(last).unlink()
    installation = forget(installation)
    outcome = rebuild(installation.runtime, ["logs"])
    assert [one.records for one in outcome.clusters] == [1]  # the middle one is not proven any more
    assert len(outcome.problems) == 2


def test_unproven_cluster_comes_back_closed_and_nothing_is_signed_on_top_of_it(
    installation: Installation, tmp_path: Path
) -> None:
    cluster = live(installation, tmp_path, rounds=3)
    log_settings.start_policy(installation.runtime, cluster, "00:00 GMT+08:00")
    installation.back_up(cluster)
    restored = installation.restored(cluster)
    head = manifest_hash(manifests(installation.bucket)[-1].read_bytes())
    installation = forget(installation, keys=True)
    [refused] = rebuild(installation.runtime, ["logs"], unproven=["another"]).clusters
    assert refused.state is State.REFUSED
    [rebuilt] = rebuild(installation.runtime, ["logs"], unproven=[cluster.id]).clusters
    assert (rebuilt.state, rebuilt.unproven) == (State.REBUILT, 4)
    assert "log backup is closed" in rebuilt.problems[-1]
    setting = log_settings.get_setting(installation.runtime, cluster)
    assert setting
    assert (setting.enabled, setting.period) == (False, None)
    assert installation.restored(cluster) == restored
    assert not installation.findings(cluster)
    assert unproven(installation, cluster) == [verification.Unproven(4, head)]
    [finding] = installation.findings(cluster, chain=True)
    assert finding.problem == "unproven: no trusted signature covers this manifest and the 3 before it"

    log_settings.open_backup(installation.runtime, cluster, SETTING)
    for _ in range(2):
        installation.back_up(cluster)
    new = [decode_manifest(path.read_bytes()) for path in manifests(installation.bucket)[4:]]
    assert [(one.number, one.unproven) for one in new] == [(5, head), (6, "")]
    assert new[0].previous == ""
    assert new[1].previous
    assert [one.problem for one in installation.findings(cluster, chain=True)] == [finding.problem]
    assert unproven(installation, cluster) == [verification.Unproven(4, head)]


def unproven(installation: Installation, cluster: Cluster) -> list[verification.UnreportedJob]:
    return [one for one in installation.verify(cluster) if isinstance(one, verification.Unproven)]


def test_what_was_unproven_stays_so_when_the_database_is_lost_again(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    installation = forget(installation, keys=True)
    rebuild(installation.runtime, ["logs"], unproven=[cluster.id])
    log_settings.open_backup(installation.runtime, cluster, SETTING)
    installation.back_up(cluster)
    before = everything(installation, cluster)
    _, head, _ = (manifest_hash(path.read_bytes()) for path in manifests(installation.bucket))
    installation = forget(installation)
    [alone] = rebuild(installation.runtime, ["logs"]).clusters
    assert (alone.state, alone.records, alone.unproven) == (State.REBUILT, 1, 0)
    assert f"down from the manifest {head}" in alone.problems[0]
    assert unproven(installation, cluster) == [verification.Unproven(0, head)]
    assert [one.problem for one in installation.findings(cluster, chain=True)][:1] == [
        "unproven: what came before it, which is not in the catalogue"
    ]
    setting = log_settings.get_setting(installation.runtime, cluster)
    assert setting
    assert setting.enabled
    installation = forget(installation)
    [whole] = rebuild(installation.runtime, ["logs"], unproven=[cluster.id]).clusters
    assert (whole.unproven, len(whole.problems)) == (2, 1)
    assert everything(installation, cluster) == before


def test_stranger_cannot_hide_behind_what_was_taken_on_trust(installation: Installation, tmp_path: Path) -> None:
    """Who takes an old chain on trust again does not take what somebody put behind the new one since."""
    cluster = live(installation, tmp_path, rounds=2)
    installation = forget(installation, keys=True)
    rebuild(installation.runtime, ["logs"], unproven=[cluster.id])
    log_settings.open_backup(installation.runtime, cluster, SETTING)
    installation.back_up(cluster)
    last = manifests(installation.bucket)[-1]
    behind = invent(installation.bucket, last, None, follow(last))
    installation = forget(installation)
    outcome = rebuild(installation.runtime, ["logs"], unproven=[cluster.id])
    assert (outcome.clusters[0].unproven, outcome.clusters[0].state) == (2, State.REBUILT)
    assert [name_of(installation, behind) in problem for problem in outcome.problems] == [True]


def test_of_several_unproven_chains_the_one_that_is_named_is_put_in(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    _, last = manifests(installation.bucket)
    other = invent(installation.bucket, last, None, new_job)
    installation = forget(installation, keys=True)
    [refused] = rebuild(installation.runtime, ["logs"], unproven=[cluster.id]).clusters
    assert refused.state is State.REFUSED
    head = manifest_hash(last.read_bytes())
    assert head in refused.problems[0]
    assert manifest_hash(other.read_bytes()) in refused.problems[0]
    [rebuilt] = rebuild(installation.runtime, ["logs"], unproven=[cluster.id], noted=[head]).clusters
    assert (rebuilt.state, rebuilt.unproven) == (State.REBUILT, 2)


def test_noted_head_that_is_cut_off_keeps_everything_out(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=3)
    last = manifests(installation.bucket)[-1]
    head = manifest_hash(last.read_bytes())
    installation = forget(installation)
    assert rebuild(installation.runtime, ["logs"], noted=[head]).problems == []
    last.unlink()
    installation = forget(installation)
    outcome = rebuild(installation.runtime, ["logs"], noted=[head])
    assert (outcome.clusters, len(outcome.problems)) == ([], 1)
    assert head in outcome.problems[0]
    assert clusters.list_clusters(installation.runtime, cluster.project_id) == ([], 0)


def test_of_two_true_chains_the_longer_one_counts_and_the_other_is_told(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database was put back to an earlier state, and both went on, each without a look at the other."""
    if os.environ.get("LOGKEEP_TEST_POSTGRESQL"):
        pytest.skip("a database that can be copied is needed")
    monkeypatch.setattr(backup_run, "take_up", lambda *_: None)
    cluster = live(installation, tmp_path, rounds=2)
    installation.runtime.database.dispose()
    shutil.copytree(installation.folder, tmp_path / "older", ignore=lambda *_: ["buckets"])
    for _ in range(2):
        installation.back_up(cluster)
    longer = manifests(installation.bucket)[-1]
    with reopen_installation(tmp_path / "older", FixedClock(4_000_000_900_000)) as older:
        (tmp_path / "older" / "buckets").symlink_to(installation.folder / "buckets")
        older.back_up(cluster)
    shorter = manifests(installation.bucket)[-1]
    assert shorter != longer
    installation = forget(installation)
    [rebuilt] = rebuild(installation.runtime, ["logs"]).clusters
    assert (rebuilt.state, rebuilt.records) == (State.REBUILT, 5)
    assert [problem.partition(":")[0] for problem in rebuilt.problems] == [name_of(installation, shorter)]
    installation = forget(installation)
    [rebuilt] = rebuild(
        installation.runtime, ["logs"], noted=[manifest_hash(shorter.read_bytes())]
    ).clusters  # which one is meant can be said
    assert [problem.partition(":")[0] for problem in rebuilt.problems] == [name_of(installation, longer)]


def test_copy_of_a_true_chain_elsewhere_is_told_and_changes_nothing(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    before = everything(installation, cluster)
    shutil.copytree(installation.bucket / "css/log/prod", installation.bucket / "another/prod")
    shutil.copytree(installation.bucket, installation.folder / "buckets" / "copy")
    (installation.folder / "logkeep.toml").write_text("[buckets.copy]\n[buckets.logs]\n")
    installation = forget(installation)
    [rebuilt] = rebuild(installation.runtime, ["copy", "logs"]).clusters
    assert rebuilt.state is State.REBUILT
    assert rebuilt.problems == [
        "another/prod/_manifests/"
        + manifests(installation.bucket)[0].name
        + " in copy: is a copy, and so are 5 others; left out"
    ]
    assert everything(installation, cluster) == before


def test_replayed_manifest_elsewhere_is_told(installation: Installation, tmp_path: Path) -> None:
    """The true head was moved to where it was not written."""
    live(installation, tmp_path, rounds=2)
    last = manifests(installation.bucket)[-1]
    moved = installation.bucket / "other/prod/_manifests" / last.name
    moved.parent.mkdir(parents=True)
    signature(last).rename(signature(moved))
    last.rename(moved)
    installation = forget(installation)
    [rebuilt] = rebuild(installation.runtime, ["logs"]).clusters
    assert [problem.partition(":")[0] for problem in rebuilt.problems] == [name_of(installation, moved)]
    assert f"it was written as {name_of(installation, last)}" in rebuilt.problems[0]


BAD = {
    "deep": b"[" * 5000 + b"]" * 5000,
    "no JSON": b"\xff\x00",
    "empty": b"",
    "a list": b"[]",
    "no fields": b"{}",
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("signed", [False, True])
def test_one_bad_object_stops_nothing(installation: Installation, tmp_path: Path, bad: str, signed: bool) -> None:
    cluster = live(installation, tmp_path, rounds=1)
    name = "aaa/bad/_manifests/20260101T000000000Z-" + "0" * 32 + ".1.json"
    path = installation.bucket / name
    path.parent.mkdir(parents=True)
    path.write_bytes(BAD[bad])
    if signed:
        signature(path).write_bytes(installation.runtime.signing.sign(BAD[bad]))
    installation = forget(installation)
    outcome = rebuild(installation.runtime, ["logs"])
    assert [(one.cluster_id, one.state, one.problems) for one in outcome.clusters] == [(cluster.id, State.REBUILT, [])]
    assert [problem.partition(":")[0] for problem in outcome.problems] == [name]


def test_signed_manifest_that_cannot_be_read_ends_no_chain_unseen(installation: Installation, tmp_path: Path) -> None:
    """As one of a newer version: at the end the cluster waits for it, in the middle it is a hole that is told."""
    cluster = live(installation, tmp_path, rounds=3)
    for at, state in ((2, State.REFUSED), (1, State.REBUILT)):
        copy = tmp_path / f"copy{at}"
        shutil.copytree(installation.bucket, copy)
        hashes: dict[str, str] = {}
        for number, path in enumerate(manifests(installation.bucket)):
            data = path.read_bytes()
            document = json.loads(data)
            document |= {"previous": hashes.get(document["previous"], document["previous"])}
            document |= {"version": 2} if number == at else {}
            path.write_bytes(json.dumps(document).encode())
            signature(path).write_bytes(installation.runtime.signing.sign(path.read_bytes()))
            hashes[manifest_hash(data)] = manifest_hash(path.read_bytes())
        installation = forget(installation)
        outcome = rebuild(installation.runtime, ["logs"])
        assert [(one.cluster_id, one.state) for one in outcome.clusters] == [(cluster.id, state)]
        assert "format version 2" in outcome.problems[0]
        assert outcome.clusters[0].problems
        shutil.rmtree(installation.bucket)
        shutil.copytree(copy, installation.bucket)


ODD: dict[str, Callable[[Document], object]] = {
    "a time beyond all": lambda d: d["job"].update(created_at=2**63),
    "a number beyond all": lambda d: d.update(number=2**70),
    "a period of no day": lambda d: d["setting"].update(period="99:99 GMT+08:00"),
    "a segment twice": lambda d: d.update(segments=d["segments"] + d["segments"]),
    "a negative start": lambda d: d["segments"][0].update(start=-5),
    "a node with a NUL": lambda d: d["cluster"]["nodes"][0].update(name="n\x001"),
    "a path as object": lambda d: d["segments"][0].update(object="../../etc/passwd"),
    "another cluster inside": lambda d: d["cluster"].update(id="1" * 36),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_manifest_that_is_taken_on_trust_is_refused_by_itself(
    installation: Installation, tmp_path: Path, odd: str
) -> None:
    """Even with --unproven: the cluster is refused, the true one beside it is put in, and both are told."""
    cluster = live(installation, tmp_path, rounds=1)
    [manifest] = manifests(installation.bucket)

    def spoil(document: Document) -> None:
        move_cluster(document, "0" * 36)
        ODD[odd](document)

    forged = installation.bucket / "aaa/odd/_manifests" / manifest.name
    forge(forged, None, spoil, manifest)
    installation = forget(installation)
    outcome = rebuild(installation.runtime, ["logs"], unproven=["0" * 36])
    states = {one.cluster_id: one.state for one in outcome.clusters}
    assert states[cluster.id] is State.REBUILT
    assert [name for name in (name_of(installation, forged),) if name in str(outcome)]


def test_forged_manifest_beside_true_ones_of_another_key_says_whose_key_it_claims(
    installation: Installation, tmp_path: Path
) -> None:
    live(installation, tmp_path, rounds=1)
    [manifest] = manifests(installation.bucket)
    key = installation.runtime.signing.key
    data = manifest.read_bytes() + b" "  # the key is named, and the signature is no longer of it
    manifest.write_bytes(data)
    installation = forget(installation, keys=True)
    [found] = rebuild(installation.runtime, ["logs"]).keys
    assert (found.key, found.signed, found.claimed) == (key, 0, 1)


def test_removed_cluster_comes_back_beside_the_one_that_took_its_name(
    installation: Installation, tmp_path: Path
) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    (logs / "es.log").write_bytes(b"line\n")
    old = installation.add_cluster(n1=logs)
    installation.back_up(old)
    clusters.remove_cluster(installation.runtime, old)
    nodes = [clusters.NewNode("n1", f"file://{logs}")]
    new = clusters.add_cluster(installation.runtime, installation.project.id, "prod", nodes)
    log_settings.open_backup(installation.runtime, new, replace(SETTING, base_path="css/new"))
    installation.back_up(new)
    installation = forget(installation)
    outcome = rebuild(installation.runtime, ["logs"], adopt=[old.id])
    assert {one.cluster_id: one.name for one in outcome.clusters} == {new.id: "prod", old.id: "prod.~1"}
    [problem] = next(one.problems for one in outcome.clusters if one.cluster_id == old.id)
    assert f"prod is that of cluster {new.id} too" in problem and f"--name {old.id}=NEW" in problem
    assert installation.restored(old) == installation.restored(new)
    kept = installation.restored(old)
    again = forget(installation)
    outcome = rebuild(again.runtime, ["logs"], adopt=[old.id], names={old.id: "prod"})
    [problem] = next(one.problems for one in outcome.clusters if one.cluster_id == old.id)
    assert f"prod is the name of cluster {new.id} already" in problem and "nothing of this cluster" in problem
    outcome = rebuild(again.runtime, ["logs"], adopt=[old.id], names={old.id: "old", "nobody": "x"})
    assert {one.cluster_id: one.name for one in outcome.clusters} == {new.id: "prod", old.id: "old"}
    assert [problem.split(":")[0] for problem in outcome.problems] == ["--name nobody"]
    renamed = next(one for one in clusters.list_clusters(again.runtime, new.project_id)[0] if one.id == old.id)
    assert again.restored(renamed) == kept
    (logs / "es.log").write_bytes(b"line\nand more\n")
    assert again.back_up(renamed).status is JobStatus.SUCCESS
    assert not again.findings(renamed, read_data=True, chain=True)


def test_next_runs_are_spread_as_those_of_others(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=1)
    log_settings.start_policy(installation.runtime, cluster, "00:00 GMT+08:00")
    installation.back_up(cluster)
    again = forget(installation)
    runtime = replace(again.runtime, policy=PolicyRules(spread_ms=3_600_000))
    rebuild(runtime, ["logs"])
    planned = forecasts.get_policy(again.runtime, cluster).next_run
    assert planned and planned % 86_400_000 == 16 * 3_600_000 + spread(cluster.id, 3_600_000)


def test_installation_made_anew_takes_the_clusters_into_its_project(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    installation = forget(installation)
    project = identity.add_project(installation.runtime, "cn-north-4")
    [rebuilt] = rebuild(installation.runtime, ["logs"]).clusters
    assert (rebuilt.state, rebuilt.project) == (State.REBUILT, "cn-north-4")
    assert [c.id for c in clusters.list_clusters(installation.runtime, project.id)[0]] == [cluster.id]


def test_bucket_under_another_name_is_rebuilt(installation: Installation, tmp_path: Path) -> None:
    cluster = live(installation, tmp_path, rounds=2)
    restored = installation.restored(cluster)
    shutil.copytree(installation.bucket, installation.folder / "buckets" / "copy")
    shutil.rmtree(installation.bucket)
    (installation.folder / "logkeep.toml").write_text("[buckets.copy]\n")
    installation = forget(installation)
    assert [one.problems for one in rebuild(installation.runtime, ["copy"]).clusters] == [[]]
    assert installation.restored(cluster) == restored


def test_damaged_manifest_is_told(installation: Installation, tmp_path: Path) -> None:
    live(installation, tmp_path, rounds=2)
    manifest = manifests(installation.bucket)[0]
    manifest.write_bytes(b"{}")
    installation = forget(installation)
    outcome = rebuild(installation.runtime, ["logs"])
    assert [one.state for one in outcome.clusters] == [State.REBUILT]
    assert "the manifest before it is missing" in outcome.clusters[0].problems[0]
    assert [problem.partition(":")[0] for problem in outcome.problems] == [name_of(installation, manifest)]


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
    document |= {"notes": ["of the second attempt"], "object": name_of(installation, later)}
    data = json.dumps(document).encode()
    later.write_bytes(data)
    Path(f"{later}.sig").write_bytes(installation.runtime.signing.sign(data))
    installation = forget(installation)
    [rebuilt] = rebuild(installation.runtime, ["logs"]).clusters
    assert (rebuilt.records, rebuilt.objects, rebuilt.problems) == (1, 1, [])
    assert installation.job(first.job_id) == first
    assert isinstance(installation.clock, FixedClock)
    assert (installation.folder / SIGN_FILE).exists()
