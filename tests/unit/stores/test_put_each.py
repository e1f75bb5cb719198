"""Objects that are put by themselves, many at a time."""

from __future__ import annotations

from threading import Barrier

from logkeep.errors import StoreDenied, StoreError, StoreUnreachable
from logkeep.stores.base import put_each

OBJECTS = [(f"{number}", bytes(number)) for number in range(20)]


def test_as_many_at_a_time_as_are_asked_for() -> None:
    together = Barrier(4)

    def put(name: str, chunks: list[bytes]) -> int:
        together.wait(30)
        return len(b"".join(chunks))

    assert put_each(put, OBJECTS, 4) == list(range(20))


def test_one_that_is_refused_keeps_no_other_from_being_stored() -> None:
    def put(name: str, chunks: list[bytes]) -> int:
        if name == "3":
            raise StoreDenied("no right")
        return len(chunks[0])

    outcomes = put_each(put, OBJECTS, 4)
    assert [str(one) for one in outcomes if isinstance(one, StoreError)] == [str(StoreDenied("no right"))]
    assert isinstance(outcomes[3], StoreDenied)


def test_a_store_that_does_not_answer_is_not_asked_for_each() -> None:
    asked: list[str] = []

    def put(name: str, chunks: list[bytes]) -> int:
        asked.append(name)
        raise StoreUnreachable("it does not answer")

    assert all(isinstance(one, StoreUnreachable) for one in put_each(put, OBJECTS, 2))
    assert len(asked) <= 4
