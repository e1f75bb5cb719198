"""Parameters of paths and queries as data; they are read, and published, by the same ranges and choices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from logkeep.contract.fields import MAX_INTEGER, query_choice, query_integer, shown
from logkeep.domain.span import MOMENT, Moment, read_moment
from logkeep.errors import InvalidField

Schema = dict[str, object]  # JSON Schema, 2020-12
NO_NUL = r"^[^\x00]*$"  # no database holds it


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number in a query."""

    name: str
    default: int
    about: str
    high: int = MAX_INTEGER
    low: int = 1

    def read(self, query: dict[str, str]) -> int:
        return query_integer(query, self.name, self.default, low=self.low, high=self.high)

    @property
    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.low, "maximum": self.high, "default": self.default}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words in a query."""

    name: str
    default: str
    about: str
    choices: tuple[str, ...]

    def read(self, query: dict[str, str]) -> str:
        return query_choice(query, self.name, self.choices, self.default)

    @property
    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.choices), "default": self.default}


@dataclass(frozen=True, slots=True)
class Text:
    """Any text in a query; '' is as good as none."""

    name: str
    about: str
    pattern: str = NO_NUL

    def read(self, query: dict[str, str]) -> str:
        return query.get(self.name, "")

    @property
    def schema(self) -> Schema:
        return {"type": "string", "pattern": self.pattern}


@dataclass(frozen=True, slots=True)
class Time:
    """A bound of a span of time in a query; '' is as good as none."""

    name: str
    about: str

    def read(self, query: dict[str, str]) -> Moment | None:
        text = query.get(self.name, "")
        try:
            return read_moment(text) if text else None
        except ValueError as error:
            raise InvalidField(self.name, f"{shown(text)} came; {error}") from None

    @property
    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({MOMENT})?$"}


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false in a query; None where it is missing."""

    name: str
    about: str

    def read(self, query: dict[str, str]) -> bool | None:
        return query_choice(query, self.name, ("true", "false"), "true") == "true" if self.name in query else None

    @property
    def schema(self) -> Schema:
        return {"type": "boolean"}


Parameter = Number | Choice | Text | Time | Flag


def names_of(parameters: Iterable[Parameter]) -> frozenset[str]:
    return frozenset(parameter.name for parameter in parameters)


OFFSET = Number("offset", 1, "Number of the first entry, counted from 1; beyond the last one the list is empty.")
START = Number("start", 1, "Older name of `offset`, which wins where both are sent.")
LIMIT = Number("limit", 10, "The most entries to list.", high=1000)
PAGE = (OFFSET, START, LIMIT)


class Page(NamedTuple):
    """Which part of a list is asked for."""

    offset: int  # entries before the first one
    limit: int


def read_page(query: dict[str, str]) -> Page:
    """Read `offset`, or `start`, its older name, which count from 1; neither has an upper limit.

    docs/contract.md, "Paging". Everything below counts from 0.
    """
    offset, start = OFFSET.read(query), START.read(query)
    return Page((offset if OFFSET.name in query else start) - 1, LIMIT.read(query))


@dataclass(frozen=True, slots=True)
class PathParameter:
    """A variable segment of a path."""

    about: str
    schema: Schema


_HEX = "[0-9A-Fa-f]"
_UUID: Schema = {"type": "string", "pattern": f"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$"}
PATH_PARAMETERS = {  # by name
    "project_id": PathParameter("The project of the key.", {"type": "string", "pattern": "^[0-9a-z]{32}$"}),
    "cluster_id": PathParameter("A cluster of the project.", _UUID),
    "protection_id": PathParameter("A protection of the cluster.", _UUID),
    "job_id": PathParameter("`jobId` of a record.", {"type": "string", "pattern": f"^{_HEX}{{32}}$"}),
    "key": PathParameter("Key of a tag.", {"type": "string", "pattern": NO_NUL, "minLength": 1, "maxLength": 128}),
    "name": PathParameter("Name of a target.", {"type": "string", "pattern": NO_NUL, "minLength": 1, "maxLength": 64}),
    "node": PathParameter("Name of a node.", {"type": "string", "pattern": NO_NUL, "minLength": 1}),
    "generation": PathParameter(
        "Number of a log within its node.", {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
    ),
}
