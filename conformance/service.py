"""A fresh installation in a temporary directory: its service, and a tenant's key and cluster for each client."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Long enough for a client to see a backup RUNNING on a busy machine.
CONFIGURATION = """\
[records]
running_visible_seconds = 2

[backup]
poll_seconds = 0.1

[buckets.logs]
"""
PROJECT = "cn-north-4"  # as `logkeep init` names the first one
COMMAND_SECONDS, START_SECONDS, STOP_SECONDS = 60, 60, 20


class Broken(Exception):
    """The service or a tool cannot be used; says why in one sentence."""


@dataclass(frozen=True)
class Tenant:
    """What one client works with."""

    project_id: str
    cluster: str
    cluster_id: str
    ak: str
    sk: str


class Installation:
    """A directory made by `logkeep init`, and the service that runs on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "data"
        self.home = directory / "home"  # the SDKs look for files of theirs in it, and write one
        self._logs = directory / "logs"
        self._said = directory / "serve.err"
        self.endpoint = ""

    def initialize(self) -> None:
        self.directory.mkdir()
        self.home.mkdir()
        (self.directory / "logkeep.toml").write_text(CONFIGURATION, encoding="utf-8")
        self.command("init")

    def command(self, *arguments: str) -> Any:
        """What a command of `logkeep` tells with --json. Raises `Broken`."""
        done = run_bounded(self._words(*arguments), COMMAND_SECONDS, environment())
        if done.returncode:
            raise Broken(f"logkeep {' '.join(arguments)} failed: {done.stderr.strip()}")
        return json.loads(done.stdout)

    @contextmanager
    def serving(self) -> Generator[None]:
        """Run `logkeep serve` and wait for the line that says where it listens."""
        with self._said.open("wb") as errors:
            process = subprocess.Popen(
                self._words("serve", "--port", "0"), env=environment(), stdout=subprocess.DEVNULL, stderr=errors
            )
            try:
                self.endpoint = _wait_for_endpoint(process, self._said)
                yield
            finally:
                _end(process)

    def add_tenant(self, cluster: str) -> Tenant:
        """A cluster of one node with the example's logs, and a key that may do what a tenant may."""
        logs = self._logs / cluster
        shutil.copytree(ROOT / "examples" / "logs", logs)
        registered = self.command("cluster", "add", cluster, "--node", f"node-1={logs}")
        key = self.command("key", "add", "--project", PROJECT)
        return Tenant(key["project_id"], cluster, registered["id"], key["ak"], key["sk"])

    def job_ids(self, tenant: Tenant) -> list[str]:
        """The records as `logkeep records` has them: what a client's list is held against."""
        records = self.command("records", tenant.cluster)["clusterLogRecord"]
        return [record["jobId"] for record in records]

    def said(self) -> str:
        """What the service wrote on standard error."""
        return self._said.read_text("utf-8", "replace").strip()

    def _words(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "logkeep", "--dir", str(self.directory), "--json", *arguments]


@contextmanager
def installed() -> Generator[Installation]:
    """An installation, initialized and serving, that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="logkeep-conformance-") as name:
        installation = Installation(Path(name))
        installation.initialize()
        with installation.serving():
            try:
                yield installation
            except Broken as error:
                raise Broken(f"{error}\nthe service said:\n{installation.said()}") from error


def environment(**more: str) -> dict[str, str]:
    """This one without what is meant for another Logkeep, another cloud, or a proxy on the way."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOGKEEP_", "HUAWEICLOUD_SDK_", "CLOUD_SDK_")) and not name.lower().endswith("_proxy")
    }
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "NO_COLOR": "1", **more}


def run_bounded(
    words: Sequence[str], seconds: float, env: dict[str, str], directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end. Raises `Broken` where that does not come in time."""
    try:
        return subprocess.run(
            words,
            check=False,
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{' '.join(words)} did not end within {seconds:g} s") from error


def _wait_for_endpoint(process: subprocess.Popen[bytes], said: Path) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"listens on (\S+)", said.read_text("utf-8")):
            return found[1]
        time.sleep(0.05)
    how = f"did not start within {START_SECONDS} s" if process.poll() is None else "ended at once"
    raise Broken(f"logkeep serve {how}: {said.read_text('utf-8').strip()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)
