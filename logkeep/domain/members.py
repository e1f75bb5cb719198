"""Matching of the nodes that a cluster lists today with the registered ones. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from logkeep.domain.cluster import Node


@dataclass(frozen=True, slots=True)
class Members:
    """Nodes of a cluster after matching."""

    nodes: tuple[Node, ...]
    new: tuple[Node, ...] = ()  # of `nodes`: those not registered before
    gone: tuple[Node, ...] = ()  # of `nodes`: those that the cluster no longer lists


def match_nodes(known: Sequence[Node], found: Sequence[Node], now: int) -> Members:
    """Match found nodes with known ones, by name and instance id, then by either; a match keeps its id and name.

    So a node is followed when its address, directory or name changes, and when it is reinstalled under the same name
    with a new instance id. Nodes registered by hand are left as they are. A node that is missing for the first time is
    marked as gone since `now` (Unix ms).
    """
    left = {node.name: node for node in known}
    members: list[Node] = []
    rest = list(found)
    for is_same in (_same_in_both, _same_name, _same_instance):
        rest, matched = _match(left, rest, is_same)
        members += matched
    gone = tuple(_gone(node, now) for node in left.values() if node.instance)
    by_hand = tuple(node for node in left.values() if not node.instance)
    new = _named_apart(rest, [node.name for node in (*members, *gone, *by_hand)])
    return Members((*members, *by_hand, *gone, *new), new, gone)


def _match(
    left: dict[str, Node], found: Sequence[Node], is_same: Callable[[Node, Node], bool]
) -> tuple[list[Node], list[Node]]:
    """Return the found nodes without a match, and the updated matches, whose known nodes are taken out of `left`."""
    rest: list[Node] = []
    matched: list[Node] = []
    for one in found:
        old = next((node for node in left.values() if is_same(node, one)), None)
        if old is None:
            rest.append(one)
        else:
            del left[old.name]
            matched.append(_renewed(old, one))
    return rest, matched


def _same_in_both(known: Node, found: Node) -> bool:
    return known.name == found.name and known.instance == found.instance


def _same_name(known: Node, found: Node) -> bool:
    return known.name == found.name


def _same_instance(known: Node, found: Node) -> bool:
    return bool(known.instance) and known.instance == found.instance


def _renewed(known: Node, found: Node) -> Node:
    if not known.instance:
        return known
    return replace(found, id=known.id, name=known.name)


def _gone(node: Node, now: int) -> Node:
    return node if node.gone_at is not None else replace(node, gone_at=now)


def _named_apart(new: Sequence[Node], names: Sequence[str]) -> tuple[Node, ...]:
    """Rename new nodes whose names are taken: a cluster may give two nodes one name, but each needs its own archive."""
    taken = set(names)
    named: list[Node] = []
    for node in new:
        name = node.name if node.name not in taken else f"{node.name[:100]}-{node.instance[:22] or node.id[:8]}"
        taken.add(name)
        named.append(replace(node, name=name))
    return tuple(named)
