"""Projects, clusters and their nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_cluster_id(text: str) -> bool:
    """Return whether `text` has the form of a cluster id. No cluster name may have it, so a word is never ambiguous."""
    return bool(_ID.fullmatch(text))


@dataclass(frozen=True, slots=True)
class Project:
    """A tenant: its keys and users see only its own clusters."""

    id: str  # 32 lower-case hex digits
    name: str  # unique
    created_at: int  # Unix ms
    region: str = ""  # second name that finds it in `GET /v3/projects?name=…`; '' for none


@dataclass(frozen=True, slots=True)
class Node:
    """One instance of a cluster, with the URL of its log directory."""

    id: str  # UUID
    name: str
    source: str  # file:///var/log/opensearch
    role: str = "ess"  # ess, ess-cold, ess-client, ess-master, lgs
    ip: str = ""
    instance: str = ""  # id that the cluster gave the node; '' if it was registered by hand
    gone_at: int | None = None  # Unix ms since when the cluster no longer lists it


@dataclass(frozen=True, slots=True)
class Discovery:
    """Access to a cluster's own API, which lists its nodes. The password is stored apart, encrypted."""

    url: str  # http://host:9200
    source: str  # pattern of each node's source URL, such as file://{path.logs}
    user: str = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A registered search cluster."""

    id: str  # UUID
    project_id: str
    name: str
    kind: str  # elasticsearch, opensearch, logstash
    version: str  # '' if unknown
    endpoint: str  # host:port, '' if unknown
    created_at: int  # Unix ms
    updated_at: int  # Unix ms
    nodes: tuple[Node, ...] = ()
    discovery: Discovery | None = None  # None if all nodes were registered by hand
