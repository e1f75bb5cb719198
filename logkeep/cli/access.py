"""Endpoint and key of the service; `client.toml` of an installation holds them."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from logkeep.cli.errors import UsageError
from logkeep.cli.invocation import CommonOptions
from logkeep.cli.owner import CLIENT_FILE

_BESIDE = f".{CLIENT_FILE}."  # beginning of the name that it has while it is written
_INSTEAD = "give --endpoint, --ak and --sk (LOGKEEP_ENDPOINT, LOGKEEP_AK and LOGKEEP_SK)"


@dataclass(frozen=True, slots=True)
class Access:
    """An endpoint and a key of one project."""

    endpoint: str  # http://127.0.0.1:8475
    ak: str
    sk: str
    project_id: str  # '' where only the service knows it
    security_token: str = ""  # of a temporary key; never kept


def find_access(asked: CommonOptions) -> Access:
    """Return endpoint and key from options, variables or `client.toml`. Raises `UsageError` naming what is missing."""
    if bool(asked.ak) != bool(asked.sk):
        raise UsageError("a key has two parts: give both --ak and --sk (LOGKEEP_AK and LOGKEEP_SK)")
    try:
        saved = None if asked.endpoint and asked.ak else read_access(asked.directory)
    except UsageError as error:
        raise UsageError(f"{error.message}, or {_INSTEAD}") from error
    endpoint = asked.endpoint or (saved.endpoint if saved else "")
    if saved is None and not (endpoint and asked.ak):
        raise UsageError(
            f"{asked.directory / CLIENT_FILE} does not exist; name the installation with --dir, or {_INSTEAD}"
        )
    _check_endpoint(endpoint)
    if asked.ak or saved is None:
        return Access(
            endpoint=endpoint,
            ak=asked.ak,
            sk=asked.sk,
            project_id=asked.project_id,
            security_token=asked.security_token,
        )
    return replace(saved, endpoint=endpoint, project_id=asked.project_id or saved.project_id)


def read_access(directory: Path) -> Access | None:
    """Return the endpoint and key of `client.toml`; None where there is no such file."""
    path = directory / CLIENT_FILE
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no valid TOML: {error}; correct it") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; be the user that it belongs to") from error
    return Access(*(_text(path, found, key) for key in ("endpoint", "ak", "sk", "project_id")))


def write_access(directory: Path, access: Access) -> None:
    """Replace `client.toml`, for its owner's eyes only."""
    values = {"endpoint": access.endpoint, "project_id": access.project_id, "ak": access.ak, "sk": access.sk}
    text = "# Where the service is and the key that commands use; `logkeep serve` keeps the endpoint up to date.\n"
    text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    _replace(directory, text)


def read_client(directory: Path) -> str | None:
    """Return `client.toml` as it stands, for `restore_client`; None where it cannot be read."""
    with suppress(OSError, UnicodeDecodeError):
        return (directory / CLIENT_FILE).read_text("utf-8")
    return None


def restore_client(directory: Path, text: str | None) -> None:
    """Put back what `read_client` read, where it is another by now."""
    with suppress(OSError):
        if text is not None and text != read_client(directory):
            _replace(directory, text)


def is_leftover(name: str) -> bool:
    """Return whether a process that was killed while it wrote `client.toml` left a file of this name."""
    return name.startswith(_BESIDE)


def _replace(directory: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(prefix=_BESIDE, dir=directory)  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(directory / CLIENT_FILE)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _text(path: Path, found: Mapping[str, object], key: str) -> str:
    value = found.get(key, "")
    if not isinstance(value, str) or (not value and key != "project_id"):
        raise UsageError(f'{path}: {key} is missing or no text; it is written as {key} = "…"')
    return value


def _check_endpoint(endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.path in {"", "/"}
        _ = parts.port  # raises where it is no port
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(f"{endpoint!r} is no endpoint; write it as http://127.0.0.1:8475")
