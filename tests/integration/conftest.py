"""The service functions over SQLite and a folder as bucket; jobs are carried out at once, without the queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import Installation, open_installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with open_installation(tmp_path / "installation") as installation:
        yield installation
