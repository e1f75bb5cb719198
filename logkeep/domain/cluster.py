"""Projects, clusters and their nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_cluster_id(text: str) -> bool:
    """Whether it has the form of an id, which no name has: so that a word means one cluster."""
    return bool(_ID.fullmatch(text))


@dataclass(frozen=True, slots=True)
class Project:
    """A tenant."""

    id: str  # 32 lower-case hex digits
    name: str  # unique
    created_at: int  # Unix ms
    region: str = ""  # whose name finds it in `GET /v3/projects?name=…`, as its own does; '' for its own only


@dataclass(frozen=True, slots=True)
class Node:
    """One instance of a cluster and the URL of the directory its logs lie in."""

    id: str  # UUID
    name: str
    source: str  # file:///var/log/opensearch
    role: str = "ess"  # ess, ess-cold, ess-client, ess-master, lgs
    ip: str = ""
    instance: str = ""  # the cluster's own id of it; '' for one that was named by hand
    gone_at: int | None = None  # Unix ms, since when the cluster does not name it any more


@dataclass(frozen=True, slots=True)
class Discovery:
    """How a cluster's own API is asked for its nodes; the password is kept apart, sealed."""

    url: str  # http://host:9200
    source: str  # pattern of each node's source, file://{path.logs}
    user: str = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A registered search cluster."""

    id: str  # UUID
    project_id: str
    name: str
    kind: str  # elasticsearch, opensearch, logstash
    version: str  # '' where unknown
    endpoint: str  # host:port, '' where unknown
    created_at: int  # Unix ms
    updated_at: int  # Unix ms
    nodes: tuple[Node, ...] = ()
    discovery: Discovery | None = None  # None where all nodes were named by hand
