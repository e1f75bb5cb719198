"""Removal entries: signed objects that say a cluster was removed on purpose, so that `rebuild` does not restore it."""

from __future__ import annotations

import structlog

from logkeep.archive.chain import FindSigner, find_flaw
from logkeep.database import manifests
from logkeep.database.connection import reading
from logkeep.domain.cluster import Cluster
from logkeep.errors import StoreCorrupt, StoreError
from logkeep.service.runtime import Runtime
from logkeep.service.stores import cluster_stores
from logkeep.stores.base import ObjectStore, find_store
from logkeep.stores.layout import (
    LONGEST_REMOVAL,
    ObjectKind,
    Removal,
    decode_claim,
    decode_removal,
    encode_removal,
    parse_object,
    removal_object,
    signature_object,
)

_MAX_READ = 64 * 1024 * 1024  # bytes of a folder's manifests, of which nothing is proven yet
_MIN_READ = 64 * 1024  # bytes that each counts as, so that small ones do not come in any number
_log = structlog.get_logger("logkeep.removal")


def find_owner(store: ObjectStore, folder: str) -> tuple[str, int]:
    """Return the cluster id in the first readable manifest of a folder, unproven, and 0.

    If there is none, return '' and how many manifests were too large to be read. Raises a `StoreError`.
    """
    left, passed_over = _MAX_READ, 0
    for thing in store.list(f"{folder}/_manifests/"):
        found = parse_object(thing.name)
        if found and found.kind is ObjectKind.MANIFEST:
            if thing.size > left:  # anybody may have put it there, and any number of them
                passed_over += 1
                continue
            left -= max(thing.size, _MIN_READ)
            try:
                return decode_claim(store.get(thing.name, size=thing.size)).cluster_id, 0
            except StoreCorrupt:
                continue
    return "", passed_over


def read_removal(store: ObjectStore, name: str, find_signer: FindSigner) -> Removal:
    """Read an entry and verify its signature: a forged entry could hide a cluster. Raises a `StoreError`."""
    data = store.get(name, LONGEST_REMOVAL)
    if flaw := find_flaw(store, name, data, find_signer):
        raise StoreCorrupt(f"{flaw}; this entry of a removal counts for nothing")
    removal = decode_removal(data)
    if removal.object != name:
        raise StoreCorrupt(f"it was written as {removal.object}; this entry of a removal counts for nothing here")
    return removal


def write_removal(runtime: Runtime, cluster: Cluster) -> str | None:
    """Store the entry, its signature first. Returns why that failed; None on success, or without a manifest."""
    with reading(runtime.database) as connection:
        last = manifests.fetch_last_manifest(connection, cluster.id)
    place = parse_object(last.object) if last else None
    if last is None or place is None:
        return None
    now = runtime.clock.now_ms()
    name = removal_object(place.folder, now, cluster.id)
    data = encode_removal(
        Removal(
            version=1,
            cluster_id=cluster.id,
            cluster_name=cluster.name,
            object=name,
            removed_at=now,
            manifest=last.sha256,
            key=runtime.signing.key,
        )
    )
    try:
        store = find_store(cluster_stores(runtime, cluster.id), last.bucket)
        store.put(signature_object(name), [runtime.signing.sign(data)])
        store.put(name, [data])
    except StoreError as error:
        _log.warning("a removal was not noted in its bucket", cluster=cluster.name, error=str(error))
        return (
            f"the bucket {last.bucket} could not be told that {cluster.name} was removed, so a rebuild would bring it "
            f"back: {error}"
        )
    return None
