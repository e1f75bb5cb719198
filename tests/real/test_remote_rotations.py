"""Every manner of rotation by every kind of name, read over SFTP, by an agent, and on a mount whose inodes lie.

`LOGKEEP_TEST_HISTORIES=1000` tries so many new ones of each.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from logkeep.backup import node_backup
from logkeep.backup.observation import SETTLE_NS
from logkeep.sources.base import LogSource
from logkeep.sources.local import LocalSource
from tests.integration.test_agent_source import access_of, running_agent
from tests.integration.test_agent_source import asking as asking_agent
from tests.properties.test_rotations import cases, rotate
from tests.real.mounts import mergerfs
from tests.real.servers import SshServer
from tests.real.test_sftp_source import access
from tests.real.test_sftp_source import asking as asking_sftp
from tests.unit.backup.test_identity import Node

HISTORIES = int(os.environ.get("LOGKEEP_TEST_HISTORIES", "12"))

pytestmark = [pytest.mark.real, pytest.mark.timeout(300 + 10 * HISTORIES)]

Place = tuple[Path, LogSource]  # where the node writes, and by what that is read


@contextmanager
def over_sftp(folder: Path) -> Iterator[Place]:
    with SshServer() as host:
        known_hosts = folder / "known_hosts"
        known_hosts.write_text(host.known_hosts())
        with asking_sftp(host, access(known_hosts, host)) as source:
            yield host.logs, source


@contextmanager
def by_an_agent(folder: Path) -> Iterator[Place]:
    logs = folder / "logs"
    logs.mkdir()
    with running_agent(folder / "agent", logs) as (_, told), asking_agent(access_of(told)) as source:
        yield logs, source


@contextmanager
def by_inodes_of_names(folder: Path) -> Iterator[Place]:
    """A file that is renamed has another inode, and what takes its name has the one that it had."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    (folder / "behind").mkdir()
    with mergerfs([folder / "behind"], folder / "mount", "path-hash") as mount:
        yield folder / "behind", LocalSource(mount)


PLACES = (over_sftp, by_an_agent, by_inodes_of_names)


@pytest.fixture(params=PLACES, ids=lambda placed: placed.__name__)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with request.param(tmp_path) as placed:
        yield placed


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_backup, "_WAIT_SECONDS", 0.0)


@settings(
    derandomize="LOGKEEP_TEST_HISTORIES" not in os.environ,
    max_examples=HISTORIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@cases
def test_rotated_log_is_kept_once_and_in_order(
    place: Place, manner: str, name: str, head: str, form: str, beside: bool, moves: list[tuple[str, int]]
) -> None:
    directory, source = place

    @contextmanager
    def emptied() -> Iterator[Node]:
        for path in directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield Node(directory)

    rotate(
        manner, name, head, form, moves, lambda _: source, beside=beside, settle_ns=SETTLE_NS, place=emptied
    )  # fmt: skip
