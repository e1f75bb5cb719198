"""Log files for measuring: the lines of two real nodes, enlarged, with the numbers in them made different."""

from __future__ import annotations

import gzip
import random
import re
import tempfile
from collections.abc import Iterator
from itertools import chain
from operator import add
from pathlib import Path

from logkeep.logformat.names import parse_name
from tests.support import corpus

_POOL_BYTES = 8 * 1024 * 1024  # of a family: many times the window of zstd -3, so that a repetition gains nothing
_HEAD = 110  # bytes of a line that hold time and level; they stay as they are
_NUMBER = re.compile(rb"\d+")
_DIGITS = b"0123456789"


def enlarge(directory: Path, total: int, file_bytes: int = 128 * 1024 * 1024, seed: int = 8475) -> list[Path]:
    """Write rotated, plain log files of `file_bytes` into `directory`, `total` bytes together; the same each time.

    No long piece comes twice, so that a program that looks for such pieces finds none.
    """
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    logs = lines_by_family()
    pools: list[Pool] = []
    files: list[Path] = []
    written = 0
    while written < total:
        log = len(files) % len(logs)
        if log == len(pools):
            pools.append(Pool(logs[log], chance))
        path = directory / f"bench{log}-2026-11-23-{len(files) // len(logs) + 1}.log"
        size = min(file_bytes, total - written)
        with path.open("wb") as file:
            for block in pools[log].blocks():
                file.write(block[: size - file.tell()])
                if file.tell() == size:
                    break
        written += size
        files.append(path)
    return files


def lines_by_family() -> list[list[bytes]]:
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
    return data.splitlines()


class Pool:
    """Lines of one log, which come again and again with other digits and in another order."""

    def __init__(self, lines: list[bytes], chance: random.Random) -> None:
        self._chance = chance
        self._heads: list[bytes] = []
        tails: list[bytes] = []
        size = 0
        while size < _POOL_BYTES:
            line = chance.choice(lines)
            self._heads.append(line[:_HEAD])
            tails.append(_NUMBER.sub(self._other_number, line[_HEAD:]))
            size += len(line) + 1
        self._tails = b"\n".join(tails)

    def blocks(self) -> Iterator[bytes]:
        while True:
            digits = bytes(self._chance.sample(_DIGITS, len(_DIGITS)))
            tails = self._tails.translate(bytes.maketrans(_DIGITS, digits)).split(b"\n")
            lines = list(map(add, self._heads, tails))
            step = self._chance.randrange(2, 1000)
            yield b"\n".join(chain.from_iterable(lines[start::step] for start in range(step))) + b"\n"

    def _other_number(self, number: re.Match[bytes]) -> bytes:
        return str(self._chance.random())[2:].encode()[: len(number[0])]
