"""Makes tests/data/golden/bucket anew: python -m tests.golden.make_bucket

It is what the code of today leaves in a bucket: to be made once for a version, and kept beside those before it as long as
they are to be read.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSettingChange
from logkeep.errors import SourceUnreachable, StoreUnreachable
from logkeep.service import clusters, log_settings
from logkeep.sources.base import LogSource, Tenant
from logkeep.stores.base import ObjectStore
from tests.conftest import GOLDEN
from tests.support.installation import Installation, open_installation
from tests.support.tampering import manifests

FOLDER = GOLDEN / "bucket"
NODES = "/var/log/elasticsearch"  # what the manifests name; the logs of this run lie elsewhere


def lines(first: int, last: int) -> bytes:
    """Lines of which each has a time and a length of its own."""
    return b"".join(
        b"[2026-11-23T%02d:%02d:%02d,000][%s][o.e.n.Node] [n1] event %d %s\n"
        % (n // 3600, n // 60 % 60, n % 60, (b"INFO ", b"WARN ", b"ERROR")[n % 3], n, b"." * (n * 7 % 40))
        for n in range(first, last)
    )


class Nodes:
    """The log directories of all nodes."""

    def __init__(self, folder: Path, open_source: Callable[[str, Tenant], LogSource]) -> None:
        self._folder = folder
        self._open = open_source
        self._seconds = 1_700_000_000
        self.unreachable = False

    def open_source(self, url: str, tenant: Tenant) -> LogSource:
        if self.unreachable:
            raise SourceUnreachable("the node does not answer")
        return self._open(url.replace(NODES, str(self._folder)), tenant)

    def write(self, name: str, data: bytes) -> None:
        """A file is as old as its place among those that are written."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self._seconds += 60
        os.utime(path, (self._seconds, self._seconds))

    def move(self, old: str, new: str) -> None:
        (self._folder / old).rename(self._folder / new)

    def delete(self, name: str) -> None:
        (self._folder / name).unlink()


@contextmanager
def out_of_reach(made: Installation) -> Iterator[None]:
    """A bucket that takes nothing, so that a job ends without a manifest."""
    there = made.runtime
    made.runtime = replace(there, stores={"logs": _Refusing(there.stores["logs"])})
    yield
    made.runtime = there


class _Refusing:
    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def put(self, *_: object) -> None:
        raise StoreUnreachable("the bucket does not answer")


def add_cluster(made: Installation, name: str, *nodes: str) -> Cluster:
    new = [clusters.NewNode(node, f"file://{NODES}/{node}") for node in nodes]
    cluster = clusters.add_cluster(made.runtime, made.project.id, name, new)
    log_settings.open_backup(made.runtime, cluster, LogSettingChange("css_obs_agency", "logs", "css/log"))
    return cluster


def back_up_prod(made: Installation, nodes: Nodes) -> Cluster:
    """Growing, rotated, changed, cut, missing and unreachable logs of two nodes."""
    cluster = add_cluster(made, "prod", "n1", "n2")
    nodes.write("n1/prod-2026-11-22-1.log.gz", gzip.compress(lines(0, 50), mtime=0)[:-8])
    nodes.write("n1/prod.log", lines(50, 90))
    nodes.write("n2/prod.log", b"")
    nodes.write("n2/sub/prod_server.json", b'{"type": "server", "timestamp": "2026-11-23T00:00:00,000Z"}\n' * 20)
    nodes.write("n2/gc.log", "ohne Zeit, mit Umlaut: ä\n".encode() * 3)
    made.back_up(cluster)
    nodes.write("n1/prod.log", lines(50, 130))
    made.back_up(cluster)
    changed = lines(50, 140).replace(b"event 125 ", b"EVENT 125 ")
    nodes.write("n1/prod.log", changed)
    made.back_up(cluster)
    nodes.delete("n1/prod.log")
    nodes.write("n1/prod-2026-11-23-1.log.gz", gzip.compress(changed, mtime=0))
    nodes.write("n1/prod.log", lines(140, 170))
    nodes.unreachable = True
    made.back_up(cluster)
    nodes.unreachable = False
    with out_of_reach(made):
        made.back_up(cluster)
    made.back_up(cluster)
    nodes.delete("n1/prod.log")
    nodes.write("n1/prod-2026-11-23-5.log", lines(300, 320))
    nodes.write("n1/prod.log", lines(320, 340))
    made.back_up(cluster)
    made.back_up(cluster)
    return cluster


def back_up_elsewhere(made: Installation, nodes: Nodes) -> Cluster:
    """Its name is quoted, and its chain goes on in another folder."""
    cluster = add_cluster(made, "tést ünit", "n3")
    nodes.write("n3/es.log", lines(0, 20))
    made.back_up(cluster)
    log_settings.update_setting(made.runtime, cluster, LogSettingChange("css_obs_agency", "logs", "other/place"))
    nodes.write("n3/es.log", lines(0, 40))
    made.back_up(cluster)
    return cluster


def remove_old(made: Installation, nodes: Nodes) -> None:
    cluster = add_cluster(made, "old", "n4")
    nodes.write("n4/es.log", lines(0, 5))
    made.back_up(cluster)
    clusters.remove_cluster(made.runtime, cluster)


def describe(made: Installation, kept: list[Cluster]) -> dict[str, object]:
    """What a reader must find."""
    heads: dict[str, str] = {}
    for path in manifests(made.bucket):
        heads[json.loads(path.read_bytes())["cluster_name"]] = sha256(path.read_bytes()).hexdigest()
    logs = {
        cluster.name: {
            f"{node}/{family}": {"bytes": len(data), "sha256": sha256(data).hexdigest()}
            for (node, family), data in sorted(made.restored(cluster).items())
        }
        for cluster in kept
    }
    return {"heads": heads, "logs": logs}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, open_installation(Path(folder) / "installation") as made:
        nodes = Nodes(Path(folder), made.runtime.open_source)
        made.runtime = replace(made.runtime, open_source=nodes.open_source, settle_source=lambda url: url)
        kept = [back_up_prod(made, nodes), back_up_elsewhere(made, nodes)]
        remove_old(made, nodes)
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(made.bucket, FOLDER / "objects")
        shutil.copy(made.folder / "sign.pub", FOLDER)
        text = json.dumps(describe(made, kept), indent=1, ensure_ascii=False)
        (FOLDER / "kept.json").write_text(f"{text}\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
