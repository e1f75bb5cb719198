"""Tags of clusters (docs/contract.md, "Tags")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from logkeep.database import tags
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import MAX_TAGS, Cluster, Tag, check_tag, check_tag_key
from logkeep.errors import InvalidField, TagNotFound
from logkeep.service.runtime import Runtime

MOST_LISTED = 10_000  # keys with values, of one project


def list_tags(runtime: Runtime, cluster_ids: Sequence[str]) -> Mapping[str, Sequence[Tag]]:
    """Return the tags of each of these clusters."""
    with reading(runtime.database) as connection:
        return tags.fetch_tags(connection, cluster_ids)


def list_values(runtime: Runtime, project_id: str) -> dict[str, list[str]]:
    """Return the values of each key of the project's clusters, the first `MOST_LISTED`."""
    values: dict[str, list[str]] = {}
    with reading(runtime.database) as connection:
        for tag in tags.fetch_values(connection, project_id, MOST_LISTED):
            values.setdefault(tag.key, []).append(tag.value)
    return values


def add_tags(runtime: Runtime, cluster: Cluster, new: Sequence[Tag]) -> None:
    """Add tags, or give those of the same key another value. Raises `InvalidField`."""
    for tag in new:
        check_tag(tag)
    keys = {tag.key for tag in new}
    if len(keys) < len(new):
        raise InvalidField("tags", "each key may come once")
    with writing(runtime.database) as connection:
        keys |= {tag.key for tag in tags.fetch_tags(connection, [cluster.id])[cluster.id]}
        if len(keys) > MAX_TAGS:
            raise InvalidField("tags", f"a cluster has at most {MAX_TAGS} tags; it would have {len(keys)}")
        if new:
            tags.save_tags(connection, cluster.id, new)


def remove_tags(runtime: Runtime, cluster: Cluster, keys: Sequence[str]) -> None:
    """Remove tags; those that are not there do not matter. Raises `InvalidField`."""
    for key in keys:
        check_tag_key(key)
    with writing(runtime.database) as connection:
        tags.delete_tags(connection, cluster.id, keys)


def remove_tag(runtime: Runtime, cluster: Cluster, key: str) -> None:
    """Remove one tag. Raises `TagNotFound`."""
    with writing(runtime.database) as connection:
        if "\0" in key or not tags.delete_tags(connection, cluster.id, [key]):
            raise TagNotFound()
