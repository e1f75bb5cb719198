"""What every kind of store must do: inherit `StoreSuite` in a `Test…` class that has a `store` fixture."""

from __future__ import annotations

import io
import os
import random
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from logkeep.errors import StoreCorrupt, StoreMissing
from logkeep.stores.base import ObjectStore, StoredObject

MIB = 1024 * 1024
NAMES = [
    "plain.zst",
    "css/log/my cluster/node 1/gc.log/1.zst",
    "日志/集群/节点.zst",
    "100%/%41%2F+a&b=c;#frag?query.zst",
    "q'\"<>\\|*:~^`{}[]$!@(),.zst",
    "a/.hidden/..dots../x.",
    "é/e\u0301/\U0001f5c4.zst",  # composed and combined letters are two names
    "in  ner/spa ces/x",
    "p" * 240,
]
WRONG_NAMES = [
    "",
    "/a",
    "a/",
    "a//b",
    "..",
    "a/../b",
    "./a",
    "a/.",
    "a\nb",
    "a\x00b",
    "a\x7fb",
    " a",
    "a ",
    "a /b",
    "a/ b",
    "\u3000a",
    "\udce9",
    ".tmp/x",
    "p" * 241,
    "x/" * 512 + "x",
]


class Stopped(Exception):
    """What the source of the chunks raises."""


def stopping(size: int) -> Iterator[bytes]:
    """Chunks of 1 MiB, and then the error."""
    for _ in range(size // MIB):
        yield bytes(MIB)
    raise Stopped


def names(objects: Iterable[StoredObject]) -> list[str]:
    return [found.name for found in objects]


class StoreSuite:
    tells_times = True

    @pytest.fixture
    def store(self) -> ObjectStore:
        raise NotImplementedError

    @pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
    def test_a_name_survives_the_round_trip(self, store: ObjectStore, name: str) -> None:
        data = name.encode()
        assert store.put(name, [data]) == len(data)
        assert store.get(name) == data
        assert store.size(name) == len(data)
        assert [(found.name, found.size) for found in store.list("")] == [(name, len(data))]
        with store.open(name) as stream:
            assert stream.read() == data
        store.delete(name)
        assert list(store.list("")) == []

    @pytest.mark.parametrize("name", WRONG_NAMES, ids=range(len(WRONG_NAMES)))
    def test_a_wrong_name_is_refused_everywhere(self, store: ObjectStore, name: str) -> None:
        calls: list[Any] = [store.get, store.open, store.size, store.delete, lambda name: store.put(name, [b"x"])]
        for call in calls:
            with pytest.raises(ValueError, match="not an object name"):
                call(name)
        assert list(store.list("")) == []

    def test_names_that_differ_in_one_sign_are_different_objects(self, store: ObjectStore) -> None:
        for name in ("a b", "a+b", "a%20b", "a%2520b", "A b"):
            store.put(name, [name.encode()])
        assert [store.get(name) for name in ("a b", "a+b", "a%20b", "a%2520b", "A b")] == [
            b"a b",
            b"a+b",
            b"a%20b",
            b"a%2520b",
            b"A b",
        ]

    @pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 35 * MIB])
    def test_put_stores_all_chunks_in_order(self, store: ObjectStore, size: int) -> None:
        data = random.Random(size).randbytes(size)
        step = 3 * MIB + 7
        chunks = [data[at : at + step] for at in range(0, size, step)]
        assert store.put("big", [b"", *chunks, b""]) == size
        assert store.get("big") == data

    @pytest.mark.parametrize("size", [0, 1 * MIB, 30 * MIB])
    def test_chunks_that_raise_leave_no_object(self, store: ObjectStore, size: int) -> None:
        with pytest.raises(Stopped):
            store.put("cluster/half", stopping(size))
        assert list(store.list("")) == []
        assert store.size("cluster/half") is None
        assert store.put("cluster/half", [b"now"]) == 3

    def test_many_are_stored_together(self, store: ObjectStore) -> None:
        objects = {f"css/{number % 7}/{number}.zst": b"%d" % number for number in range(70)}
        assert store.put_many([*objects.items()]) == [len(data) for data in objects.values()]
        assert {name: store.get(name) for name in names(store.list("css/"))} == objects

    def test_an_object_is_not_seen_before_it_is_whole(self, store: ObjectStore) -> None:
        seen: list[object] = []

        def chunks() -> Iterator[bytes]:
            for _ in range(20):
                seen.extend([*store.list(""), *store.list("cluster/"), *filter(None, [store.size("cluster/x")])])
                yield bytes(MIB)

        assert store.put("cluster/x", chunks()) == 20 * MIB
        assert seen == []
        assert names(store.list("cluster/")) == ["cluster/x"]

    def test_list_is_sorted_by_name_through_all_folders(self, store: ObjectStore) -> None:
        stored = ["b", "a/z", "a/b/c", "a-b/x", "a.b", "a0", "a/b-c", "日志/x", "Z", "a/b/é", "\U0001f5c4"]
        for name in stored:
            store.put(name, [b"x"])
        assert names(store.list("")) == sorted(stored)
        assert names(store.list("a/")) == ["a/b-c", "a/b/c", "a/b/é", "a/z"]
        assert names(store.list("a/b/")) == ["a/b/c", "a/b/é"]
        assert names(store.list("none/")) == []
        assert names(store.list("a/b/", "a/b/c")) == ["a/b/é"]
        for after in ("a/b/c", "a/b", "a-b", "Z", "none"):
            assert names(store.list("", after)) == sorted(name for name in stored if name > after)

    def test_what_is_larger_than_expected_is_not_read(self, store: ObjectStore) -> None:
        store.put("folder/x", [b"x" * 100])
        assert store.get("folder/x", 100) == store.get("folder/x", size=100) == b"x" * 100
        for size in (None, 100):
            with pytest.raises(StoreCorrupt, match="has 100 bytes"):
                store.get("folder/x", 99, size)

    def test_a_prefix_ends_with_a_slash(self, store: ObjectStore) -> None:
        for prefix in ("a", "../", "/", "a//", " a/"):
            with pytest.raises(ValueError, match="prefix"):
                list(store.list(prefix))

    def test_what_is_not_there_is_missing(self, store: ObjectStore) -> None:
        store.put("folder/x", [b"x"])
        for name in ("none", "folder", "folder/none", "folder/x/y", "none/x"):
            assert store.size(name) is None
            for call in (store.get, store.open):
                with pytest.raises(StoreMissing, match="LK-STORE-MISSING: there is no '" + name):
                    call(name)

    def test_a_listing_tells_when_an_object_was_stored(self, store: ObjectStore) -> None:
        before = time.time_ns() // 1_000_000
        store.put("folder/x", [b"x"])
        [found] = store.list("")
        if not self.tells_times:
            assert found.modified_at is None
        else:
            assert found.modified_at is not None
            # Some servers tell whole seconds.
            assert before - 1000 <= found.modified_at <= time.time_ns() // 1_000_000 + 1000

    def test_delete_can_be_repeated(self, store: ObjectStore) -> None:
        store.put("folder/x", [b"x"])
        store.put("folder/y", [b"y"])
        store.delete("folder/x")
        store.delete("folder/x")
        store.delete("none/x")
        assert names(store.list("")) == ["folder/y"]

    def test_remove_takes_objects_of_any_folder_and_leaves_their_neighbours(self, store: ObjectStore) -> None:
        for name in ("top", "folder/a.zst", "folder/b.zst", "folder/b.zst.sig", "folder/b/x", "other/a.zst"):
            store.put(name, [b"x"])
        assert store.remove(["folder/b.zst", "top", "none/x", "folder/none", "other/a.zst"]) == [None] * 5
        assert names(store.list("")) == ["folder/a.zst", "folder/b.zst.sig", "folder/b/x"]
        assert store.remove([]) == []

    def test_an_open_object_reads_and_seeks_like_a_file(self, store: ObjectStore) -> None:
        data = random.Random(1).randbytes(5 * MIB + 3)
        store.put("x", [data])
        model = io.BytesIO(data)
        choose = random.Random(2)
        with store.open("x") as stream:
            assert stream.seekable()
            assert stream.readable()
            for _ in range(60):
                offset, whence = choose.choice([(choose.randrange(6 * MIB), 0), (-choose.randrange(MIB), 2), (0, 1)])
                size = choose.choice([0, 1, 1000, MIB, 3 * MIB, -1])
                assert stream.seek(offset, whence) == model.seek(offset, whence)
                assert stream.read(size) == model.read(size)
                assert stream.tell() == model.tell()

    def test_an_open_object_reads_at_least_a_mebibyte_at_once(self, store: ObjectStore) -> None:
        data = os.urandom(3 * MIB)
        store.put("x", [data])
        with store.open("x") as stream:
            raw = stream.raw  # type: ignore[attr-defined]
            assert stream.read(10) == data[:10]
            assert raw.tell() == MIB

    def test_check_leaves_nothing(self, store: ObjectStore) -> None:
        store.check()
        assert list(store.list("")) == []

    def test_threads_can_share_a_store(self, store: ObjectStore) -> None:
        def round_trip(number: int) -> bool:
            data = random.Random(number).randbytes(number * 1000)
            store.put(f"folder/{number % 5}/{number}", [data])
            return store.get(f"folder/{number % 5}/{number}") == data

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(round_trip, range(80)))
        assert len(names(store.list(""))) == 80
