"""Tells of what logkeep.toml lacks, or names and is not there, before somebody meets it as a failure."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from logkeep.bootstrap.stores import bucket_folders
from logkeep.cli.output import note
from logkeep.cli.owner import user_name
from logkeep.settings import Settings

_MAX_LOOKED_AT = 100  # directories, each in a thread of its own
_SHOWN = 10
_SECONDS = 2.0  # for all of them; a mount may hang


def tell_missing(settings: Settings) -> None:
    """Say each in a line on standard error, and what then holds."""
    told = [*tell_owner(settings.directory), *_tell_file(settings), *_tell_directories(settings)]
    for text in told[:_SHOWN]:
        note(f"logkeep: warning: {text}")
    if len(told) > _SHOWN:
        note(f"logkeep: warning: and {len(told) - _SHOWN} more that logkeep.toml names and that are not there")


def tell_owner(directory: Path) -> list[str]:
    """Return what is to be said where root acts on the directory of another user."""
    owner = directory.stat().st_uid if directory.exists() else 0
    if os.geteuid() or not owner:
        return []
    name = user_name(owner)
    return [
        f"{directory} belongs to {name}, and this runs as root: what it writes there, {name} may not read later; run "
        f"it as {name}, by `runuser -u {name} --` before it"
    ]


def _tell_file(settings: Settings) -> list[str]:
    path = settings.directory / "logkeep.toml"
    if settings.buckets:
        return []
    what = "is missing" if not path.exists() else "names no bucket" if path.stat().st_size else "is empty"
    return [f"{path} {what}: all that it does not say is as by default, and no log backup can be opened or carried out"]


def _tell_directories(settings: Settings) -> list[str]:
    where = {
        f"buckets.{name}: {folder} {{}}; no log backup can be kept there or read until it is": folder
        for name, folder in bucket_folders(settings).items()
    }
    roots = {f"sources.projects.{name}": project.roots for name, project in settings.sources.projects.items()}
    for name, some in {"sources": settings.sources.roots, **roots}.items():
        where |= {f"{name}.roots: {root} {{}}; no log below it can be read until it is": Path(root) for root in some}
    told = [
        text.format("gives no sign" if there is None else "is not there")
        for text, there in _look(dict(list(where.items())[:_MAX_LOOKED_AT])).items()
        if not there
    ]
    if len(where) > _MAX_LOOKED_AT:
        told.insert(
            0, f"only {_MAX_LOOKED_AT} of {len(where)} buckets and roots were looked at, whether they are there"
        )
    return told


def _look(where: Mapping[str, Path]) -> dict[str, bool | None]:
    """Return whether each directory is there; None where that was not told in time."""
    found: dict[str, bool | None] = dict.fromkeys(where)

    def look(name: str, path: Path) -> None:
        try:
            found[name] = path.is_dir()
        except OSError:  # it is there, and a backup tells what is wrong with it
            found[name] = True

    threads = [threading.Thread(target=look, args=one, daemon=True) for one in where.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + _SECONDS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(found)
