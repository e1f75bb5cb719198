"""One record of a log with its fields, and the bytes of the log that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct


class RecordKind(StrEnum):
    """Kinds of records that nodes write."""

    INSTANCE = "instance"  # the server log
    DEPRECATION = "deprecation"
    SLOW = "slow"  # of searches and indexing, and of Logstash's plugins
    AUDIT = "audit"
    GC = "gc"  # unified logging of the JVM
    OTHER = "other"  # of no known form: the message is the whole text


class SlowLog(Struct, frozen=True, kw_only=True):
    """Fields of a slow log; texts as written, None where the form has no such field."""

    index: str | None = None
    index_uuid: str | None = None
    shard: int | None = None
    took: str | None = None  # with its unit: `80.5ms`
    took_millis: int | None = None
    total_hits: str | None = None  # `530 hits`, `1000+ hits`
    types: str | None = None
    stats: str | None = None
    search_type: str | None = None
    total_shards: int | None = None
    doc_type: str | None = None
    id: str | None = None  # of the document; of a search its X-Opaque-Id
    routing: str | None = None
    source: str | None = None  # may be cut: plain logs end a message after 10,000 characters


class Deprecation(Struct, frozen=True, kw_only=True):
    """Fields of a deprecation; None in the plain form, and where the server has no such field."""

    key: str | None = None
    category: str | None = None
    x_opaque_id: str | None = None


class LogRecord(Struct, frozen=True, kw_only=True):
    """One record of a log, with its continuation lines."""

    start: int  # offset in the log
    end: int
    kind: RecordKind
    time: str | None = None  # yyyy-MM-ddTHH:mm:ss,SSS and the zone as written, if any
    level: str | None = None  # in capitals
    component: str | None = None  # logger; of a gc log its tags
    node: str | None = None  # name
    message: str = ""  # empty where the form has none: an audit in JSON
    stack_trace: str | None = None
    slow_log: SlowLog | None = None
    deprecation: Deprecation | None = None
    fields: Mapping[str, object] = {}  # all others, by the name and with the value that the log has
