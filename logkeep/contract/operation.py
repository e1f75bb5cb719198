"""One operation as data: path, method, parameters, body, answer and errors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from logkeep import errors
from logkeep.contract.parameters import Parameter, Text
from logkeep.domain.access import Right

JSON, NDJSON, BYTES = "application/json", "application/x-ndjson", "application/octet-stream"


class WaitsFor(StrEnum):
    """What a call may wait for, besides reading a few rows; each kind has threads of its own (api.pools)."""

    READS = "reading the database"
    WRITES = "writing to the database"
    SIGN_IN = "checking passwords"
    NODES = "nodes and clusters"
    BUCKETS = "buckets"


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """`{}`, the answer of a call that changes something."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where values of a request and its answer are parameters of another operation, as OpenAPI's link."""

    operation: str  # its id
    parameters: dict[str, str]  # runtime expressions by name


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the published API; `{name}` in the path stands for one segment."""

    id: str  # operationId, as the SDKs and the audit log name it
    method: str
    path: str
    status: int = 200  # of success
    summary: str = ""
    query: tuple[Parameter, ...] = ()
    headers: tuple[Text, ...] = ()  # that the request must have
    body: tuple[type[msgspec.Struct], ...] = ()  # the members of one of these; those of other names are ignored
    body_needed: bool = True
    answer: Any = Nothing  # type of the JSON answer, or of a line of NDJSON
    content_type: str = JSON  # of the answer
    other_type: str = ""  # that the answer has instead where the query asks for it
    header: tuple[str, str] | None = None  # that the answer has besides, and what it is
    raises: tuple[type[errors.LogkeepError], ...] = ()  # besides what every signed call may raise
    links: tuple[Link, ...] = ()
    signed: bool = True
    right: Right = Right.OPERATE  # what the caller needs; what only reads says so
    waits_for: WaitsFor = WaitsFor.READS
    seconds: float | None = None  # until its first byte, where that may take longer than others of its kind

    @property
    def mutating(self) -> bool:
        """Return whether each call of it is recorded in the audit."""
        return self.method != "GET" and self.right is not Right.READ
