"""Statements on generations that are retired: no file has them, and they are asked for by their content alone.

There may be hundreds of thousands of one node, so all that a usual job asks is answered from the index, step by step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from logkeep.database.connection import in_batches, of
from logkeep.database.records import read_rows
from logkeep.database.tables import generations
from logkeep.domain.manifest import Checkpoint, Fingerprint

_c = generations.c
_ANY = select(_c.generation).where(*of(_c.cluster_id, _c.node), _c.retired).limit(1)


@dataclass(frozen=True, slots=True)
class Log:
    """Retired generations of one log that have one lead, '' for those that are too short for one."""

    family: str
    lead: str


class RetiredGenerations:
    """Those of one node."""

    def __init__(self, connection: Connection, cluster_id: str, node: str) -> None:
        self._connection = connection
        self._of_node = (_c.cluster_id == cluster_id, _c.node == node)
        self._key = {"of_cluster_id": cluster_id, "of_node": node}

    def add(self, numbers: Collection[int]) -> None:
        """Retire these generations, until they are saved again."""
        for some in in_batches(sorted(numbers)):
            statement = update(generations).where(*self._of_node, _c.generation.in_(some), ~_c.retired)
            self._connection.execute(statement.values(retired=True))

    def recall(self, family: str) -> list[Checkpoint]:
        """Return the generations of a log and clear their retired mark."""
        statement = update(generations).where(*self._of_node, _c.retired, _c.family == family)
        rows = self._connection.execute(statement.values(retired=False).returning(*generations.c))
        return list(read_rows(Checkpoint, rows))

    def any(self) -> bool:
        return self._connection.execute(_ANY, self._key).first() is not None

    def fetch_families(self, lead: str, most: int) -> list[str]:
        """Return at most `most` logs that have a generation with this lead."""
        return self._steps(_c.family, (*self._of_node, _c.retired, _c.lead == lead), most)

    def fetch_lengths(self, log: Log, most: int) -> list[int]:
        """Return the distinct lengths of their heads that are at most `most` bytes."""
        return self._steps(_c.head_length, (*self._of_log(log), _c.head_length <= most), most)

    def fetch_with_head(self, log: Log, head: Fingerprint, most: int) -> Iterator[Checkpoint]:
        """Yield at most `most` generations with this head, newest first."""
        alike = (*self._of_log(log), _c.head_length == head.length, _c.head_sha256 == head.sha256)
        statement = select(generations).where(*alike).order_by(_c.generation.desc()).limit(most)
        yield from read_rows(Checkpoint, self._connection.execute(statement))

    def fetch_longer(self, log: Log, length: int, most: int) -> Iterator[Checkpoint]:
        """Yield at most `most` generations whose heads are longer than `length` bytes."""
        statement = select(generations).where(*self._of_log(log), _c.head_length > length).limit(most)
        yield from read_rows(Checkpoint, self._connection.execute(statement))

    def _of_log(self, log: Log) -> Sequence[ColumnElement[bool]]:
        return (*self._of_node, _c.retired, _c.lead == log.lead, _c.family == log.family)

    def _steps(self, column: Any, of_them: Sequence[ColumnElement[bool]], most: int) -> list[Any]:
        """Return the distinct values of the next indexed column by a loose index scan: DISTINCT would read all rows."""
        smallest = select(func.min(column)).where(*of_them)
        found: list[Any] = []
        value = self._connection.execute(smallest).scalar()
        while value is not None and len(found) < most:
            found.append(value)
            value = self._connection.execute(smallest.where(column > value)).scalar()
        return found
