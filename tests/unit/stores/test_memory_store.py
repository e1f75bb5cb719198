"""The store in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from logkeep.stores.base import ObjectStore
from logkeep.stores.opendal import open_store
from tests.suites.store_suite import StoreSuite


class TestMemoryStore(StoreSuite):
    tells_times = False

    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return open_store("memory:", base=tmp_path)
