"""The console in this process, over SQLite and a folder as bucket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from logkeep.domain.access import Role
from tests.support.console import Browser, open_browser
from tests.support.installation import Installation, open_installation


@pytest.fixture
def browser(installation: Installation) -> Iterator[Browser]:
    """Signed in as an administrator, without script."""
    with open_browser(installation) as browser:
        browser.sign_in(installation)
        yield browser


@pytest.fixture
def stranger(installation: Installation) -> Iterator[Browser]:
    """A browser that is not signed in."""
    with open_browser(installation) as browser:
        yield browser


@dataclass(frozen=True)
class Signed:
    """Browsers of one installation, for tests that leave it as it is and are many."""

    admin: Browser
    reader: Browser
    stranger: Browser


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    folder = tmp_path_factory.mktemp("signed") / "installation"
    with open_installation(folder) as installation, open_browser(installation) as admin:
        admin.sign_in(installation)
        reader, stranger = admin.open_another(), admin.open_another()
        reader.sign_in(installation, Role.READER)
        yield Signed(admin, reader, stranger)
        reader.close()
        stranger.close()
