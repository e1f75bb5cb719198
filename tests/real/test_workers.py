"""Workers on one PostgreSQL: killed, paused, cut off, ended and upgraded, they lose nothing and keep nothing twice."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import text

from logkeep.database.connection import connect, reading
from logkeep.keyfiles.installation_id import ID_FILE
from tests.integration.cli.installed import (
    COMMAND,
    CONFIGURATION,
    Served,
    called,
    environment,
    init,
    logkeep,
    serving,
    until,
)
from tests.real.postgres import PostgresServer
from tests.real.servers import Toxiproxy
from tests.support.installation import new_database
from tests.support.processes import END_SECONDS, running

pytestmark = pytest.mark.real


# Slow enough that a backup can be met in the middle.
SLOW = CONFIGURATION.replace("[backup]", "[backup]\ncluster_bandwidth_mib = 8")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@dataclass
class Worker:
    """A running `logkeep worker`."""

    process: subprocess.Popen[str]
    id: str
    log: list[str]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(END_SECONDS)


class Site:
    """An installation on PostgreSQL: one process that answers, and workers."""

    def __init__(self, directory: Path, database: str) -> None:
        self.directory = directory
        self.database = connect(database)
        self.held = ExitStack()
        self.workers: list[Worker] = []
        self.nodes = directory.parent / "nodes"

    def answer(self) -> Served:
        return self.held.enter_context(serving(self.directory, "--port", "0", "--without-worker"))

    def start_worker(self, directory: Path | None = None, command: Sequence[str] = COMMAND) -> Worker:
        worker = self.held.enter_context(_working(directory or self.directory, command))
        self.workers.append(worker)
        return worker

    def tenant(self, *arguments: str) -> Any:
        """Carry out a command, in this process, as hundreds of them take their time as processes."""
        return called(self.directory, *arguments, "--json").ended(0).json

    def write(self, cluster: str, name: str, lines: int, line: bytes = b"") -> None:
        logs = self.nodes / cluster
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / name).open("ab") as log:
            log.writelines(b"%d of %s in %s %s\n" % (n, name.encode(), cluster.encode(), line) for n in range(lines))

    def add_cluster(self, name: str) -> None:
        self.tenant("cluster", "add", name, "--node", f"n1=file://{self.nodes / name}")
        self.tenant("logs", "open", name)

    def jobs(self) -> list[tuple[str, str | None]]:
        """Status and failure of every job."""
        with reading(self.database) as connection:
            return [(row[0], row[1]) for row in connection.execute(text("SELECT status, failed_msg FROM jobs"))]

    def value(self, statement: str) -> Any:
        with reading(self.database) as connection:
            return connection.execute(text(statement)).scalar()

    def settle(self, seconds: float = 60) -> None:
        """Wait until no job runs; all have ended well."""
        until(lambda: "RUNNING" not in {status for status, _ in self.jobs()}, seconds)
        assert {status for status, _ in self.jobs()} == {"SUCCESS"}, self.jobs()

    def busy(self) -> Worker:
        """The worker that carries out the job under way."""
        statement = "SELECT executor_id FROM dbos.workflow_status WHERE status = 'PENDING'"
        until(lambda: self.value(statement) is not None)
        executor = self.value(statement)
        return next(worker for worker in self.workers if worker.id == executor)

    def check_archive(self, cluster: str, into: Path) -> None:
        """What is kept equals the source, byte for byte, and each byte is stored once."""
        self.tenant("restore", cluster, "--to", str(into / cluster))
        restored = {path.name: path.read_bytes() for path in (into / cluster / "n1").iterdir()}
        assert restored == {path.name: path.read_bytes() for path in (self.nodes / cluster).iterdir()}


@contextmanager
def _working(directory: Path, command: Sequence[str]) -> Iterator[Worker]:
    command = [*command, "--dir", directory, "worker"]
    with running(command, r"logkeep worker (\S+) takes up to", env=environment()) as worker:
        yield Worker(worker.process, worker.found[1], worker.said.lines)


@pytest.fixture
def site(server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("LOGKEEP_TEST_POSTGRESQL", server.url())
    database = new_database()["LOGKEEP_DATABASE"]
    directory = tmp_path / "installation"
    init(directory, f'database = "{database}"\n{SLOW}')
    site = Site(directory, database)
    with site.held:
        yield site
    site.database.dispose()


def big_cluster(site: Site, name: str = "prod", files: int = 60) -> None:
    """One whose backup takes some seconds, in many segments."""
    for number in range(files):
        site.write(name, f"es-2026-11-24-{number + 1}.log", 3000, os.urandom(100).hex().encode())
    site.add_cluster(name)


def stored_of(site: Site) -> int:
    return int(site.value("SELECT count(*) FROM segments"))


def met_by_two_workers(site: Site) -> Worker:
    """Begin a big backup where two workers are; the one that is in the middle of it."""
    site.answer()
    site.start_worker()
    site.start_worker()
    big_cluster(site)
    site.tenant("backup", "prod")
    until(lambda: stored_of(site) > 5)
    return site.busy()


def test_jobs_of_a_killed_worker_go_on_within_15_seconds(site: Site, tmp_path: Path) -> None:
    met_by_two_workers(site).kill()
    killed, stored = time.monotonic(), stored_of(site)
    assert stored < 60, "the job was too quick to be killed"
    until(lambda: stored_of(site) > stored, 15)
    print(f"taken over after {time.monotonic() - killed:.1f} s")
    site.settle()
    assert stored_of(site) == 60
    site.check_archive("prod", tmp_path / "restored")


def test_worker_that_was_only_paused_finds_its_commit_refused(site: Site, tmp_path: Path) -> None:
    paused = met_by_two_workers(site)
    paused.process.send_signal(signal.SIGSTOP)
    site.settle()
    paused.process.send_signal(signal.SIGCONT)
    site.write("prod", "es-2026-11-24-1.log", 1)
    time.sleep(3)  # it wakes up, and goes on where it was
    assert paused.process.poll() is None
    assert stored_of(site) == 60
    site.tenant("backup", "prod")
    site.settle()
    site.check_archive("prod", tmp_path / "restored")
    assert site.value("SELECT count(*) FROM jobs") == 2


def test_worker_that_is_ended_hands_its_jobs_over_at_once(site: Site, tmp_path: Path) -> None:
    ended = met_by_two_workers(site)
    ended.process.send_signal(signal.SIGTERM)
    assert ended.process.wait(12) == 0
    stored = stored_of(site)
    assert stored < 60, "the job was too quick to be handed over"
    until(lambda: stored_of(site) > stored, 4)
    assert ended.id not in {worker["id"] for worker in site.tenant("workers")["workers"]}
    site.settle()
    assert stored_of(site) == 60
    assert len(list((site.directory / "buckets").rglob("*.zst"))) == 60, "a slice was not finished"
    site.check_archive("prod", tmp_path / "restored")


def test_worker_that_is_cut_off_from_the_network_is_taken_over_from(
    site: Site, server: PostgresServer, tmp_path: Path
) -> None:
    site.answer()
    with Toxiproxy(server.port) as proxy:
        far = tmp_path / "far"
        shutil.copytree(site.directory, far)
        shutil.rmtree(far / "buckets")
        (far / "buckets").symlink_to(site.directory / "buckets")
        settings = (far / "logkeep.toml").read_text("utf-8")
        (far / "logkeep.toml").write_text(settings.replace(f":{server.port}/", f":{proxy.port}/"), "utf-8")
        cut_off = site.start_worker(far)
        big_cluster(site)
        site.tenant("backup", "prod")
        until(lambda: stored_of(site) > 5)
        proxy.add("timeout", timeout=0)
        proxy.add("timeout", "downstream", timeout=0)
        site.start_worker()
        stored = stored_of(site)
        assert stored < 60
        until(lambda: stored_of(site) > stored, 15)
        site.settle()
        proxy.heal()
        until(lambda: cut_off.id in {worker["id"] for worker in site.tenant("workers")["workers"] if worker["alive"]})
    assert stored_of(site) == 60
    site.check_archive("prod", tmp_path / "restored")


def test_server_that_stops_and_starts_in_mid_job_fails_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with PostgresServer() as server:
        monkeypatch.setenv("LOGKEEP_TEST_POSTGRESQL", server.url())
        database = new_database()["LOGKEEP_DATABASE"]
        init(tmp_path / "installation", f'database = "{database}"\n{SLOW}')
        site = Site(tmp_path / "installation", database)
        with site.held:
            served = site.answer()
            site.start_worker()
            big_cluster(site)
            site.tenant("backup", "prod")
            until(lambda: stored_of(site) > 5)
            server.kill()  # as before a failover: no goodbye
            time.sleep(5)
            assert not _is_ready(served)
            server.start()
            site.settle()
            until(lambda: _is_ready(served), 15)
            site.check_archive("prod", tmp_path / "restored")
        site.database.dispose()


def _is_ready(served: Served) -> bool:
    return httpx.get(f"{served.endpoint}/readyz").status_code == 200


_OLDER = """
import sys
from logkeep.domain import worker
worker.QUEUE_VERSION = "1"
from logkeep.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


def test_workers_of_two_versions_each_take_their_own_and_the_new_one_what_the_old_left(
    site: Site, tmp_path: Path
) -> None:
    older = [sys.executable, "-c", _OLDER]
    site.held.enter_context(serving(site.directory, "--port", "0", "--without-worker", command=older))
    old = site.start_worker(command=older)
    new = site.start_worker()
    site.write("a", "es.log", 10)
    site.add_cluster("a")
    site.tenant("backup", "a")
    site.settle()
    statement = "SELECT executor_id FROM dbos.workflow_status ORDER BY created_at DESC LIMIT 1"
    assert site.value(statement) == old.id
    old.kill()
    site.tenant("backup", "a")
    site.settle()  # by the new one, once the old one counts as dead
    assert site.value(statement) == new.id
    site.check_archive("a", tmp_path / "restored")


def test_what_a_new_process_was_told_is_carried_out_by_workers_of_the_old_version(site: Site) -> None:
    site.answer()
    site.start_worker(command=[sys.executable, "-c", _OLDER])
    site.write("a", "es.log", 10)
    site.add_cluster("a")
    site.tenant("backup", "a")
    site.settle()
    time.sleep(7)  # time for another look
    assert site.value("SELECT count(*) FROM dbos.workflow_status") == 2, "one was given to another version, once"


def test_what_a_user_started_goes_before_what_policies_started(site: Site) -> None:
    site.answer()
    for name in ("a", "b", "c", "d"):
        site.write(name, "es.log", 10)
        site.add_cluster(name)
    with site.database.begin() as connection:  # as three policies at once do
        names = "(SELECT id FROM clusters WHERE name <> 'd')"
        connection.execute(text(f"UPDATE log_settings SET adaptive = true, extra_due = 1 WHERE cluster_id IN {names}"))
    until(lambda: len(site.jobs()) == 3)
    site.tenant("backup", "d")
    (site.directory / "logkeep.toml").write_text(
        (site.directory / "logkeep.toml").read_text("utf-8").replace("[backup]", "[backup]\njobs_at_once = 1"), "utf-8"
    )
    site.start_worker()
    site.settle()
    first = "SELECT type FROM jobs ORDER BY finished_at LIMIT 1"
    assert site.value(first) == "Manual"


def test_no_more_jobs_run_at_a_time_than_all_workers_together_may(site: Site) -> None:
    settings = site.directory / "logkeep.toml"
    settings.write_text(settings.read_text("utf-8").replace("[backup]", "[backup]\njobs_in_all = 1"), "utf-8")
    site.answer()
    for name in ("a", "b", "c", "d"):
        big_cluster(site, name, files=6)
    site.start_worker()
    site.start_worker()
    for name in ("a", "b", "c", "d"):
        site.tenant("backup", name)
    begun = "SELECT count(*) FROM dbos.workflow_status WHERE status = 'PENDING'"
    seen = {0}
    while "RUNNING" in {status for status, _ in site.jobs()}:
        seen.add(site.value(begun))
    assert seen == {0, 1}
    site.settle()


def test_processes_that_answer_share_what_they_are_told_and_write_nothing_into_their_directory(
    site: Site, tmp_path: Path
) -> None:
    site.answer()
    with ExitStack() as held:
        far = tmp_path / "far"
        shutil.copytree(site.directory, far, ignore=shutil.ignore_patterns("client.toml", "buckets"))
        (far / "buckets").symlink_to(site.directory / "buckets")
        if os.geteuid() == 0:
            subprocess.run(["mount", "--bind", far, far], check=True)
            held.callback(subprocess.run, ["umount", "-l", far], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", far], check=True)
        other = held.enter_context(serving(far, "--port", "0", "--without-worker"))
        site.start_worker(far)
        site.write("a", "es.log", 10)
        site.add_cluster("a")
        site.tenant("backup", "a", "--endpoint", other.endpoint)
        site.settle()
        job = site.value("SELECT job_id FROM jobs")
        for endpoint in (["--endpoint", other.endpoint], []):
            assert site.tenant("job", "show", job, *endpoint)["status"] == "SUCCESS"
        assert sorted(worker["jobs_at_once"] for worker in site.tenant("workers")["workers"]) == [0, 0, 2]


def test_worker_needs_postgresql(tmp_path: Path) -> None:
    init(tmp_path / "installation")
    done = logkeep("--dir", tmp_path / "installation", "worker").ended(2)
    assert "workers need PostgreSQL" in done.err
    done = logkeep("--dir", tmp_path / "installation", "serve", "--without-worker").ended(2)
    assert "--without-worker needs PostgreSQL" in done.err


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "postgresql://logkeep@127.0.0.1:1/x",
            "port 1 failed: Connection refused; check host and port in the setting.*LK-DATABASE-UNREACHABLE",
        ),
        (
            "postgresql://a:geheim@no.such.host.invalid/x",
            "failed to resolve host .*; check the host in the setting.*LK-DATABASE-HOST",
        ),
        (
            "postgresql://logkeep@127.0.0.1:{port}/none",
            'database "none" does not exist; make it on the server.*LK-DATABASE-UNKNOWN',
        ),
        (
            "postgresql://joe@127.0.0.1:{port}/postgres",
            'role "joe" does not exist; make it on the server.*LK-DATABASE-UNKNOWN',
        ),
        ("mysql://a:geheim@127.0.0.1/x", "this is no URL of a database; write it as postgresql://"),
    ],
)
def test_database_that_cannot_be_used_is_told_at_the_start(
    server: PostgresServer, tmp_path: Path, url: str, told: str
) -> None:
    directory = tmp_path / "installation"
    init(directory)
    (directory / "logkeep.toml").write_text(f'database = "{url.format(port=server.port)}"\n', "utf-8")
    for command in (["worker"], ["migrate"], ["project", "list"]):
        said = called(directory, *command).ended(2).err
        assert re.search(f"logkeep: database: .*{told}", said)
        assert "geheim" not in said


def test_wrong_password_is_told(server: PostgresServer, tmp_path: Path) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE jane LOGIN PASSWORD 'right'")
        hba = server.folder / "data" / "pg_hba.conf"
        hba.write_text("host all jane 127.0.0.1/32 scram-sha-256\n" + hba.read_text("utf-8"), "utf-8")
        connection.execute("SELECT pg_reload_conf()")
    directory = tmp_path / "installation"
    init(directory)
    url = f"postgresql://jane:geheim@127.0.0.1:{server.port}/postgres"
    (directory / "logkeep.toml").write_text(f'database = "{url}"\n', "utf-8")
    until(lambda: "password authentication failed" in logkeep("--dir", directory, "migrate").err)
    done = logkeep("--dir", directory, "migrate").ended(2)
    assert "check user and password in the setting `database`" in done.err
    assert "geheim" not in done.err


def test_machine_with_another_seal_key_is_refused(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    init(other)
    shutil.copy(site.directory / "logkeep.toml", other)
    assert "is that of another installation" in logkeep("--dir", other, "worker").ended(2).err
    (other / ID_FILE).unlink()
    assert f"{ID_FILE}: is missing; copy it" in logkeep("--dir", other, "worker").ended(2).err
    shutil.copy(site.directory / ID_FILE, other)
    done = logkeep("--dir", other, "worker").ended(2)
    assert "seal.key: is not the key that the database was sealed with" in done.err


def test_three_workers_twenty_clusters_and_random_kills(site: Site, tmp_path: Path) -> None:
    random.seed(20261124)
    site.answer()
    for _ in range(3):
        site.start_worker()
    clusters = [f"c{number:02}" for number in range(20)]
    for cluster in clusters:
        site.write(cluster, "es.log", 500)
        site.add_cluster(cluster)
    for round_ in range(5):
        for cluster in clusters:
            site.write(cluster, "es.log", random.randint(1, 2000), os.urandom(40).hex().encode())
            site.write(cluster, f"es-2026-11-24-{round_ + 1}.log", 300)
        for cluster in clusters:
            site.tenant("backup", cluster)
            if random.random() < 0.2:
                living = [worker for worker in site.workers if worker.process.poll() is None]
                random.choice(living).kill()
                site.start_worker()
        site.settle(120)
    assert len(site.jobs()) == 100
    for cluster in clusters:
        site.check_archive(cluster, tmp_path / "restored")
    print(json.dumps({"kills": len(site.workers) - 3, "rounds": 5}))
