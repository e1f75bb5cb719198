"""Whatever bytes lie under the name of a removal entry, they are decoded to an entry or refused by one error."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.domain.removal_entry import MOST_REMOVED, RemovalEntry, RemovedSegment
from logkeep.errors import StoreCorrupt
from logkeep.stores.layout import (
    LARGEST_ENTRY,
    RemovalEntryName,
    cluster_folder,
    decode_removal_entry,
    encode_removal_entry,
    parse_removal_entry,
    removal_entry_object,
    segment_object,
    signature_object,
)

CLUSTER = "5f0c3a52-0d1e-4a55-9d43-6a0e7b1f0c11"
JOB = "0123456789abcdef" * 2
REMOVED_AT = 1_790_000_000_123
FOLDER = cluster_folder("css/log", "prod 日")


def removed(start: int, end: int, generation: int = 3) -> RemovedSegment:
    name = segment_object(FOLDER, "n1", "es.log", generation, start, JOB, "1-7")
    return RemovedSegment("n1", "es.log", generation, start, end, "logs", name, 700, "b" * 64, "keep_days=90 of es.log")


def entry_of(*segments: RemovedSegment) -> RemovalEntry:
    name = removal_entry_object(FOLDER, REMOVED_AT, 2, CLUSTER)
    return RemovalEntry(1, CLUSTER, "prod 日", name, 2, "a" * 64, "d" * 64, REMOVED_AT, "e" * 64, segments)


ENTRY = entry_of(removed(1000, 2500), removed(2500, 2600), removed(0, 10, 4))
TRUE = encode_removal_entry(ENTRY)
DOCUMENT = json.loads(TRUE)
OBJECT = DOCUMENT["segments"][0]["object"]
ODD: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, 10**30, 1e308, "", "..", "/", "a/b", "a\0b", "x" * 70_000, "f" * 64, "g" * 64, [], {}, [[]], "\ud800", "é" * 200,
]  # fmt: skip


def refused(change: Any) -> bool:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    try:
        decode_removal_entry(json.dumps(document).encode())
    except StoreCorrupt as error:
        assert "\0" not in error.message
        assert len(error.message) < 1000
        return True
    return False


def test_entry_is_read_as_it_was_written() -> None:
    assert decode_removal_entry(TRUE) == ENTRY
    assert not refused(lambda document: document.update(of_a_later_version=1))


@given(st.text(min_size=1, max_size=120), st.integers(0, 250_000_000_000_000), st.integers(1, 2**31 - 1))
def test_entry_is_known_by_its_name(cluster: str, removed_at: int, number: int) -> None:
    name = removal_entry_object(cluster_folder("css/log", cluster), removed_at, number, CLUSTER)
    assert parse_removal_entry(name) == RemovalEntryName(number, CLUSTER)
    assert parse_removal_entry(signature_object(name)) is None
    assert parse_removal_entry(name.replace("_retention", "_removed")) is None


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:30])
def test_every_field_refuses_every_odd_value(odd: Any) -> None:
    for field in DOCUMENT:
        if DOCUMENT[field] != odd and not (field == "previous" and odd == "f" * 64):
            hashes = field in {"manifest", "key"} and odd == "f" * 64
            assert refused(lambda document, field=field: document.update({field: odd})) is not hashes, field
    for field in set(DOCUMENT["segments"][0]) - {"rule"}:
        hashes = (field == "sha256" and odd == "f" * 64) or (field == "bucket" and odd == "a")
        taken = not refused(lambda document, field=field: document["segments"][0].update({field: odd}))
        assert taken is hashes or field in {"stored", "bucket"}, field


def test_every_field_must_be_there() -> None:
    for field in DOCUMENT:
        assert refused(lambda document, field=field: document.pop(field)), field
    for field in DOCUMENT["segments"][0]:
        assert refused(lambda document, field=field: document["segments"][0].pop(field)), field


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("version", 2, "format version 2"),
        ("number", 1, "previous"),
        ("number", 3, "than its name"),
        ("cluster_id", "another", "than its name"),
        ("cluster_name", "other", "than its name"),
        ("object", ENTRY.object.replace("_retention/", "_retention/../"), "than its name"),
        ("object", f"../{ENTRY.object}", "than its name"),
        ("object", f"{ENTRY.object}.sig", "than its name"),
        ("removed_at", 2**53, "removed_at"),
        ("segments", [], "are 0"),
        ("segments", [DOCUMENT["segments"][0]] * (MOST_REMOVED + 1), "are 10001"),
        ("segments", [DOCUMENT["segments"][0]] * 2, "segments.start"),
    ],
)
def test_entry_that_cannot_be_so_is_refused_by_its_field(field: str, value: Any, told: str) -> None:
    with pytest.raises(StoreCorrupt, match=told):
        decode_removal_entry(json.dumps(DOCUMENT | {field: value}).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("object", f"/{OBJECT}"),
        ("object", f"../{OBJECT}"),
        ("object", "css/log/other/n1/es.log/" + OBJECT.rpartition("/")[2]),
        ("object", OBJECT.replace("/n1/", "/n2/")),
        ("object", ENTRY.object),
        ("end", 900),
        ("start", 900),
        ("family", "../../etc/passwd"),
        ("rule", "keep\n"),
    ],
)
def test_segment_that_is_none_of_the_cluster_is_refused(field: str, value: Any) -> None:
    with pytest.raises(StoreCorrupt, match="segments"):
        decode_removal_entry(json.dumps(DOCUMENT | {"segments": [DOCUMENT["segments"][0] | {field: value}]}).encode())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=300) | st.builds(lambda at, byte: TRUE[:at] + byte, st.integers(0, 900), st.binary()))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StoreCorrupt):
        decode_removal_entry(data)


def test_what_is_too_large_or_too_deep_is_refused() -> None:
    for data in (bytes(LARGEST_ENTRY + 1), b"[" * 5_000_000, b'{"version": 1, "other": ' + b'{"a":' * 5_000_000):
        with pytest.raises(StoreCorrupt):
            decode_removal_entry(data)
