"""The store in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from logkeep.stores.base import ObjectStore
from logkeep.stores.opendal import open_store
from tests.suites.store_suite import StoreSuite


class TestMemoryStore(StoreSuite):
    tells_times = False

    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return open_store("memory:", base=tmp_path)


def test_each_request_is_told_by_its_kind_and_object(tmp_path: Path) -> None:
    told: list[tuple[str, str, int]] = []
    store = open_store("memory:", base=tmp_path, count=lambda kind, name, number: told.append((kind, name, number)))
    store.put("a/b.zst", [b"x" * 10])
    assert store.get("a/b.zst", size=10) == b"x" * 10
    with store.open("a/b.zst") as stream:
        stream.read(1)
    assert [one.name for one in store.list("a/")] == ["a/b.zst"]
    store.delete("a/b.zst")
    head = ("head", "a/b.zst", 1)  # behind a put, and before an object is opened
    get = ("get", "a/b.zst", 1)
    assert told == [("put", "a/b.zst", 1), head, get, head, get, ("list", "a/", 1), ("delete", "a/b.zst", 1)]
