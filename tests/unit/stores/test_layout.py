"""Names of objects say what they are, and are read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.stores.layout import (
    ObjectKind,
    ObjectName,
    cluster_folder,
    manifest_object,
    parse_object,
    segment_object,
    signature_object,
)

JOB = "0123456789abcdef0123456789abcdef"
names = st.text(min_size=1, max_size=80).filter(lambda name: name.isprintable() and "/" not in name)


@given(names, names, names, st.integers(1, 2**31), st.integers(0, 2**62), st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_name_of_a_segment_is_read_back(cluster, node, family, generation, start, attempt, upload) -> None:  # type: ignore[no-untyped-def]
    folder = cluster_folder("css/log", cluster)
    name = segment_object(folder, node, family, generation, start, JOB, f"{attempt}-{upload}")
    assert parse_object(name) == ObjectName(ObjectKind.SEGMENT, JOB, attempt)


@given(st.integers(0, 4_000_000_000_000), st.integers(1, 10**6))
def test_the_names_of_a_manifest_and_its_signature_are_read_back(created_at: int, attempt: int) -> None:
    name = manifest_object("css/log/prod", created_at, JOB, attempt)
    assert parse_object(name) == ObjectName(ObjectKind.MANIFEST, JOB, attempt)
    assert parse_object(signature_object(name)) == ObjectName(ObjectKind.SIGNATURE, JOB, attempt)


@pytest.mark.parametrize(
    "name",
    [
        "css/log/prod/n1/gc.log/readme.txt",
        f"css/log/prod/n1/gc.log/00000001-000000000000000-{JOB}.1-1.zst.bak",
        f"css/log/prod/n1/gc.log/1-0-{JOB}.1-1.zst",
        f"css/log/prod/_manifests/20261124T000000000Z-{JOB}.1.json.old",
        f"css/log/prod/20261124T000000000Z-{JOB}.1.json",
        f"css/log/prod/n1/gc.log/00000001-000000000000000-{JOB.upper()}.1-1.zst",
    ],
)
def test_other_names_are_not_ours(name: str) -> None:
    assert parse_object(name) is None
