"""Deletion of a removed cluster's archive: it is asked for with the removal, and carried out in the background."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

import structlog

from logkeep.archive.orphans import ClusterPrefix
from logkeep.database import archive_deletions, clusters, jobs, log_settings, places, retention
from logkeep.database.connection import reading, writing
from logkeep.domain.archive_deletion import ArchiveDeletion
from logkeep.domain.cluster import Cluster
from logkeep.domain.retention import LONGEST_REASON, LONGEST_WHO, Protection, RetentionProgress
from logkeep.errors import ArchiveProtected, BackupRunning, BucketNotWritable, InvalidField, Overloaded, StoreError
from logkeep.service.heads import expect_none_newer
from logkeep.service.orphans import find_prefixes
from logkeep.service.places import fold_place
from logkeep.service.removal import write_removal
from logkeep.service.runtime import Runtime
from logkeep.stores.base import ObjectStore, StoredObject, find_store
from logkeep.stores.layout import ObjectKind, is_index, is_removal, parse_object, parse_removal_entry, signed_object

_CLAIM_MS = 600_000  # prolonged by each batch
_RETRY_MS = 3_600_000  # while the bucket keeps something
_BATCH = 1000  # objects
_MOST_TOLD = 1000
_log = structlog.get_logger("logkeep.retention")
_OwnedBy = Callable[[Sequence[StoredObject]], list[StoredObject]]


def remove_with_archive(runtime: Runtime, cluster: Cluster, *, name: str, who: str) -> ArchiveDeletion:
    """Remove a cluster and let the service delete all that its buckets hold of it; `name` is its name once more.

    The bucket is told first that the cluster was removed. Raises `InvalidField` for another name, `BackupRunning`,
    `ArchiveProtected`, `BucketNotWritable`, and `CatalogueBehind` or `ChainForked` if the bucket has manifests that are
    not in the database.
    """
    if name != cluster.name:
        raise InvalidField("name", f"nothing was removed; give {cluster.name} where you mean to delete its archive")
    expect_none_newer(runtime, cluster)
    now = runtime.clock.now_ms()
    with reading(runtime.database) as connection:
        if jobs.fetch_running_job(connection, cluster.id):
            raise BackupRunning()
        setting = log_settings.fetch_setting(connection, cluster.id)
        found = {ClusterPrefix(*place) for place in places.fetch_places(connection, cluster.id)}
        _expect_unprotected(retention.fetch_protections(connection, cluster.id), now)
    if problem := write_removal(runtime, cluster):
        raise BucketNotWritable(f"Nothing was removed: {problem}")
    deletion = ArchiveDeletion(
        cluster.id, cluster.project_id, cluster.name, setting.agency if setting else "", now, who[:LONGEST_WHO]
    )
    folders = [fold_place(place) for place in sorted(found | set(find_prefixes(runtime, cluster)))]
    with writing(runtime.database) as connection:
        retention.lock_retention(connection, cluster.id)
        if jobs.fetch_running_job(connection, cluster.id):
            raise BackupRunning()
        _expect_unprotected(retention.fetch_protections(connection, cluster.id), now)
        archive_deletions.insert_deletion(connection, deletion, folders)
        clusters.delete_cluster(connection, cluster.id)
    _log.info("archive is being deleted", cluster_id=cluster.id, cluster=cluster.name, who=who)
    return deletion


def list_deletions(runtime: Runtime, project_id: str = "") -> list[ArchiveDeletion]:
    """Return the deletions of archives of a project, newest first; with '' of all projects."""
    with reading(runtime.database) as connection:
        return archive_deletions.fetch_deletions(connection, project_id, _MOST_TOLD)


def delete_most_due(runtime: Runtime) -> tuple[Cluster, Generator[RetentionProgress]] | None:
    """Claim a deletion that is due, and return the cluster that was removed, with the work; None if none is."""
    now = runtime.clock.now_ms()
    with reading(runtime.database) as connection:
        due = archive_deletions.fetch_due_deletion(connection, now)
    if due is None:
        return None
    with writing(runtime.database) as connection:
        if not archive_deletions.claim_deletion(connection, due.cluster_id, now, now + _CLAIM_MS):
            return None
    gone = Cluster(
        id=due.cluster_id,
        project_id=due.project_id,
        name=due.name,
        kind="",
        version="",
        endpoint="",
        created_at=0,
        updated_at=0,
    )
    return gone, _Deleter(runtime, due, now + _CLAIM_MS).run()


def _expect_unprotected(found: Iterable[Protection], now: int) -> None:
    active = [one for one in found if not one.is_expired(now)]
    if active:
        raise ArchiveProtected(
            f"{len(active)} protections keep parts of this archive, the first by {active[0].who}: {active[0].why}; end "
            "them with `logkeep unprotect CLUSTER ID`, or remove the cluster without its archive"
        )


class _Deleter:
    """Deletes one archive, which it has claimed: segments, indexes, entries, manifests, the oldest of each first."""

    def __init__(self, runtime: Runtime, deletion: ArchiveDeletion, claimed: int) -> None:
        self._runtime = runtime
        self._deletion = deletion
        self._claimed = claimed
        self._stores = runtime.agencies.get(deletion.agency, runtime.stores)
        self._objects = self._stored = self._waiting = self._foreign = 0
        self._reason = ""

    def run(self) -> Generator[RetentionProgress]:
        """Yield the progress behind each batch. What the bucket keeps is tried again later."""
        try:
            with reading(self._runtime.database) as connection:
                found = archive_deletions.fetch_deleted_places(connection, self._deletion.cluster_id)
            for step in (self._delete_segments, self._delete_beside, self._delete_manifests, self._delete_removals):
                for bucket, folder in found:
                    yield from step(find_store(self._stores, bucket), folder)
                if self._waiting:  # what tells of them stays
                    break
        except StoreError as error:
            self._reason = self._reason or str(error)[:LONGEST_REASON]
            self._postpone()
            raise
        except BaseException:  # this process ends, or nobody follows any more
            self._postpone(0)
            raise
        self._end()
        yield self._progress(done=True)

    def _delete_segments(self, store: ObjectStore, folder: str) -> Iterator[RetentionProgress]:
        yield from self._delete(store, f"{folder}/", partial(self._owned, folder, {ObjectKind.SEGMENT}))

    def _delete_beside(self, store: ObjectStore, folder: str) -> Iterator[RetentionProgress]:
        yield from self._delete(store, f"{folder}/_index/", partial(_named, is_index))
        yield from self._delete(store, f"{folder}/_retention/", partial(_named, self._is_own_entry))

    def _delete_manifests(self, store: ObjectStore, folder: str) -> Iterator[RetentionProgress]:
        kinds = {ObjectKind.MANIFEST, ObjectKind.SIGNATURE, ObjectKind.POINTER}
        yield from self._delete(store, f"{folder}/_manifests/", partial(self._owned, folder, kinds))

    def _delete_removals(self, store: ObjectStore, folder: str) -> Iterator[RetentionProgress]:
        yield from self._delete(store, f"{folder}/_removed/", partial(_named, self._is_own_removal))

    def _is_own_entry(self, name: str) -> bool:
        found = parse_removal_entry(name)
        return found is not None and found.cluster_id == self._deletion.cluster_id

    def _is_own_removal(self, name: str) -> bool:
        return is_removal(name) and name.endswith(f"-{self._deletion.cluster_id}.json")

    def _owned(self, folder: str, kinds: set[ObjectKind], some: Sequence[StoredObject]) -> list[StoredObject]:
        """Return the objects of these kinds whose jobs were of the cluster; others are counted."""
        named = [(one, name) for one in some if (name := parse_object(one.name)) and name.kind in kinds]
        with reading(self._runtime.database) as connection:
            known = archive_deletions.fetch_known_jobs(
                connection, self._deletion.cluster_id, list({name.job_id for _, name in named})
            )
        owned = [one for one, name in named if name.folder == folder and name.job_id in known]
        self._foreign += len(named) - len(owned)
        return owned

    def _delete(self, store: ObjectStore, prefix: str, owned: _OwnedBy) -> Iterator[RetentionProgress]:
        listed = store.list(prefix)
        while some := list(islice(listed, _BATCH)):
            chosen = owned(some)
            # No object is ever without its signature.
            for batch in (
                [one for one in chosen if not one.name.endswith(".sig")],
                [one for one in chosen if one.name.endswith(".sig")],
            ):
                if batch:
                    self._remove(store, batch)
            yield self._progress()

    def _remove(self, store: ObjectStore, batch: Sequence[StoredObject]) -> None:
        self._expect_gone()
        errors = store.remove([one.name for one in batch])
        gone = [one for one, error in zip(batch, errors, strict=True) if error is None]
        for error in errors:
            if error is not None:
                self._waiting += 1
                self._reason = self._reason or str(error)[:LONGEST_REASON]
        until = self._runtime.clock.now_ms() + _CLAIM_MS
        stored = sum(one.size for one in gone)
        with writing(self._runtime.database) as connection:
            if not archive_deletions.advance_deletion(
                connection, self._deletion.cluster_id, self._claimed, until, len(gone), stored
            ):
                raise Overloaded("Another process has taken over the deletion of this archive.")
        self._claimed = until
        self._objects, self._stored = self._objects + len(gone), self._stored + stored

    def _expect_gone(self) -> None:
        """Raise `StoreError` if the cluster is there again: its archive was adopted meanwhile."""
        with reading(self._runtime.database) as connection:
            if archive_deletions.is_registered(connection, self._deletion.cluster_id):
                raise StoreError("the cluster is registered again, so its archive stays; remove it once more")

    def _end(self) -> None:
        if self._waiting:
            self._postpone()
            return
        left = f"{self._foreign} objects stay in its folders that no job of the cluster stored" if self._foreign else ""
        with writing(self._runtime.database) as connection:
            archive_deletions.finish_deletion(
                connection, self._deletion.cluster_id, self._claimed, self._runtime.clock.now_ms(), left
            )

    def _postpone(self, pause: int = _RETRY_MS) -> None:
        next_try = self._runtime.clock.now_ms() + pause
        with writing(self._runtime.database) as connection:
            archive_deletions.postpone_deletion(
                connection, self._deletion.cluster_id, self._claimed, next_try, self._waiting, self._reason
            )

    def _progress(self, *, done: bool = False) -> RetentionProgress:
        return RetentionProgress(objects=self._objects, stored=self._stored, waiting=self._waiting, done=done)


def _named(is_one: Callable[[str], bool], some: Sequence[StoredObject]) -> list[StoredObject]:
    """Return the objects whose names are of a kind, with their signatures."""
    return [one for one in some if is_one(signed_object(one.name))]
