"""Rows become records and records rows: a column has the name of its field.

Of a record within a record each column begins with the field's name, as `head_length` is `head.length`. Text that is
missing is '' in a column that takes no NULL, and None in its field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from sqlalchemy import CursorResult, Row, Table

T = TypeVar("T")


def read_rows(kind: type[T], result: CursorResult[Any]) -> Iterator[T]:
    """Yield the records of all rows."""
    return map(reader(kind, tuple(result.keys())), result)


def read_row(kind: type[T], row: Row[*tuple[Any, ...]]) -> T:
    return reader(kind, row._fields)(row)  # pyright: ignore[reportPrivateUsage]  it is public


@cache
def reader(kind: type[T], columns: tuple[str, ...]) -> Callable[[Sequence[Any]], T]:
    """Return what makes a record of a row; a field without a column keeps its default.

    It is compiled, as the initializers of dataclasses are: a node may have 100,000 generations.
    """
    scope: dict[str, Any] = {}
    positions = {str(name): position for position, name in enumerate(columns)}
    return _compile("row", _construction(kind, positions, "", scope), scope)


def _construction(kind: type, positions: Mapping[str, int], prefix: str, scope: dict[str, Any]) -> str:
    """Return the call that constructs a record; put what it names into `scope`."""
    arguments: list[str] = []
    for name, hint in get_type_hints(kind).items():
        position = positions.get(prefix + name)
        if position is not None:
            arguments.append(f"{name}={_value(f'row[{position}]', hint, scope)}")
        elif any(column.startswith(f"{prefix}{name}_") for column in positions) and _is_record(hint):
            arguments.append(f"{name}={_construction(hint, positions, f'{prefix}{name}_', scope)}")
    scope[kind.__name__] = kind
    return f"{kind.__name__}({', '.join(arguments)})"


def _value(source: str, hint: Any, scope: dict[str, Any]) -> str:
    if isinstance(hint, type) and issubclass(hint, Enum):
        scope[hint.__name__] = {member.value: member for member in hint}  # in a third of the time of a call
        return f"{hint.__name__}[{source}]"
    return f"{source} or None" if _is_optional_text(hint) else source


def values(table: Table, record: object) -> dict[str, Any]:
    """Return what a record says for the columns of a table."""
    return writer(table, type(record))(record)


@cache
def writer(table: Table, kind: type) -> Callable[[Any], dict[str, Any]]:
    """Return what makes the values of a record; for many at a time."""
    return _compile("record", f"{{{', '.join(_items(table, kind, '', 'record'))}}}", {})


def _items(table: Table, kind: type, prefix: str, source: str) -> Iterator[str]:
    for name, hint in get_type_hints(kind).items():
        column, value = table.c.get(prefix + name), f"{source}.{name}"
        if column is None:
            if _is_record(hint):
                yield from _items(table, hint, f"{prefix}{name}_", value)
        elif isinstance(hint, type) and issubclass(hint, Enum):
            yield f"{column.name!r}: {value}.value"
        elif _is_optional_text(hint) and not column.nullable:
            yield f"{column.name!r}: {value} or ''"
        else:
            yield f"{column.name!r}: {value}"


def _is_optional_text(hint: Any) -> bool:
    return {str, NoneType} == set(get_args(hint))


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and bool(getattr(hint, "__annotations__", None))


def _compile(argument: str, expression: str, scope: dict[str, Any]) -> Any:
    return eval(f"lambda {argument}: {expression}", scope)  # noqa: S307  of the names of our own fields and columns
