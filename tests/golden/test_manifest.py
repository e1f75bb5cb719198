"""The bytes of a manifest: they are signed, and read years later by another version and by other programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from enum import Enum
from typing import Any

import msgspec
import pytest

from logkeep.domain.backup_job import BackupJob, JobStatus, JobType
from logkeep.domain.cluster import Cluster, Discovery, Node, Project
from logkeep.domain.log_setting import LogSetting
from logkeep.domain.manifest import Fingerprint, Flaw, Frame, Gap, Manifest, Segment, Sighting, UnreportedJob
from logkeep.domain.removal_entry import RemovalEntry, RemovedSegment
from logkeep.domain.warning import JobWarning
from logkeep.stores.layout import (
    Pointer,
    Removal,
    decode_manifest,
    decode_pointer,
    decode_removal,
    decode_removal_entry,
    encode_manifest,
    encode_pointer,
    encode_removal,
    encode_removal_entry,
)
from tests.conftest import GOLDEN, Golden

CREATED = 1_790_000_000_123  # 2026-09-21T14:13:20.123Z
JOB, EARLIER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
CLUSTER = "5f0c3a52-0d1e-4a55-9d43-6a0e7b1f0c11"
FOLDER = "css/log/prod=20=E6=97=A5"
NAME = f"{FOLDER}/_manifests/20260921T141320123Z-{JOB}.2.json"

GAP = Gap(
    node="n1",
    family="sub/es%0A.log",
    after="2026-09-21T06:40:21,123",
    until="2026-09-21T06:40:22,123+08:00",
    at_least=17,
    reason="truncated",
)
WARNING = JobWarning(
    node="n1", family="es.log", file="es-2026-09-20-1.log.gz", code="LK-LOG-CUT", message="file 'é' ends early"
)
FRAMES = (
    Frame(
        offset=0,
        stored=400,
        start=1000,
        raw=4_194_304,
        first_time="2026-09-21T06:40:21,123",
        last_time="2026-09-21T06:40:21,999",
        levels=("ERROR", "INFO"),
        lines=10,
        check="0a1b2c3d",
    ),
    Frame(offset=400, stored=300, start=4_195_304, raw=500, first_time="", last_time="", levels=(), lines=0),
    Frame(offset=700, stored=20, start=4_195_804, raw=1, first_time="", last_time="", levels=None, lines=1),
)
NODE_OF_THE_CLUSTER = Node(
    id="00000000-0000-4000-8000-000000000001",
    name="n1",
    source="sftp://logs@node-1:2222/var/log/opensearch",
    role="ess-master",
    ip="10.0.0.1",
    instance="Zk3aP0fQTfG4kd9b9oWc2A",
    gone_at=CREATED - 5,
)
NODE_BY_HAND = Node(id="00000000-0000-4000-8000-000000000002", name="n2", source="file:///var/log/opensearch")

FULL = Manifest(
    version=1,
    cluster_id=CLUSTER,
    cluster_name="prod 日",
    object=NAME,
    job=BackupJob(
        id="00000000-0000-4000-8000-000000000003",
        job_id=JOB,
        cluster_id=CLUSTER,
        type=JobType.AUTO,
        status=JobStatus.FAIL,
        bucket="logs",
        base_path="css/log",
        created_at=CREATED,
        finished_at=CREATED + 9,
        failed_msg="LK-SOURCE-UNREADABLE: node n1",
    ),
    number=7,
    previous="d" * 64,
    key="e" * 64,
    project=Project(id="0" * 32, name="cn-north-4_team", created_at=CREATED - 1000, region="cn-north-4"),
    cluster=Cluster(
        id=CLUSTER,
        project_id="0" * 32,
        name="prod 日",
        kind="opensearch",
        version="2.19.6",
        endpoint="node-1:9200",
        created_at=CREATED - 900,
        updated_at=CREATED - 800,
        nodes=(NODE_OF_THE_CLUSTER, NODE_BY_HAND),
        discovery=Discovery(url="http://node-1:9200", source="file://{path.logs}", user="monitor"),
    ),
    setting=LogSetting(
        id="00000000-0000-4000-8000-000000000004",
        cluster_id=CLUSTER,
        enabled=True,
        agency="css_obs_agency",
        bucket="logs",
        base_path="css/log",
        period="00:30 GMT+08:00",
        updated_at=CREATED - 700,
        failures_cleared_at=CREATED - 600,
        adaptive=True,
    ),
    segments=(
        Segment(
            node="n1",
            family="es.log",
            generation=3,
            position=1.5,
            name="es-2026-09-20-1.log",
            start=1000,
            end=4_195_805,
            bucket="logs",
            object=f"{FOLDER}/n1/es.log/00000003-000000000001000-{EARLIER}.1-4.zst",
            stored=720,
            sha256="b" * 64,
            head=Fingerprint(length=4096, sha256="a" * 64),
            tail=Fingerprint(length=4096, sha256="c" * 64),
            frames=FRAMES,
            lead="9" * 64,
            flaw=Flaw.CUT,
        ),
        Segment(
            node="n2",
            family="sub/es%0A.log",
            generation=1,
            position=-2.0,
            name="sub/es%0A.log",
            start=0,
            end=7,
            bucket="archive-2",
            object=f"other/prod=20=E6=97=A5/n2/sub=2Fes=250A.log/00000001-000000000000000-{JOB}.2-1.zst",
            stored=20,
            sha256="8" * 64,
            head=Fingerprint(length=7, sha256="7" * 64),
            tail=Fingerprint(length=7, sha256="7" * 64),
            frames=(Frame(offset=0, stored=20, start=0, raw=7, first_time="", last_time="", levels=None, lines=1),),
        ),
    ),
    sightings=(
        Sighting(node="n1", family="es.log", generation=2, position=1.0, name="es-2026-09-19-1.log", present=False),
        Sighting(node="n1", family="es.log", generation=4, position=2.0, name="es.log", flaw=Flaw.GARBAGE),
    ),
    gaps=(GAP,),
    notes=("LK-SOURCE-UNREADABLE: node n1: file 'x' \x7f\"\\",),
    earlier=(
        UnreportedJob(
            job=BackupJob(
                id="00000000-0000-4000-8000-000000000005",
                job_id=EARLIER,
                cluster_id=CLUSTER,
                type=JobType.MANUAL,
                status=JobStatus.SUCCESS,
                bucket="archive-2",
                base_path="other",
                created_at=CREATED - 10,
                finished_at=CREATED - 9,
            ),
            gaps=(GAP,),
            notes=("a note",),
            warnings=(WARNING,),
        ),
    ),
    warnings=(WARNING,),
    unproven="f" * 64,
    removal="1" * 64,
)
"""Every field of every record with a value that is not its default, and every kind of entry."""

_LITTLE_JOB = BackupJob(
    id="00000000-0000-4000-8000-000000000003",
    job_id=JOB,
    cluster_id=CLUSTER,
    type=JobType.MANUAL,
    status=JobStatus.SUCCESS,
    bucket="logs",
    base_path="css/log",
    created_at=CREATED,
    finished_at=CREATED,
)
_LITTLE_PROJECT = Project(id="0" * 32, name="cn-north-4", created_at=0)
_LITTLE_NAME = f"css/log/prod/_manifests/20260921T141320123Z-{JOB}.1.json"

BARE = Manifest(
    version=1,
    cluster_id=CLUSTER,
    cluster_name="prod",
    object=_LITTLE_NAME,
    job=_LITTLE_JOB,
    number=1,
    previous="",
    key="",
    project=_LITTLE_PROJECT,
    cluster=Cluster(
        id=CLUSTER,
        project_id="0" * 32,
        name="prod",
        kind="elasticsearch",
        version="",
        endpoint="",
        created_at=0,
        updated_at=0,
    ),
    setting=None,
)
"""No entries, and null or '' wherever that may be."""

EARLY = Manifest(
    version=1,
    cluster_id=CLUSTER,
    cluster_name="prod",
    object=_LITTLE_NAME,
    job=_LITTLE_JOB,
    number=1,
    previous="",
    key="",
    project=_LITTLE_PROJECT,
    cluster=Cluster(
        id=CLUSTER,
        project_id="0" * 32,
        name="prod",
        kind="elasticsearch",
        version="",
        endpoint="",
        created_at=0,
        updated_at=0,
        nodes=(NODE_BY_HAND,),
    ),
    setting=LogSetting(
        id="00000000-0000-4000-8000-000000000004",
        cluster_id=CLUSTER,
        enabled=True,
        agency="css_obs_agency",
        bucket="logs",
        base_path="css/log",
        period=None,
        updated_at=0,
    ),
    segments=(
        Segment(
            node="n2",
            family="es.log",
            generation=1,
            position=0.0,
            name="es.log",
            start=0,
            end=7,
            bucket="logs",
            object=f"css/log/prod/n2/es.log/00000001-000000000000000-{JOB}.1-1.zst",
            stored=20,
            sha256="8" * 64,
            head=Fingerprint(length=7, sha256="7" * 64),
            tail=Fingerprint(length=7, sha256="7" * 64),
            frames=(Frame(offset=0, stored=20, start=0, raw=7, first_time="", last_time="", levels=None, lines=1),),
        ),
    ),
    sightings=(Sighting(node="n2", family="gc.log", generation=2, position=0.0, name="gc.log"),),
    earlier=(
        UnreportedJob(
            job=BackupJob(
                id="00000000-0000-4000-8000-000000000005",
                job_id=EARLIER,
                cluster_id=CLUSTER,
                type=JobType.MANUAL,
                status=JobStatus.SUCCESS,
                bucket="logs",
                base_path="css/log",
                created_at=CREATED - 10,
                finished_at=CREATED - 9,
            )
        ),
    ),
)
"""What manifest-early.json says, which leaves out all that came to the format later."""


@pytest.mark.parametrize(("name", "manifest"), [("manifest.json", FULL), ("manifest-bare.json", BARE)])
def test_manifest_is_encoded_to_these_bytes(golden: Golden, name: str, manifest: Manifest) -> None:
    golden(name, encode_manifest(manifest))


@pytest.mark.parametrize(
    ("name", "manifest"),
    [("manifest.json", FULL), ("manifest-bare.json", BARE), ("manifest-early.json", EARLY)],
)
def test_these_bytes_are_decoded_to_the_record(name: str, manifest: Manifest) -> None:
    assert decode_manifest((GOLDEN / name).read_bytes(), manifest.object) == manifest


def test_fields_of_a_later_version_are_passed_over() -> None:
    document: Any = msgspec.json.decode(encode_manifest(FULL))
    later = msgspec.json.encode(_with_one_more(document))
    assert decode_manifest(later, NAME) == FULL


def _with_one_more(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_one_more(inner) for name, inner in value.items()} | {"of_a_later_version": [1]}
    return [_with_one_more(inner) for inner in value] if isinstance(value, list) else value


def test_removal_and_pointer_are_these_bytes(golden: Golden) -> None:
    removal = Removal(
        version=1,
        cluster_id=CLUSTER,
        cluster_name="prod 日",
        object=f"{FOLDER}/_removed/20260921T141320123Z-{CLUSTER}.json",
        removed_at=CREATED,
        manifest="d" * 64,
        key="e" * 64,
    )
    golden("removal.json", encode_removal(removal))
    assert decode_removal((GOLDEN / "removal.json").read_bytes()) == removal
    golden("pointer.json", encode_pointer("archive-2", NAME))
    assert decode_pointer((GOLDEN / "pointer.json").read_bytes(), "prod 日") == Pointer("archive-2", NAME)


def test_removal_entry_is_these_bytes(golden: Golden) -> None:
    entry = RemovalEntry(
        version=1,
        cluster_id=CLUSTER,
        cluster_name="prod 日",
        object=f"{FOLDER}/_retention/20260921T141320123Z-00000002-{CLUSTER}.json",
        number=2,
        previous="a" * 64,
        manifest="d" * 64,
        removed_at=CREATED,
        key="e" * 64,
        segments=(
            RemovedSegment(
                node="n1",
                family="es.log",
                generation=3,
                start=1000,
                end=2500,
                bucket="archive-2",
                object=f"{FOLDER}/n1/es.log/00000003-000000000001000-{JOB}.1-7.zst",
                stored=700,
                sha256="b" * 64,
                rule="keep_days=90 of es.log",
            ),
        ),
    )
    golden("removal-entry.json", encode_removal_entry(entry))
    assert decode_removal_entry((GOLDEN / "removal-entry.json").read_bytes()) == entry


# The record has everything in it


def test_every_field_has_another_value_than_its_default() -> None:
    missing: dict[str, set[str]] = {}
    for record in _records(FULL):
        unset = {name for name, default in _defaults(type(record)) if getattr(record, name) == default}
        missing[type(record).__name__] = missing.get(type(record).__name__, unset) & unset
    assert {kind: names for kind, names in missing.items() if names} == {}


def test_every_flaw_status_and_type_of_job_is_known_by_its_word() -> None:
    words = {kind.__name__: [one.value for one in kind] for kind in (Flaw, JobStatus, JobType)}
    assert words == {
        "Flaw": ["", "cut", "garbage", "damaged", "refused", "foreign"],
        "JobStatus": ["RUNNING", "SUCCESS", "FAIL"],
        "JobType": ["Manual", "Auto"],
    }


def _records(value: Any) -> Iterator[Any]:
    """The record, and all in it."""
    if isinstance(value, tuple):
        for inner in value:
            yield from _records(inner)
    elif not isinstance(value, Enum) and (dataclasses.is_dataclass(value) or isinstance(value, msgspec.Struct)):
        yield value
        for name, _ in _defaults(type(value)):
            yield from _records(getattr(value, name))


def _defaults(kind: Any) -> Iterator[tuple[str, Any]]:
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else msgspec.structs.fields(kind)
    return ((field.name, field.default) for field in fields)
