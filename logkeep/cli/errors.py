"""Errors that end a command with one sentence on standard error and an exit code."""

from __future__ import annotations

import re

from logkeep.contract.codes import find_fault_of
from logkeep.domain.cluster import for_cluster
from logkeep.errors import BackupClosed, BackupRunning, LogkeepError, NotAuthorized, UnknownBucket


class UsageError(LogkeepError):
    """The command cannot be used in this way."""


class CommandFailed(LogkeepError):
    """The command failed."""


class NotCarriedOut(CommandFailed):
    """What was to be found out could not be found out."""


class ServiceFault(LogkeepError):
    """The service refused a request, or failed at it."""

    def __init__(self, status: int, code: str, message: str, cluster: str = "CLUSTER") -> None:
        super().__init__(message)
        self.cluster = cluster  # that the command is about, for commands in the message
        self.status = status
        self.code = code  # as `contract.codes` has it; '' where the answer has none

    def tells(self, *kinds: type[BaseException]) -> bool:
        """Return whether it has the code of one of these errors."""
        return self.code in {find_fault_of(kind).code for kind in kinds}

    def __str__(self) -> str:
        told = _FIELD.sub(lambda field: f"{_OPTIONS.get(field[1], field[1])}: ", self.message, count=1)
        remedy = next((remedy for kind, remedy in _REMEDIES.items() if self.tells(kind)), "")
        message = f"{told.rstrip('.')}; {remedy}" if remedy else told
        message = for_cluster(message, self.cluster)
        return f"{message} ({self.code})" if self.code else message


# Fields of a request by which the service names what is wrong, and what they are on this command line.
_FIELD = re.compile(r"(?:^|(?<=\())([a-z_.]+): ")
_OPTIONS = {
    "log_base_path": "--base-path",
    "log_bucket": "--bucket",
    "agency": "--agency",
    "url": "--url",
    "source": "--source",
    "nodes.source": "--node",
    "nodes.name": "--node",
    "endpoint": "--cluster-endpoint",
    "status": "--status",
    "clusters": "--cluster",
    "events": "--event",
    "quiet": "--quiet",
    "zone": "--zone",
    "job_id": "JOB",
}

# What to do with this command line, where the message, written for every client, does not say it.
_REMEDIES: dict[type[BaseException], str] = {
    BackupClosed: "`logkeep logs open CLUSTER` opens it",
    BackupRunning: "`logkeep records CLUSTER` shows it",
    UnknownBucket: "where the service runs, `logkeep store list` shows all, and `logkeep store add NAME --url URL` "
    "adds one",
    BaseException: "the service's log on standard error tells more",
    NotAuthorized: "use an administrator's key (`logkeep key add --project PROJECT --admin`) or, for logs and backups, "
    "an operator's (`logkeep key add --project PROJECT --role operator`), made where the service runs",
}
