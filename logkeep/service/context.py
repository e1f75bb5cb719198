"""What the service functions work with, put together once by `bootstrap`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from threading import Event

from sqlalchemy import Connection, Engine

from logkeep.clock import Clock
from logkeep.domain.policy import PolicyRules
from logkeep.engine.bandwidth import UNLIMITED, Bandwidth
from logkeep.service.lockout import Lockout
from logkeep.service.meter import Meter, NoMeter
from logkeep.sources.base import FoundCluster, LogSource, Tenant
from logkeep.stores.base import ObjectStore


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of one running Logkeep."""

    database: Engine
    clock: Clock
    stores: Mapping[str, ObjectStore]  # by bucket name, with the credentials of the bucket
    # By URL, and for whom. Raises `SettingError` or `SourceRefused` where that project may not read it.
    open_source: Callable[[str, Tenant], LogSource]
    settle_source: Callable[[str], str]  # the URL as it is registered, links resolved; raises `SettingError`
    describe_cluster: Callable[[str, str, str], FoundCluster]  # by URL, user, password; raises `InvalidField`
    seal: Callable[[str], bytes]  # encrypts a secret for the database
    unseal: Callable[[bytes], str]
    signing_key: str  # public key of what signs manifests, in hex
    sign: Callable[[bytes], bytes]
    find_signer: Callable[[bytes, bytes], str]  # data, signature: the trusted public key that it is of, '' for none
    is_signed_by: Callable[[str, bytes, bytes], bool]  # public key of whomever, data, signature
    enqueue: Callable[[Connection, str, bool], None]  # job id, by hand: into the queue, in the caller's transaction
    bandwidth: Bandwidth = UNLIMITED  # of all jobs of this process
    cluster_bandwidth: int = 0  # bytes a second of one job; 0 is no limit
    nodes_at_once: int = 1  # of one job
    max_file_bytes: int = 2**62  # plain bytes that are kept of one file
    turn_seconds: float = inf  # that a job has a slot for before it lets others go first
    others_wait: Callable[[], bool] = lambda: False  # whether jobs wait for a slot
    stopping: Event = field(default_factory=Event)  # set once this process takes no more work
    reads_at_once: bool = False  # a short read takes less time than handing it to a thread, as with SQLite
    settle_ns: int = 2_000_000_000  # a file that changed more recently is looked into again next time
    # The stores as each configured agency opens them; where empty, any valid name means the service's own.
    agencies: Mapping[str, Mapping[str, ObjectStore]] = field(default_factory=dict[str, Mapping[str, ObjectStore]])
    # What tells whether buckets are the same or lie in each other: 'fs:/folder', 's3:endpoint/bucket/prefix'.
    bucket_locations: Mapping[str, str] = field(default_factory=dict[str, str])
    policy: PolicyRules = PolicyRules()  # noqa: RUF009  it is frozen
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks
    lockout: Lockout = field(default_factory=Lockout)
    meter: Meter = field(default_factory=NoMeter)
