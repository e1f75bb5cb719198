"""Opens an installation for the commands that act on its database, its buckets included."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from logkeep.bootstrap.database import claim_database, is_claimed
from logkeep.bootstrap.runtime import open_new_runtime, open_runtime
from logkeep.cli.directory import installed_settings
from logkeep.cli.errors import CommandFailed
from logkeep.cli.lock import only_process
from logkeep.cli.owner import user_name
from logkeep.domain.access import AuditEntry
from logkeep.domain.causes import explain_database
from logkeep.errors import CatalogueError
from logkeep.service import audit, clusters
from logkeep.service.runtime import Runtime


def open_installation(directory: Path) -> AbstractContextManager[Runtime]:
    """Open an installation for commands that act on its database. Raises `SettingError`, `CommandFailed`."""
    settings = installed_settings(directory)
    return opened(lambda: open_runtime(settings))


def record_change(runtime: Runtime, operation: str, project_id: str) -> None:
    """Record in the audit that a command of this machine has changed who may ask the service."""
    entry = AuditEntry(
        at=runtime.clock.now_ms(),
        who=user_name(os.getuid()),
        project_id=project_id,
        operation=operation,
        cluster_id="",
        address="local",
        status=200,
        code="",
        request_id="",
    )
    audit.record(runtime, entry)


@contextmanager
def open_lost_installation(directory: Path, vouched: Sequence[str]) -> Generator[Runtime]:
    """Do the same with a new database where it was lost; it counts once it has a cluster again.

    Nobody else has the installation meanwhile. `vouched` are keys in hex that are trusted besides those of sign.pub.
    """
    settings = installed_settings(directory)
    with only_process(directory), opened(lambda: open_new_runtime(settings, vouched=vouched)) as runtime:
        yield runtime
        if is_claimed(settings, runtime.database):
            return
        if not clusters.find_clusters(runtime):
            raise CommandFailed(
                f"no cluster was put in, so the database of {directory} counts as lost as before; name the buckets "
                "with its backups by --from, or where there never was one, begin with `logkeep init` in a new directory"
            )
        claim_database(settings, runtime.database)


@contextmanager
def opened(opener: Callable[[], Runtime]) -> Generator[Runtime]:
    """Close the database behind a command, and raise its errors as `CommandFailed`."""
    try:
        runtime = opener()
        try:
            yield runtime
        finally:
            runtime.database.dispose()
    except (SQLAlchemyError, CatalogueError) as error:
        if isinstance(error, CatalogueError):  # it says what is wrong and what to do
            raise CommandFailed(error.message) from error
        raise CommandFailed(explain_database(str(error.__cause__ or error).partition("\n")[0])) from error
