"""Plain-text records: log4j2's patterns, audits of Elasticsearch 6, and unified logging of the JVM."""

from __future__ import annotations

import re

import msgspec

from logkeep.domain.log_record import Deprecation, LogRecord, RecordKind
from logkeep.logformat.slow_log import is_slow_logger, read_slow_log
from logkeep.logformat.splitter import RawRecord

_TIME = r"\[[^\[\]\n]{10,40}\]"
# A logger may have the name of a shard: `o.o.g.G.InternalReplicaShardAllocator_ShardId=[[logs][1]]`
_LOGGER = r"((?:[^\[\]\n]++|\[(?:[^\[\]\n]++|\[[^\[\]\n]*+\])*+\])*+)"
# `[time][INFO ][o.e.n.Node  ] [node] `; Logstash has no node, and after the logger `[pipeline][plugin]`
_LOG4J = re.compile(
    rf"{_TIME}\[ *([A-Z]+) *\]\[{_LOGGER}\]"
    r"((?:\[[^\[\]\n]{0,512}\]){0,2})(?: \[([^\[\]\n]{0,512})\])? ?"
)
_LEVEL_ONLY = re.compile(_TIME + r"\[ *[A-Z]+ *\] ?")
# `[time] [node] [rest] [authentication_failed]` and attributes, each `name=[value]`
_AUDIT = re.compile(_TIME + r"(?: \[([^\[\]\n]{0,512})\])? \[([a-z_]{1,64})\] \[([a-z_]{1,64})\](?=\s+\w+=\[)")
_ATTRIBUTE = re.compile(r"[,\s](\w{1,64})=\[")
# `[time or uptime][pid][level][tags] `, and with what else -Xlog was told to write
_UNIFIED = re.compile(r"(\[\d[^\[\]\n]{0,40}\])((?:\[[^\[\]\n]{0,64}\]){0,8})\[([a-z0-9]+(?:,[a-z0-9]+)*) *\] ?")
_UPTIME = re.compile(r"\[\d{1,12}(?:[.,]\d{3})?(?:s|ms|ns)\]")
_DECORATION = re.compile(r"\[([^\[\]]*)\]")
_JVM_LEVELS = {"error": "ERROR", "warning": "WARN", "info": "INFO", "debug": "DEBUG", "trace": "TRACE"}

_LOGSTASH = ("logstash.", "org.logstash.", "deprecation.logstash.", "slowlog.logstash.")
_DEPRECATED = ("o.e.d.", "o.o.d.", "org.elasticsearch.deprecation", "org.opensearch.deprecation", "deprecation.")
_AUDIT_LOGGERS = frozenset(("audit", "sgaudit", "auditlog"))  # to which OpenSearch's security plugin writes JSON
_NO_PRODUCT = "[] "  # product of origin, before the message of a deprecation

_FRAME = re.compile(r"\n[ \t]++at |\n[ \t]++\.\.\. \d+ (?:more|common frames)|\nCaused by: ")
_THROWN = re.compile(r"\n((?:[\w$]++\.)*+[\w$]++)(?:(\[)|:[ \n]|\r?(?:\n|\Z))")
_THROWABLES = ("Exception", "Error", "Throwable")  # or any qualified class above a frame


def parse_text(raw: RawRecord, text: str) -> LogRecord:
    """Parse a record whose line begins with `[`; `text` is its text."""
    time, level = (raw.head.time, raw.head.level) if raw.head else (None, None)
    if level and (found := _LOG4J.match(text)):
        return _parse_log4j(raw, text, found)
    if not level:
        parsed = _parse_audit(raw, text) or _parse_gc(raw, text)
        if parsed:
            return parsed
    found = _LEVEL_ONLY.match(text) if level else None
    message, stack_trace = split_trace(text[found.end() :] if found else text)
    kind = RecordKind.INSTANCE if found else RecordKind.OTHER
    return LogRecord(
        start=raw.start, end=raw.end, kind=kind, time=time, level=level, message=message, stack_trace=stack_trace
    )


def split_trace(text: str) -> tuple[str, str | None]:
    """Return the message and the stack trace below it, if there is one."""
    if "\n" not in text:
        return text, None
    frame = _FRAME.search(text)
    limit = frame.end() if frame else len(text)
    begun = frame.start() if frame else -1
    for found in _THROWN.finditer(text, 0, limit):
        if found[1].endswith(_THROWABLES) or (frame and "." in found[1] and not found[2]):
            begun = found.start()
            break
    return (text, None) if begun < 0 else (text[:begun].rstrip("\r"), text[begun + 1 :])


def _parse_log4j(raw: RawRecord, text: str, found: re.Match[str]) -> LogRecord:
    level, component, tail, node = found[1], found[2].strip(), found[3], found[4]
    fields: dict[str, object] = {}
    at = found.end()
    if tail or component.startswith(_LOGSTASH):
        at, node = (found.start(4) - 1 if node is not None else at), None
        fields |= zip(("pipeline.id", "plugin.id"), _DECORATION.findall(tail), strict=False)
    message, stack_trace = split_trace(text[at:])
    slow_log = deprecation = None
    kind = RecordKind.INSTANCE
    if is_slow_logger(component):
        kind = RecordKind.SLOW
        slow_log, others = read_slow_log(message)
        fields |= others
    elif _is_deprecation(level, component, message):
        kind, deprecation = RecordKind.DEPRECATION, Deprecation()
        message = message.removeprefix(_NO_PRODUCT)
    elif component in _AUDIT_LOGGERS and message.startswith("{"):
        kind = RecordKind.AUDIT
        fields |= _decode_object(message)
    return LogRecord(
        start=raw.start,
        end=raw.end,
        kind=kind,
        time=raw.head.time if raw.head else None,
        level=level,
        component=component or None,
        node=node or None,
        message=message,
        stack_trace=stack_trace,
        slow_log=slow_log,
        deprecation=deprecation,
        fields=fields,
    )


def _is_deprecation(level: str, component: str, message: str) -> bool:
    """Return whether a record is a deprecation: `o.e.d.` is also short for org.elasticsearch.discovery."""
    if level in {"DEPRECATION", "CRITICAL"}:
        return True
    return component.startswith(_DEPRECATED) and (message.startswith(_NO_PRODUCT) or "deprecat" in message)


def _parse_audit(raw: RawRecord, text: str) -> LogRecord | None:
    found = _AUDIT.match(text)
    if not found:
        return None
    fields: dict[str, object] = {"event.type": found[2], "event.action": found[3]}
    name, at = "", found.end()
    for attribute in _ATTRIBUTE.finditer(text, at):
        if name:
            fields[name] = text[at : attribute.start()].removesuffix(",").removesuffix("]")
        name, at = attribute[1], attribute.end()
    if name:
        fields[name] = text[at:].removesuffix("]")
    return LogRecord(
        start=raw.start,
        end=raw.end,
        kind=RecordKind.AUDIT,
        time=raw.head.time if raw.head else None,
        node=found[1] or None,
        message=text[found.start(2) - 1 :],
        fields=fields,
    )


def _parse_gc(raw: RawRecord, text: str) -> LogRecord | None:
    found = _UNIFIED.match(text)
    if not found or not (raw.head or _UPTIME.fullmatch(found[1])):
        return None
    level: str | None = None
    fields: dict[str, object] = {}
    for decoration in [found[1], *_DECORATION.findall(found[2])]:
        value = decoration.strip()
        if value in _JVM_LEVELS:
            level = _JVM_LEVELS[value]
        elif value.isdigit():
            fields["tid" if "pid" in fields else "pid"] = value
        elif _UPTIME.fullmatch(f"[{value}]") or _UPTIME.fullmatch(value):
            fields["uptime"] = value.strip("[]")
    if not (level or fields):
        return None
    return LogRecord(
        start=raw.start,
        end=raw.end,
        kind=RecordKind.GC,
        time=raw.head.time if raw.head else None,
        level=level,
        component=found[3],
        message=text[found.end() :],
        fields=fields,
    )


def _decode_object(message: str) -> dict[str, object]:
    try:
        return msgspec.json.decode(message, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}
