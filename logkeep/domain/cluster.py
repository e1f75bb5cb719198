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
