"""The pages of all clusters, and of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from logkeep.console.rendering import find_page_for
from logkeep.domain.access import Role
from logkeep.domain.cluster import Cluster
from logkeep.service import backups, clusters, log_settings
from tests.support.console import Browser, open_browser
from tests.support.installation import Installation
from tests.support.left_out import leave_out

HOUR = 3_600_000
DAY = 24 * HOUR
LINE = b"[2026-11-24T00:00:00,000][INFO ] a line\n"
HOSTILE = "<b>x&amp;\u05d0'\""


def test_an_empty_installation_says_how_to_begin(installation: Installation, browser: Browser) -> None:
    page = browser.get("/console/clusters").text
    assert "No cluster is registered yet." in page
    assert 'href="/console/clusters/new"' in page
    with open_browser(installation) as reader:
        page = reader.sign_in(installation, Role.READER).text
        assert "An administrator of the project can do that." in page
        assert 'href="/console/clusters/new"' not in page


def test_what_needs_a_hand_stands_on_top(
    installation: Installation, browser: Browser, cluster: Cluster, logs: Path
) -> None:
    (logs / "prod.log").write_bytes(LINE)
    log_settings.start_policy(installation.runtime, cluster, "00:00 GMT+00:00")
    installation.back_up(cluster)
    assert "The cluster is kept." in browser.get("/console/clusters").text
    clusters.add_cluster(
        installation.runtime, installation.project.id, "later", [clusters.NewNode("n", f"file://{logs}")]
    )
    page = browser.get("/console/clusters").text
    assert "1 of 2 are in order." in page
    assert page.index(">later<") < page.index(">prod<")
    only = browser.get("/console/clusters?only=without_daily").text
    assert f"cluster-{cluster.id}" not in only


def test_behind_a_command_that_is_advised_stands_the_page_that_does_the_same(
    installation: Installation, browser: Browser, cluster: Cluster
) -> None:
    own = f"/console/clusters/{cluster.id}"
    assert f'<a class="there" href="{own}/settings">Settings</a>' in browser.get(own).text, "no daily backup"
    assert f'<a class="there" href="{own}/settings">Settings</a>' in browser.get("/console/clusters").text
    job = "0123456789abcdef" * 2
    for command, path in (
        (f"logkeep job show {job}", f"/console/tasks/{job}"),
        ("logkeep coverage 'a b'", f"{own}/coverage"),
        ("logkeep records prod --status FAIL", f"{own}/tasks?state=failed"),
        ("logkeep workers", "/console/workers"),
    ):
        page = find_page_for(command, cluster.id)
        assert page
        assert page.path == path
    for command in ("logkeep verify prod", "logkeep job show ../x", "logkeep serve"):
        assert find_page_for(command, cluster.id) is None
    assert find_page_for("logkeep coverage prod", "") is None


def test_a_poll_without_news_is_a_304(
    installation: Installation, browser: Browser, cluster: Cluster, logs: Path
) -> None:
    (logs / "prod.log").write_bytes(LINE)
    first = browser.get("/console/clusters/rows", hx_request="true")
    again = browser.get("/console/clusters/rows", hx_request="true", if_none_match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    installation.back_up(cluster)
    newer = browser.get("/console/clusters/rows", hx_request="true", if_none_match=first.headers["etag"])
    assert newer.status_code == 200


def test_one_cluster_shows_its_nodes_and_until_when_they_are_kept(
    installation: Installation, browser: Browser, cluster: Cluster, logs: Path
) -> None:
    (logs / "prod.log").write_bytes(LINE)
    installation.back_up(cluster)
    installation.clock.advance(HOUR // 2)
    page = browser.get(f"/console/clusters/{cluster.id}").text
    assert "no daily backup" in page
    assert "30 min ago" in page
    nodes = browser.get(f"/console/clusters/{cluster.id}/nodes").text
    assert "n1" in nodes
    assert ">yes<" in nodes


def test_gaps_that_are_known_are_told_where_all_else_is_in_order(
    installation: Installation, browser: Browser, cluster: Cluster, logs: Path
) -> None:
    (logs / "prod.log").write_bytes(LINE)
    leave_out(installation, installation.back_up(cluster), gaps=2)
    assert "known gap" not in browser.get("/console/clusters").text, "the newest backup met them: a trouble of its own"
    (logs / "prod.log").write_bytes(LINE * 2)
    installation.back_up(cluster)
    assert "in order, 2 known gaps" in browser.get("/console/clusters").text
    page = browser.get(f"/console/clusters/{cluster.id}").text
    assert "Nothing needs a hand. 2 gaps are known:" in page
    assert "Show what is held and what is missing" in page


def test_a_daily_backup_that_started_late_leads_to_its_task(
    installation: Installation, browser: Browser, cluster: Cluster, logs: Path
) -> None:
    (logs / "prod.log").write_bytes(LINE)
    log_settings.start_policy(installation.runtime, cluster, "00:00 GMT+00:00")
    installation.clock.value = installation.clock.value // DAY * DAY + DAY + HOUR // 3
    [job] = backups.start_due_backups(installation.runtime)
    installation.run(job)
    browser.sign_in(installation)
    page = browser.get(f"/console/clusters/{cluster.id}").text
    assert "The last daily backup started late" in page
    assert "no process was there to start it, or another backup was running" in page
    assert f'href="/console/tasks/{job.job_id}">20 min late</a>' in page
    assert "20 min late" in browser.get("/console/tasks?state=missed").text


def test_what_was_never_verified_tells_no_numbers(browser: Browser, cluster: Cluster) -> None:
    page = browser.get(f"/console/clusters/{cluster.id}").text
    assert "never verified" in page
    assert "0 B;" not in page


def test_a_hostile_name_is_shown_as_text(installation: Installation, browser: Browser, logs: Path) -> None:
    clusters.add_cluster(
        installation.runtime, installation.project.id, HOSTILE, [clusters.NewNode("n", f"file://{logs}")]
    )
    page = browser.get("/console/clusters").text
    assert "&lt;b&gt;x&amp;amp;\u05d0&#39;&#34;" in page
    assert "<b>x" not in page


def test_a_cluster_of_another_project_is_not_found(browser: Browser) -> None:
    assert browser.get("/console/clusters/00000000-0000-0000-0000-000000000000").status_code == 404


def test_a_list_that_many_look_at_is_made_once_for_all_of_a_role(
    installation: Installation, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = browser.get("/console/clusters/rows").text
    assert 'name="token"' not in first, "a token belongs to one session"
    other, reader = browser.open_another(), browser.open_another()
    other.sign_in(installation)
    reader.sign_in(installation, Role.READER)
    made: list[str] = []
    monkeypatch.setattr("logkeep.console.clusters.render", lambda *_, **__: made.append("made") or "anew")
    assert other.get("/console/clusters/rows").text == first
    assert made == []
    assert reader.get("/console/clusters/rows").text == "anew"
    other.close()
    reader.close()
