"""How a command ends other than well: one sentence on standard error and an exit code."""

from __future__ import annotations

from logkeep.errors import LogkeepError


class WrongUse(LogkeepError):
    """The command cannot be used in this way."""


class Failed(LogkeepError):
    """The command failed."""


class NotCarriedOut(Failed):
    """What was to be found out could not be found out."""


class ServiceFault(LogkeepError):
    """The service refused a request, or failed at it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code  # CSS.0015, APIGW.0301, …; '' where the answer has none

    def __str__(self) -> str:
        remedy = _REMEDIES.get(self.code)
        message = f"{self.message.rstrip('.')}; {remedy}" if remedy else self.message
        return f"{message} ({self.code})" if self.code else message


# What to do with this command line, where the message, written for every client, does not say it.
_REMEDIES = {
    "CSS.0004": "`logkeep logs open CLUSTER` opens it",
    "CSS.3004": "`logkeep records CLUSTER` shows it",
    "CSS.0048": "buckets are named in logkeep.toml, read when the service starts",
    "CSS.0005": "the service's log on standard error tells more",
    "APIGW.0302": "use an administrator's key, or an operator's for logs (`logkeep key add --role ROLE`)",
}
