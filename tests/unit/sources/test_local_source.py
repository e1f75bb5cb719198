"""Directories of this machine as sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from logkeep.sources.base import LogSource
from logkeep.sources.local import LocalSource
from tests.suites.source_suite import EXCLUDED, SourceSuite, folder_for_all, not_root


class TestLocalSource(SourceSuite):
    @pytest.fixture
    def logs(self) -> Iterator[Path]:
        with folder_for_all() as folder:
            yield folder

    @pytest.fixture
    def opened(self) -> Callable[..., LogSource]:
        return lambda directory: LocalSource(directory, EXCLUDED)

    def denied(self) -> AbstractContextManager[object]:
        return not_root()
