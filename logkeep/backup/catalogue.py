"""Interface between the engine and the catalogue, the database's index of what is archived."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, Protocol

from logkeep.domain.manifest import Checkpoint, Gap, PendingFile, Segment, Sighting
from logkeep.domain.warning import JobWarning


class Kept(NamedTuple):
    """A segment that the store has confirmed, and the checkpoint of its generation behind it."""

    segment: Segment
    after: Checkpoint


class LastListing(NamedTuple):
    """What the catalogue has of a node's last listing."""

    digest: str  # '' where something was left to read or to tell
    pending: list[PendingFile]  # files of which it showed more than is kept


class Catalogue(Protocol):
    """Catalogue of one node, as one attempt of one job sees it.

    Every write raises `JobSuperseded` once another attempt of the job has begun, and changes nothing then.
    """

    def checkpoints(self, node: str) -> list[Checkpoint]:
        """All but those that are retired; see `backup.retirement`."""
        ...

    def retired_alike(self, node: str, family: str, head: bytes) -> list[Checkpoint]:
        """The retired generations that `Heads` must know to say what a file goes on with: `head` are its first bytes,
        `family` is the log that its name proposes. Of very many that begin alike, the newest.
        """
        ...

    def recall(self, node: str, family: str) -> list[Checkpoint]:
        """Return the retired generations of a log, and retire none of them from now on."""
        ...

    def kept_segments(self, node: str, generation: int, start: int) -> Iterable[Segment]:
        """Return the segments of a generation in order, from the one that holds the byte `start` on."""
        ...

    def last_segments(self, node: str) -> dict[int, int]:
        """Generations of which earlier attempts of this job kept something: plain bytes of the last segment of each."""
        ...

    def last_listing(self, node: str) -> LastListing: ...

    def record_plan(self, node: str, remaining: int, pending: Sequence[PendingFile] | None = None) -> None:
        """So many bytes are to be read of the node now, as far as is known, and these are the files that have them.

        It is durable when this returns: where they are gone when the job goes on, nobody else knows that they were
        there. None leaves what is there.
        """
        ...

    def record_flow(self, node: str, read: int) -> None:
        """Note plain bytes that were read and are not committed yet, for whoever watches the job."""
        ...

    def commit(self, kept: Sequence[Kept], remaining: int = 0) -> None:
        """Insert segments of different generations of one node, and move their checkpoints; all of it or nothing.

        Each generation must be kept exactly up to `segment.start`, or be unknown and begin there. `remaining` is what
        the node's plan has left after it. Raises `JobSuperseded` where one is not.
        """
        ...

    def warn(self, warning: JobWarning) -> None:
        """Let the job say this, once whatever attempt found it. It is kept with the node's next write, or its end."""
        ...

    def record_node(
        self,
        node: str,
        seen: Sequence[Checkpoint] = (),
        found: Sequence[Gap | Sighting] = (),
        digest: str | None = None,
        pending: Sequence[PendingFile] | None = None,
        retired: Collection[int] = (),
    ) -> None:
        """Keep what a listing told: names, presence and hints of generations, what is worth telling, the digest, and
        the files that are still to be read. All of it or nothing, with the node's next write, or its end; None leaves
        what is there. What is `seen` is no longer retired, the generations in `retired` are from now on.
        """
        ...
