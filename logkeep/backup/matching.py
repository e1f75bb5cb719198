"""Which file has which generation: at most one generation for a file, and one file for a generation. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from logkeep.backup.observation import FileObservation
from logkeep.domain.manifest import Checkpoint


def match(checkpoints: Sequence[Checkpoint], observations: Sequence[FileObservation]) -> dict[int, Checkpoint]:
    """Give each file at most one generation and each generation one file: index of the observation -> checkpoint.

    Where several fit, the unchanged one, the same inode, the one with most bytes kept and the same name go first.
    """
    known = {checkpoint.generation: checkpoint for checkpoint in checkpoints}
    owners = _match_over_borders(known, observations)
    taken = {checkpoint.generation for checkpoint in owners.values()}
    pairs = [
        (
            (
                observed.state,
                observed.file.inode != c.inode,
                not c.present,
                -c.kept,
                observed.name.plain != c.name,
                -c.start,
                c.generation,
                index,
            ),
            c,
            index,
        )
        for index, observed in enumerate(observations)
        for c in (known[generation] for generation in observed.continues)
    ]
    for _, checkpoint, index in sorted(pairs, key=lambda pair: pair[0]):
        if index not in owners and checkpoint.generation not in taken:
            owners[index] = checkpoint
            taken.add(checkpoint.generation)
    return owners


def _match_over_borders(
    known: Mapping[int, Checkpoint], observations: Sequence[FileObservation]
) -> dict[int, Checkpoint]:
    """Files that have a generation of another log: exactly one of each fits, and no file of that log has it."""
    held = {generation for observed in observations for generation in observed.continues}
    fitting: dict[int, list[int]] = defaultdict(list)
    for index, observed in enumerate(observations):
        for generation in observed.foreign - held:
            fitting[generation].append(index)
    owners: dict[int, Checkpoint] = {}
    for generation, indexes in fitting.items():
        observed, checkpoint = observations[indexes[0]], known[generation]
        more = checkpoint.kept > max((known[number].kept for number in observed.continues), default=0)
        if len(indexes) == 1 and len(observed.foreign - held) == 1 and more:
            owners[indexes[0]] = checkpoint
    return owners
