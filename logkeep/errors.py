"""Errors of Logkeep. Each message says what happened and what to do.

    LogkeepError
    ├── SettingError            a setting is wrong (command line: exit 2)
    ├── RequestError            the caller must change the request
    │   ├── InvalidField            a query or body field, named
    │   ├── EmptyBody               body missing or not JSON
    │   ├── InvalidAgency           agency with other characters
    │   ├── InvalidPeriod           time of day in `period`
    │   ├── InvalidZone             zone in `period`
    │   ├── UnknownBucket           no such bucket
    │   ├── BodyTooLarge            more than 12 MB
    │   ├── NoSuchApi               unknown path or method
    │   ├── NoClusterApi            where the cluster's own API answers is not known
    │   ├── TagNotFound             no tag of this key
    │   ├── TargetNotFound          no target of notices of this name
    │   ├── TooManyTargets          a project has as many as it may
    │   └── NameTaken               a cluster, project or target of this name exists
    ├── NotAuthenticated        no or wrong signature, unknown key, clock off
    │   ├── WrongSignature          another secret, or another way to sign
    │   ├── WrongPassword           or no such user, or no role in the project
    │   ├── SessionEnded            of the console: unknown, idle for too long, or its user or key is no more
    │   └── LinkSpent               a link to the console that was used, has expired, or never was
    ├── NotAuthorized           the role of this key or user does not allow it
    ├── TokenNotFound           a token that is asked about: unknown, expired, or of another project
    ├── ClusterNotFound         unknown, or of another project
    ├── BackupClosed            log backup of the cluster is not open
    ├── BackupRunning           a job of the cluster is running
    ├── NothingToRetry          a job that did not fail, or what it failed to keep is kept since
    ├── RuleUnconfirmed         a rule of retention that nobody has confirmed since it was changed
    ├── ArchiveProtected        an archive that is to be deleted has protections
    ├── BucketNotWritable       bucket known, but cannot be written now
    ├── Overloaded              too many calls wait for the same, or no answer came in time; retry
    ├── JobError                makes a job FAIL; has a stable code
    │   ├── SourceError             a node's log directory or file
    │   │   ├── SourceRefused           LK-SOURCE-REFUSED
    │   │   │   └── RootsMissing            the same; names the directory that would help
    │   │   ├── SourceUnreachable       LK-SOURCE-UNREACHABLE
    │   │   │   └── Hanging                 sources/watched.py: a call does not return
    │   │   ├── SourceUnsettled         LK-SOURCE-UNSETTLED
    │   │   └── SourceFileError         one file; the others of the node may be readable
    │   │       ├── SourceUnreadable        LK-SOURCE-UNREADABLE
    │   │       ├── SourceVanished          gone between listing and reading; the plan is made again
    │   │       └── Incomplete              backup/content.py: a compressed file that is still being written
    │   ├── StoreError              a bucket
    │   │   ├── StoreUnreachable        LK-STORE-UNREACHABLE
    │   │   ├── StoreDenied             LK-STORE-DENIED
    │   │   ├── StoreLocked             LK-STORE-LOCKED
    │   │   ├── StoreFull               LK-STORE-FULL
    │   │   ├── BucketMissing           LK-STORE-MISSING
    │   │   └── ObjectError             an object; the bucket itself is there
    │   │       ├── StoreMissing            LK-STORE-MISSING
    │   │       └── StoreCorrupt            LK-STORE-CORRUPT
    │   ├── CatalogueError          LK-CATALOGUE
    │   ├── CatalogueBehind         LK-CATALOGUE-BEHIND
    │   ├── ChainForked             LK-CHAIN-FORKED
    │   ├── JobSuperseded           LK-JOB-SUPERSEDED
    │   ├── JobCancelled            LK-JOB-CANCELLED
    │   ├── JobHandedOver           the worker ends; the job stays RUNNING, and another worker resumes it
    │   │   └── TurnOver                its time slice is over while others wait; it resumes later
    │   ├── MemoryShort             LK-MEMORY
    │   └── JobInternal             LK-INTERNAL
    ├── StaleForm               console/app.py: a form without a token of its session
    ├── SentAlready             console/sent_forms.py: a form that was carried out, sent once more
    ├── UnknownHost             console/app.py: a name by which no browser may ask for it
    ├── NoSuchPage              console/app.py: no page of the console has this path
    ├── AddressRefused          notify/addresses.py: a webhook of a tenant leads to the inside
    ├── UsageError              cli/errors.py: an argument must be changed (exit 2)
    ├── CommandFailed           cli/errors.py: the command failed (exit 1)
    │   ├── NotCarriedOut           cli/errors.py: a verification could not be run (exit 3)
    │   ├── NotAnswering            cli/client.py: the service does not answer
    │   ├── Broken                  cli/client.py: the answer broke off
    │   └── Incomplete              cli/download.py: fewer bytes came than are kept
    └── ServiceFault            cli/errors.py: the service refused a request, or failed at it

The docstring of a class is its default message. A class of another file stands here with the name of that file.
`signing` imports nothing of ours: its `SignatureError` becomes `NotAuthenticated` in api/auth.py.
"""

from __future__ import annotations

import re

_UNWRITABLE = re.compile("[\\x00\\ud800-\\udfff]")


def writable(text: str) -> str:
    """Escape NUL, which PostgreSQL cannot store, and lone surrogates, which UTF-8 cannot encode."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNWRITABLE.sub(lambda found: "\\x00" if found[0] == "\0" else f"\\u{ord(found[0]):04x}", text)


class LogkeepError(Exception):
    """Something went wrong in Logkeep."""

    def __init__(self, message: str | None = None) -> None:
        """Escape characters that no database stores: a message may quote what another side sent."""
        self.message = writable(message or (type(self).__doc__ or "").strip())
        super().__init__(self.message)


class SettingError(LogkeepError):
    """A setting is wrong."""


class RequestError(LogkeepError):
    """The request is not valid."""


class InvalidField(RequestError):
    """A field is not valid."""

    def __init__(self, field: str, message: str, index: int | None = None) -> None:
        self.field = field
        self.index = index  # of the item that is meant, where the field is of one in a list; from 0
        super().__init__(f"{field}: {message}")


class EmptyBody(RequestError):
    """The request needs a JSON object as its body."""


class InvalidAgency(RequestError):
    """agency: letters, digits, '-' and '_' are allowed."""


class InvalidPeriod(RequestError):
    """period: write it as 'HH:MM GMT+HH:MM', for example '00:00 GMT+08:00'."""


class InvalidZone(RequestError):
    """period: the zone is written 'GMT+HH:MM' or 'GMT-HH:MM', from GMT-12:00 to GMT+14:00."""


class UnknownBucket(RequestError):
    """The bucket does not exist."""


class BodyTooLarge(RequestError):
    """The body is larger than 12 MB."""


class NoSuchApi(RequestError):
    """The API does not exist or has not been published in the environment."""


class NoClusterApi(RequestError):
    """The cluster was registered by its nodes, and where its own API answers is not known."""


class TagNotFound(RequestError):
    """The cluster has no tag of this key."""


class TargetNotFound(RequestError):
    """There is no target of notices of this name; `logkeep notify list` shows those that there are."""


class TooManyTargets(RequestError):
    """The project has as many targets of notices as it may; remove one first."""


class NameTaken(RequestError):
    """The name is taken."""


class NotAuthenticated(LogkeepError):
    """x-auth-token not found"""


class WrongSignature(NotAuthenticated):
    """The signature is not that of the key."""

    def __init__(self, message: str, in_a_row: int) -> None:
        super().__init__(message)
        self.in_a_row = in_a_row  # wrong ones of this key from this address, this one included


class WrongPassword(NotAuthenticated):
    """The username or password is wrong."""

    def __init__(self, message: str | None = None, *, who: str = "", project_id: str = "") -> None:
        super().__init__(message)
        self.who = who  # the user meant, '' where there is none: for the audit only
        self.project_id = project_id


class SessionEnded(NotAuthenticated):
    """Your session has ended; sign in again."""


class LinkSpent(NotAuthenticated):
    """This link was used or has expired; make another with `logkeep console`."""


class NotAuthorized(LogkeepError):
    """The IAM user is not authorized to access the API."""


class TokenNotFound(LogkeepError):
    """There is no such token in this project, or it has expired."""


class ClusterNotFound(LogkeepError):
    """No resources are found or the access is denied."""


class BackupClosed(LogkeepError):
    """Log backup of this cluster is not open; open it first."""


class BackupRunning(LogkeepError):
    """A log backup of this cluster is running; wait until it has ended."""


class NothingToRetry(LogkeepError):
    """The backup did not fail, or what it failed to keep was kept since."""


class RuleUnconfirmed(LogkeepError):
    """A rule of retention is new or was changed; look at what it would remove, and confirm it."""


class ArchiveProtected(LogkeepError):
    """Something of the archive is protected; end its protections first."""


class BucketNotWritable(LogkeepError):
    """The bucket cannot be written now."""


class Overloaded(LogkeepError):
    """Too many calls wait for the same thing just now; try again in some seconds."""


class JobError(LogkeepError):
    """A job failed."""

    code = "LK-INTERNAL"

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class SourceError(JobError):
    """A node's logs could not be read."""


class SourceRefused(SourceError):
    """The log directory may not be read, whatever lies there."""

    code = "LK-SOURCE-REFUSED"


class RootsMissing(SourceRefused):
    """The project has no directories of this machine that it may read, and needs some."""

    def __init__(self, project: str, directory: str, message: str) -> None:
        super().__init__(message)
        self.project = project  # its name
        self.directory = directory  # that would have to be one of them, or lie below one


class SourceUnreachable(SourceError):
    """The log directory of a node cannot be listed."""

    code = "LK-SOURCE-UNREACHABLE"


class SourceFileError(SourceError):
    """One log file could not be read; the others of the node may be."""


class SourceUnreadable(SourceFileError):
    """A log file cannot be read."""

    code = "LK-SOURCE-UNREADABLE"


class SourceUnsettled(SourceError):
    """The files of a log directory change faster than they can be read."""

    code = "LK-SOURCE-UNSETTLED"


class SourceVanished(SourceFileError):
    """A log file is no longer what the listing said."""

    code = "LK-SOURCE-VANISHED"


class StoreError(JobError):
    """A bucket could not be used."""

    code = "LK-STORE-UNREACHABLE"


class StoreUnreachable(StoreError):
    """The bucket does not answer."""

    code = "LK-STORE-UNREACHABLE"


class StoreDenied(StoreError):
    """The bucket refuses access."""

    code = "LK-STORE-DENIED"


class StoreLocked(StoreError):
    """The bucket refuses to remove an object that a lock keeps."""

    code = "LK-STORE-LOCKED"


class StoreFull(StoreError):
    """The bucket has no space left."""

    code = "LK-STORE-FULL"


class BucketMissing(StoreError):
    """The bucket is not there: it does not exist, is not mounted, or is another one."""

    code = "LK-STORE-MISSING"


class ObjectError(StoreError):
    """An object is not what was stored, in a bucket that is there."""


class StoreMissing(ObjectError):
    """An object does not exist."""

    code = "LK-STORE-MISSING"


class StoreCorrupt(ObjectError):
    """An object is not what was stored."""

    code = "LK-STORE-CORRUPT"


class CatalogueError(JobError):
    """The database could not be used."""

    code = "LK-CATALOGUE"


class CatalogueBehind(JobError):
    """The bucket has manifests that the database does not know."""

    code = "LK-CATALOGUE-BEHIND"


class ChainForked(JobError):
    """The database and the bucket have both gone on from the same manifest."""

    code = "LK-CHAIN-FORKED"


class JobSuperseded(JobError):
    """Another attempt of this job has gone on; this one stops."""

    code = "LK-JOB-SUPERSEDED"


class JobCancelled(JobError):
    """The job was cancelled; what was kept until then stays, and the next backup goes on from there."""

    code = "LK-JOB-CANCELLED"


class JobHandedOver(JobError):
    """The worker is ending; another one goes on with the job from what was kept so far."""

    code = "LK-JOB-SUPERSEDED"


class TurnOver(JobHandedOver):
    """Others wait, and the job has had its turn; it goes on from what was kept so far when it has the next one.

    `idle_seconds` tells for how long it has nothing to do; 0 where it has.
    """

    def __init__(self, idle_seconds: float = 0.0) -> None:
        super().__init__()
        self.idle_seconds = idle_seconds


class MemoryShort(JobError):
    """The service has too little memory for this, or may start no more threads; give it more."""

    code = "LK-MEMORY"


class JobInternal(JobError):
    """The job stopped on an unexpected error."""

    code = "LK-INTERNAL"
