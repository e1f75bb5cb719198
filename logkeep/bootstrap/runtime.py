"""The parts of a Logkeep from its settings, for the service and for commands that do without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection, Engine

from logkeep.backup.bandwidth import Bandwidth
from logkeep.bootstrap.database import claim_database, open_database, open_own_database, read_own_id
from logkeep.bootstrap.memory import keep_freed_memory
from logkeep.bootstrap.named_buckets import NamedBuckets, WithNamed, place_of
from logkeep.bootstrap.notices import notice_options
from logkeep.bootstrap.sources import settle_source, source_opener
from logkeep.bootstrap.stores import bucket_locations, open_agencies, open_buckets, prove_buckets
from logkeep.clock import SystemClock
from logkeep.database.short_reads import loop_reader, pool_reader
from logkeep.domain.policy import PolicyRules
from logkeep.errors import SettingError
from logkeep.keyfiles.seal import open_seal
from logkeep.keyfiles.signing import open_signing
from logkeep.service import identity
from logkeep.service.request_counts import RequestCounts
from logkeep.service.runtime import BackupLimits, Runtime
from logkeep.settings import Settings
from logkeep.sources.discovery import describe_cluster
from logkeep.sources.usage import read_snapshots, read_volumes

_MIB = 1024 * 1024


def open_runtime(settings: Settings) -> Runtime:
    """Return a runtime without a queue: enough for commands such as `project` and `key`. Raises `SettingError`."""
    return build_runtime(settings, open_database(settings), _no_queue)


def open_new_runtime(settings: Settings, own_id: str = "", vouched: Sequence[str] = ()) -> Runtime:
    """Return such a runtime, and create the database if there is none; it is not used until `claim_database` is called.

    `own_id` is the id of an installation that is being made. `vouched` are further trusted public keys, in hex. Raises
    `SettingError` if the database belongs to another installation.
    """
    open_seal(settings.directory)  # fails before anything is created if this is no installation
    database = open_own_database(settings, own_id or read_own_id(settings), new=True)
    runtime = build_runtime(settings, database, _no_queue, vouched)
    identity.check_seal(runtime)
    return runtime


def make_runtime(settings: Settings) -> Runtime:
    """Return the runtime of an installation that has keys, with a new database."""
    runtime = open_new_runtime(settings)
    claim_database(settings, runtime.database)
    return runtime


def build_runtime(
    settings: Settings,
    database: Engine,
    enqueue: Callable[[Connection, str, bool], None],
    vouched: Sequence[str] = (),
) -> Runtime:
    keep_freed_memory()
    requests = RequestCounts()
    stores = prove_buckets(settings, database, open_buckets(settings, requests.of_bucket))
    agencies = open_agencies(settings, stores, requests.of_bucket)
    seal = open_seal(settings.directory)
    named = NamedBuckets(database, seal, requests.of_bucket)
    return Runtime(
        database=database,
        reader=pool_reader(database),
        loop_reader=loop_reader(database) if settings.embedded else None,
        clock=SystemClock(),
        stores=WithNamed(stores, named, named.store),
        open_source=source_opener(settings),
        settle_source=settle_source,
        describe_cluster=describe_cluster,
        read_volumes=read_volumes,
        read_snapshots=read_snapshots,
        seal=seal,
        signing=open_signing(settings.directory, vouched),
        enqueue=enqueue,
        limits=BackupLimits(
            bandwidth=Bandwidth(round(settings.backup.bandwidth_mib * _MIB)),
            cluster_bandwidth=round(settings.backup.cluster_bandwidth_mib * _MIB),
            concurrent_nodes=settings.backup.nodes_at_once,
            max_file_bytes=settings.sources.max_file_bytes,
            turn_seconds=settings.backup.turn_seconds,
        ),
        agencies={
            name: WithNamed(prove_buckets(settings, database, found), named, named.store)
            for name, found in agencies.items()
        },
        bucket_locations=WithNamed(bucket_locations(settings), named, partial(place_of, named)),
        configured_buckets=frozenset(settings.buckets),
        notices=notice_options(settings),
        trusted_proxies=settings.server.trusted_proxies,
        console=settings.console.enabled,
        policy=PolicyRules(
            round(settings.policy.spread_minutes * 60_000), round(settings.policy.stale_after_hours * 3_600_000)
        ),
        verify_every_ms=round(settings.verify.every_hours * 3_600_000),
        requests=requests,
    )


def _no_queue(_connection: Connection, _job_id: str, _by_hand: bool) -> None:
    raise SettingError("backups are started by the running service; start it with `logkeep serve`")
