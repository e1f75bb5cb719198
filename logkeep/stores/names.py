"""The names that an object may have in every kind of store."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONGEST_NAME = 1024  # bytes, the limit of S3
_LONGEST_PART = 240  # bytes: a file system allows 255, and the file in the making gets 9 more

# Top level of a bucket: files in the making, and the trial object of `check`. Never listed, never put by others.
UNFINISHED = ".tmp"
TRIAL = ".logkeep-check-"


def check_name(name: str) -> None:
    """Raise `ValueError` for a name that some store could not hold as it is."""
    problem = _problem(name)
    if problem:
        raise ValueError(f"not an object name, {problem}: {name!r}")


def check_prefix(prefix: str) -> None:
    """Raise `ValueError` unless `prefix` is empty, or ends with '/' and a name can begin with it."""
    if prefix and not prefix.endswith("/"):
        raise ValueError(f"a prefix ends with '/': {prefix!r}")
    if prefix and not is_listed(prefix):
        raise ValueError(f"no object name begins with this prefix: {prefix!r}")


def is_listed(path: str) -> bool:
    """Return whether a path found in a bucket is an object that Logkeep could have stored, or a folder of such."""
    return not path.startswith(TRIAL) and not _problem(f"{path}x" if path.endswith("/") else path)


def _problem(name: str) -> str | None:
    parts = name.split("/")
    if not all(parts):
        return "it has an empty part"
    if "." in parts or ".." in parts or parts[0] == UNFINISHED:
        return "it has a part of another meaning"
    if _CONTROL.search(name):
        return "it has a control character"
    if any(part != part.strip() for part in parts):
        return "a part of it begins or ends with a space"  # opendal would cut it off, in one place or another
    return _too_long(name, parts)


def _too_long(name: str, parts: list[str]) -> str | None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "it is not Unicode"
    if size > _LONGEST_NAME or (size > _LONGEST_PART and any(len(part.encode()) > _LONGEST_PART for part in parts)):
        return f"it is longer than {_LONGEST_NAME} bytes or has a part longer than {_LONGEST_PART}"
    return None
