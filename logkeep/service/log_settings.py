"""Opening, changing and closing log backup, and its daily policy (contract.md 1.1, 1.2, 1.4-1.7)."""

from __future__ import annotations

from logkeep.domain.cluster import Cluster
from logkeep.domain.log_setting import LogSetting, LogSettingChange
from logkeep.service.context import Context


def open_backup(context: Context, cluster: Cluster, change: LogSettingChange) -> None:
    """Turn log backup on; opening what is open changes it.

    Raises `InvalidAgency`, `InvalidField`, `InvalidPeriod`, `InvalidZone`, `UnknownBucket`, `BucketNotWritable`.
    """
    raise NotImplementedError


def update_setting(context: Context, cluster: Cluster, change: LogSettingChange) -> None:
    """Change the setting; raises `BackupClosed` and what `open_backup` raises."""
    raise NotImplementedError


def close_backup(context: Context, cluster: Cluster) -> None:
    """Turn log backup off: the policy ends, failure records are cleared, objects stay. Raises `BackupClosed`."""
    raise NotImplementedError


def get_setting(context: Context, cluster: Cluster) -> LogSetting | None:
    """None before it was opened for the first time; stays with `enabled` false after close."""
    raise NotImplementedError


def start_policy(context: Context, cluster: Cluster, period: str) -> None:
    """Back up daily at `period`. Raises `BackupClosed`, `InvalidPeriod`, `InvalidZone`."""
    raise NotImplementedError


def stop_policy(context: Context, cluster: Cluster) -> None:
    """End the daily backup. Raises `BackupClosed`."""
    raise NotImplementedError
