"""Who goes where there is no room."""

from __future__ import annotations

from dataclasses import dataclass

from logkeep.http.connections import Connections, Limits


@dataclass(eq=False)
class Fake:
    name: str
    owner: str = ""
    held: int = 0
    working: bool = False
    gone: bool = False

    def hang_up(self) -> None:
        self.gone = True


LIMITS = Limits(connections=8, strangers_bytes=100)  # 6 of them for strangers


def connect(connections: Connections, count: int, owner: str = "", *, working: bool = False) -> list[Fake]:
    found = [Fake(f"{owner}{number}", working=working) for number in range(count)]
    for one in found:
        connections.add(one)
        if owner:
            connections.know(one, owner)
    return found


def test_the_stranger_that_was_silent_longest_goes_and_never_the_newcomer() -> None:
    connections = Connections(LIMITS)
    first, second, *others = connect(connections, 6)
    connections.seen(first)
    [newcomer] = connect(connections, 1)
    assert second.gone
    assert not any(one.gone for one in (first, *others, newcomer))


def test_a_stranger_whose_request_is_carried_out_stays_before_an_idle_one() -> None:
    connections = Connections(LIMITS)
    busy, idle, *_ = connect(connections, 6)
    busy.working = True
    connect(connections, 1)
    assert (busy.gone, idle.gone) == (False, True)


def test_a_quarter_is_kept_for_who_is_known() -> None:
    connections = Connections(LIMITS)
    strangers = connect(connections, 20)
    assert len(connections) == 6
    assert not any(one.gone for one in connect(connections, 2, "a"))
    assert sum(one.gone for one in strangers) == 15  # one for each known, before it was known


def test_who_is_known_is_closed_for_no_stranger_while_there_is_one() -> None:
    connections = Connections(LIMITS)
    known = connect(connections, 3, "a") + connect(connections, 3, "b")
    connect(connections, 20)
    assert not any(one.gone for one in known)
    assert len(connections) == 8


def test_one_caller_has_at_most_half_and_loses_its_own_idle_ones() -> None:
    connections = Connections(LIMITS)
    other = connect(connections, 1, "b")
    mine = connect(connections, 6, "a")
    assert [one.gone for one in mine] == [True, True, False, False, False, False]
    assert not other[0].gone


def test_where_all_are_at_work_for_who_is_known_the_newcomer_is_refused() -> None:
    connections = Connections(LIMITS)
    known = connect(connections, 4, "a", working=True) + connect(connections, 4, "b", working=True)
    [newcomer] = connect(connections, 1)
    assert newcomer.gone
    assert not any(one.gone for one in known)


def test_where_all_are_known_the_one_with_most_loses_an_idle_one() -> None:
    connections = Connections(LIMITS)
    first, *_ = connect(connections, 4, "a")
    others = connect(connections, 2, "b") + connect(connections, 2, "c")
    [newcomer] = connect(connections, 1)
    assert first.gone
    assert not any(one.gone for one in (*others, newcomer))


def test_strangers_that_hold_most_bytes_for_longest_go() -> None:
    connections = Connections(LIMITS)
    first, second, third, _ = connect(connections, 4)
    connections.hold(first, 40)
    connections.hold(second, 40)
    connections.seen(first)
    connections.hold(third, 40)
    assert (first.gone, second.gone, third.gone) == (False, True, False)
    assert connections.held == 80
    connections.know(third, "a")
    assert connections.held == 40, "what is known is not held for a stranger"
    connections.remove(first)
    assert connections.held == 0


def test_a_connection_that_changes_hands_counts_for_the_last_one() -> None:
    connections = Connections(LIMITS)
    [one] = connect(connections, 1, "a")
    connections.know(one, "b")
    assert one.owner == "b"
    connections.remove(one)
    connections.remove(one)
    assert len(connections) == 0
