"""The service functions over SQLite and a folder as bucket; jobs are carried out at once, without the queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from logkeep.domain.cluster import Cluster
from tests.support.installation import Installation, open_installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with open_installation(tmp_path / "installation") as installation:
        yield installation


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """The log directory of a node, still empty."""
    folder = tmp_path / "n1"
    folder.mkdir()
    return folder


@pytest.fixture
def cluster(installation: Installation, logs: Path) -> Cluster:
    """With log backup open, and one node."""
    return installation.add_cluster(n1=logs)


@pytest.fixture
def shared_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log backup may be opened where another cluster's archive lies, as where it was open before that came there."""
    monkeypatch.setattr("logkeep.service.log_settings._check_archive", lambda *_: None)
