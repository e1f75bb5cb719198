"""Fields of slow logs, in a message and in the keys of a JSON record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from logkeep.domain.log_record import SlowLog

_PREFIXES = ("elasticsearch.slowlog.", "elasticsearch.querylog.")  # of keys in ECS
_NUMBERS = frozenset(("took_millis", "total_shards"))
_DIGITS = 18  # which 64 bits can hold
_NAMES = (
    *("took", "took_millis", "total_hits", "types", "stats", "search_type", "total_shards"),
    *("doc_type", "id", "routing", "source"),
)
# By prefix: keys, and the fields that they become; took_in_millis is Logstash's.
_KEYS = {
    prefix: (*((prefix + name, name) for name in _NAMES), (prefix + "took_in_millis", "took_millis"))
    for prefix in ("", *_PREFIXES)
}

# Markers of a shard and of an index: `[logs-1][0]`, `[logs-1/oTq75cSSTPCY00AouVbSTQ]`
_PLACE = re.compile(r"\[([^\[\]/\n]{1,255})(?:/([\w-]{1,64}))?\](?:\[(\d{1,9})\])?(?= |\Z)")
_SOURCE = "], source["  # may hold anything
_ID_BEHIND = "], id["  # follows the source of a search
_MOST_PAIRS = 32  # before the source
# ` elasticsearch.slowlog.took="80.5ms"` in plain logs of Elasticsearch 8; a value may hold quotes.
_QUOTED = re.compile(r'(?:\A| )elasticsearch\.slowlog\.([\w.]{1,64})="')
_TOOK_IN_MILLIS = re.compile(r"took_in_millis\"?=>(\d{1,18})")  # of a plugin of Logstash


def is_slow_logger(component: str) -> bool:
    """Return whether a logger is that of a slow log; log4j2 shortens `index.search.slowlog.query` to `i.s.s.query`."""
    return component.startswith(("i.s.s.", "i.i.s.")) or "slowlog" in component.split(".")


def read_slow_log(message: str) -> tuple[SlowLog, dict[str, object]]:
    """Read the fields of a plain slow log, and those that `SlowLog` has not."""
    if message.startswith("elasticsearch.slowlog."):
        fields: dict[str, object] = dict(_read_quoted(message))
        return take_slow_log(fields), fields
    place = _PLACE.match(message)
    fields = _read_pairs(message[place.end() + 1 :] if place else message)
    if "took" in fields and "type" in fields:  # of a document, up to Elasticsearch 7
        fields["doc_type"] = fields.pop("type")
    if not fields and (found := _TOOK_IN_MILLIS.search(message)):
        fields["took_in_millis"] = found[1]
    return _take(fields, "", place), fields


def take_slow_log(fields: dict[str, object]) -> SlowLog:
    """Take the fields of a slow log out of those of a record in JSON."""
    prefix = next((name for name in _PREFIXES if f"{name}took" in fields or f"{name}message" in fields), "")
    if prefix and (marker := fields.pop(f"{prefix}message", None)) is not None:
        fields.setdefault("message", marker)
    source = fields.get(f"{prefix}source")
    if prefix and isinstance(source, str) and source.startswith('{\\"'):
        fields[f"{prefix}source"] = _unescape(source)
    marker = fields.get("message")
    return _take(fields, prefix, _PLACE.match(marker) if isinstance(marker, str) else None)


def _take(fields: dict[str, object], prefix: str, place: re.Match[str] | None) -> SlowLog:
    """Take out what is of the type that it must be; leave the rest."""
    taken: dict[str, Any] = {}
    for key, name in _KEYS[prefix]:
        if key not in fields:
            continue
        value = fields[key]
        if name in _NUMBERS and value is not None:
            value = _read_number(value)
            if value is None:
                continue
        elif not isinstance(value, str | None):
            continue
        taken[name] = value
        del fields[key]
    if place:
        taken |= {"index": place[1], "index_uuid": place[2], "shard": _read_number(place[3])}
    return SlowLog(**taken)


def _read_number(value: object) -> int | None:
    """Return a number that is written as one, or as its digits."""
    if isinstance(value, str) and len(value) <= _DIGITS and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) else None


def _read_pairs(text: str) -> dict[str, object]:
    """Read `took[80.5ms], took_millis[80], source[{}], id[], `."""
    head, _, behind = text.partition(_SOURCE)
    found: dict[str, str] = {}
    last = ""
    for part in (head if behind else _strip_end(head)).split("], ", _MOST_PAIRS):
        name, bracket, value = part.partition("[")
        if bracket and name.isidentifier():
            found[last := name] = value
        elif bracket and last:  # the value holds `], `
            found[last] += f"], {part}"
    if behind:
        source, follows, opaque_id = ("", "", "") if "id" in found else behind.rpartition(_ID_BEHIND)
        found["source"] = source if follows else _strip_end(behind)
        if follows:
            found["id"] = _strip_end(opaque_id)
    return dict(found)


def _strip_end(text: str) -> str:
    return text.rstrip(" ").removesuffix(",").removesuffix("]")


def _read_quoted(text: str) -> Iterator[tuple[str, str]]:
    name, at = "", 0
    for found in _QUOTED.finditer(text):
        if name:
            yield "elasticsearch.slowlog." + name, text[at : found.start()].removesuffix('"')
        name, at = found[1], found.end()
    if name:
        yield "elasticsearch.slowlog." + name, text[at:].removesuffix('"')


def _unescape(source: str) -> str:
    """Undo the escaping of Elasticsearch 8, which escapes a source and then the field that holds it."""
    try:
        return msgspec.json.decode(f'"{source}"', type=str)
    except (msgspec.MsgspecError, UnicodeError):
        return source
