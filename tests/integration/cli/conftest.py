"""One running service for the whole folder; commands are called in this process, which is quicker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from logkeep.cli.app import run
from tests.integration.cli.installed import CONFIGURATION, Done, Served, init, serving


@pytest.fixture(scope="package")  # and no longer: a service that looks for work 20 times a second is never idle
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("cli") / "installation"
    init(directory, f'{CONFIGURATION}\n[sources]\nroots = ["{tmp_path_factory.getbasetemp()}"]\n')
    with serving(directory) as served:
        yield served
        assert served.end() == 0


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Done]:
    """Calls `logkeep` with arguments, in a folder of its own."""
    for name in [name for name in os.environ if name.startswith("LOGKEEP_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Done:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Done(code, out, err)

    return call


@pytest.fixture
def tenant(command: Callable[..., Done], served: Served) -> Callable[..., Done]:
    """Calls `logkeep` for the running service."""
    return lambda *arguments: command("--dir", served.directory, *arguments)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The log directory of a node."""
    logs = tmp_path / "node"
    logs.mkdir()
    (logs / "prod.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ] a line\n" * 50)
    (logs / "prod_server.json").write_bytes(b'{"type": "server", "timestamp": "2026-11-24T00:00:00,000Z"}\n' * 50)
    (logs / "gc.log").touch()
    return logs


@pytest.fixture
def cluster(tenant: Callable[..., Done], node: Path) -> str:
    """The name of a cluster with one node, n1."""
    name = f"c-{uuid4().hex[:8]}"
    tenant("cluster", "add", name, "--node", f"n1={node}").ended(0)
    return name


@pytest.fixture
def opened(tenant: Callable[..., Done], cluster: str) -> str:
    """The name of a cluster whose log backup is open."""
    tenant("logs", "open", cluster).ended(0)
    return cluster
