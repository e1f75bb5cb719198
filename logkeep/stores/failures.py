"""What opendal or the operating system raised -> a `StoreError` that says what happened, where, and what to do."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable

from logkeep.errors import (
    BucketMissing,
    StoreCorrupt,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreUnreachable,
)

# Opendal has one text for all: "Kind (status) at operation => detail", then context and source. A file being written
# raises it as an OSError without a number, so that the text is all there is.
_KIND = re.compile(r"\w+(?= \()")
_DETAIL = re.compile(r"=> (.*)")
_SOURCE = re.compile(r"Source:\s+(.*)")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_STATUS = re.compile(r"Parts { status: (\d+)")
_SERVER = re.compile(r'Error { code: "(\w+)", message: "((?:[^"\\]|\\.)*)"')
_SAYING_NOTHING = re.compile(r"send http request(, |$)|error sending request: (client error \(\w+\): )?")

_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}  # on a disk, part of a name can be a folder, or a file
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "FilesystemNotFound", "specified bucket does not exist")
# Of the server's own words only: names of objects stand in the rest of the text.
_LOCKED = re.compile(r"object lock|WORM|ObjectLocked|immutab|legal hold", re.IGNORECASE)
_NO_SPACE = ("QuotaExceeded", "StorageFull", "InsufficientStorage", "InsufficientCapacity")

GOES_ON = "the next backup goes on from here."
_TRUST = "add its CA to those of this machine, or name a file with all CAs in the variable SSL_CERT_FILE"
# What the text of an error tells of its cause, and the remedy; the first that fits.
_REMEDIES = (
    (r"RequestTimeTooSkewed", f"Set the clock of this machine; {GOES_ON}"),
    (
        r"SignatureDoesNotMatch|InvalidAccessKeyId|AuthenticationFailed",
        "The key is wrong: check the credentials of the bucket, or of the agency.",
    ),
    (r"AccessDenied|AuthorizationPermissionMismatch", "The key may not {right} there: give it that right."),
    (r"AuthorizationHeaderMalformed|PermanentRedirect", "Check region= and endpoint= in the bucket's URL."),
    (r"dns error", f"The server's name is not known here: check endpoint= in the bucket's URL, and DNS; {GOES_ON}"),
    (r"not valid for name", "Its certificate is for another name: write one that it is for in endpoint=."),
    (r"certificate (expired|not valid yet)", "Renew its certificate, or set the clock of this machine."),
    (r"invalid peer certificate", f"Its certificate is not trusted here: {_TRUST}."),
    (r"InvalidContentType", "It answers without TLS: write http:// in endpoint=, or correct the port."),
)
# Verbs of deeds as the rights are named.
_RIGHTS = {"write": "write", "read": "read", "look": "read", "list": "list", "delete": "delete"}
_ADVICE: dict[type[StoreError], str] = {
    StoreDenied: "Check the keys or the owner, and that listing, reading, writing and deleting are allowed there.",
    StoreLocked: "A lock of the bucket keeps it: it goes once that has run out.",
    StoreFull: f"Free space or raise the quota; {GOES_ON}",
    StoreMissing: "Check the name of the bucket and its endpoint.",
    StoreCorrupt: "`logkeep verify CLUSTER` says what else is damaged.",
    StoreUnreachable: f"Check that it runs and can be reached from here; {GOES_ON}",
}
_LONGEST_DETAIL = 300  # characters; a proxy may answer with a page


def failure(error: Exception, deed: str, where: str, secrets: Iterable[str] = ()) -> StoreError:
    """Translate an error of opendal or the operating system.

    `deed` is what failed, as in "read 'a/b.zst'"; `where` is the bucket as it may be printed.
    """
    text = str(error)
    if any(word in text for word in _NO_BUCKET):
        return bucket_missing(where)
    kind = _kind(error, text, deed)
    return kind(f"cannot {deed} in {where}: {explain(error, secrets)}. {_advice(kind, error, text, deed)}")


def explain(error: Exception, secrets: Iterable[str] = ()) -> str:
    """Return the cause alone, on one line and without secrets."""
    text = _detail(error, str(error))
    for secret in secrets:
        text = text.replace(secret, "***")
    return text if len(text) <= _LONGEST_DETAIL else f"{text[:_LONGEST_DETAIL]}…"


def bucket_missing(where: str) -> BucketMissing:
    """Report that the bucket itself is missing, not an object in it."""
    name = where.removeprefix("bucket ")
    return BucketMissing(f"there is no bucket {name}. Create it, mount the disk it lies on, or correct its name.")


def object_missing(name: str, where: str) -> StoreMissing:
    return StoreMissing(f"there is no {name!r} in {where}. `logkeep verify CLUSTER` says what else is missing.")


def too_large(name: str, where: str, size: int, most: int) -> StoreCorrupt:
    return StoreCorrupt(f"{name!r} in {where} has {size} bytes; Logkeep writes at most {most} there")


def cut_short(name: str, where: str, found: int, size: int) -> StoreCorrupt:
    return StoreCorrupt(f"{name!r} in {where} has {found} bytes instead of {size}. {_ADVICE[StoreCorrupt]}")


def _kind(error: Exception, text: str, deed: str) -> type[StoreError]:
    found = _KIND.match(text)
    name = found[0] if found else ""
    number = _os_error(error, text)
    status = _STATUS.search(text)
    if number in _FULL or (status and status[1] == "507") or any(word in text for word in _NO_SPACE):
        return StoreFull
    server = _SERVER.search(text)
    if deed.startswith("delete") and server and _LOCKED.search(f"{server[1]} {server[2]}"):
        return StoreLocked
    if name == "PermissionDenied" or number in _DENIED or "failed to load signing credential" in text:
        return StoreDenied
    if name == "NotFound" or number in _MISSING:
        return StoreMissing
    if name == "RangeNotSatisfied" or "too little data" in text:
        return StoreCorrupt
    return StoreUnreachable


def _advice(kind: type[StoreError], error: Exception, text: str, deed: str) -> str:
    for pattern, remedy in _REMEDIES if kind is not StoreLocked else ():
        if re.search(pattern, text):
            return remedy.format(right=_RIGHTS[deed.split(maxsplit=1)[0]])
    if kind is StoreUnreachable and _os_error(error, text) == errno.EIO:
        return f"Check the disk that it lies on; {GOES_ON}"
    if kind is StoreDenied and deed.startswith("look up") and _STATUS.search(text):  # no text says which of the two
        return "Check the keys, and that reading is allowed there."
    if kind is StoreUnreachable and "timeout" in text:
        return f"{_ADVICE[kind]} Where it is only slow, give it more time with ?timeout= in the bucket's URL."
    return _ADVICE[kind]


def _os_error(error: Exception, text: str) -> int | None:
    found = _OS_ERROR.search(text)
    if found:
        return int(found[1])
    return error.errno if isinstance(error, OSError) else None


def _detail(error: Exception, text: str) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if server := _SERVER.search(text):
        return f"{server[1]}: {server[2]}".replace('\\"', '"').rstrip(".")
    said = [found[1].strip() for found in (_DETAIL.search(text), _SOURCE.search(text)) if found and found[1].strip()]
    if status := _STATUS.search(text):
        said.append(f"the server answered {status[1]}")
    return _SAYING_NOTHING.sub("", ", ".join(said)) or text.partition("\n")[0]
