"""A Logkeep whose jobs are carried out at once, without the queue: the engine is measured and not the waiting.

python -m benchmarks.installation FOLDER LOGS      one as a process of its own; see `Worker`
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from logkeep.backup.node_backup import NodeBackup
from logkeep.backup.node_state import Target
from logkeep.backup.uploads import THREADS
from logkeep.bootstrap.logs import set_up_logging
from logkeep.bootstrap.runtime import make_runtime
from logkeep.database.connection import reading
from logkeep.database.jobs import fetch_job
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.log_setting import LogSettingChange
from logkeep.keyfiles.creation import create_keys
from logkeep.service import backups, clusters, identity, log_settings
from logkeep.service.backup_run import begin_run, run_job
from logkeep.service.catalogue import JobCatalogue
from logkeep.service.runtime import BackupLimits
from logkeep.service.sources import find_tenant, open_source
from logkeep.settings import load_settings
from tests.support.processes import END_SECONDS, Said

_BACKUP_SECONDS = 3600.0  # more than any takes
_FOLDER_BUCKET = "[buckets.logs]\n"


def configure_bucket(url: str, credentials: Mapping[str, str]) -> str:
    """Return the settings of a bucket that is no folder."""
    keys = "".join(f'{name} = "{value}"\n' for name, value in credentials.items())
    return f'[buckets.logs]\nurl = "{url}"\n[buckets.logs.credentials]\n{keys}'


@dataclass
class Node:
    """The backup of one node within a job that has begun."""

    backup: NodeBackup
    finish: Callable[[], None]

    def run(self) -> None:
        assert not self.backup.run().failures


class Installation:
    def __init__(
        self,
        folder: Path,
        nodes: Mapping[str, Path | str],
        *,
        nodes_at_once: int = 1,
        configuration: str = _FOLDER_BUCKET,
    ) -> None:
        """`nodes` has the directory or the URL of each."""
        (folder / "buckets" / "logs").mkdir(parents=True)
        (folder / "logkeep.toml").write_text(configuration, encoding="utf-8")
        create_keys(folder)
        runtime = make_runtime(load_settings(folder, {}))
        # Without waiting for files to settle: the second run of a benchmark follows the first at once.
        self.runtime = replace(
            runtime, enqueue=_keep_waiting, limits=BackupLimits(settle_ns=0, concurrent_nodes=nodes_at_once)
        )
        project = identity.add_project(self.runtime, "bench")
        new = [clusters.NewNode(name, at if isinstance(at, str) else f"file://{at}") for name, at in nodes.items()]
        self.cluster = clusters.add_cluster(self.runtime, project.id, "bench", new)
        log_settings.open_backup(self.runtime, self.cluster, LogSettingChange("agency", "logs", "css/log"))

    def back_up(self) -> None:
        job = backups.start_backup(self.runtime, self.cluster)
        run_job(self.runtime, job.job_id)
        with reading(self.runtime.database) as connection:
            ended = fetch_job(connection, job.job_id)
        assert ended
        assert ended.status is JobStatus.SUCCESS, ended.failed_msg

    def prepare_node(self, name: str) -> Node:
        job = backups.start_backup(self.runtime, self.cluster)
        run = begin_run(self.runtime, job.job_id)
        assert run
        node = next(node for node in self.cluster.nodes if node.name == name)
        catalogue = JobCatalogue(self.runtime.database, self.cluster.id, job.job_id, run.attempt)
        target = Target(self.runtime.stores["logs"], "logs", "css/log/bench", job.job_id, run.attempt)
        source = open_source(self.runtime, find_tenant(self.runtime, self.cluster.project_id), node.source)
        backup = NodeBackup(name, source, target, catalogue, self.runtime.clock, ThreadPoolExecutor(THREADS), 0)
        return Node(backup, run.finish)


def _keep_waiting(_connection: Connection, _job_id: str, _by_hand: bool) -> None:
    """Who started the job carries it out."""


@dataclass
class Ended:
    """What a backup took."""

    idle: float  # MiB of memory with everything imported and opened
    peak: float  # MiB at most
    seconds: float
    cores: float  # that were busy with it


class Worker:
    """A process that is ready to back one directory up, once."""

    def __init__(self, folder: Path, logs: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.installation", str(folder), str(logs)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self._said = Said(self._process.stdout)
        self._said.wait_for("^ready$")

    def begin(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()

    def end(self) -> Ended:
        told = self._said.all(_BACKUP_SECONDS)
        assert self._process.wait(END_SECONDS) == 0, "the backup failed"
        return Ended(**json.loads(told.removeprefix("ready\n")))


def main(folder: str, logs: str) -> None:
    set_up_logging("warning")  # to stderr: stdout is read
    installation = Installation(Path(folder), {"node": Path(logs)})
    print("ready", flush=True)
    sys.stdin.read()
    idle = memory_of("VmRSS")
    forget_peak()
    began, busy = time.perf_counter(), time.process_time()
    installation.back_up()
    took, busy = time.perf_counter() - began, time.process_time() - busy
    print(json.dumps({"idle": idle, "peak": memory_of("VmHWM"), "seconds": took, "cores": busy / took}))


def forget_peak() -> None:
    """Let VmHWM begin anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def memory_of(field: str) -> float:
    """Return a field of this process's status in MiB, as Linux tells it: VmRSS, VmHWM."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field)) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
