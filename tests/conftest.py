"""For all tests: golden files, which must stay as they are, byte by byte; no chance in properties; quick tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.migrated import migrated_each_time, migrated_once

# The same examples each time, and none refused because the machine is busy. Those that take a number by name say so.
settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

GOLDEN = Path(__file__).parent / "data" / "golden"
Golden = Callable[[str, str | bytes], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the golden files anew instead of comparing")


@pytest.fixture(scope="session")
def write_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are made anew, on purpose."""
    return bool(request.config.getoption("--write-golden"))


@pytest.fixture(scope="session")
def golden(write_golden: bool) -> Golden:
    """Hold a text or bytes against the golden file of a name."""

    def check(name: str, found: str | bytes) -> None:
        path = GOLDEN / name
        if write_golden:
            path.write_bytes(found if isinstance(found, bytes) else found.encode())
        wanted = path.read_bytes()
        # Compared as text where it is one: pytest shows the lines that differ.
        assert found == (wanted if isinstance(found, bytes) else wanted.decode()), f"{path} says otherwise"

    return check


@pytest.fixture(scope="session", autouse=True)
def tables() -> Iterator[None]:
    """The migrations run once; tests of what they do ask for them by `migrations`."""
    with migrated_once():
        yield


@pytest.fixture(scope="module")
def migrations(tables: None) -> Iterator[None]:
    """Each new database is made by the migrations themselves."""
    with migrated_each_time():
        yield
