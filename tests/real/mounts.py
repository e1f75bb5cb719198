"""FUSE file systems of Debian whose inodes are no identity, mounted for the time of a test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.integration.cli.installed import until
from tests.real.servers import SshServer, need_command


@contextmanager
def tmpfs(point: Path) -> Iterator[Path]:
    """A file system of its own in memory: it counts its inodes from the beginning."""
    with _mounted(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "tmpfs", str(point)], point):
        yield point


@contextmanager
def bindfs(behind: Path, point: Path) -> Iterator[Path]:
    """What lies behind, over several file systems, as if it were one: two files may have the same device and inode."""
    with _mounted([need_command("bindfs", "bindfs"), str(behind), str(point)], point):
        yield point


@contextmanager
def mergerfs(branches: Sequence[Path], point: Path, inodes: str) -> Iterator[Path]:
    """Several directories as one; `inodes` is the way in which it makes them: `path-hash` gives each name its own."""
    options = f"inodecalc={inodes},category.create=rand,cache.files=off,cache.attr=0,cache.entry=0"
    command = [need_command("mergerfs", "mergerfs"), "-o", options, ":".join(map(str, branches)), str(point)]
    with _mounted(command, point):
        yield point


class Sshfs:
    """A directory over SSH. It numbers files as they are looked at, from the beginning each time it is mounted."""

    def __init__(self, server: SshServer, behind: Path, point: Path) -> None:
        known_hosts = point.with_name(f"{point.name}-known-hosts")
        known_hosts.write_text(server.known_hosts())
        key = point.with_name(f"{point.name}-key")
        key.write_bytes(server.key.read_bytes())
        key.chmod(0o600)
        point.mkdir()
        options = [f"IdentityFile={key}", f"UserKnownHostsFile={known_hosts}", "dir_cache=no", "attr_timeout=0"]
        options = [f"{name}={_quoted(value)}" for name, _, value in (one.partition("=") for one in options)]
        command = [need_command("sshfs", "sshfs"), f"{server.user}@127.0.0.1:{behind}", str(point)]
        self._command = [*command, "-p", str(server.port), "-o", ",".join([*options, "entry_timeout=0"])]
        self._point = point

    def __enter__(self) -> Path:
        _mount(self._command, self._point)
        return self._point

    def __exit__(self, *_: object) -> None:
        _unmount(self._point)

    def remount(self) -> None:
        _unmount(self._point)
        _mount(self._command, self._point)


def _quoted(value: str) -> str:
    return value.replace(",", "\\,")


@contextmanager
def _mounted(command: Sequence[str], point: Path) -> Iterator[None]:
    point.mkdir(parents=True, exist_ok=True)
    _mount(command, point)
    try:
        yield
    finally:
        _unmount(point)


def _mount(command: Sequence[str], point: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    until(lambda: os.path.ismount(point))


def _unmount(point: Path) -> None:
    subprocess.run(["umount", "--lazy", str(point)], check=True)
