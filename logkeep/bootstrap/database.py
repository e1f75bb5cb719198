"""The database of an installation: opened only if it belongs to the keys and the id beside it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from logkeep.database.connection import connect, reading, try_connection
from logkeep.database.keys import fetch_any_secret
from logkeep.database.migrate import migrate
from logkeep.database.owner import describe, find_owner, is_missing, looks_made, save_owner
from logkeep.domain.causes import rebuild_command
from logkeep.errors import SettingError
from logkeep.keyfiles.installation_id import ID_FILE, is_unfinished, read_id, write_id
from logkeep.keyfiles.seal import open_seal
from logkeep.settings import Settings


def claim_database(settings: Settings, database: Engine, own_id: str = "") -> None:
    """Record that the database belongs to this installation, which from now on accepts no other."""
    save_owner(database, own_id or read_own_id(settings) or write_id(settings.directory))


def is_claimed(settings: Settings, database: Engine) -> bool:
    """Return whether the database is recorded as this installation's."""
    owner = find_owner(database)
    return bool(owner) and owner == read_own_id(settings)


def open_database(settings: Settings) -> Engine:
    """Open the installation's database and migrate it to this version.

    Raises `SettingError`, and changes nothing, if it is missing, empty or another installation's.
    """
    return open_own_database(settings, read_own_id(settings))


def open_own_database(settings: Settings, own_id: str | None, *, new: bool = False) -> Engine:
    database = connect(settings.database_url)
    try:
        _check_owner(settings, database, own_id, new=new)
        migrate(database)
    except BaseException:
        database.dispose()
        raise
    if settings.embedded:
        _make_private(settings.directory / "logkeep.db")
    return database


@contextmanager
def _connected(settings: Settings) -> Generator[Engine]:
    """Connect to the database without migrating it."""
    database = connect(settings.database_url)
    try:
        yield database
    finally:
        database.dispose()


def read_own_id(settings: Settings) -> str | None:
    """Return the id of the installation, None if it is missing. Raises `SettingError` after an interrupted `init`."""
    if is_unfinished(settings.directory):
        raise SettingError(f"`logkeep init` did not come to its end in {settings.directory}; run it once more")
    return read_id(settings.directory)


def _check_owner(settings: Settings, database: Engine, own_id: str | None, *, new: bool = False) -> None:
    """Raise `SettingError` unless the database is the installation's or, with `new`, belongs to none yet."""
    owner = _ask_owner(database)
    if (owner and owner == own_id) or (new and not owner):
        return
    directory, where = settings.directory, describe(database)
    if own_id is None:
        raise SettingError(
            f"{directory / ID_FILE}: is missing; copy it, as the keys, from the machine where `logkeep init` ran, or "
            "where it is lost, let `logkeep init` write it again"
        )
    lost = f"or make it anew from the buckets with `{rebuild_command(settings.buckets)}`"
    if owner:
        raise SettingError(
            f"database: {where} is that of another installation, {owner}, and {directory} is {own_id}; correct "
            f"`database` in logkeep.toml to an empty or its own one, {lost}"
        )
    found = "is not there" if is_missing(database) else "holds no installation"
    raise SettingError(
        f"database: {where} {found}, but {directory} is an installation that had one; put it back, mount the volume it "
        f"lies on, or correct `database` in logkeep.toml, {lost}"
    )


def _ask_owner(database: Engine) -> str | None:
    if not looks_made(database):
        return None
    try_connection(database)
    return find_owner(database)


def expect_no_other(settings: Settings, own_id: str) -> None:
    """Raise `SettingError` if the database for an installation that is being made belongs to another one."""
    with _connected(settings) as database:
        owner = _ask_owner(database)
        if owner and owner != own_id:
            raise SettingError(
                f"database: {describe(database)} is that of another installation, {owner}; name an empty one in "
                f"logkeep.toml, or copy logkeep.toml, {ID_FILE}, seal.key, sign.key and sign.pub of that one here"
            )


def check_installation(settings: Settings) -> None:
    """Check that keys, id and database belong together; restore a missing id if the keys prove which it was.

    Raises `SettingError`.
    """
    with _connected(settings) as database:
        own_id = read_own_id(settings)
        if own_id is None:
            own_id = write_id(settings.directory, _proven_owner(settings, database))
        _check_owner(settings, database, own_id)


def _proven_owner(settings: Settings, database: Engine) -> str:
    """Return the owner of the database if its secrets can be decrypted with the key of this directory."""
    seal = open_seal(settings.directory)
    if owner := _ask_owner(database):
        with reading(database) as connection:
            sealed = fetch_any_secret(connection)
        if sealed is not None:
            seal.decrypt(sealed)
            return owner
    raise SettingError(
        f"{settings.directory} has keys, but neither {ID_FILE} nor a database that is proven to be its own; put them "
        "back, correct `database` in logkeep.toml, or make both anew from the buckets with "
        f"`{rebuild_command(settings.buckets)}`"
    )


def migrate_database(settings: Settings) -> tuple[str | None, str]:
    """Migrate all tables to this version. Returns the revisions before (None without tables) and after.

    Raises `SettingError`.
    """
    from logkeep.work.queue import prepare_database  # noqa: PLC0415  the queue has its own tables

    with _connected(settings) as database:
        _check_owner(settings, database, read_own_id(settings))
        revisions = migrate(database)
        prepare_database(settings.database_url)
    return revisions


def _make_private(path: Path) -> None:
    if path.exists():
        path.chmod(0o600)
