"""Logs that rotate without a pause while one backup follows the other, read over SFTP and by an agent.

All that was on disk is kept once and in order, and a gap is told only where something went. `LOGKEEP_TEST_SEEDS=1-8`
runs others than the one seed of each, and mounts whose inodes lie as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.integration.test_agent_source import access_of, running_agent
from tests.real.mounts import Sshfs, mergerfs
from tests.real.servers import SshServer
from tests.support.long_run import Place, run_long

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

LINES = int(os.environ.get("LOGKEEP_TEST_LINES", "20000"))
ROTATIONS = int(os.environ.get("LOGKEEP_TEST_ROTATIONS", "40"))


def _seeds() -> list[int]:
    first, _, last = os.environ.get("LOGKEEP_TEST_SEEDS", "1").partition("-")
    return list(range(int(first), int(last or first) + 1))


@contextmanager
def over_sftp(folder: Path) -> Iterator[Place]:
    with SshServer() as host:
        (folder / "known_hosts").write_text(host.known_hosts())
        key = folder / "key"
        key.write_bytes(host.key.read_bytes())
        key.chmod(0o600)
        settings = f'\n[sftp]\nhosts = ["127.0.0.1:/tmp"]\nkeys = ["{key}"]\nknown_hosts = "{folder}/known_hosts"\n'
        yield Place(host.logs, host.url(), settings)


@contextmanager
def by_an_agent(folder: Path) -> Iterator[Place]:
    (folder / "node").mkdir()
    with running_agent(folder / "agent", folder / "node") as (_, told):
        access = access_of(told)
        settings = (
            f'\n[agents.n1]\nurl = "{access.url}"\ntoken = "{access.token}"\nfingerprint = "{access.fingerprint}"\n'
        )
        yield Place(folder / "node", "agent:n1", settings)


@contextmanager
def by_inodes_of_names(folder: Path) -> Iterator[Place]:
    """A file that is renamed has another inode, and what takes its name has the one that it had."""
    (folder / "behind").mkdir()
    with mergerfs([folder / "behind"], folder / "mount", "path-hash") as mount:
        yield Place(folder / "behind", f"file://{mount}")


@contextmanager
def mounted_anew_each_time(folder: Path) -> Iterator[Place]:
    with SshServer() as host:
        mount = Sshfs(host, host.logs, folder / "mount")
        with mount as point:
            yield Place(host.logs, f"file://{point}", between=mount.remount)


BY_NAME = "LOGKEEP_TEST_SEEDS" in os.environ
PLACES = (over_sftp, by_an_agent, *((by_inodes_of_names, mounted_anew_each_time) if BY_NAME else ()))


@pytest.mark.parametrize("seed", _seeds())
@pytest.mark.parametrize("placed", PLACES, ids=lambda placed: placed.__name__)
def test_what_was_on_disk_is_kept_once_and_each_gap_is_one(
    placed: Callable[[Path], AbstractContextManager[Place]], seed: int, tmp_path: Path
) -> None:
    with placed(tmp_path) as place:
        figures = run_long(seed, LINES, 0, ROTATIONS, tmp_path, place)
    print(json.dumps(asdict(figures)))
    assert not figures.faults, "\n".join(figures.faults)
    assert figures.rotations >= ROTATIONS // 2
    assert figures.jobs > 3
