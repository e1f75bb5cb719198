"""The coverage of a cluster in the console: a bar of each log, its gaps, and until when it is safe."""

from __future__ import annotations

import csv
import html
import re
from itertools import pairwise
from pathlib import Path

from sqlalchemy import insert

from logkeep.database.bodies import encode_body
from logkeep.database.connection import writing
from logkeep.database.tables import findings
from logkeep.domain.cluster import Cluster
from logkeep.domain.manifest import Gap
from logkeep.service import coverage, identity
from tests.support.console import Browser, open_browser
from tests.support.installation import Installation

HOSTILE = "<img src=x onerror=alert(1)>\u202e\x1b[31m"


def line(hour: int, text: str = "a line") -> bytes:
    return b"[2026-11-24T%02d:00:00,000][INFO ] %s\n" % (hour, text.encode())


def lose(installation: Installation, cluster: Cluster, *gaps: Gap) -> None:
    """Have a job tell gaps, as it does where a node deleted lines."""
    rows = [
        {
            "job_id": f"{number:032x}",
            "node": gap.node,
            "kind": "gap",
            "body": encode_body(gap),
            "cluster_id": cluster.id,
        }
        for number, gap in enumerate(gaps)
    ]
    with writing(installation.runtime.database) as connection:
        connection.execute(insert(findings), rows)


def page_of(browser: Browser, cluster: Cluster, query: str = "") -> str:
    return browser.get(f"/console/clusters/{cluster.id}/coverage{query}").text


def shown(page: str) -> list[tuple[str, str]]:
    """Nodes and logs in the order of the page."""
    return re.findall(
        r'<th scope="row"><bdi class="anywhere">(.*?)</bdi><br><bdi class="anywhere family">(.*?)</bdi>', page
    )


def test_a_bar_tells_what_is_held_of_a_log_also_in_words(
    installation: Installation, cluster: Cluster, logs: Path, browser: Browser
) -> None:
    (logs / "es.log").write_bytes(line(1) + line(2))
    job = installation.back_up(cluster)
    page = page_of(browser, cluster)
    assert 'aria-label="es.log of n1: held from 2026-11-24T01:00:00,000 to 2026-11-24T02:00:00,000; 0 gaps"' in page
    assert 'class="held"' in page
    assert 'class="open"' in page
    assert 'class="gap" x=' not in page
    assert "2 lines" in page
    assert f"/console/tasks/{job.job_id}" in page


def test_a_gap_is_in_the_bar_and_in_the_list_with_its_reason(
    installation: Installation, cluster: Cluster, logs: Path, browser: Browser
) -> None:
    (logs / "es.log").write_bytes(line(1))
    installation.back_up(cluster)
    (logs / "es.log").write_bytes(line(4, "another"))
    job = installation.back_up(cluster)
    (gap,) = installation.gaps(job)
    page = page_of(browser, cluster)
    assert page.count('class="gap" x=') == 1
    assert page.count(html.escape(gap.reason)) == 2
    assert "1 gap<" in page
    assert page.count(f"/console/tasks/{job.job_id}") == 2  # of the last success, and of the gap


def test_many_gaps_are_bounded_and_the_newest_shown(
    installation: Installation, cluster: Cluster, logs: Path, browser: Browser
) -> None:
    (logs / "es.log").write_bytes(line(1))
    installation.back_up(cluster)
    times = [f"2026-11-{1 + number // 24:02}T{number % 24:02}:00:00,000" for number in range(61)]
    gaps = [Gap("n1", "es.log", after, until, 1, f"reason {until}") for after, until in pairwise(times)]
    lose(installation, cluster, *gaps)
    page = page_of(browser, cluster)
    assert page.count('class="gap" x=') == 20
    assert "and 40 older" in page
    assert "logkeep coverage prod --node n1 --family es.log" in page
    assert f"reason {times[-1]}" in page
    assert f"reason {times[1]}<" not in page


def test_hostile_names_and_reasons_are_shown_as_text(
    installation: Installation, cluster: Cluster, logs: Path, browser: Browser
) -> None:
    lose(installation, cluster, Gap("n1", HOSTILE, "2026-11-24T01:00:00,000", "", 0, HOSTILE))
    lose(
        installation,
        cluster,
        Gap("n1", "odd.log", "0001-01-01T00:00:00,000+23:59", "9999-12-31T23:59:59,999", 2**60, "odd"),
    )
    page = page_of(browser, cluster)
    assert "<img" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "&lt;img src=x" in page
    assert "odd.log" in page


def test_every_log_is_on_one_page_of_fifty(installation: Installation, tmp_path: Path, browser: Browser) -> None:
    nodes = {f"n{number:02}": tmp_path / f"logs-{number}" for number in range(40)}
    for directory in nodes.values():
        directory.mkdir()
        for name in ("es.log", "gc.log", "slow.log"):
            (directory / name).write_bytes(line(1))
    cluster = installation.add_cluster(**nodes)
    installation.back_up(cluster)
    seen: list[list[tuple[str, str]]] = []
    path = f"/console/clusters/{cluster.id}/coverage"
    while path:
        page = browser.get(path).text
        seen.append(shown(page))
        path = html.unescape(page.partition('rel="next" href="')[2].partition('"')[0])
    assert [len(one) for one in seen] == [50, 50, 20]
    assert [log for one in seen for log in one] == [
        (one.node, one.family) for one in coverage.list_held(installation.runtime, cluster)
    ]


def test_a_node_and_a_log_are_found_by_name(installation: Installation, tmp_path: Path, browser: Browser) -> None:
    for node in ("n1", "n2"):
        (tmp_path / node).mkdir()
        for name in ("es.log", "gc.log"):
            (tmp_path / node / name).write_bytes(line(1))
    cluster = installation.add_cluster(n1=tmp_path / "n1", n2=tmp_path / "n2")
    installation.back_up(cluster)
    assert shown(page_of(browser, cluster, "?node=n2")) == [("n2", "es.log"), ("n2", "gc.log")]
    assert shown(page_of(browser, cluster, "?log=gc.log")) == [("n1", "gc.log"), ("n2", "gc.log")]
    assert "Nothing of that is held." in page_of(browser, cluster, "?node=other")


def test_a_cluster_without_anything_says_so(cluster: Cluster, browser: Browser) -> None:
    page = page_of(browser, cluster)
    assert "Nothing is held of this node." in page
    assert "No backup succeeded yet." in page
    assert "logkeep verify prod --read-data" in page


def test_what_a_verification_found_is_told(
    installation: Installation, cluster: Cluster, logs: Path, browser: Browser
) -> None:
    (logs / "es.log").write_bytes(line(1))
    installation.back_up(cluster)
    installation.verify(cluster)
    assert "no problem" in page_of(browser, cluster)
    installation.objects()[0].unlink()
    installation.verify(cluster)
    page = page_of(browser, cluster)
    assert "1 problem" in page
    assert "missing" in page


def test_all_logs_come_as_csv_that_computes_nothing(
    installation: Installation, cluster: Cluster, logs: Path, browser: Browser
) -> None:
    (logs / "es.log").write_bytes(line(1))
    installation.back_up(cluster)
    lose(installation, cluster, Gap("n1", "=1+1", "", "", 0, "why"))
    answer = browser.get(f"/console/clusters/{cluster.id}/coverage/export")
    assert 'filename="coverage-prod.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert [(row["log"], row["lines"], row["gaps"]) for row in rows] == [("'=1+1", "0", "1"), ("es.log", "1", "0")]


def test_the_coverage_of_another_project_is_not_there(installation: Installation, cluster: Cluster) -> None:
    installation.project = identity.add_project(installation.runtime, "theirs")
    with open_browser(installation) as theirs:
        theirs.sign_in(installation)
        for path in ("coverage", "coverage/export"):
            assert theirs.get(f"/console/clusters/{cluster.id}/{path}").status_code == 404
