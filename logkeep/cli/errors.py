"""Errors that end a command with one sentence on standard error and an exit code."""

from __future__ import annotations

import re
from shlex import quote

from logkeep.errors import LogkeepError


class UsageError(LogkeepError):
    """The command cannot be used in this way."""


class CommandFailed(LogkeepError):
    """The command failed."""


class NotCarriedOut(CommandFailed):
    """What was to be found out could not be found out."""


def for_cluster(message: str, cluster: str) -> str:
    """Return the message with the cluster's name filled into its commands."""
    return re.sub(r"(`logkeep [^`]*)\bCLUSTER\b", lambda found: found[1] + quote(cluster), message)


class ServiceFault(LogkeepError):
    """The service refused a request, or failed at it."""

    def __init__(self, status: int, code: str, message: str, cluster: str = "CLUSTER") -> None:
        super().__init__(message)
        self.cluster = cluster  # that the command is about, for commands in the message
        self.status = status
        self.code = code  # CSS.0015, APIGW.0301, …; '' where the answer has none

    def __str__(self) -> str:
        remedy = _REMEDIES.get(self.code)
        message = f"{self.message.rstrip('.')}; {remedy}" if remedy else self.message
        message = for_cluster(message, self.cluster)
        return f"{message} ({self.code})" if self.code else message


# What to do with this command line, where the message, written for every client, does not say it.
_REMEDIES = {
    "CSS.0004": "`logkeep logs open CLUSTER` opens it",
    "CSS.3004": "`logkeep records CLUSTER` shows it",
    "CSS.0048": "buckets are named in logkeep.toml, read when the service starts",
    "CSS.0005": "the service's log on standard error tells more",
    "APIGW.0302": "use an administrator's key, or an operator's for logs (`logkeep key add --project PROJECT "
    "--role operator`)",
}
