"""What a search cluster's own API tells of its disks and snapshots, read in bounds as all that it tells."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from logkeep.sources.base import FoundSnapshot, FoundVolume
from logkeep.sources.discovery import ClusterApi, ask_cluster, plain

_FS = "/_nodes/stats/fs?filter_path=nodes.*.name,nodes.*.fs.total"
_SNAPSHOT = ("snapshot", "uuid", "version", "state", "indices", "start_time_in_millis", "end_time_in_millis", "shards")
_SNAPSHOTS = "/_snapshot/{repository}/_all?ignore_unavailable=true&filter_path=" + ",".join(
    f"snapshots.{name}" for name in _SNAPSHOT
)
_MOST_BYTES = 16 * 1024 * 1024  # of the snapshots of a repository, each with the names of its indexes


class _Total(msgspec.Struct, frozen=True):
    total_in_bytes: int = 0
    available_in_bytes: int = 0


class _Fs(msgspec.Struct, frozen=True):
    total: _Total = _Total()


class _Node(msgspec.Struct, frozen=True):
    name: str = ""
    fs: _Fs = _Fs()


class _Nodes(msgspec.Struct, frozen=True):
    nodes: dict[str, _Node] = {}


class _Settings(msgspec.Struct, frozen=True):
    bucket: str = ""


class _Repository(msgspec.Struct, frozen=True):
    settings: _Settings = _Settings()


class _Shards(msgspec.Struct, frozen=True):
    total: int = 0
    failed: int = 0


class _Snapshot(msgspec.Struct, frozen=True):
    snapshot: str
    uuid: str = ""
    version: str = ""
    state: str = ""
    indices: tuple[str, ...] = ()
    start_time_in_millis: int = 0
    end_time_in_millis: int = 0
    shards: _Shards = _Shards()


class _Snapshots(msgspec.Struct, frozen=True):
    snapshots: list[_Snapshot] = []


def read_volumes(url: str, user: str = "", password: str = "") -> list[FoundVolume]:
    """Return the disks of each node. Raises `InvalidField` that says what came instead."""

    async def ask(api: ClusterApi) -> _Nodes:
        return await api.get(_FS, _Nodes)

    found = ask_cluster(url, user, password, ask)
    return [
        FoundVolume(
            name=plain(node.name, "the name of a node"),
            instance=plain(id_, "the id of a node", 64),
            total=node.fs.total.total_in_bytes,
            available=node.fs.total.available_in_bytes,
        )
        for id_, node in found.nodes.items()
    ]


def read_snapshots(url: str, user: str = "", password: str = "") -> list[FoundSnapshot]:
    """Return the snapshots in all repositories. Raises `InvalidField` that says what came instead."""

    async def ask(api: ClusterApi) -> list[FoundSnapshot]:
        snapshots: list[FoundSnapshot] = []
        for name, repository in (await api.get("/_snapshot", dict[str, _Repository])).items():
            path = _SNAPSHOTS.format(repository=quote(name, safe=""))
            found = await api.get(path, _Snapshots, _MOST_BYTES)
            bucket = plain(repository.settings.bucket, "the bucket of a repository")
            snapshots += [_found(one, bucket) for one in found.snapshots]
        return snapshots

    return ask_cluster(url, user, password, ask)


def _found(one: _Snapshot, bucket: str) -> FoundSnapshot:
    return FoundSnapshot(
        id=plain(one.uuid, "the id of a snapshot"),
        name=plain(one.snapshot, "the name of a snapshot"),
        version=plain(one.version, "the version of a snapshot"),
        state=one.state,
        indices=tuple(plain(index, "the name of an index", 1024) for index in one.indices),
        started_at=one.start_time_in_millis,
        ended_at=one.end_time_in_millis,
        shards=one.shards.total,
        failed_shards=one.shards.failed,
        bucket=bucket,
    )
