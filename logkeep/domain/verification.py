"""Verification of an archive: what it tells while it runs, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, and the bytes and lines of the log that it affects."""

    node: str  # '' if it is no part of a log
    family: str
    object: str
    problem: str  # missing, wrong size, damaged, foreign, …
    job_id: str  # job that stored it, '' if unknown
    generation: int | None = None  # number within the node
    start: int | None = None  # bytes [start, end) of the generation
    end: int | None = None
    lines: tuple[int, int] | None = None  # first and last line, counted within the generation from 1
    first_time: str = ""  # of those lines, as written in the log
    last_time: str = ""
    on_node: bool = False  # the node had the file at its last backup: `verify --repair` may keep it again


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a verification."""

    objects: int
    objects_total: int
    bytes: int  # stored bytes checked
    bytes_total: int
    objects_read: int = 0  # of `objects`: those that were read back


@dataclass(frozen=True, slots=True)
class Orphans:
    """Number and size of orphans; they are harmless."""

    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Unproven:
    """Manifests taken on trust, without a trusted signature; reported by every verification."""

    manifests: int  # in the catalogue
    head: str  # SHA-256 of the last one


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain of manifests that was looked at, for a note of what it was at that time."""

    manifests: int  # proven ones in the catalogue
    head: str  # SHA-256 of the last one, '' for none
    keys: tuple[str, ...]  # trusted public keys that signed them, in hex
    entries: int = 0  # removal entries in the catalogue
    last_entry: str = ""  # SHA-256 of the last one, '' for none


@dataclass(frozen=True, slots=True)
class Removed:
    """What rules of retention removed, and what of it lies in the bucket yet."""

    objects: int
    waiting: int  # of these
    waiting_bytes: int


VerificationEvent = Finding | Progress | Orphans | Unproven | Chain | Removed


@dataclass(frozen=True, slots=True)
class Verification:
    """The last verification of a cluster that was carried out, and when one was begun, in Unix ms."""

    started_at: int | None = None
    finished_at: int | None = None
    objects: int = 0
    bytes: int = 0
    objects_read: int = 0
    findings: int = 0
    problem: str = ""  # the first finding; '' for none
    failed_at: int | None = None  # since then, when another could not be carried out; None where none has failed
    failure: str = ""  # and why
