"""The directory of an installation: its settings, and where it is reached; without its database."""

from __future__ import annotations

from pathlib import Path

from logkeep.cli.errors import UsageError
from logkeep.installation_id import is_unfinished
from logkeep.keyfiles.files import SEAL_FILE, lacks_seal, no_installation
from logkeep.settings import Settings, load_settings


def is_installation(directory: Path) -> bool:
    return (directory / SEAL_FILE).exists()


def installed_settings(directory: Path) -> Settings:
    """The settings of an installation that there is. Raises `SettingError`."""
    if lacks_seal(directory) and not is_unfinished(directory):
        raise no_installation(directory)
    if not is_installation(directory):
        raise UsageError(f"{directory} is no Logkeep directory; name it with --dir, or make one with `logkeep init`")
    return load_settings(directory)


def endpoint_url(host: str, port: int) -> str:
    """The URL by which this machine reaches what listens on host and port."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
