"""Requests and responses of `/api/v1`: what CSS lacks. JSON keys are matched as in the CSS API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, cast

import msgspec

from logkeep.api.call import json_lines
from logkeep.contract import fields
from logkeep.contract.faults import fault_message, find_fault
from logkeep.contract.fields import MAX_INTEGER
from logkeep.contract.models import Page, read_page
from logkeep.contract.requests import PAGE, TEXT, Body, Member, Number, Schema, Text, Time, names_of
from logkeep.domain.access import AuditEntry
from logkeep.domain.cluster import Cluster, Node
from logkeep.domain.policy import PolicyState
from logkeep.domain.span import Span
from logkeep.errors import InvalidField
from logkeep.service.adoption import Adoption
from logkeep.service.archive import ArchivedGeneration
from logkeep.service.checks import NodeCheck
from logkeep.service.clusters import KINDS, ClusterChange, NewNode
from logkeep.service.forecasts import PolicyStatus
from logkeep.service.rebuild import Rebuilt
from logkeep.service.verification import Finding, Orphans, Progress, Unproven, Verification, VerificationEvent

_JOB_ID = re.compile(r"[0-9a-f]{32}")
_MAX_GENERATION = 2**31 - 1  # of its column in PostgreSQL
_LINES_AT_ONCE = 500  # lines of about 150 bytes: one chunk is some 75 kB

_encoder = msgspec.json.Encoder()


# Requests

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
ARCHIVE_QUERY = (NODE, FAMILY, JOB, *SPAN)
READ_QUERY = (FIRST_BYTE, END_BYTE, *SPAN)


def _name(longest: int) -> Schema:
    first, other = r"[^./\\\x00-\x1f\x7f-\x9f]", r"[^/\\\x00-\x1f\x7f-\x9f]"
    return {"type": "string", "minLength": 1, "maxLength": longest, "pattern": f"^{first}{other}*$"}


_REQUIRED = TEXT | {"minLength": 1}
_NO_CONTROL = {"pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}
_USER = TEXT | _NO_CONTROL | {"maxLength": 255}
_URL = TEXT | _NO_CONTROL | {"maxLength": 1024}
_PATTERN = TEXT | _NO_CONTROL
_CLUSTER_NAME = Member("name", _name(64), "Printable characters.", required=True)
_NODE: Schema = {
    "type": "object",
    "properties": {"name": _name(128), "source": _REQUIRED | {"description": "URL of its log directory."}},
    "required": ["name", "source"],
}
_BY_URL = (
    Member("url", _URL | {"minLength": 1}, "Where the cluster's own API answers; it names the nodes.", required=True),
    Member(
        "source", _PATTERN | {"minLength": 1}, "Pattern of each node's URL, as `file://{path.logs}`.", required=True
    ),
    Member("user", _USER),
    Member("password", TEXT),
    Member("nodes", {"type": "null"}),
)
NEW_CLUSTER = Body(
    "NewCluster",
    (
        (
            _CLUSTER_NAME,
            Member(
                "nodes",
                {"type": "array", "items": _NODE, "minItems": 1, "maxItems": 1000},
                "Each has a name of its own.",
                required=True,
            ),
            Member("kind", {"type": "string", "pattern": f"^({'|'.join(KINDS)})?$"}, "Without it: opensearch."),
            Member("version", TEXT),
            Member("url", {"type": "string", "maxLength": 0}),
        ),
        (_CLUSTER_NAME, *_BY_URL),
    ),
)
_BUCKETS = Member(
    "buckets",
    {"type": "array", "items": _REQUIRED, "maxItems": 1000},
    "Names of those in which it is looked for; all without it.",
)
ADOPT_CLUSTER = Body(
    "AdoptCluster",
    (
        (
            _CLUSTER_NAME,
            _BUCKETS,
            Member(
                "nodes",
                {"type": "array", "items": _NODE, "minItems": 1, "maxItems": 1000},
                "Each has a name of its own. Without them those of the archive.",
            ),
            Member("url", {"type": "string", "maxLength": 0}),
        ),
        (
            _CLUSTER_NAME,
            _BUCKETS,
            *_BY_URL,
        ),
    ),
)
UPDATE_CLUSTER = Body(
    "UpdateClusterReq",
    (
        (
            Member(
                "nodes",
                {"type": "array", "items": _NODE, "maxItems": 1000},
                "To be added, or whose source changes; named by hand from now on.",
            ),
            Member(
                "remove_nodes",
                {"type": "array", "items": _name(128), "maxItems": 1000},
                "Names of nodes that are not backed up any more; what is kept of them stays.",
            ),
            Member("url", _URL, "Where the cluster's own API answers; it is asked at once. Empty: asked no more."),
            Member("source", _PATTERN, "Pattern of each node's URL, as `file://{path.logs}`."),
            Member("user", _USER),
            Member("password", TEXT),
        ),
    ),
)
VERIFY = Body(
    "VerifyReq",
    (
        (
            Member("read_data", {"type": "boolean"}, "Read every byte back."),
            Member(
                "sample",
                {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
                "Without read_data: percent of the objects to read back, those that were read longest ago.",
            ),
            Member("chain", {"type": "boolean"}, "Prove the signed chain of manifests, and every byte that it names."),
            Member(
                "head",
                {"type": "string", "pattern": "^([0-9A-Fa-f]{64})?$"},
                "SHA-256 of a manifest that was noted, and must be one of the cluster's.",
            ),
        ),
    ),
    required=False,
)


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    read_data: bool = False
    chain: bool = False
    sample: float = 0.0  # percent
    head: str = ""  # hash of a manifest that was noted


@dataclass(frozen=True, slots=True)
class NewCluster:
    """A cluster to be registered by hand: its nodes are named."""

    name: str
    nodes: list[NewNode]
    kind: str
    version: str


@dataclass(frozen=True, slots=True)
class ClusterToDiscover:
    """A cluster to be registered from its own API."""

    name: str
    url: str
    source: str
    user: str
    password: str


def read_new_cluster(body: bytes) -> NewCluster | ClusterToDiscover:
    """Read a cluster whose nodes are given by `nodes` or found by `url`. Raises `EmptyBody`, `InvalidField`."""
    members = fields.read_object(body)
    name = fields.required_text(members, "name", "the name of the cluster")
    nodes, url = members.get("nodes"), fields.text_field(members, "url", secret=True)
    if (nodes is None) == (not url):
        raise InvalidField("nodes", "give either nodes, a list of {name, source}, or url and source")
    if url:
        return _to_discover(members, name, url)
    kind = fields.text_field(members, "kind") or KINDS[1]
    if kind not in KINDS:
        raise InvalidField("kind", f"is one of {', '.join(KINDS)}")
    return NewCluster(name, _read_nodes(nodes), kind, fields.text_field(members, "version"))


def read_adoption(cluster_id: str, body: bytes) -> Adoption:
    """Read the body of AdoptCluster. Raises `EmptyBody`, `InvalidField`."""
    members = fields.read_object(body)
    name = fields.required_text(members, "name", "the name of the cluster")
    given, nodes = members.get("buckets"), members.get("nodes")
    buckets = [] if given is None else _read_names("buckets", given)
    url = fields.text_field(members, "url", secret=True)
    if nodes is not None and url:
        raise InvalidField("nodes", "give either nodes, a list of {name, source}, or url and source, or none of them")
    if not url:
        return Adoption(cluster_id, name, buckets, () if nodes is None else _read_nodes(nodes))
    found = _to_discover(members, name, url)
    return Adoption(
        cluster_id=cluster_id,
        name=name,
        buckets=buckets,
        nodes=(),
        url=url,
        source=found.source,
        user=found.user,
        password=found.password,
    )


def read_cluster_change(body: bytes) -> ClusterChange:
    """Read the body of UpdateCluster. Raises `EmptyBody`, `InvalidField`."""
    members = fields.read_object(body)

    def text(name: str) -> str | None:
        return None if members.get(name) is None else fields.text_field(members, name, secret=True)

    nodes, removed = members.get("nodes"), members.get(fields.normalise("remove_nodes"))
    return ClusterChange(
        nodes=() if nodes is None else _read_nodes(nodes),
        remove_nodes=() if removed is None else _read_names("remove_nodes", removed),
        url=text("url"),
        source=text("source"),
        user=text("user"),
        password=text("password"),
    )


def _read_names(field: str, value: object) -> list[str]:
    names = cast(list[object], value) if isinstance(value, list) else [None]
    if not all(isinstance(name, str) for name in names):
        raise InvalidField(field, f"{fields.shown(value)} came; a list of names is allowed")
    return cast(list[str], names)


def read_cluster_list_query(raw: bytes) -> tuple[Page, str]:
    """Read the page, and the exact name or '' for all."""
    query = fields.read_query(raw, names_of((*PAGE, CLUSTER_NAME)))
    return read_page(query), CLUSTER_NAME.read(query)


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
    return Selection(NODE.read(query), FAMILY.read(query), job_id and _job_id("job", job_id), _read_span(query))


def read_log_query(raw: bytes) -> tuple[str, str]:
    """Read node and family, '' for all."""
    query = fields.read_query(raw, names_of(LOG_QUERY))
    return NODE.read(query), FAMILY.read(query)


def read_piece_query(raw: bytes) -> Piece:
    query = fields.read_query(raw, names_of(READ_QUERY))
    return Piece(FIRST_BYTE.read(query), END_BYTE.read(query), _read_span(query))


def _read_span(query: dict[str, str]) -> Span:
    span = Span(SINCE_TIME.read(query), UNTIL_TIME.read(query))
    if span.is_reversed:
        raise InvalidField(SINCE_TIME.name, f"is after {UNTIL_TIME.name}; exchange the two")
    return span


def read_audit_query(raw: bytes) -> tuple[Page, int]:
    """Read the page, and the time in Unix ms from which entries are wanted."""
    query = fields.read_query(raw, names_of((*PAGE, SINCE)))
    return read_page(query), SINCE.read(query)


def read_verify(body: bytes) -> VerifyRequest:
    """Read the body of Verify; without a body only the sizes of objects are verified."""
    if not body.strip(b" \t\r\n"):
        return VerifyRequest()
    members = fields.read_object(body)
    return VerifyRequest(
        bool(fields.boolean_field(members, "read_data")),
        bool(fields.boolean_field(members, "chain")),
        fields.number_field(members, "sample", above=0, most=100) or 0.0,
        _read_hash(members, "head"),
    )


def _read_hash(members: fields.Fields, name: str) -> str:
    text = fields.text_field(members, name).lower()
    if text and not re.fullmatch("[0-9a-f]{64}", text):
        raise InvalidField(name, "is no SHA-256; write all 64 hex digits")
    return text


def read_job_id(parameters: dict[str, str]) -> str:
    return _job_id("job_id", parameters["job_id"])


def _job_id(name: str, text: str) -> str:
    job_id = text.lower()
    if not _JOB_ID.fullmatch(job_id):
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


def _to_discover(members: fields.Fields, name: str, url: str) -> ClusterToDiscover:
    return ClusterToDiscover(
        name=name,
        url=url,
        source=fields.required_text(members, "source", "a pattern such as 'file://{path.logs}'", secret=True),
        user=fields.text_field(members, "user", secret=True),
        password=fields.text_field(members, "password", secret=True),
    )


def _read_nodes(value: object) -> list[NewNode]:
    if not isinstance(value, list):
        raise InvalidField("nodes", f"{fields.shown(value)} came; a list of {{name, source}} is allowed")
    return [_read_node(entry) for entry in cast(list[object], value)]


def _read_node(value: object) -> NewNode:
    members = fields.read_members(value, "nodes")
    name = fields.required_text(members, "name", "the name of each node")
    return NewNode(name, fields.required_text(members, "source", "the URL of each node's log directory", secret=True))


# Responses


class NodeView(msgspec.Struct, omit_defaults=True):
    id: str
    name: str
    role: str
    ip: str
    source: str | None = None  # for admin keys only: it may name hosts and paths
    gone_at: int | None = None  # Unix ms, since when the cluster's API does not name it


class DiscoveryView(msgspec.Struct):
    """How the cluster is asked for its nodes at each backup."""

    url: str
    user: str
    source: str  # pattern


class ClusterView(msgspec.Struct):
    id: str
    name: str
    kind: str
    version: str
    endpoint: str
    created_at: int  # Unix ms
    updated_at: int
    nodes: list[NodeView]
    policy_state: PolicyState
    last_success_at: int | None  # Unix ms, end of the newest backup that ended SUCCESS
    discovery: DiscoveryView | None = None  # for admin keys only


class AddedCluster(ClusterView, kw_only=True):
    """A cluster that was registered, and what whoever did so should know."""

    warnings: list[str]


class AdoptedCluster(AddedCluster, kw_only=True):
    """A cluster whose archive was taken up; the warnings tell what of it was left out."""

    records: int
    objects: int
    bytes: int  # plain ones that are kept


class RemovedCluster(msgspec.Struct, omit_defaults=True):
    """Nothing, unless there is something that whoever removed it should know."""

    warnings: list[str] = []


class CheckList(msgspec.Struct):
    """What a look at the log directory of each node came to."""

    nodes: list[NodeCheck]


class ClusterList(msgspec.Struct, rename="camel"):
    clusters: list[ClusterView]
    total_size: int


class AuditList(msgspec.Struct, rename="camel"):
    entries: list[AuditEntry]
    total_size: int


class FindingLine(msgspec.Struct, tag="finding"):
    node: str
    family: str
    object: str
    problem: str
    job_id: str
    generation: int | None  # null, as what follows, where no log is concerned
    start: int | None  # bytes [start, end) of the generation
    end: int | None
    lines: (
        Annotated[Sequence[int], msgspec.Meta(min_length=2, max_length=2)] | None
    )  # the first and the last, counted in the generation from 1; null where unknown
    first_time: str
    last_time: str


class ProgressLine(msgspec.Struct, tag="progress"):
    objects: int
    objects_total: int
    bytes: int
    bytes_total: int
    objects_read: int


class OrphansLine(msgspec.Struct, tag="orphans"):
    objects: int
    bytes: int


class UnprovenLine(msgspec.Struct, tag="unproven"):
    manifests: int
    head: str


class EndLine(msgspec.Struct, tag="end"):
    ok: bool  # no finding


class ErrorLine(msgspec.Struct, tag="error"):
    error_code: str
    error_msg: str


Standings = Mapping[str, PolicyStatus]  # by cluster
VerifyLine = FindingLine | ProgressLine | OrphansLine | UnprovenLine | EndLine | ErrorLine


def render_cluster(cluster: Cluster, standings: Standings, *, sources: bool) -> bytes:
    return _encoder.encode(_cluster(cluster, standings, sources))


def render_added(cluster: Cluster, standings: Standings, checks: Sequence[NodeCheck]) -> bytes:
    view = msgspec.structs.asdict(_cluster(cluster, standings, sources=True))
    return _encoder.encode(AddedCluster(**view, warnings=[one.warning for one in checks if one.warning]))


def render_adopted(cluster: Cluster, standings: Standings, checks: Sequence[NodeCheck], adopted: Rebuilt) -> bytes:
    view = msgspec.structs.asdict(_cluster(cluster, standings, sources=True))
    warnings = [*adopted.problems, *(one.warning for one in checks if one.warning)]
    view |= {"records": adopted.records, "objects": adopted.objects, "bytes": adopted.size}
    return _encoder.encode(AdoptedCluster(**view, warnings=warnings))


def render_removed(problem: str) -> bytes:
    return _encoder.encode(RemovedCluster([problem] if problem else []))


def render_checks(checks: Sequence[NodeCheck]) -> bytes:
    return _encoder.encode(CheckList(list(checks)))


def render_clusters(clusters: Sequence[Cluster], standings: Standings, total: int, *, sources: bool) -> bytes:
    return _encoder.encode(ClusterList([_cluster(cluster, standings, sources) for cluster in clusters], total))


def render_audit(entries: Iterable[AuditEntry], total: int) -> bytes:
    return _encoder.encode(AuditList(list(entries), total))


def render_verification(verification: Verification) -> bytes:
    return _encoder.encode(verification)


def kept_lines(logs: Iterable[ArchivedGeneration]) -> Iterator[bytes]:
    return json_lines(logs, _LINES_AT_ONCE)


def verify_lines(items: Iterable[VerificationEvent]) -> Iterator[bytes]:
    """Yield each finding and step when it comes, and at the end if all was well."""
    ok = True
    for item in items:
        ok = ok and not isinstance(item, Finding)
        yield _encoder.encode(_verify_line(item)) + b"\n"
    yield _encoder.encode(EndLine(ok)) + b"\n"


def error_line(error: Exception) -> bytes:
    fault = find_fault(error)
    return _encoder.encode(ErrorLine(fault.code, fault_message(error, fault))) + b"\n"


def _cluster(cluster: Cluster, standings: Standings, sources: bool) -> ClusterView:
    standing = standings[cluster.id]
    return ClusterView(
        id=cluster.id,
        name=cluster.name,
        kind=cluster.kind,
        version=cluster.version,
        endpoint=cluster.endpoint,
        created_at=cluster.created_at,
        updated_at=cluster.updated_at,
        nodes=[_node(node, sources) for node in cluster.nodes],
        policy_state=standing.policy_state,
        last_success_at=standing.last_success,
        discovery=msgspec.convert(cluster.discovery, DiscoveryView, from_attributes=True)
        if sources and cluster.discovery
        else None,
    )


def _node(node: Node, sources: bool) -> NodeView:
    return NodeView(
        id=node.id,
        name=node.name,
        role=node.role,
        ip=node.ip,
        source=node.source if sources else None,
        gone_at=node.gone_at,
    )


def _verify_line(item: VerificationEvent) -> FindingLine | ProgressLine | OrphansLine | UnprovenLine:
    kind = _LINES[type(item)]
    return msgspec.convert(item, kind, from_attributes=True)


_LINES: dict[type[VerificationEvent], type[FindingLine | ProgressLine | OrphansLine | UnprovenLine]] = {
    Finding: FindingLine,
    Progress: ProgressLine,
    Orphans: OrphansLine,
    Unproven: UnprovenLine,
}
