"""Clusters that grow, shrink and move: what is registered by its own API is asked at each job."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.domain.cluster import ChangedNode, Cluster, ClusterChange, NewNode
from logkeep.errors import InvalidField
from logkeep.service import clusters, job_details, log_settings, members
from logkeep.service.rebuild import rebuild
from logkeep.sources.base import FoundCluster, FoundNode
from tests.integration.test_rebuild import forget
from tests.support.installation import SETTING, Installation


class Api:
    """The API of a cluster, and the directories of its nodes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, FoundNode] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.before: Callable[[], None] = lambda: None

    def start(self, name: str, instance: str, directory: str = "") -> Path:
        logs = self.folder / (directory or name)
        logs.mkdir(exist_ok=True)
        self.nodes[instance] = FoundNode(name, str(logs), "10.0.0.1", "ess", instance)
        return logs

    def describe(self, url: str, user: str, password: str) -> FoundCluster:
        self.asked.append((url, user, password))
        self.before()
        return FoundCluster("opensearch", "2.19.0", "h:9200", tuple(self.nodes.values()))


@pytest.fixture
def api(tmp_path: Path) -> Api:
    return Api(tmp_path)


@pytest.fixture
def asked(installation: Installation, api: Api) -> Installation:
    return replace(installation, runtime=replace(installation.runtime, describe_cluster=api.describe))


@pytest.fixture
def found(asked: Installation, api: Api) -> Cluster:
    """Registered by its API, with a node n1."""
    (api.start("n1", "a") / "es.log").write_bytes(b"of n1\n")
    cluster = clusters.discover_cluster(
        asked.runtime, asked.project.id, "prod", "http://h:9200", "file://{path.logs}", user="u", password="secret"
    )
    log_settings.open_backup(asked.runtime, cluster, SETTING)
    return cluster


def now(installation: Installation, cluster: Cluster) -> Cluster:
    return clusters.get_cluster(installation.runtime, cluster.project_id, cluster.id)


def warned(installation: Installation, job: BackupJob) -> list[tuple[str, str]]:
    assert job.status is JobStatus.SUCCESS, job.failed_msg
    told = job_details.get_detail(installation.runtime, installation.project.id, job.job_id).warnings
    return [(one.code, one.node) for one in told]


def test_a_node_that_joins_is_backed_up_and_told_once(asked: Installation, api: Api, found: Cluster) -> None:
    assert warned(asked, asked.back_up(found)) == []
    (api.start("n2", "b") / "es.log").write_bytes(b"of n2\n")
    assert warned(asked, asked.back_up(found)) == [("LK-NODE-NEW", "n2")]
    assert warned(asked, asked.back_up(found)) == []
    assert asked.restored(found) == {("n1", "es.log"): b"of n1\n", ("n2", "es.log"): b"of n2\n"}
    assert api.asked[-1] == ("http://h:9200", "u", "secret")


def test_a_node_that_is_gone_is_told_and_what_is_kept_of_it_stays(
    asked: Installation, api: Api, found: Cluster
) -> None:
    logs = api.start("n2", "b")
    (logs / "es.log").write_bytes(b"of n2\n")
    asked.back_up(found)
    del api.nodes["b"]
    (logs / "es.log").write_bytes(b"of n2\nits end\n")  # its directory can still be read
    assert warned(asked, asked.back_up(found)) == [("LK-NODE-GONE", "n2")]
    logs.rename(logs.with_name("away"))
    assert warned(asked, asked.back_up(found)) == [("LK-NODE-GONE", "n2")]
    assert asked.restored(found)["n2", "es.log"] == b"of n2\nits end\n"
    clusters.update_cluster(asked.runtime, now(asked, found), ClusterChange(remove_nodes=["n2"]))
    assert warned(asked, asked.back_up(found)) == []
    assert asked.restored(found)["n2", "es.log"] == b"of n2\nits end\n"


def test_a_node_that_moved_goes_on_where_it_was(asked: Installation, api: Api, found: Cluster) -> None:
    asked.back_up(found)
    logs = api.start("other-name", "a", "elsewhere")
    (logs / "es.log").write_bytes(b"of n1\nmore\n")
    assert warned(asked, asked.back_up(found)) == []
    assert asked.restored(found) == {("n1", "es.log"): b"of n1\nmore\n"}


def test_while_the_url_does_not_answer_known_nodes_are_backed_up(asked: Installation, api: Api, found: Cluster) -> None:
    def refuse() -> None:
        raise InvalidField("url", "h cannot be asked: Connection refused")

    api.before = refuse
    assert warned(asked, asked.back_up(found)) == [("LK-CLUSTER-UNASKED", "")]
    assert asked.restored(found) == {("n1", "es.log"): b"of n1\n"}


def test_a_url_that_drips_for_ever_is_given_up(
    asked: Installation, api: Api, found: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "_ANSWER_SECONDS", 1.0)
    api.before = lambda: time.sleep(30)
    began = time.monotonic()
    assert warned(asked, asked.back_up(found)) == [("LK-CLUSTER-UNASKED", "")]
    assert time.monotonic() - began < 10


def test_what_answers_for_another_cluster_changes_nothing(asked: Installation, api: Api, found: Cluster) -> None:
    api.nodes.clear()
    api.start("x1", "x")
    assert warned(asked, asked.back_up(found)) == [("LK-CLUSTER-UNASKED", "")]
    assert [(node.name, node.gone_at) for node in now(asked, found).nodes] == [("n1", None)]


def test_a_new_node_whose_logs_may_not_be_read_is_told_by_each_job(
    asked: Installation, api: Api, found: Cluster
) -> None:
    api.nodes["b"] = FoundNode("n2", str(asked.folder), "10.0.0.2", "ess", "b")  # the installation's own directory
    for _ in range(2):
        assert warned(asked, asked.back_up(found)) == [("LK-NODE-REFUSED", "")]
    assert [node.name for node in now(asked, found).nodes] == ["n1"]


def test_a_known_node_that_claims_another_directory_keeps_the_one_it_had(
    asked: Installation, api: Api, found: Cluster
) -> None:
    api.nodes["a"] = FoundNode("n1", str(asked.folder), "10.0.0.1", "ess", "a")
    assert warned(asked, asked.back_up(found)) == [("LK-NODE-REFUSED", "")]
    assert asked.restored(found) == {("n1", "es.log"): b"of n1\n"}


def test_nodes_are_added_moved_and_removed_by_hand(installation: Installation, tmp_path: Path) -> None:
    for name in ("n1", "n2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "es.log").write_bytes(f"of {name}\n".encode())
    cluster = installation.add_cluster(n1=tmp_path / "n1")
    installation.back_up(cluster)
    change = ClusterChange(nodes=[ChangedNode("n2", f"file://{tmp_path}/n2")])
    cluster = clusters.update_cluster(installation.runtime, cluster, change)
    installation.back_up(cluster)
    (tmp_path / "n1").rename(tmp_path / "moved")
    change = ClusterChange(nodes=[ChangedNode("n1", f"file://{tmp_path}/moved")], remove_nodes=["n2"])
    cluster = clusters.update_cluster(installation.runtime, cluster, change)
    assert [node.name for node in cluster.nodes] == ["n1"]
    assert warned(installation, installation.back_up(cluster)) == []
    assert installation.restored(cluster) == {("n1", "es.log"): b"of n1\n", ("n2", "es.log"): b"of n2\n"}


def test_a_change_that_is_wrong_changes_nothing(installation: Installation, cluster: Cluster) -> None:
    for change, problem in (
        (ClusterChange(remove_nodes=["n9"]), "^remove_nodes: "),
        (ClusterChange(remove_nodes=["n1"]), "^nodes: .*0 would be left"),
        (ClusterChange(nodes=[ChangedNode("n1", f"file://{installation.folder}")]), "^nodes.source: "),
        (ClusterChange(user="u"), "^url: "),
        (ClusterChange(url="http://u:secret@h:9200"), "^url: no user and no password"),
    ):
        with pytest.raises(InvalidField, match=problem):
            clusters.update_cluster(installation.runtime, cluster, change)
    assert now(installation, cluster) == cluster


def test_a_cluster_of_hand_named_nodes_learns_a_url_and_another_url_is_not_told_the_password(
    asked: Installation, api: Api, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    cluster = asked.add_cluster(n1=tmp_path / "mine")
    api.start("n1", "a")
    api.start("n2", "b")
    change = ClusterChange(url="http://h:9200", user="u", password="secret")
    cluster = clusters.update_cluster(asked.runtime, cluster, change)
    assert {(node.name, Path(node.source).name) for node in cluster.nodes} == {("n1", "mine"), ("n2", "n2")}
    clusters.update_cluster(asked.runtime, cluster, ClusterChange(url="http://other:9200"))
    assert [password for _, _, password in api.asked] == ["secret", ""]


def test_how_a_cluster_is_asked_comes_back_from_the_bucket_without_the_password(
    asked: Installation, api: Api, found: Cluster
) -> None:
    api.start("n2", "b")
    asked.back_up(found)
    assert "secret" not in "".join(path.read_text() for path in asked.bucket.rglob("*.json"))
    before = now(asked, found)
    rebuilt = forget(asked)
    rebuild(rebuilt.runtime, ["logs"])
    after = now(rebuilt, found)
    assert (after.discovery, after.nodes) == (before.discovery, before.nodes)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("file:///var/log/es", "file:///var/log/../log/es/"),
        ("sftp://a@h/var/log/es", "sftp://b@H:22/var//log/es"),
        ("agent:n1", "agent:n1"),
    ],
)
def test_one_directory_for_two_nodes_is_refused_where_the_sources_tell(first: str, second: str) -> None:
    clusters.check_apart([NewNode("n1", first), NewNode("n2", first + "x")])
    with pytest.raises(InvalidField, match="n1 and n2 have the same directory"):
        clusters.check_apart([NewNode("n1", first), NewNode("n2", second)])


def test_one_directory_for_two_nodes_over_a_link_is_refused(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "n1")
    with pytest.raises(InvalidField, match="have the same directory"):
        installation.add_cluster(n1=tmp_path / "n1", n2=tmp_path / "link")


def test_nodes_that_have_most_files_in_common_are_warned_of(installation: Installation, tmp_path: Path) -> None:
    for name in ("n1", "n2", "n3"):
        (tmp_path / name / "inner").mkdir(parents=True)
        lines = "".join(f"[2026-11-24T00:00:{n:02},000][INFO ] of {name}\n" for n in range(20))
        (tmp_path / name / "es.log").write_text(lines)
        image = "".join(f"[2026-11-20T00:00:{n:02},000][INFO ] first boot\n" for n in range(20))
        (tmp_path / name / "boot.log").write_text(image)  # of the image that all were made from
        (tmp_path / name / "gc.log").write_text(lines.replace("INFO", "GC"))
    shared = (tmp_path / "n1" / "es.log", tmp_path / "n1" / "gc.log")
    for path in shared:
        (tmp_path / "n2" / path.name).unlink()
        (tmp_path / "n2" / "inner" / path.name).hardlink_to(path)
    cluster = installation.add_cluster(n1=tmp_path / "n1", n2=tmp_path / "n2", n3=tmp_path / "n3")
    assert warned(installation, installation.back_up(cluster)) == [("LK-NODE-SHARED", "n1")]
