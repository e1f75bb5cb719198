"""The directory of an installation: its settings, and where it is reached; without its database."""

from __future__ import annotations

from pathlib import Path

from logkeep.cli.errors import UsageError
from logkeep.cli.owner import is_client, is_installation
from logkeep.keyfiles.files import lacks_seal, no_installation
from logkeep.keyfiles.installation_id import is_leftover, is_unfinished
from logkeep.settings import CONFIG_FILE, Settings, load_settings

_OWN = {CONFIG_FILE, f"{CONFIG_FILE}.new", "buckets", "logkeep.db", "logkeep.db-wal", "logkeep.db-shm"}


def installed_settings(directory: Path) -> Settings:
    """The settings of an installation that there is. Raises `SettingError`."""
    if lacks_seal(directory) and not is_unfinished(directory):
        raise no_installation(directory)
    if not is_installation(directory):
        raise UsageError(_no_directory_text(directory))
    return load_settings(directory)


def _no_directory_text(directory: Path) -> str:
    if is_client(directory):
        return (
            f"{directory} has a key for a service elsewhere, and no installation; run this where the service runs, "
            "with --dir naming its directory"
        )
    remedy = "name it with --dir"
    if not directory.exists() or (directory.is_dir() and may_become_installation(directory)):
        remedy += ", or make one with `logkeep init`"
    return f"{directory} is no Logkeep directory; {remedy}"


def may_become_installation(directory: Path) -> bool:
    """Return whether `init` takes a directory: one that holds other things it leaves alone."""
    return is_unfinished(directory) or all(one.name in _OWN or is_leftover(one.name) for one in directory.iterdir())


def endpoint_url(host: str, port: int) -> str:
    """The URL by which this machine reaches what listens on host and port."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
