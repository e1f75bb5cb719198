"""Measure filters of frames: size, speed of building, and which part of the frames an absent text leaves to read."""

from __future__ import annotations

import gzip
import random
import re
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from benchmarks.logs import enlarge
from logkeep.search.frame_filter import Needle, build_filter
from logkeep.stores.frames import compress_frame
from tests.support import corpus

_FRAME = 4 * 1024 * 1024
_HEAD = 110  # bytes of a line, behind which an id or a message is put
_BASE36 = b"0123456789abcdefghijklmnopqrstuvwxyz"
_WORDS = (
    b"OutOfMemoryError StackOverflowError SSLHandshakeException NumberFormatException corrupted NullPointerException "
    b"unreachable interrupted quarantine permission reconnecting ArithmeticException segfault unauthorized heap_dump "
    b"disk.watermark.flood ClosedByInterruptException poisoned truststore"
).split()


def main() -> None:
    chance = random.Random(7)
    characters = [chr(code) for code in range(0x4E00, 0x9FA5)]
    chance.shuffle(characters)
    words = ["".join(chance.choices(characters[:2500], k=chance.choice((2, 2, 2, 3, 4)))) for _ in range(6000)]
    kinds = _make_kinds(chance, words)
    texts = _make_texts(chance, words, kinds)
    print("| kind | KiB a frame | % of archive | MB/s | archive / gzip -6 |", *(f"{name} |" for name in texts))
    for kind, frames in kinds.items():
        begun = time.process_time()
        filters = [build_filter(frame) for frame in frames]
        seconds = time.process_time() - begun
        archive, size, raw = (
            sum(len(compress_frame(frame)) for frame in frames),
            sum(map(len, filters)),
            sum(map(len, frames)),
        )
        zipped = sum(len(gzip.compress(frame, 6)) for frame in frames)
        cells = [f"{size / len(frames) / 1024:.1f}", f"{size / archive:.1%}", f"{raw / seconds / 1e6:.0f}"]
        cells += [f"{archive / zipped:.2f}", *(_pass(frames, filters, texts[name]) for name in texts)]
        print("|", kind, "|", " | ".join(cells), "|", flush=True)


def _make_kinds(chance: random.Random, words: list[str]) -> dict[str, list[bytes]]:
    weights = [1 / (rank + 3) for rank in range(len(words))]

    def add_long_ids(line: bytes) -> bytes:
        number = chance.getrandbits(128)
        text = b"%032x" % number if number & 1 else str(uuid.UUID(int=number)).encode()
        return line + b" trace.id=" + text if number & 2 else line[:_HEAD] + b"[" + text + b"] " + line[_HEAD:]

    def add_short_ids(line: bytes) -> bytes:
        first, last = b"[%08x] " % chance.getrandbits(32), b" order=%010d" % chance.randrange(10**10)
        return line[:_HEAD] + first + line[_HEAD:] + last

    def add_chinese(line: bytes) -> bytes:
        message = "".join(chance.choices(words, weights, k=chance.randrange(3, 12)))
        return line[:_HEAD] + message.encode() + line[_HEAD:]

    with tempfile.TemporaryDirectory() as temporary:
        plain = [path.read_bytes() for path in enlarge(Path(temporary) / "enlarged", 8 * _FRAME, _FRAME)]
        logs = [log for node in corpus.NODES for log in _read_node(node, Path(temporary) / node)]
    changes: dict[str, Callable[[bytes], bytes]] = {
        "an id of 32 digits or a UUID in each line": add_long_ids,
        "ids of 8 hex and of 10 decimal digits": add_short_ids,
        "Chinese messages": add_chinese,
    }
    made = {
        kind: [b"\n".join(map(change, log.split(b"\n")))[:_FRAME] for log in plain] for kind, change in changes.items()
    }
    return {"as they are": logs, "numbers made different": plain, **made}


def _read_node(node: str, directory: Path) -> list[bytes]:
    corpus.unpack(node, directory)
    return [log[:_FRAME] for log in corpus.families(directory).values() if len(log) > 64 * 1024]


def _make_texts(chance: random.Random, words: list[str], kinds: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    plain = b"".join(
        chance.choice(log.split(b"\n")) for _ in range(60) for log in kinds["numbers made different"][:8:4]
    )
    made: dict[str, Callable[[], bytes]] = {
        "32 hex": lambda: b"%032x" % chance.getrandbits(128),
        "8 hex": lambda: b"%08x" % chance.getrandbits(32),
        "10 digits": lambda: b"%010d" % chance.randrange(10**10),
        "=8 hex": lambda: b"=%08x " % chance.getrandbits(32),
        "20 of a-z0-9": lambda: bytes(chance.choices(_BASE36, k=20)),
        "8 of a-z0-9": lambda: bytes(chance.choices(_BASE36, k=8)),
        "IPv4": lambda: b".".join(b"%d" % chance.randrange(10, 256) for _ in range(4)),
        "2 Chinese": lambda: bytes("".join(chance.choices(words, k=2))[1:3], "utf-8"),
        "4 Chinese": lambda: bytes("".join(chance.choices(words, k=4))[1:5], "utf-8"),
    }
    texts = {name: [make() for _ in range(120)] for name, make in made.items()}
    return {"rare words": _WORDS, "words of other logs": list(set(re.findall(rb"[\w.:-]{8,24}", plain))), **texts}


def _pass(frames: list[bytes], filters: list[bytes], texts: list[bytes]) -> str:
    needles = [(text.lower(), Needle(text)) for text in texts]
    passed = [
        needle.may_be_in(found)
        for frame, found in zip(map(bytes.lower, frames), filters, strict=True)
        for text, needle in needles
        if text not in frame
    ]
    return f"{sum(passed) / max(1, len(passed)):.1%}"


if __name__ == "__main__":
    main()
