"""Objects in a cluster's folder that its catalogue does not name: orphaned uploads and unknown objects."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from logkeep.domain.backup_job import JobStatus
from logkeep.stores.base import StoredObject
from logkeep.stores.layout import ObjectKind, ObjectName, cluster_folder, parse_object


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A folder that holds objects of one cluster."""

    bucket: str
    folder: str


@dataclass(frozen=True, slots=True)
class Stranger:
    """An object that the catalogue does not name."""

    place: Place
    object: StoredObject
    name: ObjectName | None  # None where it is no name of Logkeep's


@dataclass(frozen=True, slots=True)
class Trace:
    """Job that an object's name tells, as the catalogue knows it."""

    cluster_id: str
    status: JobStatus
    attempts: int

    @property
    def may_leave_orphans(self) -> bool:
        """A job that succeeds at its first attempt deletes what it gives up."""
        return self.status is not JobStatus.SUCCESS or self.attempts > 1


class Verdict(StrEnum):
    ELSEWHERE = "elsewhere"  # the matter of another cluster, or of another folder of this one
    ORPHAN = "orphan"  # the trace of an upload that was never confirmed
    FOREIGN = "foreign"


def setting_place(bucket: str, base_path: str, cluster_name: str) -> Place:
    return Place(bucket, cluster_folder(base_path, cluster_name))


def object_place(bucket: str, name: str) -> Place:
    """Return the folder of a segment or manifest of the catalogue."""
    parsed = parse_object(name)
    return Place(bucket, parsed.folder if parsed else name.rpartition("/")[0])


def meet(place: Place, found: StoredObject) -> Stranger:
    return Stranger(place, found, parse_object(found.name))


def judge(
    stranger: Stranger, cluster_id: str, places: Collection[Place], trace: Trace | None, *, doubtful: bool
) -> Verdict:
    """`doubtful`: a manifest in the bucket may name it that the catalogue does not know, or its job has one."""
    name, place = stranger.name, stranger.place
    if name is None:
        return Verdict.FOREIGN
    if trace and trace.cluster_id != cluster_id:
        return Verdict.ELSEWHERE
    if name.folder != place.folder:
        return Verdict.ELSEWHERE if Place(place.bucket, name.folder) in places else Verdict.FOREIGN
    unexplained = name.kind is ObjectKind.MANIFEST if trace is None else not trace.may_leave_orphans
    return Verdict.FOREIGN if doubtful or unexplained else Verdict.ORPHAN
