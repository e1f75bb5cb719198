"""Adopting an archive: registering one cluster from manifests in buckets that the database does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Self

from sqlalchemy import Connection

from logkeep.archive.proof import Chain, Document, Entry, Link, Proof, lay_out, order_chain, prove
from logkeep.archive.removal_chain import EntryChain
from logkeep.database import clusters
from logkeep.database.connection import reading
from logkeep.domain.causes import rebuild_command
from logkeep.domain.cluster import Adoption, Cluster, Discovery, NewNode, Node
from logkeep.domain.manifest import Manifest
from logkeep.domain.members import match_nodes
from logkeep.domain.removal_entry import RemovalEntry
from logkeep.errors import ChainForked, ClusterNotFound, InvalidField, NameTaken, StoreError
from logkeep.service.clusters import (
    check_cluster_name,
    check_endpoint,
    checked_nodes,
    find_new_nodes,
    insert_cluster,
    make_discovery,
    make_node,
)
from logkeep.service.heads import stops_backups, tell_objects
from logkeep.service.manifest_reader import ManifestReader, fetch_manifest, find_unreadable_end, read_manifest
from logkeep.service.rebuild_report import Rebuilt, State, tell_chain, tell_entries, tell_places
from logkeep.service.removal_entries import name_removals
from logkeep.service.restored_records import Removed, find_project, put_in
from logkeep.service.runtime import Runtime
from logkeep.stores.layout import decode_manifest, decode_removal_entry

_MOST_TOLD = 20
_IN_MEMORY = 16 * 1024 * 1024  # bytes of manifests; more lie in a file


def adopt_cluster(runtime: Runtime, project_id: str, adoption: Adoption) -> Rebuilt:
    """Register a cluster under the id of an archive, and put everything that the archive tells of it into the database.

    Only a chain counts that belongs to this project and ends in a manifest with a trusted signature. Whatever was left
    out is listed in `problems`. Raises `ClusterNotFound` if there is no such chain, `NameTaken`, `InvalidField`, and a
    `StoreError` if a bucket fails.
    """
    check_cluster_name(adoption.name)
    check_endpoint(adoption.endpoint)
    _expect_unknown(runtime, project_id, adoption)
    buckets = _buckets(runtime, adoption)
    reader = ManifestReader(runtime)
    documents = [one for bucket in buckets for one in _find_documents(reader, bucket, adoption)]
    proof = prove(documents, reader.read_entry)
    chain = order_chain([entry for entry in proof.proven if entry.cluster_id == adoption.cluster_id])
    _expect_end(chain, proof, reader, adoption, buckets)
    _expect_one_end(chain)
    links = lay_out(chain, (), ())
    told = read_manifest(runtime, chain.links[-1])
    with reading(runtime.database) as connection:
        owner = find_project(connection, told.project)
    if owner is None or owner.id != project_id:
        raise ClusterNotFound(_nothing(adoption, buckets))
    cluster = _make_cluster(runtime, project_id, adoption, told)
    rebuilt = Rebuilt(adoption.cluster_id, project=owner.name)
    entries = reader.listing.prove(runtime, adoption.cluster_id, name_removals(links))
    rebuilt.problems = _problems(chain, links, entries, proof, reader, adoption, buckets)
    with _Fetched() as fetched:
        fetched.fetch(runtime, links, entries)
        documents = [link.document for link in entries.links]
        removed = Removed(documents, fetched.read_removal, reader.listing.is_there)
        register = partial(_register, runtime, cluster, adoption.password)
        put_in(runtime, links, rebuilt, register, fetched.read, removed)
    if rebuilt.state is State.KNOWN:  # somebody else was quicker
        raise NameTaken(f"cluster {adoption.cluster_id} is registered already")
    return rebuilt


def _find_documents(reader: ManifestReader, bucket: str, adoption: Adoption) -> list[Document]:
    try:
        return list(reader.find_documents(bucket, adoption.cluster_id))
    except StoreError as error:
        hint = "" if adoption.buckets else "; where the archive does not lie there, name the buckets in which it does"
        raise type(error)(f"bucket {bucket}: {error.message}{hint}") from error


def _expect_unknown(runtime: Runtime, project_id: str, adoption: Adoption) -> None:
    with reading(runtime.database) as connection:
        known = clusters.fetch_cluster(connection, adoption.cluster_id)
        same_name = clusters.fetch_cluster_page(connection, project_id, offset=0, limit=1, name=adoption.name)[0]
    if known and known.project_id != project_id:
        raise ClusterNotFound()
    if known:
        raise NameTaken(f"cluster {known.id} is registered already, as {known.name}; there is nothing to take up")
    if same_name:
        raise NameTaken(
            f"there is a cluster named {adoption.name}, {same_name[0].id}; choose another name or remove that one"
        )


def _buckets(runtime: Runtime, adoption: Adoption) -> list[str]:
    for bucket in adoption.buckets:
        if bucket not in runtime.stores:
            raise InvalidField(
                "buckets", f"no bucket {bucket[:200]!r} is configured; there are {', '.join(runtime.stores) or 'none'}"
            )
    return list(dict.fromkeys(adoption.buckets)) or list(runtime.stores)


def _expect_end(chain: Chain, proof: Proof, reader: ManifestReader, adoption: Adoption, buckets: Sequence[str]) -> None:
    if not chain.links:
        unproven = [one for one in map(reader.read_claim, proof.beyond) if one]
        mine = [one for one in unproven if one.entry.cluster_id == adoption.cluster_id]
        if not mine:
            raise ClusterNotFound(_nothing(adoption, buckets))
        document = mine[-1].entry.document
        raise ClusterNotFound(
            f"none of the {len(mine)} manifests of cluster {adoption.cluster_id} is proven: {document.object} in "
            f"{document.bucket}: {document.flaw}. Where another installation wrote them, whose sign.pub you keep, stop "
            f"the service and run `{rebuild_command([document.bucket])} --trust sign.pub`"
        )
    if end := find_unreadable_end(chain, proof.proven, reader.unreadable):
        raise ClusterNotFound(
            f"{end.object} in {end.bucket} is signed and nothing follows it, but it cannot be read. Use the Logkeep "
            "that wrote it, or move it away and lose what it tells"
        )


def _expect_one_end(chain: Chain) -> None:
    """Raise `ChainForked` if every backup of the adopted cluster would."""
    last = chain.links[-1]
    for branch in chain.branches:
        if stops_backups(chain, branch):
            raise ChainForked(
                f"the manifests of cluster {last.cluster_id} form two chains, which end with {last.document.object} "
                f"({last.sha256}) and {branch[0].document.object} ({branch[0].sha256}), so no backup could go on; "
                "nothing was taken up. Move out of _manifests, each with its .sig, those that shall not count: either "
                f"{tell_objects(branch)}, or {tell_objects(chain.beside(branch))}"
            )


def _nothing(adoption: Adoption, buckets: Sequence[str]) -> str:
    return (
        f"there is no archive of cluster {adoption.cluster_id} of this project in {', '.join(buckets)}; compare the id "
        "with cluster_id of a manifest"
    )


def _problems(
    chain: Chain,
    links: Sequence[Link],
    entries: EntryChain,
    proof: Proof,
    reader: ManifestReader,
    adoption: Adoption,
    buckets: Sequence[str],
) -> list[str]:
    """Return what was left out, or is not as written: `_MOST_TOLD` lines at most, and a count of the rest."""
    copies = [*tell_chain(chain, links), *tell_places(chain, proof.copies, buckets), *tell_entries(entries)]
    beyond = [
        f"{claim.entry.document.object}: {claim.entry.document.flaw}, and no proven manifest follows it; left out"
        for claim in map(reader.read_claim, proof.beyond)
        if claim and claim.entry.cluster_id == adoption.cluster_id
    ]
    found = [*copies, *beyond, *reader.problems]
    more = [f"and {len(found) - _MOST_TOLD} more"] if len(found) > _MOST_TOLD else []
    return found[:_MOST_TOLD] + more


def _make_cluster(runtime: Runtime, project_id: str, adoption: Adoption, told: Manifest) -> Cluster:
    """Return the cluster to register. Nodes keep the ids of the archive, by which records name them."""
    nodes, discovery = _members(runtime, project_id, adoption, told.cluster)
    return replace(
        told.cluster,
        id=adoption.cluster_id,
        project_id=project_id,
        name=adoption.name,
        endpoint=adoption.endpoint or told.cluster.endpoint,
        updated_at=runtime.clock.now_ms(),
        nodes=tuple(nodes),
        discovery=discovery,
    )


def _members(
    runtime: Runtime, project_id: str, adoption: Adoption, archived: Cluster
) -> tuple[Sequence[Node], Discovery | None]:
    """Return the nodes to register, each checked against the sources that the project may read, and the discovery."""
    known = {node.name: node for node in archived.nodes}
    if adoption.url:
        asked = adoption.name, adoption.url, adoption.source
        found = find_new_nodes(runtime, project_id, *asked, user=adoption.user, password=adoption.password)
        members = match_nodes(
            archived.nodes, [make_node(one, archived.kind) for one in found], runtime.clock.now_ms()
        ).nodes
        discovery = make_discovery(adoption.url, adoption.source, adoption.user)
        return [node for node in members if node.instance], discovery
    if adoption.nodes:
        new = checked_nodes(runtime, project_id, adoption.nodes)
        return [make_node(one, archived.kind, known.get(one.name)) for one in new], None
    there = [
        NewNode(name=one.name, source=one.source, role=one.role, ip=one.ip, instance=one.instance)
        for one in archived.nodes
        if not one.gone_at
    ]
    nodes = [make_node(one, archived.kind, known[one.name]) for one in checked_nodes(runtime, project_id, there)]
    return [*nodes, *(node for node in archived.nodes if node.gone_at)], archived.discovery


class _Fetched:
    """Copy of manifests and removal entries on this machine, so that the locked database never waits for a bucket."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  it is closed with what holds it
        self._places: dict[str, tuple[int, int]] = {}  # by hash: offset and length in the file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def fetch(self, runtime: Runtime, links: Sequence[Link], entries: EntryChain) -> None:
        for document in (*(link.entry.document for link in links), *(link.document for link in entries.links)):
            data = fetch_manifest(runtime, document)
            self._places[document.sha256] = self._file.tell(), len(data)
            self._file.write(data)

    def read(self, entry: Entry) -> Manifest:
        return decode_manifest(self._read(entry.sha256))

    def read_removal(self, document: Document) -> RemovalEntry:
        return decode_removal_entry(self._read(document.sha256))

    def _read(self, sha256: str) -> bytes:
        at, length = self._places[sha256]
        self._file.seek(at)
        return self._file.read(length)


def _register(runtime: Runtime, cluster: Cluster, password: str, connection: Connection, _told: Manifest) -> Cluster:
    insert_cluster(runtime, connection, cluster, password)
    return cluster
