"""Manifests in a bucket beyond the catalogue's last one: a continuation of the chain, or a fork. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from logkeep.archive.proof import Entry, find_settled


@dataclass(frozen=True, slots=True)
class Beyond:
    """Proven manifests that the catalogue does not know."""

    line: tuple[Entry, ...] = ()  # follow its last one, in their order
    strays: tuple[Entry, ...] = ()  # do not


def follow(head: str, found: Sequence[Entry]) -> Beyond:
    """Order what was found behind the manifest with this hash, '' where there is none yet.

    Of several that follow one the one that was gone on from counts, at the end that of the newest job and attempt.
    """
    following: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in found:
        following[entry.previous].append(entry)
    line: list[Entry] = []
    while attempts := following.get(line[-1].sha256 if line else head, ()):
        line.append(max(attempts, key=lambda one: (one.sha256 in following, one.created_at, one.attempt)))
    return Beyond(tuple(line), leave_out_settled(line, found))


def leave_out_settled(line: Iterable[Entry], found: Iterable[Entry]) -> tuple[Entry, ...]:
    """Drop other attempts and left-overs of jobs that a chain settles; keep what others were built on."""
    settled = find_settled(line)
    there = {entry.sha256 for entry in line}
    found = list(found)
    gone_on = {one.previous for one in found} - there
    return tuple(
        one
        for one in found
        if one.sha256 not in there and (one.sha256 in gone_on or (one.previous, one.job_id) not in settled)
    )
