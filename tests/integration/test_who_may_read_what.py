"""Which directories a project may have read: at registration, when a job begins, and while it lists."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import logkeep
from logkeep.bootstrap.runtime import open_runtime
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster, Project
from logkeep.domain.log_line import LogKind, LogQuery
from logkeep.errors import InvalidField, SourceError, SourceRefused, SourceVanished
from logkeep.service import clusters, identity, log_search, log_settings, sources
from logkeep.settings import load_settings
from logkeep.sources.base import FoundCluster, FoundNode
from logkeep.sources.confinement import Confinement
from logkeep.sources.local import LocalSource
from tests.support.installation import SETTING, Installation, open_installation


def register(installation: Installation, source: str | Path, project: Project | None = None) -> Cluster:
    url = source if isinstance(source, str) else f"file://{source}"
    project_id = (project or installation.project).id
    return clusters.add_cluster(installation.runtime, project_id, "prod", [clusters.NewNode("n1", url)])


def refusal(installation: Installation, source: str | Path, project: Project | None = None) -> str:
    with pytest.raises(InvalidField) as refused:
        register(installation, source, project)
    assert refused.value.field == "nodes.source"
    return refused.value.message


@contextmanager
def settings(folder: Path, toml: str) -> Iterator[Installation]:
    with open_installation(folder / "installation", toml=f"[buckets.logs]\n{toml}") as installation:
        yield installation


# Never what is Logkeep's own


@pytest.mark.parametrize("place", [".", "buckets", "buckets/logs", "buckets/logs/css/log", "none/yet", ".."])
def test_no_source_is_the_installation_nor_lies_in_or_above_it(installation: Installation, place: str) -> None:
    assert "the directory of this installation" in refusal(installation, installation.folder / place)


def test_the_root_of_all_directories_is_no_source(installation: Installation) -> None:
    assert "the directory / holds /" in refusal(installation, "file:///")
    assert "the directory / holds /" in refusal(installation, "file:///usr/..")


def test_no_source_is_a_bucket_elsewhere_or_holds_what_the_settings_name(tmp_path: Path) -> None:
    for name in ("disk/logs/inner", "keys"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "keys" / "hosts").touch()
    toml = f'[buckets.far]\nurl = "file://{tmp_path}/disk/logs"\n[sftp]\nknown_hosts = "{tmp_path}/keys/hosts"\n'
    with settings(tmp_path, toml) as installation:
        for place in ("disk", "disk/logs", "disk/logs/inner"):
            assert "the bucket far" in refusal(installation, tmp_path / place)
        assert "a file of the settings" in refusal(installation, tmp_path / "keys")


def test_neither_the_program_nor_what_the_system_keeps_is_a_source(installation: Installation) -> None:
    assert "the program itself" in refusal(installation, Path(logkeep.__file__).parent / "api")
    for place in ("/etc", "/etc/ssh", "/proc/self", "/sys/kernel", "/dev", "/run"):
        assert refusal(installation, place if place.startswith("file") else f"file://{place}")


def test_a_link_to_what_is_logkeeps_own_is_seen_through(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "innocent").symlink_to(installation.folder)
    assert "the directory of this installation" in refusal(installation, tmp_path / "innocent")
    assert "the directory of this installation" in refusal(installation, tmp_path / "innocent" / "buckets")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("inner", ["", "buckets/logs"])
def test_another_mount_of_what_is_logkeeps_own_is_seen_through(
    installation: Installation, tmp_path: Path, inner: str
) -> None:
    outer = tmp_path / "outer"
    (outer / "folder").mkdir(parents=True)
    cluster = register(installation, outer)
    with mounted(installation.folder / inner, outer / "folder"):
        assert "the directory of this installation" in refusal(installation, outer / "folder")
        log_settings.open_backup(installation.runtime, cluster, SETTING)
        job = installation.back_up(cluster)
    assert job.status is JobStatus.FAIL
    assert "node n1: folder 'folder/' cannot be listed: the directory " in (job.failed_msg or "")
    assert installation.objects() == []


@contextmanager
def mounted(place: Path, point: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", place, point], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", point], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_file_system_that_the_kernel_makes_up_is_not_read_wherever_it_is_mounted(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "n1" / "proc").mkdir(parents=True)
    subprocess.run(["mount", "-t", "proc", "proc", tmp_path / "n1" / "proc"], check=True)
    try:
        assert "of the kind proc" in refusal(installation, tmp_path / "n1" / "proc")
        cluster = installation.add_cluster(n1=tmp_path / "n1")
        job = installation.back_up(cluster)
    finally:
        subprocess.run(["umount", tmp_path / "n1" / "proc"], check=True)
    assert "of the kind proc" in (job.failed_msg or "")
    assert installation.objects() == []


# Links


def test_links_of_an_administrator_are_resolved_once(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "disk" / "os logs").mkdir(parents=True)
    (tmp_path / "disk" / "os logs" / "es.log").write_bytes(b"a line\n")
    (tmp_path / "var").symlink_to(tmp_path / "disk")
    cluster = register(installation, f"file://{tmp_path}/var/os%20logs")
    assert cluster.nodes[0].source == f"file://{tmp_path}/disk/os%20logs"
    log_settings.open_backup(installation.runtime, cluster, SETTING)
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.restored(cluster) == {("n1", "es.log"): b"a line\n"}


@pytest.mark.parametrize("part", ["", "inner"])
def test_a_link_that_was_put_there_later_leads_nowhere(installation: Installation, tmp_path: Path, part: str) -> None:
    logs = tmp_path / "n1"
    (logs / "inner").mkdir(parents=True)
    cluster = installation.add_cluster(n1=logs / part)
    other = tmp_path / "other"
    (other / "inner").mkdir(parents=True)
    (other / "es.log").write_bytes(b"secret\n")
    (other / "inner" / "es.log").write_bytes(b"secret\n")
    logs.rename(tmp_path / "moved")
    logs.symlink_to(other)
    job = installation.back_up(cluster)
    assert (job.failed_msg or "").startswith(f"LK-SOURCE-REFUSED: node n1: the directory {logs / part} is reached over")
    assert f"register the node with file://{other / part}".rstrip("/") in (job.failed_msg or "")
    with pytest.raises(SourceRefused):
        log_search.search_live(installation.runtime, cluster, "n1", LogQuery(LogKind.INSTANCE))
    assert installation.objects() == []


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("part", ["logs", "logs/inner"])
def test_whatever_is_swapped_in_while_it_lists_and_reads_nothing_outside_is_seen(
    tmp_path: Path, part: str, held: bool
) -> None:
    """A directory turns into a link and back, as fast as it can; folders may be held open meanwhile."""
    logs, outside = tmp_path / "logs", tmp_path / "outside"
    for place, content in ((logs, b"inside"), (outside, b"SECRET"), (outside / "inner", b"SECRET")):
        (place / "inner").mkdir(parents=True, exist_ok=True)
        for name in ("a.log", "inner/a.log"):
            (place / name).write_bytes(content)
        if content == b"SECRET":
            (place / "only-there.log").write_bytes(content)
    stop = threading.Event()
    swapping = threading.Thread(target=swap, args=(tmp_path / part, outside, stop))
    swapping.start()
    try:
        source = LocalSource(logs, confinement=Confinement())
        read = partial(read_again_and_again, source, 3.0)
        listed, contents = source.run(read) if held else read()
    finally:
        stop.set()
        swapping.join()
    assert listed == {"a.log", "inner/a.log"}
    assert contents == {b"inside"}


def swap(place: Path, target: Path, stop: threading.Event) -> None:
    aside, link = place.with_name(f"{place.name}-aside"), place.with_name(f".{place.name}-link")
    if place.name == "inner":
        aside = place.with_name(".aside")
    link.symlink_to(target)
    while not stop.is_set():
        place.rename(aside)
        link.rename(place)
        place.rename(link)
        aside.rename(place)


def read_again_and_again(source: LocalSource, seconds: float) -> tuple[set[str], set[bytes]]:
    listed, contents = set[str](), set[bytes]()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(SourceError):
            listed.update(file.name for file in source.list() if not file.name.startswith("."))
        for name in ("a.log", "inner/a.log", "only-there.log", "inner/only-there.log"):
            with suppress(SourceError), closing(source.open(name)) as log:
                contents.add(log.read_at(0, 100))
    return listed, contents


def test_pipes_and_devices_are_neither_opened_nor_waited_for(installation: Installation, tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    os.mkfifo(logs / "pipe.log")
    os.mkfifo(tmp_path / "pipe")
    cluster = installation.add_cluster(n1=logs)
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.restored(cluster) == {}
    with pytest.raises(SourceVanished):
        LocalSource(logs).open("pipe.log")
    with pytest.raises(SourceError, match="cannot be listed: Not a directory"):
        LocalSource(tmp_path / "pipe").list()


# Projects


def test_with_two_projects_a_directory_needs_a_root(installation: Installation, logs: Path) -> None:
    cluster = installation.add_cluster(n1=logs)
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert sources.find_refused(installation.runtime) == ([], 0)
    other = identity.add_project(installation.runtime, "team.b")
    told = f'write in logkeep.toml [sources.projects."team.b"] and below it roots = ["{logs}"]'
    assert told in refusal(installation, logs, other)
    [refused], unchecked = sources.find_refused(installation.runtime)  # which `project add` tells at once
    assert (refused.cluster, unchecked) == ("prod", 0)
    assert told.replace('"team.b"', "cn-north-4") in refused.why
    failed = installation.back_up(cluster)
    assert f'[sources.projects.cn-north-4] and below it roots = ["{logs}"]' in (failed.failed_msg or "")
    assert (failed.failed_msg or "").startswith("LK-SOURCE-REFUSED: node n1: ")


@pytest.mark.parametrize("roots", ["", '[sources]\nroots = ["/srv/logs"]\n'])
def test_what_no_root_would_allow_is_refused_with_its_own_cause(tmp_path: Path, roots: str) -> None:
    with settings(tmp_path, roots) as installation:
        other = identity.add_project(installation.runtime, "team-b")
        for place, cause in (
            ("/", "the directory / holds /"),
            (installation.bucket / "css", "the directory of this installation"),
            (installation.folder, "the directory of this installation"),
            ("/etc/ssh", "a directory of the system"),
            *((("/proc/self", "of the kind proc"),) if roots else (("/proc/self", "a directory of the system"),)),
        ):
            told = refusal(installation, f"file://{place}", other)
            assert cause in told
            assert ("roots" in told) == ("of the system" in told), told  # a root may name what lies in /etc, as told


def test_each_project_reads_below_its_own_roots_and_those_of_all(tmp_path: Path) -> None:
    for name in ("all", "a", "b"):
        (tmp_path / name / "logs").mkdir(parents=True)
    toml = (
        f'[sources]\nroots = ["{tmp_path}/all"]\n[sources.projects.team-a]\nroots = ["{tmp_path}/a"]\n'
        f'[sources.projects.cn-north-4]\nroots = ["{tmp_path}/b"]\n'
    )
    with settings(tmp_path, toml) as installation:
        first, second = installation.project, identity.add_project(installation.runtime, "team-a")
        for project, own, others in ((first, "b", "a"), (second, "a", "b")):
            cluster = register(installation, tmp_path / own / "logs", project)
            clusters.remove_cluster(installation.runtime, cluster)
            cluster = register(installation, tmp_path / "all" / "logs", project)
            assert "lies outside sources.roots" in refusal(installation, tmp_path / others / "logs", project)
            assert "lies outside sources.roots" in refusal(
                installation, f"file://{tmp_path}/{own}/../{others}", project
            )


def test_what_was_allowed_once_is_held_against_the_roots_of_now(tmp_path: Path) -> None:
    logs = tmp_path / "n1"
    logs.mkdir()
    with settings(tmp_path, "") as installation:
        cluster = installation.add_cluster(n1=logs)
        (installation.folder / "logkeep.toml").write_text(f'[buckets.logs]\n[sources]\nroots = ["{tmp_path}/n2"]\n')
        narrowed = open_runtime(load_settings(installation.folder, installation.environment))
        installation.runtime = replace(installation.runtime, open_source=narrowed.open_source)
        job = installation.back_up(cluster)
        narrowed.database.dispose()
    assert f"LK-SOURCE-REFUSED: node n1: the directory {logs} lies outside sources.roots" in (job.failed_msg or "")


@pytest.mark.parametrize("answered", ["/etc", "/", "INSTALLATION", "INSTALLATION/buckets", "/proc/1", "LOGS/../OTHER"])
def test_directories_that_a_cluster_names_are_held_against_the_same_rules(tmp_path: Path, answered: str) -> None:
    with settings(tmp_path, f'[sources]\nroots = ["{tmp_path}/logs"]\n') as installation:
        (tmp_path / "logs").mkdir()
        (tmp_path / "other").mkdir()
        path = answered.replace("INSTALLATION", str(installation.folder))
        path = path.replace("LOGS", f"{tmp_path}/logs").replace("OTHER", "other")
        nodes = (FoundNode("n1", path, "10.0.0.1", "ess"),)
        found = FoundCluster("opensearch", "2.19.0", "10.0.0.1:9200", nodes)
        runtime = replace(installation.runtime, describe_cluster=lambda *_: found)
        with pytest.raises(InvalidField, match="the directory "):
            clusters.discover_cluster(runtime, installation.project.id, "prod", "http://x", "file://{path.logs}")
        assert clusters.find_clusters(runtime) == []


def test_hosts_and_agents_of_one_project_are_not_for_another(tmp_path: Path) -> None:
    toml = """
[agents.one]
url = "https://n1:8476"
token = "t"
[agents.all]
url = "https://n2:8476"
token = "t"
[sources.projects.team-a]
hosts = ["a-*:/var/log"]
agents = ["one"]
"""
    with settings(tmp_path, toml) as installation:
        team = identity.add_project(installation.runtime, "team-a")
        for number, source in enumerate(("sftp://logs@a-1/var/log/es", "agent:one", "agent:all")):
            clusters.add_cluster(installation.runtime, team.id, f"c{number}", [clusters.NewNode("n1", source)])
        assert "is not allowed by sftp.hosts" in refusal(installation, "sftp://logs@a-1/var/log/es")
        assert "source agent:one: is for other projects" in refusal(installation, "agent:one")
        register(installation, "agent:all")
