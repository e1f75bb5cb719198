"""Rebuilding a lost catalogue from the manifests in the buckets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from shlex import quote
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from logkeep.database import archive, clusters, jobs, keys, log_settings
from logkeep.database.connection import writing
from logkeep.database.retired import RetiredGenerations
from logkeep.database.warnings import save_warnings
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.causes import rebuild_command
from logkeep.domain.cluster import Cluster, Project, is_cluster_id
from logkeep.domain.log_setting import LogSetting
from logkeep.domain.manifest import Manifest, Segment, UnreportedJob
from logkeep.domain.policy import next_start
from logkeep.engine.chain import SIGNATURE_BYTES, find_flaw
from logkeep.engine.orphans import object_prefix, setting_prefix
from logkeep.engine.proof import (
    Chain,
    Document,
    Entry,
    Link,
    check_entry,
    lay_out,
    lay_out_unproven,
    make_entry,
    order_chain,
    prove,
)
from logkeep.engine.rebuild import Generations
from logkeep.engine.retirement import find_retired
from logkeep.errors import BucketMissing, CatalogueError, LogkeepError, StoreCorrupt, StoreUnreachable
from logkeep.service.context import Context
from logkeep.service.heads import stops_backups, tell_objects
from logkeep.service.places import find_conflict, note_place
from logkeep.service.removal import read_removal
from logkeep.stores.base import find_store, hash_object
from logkeep.stores.layout import (
    ObjectKind,
    Removal,
    decode_claim,
    decode_manifest,
    is_removal,
    manifest_hash,
    parse_object,
    signature_object,
)

_Read = TypeVar("_Read")

_UNREADABLE = 3  # failed reads in a row after which the bucket counts as failed
_MOST_TOLD = 10
_LARGE_CLAIM = 16 * 1024 * 1024  # bytes of an unproven manifest up to which it is read just to report it


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


def rebuild(
    context: Context,
    buckets: Sequence[str],
    *,
    unproven: Collection[str] = (),
    noted: Collection[str] = (),
    adopt: Collection[str] = (),
    begin: Callable[[], None] = lambda: None,
) -> Outcome:
    """Restore every cluster that proven manifests in these buckets describe.

    A cluster that is in the database is left unchanged. Each is restored completely or not at all.

    What no trusted signature covers is reported and left out, except for cluster ids in `unproven`. Such a cluster is
    restored with log backup closed, because manifests determine which directories the next backup reads.

    A cluster that was removed on purpose is left out, unless its id is in `adopt`. If a hash in `noted` is not found,
    nothing is restored. `begin` is called after all is read and before the first write, if there is anything to
    restore. Raises a `StoreError` if a bucket fails.
    """
    reader = Reader(context, thorough=bool(unproven))
    proof = prove([document for bucket in buckets for document in reader.find_documents(bucket)], reader.read_entry)
    claims = [claim for document in proof.beyond if (claim := reader.read_claim(document))]
    outcome = Outcome(problems=reader.problems, keys=_group_keys(claims))
    asked = _by_cluster(claim.entry for claim in claims if claim.entry.cluster_id in unproven)
    there = {entry.sha256 for entries in (proof.proven, *asked.values()) for entry in entries}
    if missing := sorted(set(noted) - there):
        outcome.problems += [
            f"the manifest {sha256}, which was noted, is not there or not proven" for sha256 in missing
        ]
        return outcome
    if proof.proven or asked:  # `begin` trusts keys from now on: not if they prove nothing here
        begin()
    chains = [order_chain(entries, noted) for entries in _by_cluster(proof.proven).values()]
    for chain in sorted(chains, key=lambda chain: chain.links[-1].created_at, reverse=True):
        links = lay_out(chain, asked.pop(chain.links[-1].cluster_id, ()), noted)
        problems = [*tell_chain(chain, links), *tell_places(chain, proof.copies, buckets)]
        if end := find_unreadable_end(chain, proof.proven, reader.unreadable):
            problems.append(
                f"{end.object}: its last manifest is signed, and cannot be read; nothing of this cluster was put in. "
                "Use the Logkeep that wrote it, or move it away and lose what it tells"
            )
            outcome.clusters.append(Rebuilt(chain.links[-1].cluster_id, problems=problems))
        elif (removed := reader.removals.get(chain.links[-1].sha256)) and removed.cluster_id not in adopt:
            taken = {link.entry.sha256 for link in links}
            outcome.clusters.append(Rebuilt(removed.cluster_id, State.REMOVED, removed.cluster_name, taken=taken))
        else:
            outcome.clusters.append(_rebuild_cluster(context, links, problems))
    outcome.clusters += [_rebuild_unproven(context, order_chain(entries, noted), noted) for entries in asked.values()]
    _tell_beyond(outcome, claims)
    named = _Named(outcome, claims, reader.removals.values())
    outcome.problems += [*named.tell("--unproven", unproven), *named.tell("--adopt", adopt)]
    return outcome


def _by_cluster(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.cluster_id].append(entry)
    return dict(found)


@dataclass(frozen=True, slots=True)
class _Claim:
    """Contents of an unproven manifest."""

    entry: Entry
    name: str  # of its cluster
    key: str
    signed: bool  # that key really signed it


class Reader:
    """Reads manifests one by one; an unreadable one is reported, and reading goes on."""

    def __init__(self, context: Context, *, thorough: bool = False) -> None:
        """Read unproven manifests of any size if `thorough`, else up to `_LARGE_CLAIM` bytes."""
        self._context = context
        self._thorough = thorough
        self._large: dict[Document, int] = {}  # size of manifests that lack a trusted signature and exceed the limit
        self._signed: dict[str, Entry] = {}  # by hash
        self._failures = 0  # reads in a row that did not reach the bucket
        self.problems: list[str] = []
        self.unreadable: list[Document] = []  # signed manifests that cannot be decoded
        self.removals: dict[str, Removal] = {}  # proven ones, by the hash of the cluster's last manifest

    def find_documents(self, bucket: str, cluster_id: str = "") -> Iterator[Document]:
        """Yield every manifest of a bucket. Signed ones are decoded now, so that they are not fetched twice.

        With `cluster_id`, folders whose first signed manifest belongs to another cluster are skipped: no two clusters
        share a folder.
        """
        sizes: dict[str, int] = {}
        folders: dict[str, list[str]] = {}
        for thing in find_store(self._context.stores, bucket).list(""):
            if is_removal(thing.name):
                self._try(thing.name, partial(self._read_removal, bucket, thing.name))
            found = parse_object(thing.name)
            if found and found.kind is not ObjectKind.SEGMENT:
                sizes[thing.name] = thing.size
                if found.kind is ObjectKind.MANIFEST:
                    folders.setdefault(found.folder, []).append(thing.name)
        for names in folders.values():
            yield from self._find_in_folder(bucket, names, sizes, cluster_id)

    def _find_in_folder(
        self, bucket: str, names: Sequence[str], sizes: Mapping[str, int], cluster_id: str
    ) -> Iterator[Document]:
        found: list[Document] = []
        for name in names:
            if document := self._try(name, partial(self._find_document, bucket, name, sizes)):
                found.append(document)
                owner = self._signed.get(document.sha256)
                if cluster_id and owner and owner.cluster_id != cluster_id:
                    return
        yield from found

    def read_entry(self, document: Document) -> Entry | None:
        """Read a proven manifest; None if it cannot be read."""

        def read() -> Entry:
            return make_entry(document, decode_manifest(fetch_manifest(self._context, document)))

        return self._signed.get(document.sha256) or self._try(document.object, read)

    def read_claim(self, document: Document) -> _Claim | None:
        """Read an unproven manifest, to report it; None if it cannot be read."""

        def read() -> _Claim:
            if document in self._large and not self._thorough:
                raise StoreCorrupt(f"{document.flaw}; left out: it has {self._large[document]} bytes")
            data = fetch_manifest(self._context, document)
            try:
                claim = decode_claim(data)
            except StoreCorrupt as error:
                raise StoreCorrupt(f"{document.flaw}; left out: {error.message}") from error
            store = self._context.stores[document.bucket]
            flaw = find_flaw(store, document.object, data, partial(self._find_claimed, claim.key))
            return _Claim(make_entry(document, claim), claim.cluster_name, claim.key, not flaw)

        return self._try(document.object, read)

    def _find_claimed(self, key: str, data: bytes, signature: bytes) -> str:
        return key if self._context.is_signed_by(key, data, signature) else ""

    def _read_removal(self, bucket: str, name: str) -> None:
        removal = read_removal(self._context.stores[bucket], name, self._context.find_signer)
        self.removals[removal.manifest] = removal

    def _find_document(self, bucket: str, name: str, sizes: Mapping[str, int]) -> Document:
        store, signature, size = self._context.stores[bucket], sizes.get(signature_object(name), 0), sizes[name]
        if signature == SIGNATURE_BYTES:
            data = store.get(name, size=size)
            flaw = find_flaw(store, name, data, self._context.find_signer, signature)
            document = Document(bucket, name, manifest_hash(data), flaw)
            if not flaw and document.sha256 not in self._signed:
                self._decode_signed(document, data)
        else:  # only a later manifest's hash can prove it, so it is hashed without being kept in memory
            flaw = find_flaw(store, name, b"", self._context.find_signer, signature)
            document = Document(bucket, name, hash_object(store, name, size), flaw)
        if document.flaw and size > _LARGE_CLAIM:
            self._large[document] = size
        return document

    def _decode_signed(self, document: Document, data: bytes) -> None:
        try:
            self._signed[document.sha256] = make_entry(document, decode_manifest(data))
        except Exception:
            self.unreadable.append(document)
            raise

    def _try(self, name: str, read: Callable[[], _Read]) -> _Read | None:
        try:
            found = read()
        except BucketMissing:
            raise
        except Exception as error:  # any error concerns this object only
            self._failures += isinstance(error, StoreUnreachable)
            if self._failures >= _UNREADABLE:
                raise
            self.problems.append(f"{name}: {_one_line(error)}")
            return None
        self._failures = 0
        return found


def fetch_manifest(context: Context, document: Document) -> bytes:
    """Return the bytes of a manifest. Raises `StoreCorrupt` if they changed since it was found."""
    data = find_store(context.stores, document.bucket).get(document.object)
    if manifest_hash(data) != document.sha256:
        raise StoreCorrupt("it changed while it was read; is a service writing to this bucket?")
    return data


def find_unreadable_end(chain: Chain, proven: Iterable[Entry], unreadable: Sequence[Document]) -> Document | None:
    """Return a signed but unreadable manifest in a place of the chain that nothing follows; None if there is none.

    It is probably the end of the chain; a cluster restored without it would fork the chain.
    """
    if not unreadable:
        return None
    followed = {entry.previous for entry in proven}
    places = {_place(entry.document) for entry in chain.links}
    return next((one for one in unreadable if one.sha256 not in followed and _place(one) in places), None)


def _place(document: Document) -> tuple[str, str]:
    name = parse_object(document.object)
    return document.bucket, name.folder if name else ""


def _one_line(error: Exception) -> str:
    """Return an error in one line; for errors of libraries with the name of the class."""
    if isinstance(error, LogkeepError):
        return error.message
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"


# Reporting problems


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


def tell_places(chain: Chain, copies: Sequence[Document], buckets: Sequence[str]) -> Iterator[str]:
    """Yield the copies that were left out, and manifests found in another bucket than they were written to."""
    hashes = {entry.sha256 for entry in chain.links}
    mine = [copy for copy in copies if copy.sha256 in hashes]
    if mine:
        yield f"{mine[0].object} in {mine[0].bucket}: is a copy, and so are {len(mine) - 1} others; left out"
    for entry in chain.links:
        if entry.bucket in buckets and entry.document.bucket != entry.bucket:
            yield f"{entry.document.object}: lies in {entry.document.bucket}, and was written to {entry.bucket}"


class _Named:
    """Found clusters by name, to report those that were asked for and not found."""

    def __init__(self, outcome: Outcome, claims: Iterable[_Claim], removals: Iterable[Removal]) -> None:
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
                known = ", ".join(ids[:_MOST_TOLD])
                yield f"{option} {one}: is a name, which anybody may use; give the id of the one that you mean: {known}"
            else:
                yield f"{option} {one}: give the id of a cluster; none of this name was found either"


def _tell_beyond(outcome: Outcome, claims: Sequence[_Claim]) -> None:
    """Report what was left out: single objects if their cluster is there, else the cluster as a whole."""
    there = {one.cluster_id for one in outcome.clusters}
    put_in = {sha256 for one in outcome.clusters for sha256 in one.taken}
    refused: defaultdict[str, list[_Claim]] = defaultdict(list)
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


def _group_keys(claims: Iterable[_Claim]) -> list[FoundKey]:
    found: dict[str, FoundKey] = {}
    for claim in claims:
        one = found.setdefault(claim.key, FoundKey(claim.key, first=claim.entry.created_at))
        one.signed += claim.signed
        one.claimed += not claim.signed
        one.clusters.add(claim.entry.cluster_id)
        one.first, one.last = min(one.first, claim.entry.created_at), max(one.last, claim.entry.created_at)
    return sorted(found.values(), key=lambda one: (-one.signed, one.key))


# Restoring proven clusters, and unproven ones taken on trust


def _rebuild_unproven(context: Context, chain: Chain, noted: Collection[str]) -> Rebuilt:
    """Restore a cluster taken on trust, of which nothing is proven; refuse it if several chains could be meant."""
    links = lay_out_unproven(chain)
    if not chain.forks or any(entry.sha256 in noted for entry in chain.links):
        return _rebuild_cluster(context, links, tell_chain(chain, links))
    ends = [entry.sha256 for entry in (chain.links[-1], *chain.forks)][:_MOST_TOLD]
    text = f"its manifests form several chains; name the last one of yours with --head: {', '.join(ends)}"
    return Rebuilt(chain.links[-1].cluster_id, problems=[f"{text}; nothing of it was put in"])


def _rebuild_cluster(context: Context, links: Sequence[Link], problems: Iterable[str]) -> Rebuilt:
    rebuilt = Rebuilt(links[-1].entry.cluster_id, problems=list(problems))
    try:
        put_in(context, links, rebuilt, partial(_insert_cluster, rebuilt), partial(read_manifest, context))
    except CatalogueError:
        raise
    except Exception as error:  # the other clusters are still restored
        rebuilt.state = State.REFUSED
        rebuilt.problems.append(f"{_one_line(error)}; nothing of this cluster was put in")
    return rebuilt


def put_in(
    context: Context,
    links: Sequence[Link],
    rebuilt: Rebuilt,
    register: Callable[[Connection, Manifest], Cluster],
    read: Callable[[Entry], Manifest],
) -> None:
    """Restore a cluster as its last proven manifest describes it, or the last one if none is proven.

    If the chain ends with unproven manifests, log backup is closed: unproven sources must not be read automatically.
    `register` puts the cluster itself into the database. `read` is called while the database is locked.
    """
    teller = next((link for link in reversed(links) if link.proven), links[-1])
    told = read(teller.entry)
    closed = not links[-1].proven
    rebuilt.name = told.cluster_name
    rebuilt.taken = {link.entry.sha256 for link in links}
    with writing(context.database) as connection:
        if clusters.fetch_cluster(connection, rebuilt.cluster_id):
            rebuilt.state = State.KNOWN
            return
        cluster = register(connection, told)
        rebuilt.name = cluster.name
        setting = _setting_of(context, connection, cluster, told.setting, rebuilt)
        if setting and closed:
            setting = replace(setting, enabled=False, period=None, adaptive=False)
        records = Records(connection, rebuilt.cluster_id, setting)
        for link in links:
            records.add(link, read(link.entry))
        records.finish()
    rebuilt.state = State.REBUILT
    rebuilt.unproven = sum(not link.proven for link in links)
    rebuilt.records, rebuilt.objects, rebuilt.size = records.jobs, records.objects, records.size
    if closed:
        rebuilt.problems.append(
            f"log backup is closed: look at its nodes, and open it with `logkeep logs open {quote(rebuilt.name)}`"
        )


def read_manifest(context: Context, entry: Entry) -> Manifest:
    """Read a manifest. Raises `StoreCorrupt` with the name of the object for any error."""
    try:
        return decode_manifest(fetch_manifest(context, entry.document))
    except Exception as error:
        raise StoreCorrupt(f"{entry.document.object}: {_one_line(error)}") from error


def find_project(connection: Connection, told: Project) -> Project | None:
    """Find the project of a manifest by id, or by name: a new installation gave it another id."""
    found = keys.fetch_projects(connection, project_id=told.id) or keys.fetch_projects(connection, name=told.name)
    return found[0] if found else None


def _insert_cluster(rebuilt: Rebuilt, connection: Connection, told: Manifest) -> Cluster:
    """Insert the cluster into its project, under a name that is free."""
    cluster, owner = told.cluster, find_project(connection, told.project)
    if owner is None:
        owner = told.project
        keys.insert_project(connection, owner)
    name, number = cluster.name, 0
    while clusters.fetch_cluster_page(connection, owner.id, offset=0, limit=1, name=name)[1]:
        number += 1
        name = f"{cluster.name}.~{number}"
    cluster = replace(cluster, project_id=owner.id, name=name)
    clusters.insert_cluster(connection, cluster)
    rebuilt.cluster_id, rebuilt.project = cluster.id, owner.name
    return cluster


def _setting_of(
    context: Context, connection: Connection, cluster: Cluster, setting: LogSetting | None, rebuilt: Rebuilt
) -> LogSetting | None:
    """Return the setting, closed if another cluster has its folder by now."""
    if setting is None:
        return None
    if problem := find_conflict(context, connection, cluster, setting.bucket, setting.base_path):
        rebuilt.problems.append(f"its log backup is closed: {problem}; then open it")
        return replace(setting, enabled=False, period=None, adaptive=False)
    note_place(connection, cluster.id, setting_prefix(setting.bucket, setting.base_path, cluster.name))
    return setting


class Records:
    """Writes what the manifests of one cluster report into its tables."""

    def __init__(self, connection: Connection, cluster_id: str, setting: LogSetting | None) -> None:
        self._connection = connection
        self._cluster_id = cluster_id
        self._setting = setting
        self._generations = Generations()
        self._newest = 0  # creation of the newest job, Unix ms
        self.jobs = self.objects = self.size = 0

    def add(self, link: Link, manifest: Manifest) -> None:
        """Add one manifest. Raises `StoreCorrupt` with the name of the object if the database rejects a value."""
        document = link.entry.document
        try:
            self._add(link, manifest)
        except CatalogueError:
            raise
        except Exception as error:
            raise StoreCorrupt(f"{document.object}: it cannot be put in: {_one_line(error)}") from error

    def _add(self, link: Link, manifest: Manifest) -> None:
        document = link.entry.document
        for told in manifest.earlier:
            self._add_job(1, manifest, told)
        told = UnreportedJob(manifest.job, manifest.gaps, manifest.notes, manifest.warnings)
        self._add_job(link.entry.attempt, manifest, told)
        moved = {manifest.job.bucket: document.bucket}  # the bucket may have another name in this installation
        for segment in manifest.segments:
            bucket = moved.get(segment.bucket, segment.bucket)
            self._add_segment(msgspec.structs.replace(segment, bucket=bucket), manifest)
        row = archive.ManifestRow(
            manifest.job.job_id,
            link.number,
            document.bucket,
            document.object,
            document.sha256,
            link.proven,
            manifest.unproven,
        )
        archive.insert_manifest(self._connection, self._cluster_id, row)
        note_place(self._connection, self._cluster_id, object_prefix(document.bucket, document.object))
        self._generations.add(manifest)

    def finish(self) -> None:
        """Write checkpoints, retired generations and the setting, once all manifests are added."""
        for node, checkpoints in self._generations.checkpoints().items():
            archive.save_checkpoints(self._connection, self._cluster_id, node, checkpoints)
            RetiredGenerations(self._connection, self._cluster_id, node).add(find_retired(checkpoints))
        if self._setting:  # a daily start missed since the last job happens once, late
            log_settings.save_setting(self._connection, self._setting)
            if self._setting.period:
                due_at = next_start(self._setting.period, self._cluster_id, self._newest, 0)
                log_settings.plan_policy(self._connection, self._cluster_id, self._setting.updated_at, due_at)

    def _add_job(self, attempt: int, manifest: Manifest, told: UnreportedJob) -> None:
        job = told.job
        cleared = self._setting.failures_cleared_at if self._setting else 0
        if job.status is JobStatus.FAIL and (job.finished_at or 0) <= cleared:
            return
        jobs.insert_job(self._connection, job, attempt=attempt, manifest_job_id=manifest.job.job_id)
        for gap in told.gaps:
            archive.insert_findings(self._connection, job.job_id, gap.node, [gap])
        archive.insert_findings(self._connection, job.job_id, "", told.notes)
        save_warnings(self._connection, self._cluster_id, job.job_id, told.warnings)
        self._newest = max(self._newest, job.created_at)
        self.jobs += 1

    def _add_segment(self, segment: Segment, manifest: Manifest) -> None:
        name = parse_object(segment.object)
        job_id = name.job_id if name else manifest.job.job_id
        archive.insert_segment(self._connection, self._cluster_id, job_id, segment, manifest.job.job_id)
        self.objects += 1
        self.size += segment.end - segment.start
