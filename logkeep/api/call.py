"""What a handler is given and what it may return."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from logkeep.domain.access import AuditTrail, Caller
from logkeep.domain.cluster import Cluster
from logkeep.errors import ClusterNotFound
from logkeep.service import clusters
from logkeep.service.runtime import Runtime

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def read_cluster_id(parameters: Mapping[str, str]) -> str:
    """Return the UUID in the path, '' where there is none."""
    cluster_id = parameters.get("cluster_id", "").lower()
    return cluster_id if _UUID.fullmatch(cluster_id) else ""


class Call(NamedTuple):
    """One request whose sender is known."""

    runtime: Runtime
    caller: Caller
    trail: AuditTrail
    parameters: dict[str, str]  # of the path, decoded
    query: bytes  # raw
    headers: Mapping[bytes, bytes]  # by lower-case name
    body: bytes
    scheme: str

    @property
    def user_agent(self) -> str:
        return self.headers.get(b"user-agent", b"").decode("latin-1")

    def accepts(self, coding: str) -> bool:
        """Return whether the client decodes a content coding, which it names in Accept-Encoding."""
        for part in self.headers.get(b"accept-encoding", b"").decode("latin-1").lower().split(","):
            name, _, weight = part.replace(" ", "").partition(";q=")
            if name == coding:
                return not re.fullmatch(r"0(\.0*)?", weight)
        return False

    def cluster(self) -> Cluster:
        """Return the cluster that the path names. Raises `ClusterNotFound` unless it is one of the caller's project."""
        return clusters.get_cluster(self.runtime, self.caller.project_id, self.cluster_id())

    def cluster_id(self) -> str:
        cluster_id = read_cluster_id(self.parameters)
        if not cluster_id:
            raise ClusterNotFound()
        return cluster_id

    def url(self, path: str) -> str:
        """Return the URL of a path of this service, as the client reaches it."""
        return f"{self.scheme}://{self.headers.get(b'host', b'').decode('latin-1')}{path}"


@dataclass(frozen=True, slots=True)
class WithHeaders:
    """A body and headers of its own."""

    body: bytes
    headers: list[tuple[bytes, bytes]]
