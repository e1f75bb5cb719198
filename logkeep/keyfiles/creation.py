"""Makes the key files of an installation."""

from __future__ import annotations

from pathlib import Path

from logkeep.keyfiles.seal import create_seal
from logkeep.keyfiles.signing import create_signing_key


def create_keys(directory: Path) -> None:
    """Create missing key files; existing ones are kept."""
    create_seal(directory)
    create_signing_key(directory)
