"""Whatever bytes lie under the name of a manifest, they are decoded to what a database takes, or refused by one error."""

from __future__ import annotations

import copy
import json
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from logkeep.database.connection import connect
from logkeep.database.migrate import migrate
from logkeep.errors import StoreCorrupt
from logkeep.stores.base import LARGEST_MANIFEST
from logkeep.stores.layout import decode_manifest, encode_manifest
from tests.support.installation import new_database
from tests.support.manifests import NAME, insert, true_manifest

TRUE = encode_manifest(true_manifest())
ODD: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**53, 2**63, -(2**63), 2**64, 10**30, 1e308, -1e308, 0.5, "", ".", "..", "/", "a/b", "../../etc/passwd",
    "/etc/passwd", "a\0b", "\n", "\x7f", "x" * 300, "x" * 70_000, "99:99 GMT+08:00", "00:00 GMT+99:00", "file:///etc\0", "http://x/", "file://x:y/",
    "f" * 64, "g" * 64, "F" * 32, "RUNNING", "SUCCESS", "2026-13-45T00:00:00,000", [], {}, [[]], [{}], "\U0001f600", "\u2028", "é" * 200,
    "css/log/other/n1/es.log/00000001-000000000000000-0123456789abcdef0123456789abcdef.1-1.zst",
]  # fmt: skip


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in a document."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(way for key, value in inner for way in places(value, (*path, key)))]


def changed(document: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    document = copy.deepcopy(document)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return document


DOCUMENT = json.loads(TRUE)
WAYS = [way for way in places(DOCUMENT) if way]


def encoded(document: Any) -> bytes:
    return json.dumps(document, allow_nan=True).encode()


@pytest.fixture(scope="module")
def database() -> Iterator[Engine]:
    engine = connect(new_database().get("LOGKEEP_DATABASE", "sqlite://"))
    migrate(engine)
    yield engine
    engine.dispose()


def takes_or_refuses(database: Engine, data: bytes) -> bool:
    """Whether it was taken; anything but a `StoreCorrupt`, or an error of the database, fails the test."""
    try:
        manifest = decode_manifest(data, NAME)
    except StoreCorrupt as error:
        assert "\0" not in error.message
        assert len(error.message) < 1000
        return False
    insert(database, manifest)
    return True


def test_true_manifest_is_taken(database: Engine) -> None:
    assert decode_manifest(TRUE, NAME) == true_manifest()
    assert takes_or_refuses(database, TRUE)


@settings(max_examples=1500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(WAYS), st.sampled_from(ODD)), min_size=1, max_size=3))
def test_manifest_with_odd_values_is_taken_or_refused(
    database: Engine, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    document = DOCUMENT
    for way, odd in changes:
        try:
            document = changed(document, way, lambda holder, key, odd=odd: holder.__setitem__(key, odd))
        except (KeyError, IndexError, TypeError, AttributeError):
            continue
    takes_or_refuses(database, encoded(document))


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:30])
def test_every_field_takes_or_refuses_every_odd_value(database: Engine, odd: Any) -> None:
    for way in WAYS:
        takes_or_refuses(database, encoded(changed(DOCUMENT, way, lambda holder, key: holder.__setitem__(key, odd))))


def test_every_field_may_be_missing_or_twice(database: Engine) -> None:
    for way in WAYS:
        takes_or_refuses(database, encoded(changed(DOCUMENT, way, lambda holder, key: holder.__delitem__(key))))
        if isinstance(way[-1], int):
            takes_or_refuses(
                database, encoded(changed(DOCUMENT, way, lambda holder, key: holder.append(copy.deepcopy(holder[key]))))
            )


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(TRUE) - 1), st.integers(0, 255), st.integers(0, 40))
def test_manifest_with_other_bytes_is_taken_or_refused(database: Engine, at: int, byte: int, cut: int) -> None:
    takes_or_refuses(database, TRUE[:at] + bytes([byte]) + TRUE[at + cut :])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StoreCorrupt):
        decode_manifest(data)


DEEP = 5_000_000


@pytest.mark.parametrize(
    "data",
    [
        b"[" * DEEP,
        b'{"version": 1, "other": ' + b"[" * DEEP,
        b'{"version": 1, "other": ' + b'{"a":' * DEEP,
        b'{"version": ' + b"9" * 10_000 + b"}",
        b'{"version": 1e999}',
        TRUE.replace(b"1.5", b"1e999"),
        TRUE.replace(b"1.5", b"NaN"),
        TRUE.replace(b"prod", b"\\ud800"),
        TRUE.replace(b"prod", b"\xff\xfe"),
    ],
    ids=lambda data: repr(data[:30]),
)
def test_what_no_decoder_can_hold_is_refused(data: bytes) -> None:
    caught: list[BaseException] = []

    def decode() -> None:
        try:
            decode_manifest(data)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=decode)  # whose stack is smaller
    thread.start()
    thread.join()
    assert [type(error) for error in caught] == [StoreCorrupt]


def test_manifest_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(StoreCorrupt, match="has more than"):
        decode_manifest(bytes(LARGEST_MANIFEST + 1))


def set_to(value: Any) -> Callable[[Any, Any], None]:
    return lambda holder, key: holder.__setitem__(key, value)


SEGMENT = ("segments", 0)
OBJECT = DOCUMENT["segments"][0]["object"]
REFUSED: list[tuple[tuple[Any, ...], Any, str]] = [
    (("version",), 2, "format version 2"),
    (("job", "created_at"), 2**63, "cannot be read|job.created_at"),
    (("job", "created_at"), 253_402_300_800_000, "job.created_at"),
    (("job", "status"), "RUNNING", "job.status"),
    (("setting", "period"), "99:99 GMT+08:00", "setting: period"),
    (("setting", "period"), "00:00 GMT+99:00", "setting: period"),
    (("setting", "cluster_id"), "another", "setting.cluster_id"),
    (("cluster", "nodes", 0, "name"), "a/b", "cluster.nodes.name"),
    (("cluster", "nodes", 0, "name"), "a\0b", "cluster.nodes.name"),
    (("cluster", "nodes", 0, "source"), "file:///a\0b", "cluster.nodes.source"),
    (("cluster", "nodes", 0, "source"), "gopher://a/b", "cluster.nodes.source"),
    (("cluster_name",), "../etc", "cluster_name"),
    ((*SEGMENT, "start"), -1, "segments.start"),
    ((*SEGMENT, "end"), 1400, "segments."),
    ((*SEGMENT, "generation"), 0, "segments.generation"),
    ((*SEGMENT, "generation"), 2**31, "segments.generation"),
    ((*SEGMENT, "sha256"), "f" * 63, "segments.sha256"),
    ((*SEGMENT, "family"), "../../etc/passwd", "segments.family"),
    ((*SEGMENT, "object"), "../../etc/passwd", "segments.object"),
    ((*SEGMENT, "object"), f"/{OBJECT}", "segments.object"),
    ((*SEGMENT, "object"), f"../{OBJECT}", "segments.object"),
    ((*SEGMENT, "object"), OBJECT.replace("/prod/", "/other/"), "segments.object"),
    ((*SEGMENT, "object"), OBJECT.replace("/n1/", "/n2/"), "segments.object"),
    ((*SEGMENT, "bucket"), "../other", "segments.bucket"),
    ((*SEGMENT, "frames", 1, "offset"), 7, "segments.frames"),
    ((*SEGMENT, "frames", 1, "raw"), 0, "segments.frames"),
    ((*SEGMENT, "frames", 0, "first_time"), "2026-02-30T00:00:00,000", "segments.frames.first_time"),
    ((*SEGMENT, "stored"), 1, "segments.frames"),
    ((*SEGMENT, "frames"), [], "segments.frames"),
    (("segments", 1), DOCUMENT["segments"][0], "segments"),
    (("number",), -1, "number"),
    (("previous",), "abc", "previous"),
    (("key",), "abc", "key"),
    (("gaps", 0, "at_least"), -1, "gaps.at_least"),
    (("sightings", 0, "position"), None, "cannot be read"),
]


@pytest.mark.parametrize(("way", "value", "told"), REFUSED, ids=lambda value: repr(value)[:40])
def test_field_that_cannot_be_so_is_named(way: tuple[Any, ...], value: Any, told: str) -> None:
    with pytest.raises(StoreCorrupt, match=told):
        decode_manifest(encoded(changed(DOCUMENT, way, set_to(value))))


def test_manifest_under_the_name_of_another_cluster_or_job_is_refused() -> None:
    for name in (NAME.replace("/prod/", "/other/"), NAME.replace(".1.json", ".1.json.sig"), f"x/{NAME}"):
        with pytest.raises(StoreCorrupt, match="of another cluster or job than its name"):
            decode_manifest(TRUE, name)
    assert decode_manifest(TRUE, NAME.replace(".1.json", ".2.json"))  # of whichever attempt
    assert not math.isnan(true_manifest().segments[0].position)
