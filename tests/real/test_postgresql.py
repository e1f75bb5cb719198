"""Everything that is tested on SQLite holds on PostgreSQL too, and so does a real service on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.installed import CONFIGURATION, init, logkeep, serving, until
from tests.real.postgres import PostgresServer
from tests.support.installation import new_database

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
SUITES = (
    "tests/integration/test_backups.py",
    "tests/integration/test_policies.py",
    "tests/integration/test_tasks.py",
    "tests/integration/test_racing.py",
    "tests/integration/test_rebuild.py",
    "tests/integration/test_migration.py",
    "tests/integration/test_manifests.py",
    "tests/integration/notices/test_racing_looks.py",
    "tests/integration/notices/test_events.py",
    "tests/integration/notices/test_delivery.py",
    "tests/golden/test_tables.py",
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(durable=False) as server:
        yield server


@pytest.mark.parametrize("suite", SUITES)
def test_what_holds_on_sqlite_holds_on_postgresql(server: PostgresServer, suite: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite],
        cwd=ROOT,
        env=os.environ | {"LOGKEEP_TEST_POSTGRESQL": server.url()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_service_that_is_killed_goes_on_from_postgresql(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGKEEP_TEST_POSTGRESQL", server.url())
    database = new_database()["LOGKEEP_DATABASE"]
    directory, node = tmp_path / "installation", tmp_path / "node"
    node.mkdir()
    for number in range(1, 101):
        (node / f"es-2026-11-24-{number}.log").write_bytes(b"line of %d\n" % number * 100)
    init(directory, f'database = "{database}"\n{CONFIGURATION}')
    assert not (directory / "logkeep.db").exists()

    def tenant(*arguments: str) -> object:
        return logkeep("--dir", directory, *arguments, "--json").ended(0).json

    with serving(directory) as served:
        tenant("cluster", "add", "prod", "--node", f"n1=file://{node}")
        tenant("logs", "open", "prod")
        tenant("backup", "prod")
        until(lambda: any((directory / "buckets").rglob("*.zst")))
        served.process.kill()
    with serving(directory):
        until(lambda: tenant("records", "prod")["clusterLogRecord"][0]["status"] == "SUCCESS", 60)  # type: ignore[index]
        tenant("verify", "prod", "--chain")
