"""Logs of four real nodes, cut to a representative size: OpenSearch 2.19 (two nodes), Elasticsearch 7.17 and 8.7."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

from logkeep.logformat.names import parse_name

NODES = ("os1", "os2", "es7a", "es8a")
_FOLDER = Path(__file__).parents[1] / "data" / "corpus"


def unpack(node: str, directory: Path) -> list[Path]:
    """Write a node's log directory; returns its files, sorted by name."""
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(_FOLDER / f"{node}.tar.xz") as archive:
        archive.extractall(directory, filter="data")
    return sorted(directory.iterdir())


def plain(path: Path) -> bytes:
    """Content of a log file, decompressed."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def families(directory: Path) -> dict[str, bytes]:
    """Family -> the bytes of all its files in the order of writing, straight from a directory at rest."""
    names = {path.name for path in directory.iterdir()}
    found: dict[str, list[tuple[object, ...]]] = {}
    for path in directory.iterdir():
        name = parse_name(path.name, names)
        data = plain(path)
        first = data[:29] if name.order_by_time else b""
        found.setdefault(name.family, []).append((name.active, first, name.order, data))
    return {family: b"".join(part[-1] for part in sorted(parts)) for family, parts in found.items()}  # type: ignore[misc]
