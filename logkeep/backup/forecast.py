"""Forecast of how long a node holds lines that are not archived, from its rotations so far.

docs/decisions/0009-when-a-node-deletes-logs.md tells the rule and its limits.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from logkeep.domain.manifest import Checkpoint
from logkeep.logformat.names import parse_name

# Of slow and deprecation logs, x-1.json.gz to x-4.json.gz, log4j2.properties as shipped keeps four.
_SHIPPED = 4
_INDEXED = re.compile(r"-\d{1,2}\.(?:json|log)\Z", re.ASCII)


def forecast_margins(generations: Iterable[Checkpoint], aside: Collection[str] = ()) -> dict[str, int | None]:
    """Family -> ms from a backup to the first deletion of what was written after it; None where it is not known.

    Left out are the families of files `aside`, of which the backup did not keep all.
    """
    families: dict[str, list[Checkpoint]] = defaultdict(list)
    for generation in generations:
        families[generation.family].append(generation)
    unclear = {parse_name(file, families.keys()).family for file in aside}
    return {family: forecast_margin(families[family]) for family in families if family not in unclear}


def forecast_margin(family: Sequence[Checkpoint]) -> int | None:
    """Return the shortest time, in ms, in which the node rotated often enough to delete a file written to now."""
    written = sorted((c for c in family if c.kept), key=lambda c: c.position)
    keeps = _count_kept_by_node(written)
    if not keeps or len(written) < 2:
        return None
    begins = [_moment(c.first_time) for c in written[-2 * keeps - 2 :]]
    rolls = min(keeps, len(begins) - 1)
    stretches = [
        end - begin
        for begin, end in zip(begins, begins[rolls:], strict=False)
        if begin is not None and end is not None and end >= begin
    ]
    return min(stretches) * keeps // rolls if stretches else None


def _count_kept_by_node(written: Sequence[Checkpoint]) -> int:
    """Return how many rotated files the node keeps; 0 where that is not known."""
    rotated = [c for c in written if c.present and not parse_name(c.name, {c.family}).active]
    if not rotated:
        return 0
    if any(not c.present and c.position < rotated[0].position for c in written):
        return len(rotated)
    return max(_SHIPPED, len(rotated)) if any(_is_indexed(c) for c in rotated) else 0


def _is_indexed(rotated: Checkpoint) -> bool:
    """Return whether the name is of the form x-1.json and not x-2026-11-24-1.json."""
    _, date, _ = parse_name(rotated.name, {rotated.family}).order
    return not date and _INDEXED.search(rotated.name) is not None


def _moment(time: str) -> int | None:
    """Ms; the zone matters only where it changes from one line to another."""
    if not time:
        return None
    moment = datetime.fromisoformat(time)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
