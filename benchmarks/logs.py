"""Log files for measuring: the lines of two real nodes, enlarged, with the numbers in them made different."""

from __future__ import annotations

import gzip
import random
import re
import tempfile
from pathlib import Path

from logkeep.logformat.names import parse_name
from tests import corpus

_POOL_BYTES = 8 * 1024 * 1024  # of a family: many times the window of zstd -3, so that a repetition gains nothing
_HEAD = 110  # bytes of a line that hold time and level; they stay as they are
_NUMBER = re.compile(rb"\d+")


def enlarge(directory: Path, total: int, file_bytes: int = 128 * 1024 * 1024) -> list[Path]:
    """Write rotated, plain log files of `file_bytes` into `directory`, `total` bytes together; the same each time."""
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(8475)
    pools = [_pool(lines, chance) for lines in _lines_by_family()]
    files: list[Path] = []
    written = 0
    while written < total:
        log = len(files) % len(pools)
        name = f"bench{log}-2026-11-23-{len(files) // len(pools) + 1}.log"
        size = min(file_bytes, total - written)
        with (directory / name).open("wb") as file:
            while file.tell() < size:
                file.write(pools[log][: size - file.tell()])
        written += size
        files.append(directory / name)
    return files


def _lines_by_family() -> list[list[bytes]]:
    """Lines of an OpenSearch and an Elasticsearch node, those of one log together."""
    found: dict[str, list[bytes]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for node in ("os1", "es8a"):
            files = corpus.unpack(node, Path(temporary) / node)
            known = {file.name for file in files}
            for file in files:
                found.setdefault(parse_name(file.name, known).family, []).extend(_read(file))
    return [lines for lines in found.values() if len(lines) > 100]


def _read(file: Path) -> list[bytes]:
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return data.splitlines(keepends=True)


def _pool(lines: list[bytes], chance: random.Random) -> bytes:
    pool = bytearray()
    while len(pool) < _POOL_BYTES:
        line = chance.choice(lines)
        rest = _NUMBER.sub(lambda number: str(chance.random())[2:].encode()[: len(number[0])], line[_HEAD:])
        pool += line[:_HEAD] + rest
    return bytes(pool)
