"""Directories of this machine as sources."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from logkeep.sources.base import LogSource
from logkeep.sources.local import LocalSource
from tests.suites.source_suite import EXCLUDED, SourceSuite, not_root


class TestLocalSource(SourceSuite):
    @pytest.fixture
    def logs(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp())  # not in pytest's folders: those are closed to others than root
        folder.chmod(0o755)
        (folder / "logs").mkdir()
        yield folder / "logs"
        shutil.rmtree(folder)

    @pytest.fixture
    def opened(self) -> Callable[..., LogSource]:
        return lambda directory: LocalSource(directory, EXCLUDED)

    def denied(self) -> AbstractContextManager[object]:
        return not_root()
