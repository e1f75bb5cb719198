"""The tasks of a project or a cluster, and one of them by itself, as a person sees them without script."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from logkeep.domain.access import Role
from logkeep.domain.backup_job import BackupJob
from logkeep.domain.cluster import Cluster
from logkeep.service import backups, log_settings, tasks
from tests.support.console import Browser, open_browser
from tests.support.installation import Installation
from tests.support.left_out import leave_out

DAY = 24 * 3_600_000
LINE = b"[2026-11-24T10:00:00,000][INFO ][o.o.n.Node] [node-1] started\n"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    folder = tmp_path / "node-1"
    folder.mkdir()
    (folder / "prod.log").write_bytes(LINE * 100)
    return folder


@pytest.fixture
def cluster(installation: Installation, node: Path) -> Cluster:
    return installation.add_cluster(**{"node-1": node})


def fail_backup(installation: Installation, cluster: Cluster, node: Path) -> BackupJob:
    """A backup of a node whose directory is away meanwhile."""
    node.rename(node.with_name("away"))
    job = installation.back_up(cluster)
    node.with_name("away").rename(node)
    return job


def test_who_has_no_backup_yet_is_told_what_to_do(
    installation: Installation, cluster: Cluster, browser: Browser
) -> None:
    assert "No backup was made yet" in browser.get("/console/tasks").text
    page = browser.get(f"/console/clusters/{cluster.id}/tasks")
    assert "Back up now" in page.text
    started = browser.submit(page, f"/console/clusters/{cluster.id}/backup")
    assert "The backup was started." in started.text
    assert started.url.path == f"/console/tasks/{installation.jobs(cluster)[0].job_id}"


def test_a_cluster_that_is_not_open_leads_to_its_settings(
    installation: Installation, cluster: Cluster, browser: Browser
) -> None:
    log_settings.close_backup(installation.runtime, cluster)
    page = browser.get(f"/console/clusters/{cluster.id}/tasks")
    assert "Log backup of this cluster is not open" in page.text
    assert f"/console/clusters/{cluster.id}/settings" in page.text
    assert "Back up now" not in page.text


def test_tasks_are_listed_with_what_they_kept(
    installation: Installation, cluster: Cluster, node: Path, browser: Browser
) -> None:
    kept = installation.back_up(cluster)
    failed = fail_backup(installation, cluster, node)
    page = browser.get("/console/tasks").text
    assert page.index(failed.job_id) < page.index(kept.job_id)
    assert f'<a href="/console/tasks/{kept.job_id}"><code>{kept.job_id}</code></a>' in page
    assert "LK-SOURCE-UNREACHABLE" in page
    assert "1/1" in page
    assert 'All <span class="count">2</span>' in page
    assert 'Failed <span class="count">1</span>' in page
    only = browser.get("/console/tasks?state=failed").text
    assert kept.job_id not in only
    assert failed.job_id in only


def test_what_a_backup_left_out_stands_beside_its_success(
    installation: Installation, cluster: Cluster, browser: Browser
) -> None:
    job = installation.back_up(cluster)
    for path in ("/console/tasks", f"/console/clusters/{cluster.id}"):
        assert "1 warning" not in browser.get(path).text
    leave_out(installation, job, gaps=2, warnings=1)
    mark = f'<a class="state gaps" href="/console/tasks/{job.job_id}">2 gaps, 1 warning</a>'
    assert mark in browser.get("/console/tasks").text
    assert mark in browser.get(f"/console/clusters/{cluster.id}").text
    assert 'href="#gaps">2 gaps, 1 warning</a>' in browser.get(f"/console/tasks/{job.job_id}").text


def test_a_node_that_failed_is_not_counted_as_done(
    installation: Installation, node: Path, tmp_path: Path, browser: Browser
) -> None:
    cluster = installation.add_cluster(**{"node-1": node, "node-2": tmp_path / "away"})
    installation.back_up(cluster)
    assert "1/2, 1 failed" in browser.get("/console/tasks").text
    [row] = csv.DictReader(io.StringIO(browser.get("/console/tasks/export?format=csv").text))
    assert (row["nodes"], row["nodes_done"], row["nodes_failed"]) == ("2", "2", "1")


def test_states_are_told_in_the_language_of_the_reader(
    installation: Installation, cluster: Cluster, node: Path, browser: Browser
) -> None:
    installation.back_up(cluster)
    fail_backup(installation, cluster, node)
    for language, success, failed in (("en", "success", "failed"), ("zh", "成功", "失败")):
        page = browser.get("/console/tasks", Accept_Language=language).text
        assert f'<span class="state success">{success}</span>' in page
        assert f'<span class="state fail">{failed}</span>' in page


def test_missed_runs_are_rows(installation: Installation, cluster: Cluster, browser: Browser) -> None:
    log_settings.start_policy(installation.runtime, cluster, "00:00 GMT+00:00")
    installation.clock.advance(3 * DAY)
    browser.sign_in(installation)
    page = browser.get(f"/console/clusters/{cluster.id}/tasks?state=missed").text
    assert page.count("was due") == 3
    assert "nothing was started for it" in page


def test_none_match_differs_from_none_yet(installation: Installation, cluster: Cluster, browser: Browser) -> None:
    installation.back_up(cluster)
    for query in ("?text=nowhere", "?state=missed", "?kind=auto", "?since=2001-01-01&until=2001-01-02"):
        page = browser.get(f"/console/tasks{query}").text
        assert "None match these filters." in page
        assert "No backup was made yet" not in page


def test_older_tasks_are_paged_to_and_the_address_holds_the_page(
    installation: Installation, cluster: Cluster, browser: Browser
) -> None:
    jobs = [installation.back_up(cluster) for _ in range(52)]
    first = browser.get("/console/tasks?kind=manual")
    assert jobs[-1].job_id in first.text
    older = browser.get(first.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&"))
    assert jobs[0].job_id in older.text
    assert jobs[-1].job_id not in older.text
    assert "data-poll" not in older.text
    assert "Back to the newest" in older.text
    assert "after=" in str(older.url)
    installation.back_up(cluster)
    assert browser.get(str(older.url.raw_path, "ascii")).text.count("<tr id=") == older.text.count("<tr id=")


def test_a_poll_without_news_is_answered_with_nothing(
    installation: Installation, cluster: Cluster, browser: Browser
) -> None:
    job = installation.back_up(cluster)
    assert 'data-poll="30"' in browser.get("/console/tasks").text
    part = browser.get("/console/tasks/rows", hx_request="true")
    assert job.job_id in part.text
    assert browser.get("/console/tasks/rows", if_none_match=part.headers["etag"]).status_code == 304
    backups.start_backup(installation.runtime, cluster)
    installation.clock.advance(1000)  # what is new is asked once a second
    news = browser.get("/console/tasks/rows", if_none_match=part.headers["etag"])
    assert news.status_code == 200
    assert 'data-poll="2"' in news.text


@pytest.mark.parametrize("query", ["since=yesterday", "until=2026-13-01", "after=x", "after=1.2", "text=" + "x" * 201])
def test_what_no_form_sends_is_refused_with_a_reason(browser: Browser, query: str) -> None:
    answer = browser.get(f"/console/tasks?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.text


@pytest.mark.parametrize("query", ["cluster=x", "cluster=00000000-0000-4000-8000-000000000000"])
def test_a_cluster_that_is_not_there_is_not_found(browser: Browser, query: str) -> None:
    assert browser.get(f"/console/tasks?{query}").status_code == 404


def test_all_that_is_found_is_downloaded(
    installation: Installation, cluster: Cluster, node: Path, browser: Browser
) -> None:
    jobs = [installation.back_up(cluster), fail_backup(installation, cluster, node)]
    table = browser.get("/console/tasks/export?format=csv")
    assert table.headers["content-disposition"] == 'attachment; filename="tasks.csv"'
    rows = list(csv.DictReader(io.StringIO(table.text.removeprefix("\ufeff"))))
    assert [row["job_id"] for row in rows] == [job.job_id for job in reversed(jobs)]
    found = browser.get(f"/console/clusters/{cluster.id}/tasks/export?format=json").json()
    assert [row["jobId"] for row in found] == [job.job_id for job in reversed(jobs)]
    assert json.loads(browser.get("/console/tasks/export?format=json&text=nowhere").text) == []


def test_the_history_has_a_day_for_each_and_a_table_for_each_plot(
    installation: Installation, cluster: Cluster, node: Path, browser: Browser
) -> None:
    installation.back_up(cluster)
    installation.clock.advance(DAY)
    fail_backup(installation, cluster, node)
    browser.sign_in(installation)
    page = browser.get(f"/console/clusters/{cluster.id}/tasks/history").text
    assert 'class="day kept"' in page
    assert 'class="day failed"' in page
    data = json.loads(page.partition('id="plots-data">')[2].partition("</script>")[0])
    assert data["raw"] == [6200, 0]
    assert data["failed"] == [0, 1]
    assert "The same as a table" in page
    assert "uplot" not in browser.get("/console/tasks").text.lower()


def test_a_day_that_was_mended_keeps_a_mark_of_its_failure(
    installation: Installation, cluster: Cluster, node: Path, browser: Browser
) -> None:
    fail_backup(installation, cluster, node)
    installation.back_up(cluster)
    installation.back_up(cluster)
    page = browser.get(f"/console/clusters/{cluster.id}/tasks/history").text
    assert "The last backup that ended counts: an earlier failure of the day was mended." in page
    assert 'class="day kept mended"' in page
    assert ": kept, 1 of 3 failed" in page
    assert ": kept, 1 of 3 failed</title>" in browser.get(f"/console/clusters/{cluster.id}").text


def test_a_gap_of_unknown_size_is_not_told_as_nothing(
    installation: Installation, cluster: Cluster, browser: Browser
) -> None:
    job = installation.back_up(cluster)
    leave_out(installation, job, gaps=1)
    page = browser.get(f"/console/tasks/{job.job_id}").text
    assert "an unknown amount went before it could be kept" in page
    assert "at least 0 B" not in page
    leave_out(installation, job, gaps=1, size=2048)
    assert "at least 2.0 KiB went before they could be kept" in browser.get(f"/console/tasks/{job.job_id}").text


def test_a_task_tells_its_nodes_files_and_record(
    installation: Installation, cluster: Cluster, browser: Browser
) -> None:
    job = installation.back_up(cluster)
    page = browser.get(f"/console/tasks/{job.job_id}").text
    (segment,) = installation.objects()
    assert "All that was new is kept." in page
    assert str(segment.relative_to(installation.bucket)) in page
    assert "0–6,200" in page
    assert "not yet" in page
    assert "&#34;failedMsg&#34;: null" in page
    assert f"/v1.0/{installation.project.id}/clusters/{cluster.id}/logs/collect" in page
    assert "huaweicloud_css_manual_log_backup" in page
    installation.clock.advance(1000)
    installation.verify(cluster, read_data=100)
    assert "not yet" not in browser.get(f"/console/tasks/{job.job_id}").text


def test_a_failure_is_understood_retried_and_mended(
    installation: Installation, cluster: Cluster, node: Path, browser: Browser
) -> None:
    failed = fail_backup(installation, cluster, node)
    page = browser.get(f"/console/tasks/{failed.job_id}")
    assert "LK-SOURCE-UNREACHABLE" in page.text
    again = browser.submit(page, f"/console/tasks/{failed.job_id}/retry")
    new = installation.jobs(cluster)[0]
    assert again.url.path == f"/console/tasks/{new.job_id}"
    assert "this is the new task" in again.text
    installation.run(new)
    refused = browser.submit(page, f"/console/tasks/{failed.job_id}/retry")
    assert refused.status_code == 409
    assert new.job_id in refused.text
    assert browser.get(f"/console/tasks/{failed.job_id}/retry").url.path == f"/console/tasks/{failed.job_id}"


def test_a_running_task_is_watched_and_cancelled(
    installation: Installation, cluster: Cluster, browser: Browser
) -> None:
    job = backups.start_backup(installation.runtime, cluster)
    page = browser.get(f"/console/tasks/{job.job_id}")
    assert 'data-poll="2"' in page.text
    part = browser.get(f"/console/tasks/{job.job_id}/state")
    assert "It waits for a worker." in part.text
    state = f"/console/tasks/{job.job_id}/state"
    assert browser.get(state, if_none_match=part.headers["etag"]).status_code == 304
    ended = browser.submit(page, f"/console/tasks/{job.job_id}/cancel")
    assert "The task was cancelled." in ended.text
    assert "LK-JOB-CANCELLED" in ended.text
    assert "data-poll" not in browser.get(state, if_none_match=part.headers["etag"]).text


def test_a_reader_sees_tasks_and_changes_none(installation: Installation, cluster: Cluster) -> None:
    job = backups.start_backup(installation.runtime, cluster)
    with open_browser(installation) as reader:
        reader.sign_in(installation, Role.READER)
        for path in (f"/console/tasks/{job.job_id}", f"/console/clusters/{cluster.id}/tasks"):
            page = reader.get(path).text
            assert job.job_id in page
            assert "Back up now" not in page
            assert "/cancel" not in page
        assert reader.post(f"/console/tasks/{job.job_id}/cancel", {}).status_code == 403


def test_hostile_names_are_shown_as_text(installation: Installation, tmp_path: Path, browser: Browser) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "<img src=x onerror=alert(1)>\u202egol.log").write_bytes(LINE)
    job = installation.back_up(installation.add_cluster(**{"node-1": folder}))
    page = browser.get(f"/console/tasks/{job.job_id}").text
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert "&lt;img src=x" in page


def test_a_search_that_stopped_and_a_count_that_stopped_say_so(
    installation: Installation, cluster: Cluster, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        installation.back_up(cluster)
    monkeypatch.setattr(tasks, "_LOOKED_AT", 2)
    page = browser.get("/console/tasks?text=prod").text
    assert "there may be older ones" in page
    assert 'All <span class="count">2+</span>' in page
    assert "None of the tasks that were looked at" in browser.get("/console/tasks?text=nowhere").text
    monkeypatch.setattr(tasks, "MOST_COUNTED", 3)
    page = browser.get("/console/tasks?since=2000-01-01").text
    assert 'Succeeded <span class="count">3+</span>' in page
    assert 'Failed <span class="count">0</span>' in page


def test_pages_of_nodes_and_files_are_bounded(
    installation: Installation, cluster: Cluster, node: Path, browser: Browser
) -> None:
    for number in range(45):
        (node / f"other-{number:02}.log").write_bytes(LINE)
    job = installation.back_up(cluster)
    page = browser.get(f"/console/tasks/{job.job_id}")
    assert page.text.count('<tr id="file-') == 20
    assert "1 to 20 of 46" in page.text
    last = browser.get(f"/console/tasks/{job.job_id}?files=40").text
    assert last.count('<tr id="file-') == 6
    assert "To the first files" in browser.get(f"/console/tasks/{job.job_id}?files=99").text
