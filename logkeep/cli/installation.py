"""Opens an installation for the commands that act on its database, its buckets included."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from logkeep.bootstrap import claim_database, is_claimed, only_process, open_context, open_new_context
from logkeep.cli.directory import installed_settings
from logkeep.cli.errors import CommandFailed
from logkeep.domain.causes import explain_database
from logkeep.errors import CatalogueError
from logkeep.service import clusters
from logkeep.service.context import Context


def open_installation(directory: Path) -> AbstractContextManager[Context]:
    """Open an installation for commands that act on its database. Raises `SettingError`, `CommandFailed`."""
    settings = installed_settings(directory)
    return opened(lambda: open_context(settings))


@contextmanager
def open_lost_installation(directory: Path, vouched: Sequence[str]) -> Generator[Context]:
    """Do the same with a new database where it was lost; it counts once it has a cluster again.

    Nobody else has the installation meanwhile. `vouched` are keys in hex that are trusted besides those of sign.pub.
    """
    settings = installed_settings(directory)
    with only_process(directory), opened(lambda: open_new_context(settings, vouched=vouched)) as context:
        yield context
        if is_claimed(settings, context):
            return
        if not clusters.find_clusters(context):
            raise CommandFailed(
                f"no cluster was put in, so the database of {directory} counts as lost as before; name the buckets "
                "with its backups by --from, or where there never was one, begin with `logkeep init` in a new directory"
            )
        claim_database(settings, context)


@contextmanager
def opened(opener: Callable[[], Context]) -> Generator[Context]:
    """Close the database behind a command, and raise its errors as `CommandFailed`."""
    try:
        context = opener()
        try:
            yield context
        finally:
            context.database.dispose()
    except (SQLAlchemyError, CatalogueError) as error:
        if isinstance(error, CatalogueError):  # it says what is wrong and what to do
            raise CommandFailed(error.message) from error
        raise CommandFailed(explain_database(str(error.__cause__ or error).partition("\n")[0])) from error
