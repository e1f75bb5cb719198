"""Logs of four real nodes, cut to a representative size: OpenSearch 2.19 (two nodes), Elasticsearch 7.17 and 8.7."""

from __future__ import annotations

import tarfile
from pathlib import Path

NODES = ("os1", "os2", "es7a", "es8a")
_FOLDER = Path(__file__).parent / "data" / "corpus"


def unpack(node: str, directory: Path) -> list[Path]:
    """Write a node's log directory; returns its files, sorted by name."""
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(_FOLDER / f"{node}.tar.xz") as archive:
        archive.extractall(directory, filter="data")
    return sorted(directory.iterdir())
