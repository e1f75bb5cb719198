"""A folder as a bucket."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logkeep.errors import BucketMissing, SettingError, StoreDenied, StoreError, StoreMissing
from logkeep.stores.base import ObjectStore
from logkeep.stores.opendal import create_bucket, open_store
from tests.suites.store_suite import MIB, Stopped, StoreSuite, names, stopping


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    create_bucket("file:my%20%E6%97%A5/logs", base=tmp_path)
    return tmp_path / "my 日" / "logs"


@pytest.fixture
def store(bucket: Path, tmp_path: Path) -> ObjectStore:
    return open_store("file:my%20%E6%97%A5/logs", base=tmp_path)


class TestFileStore(StoreSuite):
    @pytest.fixture
    def store(self, bucket: Path, tmp_path: Path) -> ObjectStore:
        return open_store(bucket.as_uri(), base=tmp_path)


def test_an_object_is_a_plain_file(store: ObjectStore, bucket: Path) -> None:
    store.put("a b/日志 100%.zst", [b"one ", b"two"])
    assert (bucket / "a b" / "日志 100%.zst").read_bytes() == b"one two"


def test_an_object_is_written_beside_the_others_and_moved_in(store: ObjectStore, bucket: Path) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(MIB)
        assert [path.stat().st_size for path in (bucket / ".tmp").iterdir()] == [20 * MIB]
        assert not (bucket / "x").exists()

    store.put("x", chunks())
    assert list((bucket / ".tmp").iterdir()) == []


def test_what_was_given_up_leaves_no_file(store: ObjectStore, bucket: Path) -> None:
    with pytest.raises(Stopped):
        store.put("x", stopping(30 * MIB))
    assert [path for path in bucket.rglob("*") if path.is_file() or path.parent.name == ".tmp"] == []


def test_check_removes_what_a_killed_process_left(store: ObjectStore, bucket: Path) -> None:
    old, young, earlier = (bucket / ".tmp" / name for name in ("old", "young", "of an earlier version"))
    earlier.mkdir(parents=True)
    for path in (old, young, earlier / "x.1234"):
        path.write_bytes(b"half")
    three_days_ago = time.time() - 3 * 24 * 3600
    for path in (old, earlier):
        os.utime(path, (three_days_ago, three_days_ago))
    store.check()
    assert list((bucket / ".tmp").iterdir()) == [young]


CALLS: list[Callable[[ObjectStore], object]] = [
    lambda store: store.check(),
    lambda store: store.put("x", [b"x"]),
    lambda store: store.get("x"),
    lambda store: store.open("x"),
    lambda store: store.size("x"),
    lambda store: list(store.list("")),
    lambda store: store.delete("x"),
]


@pytest.mark.parametrize("call", CALLS, ids=["check", "put", "get", "open", "size", "list", "delete"])
def test_a_missing_folder_is_said_and_not_made(tmp_path: Path, call: Callable[[ObjectStore], object]) -> None:
    store = open_store("file:gone", base=tmp_path)
    with pytest.raises(BucketMissing, match=r"there is no bucket file://.*/gone"):
        call(store)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_vanishes_later_is_missing_too(store: ObjectStore, bucket: Path) -> None:
    store.put("a/x", [b"x"])
    bucket.rename(bucket.parent / "elsewhere")
    with pytest.raises(BucketMissing, match="there is no bucket"):
        store.put("a/y", [b"y"])
    assert not bucket.exists()


def test_a_file_is_no_bucket(tmp_path: Path) -> None:
    (tmp_path / "logs").write_bytes(b"")
    with pytest.raises(BucketMissing, match="there is no bucket"):
        open_store("file:logs", base=tmp_path).check()
    with pytest.raises(SettingError, match="cannot be created: File exists"):
        create_bucket("file:logs", base=tmp_path)


@pytest.mark.parametrize("parts", [False, True])
def test_an_object_below_another_one_is_told_and_the_bucket_is_not_said_to_be_missing(
    store: ObjectStore, bucket: Path, parts: bool
) -> None:
    store.put("a", [b"x"])
    with pytest.raises(StoreMissing, match=r"cannot write 'a/b/c' in file://.*: Not a directory"):
        store.put("a/b/c", iter([b"y"]) if parts else [b"y"])
    assert list((bucket / ".tmp").iterdir()) == []


def test_a_bucket_that_exists_is_left_as_it_is(store: ObjectStore, bucket: Path, tmp_path: Path) -> None:
    store.put("x", [b"x"])
    create_bucket(bucket.as_uri(), base=tmp_path)
    assert names(store.list("")) == ["x"]


def test_a_new_bucket_is_closed_to_others(bucket: Path) -> None:
    assert bucket.stat().st_mode & 0o777 == 0o700


def test_only_folders_are_created(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="only the bucket of a file: URL"):
        create_bucket("memory:", base=tmp_path)


def test_what_is_no_object_is_not_listed(store: ObjectStore, bucket: Path) -> None:
    store.put("a/x", [b"x"])
    (bucket / "a" / "line\nbreak").write_bytes(b"")
    (bucket / "a" / "space ").mkdir()
    (bucket / "a" / "space " / "x").write_bytes(b"")
    (bucket / "empty").mkdir()
    (bucket / ".logkeep-check-1").write_bytes(b"")
    assert names(store.list("")) == ["a/x"]


def test_links_in_a_folder_are_neither_followed_nor_keep_others_from_being_listed(
    store: ObjectStore, bucket: Path, tmp_path: Path
) -> None:
    store.put("css/a", [b"a"])
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").write_bytes(b"x")
    for name, target in {
        "self": bucket / "self",
        "up": bucket,
        "css/up": bucket / "css",
        "css/out": tmp_path / "elsewhere",
        "css/file": tmp_path / "elsewhere" / "x",
    }.items():
        (bucket / name).symlink_to(target)
    assert names(store.list("")) == ["css/a"]


def test_nothing_is_written_behind_a_link_and_the_remedy_is_told(
    store: ObjectStore, bucket: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (bucket / "css").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreDenied, match=r"'css' in .* is a link.*mount"):
        store.put("css/log/a", [b"a"])
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_of_many_objects_only_those_that_cannot_be_stored_are_not(
    store: ObjectStore, bucket: Path, tmp_path: Path
) -> None:
    (bucket / "css").symlink_to(tmp_path)
    (bucket / "file").write_bytes(b"")
    objects = [(f"{folder}/{number}", b"data") for number in range(20) for folder in ("css", "log", "file")]
    outcomes = dict(zip([name for name, _ in objects], store.put_many(objects), strict=True))
    assert {name: outcome for name, outcome in outcomes.items() if outcome == 4} == {f"log/{n}": 4 for n in range(20)}
    assert all(isinstance(outcomes[f"css/{number}"], StoreDenied) for number in range(20))
    assert all(isinstance(outcomes[f"file/{number}"], StoreError) for number in range(20))
    assert names(store.list("log/")) == sorted(f"log/{number}" for number in range(20))
    assert list((bucket / ".tmp").iterdir()) == []
