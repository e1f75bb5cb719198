"""State of one node's backup, and its outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from logkeep.backup.catalogue import Catalogue
from logkeep.backup.compressed import Ending
from logkeep.backup.content import Content, open_content
from logkeep.backup.flawed import STILL_MS, FlawedFiles, code_of, tell
from logkeep.backup.identity import Heads
from logkeep.backup.inodes import Inodes
from logkeep.backup.observation import file_key, is_settled
from logkeep.backup.progress import ReadProgress
from logkeep.clock import Clock
from logkeep.domain.manifest import Checkpoint, Fingerprint, PendingFile
from logkeep.domain.warning import JobWarning, WarningCode
from logkeep.errors import SourceFileError
from logkeep.logformat.names import LogName
from logkeep.sources.base import LogFile, LogSource
from logkeep.stores.base import ObjectStore


@dataclass(frozen=True, slots=True)
class Target:
    """Destination of what one attempt of a job reads."""

    store: ObjectStore
    bucket: str
    folder: str  # <base path>/<cluster name>
    job_id: str
    attempt: int


@dataclass(slots=True)
class Outcome:
    """Outcome of the backup of one node."""

    failures: dict[str, str] = field(default_factory=dict[str, str])  # file name -> what is wrong, with its code
    waiting: set[str] = field(default_factory=set[str])  # files still being compressed
    closed: dict[str, str] = field(default_factory=dict[str, str])  # folder that cannot be listed, with '/' -> why
    empty: bool = False  # nothing at all was listed, which says nothing of what is known
    warnings: list[JobWarning] = field(default_factory=list[JobWarning])  # as they were found, some again and again
    generations: list[Checkpoint] | None = None  # all that are known then; None where nothing had changed

    def all_failures(self) -> list[str]:
        """Return what could not be read, each message led by its code."""
        return [*self.closed.values(), *self.failures.values()]

    def aside(self) -> set[str]:
        """Names of files of which not all is kept."""
        below = ("",) if self.empty else tuple(self.closed)
        unseen = {c.name for c in self.generations or () if c.present and c.name.startswith(below)} if below else set()
        return self.failures.keys() | self.waiting | unseen


class NodeState:
    """State that the parts of one node's backup share: source, target, checkpoints and outcome."""

    def __init__(
        self,
        node: str,
        source: LogSource,
        target: Target,
        catalogue: Catalogue,
        clock: Clock,
        flawed: FlawedFiles,
        settle_ns: int,
        max_file_bytes: int,
    ) -> None:
        self.node = node
        self.source = source
        self.target = target
        self.catalogue = catalogue
        self.clock = clock
        self.settle_ns = settle_ns
        self.max_file_bytes = max_file_bytes
        # As in the catalogue, which nobody else may change meanwhile; of what is retired only what was asked for.
        self.known: dict[int, Checkpoint] = {}
        self.heads = Heads(())  # of what was known at this listing
        self._looked: list[Checkpoint] = []  # what they are of
        self._listed: Collection[str] = ()
        self._sought: set[tuple[str, Fingerprint]] = set()  # by which logs and heads retired ones were looked for
        self.pending: list[PendingFile] = []  # listed and not kept to the end, by this job and those before
        self.flawed = flawed
        self.waited: dict[str, str] = {}  # name -> log
        self.refused: set[str] = set()  # names
        self.unreadable: set[str] = set()  # not tried again in this job
        self.inodes = Inodes()
        self.number = 0  # of the listing
        self.remaining = ReadProgress()  # of this round
        self.outcome = Outcome()

    def open(self, file: LogFile, name: LogName) -> Content:
        """Raises what `open_content` raises."""
        return self.open_named(file.name, compressed=name.compressed)

    def open_named(self, name: str, *, compressed: bool) -> Content:
        return open_content(self.source, name, compressed=compressed, most=self.max_file_bytes)

    def look_by(self, checkpoints: Iterable[Checkpoint], listed: Collection[str]) -> None:
        """Compare files of these names with these checkpoints until the next listing."""
        self._looked, self._listed = list(checkpoints), listed
        self.heads = Heads(self._looked, listed)

    def find_retired(self, name: LogName, head: bytes, known: Fingerprint) -> None:
        """Know those retired generations, too, that a file may go on with or that speak against it."""
        key = name.family, known
        if key in self._sought:
            return
        self._sought.add(key)
        alike = self.catalogue.retired_alike(self.node, name.family, head)
        if found := {c.generation: c for c in alike if c.generation not in self.known}:
            self.known |= found
            self.look_by([*self._looked, *found.values()], self._listed)

    def is_settled(self, file: LogFile) -> bool:
        """Return whether any later write to the file will change its times."""
        return is_settled(file, self.clock, self.settle_ns)

    def stands_still(self, file: LogFile, checkpoint: Checkpoint | None = None) -> bool:
        """Return whether NULs in the file, or behind what is archived, are a minute old and will not be filled."""
        times = [file.mtime_ns]
        if checkpoint and checkpoint.kept and not checkpoint.settled and checkpoint.mtime_ns:
            times.append(checkpoint.mtime_ns)
        return self.clock.now_ms() - min(times) // 1_000_000 >= STILL_MS

    def find_end(self, content: Content) -> int:
        """Of a plain file, without the NULs at its end."""
        if content.size and not content.ending and content.before(content.size, 1) == b"\0":
            return content.find_end(thorough=self.stands_still(content.file))
        return content.size

    def wait_for(self, file: LogFile, name: LogName) -> None:
        """Leave a compressed file that does not end as it should to a later look."""
        self.flawed.wait_for(file, name.family)
        self.waited[file.name] = name.family
        self.outcome.waiting.add(file.name)

    def warn(self, code: WarningCode, message: str, *, family: str = "", file: str = "") -> None:
        """Let the job say something of a log, a file or the node, though it does not fail."""
        warning = JobWarning(node=self.node, family=family, file=file, code=code, message=message)
        self.outcome.warnings.append(warning)
        self.catalogue.warn(warning)

    def warn_of(self, file: str, family: str, ending: Ending) -> None:
        """Say what is wrong with a compressed file."""
        self.warn(code_of(ending.flaw), tell(file, ending), family=family, file=file)

    def fail(self, file: LogFile, error: SourceFileError) -> None:
        """Say that a file cannot be read, and try it no more in this job."""
        self.unreadable.add(file_key(file))
        self.outcome.failures[file.name] = f"{error.code}: node {self.node}: file {error.message}"
