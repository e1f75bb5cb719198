"""Names of objects, and what they tell."""

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
    signed_manifest,
)

JOB = "0123456789abcdef" * 2
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120)
folders = st.builds(cluster_folder, st.sampled_from(["css/log", "日志/x", "a b"]), names)
numbers = st.integers(0, 10**12)
jobs = st.uuids().map(lambda one: one.hex)


@given(folders, names, names, numbers, numbers, jobs, st.integers(1, 99), st.integers(1, 99))
def test_a_segment_is_known_by_its_name(
    folder: str, node: str, family: str, generation: int, start: int, job: str, attempt: int, upload: int
) -> None:
    name = segment_object(folder, node, family, generation, start, job, f"{attempt}-{upload}")
    assert parse_object(name) == ObjectName(ObjectKind.SEGMENT, folder, job, attempt)


@given(folders, st.integers(0, 250_000_000_000_000), jobs, st.integers(1, 99))
def test_a_manifest_and_its_signature_are_known_by_their_names(
    folder: str, created: int, job: str, attempt: int
) -> None:
    name = manifest_object(folder, created, job, attempt)
    assert parse_object(name) == ObjectName(ObjectKind.MANIFEST, folder, job, attempt)
    assert parse_object(signature_object(name)) == ObjectName(ObjectKind.SIGNATURE, folder, job, attempt)
    assert signed_manifest(signature_object(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "css/log/prod/n1/es.log/notes.txt",
        f"css/log/prod/es.log/00000001-000000000000000-{JOB}.1-1.zst.bak",
        f"css/log/prod/n1/es.log/1-0-{JOB}.1-1.zst",
        f"css/log/prod/n1/es.log/00000001-000000000000000-{JOB.upper()}.1-1.zst",
        f"css/log/prod/n1/es.log/00000001-000000000000000-{JOB}.1.zst",
        f"css/log/prod/n1/_es.log/00000001-000000000000000-{JOB}.1-1.zst",
        f"css/log/prod/n1/e s.log/00000001-000000000000000-{JOB}.1-1.zst",
        f"n1/es.log/00000001-000000000000000-{JOB}.1-1.zst",
        f"css/log/prod/_manifests/20261124T000000000Z-{JOB}.1.json.sig.sig",
        f"css/log/prod/_manifests/20261124T000000000Z-{JOB}.1.json\n",
        f"css/log/prod/_manifests/sub/20261124T000000000Z-{JOB}.1.json",
        "",
    ],
)
def test_any_other_name_is_nobodys(name: str) -> None:
    assert parse_object(name) is None
