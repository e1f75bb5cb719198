"""Small segments are stored many at a time, and each is committed once it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from logkeep.backup.catalogue import Kept as Stored
from logkeep.backup.keeping import FileKeeper
from logkeep.backup.plan import Read
from logkeep.backup.uploads import THREADS
from logkeep.domain.manifest import Checkpoint
from logkeep.errors import StoreUnreachable
from tests.unit.backup import test_node_backup
from tests.unit.backup.test_node_backup import Kept, lines

FILES = [f"{number:03}.log" for number in range(100)]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    kept = Kept(tmp_path)
    for name in FILES:
        kept.write(name, name.encode() + lines(0, 3))
    return kept


@pytest.fixture
def committed(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many segments each commit took, however slow the machine is."""
    monkeypatch.setattr("logkeep.backup.uploads._SECONDS", 3600.0)
    sizes: list[int] = []
    commit = kept.catalogue.commit

    def count(stored: Sequence[Stored], remaining: int = 0) -> None:
        assert all(one.segment.object in kept.store.objects for one in stored)
        sizes.append(len(stored))
        commit(stored, remaining)

    kept.catalogue.commit = count  # type: ignore[method-assign]
    return sizes


def test_the_first_commits_take_few_and_later_ones_many(kept: Kept, committed: list[int]) -> None:
    kept.back_up()
    assert committed == [1, 2, 4, 8, 16, 32, 37]


def test_none_waits_long_for_others(kept: Kept, committed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logkeep.backup.uploads._SECONDS", -1.0)
    kept.back_up()
    assert committed == [1] * len(FILES)


def test_one_that_cannot_be_stored_holds_up_no_other(kept: Kept, committed: list[int]) -> None:
    puts = iter(range(1000))

    def fail() -> None:
        if next(puts) == 50:
            raise StoreUnreachable("the bucket does not answer")

    kept.store.before_put = fail
    with pytest.raises(StoreUnreachable):
        kept.back_up()
    assert committed == [1, 2, 4, 8, 16, 31, 37]
    kept.store.before_put = lambda: None
    kept.back_up()
    assert {name: kept.of(name) for name in FILES} == {name: name.encode() + lines(0, 3) for name in FILES}


def test_the_next_are_read_while_some_are_stored(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    begun = Event()
    keep = FileKeeper.keep

    def count(keeper: FileKeeper, one: Read) -> Checkpoint:
        read.append(1)
        if len(read) == 20:
            begun.set()
        return keep(keeper, one)

    def wait() -> None:  # what is stored fourth waits until some behind it are read
        assert len(kept.store.objects) < 7 or begun.wait(30)

    monkeypatch.setattr(FileKeeper, "keep", count)
    monkeypatch.setattr("logkeep.backup.uploads._SECONDS", 3600.0)
    kept.store.before_put = wait
    with ThreadPoolExecutor(THREADS) as threads:
        monkeypatch.setattr(test_node_backup, "EXECUTOR", threads)
        kept.back_up()
    assert all(kept.of(name) for name in FILES)


def test_large_ones_are_not_collected_without_a_bound(
    kept: Kept, committed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logkeep.backup.uploads._MOST_BYTES", 200)  # three objects
    kept.back_up()
    assert max(committed) <= 6
