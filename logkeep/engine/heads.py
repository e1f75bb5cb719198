"""What a bucket has beyond the catalogue's last manifest: a line that goes on from it, or another one. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from logkeep.engine.proof import Entry


@dataclass(frozen=True, slots=True)
class Beyond:
    """Proven manifests that the catalogue does not know."""

    line: tuple[Entry, ...] = ()  # follow its last one, in their order
    strays: tuple[Entry, ...] = ()  # do not


def follow(head: str, found: Sequence[Entry]) -> Beyond:
    """Order what was found behind the manifest with this hash, '' where there is none yet.

    Of several attempts of one job the one that was gone on from counts, at the end the last one.
    """
    following: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in found:
        following[entry.previous].append(entry)
    line: list[Entry] = []
    while attempts := following.get(line[-1].sha256 if line else head, ()):
        line.append(max(attempts, key=lambda one: (one.sha256 in following, one.attempt, one.sha256)))
    places = {(entry.previous, entry.job_id) for entry in line}
    return Beyond(tuple(line), tuple(one for one in found if (one.previous, one.job_id) not in places))
