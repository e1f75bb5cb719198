"""Rules for the values of a manifest, or a removal entry: within the range of the database's columns, and consistent.

They are read by someone who did not write them, perhaps years later. docs/backup-format.md states the limits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NoReturn
from urllib.parse import urlsplit

from logkeep.domain.backup_job import BackupJob, JobStatus
from logkeep.domain.cluster import Cluster, Discovery, Node, Project
from logkeep.domain.log_setting import LogSetting, check_agency, check_base_path, parse_period
from logkeep.domain.manifest import (
    EMPTY,
    LARGEST_FRAME,
    LARGEST_STORED_FRAME,
    Fingerprint,
    Frame,
    Gap,
    Manifest,
    Segment,
    Sighting,
)
from logkeep.domain.removal_entry import MOST_REMOVED, RemovalEntry, RemovedSegment
from logkeep.domain.warning import JobWarning
from logkeep.errors import RequestError, StoreCorrupt

MOST_NODES = 10_000
LATEST = 253_370_764_800_000  # 9999-01-01 in Unix ms: a year is left for zones and the next daily moment
_INT32, _INT64 = 2**31 - 1, 2**63 - 1  # the largest numbers of the columns
_HEAD = 4096  # bytes that a fingerprint covers at most
_LONGEST_PATH = 8192  # characters: 9 parts of 255 bytes, each byte percent-encoded as three characters
_LONGEST_TEXT = 65_536  # characters of a message
_LONGEST_SOURCE = 8192
_LONGEST_RULE = _LONGEST_PATH + 128  # characters: limits, and the name of a log

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNKEEPABLE = re.compile(r"[\x00\ud800-\udfff]")  # characters that a database cannot store
_HEX = re.compile(r"[0-9a-f]*")
_ID = re.compile(r"[0-9A-Za-z-]{1,36}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2},[0-9]{3}(Z|[+-][0-9]{2}(:?[0-9]{2})?)?", re.ASCII
)
_LEVEL = re.compile(r"[A-Z]{1,256}")
_SOURCE = re.compile(r"file:(//(localhost)?)?/.*|sftp://[^/]+/.*|agent:.+", re.DOTALL)
_ENDED = (JobStatus.SUCCESS, JobStatus.FAIL)


def check_manifest(manifest: Manifest) -> None:
    """Raise `StoreCorrupt`, naming the field, for the first value that breaks a rule."""
    _check_id(manifest.cluster_id, "cluster_id")
    _check_name(manifest.cluster_name, "cluster_name")
    _check_hex(manifest.previous, "previous", 64, or_empty=True)
    _check_hex(manifest.key, "key", 64, or_empty=True)
    _check_hex(manifest.unproven, "unproven", 64, or_empty=True)
    _check_hex(manifest.removal, "removal", 64, or_empty=True)
    _check_number(manifest.number, "number", 1, _INT32)
    _check_jobs(manifest)
    _check_cluster_parts(manifest)
    _check_segments(manifest.segments)
    for sighting in manifest.sightings:
        _check_sighting(sighting)
    _check_unique("sightings", [(one.node, one.generation) for one in manifest.sightings])
    for told in (manifest, *manifest.earlier):
        for gap in told.gaps:
            _check_gap(gap)
        for note in told.notes:
            _check_text(note, "notes", _LONGEST_TEXT)
        for warning in told.warnings:
            _check_warning(warning)
        _check_unique("warnings", [warning.key for warning in told.warnings])


def check_removal_entry(entry: RemovalEntry) -> None:
    """Raise `StoreCorrupt`, naming the field, for the first value that breaks a rule."""
    _check_id(entry.cluster_id, "cluster_id")
    _check_name(entry.cluster_name, "cluster_name")
    _check_number(entry.number, "number", 1, _INT32)
    _check_hex(entry.previous, "previous", 0 if entry.number == 1 else 64)
    _check_hex(entry.manifest, "manifest", 64)
    _check_hex(entry.key, "key", 64)
    _check_time_ms(entry.removed_at, "removed_at")
    if not 1 <= len(entry.segments) <= MOST_REMOVED:
        _refuse("segments", f"are {len(entry.segments)}, not 1 to {MOST_REMOVED}")
    for segment in entry.segments:
        _check_range(segment)
        _check_plain(segment.rule, "segments.rule", _LONGEST_RULE)
    _check_order(entry.segments)


# Job, project and cluster -----------------------------------------------------------------------------------------


def _check_jobs(manifest: Manifest) -> None:
    told = [manifest.job, *(one.job for one in manifest.earlier)]
    for job in told:
        _check_job(job)
        if job.cluster_id != manifest.cluster_id:
            _refuse("job.cluster_id", "is another cluster's")
    _check_unique("job.id", [job.id for job in told])
    _check_unique("job.job_id", [job.job_id for job in told])


def _check_job(job: BackupJob) -> None:
    _check_id(job.id, "job.id")
    _check_hex(job.job_id, "job.job_id", 32)
    if job.status not in _ENDED:
        _refuse("job.status", "is of a job that has not ended")
    _check_bucket(job.bucket, "job.bucket")
    _check_path_in_bucket(job.base_path, "job.base_path")
    _check_time_ms(job.created_at, "job.created_at")
    if job.finished_at is None:
        _refuse("job.finished_at", "is missing")
    _check_number(job.finished_at, "job.finished_at", job.created_at, LATEST)
    if job.failed_msg is not None:
        _check_text(job.failed_msg, "job.failed_msg", _LONGEST_TEXT)


def _check_cluster_parts(manifest: Manifest) -> None:
    _check_project(manifest.project)
    _check_cluster(manifest.cluster)
    if (manifest.cluster.id, manifest.cluster.name) != (manifest.cluster_id, manifest.cluster_name):
        _refuse("cluster", "is another one than that of the manifest")
    if manifest.cluster.project_id != manifest.project.id:
        _refuse("cluster.project_id", "is another project's")
    if manifest.setting:
        _check_setting(manifest.setting)
        if manifest.setting.cluster_id != manifest.cluster_id:
            _refuse("setting.cluster_id", "is another cluster's")


def _check_project(project: Project) -> None:
    _check_hex(project.id, "project.id", 32)
    _check_name(project.name, "project.name", 64)
    if project.region:
        _check_name(project.region, "project.region", 64)
    _check_time_ms(project.created_at, "project.created_at")


def _check_cluster(cluster: Cluster) -> None:
    _check_id(cluster.id, "cluster.id")
    _check_name(cluster.name, "cluster.name")
    _check_plain(cluster.kind, "cluster.kind", 32)
    _check_plain(cluster.version, "cluster.version", 64)
    _check_plain(cluster.endpoint, "cluster.endpoint", 1024)
    _check_time_ms(cluster.created_at, "cluster.created_at")
    _check_time_ms(cluster.updated_at, "cluster.updated_at")
    if len(cluster.nodes) > MOST_NODES:
        _refuse("cluster.nodes", f"has more than {MOST_NODES}")
    for node in cluster.nodes:
        _check_node(node)
    if cluster.discovery:
        _check_discovery(cluster.discovery)
    _check_unique("cluster.nodes", [node.name for node in cluster.nodes])


def _check_node(node: Node) -> None:
    _check_id(node.id, "cluster.nodes.id")
    _check_name(node.name, "cluster.nodes.name")
    _check_plain(node.role, "cluster.nodes.role", 32)
    _check_plain(node.ip, "cluster.nodes.ip", 255)
    _check_plain(node.instance, "cluster.nodes.instance", 64)
    if node.gone_at is not None:
        _check_time_ms(node.gone_at, "cluster.nodes.gone_at")
    _check_source(node.source)


def _check_discovery(discovery: Discovery) -> None:
    """Check the form only: whether the URL may be used is checked before each request to it."""
    _check_plain(discovery.url, "cluster.discovery.url", 1024)
    _check_plain(discovery.user, "cluster.discovery.user", 255)
    _check_plain(discovery.source, "cluster.discovery.source", _LONGEST_SOURCE)
    try:
        parts = urlsplit(discovery.url)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.username is None and parts.port != 0
    except ValueError:
        known = False
    if not known:
        _refuse("cluster.discovery.url", "is no URL of a cluster")


def _check_source(url: str) -> None:
    """Check the form only: whether the source may be read is checked each time it is opened."""
    _check_plain(url, "cluster.nodes.source", _LONGEST_SOURCE)
    try:
        parts = urlsplit(url)
        known = _SOURCE.fullmatch(url) and (parts.port or 1) and parts.password is None
    except ValueError:
        known = False
    if not known:
        _refuse("cluster.nodes.source", "is no URL of a log directory")


def _check_setting(setting: LogSetting) -> None:
    _check_id(setting.id, "setting.id")
    _check_bucket(setting.bucket, "setting.bucket")
    _check_path_in_bucket(setting.base_path, "setting.base_path")
    _check_time_ms(setting.updated_at, "setting.updated_at")
    _check_time_ms(setting.failures_cleared_at, "setting.failures_cleared_at")
    try:
        if setting.agency:
            check_agency(setting.agency)
        if setting.period is not None:
            _check_plain(setting.period, "setting.period", 64)
            parse_period(setting.period)
    except RequestError as error:
        _refuse("setting", error.message)


# Segments and findings --------------------------------------------------------------------------------------------


def _check_segments(segments: Collection[Segment]) -> None:
    for segment in segments:
        _check_segment(segment)
    _check_order(segments)


def _check_order(segments: Collection[Segment | RemovedSegment]) -> None:
    """Check that the segments of a generation follow each other."""
    ends: dict[tuple[str, int], int] = {}
    for segment in sorted(segments, key=lambda one: (one.node, one.generation, one.start)):
        key = segment.node, segment.generation
        if ends.get(key, segment.start) != segment.start:
            _refuse_segment(segment, "start", f"is not where the one before it ends, at {ends[key]}")
        ends[key] = segment.end
    _check_unique("segments.object", [segment.object for segment in segments])


def _check_range(segment: Segment | RemovedSegment) -> None:
    _check_generation(segment, "segments")
    _check_bucket(segment.bucket, "segments.bucket")
    _check_number(segment.start, "segments.start", 0, _INT64)
    _check_number(segment.end, "segments.end", segment.start + 1, _INT64)
    _check_number(segment.stored, "segments.stored", 1, _INT64)
    _check_hex(segment.sha256, "segments.sha256", 64)


def _check_segment(segment: Segment) -> None:
    _check_place(segment, "segments")
    _check_range(segment)
    _check_fingerprint(segment.head, segment, "head")
    _check_fingerprint(segment.tail, segment, "tail")
    _check_hex(segment.lead, "segments.lead", 64, or_empty=True)
    offset, start = 0, segment.start
    for frame in segment.frames:
        if frame.offset != offset or frame.start != start:
            _refuse_segment(segment, "frames", f"do not follow each other at byte {start}")
        _check_frame(frame, segment)
        offset, start = offset + frame.stored, start + frame.raw
    if (offset, start) != (segment.stored, segment.end):
        _refuse_segment(segment, "frames", f"hold {offset} bytes up to {start}, not {segment.stored} up to the end")


def _check_frame(frame: Frame, segment: Segment) -> None:
    if not 1 <= frame.raw <= LARGEST_FRAME or not 1 <= frame.stored <= LARGEST_STORED_FRAME:
        _refuse_segment(segment, "frames", f"have one of {frame.stored} bytes that holds {frame.raw}")
    if not 0 <= frame.lines <= frame.raw:
        _refuse_segment(segment, "frames", f"have one of {frame.raw} bytes with {frame.lines} lines")
    _check_time(frame.first_time, "segments.frames.first_time")
    _check_time(frame.last_time, "segments.frames.last_time")
    _check_hex(frame.check, "segments.frames.check", 8, or_empty=True)
    for level in frame.levels or ():
        if not _LEVEL.fullmatch(level):
            _refuse_segment(segment, "frames", "have a level that is none")


def _check_fingerprint(found: Fingerprint, segment: Segment, what: str) -> None:
    if found == EMPTY:
        return
    if not 1 <= found.length <= min(_HEAD, segment.end):
        _refuse_segment(segment, what, f"is of {found.length} bytes")
    _check_hex(found.sha256, f"segments.{what}.sha256", 64)


def _check_sighting(sighting: Sighting) -> None:
    _check_place(sighting, "sightings")


def _check_place(one: Segment | Sighting, what: str) -> None:
    _check_generation(one, what)
    _check_path(one.name, f"{what}.name")
    if not math.isfinite(one.position):
        _refuse(f"{what}.position", "is no number")


def _check_generation(one: Segment | Sighting | RemovedSegment, what: str) -> None:
    _check_name(one.node, f"{what}.node")
    _check_path(one.family, f"{what}.family")
    _check_number(one.generation, f"{what}.generation", 1, _INT32)


def _check_gap(gap: Gap) -> None:
    _check_name(gap.node, "gaps.node")
    _check_path(gap.family, "gaps.family")
    _check_time(gap.after, "gaps.after")
    _check_time(gap.until, "gaps.until")
    _check_number(gap.at_least, "gaps.at_least", 0, _INT64)
    _check_text(gap.reason, "gaps.reason", _LONGEST_TEXT)


def _check_warning(warning: JobWarning) -> None:
    if warning.node:
        _check_name(warning.node, "warnings.node")
    for path in (warning.family, warning.file):
        if path:
            _check_path(path, "warnings")
    _check_plain(warning.code, "warnings.code", 64)
    _check_text(warning.message, "warnings.message", _LONGEST_TEXT)


# Values -----------------------------------------------------------------------------------------------------------


def _refuse(what: str, why: str) -> NoReturn:
    raise StoreCorrupt(f"{what}: {why}")


def _refuse_segment(segment: Segment | RemovedSegment, what: str, why: str) -> NoReturn:
    _refuse(f"segments.{what}", f"of {segment.object[:200]!r}: {why}")


def _check_number(value: int, what: str, least: int, most: int) -> None:
    if not least <= value <= most:
        _refuse(what, f"is not from {least} to {most}")


def _check_time_ms(value: int, what: str) -> None:
    _check_number(value, what, 0, LATEST)


def _check_hex(value: str, what: str, digits: int, *, or_empty: bool = False) -> None:
    if not (or_empty and not value) and (len(value) != digits or not _HEX.fullmatch(value)):
        _refuse(what, f"is not written with {digits} hex digits")


def _check_id(value: str, what: str) -> None:
    if not _ID.fullmatch(value):
        _refuse(what, "is no id")


def _check_bucket(value: str, what: str) -> None:
    if not _BUCKET.fullmatch(value):
        _refuse(what, "is no name of a bucket")


def _check_path_in_bucket(value: str, what: str) -> None:
    try:
        check_base_path(value)
    except RequestError as error:
        _refuse(what, error.message)


def _check_text(value: str, what: str, most: int) -> None:
    if len(value) > most or _UNKEEPABLE.search(value):
        _refuse(what, f"has more than {most} characters, or one that no text has")


def _check_plain(value: str, what: str, most: int) -> None:
    if len(value) > most or _CONTROL.search(value):
        _refuse(what, f"has more than {most} characters, or one that controls")


def _check_name(value: str, what: str, most: int = 255) -> None:
    """Check the name of a node, a cluster or a project: one part of a path."""
    _check_plain(value, what, most)
    if not value or value in {".", ".."} or "/" in value:
        _refuse(what, "is no name")


def _check_path(value: str, what: str) -> None:
    """Check the path of a log relative to its directory."""
    _check_plain(value, what, _LONGEST_PATH)
    if not {"", ".", ".."}.isdisjoint(value.split("/")):
        _refuse(what, "is no name of a log")


def _check_time(value: str, what: str) -> None:
    """Check a time as a log writes it; '' means unknown."""
    if not value:
        return
    try:
        if not _TIME.fullmatch(value):
            raise ValueError
        datetime.fromisoformat(value)
    except ValueError:
        _refuse(what, "is no time of a log")


def _check_unique(what: str, values: Iterable[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            _refuse(what, f"{str(value)[:200]!r} is there twice")
        seen.add(value)
