"""JSON records: ESJsonLayout of Elasticsearch 7 and OpenSearch, ECS of Elasticsearch 8 and 9, and Logstash's."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec

from logkeep.domain.log_record import Deprecation, LogRecord, RecordKind
from logkeep.logformat.slow_log import take_slow_log
from logkeep.logformat.splitter import RawRecord
from logkeep.logformat.text_form import split_trace

_COMPONENT = ("component", "log.logger", "loggerName")
_NODE = ("node.name", "elasticsearch.node.name")
_TIME = ("timestamp", "@timestamp")
_MESSAGE = ("message",)
_LEVEL = ("level", "log.level")
_STACK_TRACE = ("stacktrace", "error.stack_trace", "backtrace")
_KEY = ("key", "event.code")
_CATEGORY = ("category", "elasticsearch.event.category")
_OPAQUE_ID = ("x-opaque-id", "elasticsearch.http.request.x_opaque_id")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MILLIS = 253_402_300_799_999  # of the year 9999

# What msgspec refuses is read so: NUL and other control characters, lone surrogates, something behind the object.
_LENIENT = json.JSONDecoder(strict=False)
# What an object that is cut or damaged has before that: a key and its text, which may be cut, or its word or number.
# Possessive, as it must not backtrack.
_PAIR = re.compile(r'[{,]\s*+"((?:[^"\\]|\\.)*+)"\s*+:\s*+(?:"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)|([\w.+-]++))', re.DOTALL)
_TRACE_BEGINS = re.compile(r',\s*+"stacktrace"\s*+:\s*+\[')
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*+)"?', re.DOTALL)

_Fields = dict[str, object]


def parse_json(raw: RawRecord) -> LogRecord | None:
    """Parse a record whose line begins with `{`; None if it is of no known form."""
    try:
        fields, rest = _decode(raw.text)
        return _build(raw, fields, rest) if fields else None
    except RecursionError:  # nested as deep as the interpreter can go
        return None


def _build(raw: RawRecord, fields: _Fields, rest: str) -> LogRecord | None:
    if raw.head:
        time = raw.head.time
        _take(fields, _TIME)
    else:
        time = _take_millis(fields)
    written, component = _take(fields, _LEVEL), _take(fields, _COMPONENT)
    level = (raw.head.level if raw.head else None) or (written and written.upper())
    event = fields.pop("logEvent", None)
    fields |= cast(_Fields, event) if isinstance(event, dict) else {}
    kind = _find_kind(fields, level, component)
    if time is None or kind is RecordKind.OTHER:
        return None
    slow_log = deprecation = None
    if kind is RecordKind.SLOW:
        slow_log = take_slow_log(fields)
    elif kind is RecordKind.DEPRECATION:
        deprecation = Deprecation(
            key=_take(fields, _KEY), category=_take(fields, _CATEGORY), x_opaque_id=_take(fields, _OPAQUE_ID)
        )
    message, stack_trace = _take(fields, _MESSAGE) or "", _take_trace(fields)
    if rest:
        message, below = split_trace(f"{message}\n{rest}" if message else rest)
        stack_trace = "\n".join(filter(None, (stack_trace, below))) or None
    return LogRecord(
        start=raw.start,
        end=raw.end,
        kind=kind,
        time=time,
        level=level,
        component=component,
        node=_take(fields, _NODE),
        message=message,
        stack_trace=stack_trace,
        slow_log=slow_log,
        deprecation=deprecation,
        fields=fields,
    )


def _find_kind(fields: _Fields, level: str | None, component: str | None) -> RecordKind:
    written = fields.get("type") or fields.get("event.dataset")
    name, logger = written if isinstance(written, str) else "", component or ""
    if "slowlog" in name or "querylog" in name or logger.startswith("slowlog."):
        return RecordKind.SLOW
    if "deprecation" in name or level == "DEPRECATION" or logger.startswith("deprecation."):
        return RecordKind.DEPRECATION
    if name == "audit" or (level is None and "event.action" in fields):
        return RecordKind.AUDIT
    return RecordKind.INSTANCE if level or component else RecordKind.OTHER


def _take(fields: _Fields, names: tuple[str, ...]) -> str | None:
    """Take out the first of these fields that is there; what is no text becomes its JSON."""
    for name in names:
        value = fields.pop(name, None)
        if value is not None:
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return None


def _take_trace(fields: _Fields) -> str | None:
    for name in _STACK_TRACE:
        lines = fields.get(name)
        if isinstance(lines, list):
            fields[name] = "\n".join(map(str, cast(list[object], lines)))
    return _take(fields, _STACK_TRACE)


def _take_millis(fields: _Fields) -> str | None:
    """Take out the time of Logstash: milliseconds since 1970, which become a time in UTC."""
    millis = fields.get("timeMillis")
    if not isinstance(millis, int) or not 0 <= millis <= _LAST_MILLIS:
        return None
    del fields["timeMillis"]
    time = _EPOCH + timedelta(milliseconds=millis)
    return f"{time:%Y-%m-%dT%H:%M:%S},{millis % 1000:03}Z"


def _decode(raw: bytes) -> tuple[_Fields, str]:
    """Return the fields of the object that `raw` begins with, as far as they can be read, and the text behind them."""
    try:
        return msgspec.json.decode(raw, type=_Fields), ""
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        text = raw.decode("utf-8", "replace")
    try:
        found, end = _LENIENT.raw_decode(text)
        fields = cast(_Fields, found)
    except (ValueError, RecursionError):
        fields, end = _read_pairs(text)
        if begins := _TRACE_BEGINS.match(text, end):
            fields["stacktrace"] = [_unquote(line) for line in _TEXT.findall(text, begins.end())]
            end = len(text)
    if "\\u" in text:
        fields = cast(_Fields, _replace_surrogates(fields))
    return fields, text[end:].strip()


def _read_pairs(text: str) -> tuple[_Fields, int]:
    fields: _Fields = {}
    at = 0
    while found := _PAIR.match(text, at):
        fields[_unquote(found[1])] = found[3] if found[2] is None else _unquote(found[2])
        at = found.end()
    return fields, at


def _unquote(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text


def _replace_surrogates(value: object) -> object:
    """Replace lone surrogates, which UTF-8 cannot encode."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_replace_surrogates(one) for one in cast(list[object], value)]
    if isinstance(value, dict):
        return {
            cast(str, _replace_surrogates(name)): _replace_surrogates(one)
            for name, one in cast(dict[str, object], value).items()
        }
    return value
