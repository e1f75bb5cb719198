"""Holding what lies in the bucket against what was stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from logkeep.domain.manifest import Segment
from logkeep.engine.restore import read_segment
from logkeep.errors import StoreCorrupt, StoreError, StoreMissing
from logkeep.stores.base import ObjectStore


def check_segment(stores: Mapping[str, ObjectStore], segment: Segment, *, read_data: bool) -> str:
    """What is wrong with the object of a segment, '' where nothing is. Raises a `StoreError` where the store fails."""
    try:
        store = stores.get(segment.bucket)
        size = store.size(segment.object) if store else None
        if size is None:
            return "missing"
        if size != segment.stored:
            return f"has {size} bytes instead of {segment.stored}"
        if read_data:
            for _ in read_segment(stores, segment):
                pass
    except (StoreCorrupt, StoreMissing) as error:
        return f"damaged: {error.message}"
    return ""


def check_manifests(stores: Mapping[str, ObjectStore], chain: Sequence[tuple[str, str, str]]) -> list[tuple[int, str]]:
    """Walk the chain of (bucket, object, sha256) from its beginning: index of each manifest that is wrong, and how."""
    wrong: list[tuple[int, str]] = []
    for index, (bucket, name, sha256) in enumerate(chain):
        store = stores.get(bucket)
        try:
            data = store.get(name) if store else None
        except StoreMissing:
            data = None
        except StoreError as error:
            wrong.append((index, str(error)))
            continue
        if data is None:
            wrong.append((index, "manifest missing"))
        elif hashlib.sha256(data).hexdigest() != sha256:
            wrong.append((index, "manifest changed since it was written"))
    return wrong
