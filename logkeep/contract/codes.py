"""One table from domain errors to HTTP status and code (docs/contract.md, "Errors"). The command line starts by it."""

from __future__ import annotations

from dataclasses import dataclass

from logkeep import errors


@dataclass(frozen=True, slots=True)
class Fault:
    """How one kind of error looks on the wire."""

    status: int
    code: str
    prefix: str = ""  # of the message
    message: str = ""  # instead of the error's own, which may tell of the inside
    keystone: bool = False  # whether the body has `error` too, as the identity API's has
    retry_after: int = 0  # seconds, for the header of this name


SERVER_ERROR = Fault(500, "CSS.0005", message="Server error.")
HEAD_TOO_LARGE = (431, "Request headers too large.")  # found while parsing, before there is a request; a RequestError

# Found along the error's MRO, so a subclass without a row of its own takes its parent's.
FAULTS: dict[type[BaseException], Fault] = {
    errors.SettingError: Fault(400, "CSS.0001"),
    errors.RequestError: Fault(400, "APIGW.0201"),
    errors.InvalidField: Fault(400, "CSS.0001"),
    errors.EmptyBody: Fault(400, "CSS.0006"),
    errors.InvalidAgency: Fault(400, "CSS.5130"),
    errors.InvalidPeriod: Fault(400, "CSS.5020"),
    errors.InvalidZone: Fault(400, "CSS.5178"),
    errors.UnknownBucket: Fault(400, "CSS.0048"),
    errors.BodyTooLarge: Fault(413, "APIGW.0201"),
    errors.NoSuchApi: Fault(404, "APIGW.0101"),
    errors.NoClusterApi: Fault(400, "CSS.5090"),
    errors.TagNotFound: Fault(404, "CSS.0015"),
    errors.TargetNotFound: Fault(404, "CSS.0015"),
    errors.NameTaken: Fault(409, "CSS.0031"),
    errors.NotAuthenticated: Fault(401, "APIGW.0301", prefix="Incorrect IAM authentication information: "),
    errors.WrongPassword: Fault(401, "APIGW.0301", prefix="Incorrect IAM authentication information: ", keystone=True),
    errors.TokenNotFound: Fault(404, "APIGW.0301", keystone=True),
    errors.NotAuthorized: Fault(403, "APIGW.0302"),
    errors.ClusterNotFound: Fault(403, "CSS.0015"),  # not 404: Terraform reads this pair as "gone"
    errors.BackupClosed: Fault(415, "CSS.0004"),
    errors.BackupRunning: Fault(409, "CSS.3004"),
    errors.NothingToRetry: Fault(409, "CSS.0001"),
    errors.TooManyTargets: Fault(409, "CSS.0001"),
    errors.RuleUnconfirmed: Fault(409, "CSS.0001"),
    errors.ArchiveProtected: Fault(409, "CSS.0001"),
    errors.BucketNotWritable: Fault(412, "CSS.0048"),
    errors.Overloaded: Fault(503, "CSS.9998", retry_after=5),  # never 429, by which Terraform sleeps for minutes
    errors.SourceError: Fault(500, "CSS.9999"),  # what a service leans on: the message is written for the user
    errors.StoreError: Fault(500, "CSS.9999"),
    errors.CatalogueError: Fault(500, "CSS.9999"),
    MemoryError: Fault(
        503,
        "CSS.9998",
        message="The service has too little memory for this, or may start no more threads; give it more, or ask later.",
        retry_after=5,
    ),
    BaseException: SERVER_ERROR,
}


def find_fault(error: BaseException) -> Fault:
    """Return the row of the nearest class along the MRO of an error."""
    return find_fault_of(type(error))


def find_fault_of(error: type[BaseException]) -> Fault:
    """Return the row of the nearest class along the MRO."""
    return next(FAULTS[kind] for kind in error.__mro__ if kind in FAULTS)
