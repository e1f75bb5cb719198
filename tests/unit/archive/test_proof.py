"""What a chain proves, and which of several counts."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from logkeep.archive.proof import Document, Entry, Link, lay_out, order_chain, prove


def entry(name: str, previous: str = "", number: int = 1, *, flaw: str = "", **more: object) -> Entry:
    """One that is signed, unless it has a flaw; its name stands for its hash."""
    values = {"job_id": name, "attempt": 1, "created_at": number, "unproven": ""} | more
    document = Document("logs", name, name, flaw)
    return Entry(document, name, "logs", "cluster", number=number, previous=previous, **values)  # type: ignore[arg-type]


def line(length: int, *, flawed: Sequence[int] = ()) -> list[Entry]:
    return [
        entry(f"m{n}", f"m{n - 1}" if n > 1 else "", n, flaw="unsigned" if n in flawed else "")
        for n in range(1, length + 1)
    ]


def proven_of(entries: Sequence[Entry]) -> tuple[set[str], list[str]]:
    """What is proven, and what was read for it."""
    read: list[str] = []
    known = {one.sha256: one for one in entries}

    def look(document: Document) -> Entry:
        read.append(document.sha256)
        return known[document.sha256]

    found = prove([one.document for one in entries], look)
    assert {one.sha256 for one in found.beyond} == set(known) - {one.sha256 for one in found.proven}
    return {one.sha256 for one in found.proven}, read


@given(st.integers(1, 8), st.sets(st.integers(1, 8)))
def test_all_up_to_the_last_signature_is_proven_and_nothing_else_is_read(length: int, flawed: set[int]) -> None:
    last = max((n for n in range(1, length + 1) if n not in flawed), default=0)
    found, read = proven_of(line(length, flawed=sorted(flawed)))
    assert found == {f"m{n}" for n in range(1, last + 1)}
    assert sorted(read) == sorted(found)


@given(st.permutations(line(6)))
def test_chain_is_in_its_order_however_it_was_listed(entries: list[Entry]) -> None:
    chain = order_chain(entries)
    assert [one.sha256 for one in chain.links] == ["m1", "m2", "m3", "m4", "m5", "m6"]
    assert (chain.breaks, chain.forks) == ((), ())


def test_of_a_fork_the_longer_one_counts_and_not_the_newer_one() -> None:
    fork = entry("x3", "m2", 3, created_at=10**12)
    chain = order_chain([*line(4), fork])
    assert [one.sha256 for one in chain.links] == ["m1", "m2", "m3", "m4"]
    assert chain.forks == (fork,)
    assert [one.sha256 for one in order_chain([*line(4), fork], ["x3"]).links] == ["m1", "m2", "x3"]


def test_attempts_of_one_job_are_no_fork() -> None:
    first, second = (entry(f"a{n}", "m2", 3, job_id="job", attempt=n) for n in (1, 2))
    assert [one.sha256 for one in order_chain([*line(2), first, second]).links] == ["m1", "m2", "a2"]
    after = entry("m4", "a1", 4)
    chain = order_chain([*line(2), first, second, after])
    assert [one.sha256 for one in chain.links] == ["m1", "m2", "a1", "m4"]
    assert chain.forks == ()


def test_chain_goes_on_over_a_hole_and_tells_it() -> None:
    one, _, three, four, _, six = line(6)
    chain = order_chain([six, one, four, three])
    assert [entry.sha256 for entry in chain.links] == ["m1", "m3", "m4", "m6"]
    assert [entry.sha256 for entry in chain.breaks] == ["m3", "m6"]


def test_what_was_taken_on_trust_stands_where_it_was_and_only_when_it_is_asked_for() -> None:
    claims = [entry("u1", "", 1), entry("u2", "u1", 2), entry("stranger", "m4", 5)]
    chain = order_chain([entry("m3", "", 3, unproven="u2"), entry("m4", "m3", 4)])
    assert chain.breaks == ()
    assert lay_out(chain, [], []) == [Link(chain.links[0], 3), Link(chain.links[1], 4)]
    laid = [(link.entry.sha256, link.number, link.proven) for link in lay_out(chain, claims, [])]
    assert laid == [("u1", 1, False), ("u2", 2, False), ("m3", 3, True), ("m4", 4, True)]
    assert lay_out(chain, claims, ["stranger"])[-1] == Link(claims[2], 5, proven=False)


def test_chain_of_very_many_pieces_is_ordered_in_no_time() -> None:
    pieces = [entry(f"p{n}", f"missing{n}", n) for n in range(1, 50_001)]
    assert len(order_chain(pieces).breaks) == 50_000
