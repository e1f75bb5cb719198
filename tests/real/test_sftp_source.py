"""SFTP sources on a real sshd."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from logkeep.sources.base import LogSource
from logkeep.sources.sftp import SftpSources
from logkeep.sources.ssh import Access, Connections
from tests.real.servers import SshServer
from tests.suites.source_suite import EXCLUDED, SourceSuite

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]  # the first one may have to install the server


@pytest.fixture(scope="module")
def node() -> Iterator[SshServer]:
    with SshServer() as server:
        yield server


@pytest.fixture
def known_hosts(tmp_path: Path, node: SshServer) -> Path:
    path = tmp_path / "known_hosts"
    path.write_text(node.known_hosts())
    return path


@pytest.fixture
def sources(node: SshServer, known_hosts: Path) -> Iterator[SftpSources]:
    with closing(SftpSources(("*",), Connections(Access(known_hosts, (node.key,), timeout_seconds=10)))) as opened:
        yield opened


class TestSftpSource(SourceSuite):
    whole_seconds = True
    tells_inodes = False

    @pytest.fixture
    def logs(self, node: SshServer) -> Iterator[Path]:
        """Of the user of sshd, but written by this process, which may be another one."""
        node.logs.mkdir(exist_ok=True)
        node.logs.chmod(0o755)
        yield node.logs
        shutil.rmtree(node.logs)
        (node.folder / "moved.log").unlink(missing_ok=True)

    @pytest.fixture
    def opened(self, node: SshServer, sources: SftpSources) -> Callable[..., LogSource]:
        return lambda directory: sources.open(node.url(directory), EXCLUDED)
