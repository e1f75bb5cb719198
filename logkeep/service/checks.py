"""Checking the log directories of nodes without a backup: whether they can be read, and what they contain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial

from logkeep.domain.cluster import NewNode, Node
from logkeep.domain.node_check import NodeCheck
from logkeep.errors import SettingError, SourceError, SourceFileError, SourceVanished
from logkeep.service.node_threads import run_concurrently
from logkeep.service.runtime import Runtime
from logkeep.service.sources import find_tenant
from logkeep.sources.base import Listing, LogSource, PassedKind, Tenant

CHECK_SECONDS = 20.0  # for all nodes of a cluster
_CONCURRENT_CHECKS = 16
_MOST_OPENED = 1000  # files of one node
_MOST_NAMED = 20  # of each kind


class _TimeIsUp(Exception):
    pass


def check_nodes(
    runtime: Runtime,
    project_id: str,
    nodes: Sequence[Node | NewNode],
    *,
    seconds: float = CHECK_SECONDS,
    most_opened: int = _MOST_OPENED,
) -> list[NodeCheck]:
    """Check nodes in parallel, all within `seconds`; a node that hangs is abandoned and reported as unreachable."""
    tenant = find_tenant(runtime, project_id)
    end = time.monotonic() + seconds
    checks = {node.name: NodeCheck(node.name, problem=_unanswered(seconds)) for node in nodes}

    def check(node: Node | NewNode) -> None:
        checks[node.name] = _check(runtime, tenant, node, end, most_opened)

    def look() -> None:
        if time.monotonic() > end:
            raise _TimeIsUp

    with suppress(_TimeIsUp):
        run_concurrently([partial(check, node) for node in nodes], _CONCURRENT_CHECKS, look)
    return [checks[node.name] for node in nodes]


def _unanswered(seconds: float) -> str:
    return f"LK-SOURCE-UNREACHABLE: it does not answer within {seconds:.0f} seconds; see that it is mounted and up"


def _check(runtime: Runtime, tenant: Tenant, node: Node | NewNode, end: float, most_opened: int) -> NodeCheck:
    try:
        source = runtime.open_source(node.source, tenant)
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
