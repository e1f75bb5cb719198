"""Which of a cluster's nodes of today is which of those that are known. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from logkeep.domain.cluster import Node


@dataclass(frozen=True, slots=True)
class Members:
    """The nodes of a cluster as they are from now on."""

    nodes: tuple[Node, ...]
    new: tuple[Node, ...] = ()  # of them: nobody knew them
    gone: tuple[Node, ...] = ()  # of them: the cluster does not name them


def match_nodes(known: Sequence[Node], found: Sequence[Node], now: int) -> Members:
    """Follow a node whose address, directory or name changed, by the cluster's id of it; it is kept under its old name.

    A new id under a known name is that node, set up anew. Nodes that were named by hand are left as they are. `now`
    (Unix ms) is since when one is gone that was not before.
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
    """Those found that nobody is, and those known as they are now, which are taken out of `left`."""
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
    """A cluster may call two of its nodes alike; what is kept of them must not be."""
    taken = set(names)
    named: list[Node] = []
    for node in new:
        name = node.name if node.name not in taken else f"{node.name[:100]}-{node.instance[:22] or node.id[:8]}"
        taken.add(name)
        named.append(replace(node, name=name))
    return tuple(named)
