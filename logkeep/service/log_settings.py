"""Opening, changing and closing log backup, and its daily policy (docs/contract.md, "Operations")."""

from __future__ import annotations

from dataclasses import dataclass, replace
from shlex import quote
from uuid import uuid4

from sqlalchemy import Connection

from logkeep.archive.orphans import setting_prefix
from logkeep.database import jobs, log_settings, places
from logkeep.database.connection import reading, writing
from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import (
    LogSetting,
    LogSettingChange,
    check_agency,
    check_base_path,
    parse_period,
)
from logkeep.domain.policy import foresee_runs, next_start
from logkeep.errors import (
    BackupClosed,
    BucketNotWritable,
    InvalidAgency,
    InvalidField,
    InvalidPeriod,
    StoreError,
    UnknownBucket,
)
from logkeep.service.places import find_conflict, take_place
from logkeep.service.removal import find_owner
from logkeep.service.runtime import Runtime
from logkeep.service.stores import agency_stores
from logkeep.stores.layout import cluster_folder


@dataclass(frozen=True, slots=True)
class SettingCheck:
    """What a setting would come to, as it was found before it is saved."""

    bucket: str
    location: str  # 'fs:/folder', 's3:endpoint/bucket/prefix': for those who run the service, not for tenants
    folder: str  # where objects will lie in it
    archive: str  # '' for an empty place, else the id of the cluster whose archive is there already: its own
    next_runs: tuple[int, ...]  # Unix ms; none without a daily backup


@dataclass(frozen=True, slots=True)
class SettingChoices:
    """Names from which a setting is chosen."""

    agencies: tuple[str, ...]  # none: any name of an agency goes
    buckets: tuple[str, ...]


def list_choices(runtime: Runtime) -> SettingChoices:
    """List the names of agencies and buckets; whether an agency may use a bucket, a check tells."""
    agencies = runtime.agencies
    buckets = {name for stores in agencies.values() for name in stores} if agencies else set(runtime.stores)
    return SettingChoices(tuple(sorted(agencies)), tuple(sorted(buckets)))


def check_setting(runtime: Runtime, cluster: Cluster, change: LogSettingChange) -> SettingCheck:
    """Check a setting as `open_backup` would, and tell what it comes to. Raises what that raises.

    Nothing is changed but for the object by which the bucket shows that it can be written.
    """
    _check(runtime, change)
    archive = _check_archive(runtime, cluster, change)
    now = runtime.clock.now_ms()
    with reading(runtime.database) as connection:
        problem = find_conflict(runtime, connection, cluster, change.bucket, change.base_path)
        if problem:
            raise InvalidField("log_base_path", problem)
        found = log_settings.fetch_setting(connection, cluster.id)
        planned = log_settings.fetch_planned(connection, cluster.id)
    setting = _changed(found, cluster, change)
    return SettingCheck(
        bucket=change.bucket,
        location=runtime.bucket_locations.get(change.bucket, ""),
        folder=cluster_folder(change.base_path, cluster.name),
        archive=archive,
        next_runs=foresee_runs(
            setting.period,
            cluster.id,
            _next_daily(runtime, setting, found, planned.daily, now),
            planned.extra if setting.adaptive else None,
            now,
            runtime.policy.spread_ms,
        ),
    )


def open_backup(runtime: Runtime, cluster: Cluster, change: LogSettingChange) -> None:
    """Turn log backup on, or change its setting if it is on.

    Raises `InvalidAgency`, `InvalidField`, `InvalidPeriod`, `InvalidZone`, `UnknownBucket`, `BucketNotWritable`.
    """
    _check(runtime, change)
    _check_archive(runtime, cluster, change)
    with writing(runtime.database) as connection:
        take_place(runtime, connection, cluster, change.bucket, change.base_path)
        found = log_settings.fetch_setting(connection, cluster.id)
        _save(runtime, connection, _changed(found, cluster, change), found)


def update_setting(runtime: Runtime, cluster: Cluster, change: LogSettingChange) -> None:
    """Change the setting. Raises `BackupClosed`, and what `open_backup` raises."""
    with reading(runtime.database) as connection:
        _opened(connection, cluster)
    _check(runtime, change)
    _check_archive(runtime, cluster, change)
    with writing(runtime.database) as connection:
        found = _opened(connection, cluster)
        take_place(runtime, connection, cluster, change.bucket, change.base_path)
        _save(runtime, connection, _changed(found, cluster, change), found)


def close_backup(runtime: Runtime, cluster: Cluster) -> None:
    """Turn log backup off: the policy ends and records of failures are deleted; objects stay. Raises `BackupClosed`."""
    with writing(runtime.database) as connection:
        setting = _opened(connection, cluster)
        now = runtime.clock.now_ms()
        closed = replace(setting, enabled=False, period=None, adaptive=False, failures_cleared_at=now)
        _save(runtime, connection, closed, setting)
        jobs.delete_failed_jobs(connection, cluster.id)


def get_setting(runtime: Runtime, cluster: Cluster) -> LogSetting | None:
    """Return the setting, also of a closed log backup (`enabled` is False then); None if it was never open."""
    with reading(runtime.database) as connection:
        return log_settings.fetch_setting(connection, cluster.id)


def start_policy(runtime: Runtime, cluster: Cluster, period: str) -> None:
    """Back up daily at `period`. Raises `BackupClosed`, `InvalidPeriod`, `InvalidZone`."""
    with writing(runtime.database) as connection:
        setting = _opened(connection, cluster)
        parse_period(period)
        _save(runtime, connection, replace(setting, period=period), setting)


def stop_policy(runtime: Runtime, cluster: Cluster) -> None:
    """End the daily backup. Raises `BackupClosed`."""
    with writing(runtime.database) as connection:
        setting = _opened(connection, cluster)
        _save(runtime, connection, replace(setting, period=None), setting)


def _opened(connection: Connection, cluster: Cluster) -> LogSetting:
    setting = log_settings.fetch_setting(connection, cluster.id)
    if setting is None or not setting.enabled:
        raise BackupClosed()
    return setting


def _check(runtime: Runtime, change: LogSettingChange) -> None:
    """Check a change against the rules, and that its bucket can be written, by writing to it."""
    check_agency(change.agency)
    if runtime.agencies and change.agency not in runtime.agencies:
        raise InvalidAgency(
            f"agency: there is no agency {change.agency}; configured are {', '.join(sorted(runtime.agencies))}"
        )
    check_base_path(change.base_path)
    if change.auto_enable and change.period is None:
        raise InvalidPeriod("period: is needed with auto_enable, for example '00:00 GMT+08:00'")
    if change.period is not None:
        parse_period(change.period)
    if not change.bucket:
        raise InvalidField("log_bucket", "is missing; give the name of a configured bucket")
    store = agency_stores(runtime, change.agency).get(change.bucket)
    if store is None:
        raise UnknownBucket(
            f"The OBS bucket does not exist. (log_bucket: no bucket {change.bucket[:200]!r} is configured)"
        )
    try:
        store.check()
    except StoreError as error:
        raise BucketNotWritable(f"log_bucket: {error.message}") from error


def _check_archive(runtime: Runtime, cluster: Cluster, change: LogSettingChange) -> str:
    """Return the id of the cluster where the folder holds an archive of it already, else ''.

    Raises `InvalidField` if that is another one, such as a removed namesake, also if it cannot be told.
    """
    store = agency_stores(runtime, change.agency)[change.bucket]
    folder = cluster_folder(change.base_path, cluster.name)
    try:
        other, unread = find_owner(store, folder)
    except StoreError as error:
        raise BucketNotWritable(f"log_bucket: {error.message}") from error
    if other and other != cluster.id:
        raise InvalidField(
            "log_base_path",
            f"{folder} of bucket {change.bucket} holds the archive of another cluster, {other}; choose another path, "
            f"or, where that one is meant, remove this cluster and register it as what it was with `logkeep cluster "
            f"add {quote(cluster.name)} --adopt {other}`",
        )
    if unread and not _is_place_of(runtime, cluster, change):
        raise InvalidField(
            "log_base_path",
            f"{folder} of bucket {change.bucket} holds {unread} manifests that are too large to be read before it is "
            "known whose they are; choose another path, or move out of _manifests what is not an archive of yours",
        )
    return other


def _is_place_of(runtime: Runtime, cluster: Cluster, change: LogSettingChange) -> bool:
    place = setting_prefix(change.bucket, change.base_path, cluster.name)
    with reading(runtime.database) as connection:
        return (place.bucket, place.folder) in places.fetch_places(connection, cluster.id)


def _changed(found: LogSetting | None, cluster: Cluster, change: LogSettingChange) -> LogSetting:
    period = change.period if change.auto_enable is not False else None
    if change.auto_enable is None and change.period is None and found is not None and found.enabled:
        period = found.period
    return LogSetting(
        id=found.id if found else str(uuid4()),
        cluster_id=cluster.id,
        enabled=True,
        agency=change.agency,
        bucket=change.bucket,
        base_path=change.base_path,
        period=period,
        updated_at=0,
        failures_cleared_at=found.failures_cleared_at if found else 0,
        adaptive=found is not None and found.enabled and found.adaptive,
    )


def _save(runtime: Runtime, connection: Connection, setting: LogSetting, before: LogSetting | None) -> None:
    """Save the setting. A new period starts at its next moment: no start is made up for from before."""
    now = runtime.clock.now_ms()
    log_settings.save_setting(connection, replace(setting, updated_at=now))
    if setting.period and (before is None or before.period != setting.period):
        due_at = next_start(setting.period, setting.cluster_id, now, runtime.policy.spread_ms)
        log_settings.plan_policy(connection, setting.cluster_id, now, due_at)


def _next_daily(
    runtime: Runtime, setting: LogSetting, before: LogSetting | None, planned: int | None, now: int
) -> int | None:
    """Return when the next daily run would start with this setting: an unchanged period keeps its plan."""
    if setting.period is None:
        return None
    if before and before.period == setting.period and planned is not None:
        return planned
    return next_start(setting.period, setting.cluster_id, now, runtime.policy.spread_ms)
