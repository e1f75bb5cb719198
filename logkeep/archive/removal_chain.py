"""Proof of removal entries; docs/verify_chain.py says the same without Logkeep. No I/O.

An entry is proven by a trusted signature over its own bytes, by a proven manifest that names its hash in `removal`, or
by a proven entry whose `previous` is its hash. One that is not proven counts for nothing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b

from logkeep.archive.proof import Document
from logkeep.domain.removal_entry import RemovalEntry


@dataclass(frozen=True, slots=True)
class EntryLink:
    """A proven entry, as far as it decides its place in the chain."""

    document: Document
    object: str  # under which it was written
    number: int
    previous: str
    removed_at: int  # Unix ms

    @property
    def sha256(self) -> str:
        return self.document.sha256


def make_link(document: Document, entry: RemovalEntry) -> EntryLink:
    return EntryLink(document, entry.object, entry.number, entry.previous, entry.removed_at)


@dataclass(frozen=True, slots=True)
class EntryChain:
    """Removal entries of one cluster from the first to the last, and what is wrong with them."""

    links: tuple[EntryLink, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()  # object or '', and what


def prove_entries(
    documents: Sequence[Document], named: Collection[str], read: Callable[[Document], EntryLink | None]
) -> EntryChain:
    """Order the entries that are proven; `named` are the hashes that proven manifests name, in their order.

    `read` is called for nothing else; it gives None for what is unreadable.
    """
    places: dict[str, list[Document]] = {}
    for document in documents:
        places.setdefault(document.sha256, []).append(document)
    waiting = [document.sha256 for document in documents if not document.flaw] + [one for one in named if one in places]
    proven: dict[str, EntryLink] = {}
    seen: set[str] = set()
    while waiting:
        sha256 = waiting.pop()
        if sha256 in seen:
            continue
        seen.add(sha256)
        if link := read(places[sha256][0]):
            proven[sha256] = replace(link, document=min(places[sha256], key=partial(_strangeness, link)))
            waiting += [link.previous] if link.previous in places else []
    links, problems = _order(proven, named)
    beyond = [document for document in documents if document.sha256 not in seen]
    counted = {link.document for link in proven.values()}
    copies = [one for one in documents if one.sha256 in proven and one not in counted]
    problems += [(one.object, "is a copy of a removal entry; left out") for one in copies]
    return EntryChain(
        tuple(links), (*problems, *_tell_places(links), *((one.object, _counts_for_nothing(one)) for one in beyond))
    )


def _strangeness(link: EntryLink, document: Document) -> tuple[bool, bool]:
    """Least where it was written to."""
    return document.object != link.object, bool(document.flaw)


def _counts_for_nothing(document: Document) -> str:
    return f"{document.flaw}, and nothing that is proven names it; this removal entry counts for nothing"


def _order(proven: dict[str, EntryLink], named: Collection[str]) -> tuple[list[EntryLink], list[tuple[str, str]]]:
    """Return the chain from its first entry, and what is wrong with it. Where one is missing, it goes on below."""
    followed = {link.previous for link in proven.values()} | set(named)
    ends = sorted(
        proven.values(), key=lambda one: (one.number, one.sha256 in followed, one.removed_at, one.sha256), reverse=True
    )
    links: list[EntryLink] = []
    problems: list[tuple[str, str]] = []
    for end in ends:
        if links and end.number >= links[-1].number:
            continue
        one: EntryLink | None = end
        while one:
            links.append(one)
            one = proven.get(one.previous)
        if links[-1].previous:
            problems.append((links[-1].document.object, "the removal entry before it is missing"))
    there = {link.sha256 for link in links}
    problems += [
        (link.document.object, "is of another chain of removal entries; left out")
        for link in proven.values()
        if link.sha256 not in there
    ]
    missing = dict.fromkeys(one for one in named if one not in proven)
    problems += [("", f"the removal entry {sha256}, which a proven manifest names, is missing") for sha256 in missing]
    return links[::-1], problems


def _tell_places(links: Iterable[EntryLink]) -> Iterator[tuple[str, str]]:
    for link in links:
        if link.document.flaw:
            yield link.document.object, f"{link.document.flaw}; what is proven names it"
        if link.document.object != link.object:
            yield link.document.object, f"was written as {link.object}, and was moved or copied to where it lies"


class NameSet:
    """A set of a million names in 8 MB, which takes one for another once in many millions of millions."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._sorted = True

    def add(self, *name: str) -> None:
        self._hashes.append(_hash(name))
        self._sorted = False

    def __contains__(self, name: tuple[str, ...]) -> bool:
        if not self._sorted:
            self._hashes = array("Q", sorted(self._hashes))
            self._sorted = True
        hash_ = _hash(name)
        at = bisect_left(self._hashes, hash_)
        return at < len(self._hashes) and self._hashes[at] == hash_


def _hash(name: tuple[str, ...]) -> int:
    return int.from_bytes(blake2b("\0".join(name).encode(), digest_size=8).digest())
