"""From an empty installation to a failure understood and mended, and to a line of last month, by the console alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest
from playwright.sync_api import sync_playwright

from tests.integration.cli.installed import called, init, serving
from tests.real.browser import Look, Site, Tab, open_tab, start_browser

pytestmark = pytest.mark.real

# Where the pictures of docs/console.md are made anew; nowhere unless the variable names a folder.
PICTURES = os.environ.get("LOGKEEP_WRITE_PICTURES", "")
# A bucket, and no wait that only lets others see a task running.
CONFIGURATION = "[records]\nrunning_visible_seconds = 0.2\n\n[buckets.logs]\n"
LAST_MONTH = datetime.now(UTC) - timedelta(days=31)
NEEDLE = f"[{LAST_MONTH:%Y-%m-%dT%H:%M:%S},123][ERROR][o.o.i.e.Engine] [n1] shard 7 lost its translog"


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    """A person at a new installation, who was given the link that signs in once."""
    directory = tmp_path / "data"
    init(directory, CONFIGURATION)
    with serving(directory) as service, sync_playwright() as playwright:
        browser = start_browser(playwright)
        with open_tab(browser, Site(directory, service.endpoint, {}, ("", "")), Look(1280)) as tab:
            tab.page.goto(called(directory, "console", "--json").ended(0).json["url"])
            yield tab
        browser.close()


def test_a_failure_is_understood_mended_and_a_line_of_last_month_found(tab: Tab) -> None:
    page, logs = tab.page, Path(mkdtemp(prefix="opensearch-")) / "logs"  # short, for the pictures
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("No cluster is registered yet.").wait_for()
    page.get_by_role("link", name="Register a cluster").click()

    page.get_by_label("Name", exact=True).fill("prod")
    page.get_by_label("Name of the node").first.fill("n1")
    page.get_by_label("Its log directory").first.fill(logs.as_uri())
    take(tab, "register")
    page.get_by_role("button", name="Check", exact=True).click()
    page.locator("#found").get_by_text("No such file or directory").wait_for()
    page.get_by_role("button", name="Register", exact=True).click()  # all the same: it is to be mounted soon

    page.get_by_role("heading", name="Settings").wait_for()
    take(tab, "open")
    page.get_by_role("button", name="Open log backup").click()
    page.get_by_role("button", name="Back up now").first.click()

    page.get_by_text("Do this:").wait_for(timeout=30_000)
    assert re.search(r"check that it exists on this machine", page.locator("main").inner_text())
    take(tab, "failed")

    logs.mkdir()
    lines = [NEEDLE.replace("shard 7 lost", f"shard {number} has") for number in range(100)]
    (logs / "prod.log").write_text("\n".join([*lines, NEEDLE, *lines]) + "\n")
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("All that was new is kept.").wait_for(timeout=30_000)
    take(tab, "success")
    page.get_by_role("link", name="Clusters").first.click()
    page.get_by_role("link", name="prod").click()
    take(tab, "cluster")

    page.get_by_role("link", name="Logs", exact=True).click()
    page.locator("input[name=q]").fill("shard 7 lost")
    page.locator("input[name=q]").press("Enter")
    page.get_by_text("lost its translog").first.wait_for()
    assert page.locator("mark").first.inner_text() == "shard 7 lost"
    page.locator(".over-time canvas").wait_for()
    take(tab, "logs")


def take(tab: Tab, name: str) -> None:
    """Look at the page, and keep a picture of it where one is asked for."""
    tab.settle()
    tab.check()
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        tab.page.screenshot(path=Path(PICTURES) / f"console-{name}.png")
