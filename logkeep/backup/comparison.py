"""Comparison of an open file's content with what is known of it."""

from __future__ import annotations

from logkeep.backup.content import HEAD, Content
from logkeep.backup.identity import Heads, drop_superseded, fingerprint, is_named
from logkeep.domain.manifest import EMPTY, LEAD, Checkpoint, Fingerprint, Flaw, Frame, PendingFile, PendingKind
from logkeep.errors import SourceVanished
from logkeep.logformat.names import LogName
from logkeep.stores.frames import frame_check


def continued(content: Content, name: LogName, head: bytes, heads: Heads) -> tuple[frozenset[int], frozenset[int]]:
    """Return the generations that the content begins with: those of its own log, and those of others."""
    fits = heads.fitting(content.file, name, head)
    ascending = sorted(
        {c.generation: c for c in (*fits.own, *fits.foreign, *fits.alike)}.values(), key=lambda c: c.kept
    )
    tails = {c.generation: has_tail(content, c) for c in ascending}
    candidates = [*fits.own, *fits.foreign]
    whole = drop_superseded([c for c in candidates if tails[c.generation] and is_proof(content, c)])
    # Of a log of which more is kept than the file holds, nothing tells that it is not its.
    logs = {c.family for c in fits.alike if tails[c.generation] is not False}
    foreign = [c for c in whole if c not in fits.own and (c not in fits.alike or is_named(name, c.family, logs))]
    own = frozenset(c.generation for c in whole if c in fits.own)
    return own, frozenset(c.generation for c in foreign)


def matches(content: Content, head: bytes, checkpoint: Checkpoint) -> bool:
    """Return whether the file continues a generation: its head and the bytes before the checkpoint are as archived."""
    known = checkpoint.head
    alike = fingerprint(head[: known.length]) == known and has_tail(content, checkpoint)
    return bool(alike) and is_proof(content, checkpoint)


def has_tail(content: Content, checkpoint: Checkpoint) -> bool | None:
    """Return whether the bytes before the checkpoint are as archived; None where the content is shorter."""
    if not checkpoint.kept:
        return True
    found = content.before(checkpoint.kept, checkpoint.tail.length)
    return None if found is None else fingerprint(found) == checkpoint.tail


def is_proof(content: Content, checkpoint: Checkpoint) -> bool:
    """Return whether equal bytes prove that the file continues the generation.

    Those of a damaged file prove nothing, but that it is the same damaged file.
    """
    if not checkpoint.kept:
        return True
    ending = content.end()
    if checkpoint.unproven:
        return ending.flaw is checkpoint.flaw
    return ending.flaw not in {Flaw.DAMAGED, Flaw.FOREIGN} or checkpoint.kept <= ending.proven


def is_planned(content: Content, head: bytes, pending: PendingFile) -> bool:
    """Return whether this is the file that was planned, as far as its content tells."""
    return fingerprint(head[: pending.head.length]) == pending.head and matches_pending(content, pending)


def matches_pending(content: Content, one: PendingFile) -> bool:
    """Return whether the file has the last bytes that an earlier listing saw of what was not archived then."""
    if one.tail == EMPTY:
        if one.kind is PendingKind.BLOCKED:
            return True  # it begins as that did when it was still being compressed, see `known_by`
        if 0 < one.head.length < HEAD:
            return True  # all that it held
        # A compressed file is not compressed again, and its time is that of its last byte; but where times are whole
        # seconds, several files of one beginning may have the same.
        if one.inode and content.file.inode:  # which may have been believed then, and not now
            return content.file.inode == one.inode
        return content.file.mtime_ns == one.mtime_ns and one.stored in {0, content.file.size}
    found = content.before(one.stored or one.size, one.tail.length)
    return found is not None and fingerprint(found) == one.tail


def known_by(head: bytes, time: str) -> Fingerprint:
    """Return the fingerprint of a file that waits, valid under any name, inode and size; EMPTY for a mere banner."""
    return fingerprint(head) if len(head) >= LEAD and time else EMPTY


def ends_with(content: Content, copy: PendingFile) -> bool:
    """Return whether the content is that of the copy and nothing more."""
    if not copy.size:
        return content.file.size == copy.stored and content.file.mtime_ns == copy.mtime_ns
    found = content.before(copy.size, copy.tail.length)
    if found is None or fingerprint(found) != copy.tail:
        return False
    return content.before(copy.size + 1, 1) is None


def is_unchanged(content: Content, frame: Frame) -> bool:
    """Return whether the file still has the plain bytes of a frame, by the frame's checksum."""
    found = content.before(frame.start + frame.raw, frame.raw)
    return found is not None and (not frame.check or frame_check(found) == frame.check)


def last_bytes(content: Content, end: int) -> bytes:
    """Return the bytes before `end`; raises `SourceVanished` where they are no longer there."""
    found = content.before(end, min(HEAD, end))
    if found is None:
        raise SourceVanished(f"{content.file.name!r} was cut short while it was read")
    return found
