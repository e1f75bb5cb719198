"""Responses of `/api/v1` on clusters, archives, verification and the audit, from domain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Literal, TypeVar

import msgspec

from logkeep.contract.codes import find_fault
from logkeep.contract.faults import fault_message
from logkeep.domain.access import AuditEntry
from logkeep.domain.archive_search import IndexProgress
from logkeep.domain.archived_log import ArchivedGeneration
from logkeep.domain.cluster import Cluster, Node
from logkeep.domain.node_check import NodeCheck
from logkeep.domain.policy import PolicyState, PolicyStatus
from logkeep.domain.verification import (
    Chain,
    Finding,
    Orphans,
    Progress,
    Removed,
    Unproven,
    Verification,
    VerificationEvent,
)

T = TypeVar("T")

_LINES_AT_ONCE = 500  # lines of about 150 bytes: one chunk is some 75 kB
_encoder = msgspec.json.Encoder()


class Health(msgspec.Struct):
    status: Literal["ok"]


class Readiness(msgspec.Struct, omit_defaults=True):
    status: Literal["ready", "not ready"]
    problems: list[str] = []


class NodeView(msgspec.Struct, rename="camel", omit_defaults=True):
    id: str
    name: str
    role: str
    ip: str
    source: str | None = None  # for admin keys only: it may name hosts and paths
    gone_at: int | None = None  # Unix ms, since when the cluster's API does not name it


class DiscoveryView(msgspec.Struct, rename="camel"):
    """How the cluster is asked for its nodes at each backup."""

    url: str
    user: str
    source: str  # pattern


class ClusterView(msgspec.Struct, rename="camel"):
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


class AddedCluster(ClusterView, rename="camel", kw_only=True):
    """A cluster that was registered, and what whoever did so should know."""

    warnings: list[str]


class AdoptedCluster(AddedCluster, rename="camel", kw_only=True):
    """A cluster whose archive was taken up; the warnings tell what of it was left out."""

    records: int
    objects: int
    bytes: int  # plain ones that are kept


class RemovedCluster(msgspec.Struct, rename="camel", omit_defaults=True):
    """What becomes of the archive, and what else whoever removed the cluster should know."""

    archive: Literal["kept", "deleting"]  # all of it stays in the bucket, or goes
    warnings: list[str] = []


class NodeCheckView(msgspec.Struct, rename="camel"):
    """Result of a check of one node's log directory."""

    node: str
    reachable: bool
    problem: str  # why it cannot be listed, or looks wrong, with its code; '' if it is fine
    files: int  # number of logs
    bytes: int  # size of the logs, compressed files as they are
    opened: int  # logs opened to see whether they may be read
    unreadable: list[str]  # the first few, each with its reason
    unreadable_total: int
    left_out: dict[str, int]  # number of other entries, by kind
    left_out_names: list[str]  # the first few


class CheckList(msgspec.Struct, rename="camel"):
    """Result of a check of each node's log directory."""

    nodes: list[NodeCheckView]


class ClusterList(msgspec.Struct, rename="camel"):
    clusters: list[ClusterView]
    total_size: int


class AuditEntryView(msgspec.Struct, rename="camel"):
    """One call that changes something, or that was refused."""

    at: int  # Unix ms
    who: str  # access key or user; '' if unknown
    project_id: str  # '' if unknown
    operation: str
    cluster_id: str  # '' if the call is about no cluster
    address: str  # of the peer
    status: int
    code: str  # error code, '' for success
    request_id: str


class ConsoleLinkView(msgspec.Struct, rename="camel"):
    """A link to the console, told once."""

    path: str  # below the address of the service
    expires_at: int  # Unix ms


class AuditList(msgspec.Struct, rename="camel"):
    entries: list[AuditEntryView]
    total_size: int


class KeptLine(msgspec.Struct, rename="camel", gc=False):
    """An archived generation of a log, or the part of it that was asked for.

    What of a name is no printable UTF-8 is written %XX, and so is % itself.
    """

    node: str
    family: str  # name of the active file, e.g. oslogs_server.json
    generation: int  # number within the node; the address for reading, together with the node
    name: str  # name of the file when it was last seen, without '.gz'
    size: int  # plain bytes from `start` to `end`
    start: int  # bytes [start, end) of the generation
    end: int
    expected: int  # estimate of how many of them belong to the span of time; without a span, all
    timed: bool  # whether the time of some record is known; a log without times belongs to every span


class VerificationView(msgspec.Struct, rename="camel"):
    """Result of the last verification of a cluster, and why a later one could not be carried out."""

    started_at: int | None  # Unix ms, when the last one began
    finished_at: int | None  # Unix ms; null before the first one
    objects: int
    bytes: int
    objects_read: int  # of `objects`: those that were read back
    findings: int
    problem: str  # the first finding; '' for none
    failed_at: int | None  # Unix ms, when a later one could not be carried out; null if none
    failure: str  # and why


class FindingLine(msgspec.Struct, rename="camel", tag="finding"):
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
    on_node: bool  # the node had the file at its last backup: a backup with `repair` may keep the bytes again


class ProgressLine(msgspec.Struct, rename="camel", tag="progress"):
    objects: int
    objects_total: int
    bytes: int
    bytes_total: int
    objects_read: int


class OrphansLine(msgspec.Struct, rename="camel", tag="orphans"):
    objects: int
    bytes: int


class UnprovenLine(msgspec.Struct, rename="camel", tag="unproven"):
    manifests: int
    head: str


class ChainLine(msgspec.Struct, rename="camel", tag="chain"):
    manifests: int
    head: str  # SHA-256 of the last one, '' for none
    keys: list[str]  # public keys that signed them, in hex
    entries: int  # removal entries, which say what rules of retention removed
    last_entry: str  # SHA-256 of the last one, '' for none


class RemovedObjectsLine(msgspec.Struct, rename="camel", tag="removed"):
    """What rules of retention removed; it is not missing."""

    objects: int
    waiting: int  # of these, lying in the bucket yet
    waiting_bytes: int


class EndLine(msgspec.Struct, rename="camel", tag="end"):
    ok: bool  # no finding


class IndexProgressLine(msgspec.Struct, rename="camel", tag="progress"):
    segments: int
    segments_total: int
    bytes: int  # plain, as `bytes_total`
    bytes_total: int


class IndexEndLine(msgspec.Struct, rename="camel", tag="end"):
    segments: int  # that have an index now, and had none before
    bytes: int  # plain ones of these
    unreadable: int  # segments that could not be read back; Verify tells of them


class ErrorLine(msgspec.Struct, rename="camel", tag="error"):
    error_code: str
    error_msg: str


Standings = Mapping[str, PolicyStatus]  # by cluster
IndexLine = IndexProgressLine | IndexEndLine | ErrorLine
VerifyLine = (
    FindingLine | ProgressLine | OrphansLine | UnprovenLine | ChainLine | RemovedObjectsLine | EndLine | ErrorLine
)


def render_cluster(cluster: Cluster, standings: Standings, *, sources: bool) -> bytes:
    return _encoder.encode(_cluster(cluster, standings, sources))


def render_added(cluster: Cluster, standings: Standings, checks: Sequence[NodeCheck]) -> bytes:
    view = msgspec.structs.asdict(_cluster(cluster, standings, sources=True))
    return _encoder.encode(AddedCluster(**view, warnings=[one.warning for one in checks if one.warning]))


def render_adopted(
    cluster: Cluster,
    standings: Standings,
    checks: Sequence[NodeCheck],
    *,
    records: int,
    objects: int,
    size: int,
    problems: Sequence[str],
) -> bytes:
    view = msgspec.structs.asdict(_cluster(cluster, standings, sources=True))
    warnings = [*problems, *(one.warning for one in checks if one.warning)]
    view |= {"records": records, "objects": objects, "bytes": size}
    return _encoder.encode(AdoptedCluster(**view, warnings=warnings))


def render_removed(problem: str | None, *, deleting: bool = False) -> bytes:
    return _encoder.encode(RemovedCluster("deleting" if deleting else "kept", [problem] if problem else []))


def render_checks(checks: Sequence[NodeCheck]) -> bytes:
    return _encoder.encode(CheckList([view(check, NodeCheckView) for check in checks]))


def render_clusters(clusters: Sequence[Cluster], standings: Standings, total: int, *, sources: bool) -> bytes:
    return _encoder.encode(ClusterList([_cluster(cluster, standings, sources) for cluster in clusters], total))


def render_audit(entries: Iterable[AuditEntry], total: int) -> bytes:
    return _encoder.encode(AuditList([view(entry, AuditEntryView) for entry in entries], total))


def render_console_link(path: str, expires_at: int) -> bytes:
    return _encoder.encode(ConsoleLinkView(path, expires_at))


def render_verification(verification: Verification) -> bytes:
    return _encoder.encode(view(verification, VerificationView))


def kept_lines(logs: Iterable[ArchivedGeneration]) -> Iterator[bytes]:
    return json_lines((view(log, KeptLine) for log in logs), _LINES_AT_ONCE)


def verify_lines(items: Iterable[VerificationEvent]) -> Iterator[bytes]:
    """Yield each finding and step when it comes, and at the end if all was well."""
    ok = True
    for item in items:
        ok = ok and not isinstance(item, Finding)
        yield _encoder.encode(view(item, _LINES[type(item)])) + b"\n"
    yield _encoder.encode(EndLine(ok)) + b"\n"


def index_lines(steps: Iterable[IndexProgress]) -> Iterator[bytes]:
    """Yield a line for each step, and what it came to at the end."""
    for step in steps:
        line = (
            IndexEndLine(step.segments - step.unreadable, step.bytes, step.unreadable)
            if step.done
            else view(step, IndexProgressLine)
        )
        yield _encoder.encode(line) + b"\n"


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
        discovery=view(cluster.discovery, DiscoveryView) if sources and cluster.discovery else None,
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


def view(value: object, kind: type[T]) -> T:
    """Return the public form of a domain value whose attributes have the same names."""
    return msgspec.convert(value, kind, from_attributes=True)


_LINES: dict[type[VerificationEvent], type[VerifyLine]] = {
    Finding: FindingLine,
    Progress: ProgressLine,
    Orphans: OrphansLine,
    Unproven: UnprovenLine,
    Chain: ChainLine,
    Removed: RemovedObjectsLine,
}


def json_lines(items: Iterable[object], at_once: int) -> Iterator[bytes]:
    """Yield one JSON object a line, `at_once` lines a chunk."""
    encoder = msgspec.json.Encoder()
    items = iter(items)
    while batch := list(islice(items, at_once)):
        yield encoder.encode_lines(batch)
