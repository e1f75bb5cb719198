"""Holding what lies in the bucket against what was stored."""

from __future__ import annotations

from collections.abc import Mapping

from logkeep.domain.manifest import Segment
from logkeep.engine.restore import read_segment
from logkeep.errors import StoreCorrupt, StoreMissing
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
