"""Logs that a real logrotate rotates, one node for each way to set it up: all that was on disk at a backup is kept once."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from logkeep.stores.frames import zstd
from tests.real.deployment import Site
from tests.real.servers import need_command, other_clock

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

LOGS = ("es.log", "es_audit.json")
DAY, HOUR, SECOND = 86_400, 3_600, 1
_NUMBER = re.compile(rb"event (\d{6})")


@dataclass(frozen=True)
class Manner:
    """How logrotate is set up; `apart` are the seconds between two rotations."""

    says: str
    apart: int = DAY
    keep: int = 9
    lags: bool = False  # the writer goes on in the renamed file for a while, before it is told


MANNERS = {
    "plain": Manner("create", lags=True),
    "nocreate": Manner("nocreate\nstart 0", lags=True),
    "olddir": Manner("olddir archive\ncreateolddir 0755", lags=True),
    "dateext": Manner("dateext", lags=True),
    "epoch": Manner("dateext\ndateformat -%s", SECOND),
    "copytruncate": Manner("copytruncate"),
    "delaycompress": Manner("compress\ndelaycompress", lags=True),
    "xz": Manner("compress\ncompresscmd /usr/bin/xz\nuncompresscmd /usr/bin/unxz\ncompressext .xz"),
    "copy": Manner("copy"),
    "compress": Manner("compress"),
    "zstd": Manner("compress\ncompresscmd /usr/bin/zstd\ncompressoptions --rm -q\ncompressext .zst"),
    "bzip2": Manner("compress\ndelaycompress\ncompresscmd /usr/bin/bzip2\ncompressext .bz2", lags=True),
    "dateext-compress": Manner("dateext\ncompress"),
    "dateext-delaycompress": Manner("dateext\ncompress\ndelaycompress", lags=True),
    "copytruncate-delaycompress": Manner("copytruncate\ncompress\ndelaycompress"),
    "copytruncate-dateext-xz": Manner("copytruncate\ndateext\ncompress\ncompresscmd /usr/bin/xz\ncompressext .xz"),
    "olddir-dateext-compress": Manner("olddir archive\ncreateolddir 0755\ndateext\ncompress"),
    "olddir-copytruncate": Manner("olddir archive\ncreateolddir 0755\ncopytruncate"),
    "hourly": Manner("dateext\ndateformat -%Y%m%d-%H", HOUR, lags=True),
    "hourly-compress": Manner("dateext\ndateformat .%Y-%m-%d_%H-%M\ncompress\ndelaycompress", HOUR, lags=True),
    "day-first": Manner("dateext\ndateformat -%d%m%Y"),
    "extension": Manner("dateext\nextension .log\naddextension .log"),
    "copy-dateext-compress": Manner("copy\ndateext\ncompress"),
    "renamecopy": Manner("renamecopy"),
}
KEEP_ONE = {
    "delaycompress": Manner("compress\ndelaycompress", keep=1),
    "copytruncate": Manner("copytruncate", keep=1),
    "dateext": Manner("dateext", keep=1),
    "olddir-compress": Manner("olddir archive\ncreateolddir 0755\ncompress", keep=1),
}


@dataclass
class Log:
    """A log of a node, and what was ever written to it."""

    path: Path
    node: str
    times: list[str] = field(default_factory=list)  # of each line
    file: BinaryIO | None = None

    def write(self, count: int, now: datetime, *, reopen: bool = True) -> None:
        """Append lines, a second apart, the last of which is as old as `now`."""
        if self.file is None or (reopen and not self._is_open()):
            self.close()
            self.file = self.path.open("ab", buffering=0)
        for left in range(count, 0, -1):
            at = now - timedelta(milliseconds=left * 100)
            self.times.append(at.isoformat(timespec="milliseconds")[:23].replace(".", ","))
            self.file.write(self.line(len(self.times) - 1))

    def line(self, number: int) -> bytes:
        at = self.times[number]
        if self.path.suffix == ".json":
            text = (
                f'{{"type": "audit", "timestamp": "{at}+0000", "node": "{self.node}", "message": "event {number:06}"}}'
            )
        else:
            text = f"[{at}][INFO ][o.o.n.Node              ] [{self.node}] event {number:06}"
        return text.encode() + b"\n"

    def close(self) -> None:
        if self.file:
            self.file.close()

    def _is_open(self) -> bool:
        """Whether the open file has the log's name still."""
        assert self.file
        return self.path.exists() and os.path.samestat(self.path.stat(), os.fstat(self.file.fileno()))


class Rotated:
    """A node whose logs are written here and rotated by logrotate, on a clock of its own."""

    def __init__(self, name: str, manner: Manner, folder: Path, directory: Path, logs: Sequence[str] = LOGS) -> None:
        self.name, self.manner, self.folder, self.directory = name, manner, folder, directory
        folder.mkdir()
        self.logs = {log: Log(directory / log, name) for log in logs}
        self.now = datetime.now(UTC) - timedelta(seconds=8 * manner.apart)
        self.seen: dict[str, set[int]] = {log: set() for log in logs}  # lines that were on disk at a backup
        (folder / "logrotate.conf").write_text(
            f"{' '.join(str(log.path) for log in self.logs.values())} {{\n  rotate {manner.keep}\n  missingok\n"
            + "".join(f"  {line}\n" for line in manner.says.splitlines())
            + "}\n"
        )
        (folder / "logrotate.conf").chmod(0o644)

    def write(self, count: int, *, reopen: bool = True) -> None:
        self.now += timedelta(seconds=2)
        for log in self.logs.values():
            log.write(count, self.now, reopen=reopen)

    def rotate(self) -> None:
        self.now += timedelta(seconds=self.manner.apart)
        clock = self.folder / "clock"
        clock.write_bytes(struct.pack("@l", round(self.now.timestamp() - time.time())))
        command = [need_command("logrotate", "logrotate", "/usr/sbin"), "-f", "-s", str(self.folder / "state")]
        own = {"LD_PRELOAD": str(other_clock()), "CLOCK_OFFSET_FILE": str(clock), "TZ": "UTC"}
        done = subprocess.run(
            [*command, str(self.folder / "logrotate.conf")],
            env=os.environ | own,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{self.name}: {done.stderr}"
        if self.manner.lags:
            self.write(3, reopen=False)

    def look(self) -> dict[str, set[int]]:
        """Log -> the numbers of the lines that are on disk now."""
        found: dict[str, set[int]] = {log: set() for log in self.logs}
        for log in self.logs:
            stem = f"{log.rpartition('/')[2].rpartition('.')[0]}[.-]*"
            for path in filter(Path.is_file, (self.directory / log).parent.rglob(stem)):
                found[log] |= numbers(_plain(path))
        return found


def _plain(path: Path) -> bytes:
    read: Mapping[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.decompress,
        ".xz": lzma.decompress,
        ".bz2": bz2.decompress,
        ".zst": zstd.decompress,
    }
    return read.get(path.suffix, bytes)(path.read_bytes())


def numbers(text: bytes) -> set[int]:
    return {int(found[1]) for found in _NUMBER.finditer(text)}


class RotatedSite(Site):
    """Nodes whose logs logrotate rotates, and what the jobs told."""

    def __init__(
        self, folder: Path, manners: Mapping[str, Manner], logs: Sequence[str] = LOGS, pause: float = 0
    ) -> None:
        (folder / "bucket").mkdir()
        self.nodes = tuple(manners)
        self.behind = folder / "nodes"  # where they write
        self.shown = self.behind  # where they are read
        self.behind.mkdir(exist_ok=True)
        super().__init__(folder, f"file://{folder}/bucket")
        self.rotated = [
            Rotated(name, manner, folder / f"of {name}", self.logs(name), logs) for name, manner in manners.items()
        ]
        self.between: Callable[[], object] = lambda: None  # what happens before each backup
        self.pause = pause  # seconds before each backup
        self.gaps: list[dict[str, Any]] = []
        self.warnings: list[dict[str, Any]] = []

    def logs(self, node: str) -> Path:
        return self.behind / node

    def source(self, node: str) -> str:
        return f"file://{self.shown / node}"

    def fill(self, node: str) -> None:
        """Nothing: each node writes its own logs."""

    def close(self) -> None:
        for node in self.rotated:
            for log in node.logs.values():
                log.close()

    def go_on(self) -> None:
        """Write and rotate."""
        for node in self.rotated:
            node.write(5)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(Rotated.rotate, self.rotated))
        for node in self.rotated:
            node.write(4)

    def look_and_back_up(self, meanwhile: Callable[[], None] | None = None) -> None:
        time.sleep(self.pause)
        self.between()
        before = [node.look() for node in self.rotated]
        began, job_id = time.monotonic(), self.start()
        if meanwhile:
            meanwhile()
        ended = self.wait_for(job_id, began, 120)
        assert ended.status == "SUCCESS", ended.message
        for node, held in zip(self.rotated, before, strict=True):
            after = node.look()
            for log in node.logs:
                node.seen[log] |= held[log] & after[log]
        job = self.ask("job", "show", job_id).ended(0).json
        self.gaps += job["gaps"]
        # In the middle of a rotation a file may be half compressed.
        self.warnings += [one for one in job["warnings"] if not meanwhile or one["code"] != "LK-LOG-WAITING"]

    def go_through(self) -> None:
        for node in self.rotated:
            node.write(20)
        self.look_and_back_up()
        for _ in range(3):
            self.go_on()
            self.look_and_back_up()
        self.go_on()  # two between two backups
        self.go_on()
        self.look_and_back_up()
        self.look_and_back_up(self.go_on)
        self.look_and_back_up()

    def joined(self) -> dict[tuple[str, str], bytes]:
        """Node and log -> all that is kept of it."""
        to = self.folder / "restored"
        self.ask("restore", "prod", "--to", str(to), "--join").ended(0)
        parts = {path: path.relative_to(to).parts for path in to.rglob("*") if path.is_file()}
        return {(node, "/".join(log)): path.read_bytes() for path, (node, *log) in parts.items()}

    def faults(self) -> list[str]:
        restored = self.joined()
        found = [fault for node in self.rotated for fault in _faults(node, self.gaps, restored)]
        return found + [f"a warning without a cause: {one}" for one in self.warnings]


def test_whatever_logrotate_does_each_line_is_kept_once_and_in_order_without_a_word(tmp_path: Path) -> None:
    site = RotatedSite(tmp_path, MANNERS)
    with closing(site), site.serving():
        site.go_through()
        faults = site.faults()
        assert not faults, "\n".join(faults)
        assert not site.gaps
        site.ask("verify", "prod", "--read-data").ended(0)


def test_what_logrotate_deletes_between_two_backups_is_told_as_a_gap_and_nothing_else_is(tmp_path: Path) -> None:
    # A file that changed two seconds ago may change again, which is told once it is gone.
    site = RotatedSite(tmp_path, KEEP_ONE, pause=2.2)
    with closing(site), site.serving():
        site.go_through()
        faults = site.faults()
        assert not faults, "\n".join(faults)
        assert {(gap["node"], gap["family"]) for gap in site.gaps} == {(name, log) for name in KEEP_ONE for log in LOGS}


def _faults(node: Rotated, told: Sequence[dict[str, Any]], restored: Mapping[tuple[str, str], bytes]) -> Iterator[str]:
    others = {log for name, log in restored if name == node.name} - node.logs.keys()
    if others:
        yield f"{node.name}: {others} are logs of their own"
    for family, log in node.logs.items():
        where = f"{node.name}/{family}"
        kept = restored.get((node.name, family), b"").splitlines(keepends=True)
        known = {log.line(number): number for number in range(len(log.times))}
        order = [known.get(line, -1) for line in kept]
        if order != sorted(set(order)) or -1 in order:
            yield f"{where}: not once and in order: {_spans(order)}"
        missing = sorted(set(range(len(log.times))) - set(order))
        if lost := node.seen[family] & set(missing):
            yield f"{where}: on disk at a backup and not kept: {_spans(sorted(lost))}"
        gaps = [one for one in told if (one["node"], one["family"]) == (node.name, family)]
        for number in missing:
            if not any(_tells(gap, log.times[number]) for gap in gaps):
                yield f"{where}: no gap tells of line {number}, {log.times[number]}"
        for gap in gaps:
            if not any(_tells(gap, log.times[number]) for number in missing):
                yield f"{where}: a gap is told where nothing is missing: {gap}"
        if node.manner.keep > 1 and missing:
            yield f"{where}: lines that nothing deleted are missing: {_spans(missing)}"


def _tells(gap: Mapping[str, str], at: str) -> bool:
    after, until = (gap[end].replace(".", ",")[:23] for end in ("after", "until"))
    return after <= at and (not until or at <= until)


def _spans(found: Sequence[int]) -> str:
    """Runs of following numbers: 0-19 25-30."""
    runs: list[list[int]] = []
    for number in found:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(f"{first}-{last}" for first, last in runs)
