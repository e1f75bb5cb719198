"""Outcome of a rebuild, and what it reports of what it found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from logkeep.archive.proof import (
    Chain,
    Document,
    Link,
    check_entry,
)
from logkeep.archive.removal_chain import EntryChain
from logkeep.domain.causes import rebuild_command
from logkeep.domain.cluster import is_cluster_id
from logkeep.service.heads import stops_backups, tell_objects
from logkeep.service.manifest_reader import Claim
from logkeep.stores.layout import (
    Removal,
)

MAX_TOLD = 10


class State(StrEnum):
    """Outcome of a rebuild for one cluster."""

    REBUILT = "rebuilt"
    KNOWN = "known"  # already in the database; nothing was changed
    REFUSED = "refused"  # nothing of it was restored
    REMOVED = "removed"  # removed on purpose, so left out


@dataclass(slots=True)
class Rebuilt:
    """Result of a rebuild for one cluster."""

    cluster_id: str
    state: State = State.REFUSED
    name: str = ""
    project: str = ""
    records: int = 0
    objects: int = 0
    size: int = 0  # plain bytes archived
    removed: int = 0  # objects that rules of retention removed
    unproven: int = 0  # unproven manifests that were taken on trust
    problems: list[str] = field(default_factory=list[str])
    taken: set[str] = field(default_factory=set[str])  # hashes of the manifests used


@dataclass(slots=True)
class FoundKey:
    """Untrusted key named by manifests; an empty key stands for manifests that name none."""

    key: str
    signed: int = 0  # manifests that this key really signed
    claimed: int = 0  # manifests that only name it
    clusters: set[str] = field(default_factory=set[str])
    first: int = 0  # creation of the oldest job, Unix ms
    last: int = 0


@dataclass(slots=True)
class Outcome:
    """Result of a rebuild."""

    clusters: list[Rebuilt] = field(default_factory=list[Rebuilt])
    problems: list[str] = field(default_factory=list[str])  # of objects that belong to no restored cluster
    keys: list[FoundKey] = field(default_factory=list[FoundKey])

    @property
    def trusted(self) -> bool:
        """Return whether anything found is proven."""
        return any(one.state is not State.REFUSED for one in self.clusters)

    @property
    def removed(self) -> list[str]:
        """Return the ids of clusters that are left out because they were removed on purpose."""
        return [one.cluster_id for one in self.clusters if one.state is State.REMOVED]


def tell_chain(chain: Chain, links: Sequence[Link]) -> Iterator[str]:
    """Yield the problems of a chain: missing, forked, contradictory and unproven manifests."""
    for entry in chain.breaks:
        yield f"{entry.document.object}: the manifest before it is missing"
    for branch in chain.branches:
        text = f"{branch[0].document.object}: is the end of another chain, which leaves this one on the way; left out"
        if stops_backups(chain, branch):
            text += (
                ". Each backup would be LK-CHAIN-FORKED: before the next one move out of _manifests, each with its "
                f".sig, {tell_objects(branch)}"
            )
        yield text
    for link in links:
        if link.proven:
            for problem in check_entry(link.entry):
                yield f"{link.entry.document.object}: {problem}; a proven manifest tells what it is"
    yield from _tell_unproven(links)


def _tell_unproven(links: Sequence[Link]) -> Iterator[str]:
    there = {link.entry.sha256 for link in links}
    unproven = [link for link in links if not link.proven]
    if unproven:
        last = unproven[-1].entry.document.object
        yield f"{last}: is unproven, with {len(unproven) - 1} others; no trusted signature covers what they tell"
    for link in links:
        if link.proven and link.entry.unproven and link.entry.unproven not in there:
            yield (
                f"{link.entry.document.object}: what came before it is unproven and was left out, down from the "
                f"manifest {link.entry.unproven}; `{rebuild_command([link.entry.document.bucket])} --unproven "
                f"{link.entry.cluster_id}` puts it in, if it is there and the database does not have the cluster yet"
            )


def tell_entries(chain: EntryChain) -> list[str]:
    """Return what is wrong with the removal entries of a cluster."""
    return [f"{name}: {problem}" if name else problem for name, problem in chain.problems]


def tell_places(chain: Chain, copies: Sequence[Document], buckets: Sequence[str]) -> Iterator[str]:
    """Yield the copies that were left out, and manifests found in another bucket than they were written to."""
    hashes = {entry.sha256 for entry in chain.links}
    mine = [copy for copy in copies if copy.sha256 in hashes]
    if mine:
        yield f"{mine[0].object} in {mine[0].bucket}: is a copy, and so are {len(mine) - 1} others; left out"
    for entry in chain.links:
        if entry.bucket in buckets and entry.document.bucket != entry.bucket:
            yield f"{entry.document.object}: lies in {entry.document.bucket}, and was written to {entry.bucket}"


class NamedClusters:
    """Found clusters by name, to report those that were asked for and not found."""

    def __init__(self, outcome: Outcome, claims: Iterable[Claim], removals: Iterable[Removal]) -> None:
        self._ids: defaultdict[str, set[str]] = defaultdict(set)
        for one in outcome.clusters:
            self._ids[one.name].add(one.cluster_id)
        for claim in claims:
            self._ids[claim.name].add(claim.entry.cluster_id)
        for removal in removals:
            self._ids[removal.cluster_name].add(removal.cluster_id)
        self._there = {id_ for ids in self._ids.values() for id_ in ids}

    def tell(self, option: str, asked: Iterable[str]) -> Iterator[str]:
        for one in sorted(set(asked) - self._there):
            if is_cluster_id(one):
                yield f"{option} {one}: no manifest of this cluster was found; nothing of it was put in"
            elif ids := sorted(self._ids.get(one, ())):
                known = ", ".join(ids[:MAX_TOLD])
                yield f"{option} {one}: is a name, which anybody may use; give the id of the one that you mean: {known}"
            else:
                yield f"{option} {one}: give the id of a cluster; none of this name was found either"


def tell_beyond(outcome: Outcome, claims: Sequence[Claim]) -> None:
    """Report what was left out: single objects if their cluster is there, else the cluster as a whole."""
    there = {one.cluster_id for one in outcome.clusters}
    put_in = {sha256 for one in outcome.clusters for sha256 in one.taken}
    refused: defaultdict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        document = claim.entry.document
        if claim.entry.cluster_id not in there:
            refused[claim.entry.cluster_id].append(claim)
        elif document.sha256 not in put_in:
            text = f"{document.object}: {document.flaw}, and no proven manifest follows it; left out"
            outcome.problems.append(text)
    for cluster_id, mine in refused.items():
        document = mine[0].entry.document
        text = f"none of its {len(mine)} manifests is proven: {document.object}: {document.flaw}"
        outcome.clusters.append(Rebuilt(cluster_id, name=mine[0].name, problems=[f"{text}; nothing of it was put in"]))


def group_keys(claims: Iterable[Claim]) -> list[FoundKey]:
    found: dict[str, FoundKey] = {}
    for claim in claims:
        one = found.setdefault(claim.key, FoundKey(claim.key, first=claim.entry.created_at))
        one.signed += claim.signed
        one.claimed += not claim.signed
        one.clusters.add(claim.entry.cluster_id)
        one.first, one.last = min(one.first, claim.entry.created_at), max(one.last, claim.entry.created_at)
    return sorted(found.values(), key=lambda one: (-one.signed, one.key))
