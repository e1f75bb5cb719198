"""Objects in a cluster's folder that its catalogue does not name: orphaned uploads and unknown objects."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from logkeep.domain.backup_job import JobStatus
from logkeep.stores.base import StoredObject
from logkeep.stores.layout import ObjectKind, ObjectName, cluster_folder, parse_object


@dataclass(frozen=True, slots=True, order=True)
class ClusterPrefix:
    """A folder that holds objects of one cluster."""

    bucket: str
    folder: str


@dataclass(frozen=True, slots=True)
class UnknownObject:
    """An object that the catalogue does not name."""

    prefix: ClusterPrefix
    object: StoredObject
    name: ObjectName | None  # None where it is no name of Logkeep's


@dataclass(frozen=True, slots=True)
class JobOrigin:
    """Job that an object's name tells, as the catalogue knows it."""

    cluster_id: str
    status: JobStatus
    attempts: int

    @property
    def may_leave_orphans(self) -> bool:
        """A job that succeeds at its first attempt deletes what it gives up."""
        return self.status is not JobStatus.SUCCESS or self.attempts > 1


class Verdict(StrEnum):
    OTHER_CLUSTER = "elsewhere"  # the matter of another cluster, or of another folder of this one
    ORPHAN = "orphan"  # the trace of an upload that was never confirmed
    UNKNOWN = "foreign"


def setting_prefix(bucket: str, base_path: str, cluster_name: str) -> ClusterPrefix:
    return ClusterPrefix(bucket, cluster_folder(base_path, cluster_name))


def object_prefix(bucket: str, name: str) -> ClusterPrefix:
    """Return the folder of a segment or manifest of the catalogue."""
    parsed = parse_object(name)
    return ClusterPrefix(bucket, parsed.folder if parsed else name.rpartition("/")[0])


def describe(prefix: ClusterPrefix, found: StoredObject) -> UnknownObject:
    return UnknownObject(prefix, found, parse_object(found.name))


def classify(
    unknown_object: UnknownObject,
    cluster_id: str,
    prefixes: Collection[ClusterPrefix],
    origin: JobOrigin | None,
    *,
    doubtful: bool,
) -> Verdict:
    """`doubtful`: a manifest in the bucket may name it that the catalogue does not know, or its job has one."""
    name, prefix = unknown_object.name, unknown_object.prefix
    if name is None:
        return Verdict.UNKNOWN
    if origin and origin.cluster_id != cluster_id:
        return Verdict.OTHER_CLUSTER
    if name.folder != prefix.folder:
        return Verdict.OTHER_CLUSTER if ClusterPrefix(prefix.bucket, name.folder) in prefixes else Verdict.UNKNOWN
    unexplained = name.kind is ObjectKind.MANIFEST if origin is None else not origin.may_leave_orphans
    return Verdict.UNKNOWN if doubtful or unexplained else Verdict.ORPHAN
