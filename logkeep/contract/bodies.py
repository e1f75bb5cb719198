"""Bodies of requests as structs: one declaration by which members are read, named in errors, and published.

A member is declared in snake_case and read in any spelling; one that may be missing may also be null.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import FieldInfo

from logkeep.contract.fields import Fields, came, check_text, normalise, read_members, read_object
from logkeep.contract.parameters import NO_NUL, Schema
from logkeep.errors import InvalidField, RequestError

T = TypeVar("T", bound=Struct)

TEXT: Schema = {"type": "string", "maxLength": 4096, "pattern": NO_NUL}
NAME = TEXT | {"minLength": 1}
_SAYS = {str: "a string is allowed", bool: "true or false is allowed"}


class Rule(Struct):
    """How a member is refused, and what its schema cannot say."""

    says: str = ""  # to a wrong value
    give: str = ""  # to none
    pattern: str = ""  # of the whole text; '' is as good as none
    secret: bool = False  # never quoted
    error: type[RequestError] = InvalidField  # another has a code of its own
    needs: str = ""  # the member that must be there where this one is true


def member(about: str = "", schema: Schema | None = None, **rule: Any) -> Meta:
    """Describe a member by a `Rule`. What `schema` adds is published only: the domain holds requests to it."""
    published = (schema or {}) | ({"pattern": f"^({rule['pattern']})?$"} if "pattern" in rule else {})
    return Meta(description=about or None, extra_json_schema=published, extra={"rule": Rule(**rule)})


@cache
def members_of(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    return msgspec.structs.fields(kind)  # which reads the annotations anew each time


def rule_of(one: FieldInfo) -> Rule:
    return next((meta.extra["rule"] for meta in getattr(one.type, "__metadata__", ()) if meta.extra), Rule())


def read_body(body: bytes, kind: type[T]) -> T:
    """Read a body. Raises `EmptyBody`, and `InvalidField` or the error of the member."""
    return read_struct(read_object(body), kind)


def read_struct(fields: Fields, kind: type[T]) -> T:
    """Read the members of a struct; an empty text counts as missing where one is needed."""
    found = {one.name: _read(one, fields.get(normalise(one.name))) for one in members_of(kind)}
    return kind(**{name: value for name, value in found.items() if value is not NODEFAULT})


def _read(one: FieldInfo, value: object) -> Any:
    rule = rule_of(one)
    if value is None or (value == "" and one.required):
        if one.required:
            raise _refusal(one, rule, f"is missing; {f'give {rule.give}' if rule.give else _says(one, rule)}")
        return NODEFAULT
    plain = _plain(one)
    inner = get_args(plain)[0] if get_origin(plain) is list else None
    if isinstance(inner, type) and issubclass(inner, Struct) and isinstance(value, list):
        return [read_struct(read_members(entry, one.name), inner) for entry in cast(list[object], value)]
    if plain is int and isinstance(value, float) and value.is_integer():  # 1.0 is a whole number in JSON
        value = int(value)
    if isinstance(plain, type) and issubclass(plain, Struct):
        return read_struct(read_members(value, one.name), plain)
    try:
        found = msgspec.convert(value, one.type)
    except msgspec.ValidationError:
        raise _refusal(one, rule, f"{came(value, rule.secret)}; {_says(one, rule)}") from None
    if isinstance(found, str) and rule.error is InvalidField:  # else the domain refuses it under a code of its own
        check_text(one.name, found, secret=rule.secret)
        if found and rule.pattern and not re.fullmatch(rule.pattern, found):
            raise _refusal(one, rule, f"{came(value, rule.secret)}; {_says(one, rule)}")
    return found


def _plain(one: FieldInfo) -> Any:
    return get_args(one.type)[0] if hasattr(one.type, "__metadata__") else one.type


def _says(one: FieldInfo, rule: Rule) -> str:
    return rule.says or _SAYS.get(_plain(one), _SAYS[str])


def _refusal(one: FieldInfo, rule: Rule, text: str) -> RequestError:
    return InvalidField(one.name, text) if rule.error is InvalidField else rule.error(f"{one.name}: {text}")
