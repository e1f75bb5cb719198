"""The JSON of a manifest: structs whose fields have the names of docs/backup-format.md, in the order of their writing.

What they are encoded to is signed. A field that is new goes to the end and has a default, as early manifests lack it.
Records are copied to them and back by the names that both have: a domain field that is renamed, or takes None for '',
is copied by a function of its own here, and no byte in the bucket changes.
"""

from __future__ import annotations

import msgspec

from logkeep.domain import manifest as domain
from logkeep.domain.backup_job import JobStatus, JobType
from logkeep.domain.manifest import Fingerprint, Flaw, Frame


class _Form(msgspec.Struct, kw_only=True, gc=False):  # trees without circles, a hundred thousand at a time
    """Something that stands in the bucket."""


class Job(_Form):
    id: str
    job_id: str
    cluster_id: str
    type: JobType
    status: JobStatus
    bucket: str
    base_path: str
    created_at: int
    finished_at: int | None = None
    failed_msg: str | None = None


class Project(_Form):
    id: str
    name: str
    created_at: int
    region: str = ""


class Node(_Form):
    id: str
    name: str
    source: str
    role: str = "ess"
    ip: str = ""
    instance: str = ""
    gone_at: int | None = None


class Discovery(_Form):
    url: str
    source: str
    user: str = ""


class Cluster(_Form):
    id: str
    project_id: str
    name: str
    kind: str
    version: str
    endpoint: str
    created_at: int
    updated_at: int
    nodes: tuple[Node, ...] = ()
    discovery: Discovery | None = None


class Setting(_Form):
    id: str
    cluster_id: str
    enabled: bool
    agency: str
    bucket: str
    base_path: str
    period: str | None
    updated_at: int
    failures_cleared_at: int = 0
    adaptive: bool = False


class Segment(_Form):
    node: str
    family: str
    generation: int
    position: float
    name: str
    start: int
    end: int
    bucket: str
    object: str
    stored: int
    sha256: str
    head: Fingerprint
    tail: Fingerprint
    frames: tuple[Frame, ...] = ()
    lead: str = ""
    flaw: Flaw = Flaw.NONE


class Sighting(_Form):
    node: str
    family: str
    generation: int
    position: float
    name: str
    present: bool = True
    flaw: Flaw = Flaw.NONE


class Gap(_Form):
    node: str
    family: str
    after: str
    until: str
    at_least: int
    reason: str


class Warning(_Form):
    node: str
    family: str
    file: str
    code: str
    message: str


class Earlier(_Form):
    job: Job
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[Warning, ...] = ()


class Manifest(_Form):
    version: int
    cluster_id: str
    cluster_name: str
    object: str
    job: Job
    number: int
    previous: str
    key: str
    project: Project
    cluster: Cluster
    setting: Setting | None
    segments: tuple[Segment, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    warnings: tuple[Warning, ...] = ()
    unproven: str = ""
    removal: str = ""


def write_json(manifest: domain.Manifest) -> bytes:
    """Return the bytes that are signed."""
    written = msgspec.convert(manifest, Manifest, from_attributes=True)
    return msgspec.json.format(msgspec.json.encode(written), indent=1)


def read_json(data: bytes) -> domain.Manifest:
    """Return what a manifest says, unchecked. Raises `msgspec.MsgspecError`, `RecursionError` or `ValueError`."""
    return msgspec.convert(msgspec.json.decode(data, type=Manifest), domain.Manifest, from_attributes=True)
