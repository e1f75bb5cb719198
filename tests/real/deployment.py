"""A service as a process of its own over two nodes, and what a user asks of it while things break."""

from __future__ import annotations

import itertools
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.cli.installed import Done, Served, called, init, serving, until
from tests.support import corpus

NODES = ("n1", "n2")
ACTIVE = "es.log"
_CONFIGURATION = """\
[records]
running_visible_seconds = 0

[backup]
poll_seconds = 0.05
bandwidth_mib = {mib}

[buckets.logs]
url = "{url}"
"""
LINE = 128  # bytes
_chance = random.Random(1)


@dataclass(frozen=True)
class Ended:
    """A backup that has ended, and how long that took."""

    status: str
    message: str
    seconds: float


class Site:
    """`folder` holds the installation, the nodes' logs and what is restored; `bucket` is a URL, `more` other settings."""

    nodes: Sequence[str] = NODES

    def __init__(
        self,
        folder: Path,
        bucket: str,
        *,
        directory: Path | None = None,
        mib: float = 0,
        more: str = "",
        **credentials: str,
    ) -> None:
        self.folder = folder
        self.directory = directory or folder / "installation"
        text = _CONFIGURATION.format(url=bucket, mib=mib)
        text += "".join(f'credentials.{name} = "{value}"\n' for name, value in credentials.items())
        init(self.directory, text + more)
        for name in self.nodes:
            self.logs(name).mkdir(exist_ok=True)
            self.fill(name)
        self.served: Served | None = None
        self._restored = itertools.count()

    def fill(self, node: str) -> None:
        """Write what is there before the first backup."""
        self.write(node, "es-2026-11-24-1.log", 1000)
        self.write(node, ACTIVE, 1000)

    def logs(self, node: str) -> Path:
        return self.folder / node

    def source(self, node: str) -> str:
        return f"file://{self.logs(node)}"

    def write(self, node: str, name: str, lines: int) -> Path:
        """Append lines that do not compress much."""
        path = self.logs(node) / name
        with path.open("ab") as file:
            for _ in range(lines):
                file.write(_chance.randbytes(LINE // 2 - 1).hex().encode() + b" \n")
        return path

    def grow(self, lines: int = 1000) -> None:
        for name in self.nodes:
            self.write(name, ACTIVE, lines)

    @contextmanager
    def serving(self, wrapper: Sequence[str] = (), **environment: str) -> Iterator[Served]:
        """Serve; the cluster is registered and its backup open."""
        with serving(self.directory, wrapper=wrapper, **environment) as served:
            self.served = served
            if self.ask("cluster", "show", "prod").code:
                nodes = [f"--node={name}={self.source(name)}" for name in self.nodes]
                self.ask("cluster", "add", "prod", *nodes).ended(0)
                self.ask("logs", "open", "prod").ended(0)
            yield served
            assert served.process.poll() is None, "the service has ended"

    @property
    def pid(self) -> int:
        assert self.served
        return self.served.process.pid

    def ask(self, *arguments: str) -> Done:
        """A command, carried out in this process, which is quicker."""
        return called(self.directory, *arguments, "--json")

    def records(self) -> list[dict[str, Any]]:
        """Newest first."""
        return self.ask("records", "prod").ended(0).json["clusterLogRecord"]

    def start(self) -> str:
        """Start a backup; its id."""
        begun = self.ask("backup", "prod")
        return begun.ended(1 if begun.code == 1 else 0).json["jobId"]  # 1: it has failed before it was asked for

    def back_up(self, seconds: float = 60) -> Ended:
        began = time.monotonic()
        return self.wait_for(self.start(), began, seconds)

    def wait_for(self, job_id: str, began: float, seconds: float = 60) -> Ended:
        until(lambda: self.record(job_id)["status"] != "RUNNING", seconds)
        record = self.record(job_id)
        return Ended(record["status"], record["failedMsg"] or "", time.monotonic() - began)

    def record(self, job_id: str) -> dict[str, Any]:
        return next(record for record in self.records() if record["jobId"] == job_id)

    def restored(self) -> dict[tuple[str, str], bytes]:
        """Node and log -> all that is kept of it, restored."""
        to = self.folder / f"restored-{next(self._restored)}"
        self.ask("restore", "prod", "--to", str(to), "--join").ended(0)
        found = {(path.parent.name, path.name): path.read_bytes() for path in to.rglob("*") if path.is_file()}
        shutil.rmtree(to)
        return found

    def written(self) -> dict[tuple[str, str], bytes]:
        """Node and log -> all that its node wrote."""
        return {(name, log): data for name in self.nodes for log, data in corpus.families(self.logs(name)).items()}

    def expect_whole(self) -> None:
        """Everything written is kept, and the archive is proven."""
        assert self.restored() == self.written()
        self.ask("verify", "prod", "--read-data").ended(0)

    def expect_unharmed(self, before: dict[tuple[str, str], bytes]) -> None:
        """What was kept before is kept now, perhaps with more behind it, and the archive is proven."""
        now = self.restored()
        assert {log: now[log][: len(data)] for log, data in before.items()} == before
        self.ask("verify", "prod", "--read-data").ended(0)
