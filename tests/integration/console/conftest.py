"""The console in this process, over SQLite and a folder as bucket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.console import Browser, open_browser
from tests.support.installation import Installation


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
