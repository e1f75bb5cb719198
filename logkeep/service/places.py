"""Ownership of folders in buckets: the folders of two clusters are never the same, nor one within the other."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from sqlalchemy import Connection

from logkeep.archive.orphans import ClusterPrefix, setting_prefix
from logkeep.database import keys, places
from logkeep.database.connection import hold_alone
from logkeep.domain.cluster import Cluster
from logkeep.errors import InvalidField
from logkeep.service.runtime import Runtime


def take_place(runtime: Runtime, connection: Connection, cluster: Cluster, bucket: str, base_path: str) -> None:
    """Reserve the folder for the cluster until that is removed. Raises `InvalidField` if another's is in the way."""
    hold_alone(connection)  # concurrent transactions would not see each other's folders
    problem = find_conflict(runtime, connection, cluster, bucket, base_path)
    if problem:
        raise InvalidField("log_base_path", problem)
    note_place(connection, cluster.id, setting_prefix(bucket, base_path, cluster.name))


def note_place(connection: Connection, cluster_id: str, place: ClusterPrefix) -> None:
    """Record that objects of the cluster lie in this folder."""
    places.insert_place(connection, cluster_id, place.bucket, place.folder, _fold(place.folder))


def fold_place(place: ClusterPrefix) -> dict[str, str]:
    """Return a place as it is compared with those of other clusters, by the names of columns."""
    return {"bucket": place.bucket, "folder": place.folder, "folded": _fold(place.folder)}


def find_conflict(
    runtime: Runtime, connection: Connection, cluster: Cluster, bucket: str, base_path: str
) -> str | None:
    """Return why the cluster cannot keep its logs there, and what to do; None if it can."""
    place = setting_prefix(bucket, base_path, cluster.name)
    for project_id, name, folder in _neighbours(runtime, connection, cluster.id, place):
        whose = f"cluster {name}" if project_id == cluster.project_id else "a cluster of another project"
        where = "there" if folder == place.folder else f"in {folder}, and one would lie in the other"
        [project] = keys.fetch_projects(connection, project_id=cluster.project_id)
        return (
            f"the logs of {cluster.name} would lie in {place.folder} of bucket {bucket}, but {whose} keeps or kept its "
            f"logs {where}; choose another path, for example '{project.name}/{base_path}', or another bucket"
        )
    return None


def _neighbours(
    runtime: Runtime, connection: Connection, cluster_id: str, place: ClusterPrefix
) -> Iterator[tuple[str, str, str]]:
    """Yield project id, cluster name and folder of each conflict.

    Other names of the bucket are considered, and buckets nested in one another.
    """
    mine = runtime.bucket_locations.get(place.bucket, place.bucket)
    for bucket, location in {place.bucket: mine, **runtime.bucket_locations}.items():
        folds = location.startswith("fs:")  # a file system may not know upper and lower case
        folder = _seen_from(f"{mine}/{place.folder}", location)
        folded = None if folder is None else _fold(folder)
        if folded is None:
            continue
        for project_id, name, other in places.fetch_neighbours(connection, cluster_id, bucket, folded):
            if folds or not folder or _meet(folder, other):
                yield project_id, name, other


def _seen_from(path: str, bucket: str) -> str | None:
    """Return the path relative to a bucket; '' if it contains the bucket, None if neither contains the other."""
    if f"{bucket}/".startswith(f"{path}/"):
        return ""
    return path[len(bucket) + 1 :] if path.startswith(f"{bucket}/") else None


def _meet(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _fold(folder: str) -> str:
    return unicodedata.normalize("NFC", folder).casefold()
