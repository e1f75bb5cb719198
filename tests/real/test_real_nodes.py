"""Backups of nodes that write and rotate by themselves, of the whole corpus, and into a real S3 store."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logkeep.clock import SystemClock
from logkeep.domain.archive_search import ArchiveQuery, Hit, SearchEnd
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSettingChange
from logkeep.domain.record_filter import RecordFilter
from logkeep.logformat.names import parse_name
from logkeep.service import clusters, indexing, log_settings
from logkeep.service.archive_search import search_archive
from tests.real.servers import OpenSearchNode, S3Server
from tests.support import corpus
from tests.support.installation import SETTING, Installation, open_installation

pytestmark = pytest.mark.real
# The whole corpus lies beside the checkout where there is one; the cut that the project keeps stands in for it.
CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with open_installation(tmp_path / "installation", SystemClock()) as installation:
        yield installation


class Witness:
    """Holds every file that a node ever wrote to, by a link of its own, so that nothing is lost when the node deletes it."""

    def __init__(self, logs: Path, folder: Path) -> None:
        self._logs, self._folder = logs, folder
        folder.mkdir()
        self._written: dict[str, list[int]] = {}  # active file -> inodes, oldest first
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    def written(self) -> dict[str, bytes]:
        """Family -> all that was ever written to its active file."""
        return {
            family: b"".join((self._folder / str(inode)).read_bytes() for inode in inodes)
            for family, inodes in self._written.items()
        }

    def rotations(self) -> int:
        return sum(len(inodes) - 1 for inodes in self._written.values())

    def _watch(self) -> None:
        while not self._ended.wait(0.005):
            self._look()

    def _look(self) -> None:
        names = {entry.name for entry in os.scandir(self._logs)}
        for name in names:
            if not parse_name(name, names).active or name.startswith("gc.log"):
                continue
            try:
                inode = (self._logs / name).stat().st_ino
                inodes = self._written.setdefault(name, [])
                if inode not in inodes:
                    os.link(self._logs / name, self._folder / str(inode))
                    inodes.append(inode)
            except (FileNotFoundError, FileExistsError):
                continue  # renamed just now; the next look sees the new one


def some_texts(written: dict[str, bytes]) -> list[str]:
    """Parts of lines, from a time to a whole stack trace's line, and what is in none."""
    chance = random.Random(15)
    lines = [line.decode() for data in written.values() for line in data.splitlines()]
    texts = ["took[", "deprecat", "not in any line"]
    for _ in range(12):
        line = chance.choice(lines)
        start = chance.randrange(max(1, len(line) - 8))
        texts.append(line[start : start + chance.choice((8, 12, 40))])
    return [text for text in texts if text]


def containing(written: dict[str, bytes], text: str) -> Counter[tuple[str, str]]:
    lines = ((family, line.decode()) for family, data in written.items() for line in data.split(b"\n"))
    return Counter((family, line) for family, line in lines if text in line)


def found(installation: Installation, cluster: Cluster, text: str) -> Counter[tuple[str, str]]:
    """Log and line of all that a search finds, but in the logs of the garbage collection, which nobody watches."""
    query = ArchiveQuery(
        text=text,
        regex=False,
        ignore_case=False,
        node="",
        family="",
        wanted=RecordFilter(),
        limit=100_000,
        count=False,
        live=True,
    )
    *events, end = search_archive(installation.runtime, cluster, query)
    assert isinstance(end, SearchEnd) and end.completed, events
    hits = [event for event in events if isinstance(event, Hit)]
    return Counter((hit.family, hit.text) for hit in hits if not hit.family.startswith("gc.log"))


def test_logs_of_a_node_that_rotates_during_backups_come_back_byte_for_byte(
    installation: Installation, start_node: Callable[..., OpenSearchNode]
) -> None:
    node = start_node("os1", rotate_bytes=150_000)
    witness = Witness(node.logs, node.folder / "witness")
    cluster = clusters.discover_cluster(
        installation.runtime, installation.project.id, "oslogs", node.http, "file://{path.logs}"
    )
    assert (cluster.kind, cluster.version[:4]) == ("opensearch", "2.19")
    assert [(n.name, n.source) for n in cluster.nodes] == [("os1", f"file://{node.logs}")]
    log_settings.open_backup(installation.runtime, cluster, SETTING)
    noise = threading.Thread(target=node.make_noise, args=(12,))
    noise.start()
    jobs = []
    while noise.is_alive():
        jobs.append(installation.back_up(cluster))
    noise.join()
    node.stop()
    witness.stop()
    texts = some_texts(witness.written())
    live = [found(installation, cluster, text) for text in texts]
    jobs.append(installation.back_up(cluster))
    assert {job.status for job in jobs} == {JobStatus.SUCCESS}, [job.failed_msg for job in jobs]
    restored = installation.restored(cluster)
    for family, data in witness.written().items():
        assert restored["os1", family] == data, family
    list(indexing.index_cluster(installation.runtime, cluster))
    for text, before in zip(texts, live, strict=True):
        assert found(installation, cluster, text) == before == containing(witness.written(), text), text
    for family, data in corpus.families(node.logs).items():  # what is there now, by its own names
        assert restored["os1", family].endswith(data), family
    assert witness.rotations() > 20
    assert not installation.findings(cluster, read_data=True)
    stored = installation.objects()
    installation.back_up(cluster)
    assert installation.objects() == stored


def by_the_hour_and_newest_first(log4j: str) -> str:
    """Server logs by the hour, those in text with 1 as the newest of the hour; all others with 1 as the newest."""
    text = log4j.replace("%d{yyyy-MM-dd}", "%d{yyyy-MM-dd-HH}")
    newest_first = r"\1.fileIndex = min\n\1.max = 99"
    text = re.sub(r"(?m)^(appender\.rolling_old\.strategy)\.fileIndex = nomax$", newest_first, text)
    return re.sub(r"(?m)^(appender\.\w+\.strategy)\.max = 4$", newest_first, text)


def test_hourly_logs_and_those_whose_newest_is_1_come_back_byte_for_byte(
    installation: Installation, start_node: Callable[..., OpenSearchNode]
) -> None:
    node = start_node("os1", rotate_bytes=60_000, change_log4j=by_the_hour_and_newest_first, clock=0)
    witness = Witness(node.logs, node.folder / "witness")
    cluster = installation.add_cluster(os1=node.logs)

    def work() -> None:
        for hour in range(5):
            node.put_clock_ahead(hour * 3600)
            node.make_noise(1)

    noise = threading.Thread(target=work)
    noise.start()
    jobs = []
    while noise.is_alive():
        jobs.append(installation.back_up(cluster))
        noise.join(0.5)
    node.stop()
    witness.stop()
    jobs.append(installation.back_up(cluster))
    assert {job.status for job in jobs} == {JobStatus.SUCCESS}, [job.failed_msg for job in jobs]
    restored = installation.restored(cluster)
    for family, data in witness.written().items():
        assert restored["os1", family] == data, family
    assert not [gap for job in jobs for gap in installation.gaps(job)]
    names = os.listdir(node.logs)
    assert len({found[1] for name in names if (found := re.search(r"oslogs-[\d-]+-(\d\d)-\d+\.json", name))}) >= 4
    assert "oslogs_index_search_slowlog-9.json.gz" in names
    assert witness.rotations() > 40


def test_whole_corpus_comes_back_byte_for_byte(installation: Installation, tmp_path: Path) -> None:
    if CORPUS.is_dir():
        shutil.copytree(CORPUS, tmp_path / "corpus")
    else:
        for node in corpus.NODES:
            corpus.unpack(node, tmp_path / "corpus" / node)
    nodes = {folder.name: folder for folder in sorted((tmp_path / "corpus").iterdir())}
    assert len(nodes) == 4
    cluster = installation.add_cluster(**nodes)
    job = installation.back_up(cluster)
    assert (job.status, job.failed_msg) == (JobStatus.SUCCESS, None)
    restored = installation.restored(cluster)
    for node, folder in nodes.items():
        for family, data in corpus.families(folder).items():
            assert restored[node, family] == data, (node, family)
    stored = installation.objects()
    assert installation.back_up(cluster).status is JobStatus.SUCCESS
    assert installation.objects() == stored


def test_corpus_in_a_real_s3_store_comes_back_and_is_plain_zstd(
    tmp_path: Path, s3_server: S3Server, s3_bucket: str
) -> None:
    keys = "".join(f'{name} = "{value}"\n' for name, value in s3_server.credentials().items())
    url = f"s3://{s3_bucket}/archive?region=us-east-1&endpoint={s3_server.endpoint}"
    toml = f'[buckets.remote]\nurl = "{url}"\n[buckets.remote.credentials]\n{keys}'
    corpus.unpack("os2", tmp_path / "os2")
    with open_installation(tmp_path / "installation", SystemClock(), toml) as installation:
        new = [clusters.NewNode("os2", f"file://{tmp_path / 'os2'}")]
        cluster = clusters.add_cluster(installation.runtime, installation.project.id, "prod", new)
        log_settings.open_backup(installation.runtime, cluster, LogSettingChange("a", "remote", "css/log"))
        job = installation.back_up(cluster)
        assert (job.status, job.failed_msg) == (JobStatus.SUCCESS, None)
        restored = installation.restored(cluster)
        for family, data in corpus.families(tmp_path / "os2").items():
            assert restored["os2", family] == data, family
        assert not installation.findings(cluster, read_data=True)
        s3_server.client().delete_object(Bucket=s3_bucket, Key=_first_object(s3_server, s3_bucket))
        assert [finding.problem for finding in installation.findings(cluster)] == ["missing"]
    listed = s3_server.client().list_objects_v2(Bucket=s3_bucket)["Contents"]
    names = [one["Key"] for one in listed if "/gc.log/" in one["Key"]]
    bodies = [s3_server.client().get_object(Bucket=s3_bucket, Key=name)["Body"].read() for name in sorted(names)]
    shown = subprocess.run(["zstd", "-dcq"], input=b"".join(bodies), capture_output=True, check=True).stdout
    assert corpus.families(tmp_path / "os2")["gc.log"].endswith(shown)


def _first_object(server: S3Server, bucket: str) -> str:
    listed = server.client().list_objects_v2(Bucket=bucket)["Contents"]
    return min(one["Key"] for one in listed if one["Key"].endswith(".zst"))
