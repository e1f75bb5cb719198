"""Logs on mounts whose inodes are no identity, rotated by a real logrotate: each line is kept once and in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.real.mounts import Sshfs, bindfs, mergerfs, tmpfs
from tests.real.servers import SshServer
from tests.real.test_logrotate import MANNERS, RotatedSite

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system"),
]

TRIED = {
    name: MANNERS[name]
    for name in (
        "plain", "olddir", "dateext", "copytruncate", "delaycompress", "xz", "copy", "hourly", "olddir-dateext-compress",
    )
}  # fmt: skip


@contextmanager
def two_file_systems_as_one(folder: Path) -> Iterator[RotatedSite]:
    """Each log and the other one of its node have the same inodes all the time."""
    with ExitStack() as stack:
        for node in TRIED:
            for part in ("x", "y"):
                stack.enter_context(tmpfs(folder / "nodes" / node / part))
        site = RotatedSite(folder, TRIED, ("x/es.log", "y/es_audit.json"))
        site.shown = stack.enter_context(bindfs(site.behind, folder / "shown"))
        for node in TRIED:
            inodes = {os.stat(site.shown / node / part).st_ino for part in ("x", "y")}
            assert len(inodes) == 1, "the mount has inodes of its own"
        yield site


@contextmanager
def inodes_of_names(folder: Path) -> Iterator[RotatedSite]:
    """A file that is renamed has another inode, and what takes its name has the one that it had."""
    site = RotatedSite(folder, TRIED)
    with mergerfs([site.behind], folder / "shown", "path-hash") as site.shown:
        yield site


@contextmanager
def numbered_anew_by_each_mount(folder: Path) -> Iterator[RotatedSite]:
    """Inodes are given as files are looked at, so those of yesterday are those of other files."""
    with SshServer() as host:
        os.rmdir(host.logs)
        (folder / "nodes").symlink_to(host.logs)
        host.logs.mkdir()
        site = RotatedSite(folder, TRIED)
        mount = Sshfs(host, host.logs, folder / "shown")
        with mount as site.shown:
            site.between = mount.remount
            yield site


MOUNTS = (two_file_systems_as_one, inodes_of_names, numbered_anew_by_each_mount)


@pytest.mark.parametrize("mounted", MOUNTS, ids=lambda mounted: mounted.__name__)
def test_rotations_come_out_where_inodes_lie(
    mounted: Callable[[Path], AbstractContextManager[RotatedSite]], tmp_path: Path
) -> None:
    with mounted(tmp_path) as site, closing(site), site.serving():
        site.go_through()
        faults = site.faults()
        assert not faults, "\n".join(faults)
        assert not site.gaps
