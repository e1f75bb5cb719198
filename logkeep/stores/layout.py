"""What lies in a bucket: object names, and the bytes of a manifest. See docs/backup-format.md.

<base path>/<cluster>/<node>/<family>/<generation>-<start>-<job>.<upload>.zst      one segment
<base path>/<cluster>/_manifests/<created>-<job>.<attempt>.json                     what one job stored
<base path>/<cluster>/_manifests/<created>-<job>.<attempt>.json.sig                 its signature, Ed25519
<base path>/<cluster>/_manifests/<created>-<job>.<attempt>.json.next                where the next one lies, elsewhere
<base path>/<cluster>/_index/<node>/<made>-<id>.idx                                 what search skips of some segments
<base path>/<cluster>/_index/<node>/<made>-<id>.idx.sig                             its signature, Ed25519
<base path>/<cluster>/_retention/<removed>-<number>-<cluster id>.json               what rules of retention removed
<base path>/<cluster>/_retention/<removed>-<number>-<cluster id>.json.sig           its signature, Ed25519
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from logkeep.domain.manifest import Manifest, Segment
from logkeep.domain.manifest_rules import check_manifest, check_removal_entry
from logkeep.domain.removal_entry import RemovalEntry, RemovedSegment
from logkeep.errors import StoreCorrupt
from logkeep.stores.base import LARGEST_MANIFEST
from logkeep.stores.manifest_format import read_json, write_json
from logkeep.stores.names import is_listed

VERSION = 1
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ODD = re.compile(rb"[^A-Za-z0-9._-]")
_QUOTED = "[A-Za-z0-9=][A-Za-z0-9._=~-]*"
_SEGMENT = re.compile(rf"(.+)/{_QUOTED}/{_QUOTED}/\d{{8,}}-\d{{15,}}-([0-9a-f]{{32}})\.(\d{{1,9}})-\d+\.zst", re.ASCII)
_MANIFEST = re.compile(r"(.+)/_manifests/\d{8}T\d{9}Z-([0-9a-f]{32})\.(\d{1,9})\.json(\.sig|\.next)?", re.ASCII)
_INDEX = re.compile(rf"(.+)/_index/{_QUOTED}/\d{{8}}T\d{{9}}Z-([0-9a-f]{{32}})\.idx(\.sig)?", re.ASCII)
_LONGEST = 100  # with a base path of 512 bytes, an object name stays below the 1024 that S3 allows


def quote_part(name: str) -> str:
    """Quote a name as one part of an object name: bytes other than `A-Za-z0-9._-` become `=XX`."""
    if _PLAIN.fullmatch(name) and len(name) <= _LONGEST:
        return name
    quoted = _ODD.sub(lambda odd: b"=%02X" % odd[0][0], name.encode()).decode()
    if quoted[0] in "._-":
        quoted = f"={ord(quoted[0]):02X}{quoted[1:]}"
    if len(quoted) > _LONGEST:
        quoted = f"{quoted[: _LONGEST - 17]}=~{hashlib.sha256(name.encode()).hexdigest()[:15]}"
    return quoted


def cluster_folder(base_path: str, cluster_name: str) -> str:
    """Return the folder that holds everything of one cluster."""
    parts = [part for part in base_path.split("/") if part]
    return "/".join([*parts, quote_part(cluster_name)])


def segment_object(folder: str, node: str, family: str, generation: int, start: int, job_id: str, upload: str) -> str:
    """Name a segment. Sorted by name, a family's objects are in the order of writing; no two uploads share a name."""
    where = "/".join([folder, quote_part(node), quote_part(family)])
    return f"{where}/{generation:08d}-{start:015d}-{job_id}.{upload}.zst"


def manifest_object(folder: str, created_at: int, job_id: str, attempt: int) -> str:
    return f"{folder}/_manifests/{_moment(created_at)}-{job_id}.{attempt}.json"


def _moment(at: int) -> str:
    """Write a time in Unix ms as yyyymmddThhmmssmmmZ."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y%m%dT%H%M%S}{at % 1000:03d}Z"


def index_folder(folder: str, node: str) -> str:
    """Return what the names of a node's index objects begin with."""
    return f"{folder}/_index/{quote_part(node)}/"


def index_object(folder: str, node: str, made_at: int, index_id: str) -> str:
    return f"{index_folder(folder, node)}{_moment(made_at)}-{index_id}.idx"


def is_index(name: str) -> bool:
    """Return whether a name is that of an index object, not of its signature."""
    found = _INDEX.fullmatch(name)
    return found is not None and not found[3]


def signature_object(name: str) -> str:
    """Name the signature of a manifest or an index object."""
    return f"{name}.sig"


def pointer_object(manifest_name: str) -> str:
    """Name the object that tells where the next manifest lies, if that is in another folder or bucket."""
    return f"{manifest_name}.next"


def manifests_from(folder: str, created_at: int) -> str:
    """Return a text that sorts before the manifests of all jobs created at this time or later."""
    return f"{folder}/_manifests/{datetime.fromtimestamp(max(0, created_at) / 1000, UTC):%Y%m%dT%H%M%S}"


class ObjectKind(StrEnum):
    SEGMENT = "segment"
    MANIFEST = "manifest"
    SIGNATURE = "signature"
    POINTER = "pointer"


_BESIDE = {None: ObjectKind.MANIFEST, ".sig": ObjectKind.SIGNATURE, ".next": ObjectKind.POINTER}


@dataclass(frozen=True, slots=True)
class ObjectName:
    """What the name of an object says of itself."""

    kind: ObjectKind
    folder: str  # of its cluster
    job_id: str
    attempt: int


def parse_object(name: str) -> ObjectName | None:
    """Parse the name of a segment, manifest, signature or pointer; return None for any other."""
    if found := _SEGMENT.fullmatch(name):
        return ObjectName(ObjectKind.SEGMENT, found[1], found[2], int(found[3]))
    if found := _MANIFEST.fullmatch(name):
        return ObjectName(_BESIDE[found[4]], found[1], found[2], int(found[3]))
    return None


def is_segment(name: str) -> bool:
    """Return whether a name is that of a segment."""
    return _SEGMENT.fullmatch(name) is not None


def signed_object(name: str) -> str:
    """Return the name of what a signature belongs to; any other name as it is."""
    return name.removesuffix(".sig")


def signed_manifest(name: str) -> str:
    """Return the name of the manifest or removal entry that a signature or a pointer belongs to."""
    return signed_object(name).removesuffix(".next")


class Removal(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """That a cluster was removed on purpose, after a manifest that nothing followed then."""

    version: int
    cluster_id: str
    cluster_name: str
    object: str  # the name of this entry
    removed_at: int  # Unix ms
    manifest: str  # SHA-256 of its last manifest, in hex
    key: str  # public key of what the entry is signed with, in hex


LONGEST_REMOVAL = 4096  # bytes
_REMOVAL = re.compile(
    r"(.+)/_removed/\d{8}T\d{9}Z-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.json(\.sig)?", re.ASCII
)


def removal_object(folder: str, removed_at: int, cluster_id: str) -> str:
    return f"{folder}/_removed/{_moment(removed_at)}-{cluster_id}.json"


def is_removal(name: str) -> bool:
    """Return whether an object is the entry of a removal, not its signature."""
    found = _REMOVAL.fullmatch(name)
    return found is not None and not found[3]


def encode_removal(removal: Removal) -> bytes:
    return msgspec.json.format(msgspec.json.encode(removal), indent=1)


def decode_removal(data: bytes) -> Removal:
    """Decode an entry of a removal. Raises `StoreCorrupt`."""
    try:
        removal = msgspec.json.decode(data, type=Removal)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise StoreCorrupt(f"it is no entry of a removal: {error}") from error
    if removal.version != VERSION:
        raise StoreCorrupt(f"it has format version {removal.version}; this Logkeep reads version {VERSION}")
    return removal


LARGEST_ENTRY = 64 * 1024 * 1024  # bytes of a removal entry
_ENTRY = re.compile(r"(.+)/_retention/\d{8}T\d{9}Z-(\d{8,10})-([0-9A-Za-z-]{1,36})\.json(\.sig)?", re.ASCII)


def removal_entry_folder(folder: str) -> str:
    """Return what the names of a cluster's removal entries begin with."""
    return f"{folder}/_retention/"


def removal_entry_object(folder: str, removed_at: int, number: int, cluster_id: str) -> str:
    return f"{removal_entry_folder(folder)}{_moment(removed_at)}-{number:08d}-{cluster_id}.json"


def removal_entries_from(folder: str, removed_at: int) -> str:
    """Return a text that sorts before the entries of what was removed at this time or later."""
    return f"{removal_entry_folder(folder)}{datetime.fromtimestamp(max(0, removed_at) / 1000, UTC):%Y%m%dT%H%M%S}"


@dataclass(frozen=True, slots=True)
class RemovalEntryName:
    """What the name of a removal entry says of it."""

    number: int
    cluster_id: str


def parse_removal_entry(name: str) -> RemovalEntryName | None:
    """Parse the name of a removal entry; return None for any other, as that of a signature."""
    found = _ENTRY.fullmatch(name)
    return RemovalEntryName(int(found[2]), found[3]) if found and not found[4] else None


def encode_removal_entry(entry: RemovalEntry) -> bytes:
    return msgspec.json.format(msgspec.json.encode(entry), indent=1)


def decode_removal_entry(data: bytes) -> RemovalEntry:
    """Decode and check a removal entry. Raises `StoreCorrupt`, and nothing else, for anything wrong."""
    if len(data) > LARGEST_ENTRY:
        raise StoreCorrupt(f"the removal entry has more than {LARGEST_ENTRY} bytes")
    try:
        entry = msgspec.json.decode(data, type=RemovalEntry)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        _check_version(_version_of(data))
        raise StoreCorrupt(f"the removal entry cannot be read: {str(error)[:200]}") from error
    _check_version(entry.version)
    check_removal_entry(entry)
    _check_entry_name(entry)
    for segment in entry.segments:
        _check_segment_name(entry, segment)
    return entry


def _check_entry_name(entry: RemovalEntry) -> None:
    found = _ENTRY.fullmatch(entry.object)
    folder = found[1] if found else ""
    if (
        folder.rpartition("/")[2] != quote_part(entry.cluster_name)
        or entry.object != removal_entry_object(folder, entry.removed_at, entry.number, entry.cluster_id)
        or not is_listed(entry.object)
    ):
        raise StoreCorrupt("the removal entry is of another cluster, number or time than its name")


def encode_manifest(manifest: Manifest) -> bytes:
    return write_json(manifest)


def decode_manifest(data: bytes, name: str = "") -> Manifest:
    """Decode and check a manifest; `name` is its object's, where that is known.

    Raises `StoreCorrupt`, and nothing else, for anything wrong: an unknown version, a value that the database cannot
    hold, the name of an object in another folder. docs/backup-format.md lists the limits.
    """
    manifest = _decode(data)
    check_manifest(manifest)
    _check_manifest_name(manifest, manifest.object)
    if name:
        _check_manifest_name(manifest, name)
    for segment in manifest.segments:
        _check_segment_name(manifest, segment)
    return manifest


class ClaimedJob(msgspec.Struct, frozen=True):
    """A job as an unproven manifest names it."""

    job_id: str
    bucket: str
    created_at: int


class Claim(msgspec.Struct, frozen=True):
    """What an unproven manifest says of its place in a chain."""

    version: int
    cluster_id: str
    cluster_name: str
    object: str
    job: ClaimedJob
    number: int
    previous: str
    key: str
    unproven: str = ""


def decode_claim(data: bytes) -> Claim:
    """Read what is needed to report an unproven manifest; skip members that a stranger may have made large.

    The values may be anything of their type. Raises `StoreCorrupt`.
    """
    try:
        claim = msgspec.json.decode(data, type=Claim)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise StoreCorrupt(f"the manifest cannot be read: {str(error)[:200]}") from error
    _check_version(claim.version)
    return claim


def _decode(data: bytes) -> Manifest:
    if len(data) > LARGEST_MANIFEST:
        raise StoreCorrupt(f"the manifest has more than {LARGEST_MANIFEST} bytes")
    try:
        manifest = read_json(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        _check_version(_version_of(data))
        raise StoreCorrupt(f"the manifest cannot be read: {str(error)[:200]}") from error
    _check_version(manifest.version)
    return manifest


def _check_version(version: int) -> None:
    if version != VERSION:
        raise StoreCorrupt(f"it has format version {version}; this Logkeep reads version {VERSION}")


def _version_of(data: bytes) -> int:
    """Return the version of a manifest that cannot be decoded; `VERSION` where it tells none."""
    try:
        return msgspec.json.decode(data, type=_Version).version
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return VERSION


class _Version(msgspec.Struct):
    version: int


def _check_manifest_name(manifest: Manifest, name: str) -> None:
    found, job = parse_object(name), manifest.job
    folder = cluster_folder(job.base_path, manifest.cluster_name)
    if found is None or name != manifest_object(folder, job.created_at, job.job_id, found.attempt):
        raise StoreCorrupt("the manifest is of another cluster or job than its name")


def _check_segment_name(manifest: Manifest | RemovalEntry, segment: Segment | RemovedSegment) -> None:
    """Raise `StoreCorrupt` unless the object is this segment's.

    Its base path may be any: the setting may have changed meanwhile.
    """
    found = parse_object(segment.object)
    if found is None or found.kind is not ObjectKind.SEGMENT or not is_listed(segment.object):
        raise StoreCorrupt(f"segments.object: {segment.object[:200]!r} is no name of a segment")
    folder, part = found.folder, quote_part(manifest.cluster_name)
    begin = segment_object(folder, segment.node, segment.family, segment.generation, segment.start, found.job_id, "")
    if folder.rpartition("/")[2] != part or not segment.object.startswith(begin.removesuffix(".zst")):
        raise StoreCorrupt(f"segments.object: {segment.object[:200]!r} is the name of something else")


class Pointer(msgspec.Struct, frozen=True):
    """Where a manifest lies. It proves nothing: only where to look."""

    bucket: str
    object: str


def encode_pointer(bucket: str, name: str) -> bytes:
    return msgspec.json.encode(Pointer(bucket, name))


def decode_pointer(data: bytes, cluster_name: str) -> Pointer | None:
    """Decode a pointer; return None for one that leads to no manifest of this cluster."""
    try:
        pointer = msgspec.json.decode(data, type=Pointer)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    found = parse_object(pointer.object)
    if found is None or found.kind is not ObjectKind.MANIFEST or not is_listed(pointer.object):
        return None
    return pointer if found.folder.rpartition("/")[2] == quote_part(cluster_name) else None


def manifest_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def folder_of(name: str) -> str:
    """Return the folder of the cluster whose object this is; of another name, as that of a folder, all but its end."""
    for part in ("/_manifests/", "/_index/", "/_removed/"):
        folder, found, _ = name.partition(part)
        if found:
            return folder
    return name.rsplit("/", 3)[0] if name.endswith(".zst") else name.rpartition("/")[0]
