"""Projects, clusters and their nodes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote
from urllib.parse import quote as quote_url

from logkeep.errors import InvalidField

MAX_CLUSTER_NAME, MAX_NODE_NAME = 64, 128  # characters
MAX_ENDPOINT = 1024  # characters
MAX_TAG_KEY, MAX_TAG_VALUE = 128, 255  # characters
MAX_TAGS = 20  # of a cluster
MAX_NODES = 1000  # of a cluster
KINDS = ("elasticsearch", "opensearch", "logstash")
_TAG_KEY, _TAG_VALUE = re.compile(r"[\w .:=+\-@]{1,128}"), re.compile(r"[\w .:/=+\-@]{0,255}")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_cluster_id(text: str) -> bool:
    """Return whether `text` has the form of a cluster id. No cluster name may have it, so a word is never ambiguous."""
    return bool(_ID.fullmatch(text))


def as_source(text: str) -> str:
    """Return the URL of a log directory as a person writes it: an absolute path is one of this machine."""
    return f"file://{quote_url(text, errors='surrogateescape')}" if text.startswith("/") else text


def for_cluster(message: str, cluster: str) -> str:
    """Return the message with the cluster's name filled into its commands."""
    return re.sub(r"(`logkeep [^`]*)\bCLUSTER\b", lambda found: found[1] + quote(cluster), message)


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
    endpoint: str  # host:port, several joined by commas; '' if unknown
    created_at: int  # Unix ms
    updated_at: int  # Unix ms
    nodes: tuple[Node, ...] = ()
    discovery: Discovery | None = None  # None if all nodes were registered by hand


@dataclass(frozen=True, slots=True)
class Tag:
    """What a user calls a cluster by, besides its name."""

    key: str  # unique within the cluster
    value: str


def check_tag(tag: Tag) -> None:
    """Raise `InvalidField` for a tag that CSS would refuse (docs/contract.md, "Tags")."""
    check_tag_key(tag.key)
    if not _TAG_VALUE.fullmatch(tag.value):
        raise InvalidField("value", f"at most {MAX_TAG_VALUE} letters, digits, spaces and _ . : / = + - @ are allowed")


def check_tag_key(key: str) -> None:
    """Raise `InvalidField` for a key that no tag can have."""
    if not _TAG_KEY.fullmatch(key) or key != key.strip() or key.startswith("_sys_"):
        raise InvalidField(
            "key",
            f"1 to {MAX_TAG_KEY} letters, digits, spaces and _ . : = + - @ are allowed, no space at an end, and not to "
            "begin with '_sys_'",
        )


@dataclass(frozen=True, slots=True)
class NewNode:
    """Node as a caller or discovery describes it, before it is registered."""

    name: str
    source: str  # URL of the log directory
    role: str | None = None  # None if unknown: then that of most nodes of its kind of cluster
    ip: str = ""
    instance: str = ""  # id that the cluster gave the node


@dataclass(frozen=True, slots=True)
class ChangedNode:
    """Node to be added or changed; None leaves a value as it is."""

    name: str
    source: str | None = None  # a node that gets one is registered by hand from now on
    ip: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """Change of a cluster; None leaves a value as it is."""

    nodes: Sequence[ChangedNode] = ()
    endpoint: str | None = None  # '' is unknown
    remove_nodes: Sequence[str] = ()  # names
    url: str | None = None  # '' turns discovery off
    source: str | None = None
    user: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Adoption:
    """Id of the archive to adopt, and how its cluster is registered from now on."""

    cluster_id: str
    name: str
    endpoint: str = ""  # '': that of the URL, or of the archive
    buckets: Sequence[str] = ()  # buckets to search; empty: all
    nodes: Sequence[NewNode] = ()  # empty, and no URL: the nodes named by the archive
    url: str = ""
    source: str = ""
    user: str = ""
    password: str = ""
