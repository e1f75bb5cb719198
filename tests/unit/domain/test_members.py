"""Which of a cluster's nodes of today is which of those that are known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logkeep.domain.cluster import Node
from logkeep.domain.members import match_nodes

NOW = 1_000


def node(name: str, instance: str, ip: str = "10.0.0.1", *, gone_at: int | None = None, id_: str = "") -> Node:
    return Node(id_ or f"id of {name}", name, f"file:///logs/{ip}", "ess", ip, instance, gone_at)


def test_a_node_that_nobody_knew_is_new() -> None:
    members = match_nodes([node("n1", "a")], [node("n1", "a"), node("n2", "b")], NOW)
    assert [one.name for one in members.nodes] == ["n1", "n2"]
    assert [one.name for one in members.new] == ["n2"]
    assert members.gone == ()


def test_a_node_that_is_not_named_is_gone_since_it_was_first_missed_and_comes_back() -> None:
    gone = match_nodes([node("n1", "a"), node("n2", "b")], [node("n1", "a")], NOW)
    assert [(one.name, one.gone_at) for one in gone.gone] == [("n2", NOW)]
    later = match_nodes(gone.nodes, [node("n1", "a")], NOW + 5)
    assert [(one.name, one.gone_at) for one in later.gone] == [("n2", NOW)]
    back = match_nodes(later.nodes, [node("n1", "a"), node("n2", "b")], NOW + 9)
    assert ([one.gone_at for one in back.nodes], back.new, back.gone) == ([None, None], (), ())


def test_a_node_is_followed_by_its_id_and_kept_under_the_name_that_it_had() -> None:
    [moved] = match_nodes([node("n1", "a", id_="known")], [node("renamed", "a", "10.9.9.9")], NOW).nodes
    assert (moved.id, moved.name, moved.ip, moved.source) == ("known", "n1", "10.9.9.9", "file:///logs/10.9.9.9")


def test_a_new_id_under_a_known_name_is_the_same_node() -> None:
    members = match_nodes([node("n1", "a", id_="known")], [node("n1", "anew", "10.9.9.9")], NOW)
    [same] = members.nodes
    assert (same.id, same.instance, same.ip, members.new) == ("known", "anew", "10.9.9.9", ())


def test_names_that_were_swapped_go_before_ids() -> None:
    members = match_nodes([node("n1", "a"), node("n2", "b")], [node("n1", "b"), node("n2", "a")], NOW)
    assert {(one.name, one.instance) for one in members.nodes} == {("n1", "b"), ("n2", "a")}
    assert (members.new, members.gone) == ((), ())


def test_a_node_that_was_named_by_hand_is_left_as_it_is() -> None:
    mine = Node("x", "n1", "sftp://logs@n1/mine")
    members = match_nodes([mine], [node("n1", "a"), node("n2", "b")], NOW)
    assert mine in members.nodes
    assert [one.name for one in members.new] == ["n2"]
    assert match_nodes([mine], [], NOW).nodes == (mine,)


def test_two_nodes_of_one_name_are_kept_apart() -> None:
    names = [one.name for one in match_nodes([], [node("n", "a1"), node("n", "b2")], NOW).nodes]
    assert names == ["n", "n-b2"]


NODES = st.lists(
    st.builds(node, st.sampled_from(["n1", "n2", "n3", "n4"]), st.sampled_from("abcdef")),
    max_size=5,
    unique_by=lambda one: one.instance,
)


@given(st.lists(NODES, max_size=6))
def test_whatever_comes_no_known_node_is_dropped_and_no_name_is_there_twice(listings: list[list[Node]]) -> None:
    known: tuple[Node, ...] = ()
    for now, found in enumerate(listings, 1):
        members = match_nodes(known, found, now)
        names = [one.name for one in members.nodes]
        assert len(set(names)) == len(names)
        assert {one.name for one in known} <= set(names)
        assert {one.instance for one in found} == {one.instance for one in members.nodes if one.gone_at is None}
        known = members.nodes
