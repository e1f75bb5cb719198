"""Dependencies of the service functions, wired once by `bootstrap`."""

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
from logkeep.service.meter import Metrics, NullMetrics
from logkeep.sources.base import FoundCluster, LogSource, Tenant
from logkeep.stores.base import ObjectStore


@dataclass(frozen=True, slots=True)
class Context:
    """Parts of one running Logkeep."""

    database: Engine
    clock: Clock
    stores: Mapping[str, ObjectStore]  # by bucket name, with the credentials of the bucket
    # Opens a source URL for a project. Raises `SettingError` or `SourceRefused` if the project may not read it.
    open_source: Callable[[str, Tenant], LogSource]
    settle_source: Callable[[str], str]  # the URL to register, with links resolved; raises `SettingError`
    describe_cluster: Callable[[str, str, str], FoundCluster]  # by URL, user, password; raises `InvalidField`
    seal: Callable[[str], bytes]  # encrypts a secret for the database
    unseal: Callable[[bytes], str]
    signing_key: str  # public key that verifies new manifests, in hex
    sign: Callable[[bytes], bytes]
    find_signer: Callable[[bytes, bytes], str]  # data, signature: the trusted public key that signed, '' if none
    is_signed_by: Callable[[str, bytes, bytes], bool]  # any public key (hex), data, signature
    enqueue: Callable[[Connection, str, bool], None]  # job id, started by a user: queues it in the caller's transaction
    bandwidth: Bandwidth = UNLIMITED  # of all jobs of this process
    cluster_bandwidth: int = 0  # bytes a second of one job; 0 is no limit
    nodes_at_once: int = 1  # of one job
    max_file_bytes: int = 2**62  # plain bytes backed up of one file at most
    turn_seconds: float = inf  # how long a job keeps its slot while others wait
    others_wait: Callable[[], bool] = lambda: False  # whether jobs wait for a slot
    stopping: Event = field(default_factory=Event)  # set when this process begins to stop
    reads_at_once: bool = False  # short reads run on the event loop: with SQLite that is faster than a thread
    settle_ns: int = 2_000_000_000  # a file changed more recently is examined again by the next job
    # Stores as each configured agency opens them; if empty, any valid name means the service's own credentials.
    agencies: Mapping[str, Mapping[str, ObjectStore]] = field(default_factory=dict[str, Mapping[str, ObjectStore]])
    # Locations, which show whether buckets are the same or nested: 'fs:/folder', 's3:endpoint/bucket/prefix'.
    bucket_locations: Mapping[str, str] = field(default_factory=dict[str, str])
    policy: PolicyRules = PolicyRules()  # noqa: RUF009  it is frozen
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks
    lockout: Lockout = field(default_factory=Lockout)
    meter: Metrics = field(default_factory=NullMetrics)
