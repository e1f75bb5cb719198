"""Rebuilding a lost catalogue from the manifests in the buckets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from logkeep.archive.proof import (
    Chain,
    Entry,
    Link,
    lay_out,
    lay_out_unproven,
    order_chain,
    prove,
)
from logkeep.database import clusters, keys
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Manifest
from logkeep.errors import CatalogueError, InvalidField
from logkeep.service.manifest_reader import ManifestReader, find_unreadable_end, one_line, read_manifest
from logkeep.service.rebuild_report import (
    MAX_TOLD,
    NamedClusters,
    Outcome,
    Rebuilt,
    State,
    group_keys,
    tell_beyond,
    tell_chain,
    tell_entries,
    tell_places,
)
from logkeep.service.removal_entries import name_removals, read_entry
from logkeep.service.restored_records import Removed, find_project, put_in
from logkeep.service.runtime import Runtime


def rebuild(
    runtime: Runtime,
    buckets: Sequence[str],
    *,
    unproven: Collection[str] = (),
    noted: Collection[str] = (),
    adopt: Collection[str] = (),
    names: Mapping[str, str] | None = None,
    begin: Callable[[], None] = lambda: None,
) -> Outcome:
    """Restore every cluster that proven manifests in these buckets describe.

    A cluster that is in the database is left unchanged. Each is restored completely or not at all.

    What no trusted signature covers is reported and left out, except for cluster ids in `unproven`. Such a cluster is
    restored with log backup closed, because manifests determine which directories the next backup reads.

    A cluster that was removed on purpose is left out, unless its id is in `adopt`. `names` are new names by id. If a
    hash in `noted` is not found, nothing is restored. `begin` is called after all is read and before the first write,
    if there is anything to restore. Raises a `StoreError` if a bucket fails.
    """
    names = names or {}
    reader = ManifestReader(runtime, thorough=bool(unproven))
    proof = prove([document for bucket in buckets for document in reader.find_documents(bucket)], reader.read_entry)
    claims = [claim for document in proof.beyond if (claim := reader.read_claim(document))]
    outcome = Outcome(problems=reader.problems, keys=group_keys(claims))
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
            outcome.clusters.append(_rebuild_cluster(runtime, reader, links, problems, names))
    outcome.clusters += [
        _rebuild_unproven(runtime, reader, order_chain(entries, noted), noted, names) for entries in asked.values()
    ]
    tell_beyond(outcome, claims)
    named = NamedClusters(outcome, claims, reader.removals.values())
    for option, ids in (("--unproven", unproven), ("--adopt", adopt), ("--name", names)):
        outcome.problems += named.tell(option, ids)
    return outcome


def _by_cluster(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.cluster_id].append(entry)
    return dict(found)


def _rebuild_unproven(
    runtime: Runtime, reader: ManifestReader, chain: Chain, noted: Collection[str], names: Mapping[str, str]
) -> Rebuilt:
    """Restore a cluster taken on trust, of which nothing is proven; refuse it if several chains could be meant."""
    links = lay_out_unproven(chain)
    if not chain.forks or any(entry.sha256 in noted for entry in chain.links):
        return _rebuild_cluster(runtime, reader, links, tell_chain(chain, links), names)
    ends = [entry.sha256 for entry in (chain.links[-1], *chain.forks)][:MAX_TOLD]
    text = f"its manifests form several chains; name the last one of yours with --head: {', '.join(ends)}"
    return Rebuilt(chain.links[-1].cluster_id, problems=[f"{text}; nothing of it was put in"])


def _rebuild_cluster(
    runtime: Runtime,
    reader: ManifestReader,
    links: Sequence[Link],
    problems: Iterable[str],
    names: Mapping[str, str],
) -> Rebuilt:
    rebuilt = Rebuilt(links[-1].entry.cluster_id, problems=list(problems))
    register = partial(_insert_cluster, rebuilt, names.get(rebuilt.cluster_id, ""))
    try:
        entries = reader.listing.prove(runtime, rebuilt.cluster_id, name_removals(links))
        rebuilt.problems += tell_entries(entries)
        read = partial(read_entry, runtime.stores, cluster_id=rebuilt.cluster_id)
        removed = Removed([link.document for link in entries.links], read, reader.listing.is_there)
        put_in(runtime, links, rebuilt, register, partial(read_manifest, runtime), removed)
    except CatalogueError:
        raise
    except Exception as error:  # the other clusters are still restored
        rebuilt.state = State.REFUSED
        rebuilt.problems.append(f"{one_line(error)}; nothing of this cluster was put in")
    return rebuilt


def _insert_cluster(rebuilt: Rebuilt, wanted: str, connection: Connection, told: Manifest) -> Cluster:
    """Insert the cluster into its project, under the wanted name, or one that is free.

    Raises `InvalidField` if the wanted name is taken.
    """
    cluster, owner = told.cluster, find_project(connection, told.project)
    if owner is None:
        owner = told.project
        keys.insert_project(connection, owner)
    name, number = wanted or cluster.name, 0
    while taken := clusters.fetch_cluster_page(connection, owner.id, offset=0, limit=1, name=name)[0]:
        again = f"--name {cluster.id}=NEW"
        if wanted:
            raise InvalidField(
                "--name", f"{name} is the name of cluster {taken[0].id} already; choose another: {again}"
            )
        if not number:
            rebuilt.problems.append(
                f"its name {name} is that of cluster {taken[0].id} too, so it came back under the one shown; to choose "
                f"another, rebuild into a database that lacks it with {again}"
            )
        number += 1
        name = f"{cluster.name}.~{number}"
    cluster = replace(cluster, project_id=owner.id, name=name)
    clusters.insert_cluster(connection, cluster)
    rebuilt.cluster_id, rebuilt.project = cluster.id, owner.name
    return cluster
