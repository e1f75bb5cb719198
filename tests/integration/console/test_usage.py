"""What the archive takes, in the console: sums, growth, the table without script, links, CSV."""

from __future__ import annotations

import csv
import io
import json
import re

from logkeep.domain.cluster import Cluster
from logkeep.domain.usage import DAY_MS, day_of, day_text
from logkeep.service import archive_usage, identity
from tests.support.console import Browser, open_browser
from tests.support.installation import Installation
from tests.support.usage import add_segments

MIB = 1024 * 1024


def fill(installation: Installation, cluster: Cluster, days: int) -> int:
    """So many days on each of which a MiB was stored, recorded as far as they are over; today is returned."""
    today = day_of(installation.clock.now_ms())
    for age in range(days):
        add_segments(installation.runtime, cluster.id, today - age, [MIB])
    archive_usage.record_days(installation.runtime, 400)
    return today


def cells(page: str) -> list[list[str]]:
    """The rows of the last table, as text."""
    table = page.rpartition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    return [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in rows
    ]


def test_an_empty_project_is_told_so(browser: Browser) -> None:
    page = browser.get("/console/usage").text
    assert "No cluster is registered yet." in page
    assert "not known before 7 days are recorded" in page


def test_sums_growth_and_forecast_of_all_clusters_are_shown(
    installation: Installation, cluster: Cluster, browser: Browser
) -> None:
    fill(installation, cluster, 40)
    page = browser.get("/console/usage").text
    assert "400 MiB of logs, which take 40.0 MiB in 40 objects" in page
    assert "+1.0 MiB a day, the mean of the last 30 days that are over" in page
    assert "70.0 MiB in 30 days" in page
    assert cells(page) == [["prod", "400 MiB", "40.0 MiB", "40", "+1.0 MiB", "not known", "0"]]
    assert f'href="/console/clusters/{cluster.id}/usage"' in page


def test_the_plot_and_the_table_beside_it_have_the_same_days(
    installation: Installation, cluster: Cluster, browser: Browser
) -> None:
    today = fill(installation, cluster, 5)
    page = browser.get(f"/console/clusters/{cluster.id}/usage").text
    found = re.search(r'<script type="application/json" id="plots-data">(.*?)</script>', page)
    assert found
    drawn = json.loads(found[1])
    assert drawn["stored"] == [number * MIB for number in range(6)]
    assert drawn["at"][-2] == today * DAY_MS / 1000
    days = page.partition("What there was at the end of each day")[2]
    assert re.findall(r"<tr><td>(\d{4}-\d\d-\d\d)", days) == [day_text(today - age) for age in range(6)]


def test_rows_may_be_nodes_logs_and_months(installation: Installation, cluster: Cluster, browser: Browser) -> None:
    fill(installation, cluster, 40)
    assert cells(browser.get(f"/console/clusters/{cluster.id}/usage?by=node").text)[0][0] == "n1"
    months = cells(browser.get("/console/usage?by=month").text)
    assert [row[2] for row in months][:1] == ["40.0 MiB"]
    assert browser.get("/console/usage?by=nothing").status_code == 200


def test_all_rows_come_as_csv(installation: Installation, cluster: Cluster, browser: Browser) -> None:
    fill(installation, cluster, 3)
    answer = browser.get("/console/usage/export?by=cluster")
    assert "usage.csv" in answer.headers["content-disposition"]
    [row] = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"), newline=""))
    assert (row["cluster"], row["stored_bytes"], row["index_bytes"]) == ("prod", str(3 * MIB), "")


def test_another_project_sees_nothing_of_it(installation: Installation, cluster: Cluster) -> None:
    fill(installation, cluster, 3)
    installation.project = identity.add_project(installation.runtime, "theirs")
    with open_browser(installation) as theirs:
        theirs.sign_in(installation)
        assert "prod" not in theirs.get("/console/usage").text + theirs.get("/console/usage/export").text
        for path in ("usage", "usage/export"):
            assert theirs.get(f"/console/clusters/{cluster.id}/{path}").status_code == 404
