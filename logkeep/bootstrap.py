"""Wiring: builds a Logkeep from its settings. The only module that names concrete classes."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import socket
import stat
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine, make_url
from structlog.typing import Processor

from logkeep import __version__
from logkeep.clock import SystemClock
from logkeep.database.buckets import BucketMemory
from logkeep.database.connection import connect, reading, settle, try_connection
from logkeep.database.keys import fetch_any_secret
from logkeep.database.migrate import HEAD, migrate
from logkeep.database.owner import describe, find_owner, is_missing, looks_made, save_owner
from logkeep.domain.causes import Cause, rebuild_command
from logkeep.domain.policy import PolicyRules
from logkeep.domain.worker import QUEUE_VERSION, Worker
from logkeep.engine.bandwidth import Bandwidth
from logkeep.errors import SettingError
from logkeep.installation_id import ID_FILE, is_unfinished, read_id, write_id
from logkeep.keyfiles.seal import open_seal
from logkeep.keyfiles.signing import is_signed_by, open_signing
from logkeep.logformat.names import compile_exclusions
from logkeep.service import identity, workers
from logkeep.service.context import Context
from logkeep.settings import Settings
from logkeep.sources.base import LogSource, Tenant
from logkeep.sources.confinement import Roots
from logkeep.sources.discovery import describe_cluster
from logkeep.sources.hanging import Patience
from logkeep.sources.hosts import AllowedHost, parse_jump
from logkeep.sources.local import LocalSources, settle_url, source_directory, watch
from logkeep.stores.base import ObjectStore
from logkeep.stores.location import parse_location
from logkeep.stores.opendal import open_store
from logkeep.stores.proven import ProvenStore
from logkeep.work.heartbeat import Heartbeat
from logkeep.work.policies import Maintenance
from logkeep.work.takeover import Takeover
from logkeep.work.verifier import Verifier

_log = structlog.get_logger("logkeep.settings")
_MOST_NAMED = 20
_MIB = 1024 * 1024
_SETTLING = Patience(20.0, "")  # short, as somebody waits at a terminal
_PROOF_SECONDS = 60  # how long the proof that a bucket is the right one stays valid


@dataclass(slots=True)
class Service:
    """A running process of an installation."""

    worker_id: str
    context: Context
    ready: Callable[[], list[str]]  # problems that keep it from being ready
    start: Callable[[], None]
    stop: Callable[[], None]

    def settle(self) -> None:
        """Merge the write-ahead log into the database file, after `stop`. Raises `CatalogueError`."""
        settle(self.context.database)


def open_context(settings: Settings) -> Context:
    """Return a context without a queue: enough for commands such as `project` and `key`. Raises `SettingError`."""
    return _context(settings, open_database(settings), _no_queue)


def open_new_context(settings: Settings, own_id: str = "", vouched: Sequence[str] = ()) -> Context:
    """Return such a context, and create the database if there is none; it is not used until `claim_database` is called.

    `own_id` is the id of an installation that is being made. `vouched` are further trusted public keys, in hex. Raises
    `SettingError` if the database belongs to another installation.
    """
    open_seal(settings.directory)  # fails before anything is created if this is no installation
    database = _open_database(settings, own_id or _read_own_id(settings), make=True)
    context = _context(settings, database, _no_queue, vouched)
    identity.check_seal(context)
    return context


def claim_database(settings: Settings, context: Context, own_id: str = "") -> None:
    """Record that the database belongs to this installation, which from now on accepts no other."""
    save_owner(context.database, own_id or _read_own_id(settings) or write_id(settings.directory))


def is_claimed(settings: Settings, context: Context) -> bool:
    """Return whether the database is recorded as this installation's."""
    owner = find_owner(context.database)
    return bool(owner) and owner == _read_own_id(settings)


def make_context(settings: Settings) -> Context:
    """Return the context of an installation that has keys, with a new database."""
    context = open_new_context(settings)
    claim_database(settings, context)
    return context


def _context(
    settings: Settings,
    database: Engine,
    enqueue: Callable[[Connection, str, bool], None],
    vouched: Sequence[str] = (),
) -> Context:
    seal, unseal = open_seal(settings.directory)
    signing = open_signing(settings.directory, vouched)
    stores = _prove_buckets(settings, database, open_buckets(settings))
    agencies = open_agencies(settings, stores)
    return Context(
        database=database,
        clock=SystemClock(),
        stores=stores,
        open_source=_source_opener(settings),
        settle_source=_settle_source,
        describe_cluster=describe_cluster,
        seal=seal,
        unseal=unseal,
        signing_key=signing.key,
        sign=signing.sign,
        find_signer=signing.find_signer,
        is_signed_by=is_signed_by,
        enqueue=enqueue,
        bandwidth=Bandwidth(round(settings.backup.bandwidth_mib * _MIB)),
        cluster_bandwidth=round(settings.backup.cluster_bandwidth_mib * _MIB),
        nodes_at_once=settings.backup.nodes_at_once,
        max_file_bytes=settings.sources.max_file_bytes,
        reads_at_once=settings.embedded,
        agencies={name: _prove_buckets(settings, database, found) for name, found in agencies.items()},
        bucket_locations=_bucket_locations(settings),
        trusted_proxies=settings.server.trusted_proxies,
        policy=PolicyRules(
            round(settings.policy.spread_minutes * 60_000), round(settings.policy.stale_after_hours * 3_600_000)
        ),
    )


def open_database(settings: Settings) -> Engine:
    """Open the installation's database and migrate it to this version.

    Raises `SettingError`, and changes nothing, if it is missing, empty or another installation's.
    """
    return _open_database(settings, _read_own_id(settings))


def _open_database(settings: Settings, own_id: str | None, *, make: bool = False) -> Engine:
    database = connect(settings.database_url)
    try:
        _check_owner(settings, database, own_id, make=make)
        migrate(database)
    except BaseException:
        database.dispose()
        raise
    if settings.embedded:
        _make_private(settings.directory / "logkeep.db")
    return database


@contextmanager
def _connected(settings: Settings) -> Generator[Engine]:
    """Connect to the database without migrating it."""
    database = connect(settings.database_url)
    try:
        yield database
    finally:
        database.dispose()


def _read_own_id(settings: Settings) -> str | None:
    """Return the id of the installation, None if it is missing. Raises `SettingError` after an interrupted `init`."""
    if is_unfinished(settings.directory):
        raise SettingError(f"`logkeep init` did not come to its end in {settings.directory}; run it once more")
    return read_id(settings.directory)


def _check_owner(settings: Settings, database: Engine, own_id: str | None, *, make: bool = False) -> None:
    """Raise `SettingError` unless the database is the installation's or, with `make`, belongs to none yet."""
    owner = _ask_owner(database)
    if (owner and owner == own_id) or (make and not owner):
        return
    directory, where = settings.directory, describe(database)
    if own_id is None:
        raise SettingError(
            f"{directory / ID_FILE}: is missing; copy it, as the keys, from the machine where `logkeep init` ran, or "
            "where it is lost, let `logkeep init` write it again"
        )
    lost = f"or make it anew from the buckets with `{rebuild_command(settings.buckets)}`"
    if owner:
        raise SettingError(
            f"database: {where} is that of another installation, {owner}, and {directory} is {own_id}; correct "
            f"`database` in logkeep.toml to an empty or its own one, {lost}"
        )
    found = "is not there" if is_missing(database) else "holds no installation"
    raise SettingError(
        f"database: {where} {found}, but {directory} is an installation that had one; put it back, mount the volume it "
        f"lies on, or correct `database` in logkeep.toml, {lost}"
    )


def _ask_owner(database: Engine) -> str | None:
    if not looks_made(database):
        return None
    try_connection(database)
    return find_owner(database)


def expect_no_other(settings: Settings, own_id: str) -> None:
    """Raise `SettingError` if the database for an installation that is being made belongs to another one."""
    with _connected(settings) as database:
        owner = _ask_owner(database)
        if owner and owner != own_id:
            raise SettingError(
                f"database: {describe(database)} is that of another installation, {owner}; name an empty one in "
                f"logkeep.toml, or copy logkeep.toml, {ID_FILE}, seal.key, sign.key and sign.pub of that one here"
            )


def check_installation(settings: Settings) -> None:
    """Check that keys, id and database belong together; restore a missing id if the keys prove which it was.

    Raises `SettingError`.
    """
    with _connected(settings) as database:
        own_id = _read_own_id(settings)
        if own_id is None:
            own_id = write_id(settings.directory, _proven_owner(settings, database))
        _check_owner(settings, database, own_id)


def _proven_owner(settings: Settings, database: Engine) -> str:
    """Return the owner of the database if its secrets can be decrypted with the key of this directory."""
    _, unseal = open_seal(settings.directory)
    if owner := _ask_owner(database):
        with reading(database) as connection:
            sealed = fetch_any_secret(connection)
        if sealed is not None:
            unseal(sealed)
            return owner
    raise SettingError(
        f"{settings.directory} has keys, but neither {ID_FILE} nor a database that is proven to be its own; put them "
        "back, correct `database` in logkeep.toml, or make both anew from the buckets with "
        f"`{rebuild_command(settings.buckets)}`"
    )


def migrate_database(settings: Settings) -> tuple[str | None, str]:
    """Migrate all tables to this version. Returns the revisions before (None without tables) and after.

    Raises `SettingError`.
    """
    from logkeep.work.queue import prepare_database  # noqa: PLC0415  the queue has its own tables

    with _connected(settings) as database:
        _check_owner(settings, database, _read_own_id(settings))
        revisions = migrate(database)
        prepare_database(settings.database_url)
    return revisions


def open_service(settings: Settings, *, works: bool = True) -> Service:
    """Build the service. `start` begins the work on the queue, if this process `works`; else only other processes do.

    DBOS takes as long to import as all the rest, so only `start` imports it, and requests that only read are answered
    earlier. Nothing may be enqueued until `start` has returned.
    """
    queue: list[_Queue] = []

    def enqueue(connection: Connection, job_id: str, by_hand: bool) -> None:
        queue[0].enqueue(connection, job_id, by_hand)

    def others_wait() -> bool:
        return queue[0].others_wait()

    context = _context(settings, open_database(settings), enqueue)
    context = replace(context, turn_seconds=settings.backup.turn_seconds, others_wait=others_wait)
    identity.check_seal(context)
    _tell_unknown_projects(context, settings)
    context, stop_metrics = _serve_metrics(context, settings)
    worker = _this_process(settings.backup.jobs_at_once if works else 0)

    def start() -> None:
        queue.append(_start_queue(context, settings, worker))

    def stop() -> None:
        for running in queue:
            running.stop()
        stop_metrics()

    def ready() -> list[str]:
        return queue[0].problems() if queue else ["the queue does not run"]

    return Service(worker_id=worker.id, context=context, ready=ready, start=start, stop=stop)


def _tell_unknown_projects(context: Context, settings: Settings) -> None:
    """Warn about settings for unknown projects. They grant nothing, so they must not keep the service from starting."""
    known = [project.name for project in identity.list_projects(context)]
    for name in settings.sources.projects:
        if name not in known:
            _log.warning(
                f"sources.projects.{name}: there is no project of this name; correct it in logkeep.toml, or add the "
                f"project with `logkeep project add {name}`",
                projects=known[:_MOST_NAMED],
            )


def _serve_metrics(context: Context, settings: Settings) -> tuple[Context, Callable[[], None]]:
    """Return the context with a meter, and what closes the metrics port; nothing is counted if no port is set."""
    if not settings.metrics.listen:
        return context, lambda: None
    from logkeep.api import metrics, metrics_server  # noqa: PLC0415  their library takes a tenth of a second to import

    meter = metrics.PrometheusMeter(__version__)
    context = replace(context, meter=meter)
    meter.watch(context, settings.metrics.named_clusters)
    server = metrics_server.MetricsServer(settings.metrics.listen, meter.registry)
    server.start()
    return context, server.stop


@dataclass(slots=True)
class _Queue:
    """A running queue."""

    enqueue: Callable[[Connection, str, bool], None]
    others_wait: Callable[[], bool]
    problems: Callable[[], list[str]]  # problems that keep it from working
    stop: Callable[[], None]


def _start_queue(context: Context, settings: Settings, worker: Worker) -> _Queue:
    from logkeep.work.queue import Queue, prepare_database  # noqa: PLC0415  DBOS takes as long to import as all the rest
    from logkeep.work.runner import Runner  # noqa: PLC0415

    if settings.embedded:
        workers.forget_others(context)  # with SQLite only one process serves a database
    heartbeat = Heartbeat(context, worker)
    queue = Queue(context.database)
    runner = (
        Runner(
            context,
            worker.id,
            settings.database_url,
            queue.enqueue_behind,
            jobs_at_once=worker.jobs_at_once,
            jobs_in_all=settings.backup.jobs_in_all,
            visible_ms=round(settings.records.running_visible_seconds * 1000),
            poll_seconds=settings.backup.poll_seconds,
        )
        if worker.jobs_at_once
        else None
    )
    verifier = Verifier(context, settings.verify.every_hours, settings.verify.sample_percent)
    takeover = Takeover(context, queue, worker.id, runner.carried_out if runner else ())
    ticker = Maintenance(context, takeover.look, queue.forget_ended, settings.audit.keep_days)
    heartbeat.start()
    if runner:
        runner.start()
        verifier.start()
    else:
        prepare_database(settings.database_url)
    ticker.start()

    def stop() -> None:
        verifier.stop()
        ticker.stop()
        if runner:
            runner.stop()
            queue.hand_over(worker.id)
            runner.release()
        heartbeat.stop()
        workers.leave(context, worker.id)

    def problems() -> list[str]:
        return [problem for problem in (heartbeat.problem, ticker.problem) if problem]

    return _Queue(queue.enqueue, queue.others_wait, problems, stop)


@contextmanager
def only_process(directory: Path) -> Generator[None]:
    """Lock the installation: with SQLite one process serves it. Raises `SettingError` if another one has the lock."""
    path = directory / "serve.lock"
    with ExitStack() as held:
        try:
            fcntl.flock(held.enter_context(path.open("w")), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingError(Cause.DIRECTORY_SERVED.tell(path=directory)) from error
        except OSError as error:
            raise SettingError(Cause.DIRECTORY_DENIED.tell(path=path, said=error.strerror)) from error
        yield


def set_up_logging(level: str) -> None:
    """Log one JSON object per event to standard error, or `key=value` to a terminal."""
    terminal = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(ensure_ascii=False)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        processors=[*shared, renderer],
    )
    # Logs of libraries in the same form; below a warning they are not for operators.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=max(least, logging.WARNING), force=True)


def _this_process(jobs_at_once: int) -> Worker:
    host, pid = socket.gethostname(), os.getpid()
    return Worker(
        id=f"{host}-{pid}-{secrets.token_hex(3)}",
        host=host,
        pid=pid,
        version=__version__,
        queue_version=QUEUE_VERSION,
        revision=HEAD,
        jobs_at_once=jobs_at_once,
        started_at=0,
    )


def bucket_url(settings: Settings, name: str) -> str:
    """Return the URL of a configured bucket; without one it is a folder of the data directory."""
    return settings.buckets[name].url or f"file:buckets/{name}"


def open_buckets(settings: Settings) -> Mapping[str, ObjectStore]:
    """Open the stores of all buckets, by name, each with its bucket's credentials. Raises `SettingError`."""
    return {
        name: _open_store(settings, name, bucket.credentials, f"buckets.{name}")
        for name, bucket in settings.buckets.items()
    }


def bucket_folders(settings: Settings) -> dict[str, Path]:
    """Return where the buckets lie that are folders of this machine, by name."""
    places = {
        name: parse_location(bucket_url(settings, name), None, settings.directory)
        for name in settings.buckets
        if bucket_url(settings, name).lower().startswith("file:")
    }
    return {name: place.folder for name, place in places.items() if place.folder}


def _bucket_locations(settings: Settings) -> Mapping[str, str]:
    """Return the location of each bucket, which shows whether two are the same or nested."""
    found = {
        name: parse_location(bucket_url(settings, name), bucket.credentials, settings.directory)
        for name, bucket in settings.buckets.items()
    }
    return {name: f"memory:{name}" if one.scheme == "memory" else one.place for name, one in found.items()}


def _prove_buckets(
    settings: Settings, database: Engine, stores: Mapping[str, ObjectStore]
) -> Mapping[str, ObjectStore]:
    """Wrap stores so that each is checked against what is remembered of its bucket.

    Buckets in memory are not, as they are new at each start.
    """
    return {name: _prove_bucket(name, bucket_url(settings, name), database, store) for name, store in stores.items()}


def _prove_bucket(name: str, url: str, database: Engine, store: ObjectStore) -> ObjectStore:
    if isinstance(store, ProvenStore) or url.startswith("memory:"):
        return store
    seconds = 0 if url.startswith("file:") else _PROOF_SECONDS  # a disk may be unmounted; a check is cheap
    return ProvenStore(store=store, name=name, where=url, memory=BucketMemory(database, name), seconds=seconds)


def accept_bucket(settings: Settings, name: str) -> None:
    """Accept the present contents of a bucket as the expected ones. Raises a `StoreError` if it cannot be marked."""
    database = open_database(settings)
    try:
        memory = BucketMemory(database, name)
        store = ProvenStore(
            store=open_buckets(settings)[name], name=name, where=bucket_url(settings, name), memory=memory, seconds=0
        )
        memory.change(store.accept())
    finally:
        database.dispose()


def open_agencies(settings: Settings, stores: Mapping[str, ObjectStore]) -> Mapping[str, Mapping[str, ObjectStore]]:
    """Open the stores of each agency, with its own credentials for a bucket if it has some."""
    return {
        name: {
            **stores,
            **{
                bucket: _open_store(settings, bucket, credentials, f"agencies.{name}.credentials.{bucket}")
                for bucket, credentials in agency.credentials.items()
            },
        }
        for name, agency in settings.agencies.items()
    }


def _open_store(settings: Settings, bucket: str, credentials: Mapping[str, str], key: str) -> ObjectStore:
    """Open the store of a bucket; `key` is the setting that has the credentials."""
    if bucket not in settings.buckets:
        raise SettingError(
            f"{key}: there is no bucket {bucket}; configured are {', '.join(settings.buckets) or 'none'}"
        )
    try:
        return open_store(bucket_url(settings, bucket), credentials, base=settings.directory)
    except SettingError as error:
        raise SettingError(f"{key}: {error.message}") from error


def _own_paths(settings: Settings) -> Mapping[Path, str]:
    """Return Logkeep's own paths on this machine, and what each is: no source may lie in, below or above one."""
    base = settings.directory
    own = {base: "the directory of this installation", Path(__file__).parent: "the program itself"}
    if sys.prefix != sys.base_prefix:
        own[Path(sys.prefix)] = "the environment of the program"
    for name in settings.buckets:
        url = bucket_url(settings, name)
        if url.lower().startswith("file:") and (folder := parse_location(url, {}, base).folder):
            own[folder] = f"the bucket {name}"
    if settings.embedded:
        own[Path(make_url(settings.database_url).database or "").absolute()] = "the database"
    for file in (settings.sftp.known_hosts, *settings.sftp.keys, *(agent.ca for agent in settings.agents.values())):
        if file:
            own[base / file] = "a file of the settings"
    return own | dict.fromkeys(_log_files(), "the log of the service")


def _log_files() -> Iterator[Path]:
    """Yield the files to which standard output and error are redirected."""
    for descriptor in (1, 2):
        with suppress(OSError):
            seen = os.fstat(descriptor)
            if stat.S_ISREG(seen.st_mode) and seen.st_nlink:
                yield Path(f"/proc/self/fd/{descriptor}").readlink()


def _source_opener(settings: Settings) -> Callable[[str, Tenant], LogSource]:
    excluded = compile_exclusions(settings.sources.exclude)
    projects = settings.sources.projects
    roots = Roots(settings.sources.roots, {name: project.roots for name, project in projects.items()})
    local = LocalSources(roots, _own_paths(settings), Patience(settings.sources.stalled_seconds))
    remote = {"sftp": _sftp_sources(settings), "agent": _agent_sources(settings)}

    def open_source(url: str, tenant: Tenant) -> LogSource:
        opener = remote.get(url.partition(":")[0])
        return opener(url, tenant, excluded) if opener else local.open(url, tenant, excluded)

    return open_source


def _settle_source(url: str) -> str:
    """Return the URL with links resolved. Raises `SettingError`, `SourceUnreachable` if a link leads to what hangs."""
    if url.partition(":")[0] in {"sftp", "agent"}:
        return url
    return _SETTLING.call(watch(source_directory(url)), partial(settle_url, url))


_Opener = Callable[[str, Tenant, Callable[[str], bool]], LogSource]  # the last one tells if a name is excluded


def _sftp_sources(settings: Settings) -> _Opener:
    chosen, directory = settings.sftp, settings.directory
    jump = parse_jump(chosen.jump)
    more = {name: project.hosts for name, project in settings.sources.projects.items() if project.hosts}
    for name, hosts in more.items():
        for host in hosts:
            AllowedHost.parse(host, f"sources.projects.{name}.hosts")
    if not chosen.hosts and not more:
        return _refuse("no host is allowed yet; name it in sftp.hosts")
    from logkeep.sources import sftp, ssh  # noqa: PLC0415  their library takes a fifth of a second to import

    access = ssh.Access(
        directory / chosen.known_hosts,
        tuple(directory / key for key in chosen.keys),
        jump,
        chosen.connections,
        chosen.timeout_seconds,
    )
    connections = ssh.Connections(access)
    shared = sftp.SftpSources(chosen.hosts, connections)
    by_project = {name: sftp.SftpSources(chosen.hosts + hosts, connections) for name, hosts in more.items()}
    return lambda url, tenant, excluded: by_project.get(tenant.project, shared).open(url, excluded)


def _agent_sources(settings: Settings) -> _Opener:
    if not settings.agents:
        return _refuse("no agent is known yet; logkeep.toml needs a table [agents.NAME]")
    from logkeep.sources.agent import AgentAccess, AgentSources  # noqa: PLC0415  its library is slow to import

    agents = {
        name: AgentAccess(
            agent.url, agent.token, agent.fingerprint, settings.directory / agent.ca if agent.ca else None
        )
        for name, agent in settings.agents.items()
    }
    sources = AgentSources(agents)
    projects = settings.sources.projects
    owned = {agent for project in projects.values() for agent in project.agents}

    def open_source(url: str, tenant: Tenant, excluded: Callable[[str], bool]) -> LogSource:
        source = sources.open(url, excluded)
        mine = projects[tenant.project].agents if tenant.project in projects else ()
        if source.agent in owned and source.agent not in mine:
            raise SettingError(
                f"source agent:{source.agent}: is for other projects; where project {tenant.project} may read it, "
                f"add it to agents of sources.projects in logkeep.toml"
            )
        return source

    return open_source


def _refuse(problem: str) -> _Opener:
    def refuse(url: str, _tenant: object, _excluded: object) -> LogSource:
        shown = url.partition("://")[0]  # the rest may contain a password
        raise SettingError(f"source {shown}: {problem}")

    return refuse


def _make_private(path: Path) -> None:
    if path.exists():
        path.chmod(0o600)


def _no_queue(_connection: Connection, _job_id: str, _by_hand: bool) -> None:
    raise SettingError("backups are started by the running service; start it with `logkeep serve`")
