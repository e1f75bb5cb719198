"""Bodies of rows, as msgpack: structs whose fields have the names that are stored.

Records are copied to them and back by the names that both have, so a domain field that is renamed is named here, and
what lies in databases stays readable. A field that is new goes to the end and has a default, as early rows lack it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from logkeep.domain.forecast import Forecast
from logkeep.domain.manifest import (
    EMPTY,
    Fingerprint,
    Flaw,
    Frame,
    Gap,
    PendingFile,
    PendingKind,
    Segment,
    Sighting,
)

T = TypeVar("T")


class _Body(msgspec.Struct, kw_only=True, gc=False):  # trees without circles, a hundred thousand at a time
    """Something that is stored in a column of its own."""


class _Segment(_Body):
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


class _Sighting(_Body):
    node: str
    family: str
    generation: int
    position: float
    name: str
    present: bool = True
    flaw: Flaw = Flaw.NONE


class _Gap(_Body):
    node: str
    family: str
    after: str
    until: str
    at_least: int
    reason: str


class _Forecast(_Body):
    node: str
    family: str
    safe_until: int
    next_run: int | None = None


class _PendingFile(_Body):
    kind: PendingKind
    family: str
    position: float
    generation: int
    name: str
    inode: str
    size: int
    mtime_ns: int
    head: Fingerprint = EMPTY
    tail: Fingerprint = EMPTY
    since_ms: int = 0
    stored: int = 0
    first_time: str = ""


_BODIES: dict[type, type] = {
    Segment: _Segment,
    Sighting: _Sighting,
    Gap: _Gap,
    Forecast: _Forecast,
    PendingFile: _PendingFile,
    str: str,
}


def encode_body(record: object) -> bytes:
    return msgspec.msgpack.encode(msgspec.convert(record, _BODIES[type(record)], from_attributes=True))


def encode_bodies(records: Sequence[Any]) -> bytes:
    """Encode records of one type as one list."""
    return msgspec.msgpack.encode([msgspec.convert(one, _BODIES[type(one)], from_attributes=True) for one in records])


def decode_body(body: bytes, kind: type[T]) -> T:
    return msgspec.convert(msgspec.msgpack.decode(body, type=_BODIES[kind]), kind, from_attributes=True)


def decode_bodies(body: bytes, kind: type[T]) -> list[T]:
    """Decode a list of records of one type."""
    decoded = msgspec.msgpack.decode(body, type=list[_BODIES[kind]])
    return [msgspec.convert(one, kind, from_attributes=True) for one in decoded]
