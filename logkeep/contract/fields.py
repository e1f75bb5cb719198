"""Reading queries and JSON bodies: any input ends as a value or as an error that names the field.

Request keys come in several spellings (`log_base_path`, `logBasePath`, `log_Bucket`); they are matched after
dropping '_' and lower-casing (docs/contract.md, "Names in requests").
"""

from __future__ import annotations

import json
import re
from collections.abc import Set as AbstractSet
from typing import cast
from urllib.parse import unquote_to_bytes

from logkeep.errors import EmptyBody, InvalidField, RequestError

MAX_DEPTH = 32  # levels of objects and arrays in a body
MAX_INTEGER = 2**63 - 1  # what every database column and client holds
_MAX_TEXT = 4096  # characters
_MAX_SHOWN = 200  # characters of what came, in a message
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")  # no database and no UTF-8 text holds these

Fields = dict[str, object]  # by normalised key


class _RepeatedKey(ValueError):
    pass


def shown(value: object) -> str:
    """Quote a received value for a message, as JSON and truncated."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    text = json.dumps(value[:_MAX_SHOWN] if isinstance(value, str) else value, ensure_ascii=False)
    text = text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
    return text.encode("utf-8", "backslashreplace").decode()


def normalise(key: str) -> str:
    return key.replace("_", "").lower()


def read_query(raw: bytes, names: AbstractSet[str]) -> dict[str, str]:
    """Return the parameters of these names, matched in any case; ignore others.

    Raises `InvalidField` for a name that has two different values. Signatures rely on both rules: the Go SDK signs
    lower-cased names, see `sdk_hmac.other_forms`.
    """
    found: dict[str, str] = {}
    if not raw:
        return found
    escaped = b"%" in raw or b"+" in raw
    for parameter in raw.split(b"&"):
        key, _, value = parameter.partition(b"=")
        name = _unescape(key, escaped).decode("utf-8", "replace")
        name = name if name in names else _same_name(name, names)
        if name:
            text = _query_text(name, _unescape(value, escaped))
            if found.setdefault(name, text) != text:
                raise InvalidField(name, f"came twice, as {shown(found[name])} and {shown(text)}; give it once")
    return found


def _same_name(name: str, names: AbstractSet[str]) -> str:
    """Return the known name that equals this one but for case, or ''."""
    lower = name.lower()
    return next((known for known in names if known.lower() == lower), "")


def query_integer(query: dict[str, str], name: str, default: int, *, low: int = 1, high: int = MAX_INTEGER) -> int:
    """Return a whole number from `low` to `high`."""
    text = query.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 30 else -1
    if not low <= number <= high:
        raise InvalidField(name, f"{shown(text)} came; a whole number from {low} to {high} is allowed")
    return number


def query_choice(query: dict[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    text = query.get(name, default)
    if text not in choices:
        raise InvalidField(name, f"{shown(text)} came; {listed(choices)} is allowed")
    return text


def listed(choices: tuple[str, ...]) -> str:
    return " or ".join(f"'{choice}'" for choice in choices)


def read_object(body: bytes) -> Fields:
    """Parse a body as a JSON object and normalise its keys. Raises `EmptyBody`, `InvalidField`."""
    return _normalised(_decode_json(body))


def read_members(value: object, name: str, *, secret: bool = False) -> Fields:
    """Parse a JSON object inside a body and normalise its keys. Errors quote no value that is `secret`."""
    if not isinstance(value, dict):
        raise InvalidField(name, f"{came(value, secret)}; an object is allowed")
    return _normalised(cast(dict[str, object], value))


def text_field(fields: Fields, name: str, *, secret: bool = False) -> str:
    """Return a string, '' where it is missing, null or empty. Errors quote no value that is `secret`."""
    value = fields.get(normalise(name))
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidField(name, f"{came(value, secret)}; a string is allowed")
    check_text(name, value, secret=secret)
    return value


def check_text(name: str, value: str, *, secret: bool = False) -> None:
    """Raise `InvalidField` for a text that no database holds. It is not quoted if it is `secret`."""
    if len(value) > _MAX_TEXT:
        raise InvalidField(name, f"has {len(value)} characters; at most {_MAX_TEXT} are allowed")
    if _UNWRITABLE.search(value):
        raise InvalidField(name, f"{came(value, secret)}; NUL and lone surrogates are not allowed")


def required_text(fields: Fields, name: str, hint: str, *, secret: bool = False) -> str:
    text = text_field(fields, name, secret=secret)
    if not text:
        raise InvalidField(name, f"is missing; give {hint}")
    return text


def came(value: object, secret: bool) -> str:
    return "something else came" if secret else f"{shown(value)} came"


def _unescape(text: bytes, escaped: bool) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" ")) if escaped else text


def _query_text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise InvalidField(name, "is not valid UTF-8") from None
    if "\x00" in text:
        raise InvalidField(name, f"{shown(text)} came; NUL is not allowed")
    return text


def _normalised(fields: dict[str, object]) -> Fields:
    found: Fields = {}
    for key, value in fields.items():
        name = normalise(key)
        if name in found and not _same(found[name], value):
            raise InvalidField(shown(key)[1:-1], "came in two spellings with different values; give it once")
        found[name] = value
    return found


def _decode_json(body: bytes) -> dict[str, object]:
    if not body.strip(b" \t\r\n"):
        raise EmptyBody()
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unrepeated, parse_constant=_refuse_constant)
    except _RepeatedKey as error:
        raise InvalidField(str(error), "came twice with different values; give it once") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # also what is no UTF-8, and numbers of thousands of digits
        raise EmptyBody(f"The body is not valid JSON: {shown(str(error))}") from None
    if not isinstance(value, dict):
        raise EmptyBody(f"The body must be a JSON object; {shown(value)} came.")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    return cast(dict[str, object], value)


def _unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found and not _same(found[key], value):
            raise _RepeatedKey(shown(key)[1:-1])
        found[key] = value
    return found


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _check_depth(value: object) -> None:
    """Raise `InvalidField` for a body nested too deep; go level by level, so that no input exhausts the stack here."""
    level = [value]
    for _ in range(MAX_DEPTH):
        containers = [item for item in level if isinstance(item, (dict, list))]
        level = [member for item in containers for member in (item.values() if isinstance(item, dict) else item)]
    if any(isinstance(item, (dict, list)) for item in level):
        raise _too_deep()


def _too_deep() -> RequestError:
    return InvalidField("body", f"is nested too deep; at most {MAX_DEPTH} levels are allowed")
