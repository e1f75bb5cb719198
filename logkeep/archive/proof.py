"""Proof by the chain of manifests; docs/verify_chain.py says the same without Logkeep. No I/O.

A manifest is proven by a trusted signature over its own bytes, or by a proven one that names its hash. Only what is
proven has an order; that a manifest is there, what it is named and which key it names proves nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from logkeep.domain.manifest import Manifest
from logkeep.stores.layout import Claim, parse_object


@dataclass(frozen=True, slots=True)
class Document:
    """Bytes of a manifest as they lie in a bucket, not parsed yet."""

    bucket: str
    object: str
    sha256: str
    flaw: str  # why its signature proves nothing, '' where it is of a trusted key


@dataclass(frozen=True, slots=True)
class Entry:
    """Fields of a manifest that decide its place in the chain."""

    document: Document
    object: str  # under which it was written
    bucket: str  # to which it was written, as that was named then
    cluster_id: str
    job_id: str
    attempt: int
    created_at: int  # of its job, Unix ms
    number: int
    previous: str
    unproven: str
    told: tuple[str, ...] = ()  # earlier jobs that ended without a manifest that counts
    removal: str = ""  # SHA-256 of a removal entry, '' for none

    @property
    def sha256(self) -> str:
        return self.document.sha256


def make_entry(document: Document, manifest: Manifest | Claim) -> Entry:
    job, name = manifest.job, parse_object(manifest.object)
    return Entry(
        document=document,
        object=manifest.object,
        bucket=job.bucket,
        cluster_id=manifest.cluster_id,
        job_id=job.job_id,
        attempt=name.attempt if name else 0,
        created_at=job.created_at,
        number=manifest.number,
        previous=manifest.previous,
        unproven=manifest.unproven,
        told=() if isinstance(manifest, Claim) else tuple(one.job.job_id for one in manifest.earlier),
        removal="" if isinstance(manifest, Claim) else manifest.removal,
    )


def find_settled(entries: Iterable[Entry]) -> set[tuple[str, str]]:
    """Of each job whose end these tell, what a manifest of it would follow: such another one was left over.

    It is that of another attempt, or of a job that ended otherwise just when it was stored, as when it was cancelled
    after a crash. The next job tells how it ended, and names what it had kept.
    """
    return {(entry.previous, job_id) for entry in entries for job_id in (entry.job_id, *entry.told)}


@dataclass(frozen=True, slots=True)
class Proof:
    """All manifests of some buckets, by what is proven of them."""

    proven: tuple[Entry, ...]  # each once, wherever it lies
    copies: tuple[Document, ...]  # of these, in other places than the one that counts
    beyond: tuple[Document, ...]  # without a trusted signature, and not reached from one


def prove(documents: Sequence[Document], read: Callable[[Document], Entry | None]) -> Proof:
    """Tell what is proven from what is not. `read` is called for nothing else; it gives None for what is unreadable."""
    places: defaultdict[str, list[Document]] = defaultdict(list)
    for document in documents:
        places[document.sha256].append(document)
    reached = {document.sha256 for document in documents if not document.flaw}
    waiting = sorted(reached)
    proven: list[Entry] = []
    while waiting:
        there = places[waiting.pop()]
        entry = read(there[0])
        if entry is None:
            continue
        proven.append(replace(entry, document=min(there, key=partial(_strangeness, entry))))
        if entry.previous in places and entry.previous not in reached:
            reached.add(entry.previous)
            waiting.append(entry.previous)
    counted = {entry.document for entry in proven}
    hashes = {entry.sha256 for entry in proven}
    copies = [document for document in documents if document.sha256 in hashes and document not in counted]
    beyond = [document for document in documents if document.sha256 not in reached]
    return Proof(tuple(proven), tuple(copies), tuple(beyond))


def _strangeness(entry: Entry, document: Document) -> tuple[bool, bool, bool]:
    """Least where it was written to."""
    return document.object != entry.object, document.bucket != entry.bucket, bool(document.flaw)


@dataclass(frozen=True, slots=True)
class Chain:
    """Manifests of one cluster from the first to the last."""

    links: tuple[Entry, ...]
    breaks: tuple[Entry, ...] = ()  # those whose predecessor is missing
    # Others, which follow a manifest that another job's follows in the chain: each down from its end to that one.
    branches: tuple[tuple[Entry, ...], ...] = ()

    @property
    def forks(self) -> tuple[Entry, ...]:
        """Return the last manifests of the branches."""
        return tuple(branch[0] for branch in self.branches)

    def beside(self, branch: Sequence[Entry]) -> tuple[Entry, ...]:
        """Return what this chain has in place of the other's, newest first."""
        number = next((one.number for one in self.links if one.sha256 == branch[-1].previous), 0)
        return tuple(one for one in reversed(self.links) if one.number > number)


def order_chain(entries: Sequence[Entry], noted: Collection[str] = ()) -> Chain:
    """Put the manifests of one cluster into their order.

    Of several attempts of one job the one that was gone on from counts, at the end the last one. Where a manifest is
    missing, the chain goes on with what follows the hole. Where two chains were written, as after a database was put
    back to an earlier state, the one that holds a noted hash counts, and else the longer one.
    """
    known = {entry.sha256: entry for entry in entries}
    followed = {entry.previous for entry in entries}
    ends = sorted((entry for entry in entries if entry.sha256 not in followed), key=_place, reverse=True)
    if not ends:  # hashes form no circle: there are no entries
        return Chain(())
    behind = _following(entries, noted)
    end = next((end for end in ends if end.sha256 in behind), ends[0])
    pieces = [walk_back(end, known)]
    for below in ends:
        if below.number < pieces[-1][-1].number:
            pieces.append(walk_back(below, known))
    links = [entry for piece in pieces for entry in piece]
    breaks = [first for *_, first in pieces if first.previous or (first is not links[-1] and not first.unproven)]
    settled = find_settled(links)
    there = {entry.sha256 for entry in links}
    forks = [end for end in ends if end.sha256 not in there and (end.previous, end.job_id) not in settled]
    branches = [tuple(one for one in walk_back(end, known) if one.sha256 not in there) for end in forks]
    return Chain(tuple(reversed(links)), tuple(reversed(breaks)), tuple(branches))


def _following(entries: Sequence[Entry], hashes: Collection[str]) -> set[str]:
    """These hashes and those of all manifests that follow one of them."""
    following: defaultdict[str, list[str]] = defaultdict(list)
    for entry in entries:
        following[entry.previous].append(entry.sha256)
    found, waiting = set(hashes), list(hashes)
    while waiting:
        new = following[waiting.pop()]
        found.update(new)
        waiting += new
    return found


def _place(entry: Entry) -> tuple[int, int, int, str]:
    return entry.number, entry.created_at, entry.attempt, entry.sha256


def walk_back(entry: Entry, known: Mapping[str, Entry]) -> list[Entry]:
    """An entry and what is known of those before it, the newest first."""
    found = [entry]
    while before := known.get(found[-1].previous):
        found.append(before)
    return found


@dataclass(frozen=True, slots=True)
class Link:
    """A manifest with its place in the catalogue."""

    entry: Entry
    number: int
    proven: bool = True


def lay_out(chain: Chain, claims: Iterable[Entry], noted: Collection[str]) -> list[Link]:
    """Return the proven manifests, and unproven ones that belong to them where an operator accepted them.

    These are the ones that a proven manifest names as having stood before it; and behind the last proven one those that
    end with a noted hash: anybody can put a manifest there.
    """
    known = {claim.sha256: claim for claim in claims}
    links: list[Link] = []
    for entry in chain.links:
        room = entry.number - (links[-1].number if links else 0) - 1
        accepted = walk_back(known[entry.unproven], known)[:room] if entry.unproven in known else []
        first = entry.number - len(accepted)
        links += [Link(claim, first + at, proven=False) for at, claim in enumerate(reversed(accepted))]
        links.append(Link(entry, entry.number))
    for end in (known[sha256] for sha256 in noted if sha256 in known):
        tail = walk_back(end, known)
        if tail[-1].previous == links[-1].entry.sha256:
            first = links[-1].number + 1
            links += [Link(claim, first + at, proven=False) for at, claim in enumerate(reversed(tail))]
    return links


def lay_out_unproven(chain: Chain) -> list[Link]:
    """Manifests of which none is proven, and which somebody has taken on trust."""
    return [Link(entry, number, proven=False) for number, entry in enumerate(chain.links, 1)]


def check_entry(entry: Entry) -> list[str]:
    """Return what is wrong with a manifest by itself."""
    problems = [entry.document.flaw] if entry.document.flaw else []
    if entry.document.object != entry.object:
        problems.append(f"it was written as {entry.object}, and was moved or copied to where it lies")
    return problems
