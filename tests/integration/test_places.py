"""What one cluster keeps never lies in, at or above what another one keeps; and a word means one cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster, Project
from logkeep.errors import InvalidField
from logkeep.service import clusters, identity, log_settings, rebuild
from logkeep.service.rebuild_report import State
from logkeep.stores.layout import manifest_object
from tests.support.installation import SETTING, Installation, open_installation

TOML = """
[sources]
roots = ["/"]
[buckets.logs]
[buckets.same]
url = "file:buckets/logs"
[buckets.inner]
url = "file:buckets/logs/inner"
[buckets.other]
"""


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with open_installation(tmp_path / "installation", toml=TOML) as installation:
        for name in ("logs/inner", "other"):
            (tmp_path / "installation" / "buckets" / name).mkdir()
        yield installation


@pytest.fixture
def other(installation: Installation) -> Project:
    return identity.add_project(installation.runtime, "team-b")


def cluster_of(installation: Installation, project: Project, name: str = "prod") -> Cluster:
    logs = installation.folder.parent / uuid4().hex
    logs.mkdir()
    (logs / "es.log").write_bytes(b"a line\n")
    return clusters.add_cluster(installation.runtime, project.id, name, [clusters.NewNode("n1", f"file://{logs}")])


def keep(installation: Installation, cluster: Cluster, base_path: str = "css/log", bucket: str = "logs") -> None:
    log_settings.open_backup(installation.runtime, cluster, replace(SETTING, base_path=base_path, bucket=bucket))


def refusal(installation: Installation, cluster: Cluster, base_path: str = "css/log", bucket: str = "logs") -> str:
    with pytest.raises(InvalidField) as refused:
        keep(installation, cluster, base_path, bucket)
    assert refused.value.field == "log_base_path"
    return refused.value.message


def test_clusters_of_one_name_in_two_projects_do_not_share_a_folder(installation: Installation, other: Project) -> None:
    mine, theirs = cluster_of(installation, installation.project), cluster_of(installation, other)
    keep(installation, mine)
    told = refusal(installation, theirs)
    assert "would lie in css/log/prod of bucket logs, but a cluster of another project keeps" in told
    assert "for example 'team-b/css/log'" in told

    assert "css/log/prod" in refusal(installation, theirs, "css//log/")
    keep(installation, theirs, "team-b/css/log")
    assert installation.back_up(mine).status is installation.back_up(theirs).status is JobStatus.SUCCESS
    assert installation.findings(mine) == installation.findings(theirs) == []


def test_a_setting_is_not_moved_onto_that_of_another(installation: Installation, other: Project) -> None:
    mine, theirs = cluster_of(installation, installation.project), cluster_of(installation, other)
    keep(installation, mine)
    keep(installation, theirs, "b")
    with pytest.raises(InvalidField, match="a cluster of another project keeps"):
        log_settings.update_setting(installation.runtime, theirs, SETTING)
    setting = log_settings.get_setting(installation.runtime, theirs)
    assert setting
    assert setting.base_path == "b"
    keep(installation, mine)  # its own is no other's


@pytest.mark.parametrize(
    ("name", "base_path", "bucket"),
    [
        ("x", "css/log/prod", "logs"),  # in it
        ("css", "", "logs"),  # above it
        ("PROD", "CSS/log", "logs"),  # a file system may not know the difference
        ("prod", "css/log", "same"),  # another name of the bucket
        ("n1", "css/log/prod", "same"),
    ],
)
def test_folders_in_each_other_and_other_names_of_one_folder_are_seen(
    installation: Installation, other: Project, name: str, base_path: str, bucket: str
) -> None:
    keep(installation, cluster_of(installation, installation.project))
    theirs = cluster_of(installation, other, name)
    if base_path:
        assert "a cluster of another project" in refusal(installation, theirs, base_path, bucket)
    else:
        keep(installation, theirs, "elsewhere")


def test_one_folder_above_that_of_another_is_seen(installation: Installation, other: Project) -> None:
    keep(installation, cluster_of(installation, installation.project), "a/b/c")
    assert "in a/b/c/prod, and one would lie in the other" in refusal(
        installation, cluster_of(installation, other, "b"), "a"
    )


def test_a_bucket_in_a_bucket_is_seen_from_both(installation: Installation, other: Project) -> None:
    keep(installation, cluster_of(installation, installation.project), "x", "inner")
    assert "another project" in refusal(installation, cluster_of(installation, other), "inner/x")
    assert "another project" in refusal(installation, cluster_of(installation, other, "x"), "inner")
    keep(installation, cluster_of(installation, other, "y"), "inner")
    assert "another project" in refusal(installation, cluster_of(installation, installation.project, "z"), "y", "inner")


def test_neighbours_and_other_buckets_are_no_matter(installation: Installation, other: Project) -> None:
    keep(installation, cluster_of(installation, installation.project))
    keep(installation, cluster_of(installation, other, "prod2"))
    keep(installation, cluster_of(installation, other, "pro_"))
    keep(installation, cluster_of(installation, other), "css/log", "other")


def test_what_a_cluster_kept_before_stays_its_own_until_it_is_removed(
    installation: Installation, other: Project
) -> None:
    mine, theirs = cluster_of(installation, installation.project), cluster_of(installation, other)
    keep(installation, mine)
    keep(installation, mine, "new")
    log_settings.close_backup(installation.runtime, mine)
    assert "another project" in refusal(installation, theirs)
    assert "another project" in refusal(installation, theirs, "new")
    clusters.remove_cluster(installation.runtime, mine)
    keep(installation, theirs)


@pytest.mark.usefixtures("shared_folder")
def test_a_rebuilt_cluster_has_its_places_and_is_closed_where_another_has_them(
    installation: Installation, other: Project, tmp_path: Path
) -> None:
    mine, theirs = cluster_of(installation, installation.project), cluster_of(installation, other)
    keep(installation, mine)
    assert installation.back_up(mine).status is JobStatus.SUCCESS
    clusters.remove_cluster(installation.runtime, mine)
    [rebuilt] = rebuild.rebuild(installation.runtime, ["logs"], adopt=[mine.id]).clusters
    assert (rebuilt.state, rebuilt.problems) == (State.REBUILT, [])
    assert "another project" in refusal(installation, theirs)
    clusters.remove_cluster(installation.runtime, mine)
    keep(installation, theirs)
    [rebuilt] = rebuild.rebuild(installation.runtime, ["logs"], adopt=[mine.id]).clusters
    assert rebuilt.state is State.REBUILT
    assert "its log backup is closed: the logs of prod would lie in css/log/prod" in rebuilt.problems[0]
    setting = log_settings.get_setting(installation.runtime, mine)
    assert setting
    assert not setting.enabled


# Words


def test_no_cluster_is_named_like_the_id_of_another(installation: Installation) -> None:
    mine = cluster_of(installation, installation.project)
    for name in (mine.id, mine.id.upper()):
        with pytest.raises(InvalidField, match="has the form of a cluster's id"):
            cluster_of(installation, installation.project, name)
    assert clusters.find_clusters(installation.runtime, mine.id.upper()) == [mine]
    assert clusters.find_clusters(installation.runtime, "prod") == [mine]


def test_no_project_is_named_like_the_id_of_another(installation: Installation) -> None:
    with pytest.raises(InvalidField, match="has the form of an id"):
        identity.add_project(installation.runtime, installation.project.id)


def test_a_folder_of_which_nobody_can_tell_whose_it_is_is_refused(installation: Installation) -> None:
    mine, new = cluster_of(installation, installation.project), cluster_of(installation, installation.project, "new")
    keep(installation, mine)
    for name in ("prod", "new"):
        large = installation.bucket / manifest_object(f"css/log/{name}", 1_700_000_000_000, "0" * 32, 1)
        large.parent.mkdir(parents=True)
        with large.open("wb") as file:
            file.truncate(65 * 1024 * 1024)
    keep(installation, mine)  # the database knows that it is its own
    assert "holds 1 manifests that are too large to be read" in refusal(installation, new)
