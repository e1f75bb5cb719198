"""Checking the log directories of nodes without a backup: whether they can be read, and what they contain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial

from logkeep.domain.cluster import Node
from logkeep.errors import SettingError, SourceError, SourceFileError, SourceVanished
from logkeep.service.clusters import NewNode
from logkeep.service.context import Context
from logkeep.service.node_threads import run_some_at_once
from logkeep.service.sources import find_tenant
from logkeep.sources.base import Listing, LogSource, PassedKind, Tenant

CHECK_SECONDS = 20.0  # for all nodes of a cluster
_AT_ONCE = 16
_MOST_OPENED = 1000  # files of one node
_MOST_NAMED = 20  # of each kind


@dataclass(slots=True)
class NodeCheck:
    """Result of checking one node's log directory."""

    node: str
    reachable: bool = False
    problem: str = ""  # why it cannot be listed, or looks wrong, with its code; '' if it is fine
    files: int = 0  # number of logs
    bytes: int = 0  # size of the logs, compressed files as they are
    opened: int = 0  # logs opened to see whether this user may read them
    unreadable: list[str] = field(default_factory=list[str])  # the first few, each with its reason
    unreadable_total: int = 0
    left_out: dict[str, int] = field(default_factory=dict[str, int])  # number of other entries, by kind
    left_out_names: list[str] = field(default_factory=list[str])  # the first few

    @property
    def warning(self) -> str:
        """Return what to tell whoever registers the node; '' for nothing."""
        if self.problem:
            return f"node {self.node}: {self.problem}"
        if self.unreadable:
            return f"node {self.node}: {self.unreadable_total} files or folders cannot be read: {self.unreadable[0]}"
        return ""


class _TimeIsUp(Exception):
    pass


def check_nodes(
    context: Context,
    project_id: str,
    nodes: Sequence[Node | NewNode],
    *,
    seconds: float = CHECK_SECONDS,
    most_opened: int = _MOST_OPENED,
) -> list[NodeCheck]:
    """Check nodes in parallel, all within `seconds`; a node that hangs is abandoned and reported as unreachable."""
    tenant = find_tenant(context, project_id)
    end = time.monotonic() + seconds
    checks = {node.name: NodeCheck(node.name, problem=_unanswered(seconds)) for node in nodes}

    def check(node: Node | NewNode) -> None:
        checks[node.name] = _check(context, tenant, node, end, most_opened)

    def look() -> None:
        if time.monotonic() > end:
            raise _TimeIsUp

    with suppress(_TimeIsUp):
        run_some_at_once([partial(check, node) for node in nodes], _AT_ONCE, look)
    return [checks[node.name] for node in nodes]


def _unanswered(seconds: float) -> str:
    return f"LK-SOURCE-UNREACHABLE: it does not answer within {seconds:.0f} seconds; see that it is mounted and up"


def _check(context: Context, tenant: Tenant, node: Node | NewNode, end: float, most_opened: int) -> NodeCheck:
    try:
        source = context.open_source(node.source, tenant)
        listing = source.list()
    except SourceError as error:
        return NodeCheck(node.name, problem=str(error))
    except SettingError as error:
        return NodeCheck(node.name, problem=f"LK-SOURCE-REFUSED: {error.message}")
    found = NodeCheck(node.name, True, files=len(listing), bytes=sum(file.size for file in listing))
    found.left_out = {str(kind): number for kind, number in listing.counts.items() if kind is not PassedKind.CLOSED}
    left_out = [one.name for one in listing.passed if one.kind is not PassedKind.CLOSED]
    found.left_out_names = left_out[:_MOST_NAMED]
    for one in listing.passed:
        if one.kind is PassedKind.CLOSED:
            _note_unreadable(found, f"LK-SOURCE-UNREADABLE: folder {one.name!r} cannot be listed: {one.why}")
    if not listing:
        found.problem = _emptiness(listing)
    _open_files(source, listing, found, end, most_opened)
    return found


def _open_files(source: LogSource, listing: Listing, found: NodeCheck, end: float, most: int) -> None:
    for file in sorted(listing, key=lambda file: -file.mtime_ns)[:most]:
        if time.monotonic() > end - 1:
            return
        found.opened += 1
        try:
            with closing(source.open(file.name)) as log:
                log.read_at(0, 1)
        except SourceVanished:
            continue
        except SourceFileError as error:
            _note_unreadable(found, str(error))


def _note_unreadable(found: NodeCheck, what: str) -> None:
    found.unreadable_total += 1
    if len(found.unreadable) < _MOST_NAMED:
        found.unreadable.append(what)


def _emptiness(listing: Listing) -> str:
    links = listing.counts.get(PassedKind.LINK, 0)
    what = f"nothing but {links} links is in the log directory" if links else "no file is in the log directory"
    return f"LK-NODE-EMPTY: {what}; see that it is mounted, and the one that the node writes to"
