"""What a handler is given and what it may return."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from logkeep.domain.cluster import AccessKey, Cluster
from logkeep.errors import ClusterNotFound, NotAuthorized
from logkeep.service import clusters
from logkeep.service.context import Context

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Call(NamedTuple):
    """One request whose signature has been verified."""

    context: Context
    key: AccessKey
    parameters: dict[str, str]  # of the path, decoded
    query: bytes  # raw
    headers: Mapping[bytes, bytes]  # by lower-case name
    body: bytes
    scheme: str

    @property
    def user_agent(self) -> str:
        return self.headers.get(b"user-agent", b"").decode("latin-1")

    def cluster(self) -> Cluster:
        """The cluster that the path names, if it is one of the key's project."""
        return clusters.get_cluster(self.context, self.key.project_id, self.cluster_id())

    def cluster_id(self) -> str:
        cluster_id = self.parameters["cluster_id"].lower()
        if not _UUID.fullmatch(cluster_id):
            raise ClusterNotFound()
        return cluster_id

    def require_admin(self) -> None:
        if not self.key.admin:
            raise NotAuthorized()


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is made while it is sent."""

    content_type: str
    chunks: Iterator[bytes]
    # What to send as the last chunk where it breaks in the middle; without it the connection is broken off,
    # so that the client does not take a part for the whole.
    last_words: Callable[[Exception], bytes] | None = None
