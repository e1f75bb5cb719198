"""Dependencies of the service functions, wired once by `bootstrap`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from threading import Event

from sqlalchemy import Connection, Engine

from logkeep.backup.bandwidth import UNLIMITED, Bandwidth
from logkeep.clock import Clock
from logkeep.database.short_reads import Reader
from logkeep.domain.keys import Seal, Signing
from logkeep.domain.notice import Notice
from logkeep.domain.notice_target import Answer, ConfiguredTarget, Destination
from logkeep.domain.policy import PolicyRules
from logkeep.service.lockout import Lockout
from logkeep.service.meter import Metrics, NullMetrics
from logkeep.service.outage import DatabaseOutage
from logkeep.service.request_counts import RequestCounts
from logkeep.sources.base import FoundCluster, FoundSnapshot, FoundVolume, LogSource, Tenant
from logkeep.stores.base import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupLimits:
    """How much the backups of this process take, and when."""

    bandwidth: Bandwidth = UNLIMITED  # of all jobs of this process
    cluster_bandwidth: int = 0  # bytes a second of one job; 0 is no limit
    concurrent_nodes: int = 1  # of one job
    max_file_bytes: int = 2**62  # plain bytes backed up of one file
    turn_seconds: float = inf  # how long a job keeps its slot while others wait
    settle_ns: int = 2_000_000_000  # a file changed more recently is examined again by the next job


def _no_sender(_destination: Destination, _notice: Notice | None) -> Answer:
    return Answer("this process sends no notices")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeOptions:
    """Who is told what besides the targets of the database, and how."""

    targets: tuple[ConfiguredTarget, ...] = ()
    # Sends a notice, or a ping where there is none. Failures are an `Answer` as well.
    send: Callable[[Destination, Notice | None], Answer] = _no_sender
    installation: str = ""  # its id
    allows_plain: bool = False  # whether tenants may name URLs of http, which lead to allowed networks only
    console_url: str = ""  # where browsers reach the console; '' where that is not known
    give_up_ms: int = 3 * 86_400_000  # after which a notice is not sent any more
    keep_ms: int = 90 * 86_400_000  # notices


@dataclass(frozen=True, slots=True)
class Runtime:
    """Parts of one running Logkeep."""

    database: Engine
    reader: Reader  # of short lists
    loop_reader: Reader | None  # the same for the event loop; None if threads are faster
    clock: Clock
    stores: Mapping[str, ObjectStore]  # by bucket name, with the credentials of the bucket
    # Opens a source URL for a project. Raises `SettingError` or `SourceRefused` if the project may not read it.
    open_source: Callable[[str, Tenant], LogSource]
    settle_source: Callable[[str], str]  # the URL to register, with links resolved; raises `SettingError`
    describe_cluster: Callable[[str, str, str], FoundCluster]  # by URL, user, password; raises `InvalidField`
    # The same of its disks and of its snapshots.
    read_volumes: Callable[[str, str, str], Sequence[FoundVolume]]
    read_snapshots: Callable[[str, str, str], Sequence[FoundSnapshot]]
    seal: Seal
    signing: Signing
    enqueue: Callable[[Connection, str, bool], None]  # job id, started by a user: queues it in the caller's transaction
    limits: BackupLimits = BackupLimits()
    others_wait: Callable[[], bool] = lambda: False  # whether jobs wait for a slot
    stopping: Event = field(default_factory=Event)  # set when this process begins to stop
    # Stores as each configured agency opens them; if empty, any valid name means the service's own credentials.
    agencies: Mapping[str, Mapping[str, ObjectStore]] = field(default_factory=dict[str, Mapping[str, ObjectStore]])
    # Locations, which show whether buckets are the same or nested: 'fs:/folder', 's3:endpoint/bucket/prefix'.
    bucket_locations: Mapping[str, str] = field(default_factory=dict[str, str])
    configured_buckets: frozenset[str] = frozenset()  # names of those of the settings; others were named at run time
    policy: PolicyRules = PolicyRules()  # noqa: RUF009  it is frozen
    verify_every_ms: int = 0  # how often each cluster is verified by the clock; 0 for never
    notices: NoticeOptions = NoticeOptions()
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks
    console: bool = True  # whether the web console is served
    lockout: Lockout = field(default_factory=Lockout)
    meter: Metrics = field(default_factory=NullMetrics)
    requests: RequestCounts = field(default_factory=RequestCounts)  # to object stores, of this process
    outage: DatabaseOutage = field(default_factory=DatabaseOutage)
