"""Requests of `/api/v1`: what CSS lacks. JSON keys are matched as in the CSS API."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from msgspec import Meta, Struct

from logkeep.contract import fields
from logkeep.contract.bodies import NAME, TEXT, member, read_body, read_struct
from logkeep.contract.fields import MAX_INTEGER
from logkeep.contract.parameters import OFFSET, PAGE, Number, Page, Schema, Text, Time, names_of, read_page
from logkeep.domain.cluster import (
    KINDS,
    MAX_CLUSTER_NAME,
    MAX_NODE_NAME,
    MAX_NODES,
    Adoption,
    ChangedNode,
    ClusterChange,
    NewNode,
)
from logkeep.domain.day_strip import MOST_CLUSTERS, MOST_DAYS
from logkeep.domain.span import Span
from logkeep.errors import InvalidField

_Request = TypeVar("_Request", bound=Struct)

JOB_ID = re.compile(r"[0-9a-f]{32}")
_MAX_GENERATION = 2**31 - 1  # of its column in PostgreSQL

FILES_LIMIT = Number("limit", 1000, "The most files to list.", high=1000)
FILES_PAGE = (OFFSET, FILES_LIMIT)
_FILES_QUERY = names_of(FILES_PAGE)
CLUSTER_NAME = Text("name", "The exact name of a cluster; empty for all.")
NODE = Text("node", "The name of a node; empty for all.")
FAMILY = Text("family", "The name of an active log file; empty for all.")
SINCE = Number("since", 1, "Only what was asked from then on, in Unix ms.")
JOB = Text("job", "`jobId` of a record: only what it stored; empty for all.", "^([0-9A-Fa-f]{32})?$")
_RECORDS = "2026-11-24, 2026-11-24T06:40 or 2026-11-24T06:40:21,123, with or without a zone; empty for no bound."
SINCE_TIME = Time("since", f"Only records from then on: {_RECORDS}")
UNTIL_TIME = Time("until", f"Only records before: {_RECORDS}")
SPAN = (SINCE_TIME, UNTIL_TIME)
FIRST_BYTE = Number("start", 0, "The first byte to give.", low=0)
END_BYTE = Number("end", MAX_INTEGER, "The byte to end before; at most all that is kept is given.", low=0)
LOG_QUERY = (NODE, FAMILY)
DAYS = Number(
    "days",
    0,
    f"Also tell of the last so many days, in UTC; a page has at most {MOST_CLUSTERS} clusters then.",
    high=MOST_DAYS,
    low=0,
)
STATUS_QUERY = (*PAGE, DAYS)
ARCHIVE_QUERY = (NODE, FAMILY, JOB, *SPAN)
READ_QUERY = (FIRST_BYTE, END_BYTE, *SPAN)


def _name(longest: int) -> Schema:
    first, other = r"[^./\\\x00-\x1f\x7f-\x9f]", r"[^/\\\x00-\x1f\x7f-\x9f]"
    return {"type": "string", "minLength": 1, "maxLength": longest, "pattern": f"^{first}{other}*$"}


NO_CONTROL = TEXT | {"pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}
_LONG: Schema = {"maxLength": 1024}
_SOME: Schema = {"maxItems": MAX_NODES}
_NODES: Schema = _SOME | {"minItems": 1}
_NODE_LIST, _NAME_LIST = "a list of {name, source} is allowed", "a list of names is allowed"

_Name = member("Printable characters.", _name(MAX_CLUSTER_NAME), give="the name of the cluster")
_Password = member(schema=TEXT, secret=True)
_User = member(schema=NO_CONTROL | {"maxLength": 255}, secret=True)
_NoUrl = member(schema={"maxLength": 0})
_NodeSource = member("URL of its log directory.", NAME, give="the URL of each node's log directory", secret=True)
_Url = member("Where the cluster's own API answers; it names the nodes.", NAME | NO_CONTROL | _LONG, secret=True)
_NewUrl = member(
    "Where the cluster's own API answers; it is asked at once. Empty: asked no more.", NO_CONTROL | _LONG, secret=True
)
_PATTERN = "Pattern of each node's URL, as `file://{path.logs}`."
_Pattern = member(_PATTERN, NAME | NO_CONTROL, give="a pattern such as 'file://{path.logs}'", secret=True)
_Buckets = member("Names of those in which it is looked for; all without it.", _SOME, says=_NAME_LIST)
_Ip = member("Address of the node, as ShowClusterDetail shows it; empty: unknown.", {"maxLength": 45})
_Endpoint = member(
    "Where clients reach the cluster, HOST:PORT, several joined by commas; shown by ShowClusterDetail.",
    NO_CONTROL | _LONG,
)
_Removed = member("Names of nodes that are not backed up any more; what is kept of them stays.", _SOME, says=_NAME_LIST)
_Sample = member(
    "Without read_data: percent of the objects to read back, those that were read longest ago.",
    says="a number above 0, up to 100, is allowed",
)
_Head = member(
    "SHA-256 of a manifest that was noted, and must be one of the cluster's.",
    pattern="[0-9A-Fa-f]{64}",
    says="write all 64 hex digits of a SHA-256",
)


class NodeReq(Struct):
    name: Annotated[str, member("Printable characters.", _name(MAX_NODE_NAME), give="the name of each node")]
    source: Annotated[str, _NodeSource]
    ip: Annotated[str, _Ip] = ""


class ChangedNodeReq(Struct):
    name: Annotated[str, member("Printable characters.", _name(MAX_NODE_NAME), give="the name of each node")]
    source: Annotated[str | None, member("URL of its log directory; of a new node it is needed.", secret=True)] = None
    ip: Annotated[str | None, _Ip] = None


class _Named(Struct, kw_only=True):
    name: Annotated[str, _Name]
    endpoint: Annotated[str, _Endpoint] = ""


class NewClusterReq(_Named, kw_only=True):
    """A cluster to be registered by hand: its nodes are named."""

    nodes: Annotated[list[NodeReq], member("Each has a name of its own.", _NODES, says=_NODE_LIST)]
    kind: Annotated[str, member("Without it: opensearch.", {"pattern": f"^({'|'.join(KINDS)})?$"})] = ""
    version: Annotated[str, member(schema=TEXT)] = ""
    url: Annotated[str, _NoUrl] = ""


class ClusterToDiscoverReq(_Named, kw_only=True):
    """A cluster to be registered from its own API."""

    url: Annotated[str, _Url]
    source: Annotated[str, _Pattern]
    user: Annotated[str, _User] = ""
    password: Annotated[str, _Password] = ""
    nodes: None = None


class AdoptClusterReq(_Named, kw_only=True):
    """An archive to be taken up, whose nodes are named, or those of the archive."""

    buckets: Annotated[list[Annotated[str, member(schema=NAME)]], _Buckets] = []
    nodes: Annotated[
        list[NodeReq],
        member("Each has a name of its own. Without them those of the archive.", _NODES, says=_NODE_LIST),
    ] = []
    url: Annotated[str, _NoUrl] = ""


class AdoptDiscoveredReq(ClusterToDiscoverReq, kw_only=True):
    """An archive to be taken up, whose nodes the cluster's own API tells."""

    buckets: Annotated[list[Annotated[str, member(schema=NAME)]], _Buckets] = []


class UpdateClusterReq(Struct):
    nodes: Annotated[
        list[ChangedNodeReq],
        member(
            "To be added or changed; one whose source is given is named by hand from now on.", _SOME, says=_NODE_LIST
        ),
    ] = []
    endpoint: Annotated[str | None, _Endpoint] = None
    remove_nodes: Annotated[list[Annotated[str, member(schema=_name(MAX_NODE_NAME))]], _Removed] = []
    url: Annotated[str | None, _NewUrl] = None
    source: Annotated[str | None, member(_PATTERN, NO_CONTROL, secret=True)] = None
    user: Annotated[str | None, _User] = None
    password: Annotated[str | None, _Password] = None


class VerifyReq(Struct):
    read_data: Annotated[bool, member("Read every byte back.")] = False
    sample: Annotated[float, Meta(gt=0, le=100), _Sample] = 0.0
    chain: Annotated[bool, member("Prove the signed chain of manifests, and every byte that it names.")] = False
    head: Annotated[str, _Head] = ""


class IndexReq(Struct):
    rebuild: Annotated[bool, member("Delete what there is of it, and make it of everything.")] = False


class BackupReq(Struct):
    repair: Annotated[
        bool, member("Also keep again what verifications found missing or damaged, as far as nodes still have it.")
    ] = False


class PolicyReq(Struct):
    adaptive: Annotated[bool, member("Whether to add runs before a node deletes what is not kept.")]


def read_new_cluster(body: bytes) -> NewClusterReq | ClusterToDiscoverReq:
    """Read a cluster whose nodes are given by `nodes` or found by `url`. Raises `EmptyBody`, `InvalidField`."""
    members = fields.read_object(body)
    read_struct(members, _Named)
    url = fields.text_field(members, "url", secret=True)
    if (members.get("nodes") is None) == (not url):
        raise InvalidField("nodes", "give either nodes, a list of {name, source}, or url and source")
    if url:
        return read_struct(members, ClusterToDiscoverReq)
    new = read_struct(members, NewClusterReq)
    new.kind = new.kind or KINDS[1]
    if new.kind not in KINDS:
        raise InvalidField("kind", f"is one of {', '.join(KINDS)}")
    return new


def read_adoption(cluster_id: str, body: bytes) -> Adoption:
    """Read the body of AdoptCluster. Raises `EmptyBody`, `InvalidField`."""
    members = fields.read_object(body)
    if not fields.text_field(members, "url", secret=True):
        named = read_struct(members, AdoptClusterReq)
        return Adoption(
            cluster_id=cluster_id,
            name=named.name,
            endpoint=named.endpoint,
            buckets=named.buckets,
            nodes=new_nodes(named.nodes),
        )
    if members.get("nodes") is not None:
        raise InvalidField("nodes", "give either nodes, a list of {name, source}, or url and source, or none of them")
    found = read_struct(members, AdoptDiscoveredReq)
    return Adoption(
        cluster_id=cluster_id,
        name=found.name,
        endpoint=found.endpoint,
        buckets=found.buckets,
        url=found.url,
        source=found.source,
        user=found.user,
        password=found.password,
    )


def new_nodes(nodes: Iterable[NodeReq]) -> list[NewNode]:
    return [NewNode(node.name, node.source, ip=node.ip) for node in nodes]


def read_cluster_change(body: bytes) -> ClusterChange:
    """Read the body of UpdateCluster. Raises `EmptyBody`, `InvalidField`."""
    asked = read_body(body, UpdateClusterReq)
    return ClusterChange(
        nodes=[ChangedNode(node.name, node.source or None, node.ip) for node in asked.nodes],
        endpoint=asked.endpoint,
        remove_nodes=asked.remove_nodes,
        url=asked.url,
        source=asked.source,
        user=asked.user,
        password=asked.password,
    )


def read_cluster_list_query(raw: bytes) -> tuple[Page, str]:
    """Read the page, and the exact name or '' for all."""
    query = fields.read_query(raw, names_of((*PAGE, CLUSTER_NAME)))
    return read_page(query), CLUSTER_NAME.read(query)


def read_status_query(raw: bytes) -> tuple[Page, int]:
    """Read the page, which is a shorter one with days, and of how many days it is to tell."""
    query = fields.read_query(raw, names_of(STATUS_QUERY))
    page, days = read_page(query), DAYS.read(query)
    return page._replace(limit=min(page.limit, MOST_CLUSTERS)) if days else page, days


@dataclass(frozen=True, slots=True)
class Selection:
    """What of an archive is to be listed; '' for all."""

    node: str
    family: str
    job_id: str
    span: Span


@dataclass(frozen=True, slots=True)
class Piece:
    """What is to be read of a kept log."""

    start: int
    end: int
    span: Span


def read_archive_query(raw: bytes) -> Selection:
    query = fields.read_query(raw, names_of(ARCHIVE_QUERY))
    job_id = JOB.read(query)
    return Selection(NODE.read(query), FAMILY.read(query), job_id and _job_id("job", job_id), read_span(query))


def read_log_query(raw: bytes) -> tuple[str, str]:
    """Read node and family, '' for all."""
    query = fields.read_query(raw, names_of(LOG_QUERY))
    return NODE.read(query), FAMILY.read(query)


def read_piece_query(raw: bytes) -> Piece:
    query = fields.read_query(raw, names_of(READ_QUERY))
    return Piece(FIRST_BYTE.read(query), END_BYTE.read(query), read_span(query))


def read_span(query: dict[str, str]) -> Span:
    span = Span(SINCE_TIME.read(query), UNTIL_TIME.read(query))
    if span.is_reversed:
        raise InvalidField(SINCE_TIME.name, f"is after {UNTIL_TIME.name}; exchange the two")
    return span


def read_audit_query(raw: bytes) -> tuple[Page, int]:
    """Read the page, and the time in Unix ms from which entries are wanted."""
    query = fields.read_query(raw, names_of((*PAGE, SINCE)))
    return read_page(query), SINCE.read(query)


def read_verify(body: bytes) -> VerifyReq:
    """Read the body of Verify; without a body only the sizes of objects are verified."""
    return read_optional(body, VerifyReq)


def read_index(body: bytes) -> IndexReq:
    """Read the body of MakeIndex, which may be left out."""
    return read_optional(body, IndexReq)


def read_backup(body: bytes) -> BackupReq:
    """Read the body of StartBackup, which may be left out."""
    return read_optional(body, BackupReq)


def read_optional(body: bytes, kind: type[_Request]) -> _Request:
    """Read a body whose members all have a default; without one, these hold."""
    return read_body(body, kind) if body.strip(b" \t\r\n") else kind()


def read_job_id(parameters: dict[str, str]) -> str:
    return _job_id("job_id", parameters["job_id"])


def _job_id(name: str, text: str) -> str:
    job_id = text.lower()
    if not JOB_ID.fullmatch(job_id):
        raise InvalidField(name, f"{fields.shown(job_id)} came; 32 hex digits are allowed")
    return job_id


def read_generation(parameters: dict[str, str]) -> tuple[str, int]:
    """Read node and generation of an archived log."""
    node, text = parameters["node"], parameters["generation"]
    if "\x00" in node:
        raise InvalidField("node", "NUL is not allowed")
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MAX_GENERATION):
        raise InvalidField("generation", f"{fields.shown(text)} came; a whole number is allowed")
    return node, int(text)


def read_files_page(raw: bytes) -> Page:
    """Read which of a job's files are asked for."""
    query = fields.read_query(raw, _FILES_QUERY)
    return Page(OFFSET.read(query) - 1, FILES_LIMIT.read(query))


def read_adaptive(body: bytes) -> bool:
    return read_body(body, PolicyReq).adaptive
