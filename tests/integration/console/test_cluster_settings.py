"""The settings of a cluster: opening, changing and closing its log backup, its nodes, its tags, its end."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import httpx
import pytest

from logkeep.clock import FixedClock
from logkeep.domain.access import Role
from logkeep.domain.backup_job import JobStatus, JobType
from logkeep.domain.cluster import Cluster, NewNode, Tag
from logkeep.domain.log_setting import OFFSETS, parse_period, write_zone
from logkeep.service import audit, backups, clusters, forecasts, identity, log_settings, tags
from tests.support.console import Browser, open_browser
from tests.support.installation import SETTING, Installation

LINE = b"[2026-11-24T00:00:00,000][INFO ] a line\n"
OPEN = {"form": "open", "agency": "css_obs_agency", "bucket": "logs", "base_path": "css/log"}
DAILY = {"daily": "on", "time": "03:30", "zone": "GMT+08:00"}


@pytest.fixture
def new(installation: Installation, logs: Path) -> Cluster:
    """A cluster whose log backup was never open."""
    nodes = [NewNode("n1", f"file://{logs}")]
    return clusters.add_cluster(installation.runtime, installation.project.id, "new", nodes)


def settings_of(cluster: Cluster) -> str:
    return f"/console/clusters/{cluster.id}/settings"


def send(browser: Browser, cluster: Cluster, where: str, **values: str) -> httpx.Response:
    """Send a form of the page, with its token."""
    path = where if where.startswith("/console") else f"{settings_of(cluster)}/{where}"
    token = browser.get(settings_of(cluster)).text.partition('name="token" value="')[2].partition('"')[0]
    return browser.post(path, {"token": token} | values)


def operations(installation: Installation) -> list[tuple[str, int]]:
    entries, _ = audit.list_entries(installation.runtime)
    return [(one.operation, one.status) for one in entries if one.operation != "SignInToConsole"]


# Log backup


def test_an_unopened_cluster_invites_with_usual_values(browser: Browser, new: Cluster) -> None:
    page = browser.get(settings_of(new))
    assert "Log backup was never opened" in page.text
    for value in ("css_obs_agency", "css/log", "00:00"):
        assert f'value="{value}"' in page.text
    assert '<option value="logs" selected>' in page.text
    assert '<option value="GMT+00:00" selected>' in page.text
    assert "logs/open" in page.text


def test_the_form_as_it_stands_opens_log_backup(installation: Installation, browser: Browser, new: Cluster) -> None:
    page = browser.submit(
        browser.get(settings_of(new)), f"{settings_of(new)}/open", bucket="logs", zone="GMT+05:45", time="03:30"
    )
    assert "Log backup is open." in page.text
    setting = log_settings.get_setting(installation.runtime, new)
    assert setting
    assert (setting.bucket, setting.base_path, setting.period) == ("logs", "css/log", "03:30 GMT+05:45")
    assert operations(installation) == [("StartLogs", 200)]


def test_log_backup_without_a_daily_one(installation: Installation, browser: Browser, new: Cluster) -> None:
    page = send(browser, new, "open", **OPEN, time="03:30", zone="GMT+08:00")
    setting = log_settings.get_setting(installation.runtime, new)
    assert setting
    assert setting.period is None
    assert "No run is planned" in page.text


def test_a_check_tells_the_place_and_changes_nothing(
    installation: Installation, browser: Browser, new: Cluster
) -> None:
    page = send(browser, new, "check", **OPEN | {"base_path": "far/off"}, **DAILY)
    assert "The bucket can be written. Nothing was changed." in page.text
    assert "far/off/new" in page.text
    assert "no archive yet" in page.text
    assert 'value="far/off"' in page.text
    assert '<option value="GMT+08:00" selected>' in page.text
    assert log_settings.get_setting(installation.runtime, new) is None
    assert str(installation.bucket) not in page.text, "where the bucket is, concerns who runs the service"


@pytest.mark.parametrize("form", ["check", "open"])
@pytest.mark.parametrize(
    ("values", "status", "told"),
    [
        ({"base_path": "/x'$(id)"}, 400, "Path in the bucket: "),
        ({"bucket": "nowhere"}, 400, "Bucket: no bucket 'nowhere' is configured"),
        ({"agency": "a b"}, 400, "Agency: letters"),
        ({"time": "25:00"}, 400, "Time of day: write it as"),
        ({"zone": "GMT+15:00"}, 400, "the zone is written"),
        ({"time": "", "zone": ""}, 400, "Time of day: "),
    ],
)
def test_a_refusal_keeps_what_was_typed(
    browser: Browser, new: Cluster, form: str, values: dict[str, str], status: int, told: str
) -> None:
    page = send(browser, new, form, **OPEN | {"base_path": "my/own"} | DAILY | values)
    assert page.status_code == status
    text = unescape(page.text)
    assert told in text
    for value in ({"base_path": "my/own"} | DAILY | values).values():
        assert f'value="{value}"' in text or f">{value}</option>" in text


def test_a_bucket_that_cannot_be_written_is_told(installation: Installation, browser: Browser, new: Cluster) -> None:
    installation.bucket.rmdir()
    installation.bucket.write_text("no folder")
    page = send(browser, new, "check", **OPEN, **DAILY)
    assert page.status_code == 412
    assert "Bucket: " in page.text
    assert operations(installation) == [("CheckSetting", 412)]


def test_the_place_is_changed_and_the_daily_backup_stays(
    installation: Installation, browser: Browser, cluster: Cluster
) -> None:
    log_settings.start_policy(installation.runtime, cluster, "01:15 GMT-09:30")
    page = send(browser, cluster, "change", **OPEN | {"form": "where", "base_path": "other"})
    assert "The place is changed." in page.text
    setting = log_settings.get_setting(installation.runtime, cluster)
    assert setting
    assert (setting.base_path, setting.period) == ("other", "01:15 GMT-09:30")


def test_the_daily_backup_is_turned_on_and_off(installation: Installation, browser: Browser, cluster: Cluster) -> None:
    page = send(browser, cluster, "daily", form="daily", time="23:45", zone="GMT-12:00")
    assert "23:45 GMT-12:00" in page.text
    page = browser.submit(page, f"{settings_of(cluster)}/daily-off")
    assert "The daily backup is off." in page.text
    assert forecasts.get_policy(installation.runtime, cluster).period is None
    assert operations(installation) == [("StopLogAutoBackupPolicy", 200), ("StartLogAutoBackupPolicy", 200)]


def test_extra_runs_are_turned_on_and_off(installation: Installation, browser: Browser, cluster: Cluster) -> None:
    page = browser.submit(browser.get(settings_of(cluster)), f"{settings_of(cluster)}/adaptive")
    assert "Extra runs are on." in page.text
    assert forecasts.get_policy(installation.runtime, cluster).adaptive
    browser.submit(page, f"{settings_of(cluster)}/adaptive")
    assert not forecasts.get_policy(installation.runtime, cluster).adaptive


def test_closing_keeps_objects_and_forgets_failures(
    installation: Installation, browser: Browser, cluster: Cluster, logs: Path
) -> None:
    (logs / "prod.log").write_bytes(LINE)
    installation.back_up(cluster)
    (logs / "prod.log").unlink()
    logs.rmdir()
    assert installation.back_up(cluster).status is JobStatus.FAIL
    page = browser.get(settings_of(cluster))
    assert re.search(r'close"[^>]*data-confirm="[^"]*failed backups are deleted', page.text)
    page = browser.submit(page, f"{settings_of(cluster)}/close")
    assert "Log backup is closed." in page.text
    assert "Open log backup again" in page.text
    assert [job.status for job in installation.jobs(cluster)] == [JobStatus.SUCCESS]
    assert len(installation.objects()) == 1


def test_what_is_closed_already_is_told(browser: Browser, new: Cluster) -> None:
    assert send(browser, new, "close").status_code == 409
    assert send(browser, new, "daily", time="00:00", zone="GMT+08:00").status_code == 409


# Times


@pytest.mark.parametrize("day", ["2027-03-27", "2027-10-30"])  # the day before clocks are changed in Europe
def test_the_next_five_runs_are_right_through_both_changes_of_clocks(
    installation: Installation, cluster: Cluster, day: str
) -> None:
    clock = FixedClock(int(datetime.fromisoformat(f"{day}T06:00:00+00:00").timestamp() * 1000))
    changed = replace(installation, runtime=replace(installation.runtime, clock=clock))
    log_settings.start_policy(changed.runtime, cluster, "02:30 GMT+01:00")
    with open_browser(changed) as browser:
        browser.sign_in(changed)
        page = browser.get(settings_of(cluster))
    table = page.text.partition('class="folded runs"')[2].partition("</table>")[0]
    assert re.findall(r"GMT\+01:00\">[-0-9]+ ([0-9:]+)<", table) == ["02:30"] * 5
    moments = [datetime.fromisoformat(one) for one in re.findall(r'datetime="([^"]+)"', table)]
    assert len(moments) == 5
    assert {(one.hour, one.minute, one.tzinfo) for one in moments} == {(1, 30, UTC)}
    assert "later on the clock in summer than in winter" in page.text


def test_every_offset_of_the_choice_is_one_of_the_wire() -> None:
    for minutes in OFFSETS:
        start = parse_period(f"09:05 {write_zone(minutes)}")
        assert (start.time_text, start.zone_text) == ("09:05", write_zone(minutes))
    assert (write_zone(OFFSETS[0]), write_zone(OFFSETS[-1])) == ("GMT-12:00", "GMT+14:00")


def test_a_zone_that_is_not_in_the_choice_stays(installation: Installation, browser: Browser, cluster: Cluster) -> None:
    log_settings.start_policy(installation.runtime, cluster, "7:05 GMT+0817")
    page = browser.get(settings_of(cluster))
    assert '<option value="GMT+08:17" selected>' in page.text
    assert 'value="07:05"' in page.text


# Backing up


def test_back_up_now_leads_to_the_task(installation: Installation, browser: Browser, cluster: Cluster) -> None:
    page = browser.get(settings_of(cluster))
    path = f"/console/clusters/{cluster.id}/backup"
    token = page.text.partition('name="token" value="')[2].partition('"')[0]
    answer = browser.post(path, {"token": token}, follow=False)
    [job] = installation.jobs(cluster)
    assert job.type is JobType.MANUAL
    assert answer.headers["location"] == f"/console/tasks/{job.job_id}?done=started"
    assert browser.post(path, {"token": token}).status_code == 409
    assert operations(installation) == [("StartBackup", 409), ("StartBackup", 200)]


# Nodes


def test_a_node_is_added_changed_and_removed(
    installation: Installation, browser: Browser, cluster: Cluster, tmp_path: Path
) -> None:
    for name in ("n2", "n3"):
        (tmp_path / name).mkdir()
    send(browser, cluster, "add-node", form="new-node", name="n2", source=f"file://{tmp_path}/n2", ip="10.0.0.2")
    page = browser.get(f"{settings_of(cluster)}?node=n2")
    page = browser.submit(page, f"{settings_of(cluster)}/change-node", source=f"file://{tmp_path}/n3")
    assert "The node is saved." in page.text
    found = clusters.get_cluster(installation.runtime, cluster.project_id, cluster.id)
    assert [(one.name, one.source[-2:], one.ip) for one in found.nodes] == [("n1", "n1", ""), ("n2", "n3", "10.0.0.2")]
    browser.submit(browser.get(f"{settings_of(cluster)}?node=n2"), f"{settings_of(cluster)}/remove-node")
    found = clusters.get_cluster(installation.runtime, cluster.project_id, cluster.id)
    assert [one.name for one in found.nodes] == ["n1"]
    assert {one for one, _ in operations(installation)} == {"UpdateCluster"}


@pytest.mark.parametrize(
    ("form", "values", "told"),
    [
        ("add-node", {"form": "new-node", "name": "n1", "source": "file:///x"}, "the cluster has a node of this name"),
        ("add-node", {"form": "new-node", "name": "n2", "source": "what'ever"}, "Log directory: "),
        ("change-node", {"form": "node", "name": "n1", "source": "what'ever"}, "Log directory: "),
        ("change-node", {"form": "node", "name": "gone", "source": "x"}, "has no such node any more"),
        ("remove-node", {"name": "n1"}, "1 to 1000 nodes; 0 would be left"),
        ("access", {"form": "access", "endpoint": "no where"}, "Where clients reach it: write it as HOST:PORT"),
        ("access", {"form": "access", "url": "http://a:b@c"}, "no user and no password may stand in it"),
        ("add-tag", {"form": "tag", "key": "_sys_x", "value": "v'1"}, "not to begin with '_sys_'"),
        ("remove-tag", {"key": "none"}, "tag"),
    ],
)
def test_a_refused_change_is_told_with_what_was_typed(
    browser: Browser, cluster: Cluster, form: str, values: dict[str, str], told: str
) -> None:
    page = send(browser, cluster, form, **values)
    assert page.status_code == 400
    text = unescape(page.text)
    assert told in text
    for name in ("source", "endpoint", "url", "value"):
        assert values.get("name") == "gone" or name not in values or f'value="{values[name]}"' in text


def test_a_node_is_added_by_a_plain_path(
    installation: Installation, browser: Browser, cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    send(browser, cluster, "add-node", form="new-node", name="n2", source=f"{tmp_path}/more")
    found = clusters.get_cluster(installation.runtime, cluster.project_id, cluster.id)
    assert [node.source for node in found.nodes if node.name == "n2"] == [f"file://{tmp_path.resolve()}/more"]


def test_the_nodes_are_checked(browser: Browser, cluster: Cluster, logs: Path) -> None:
    (logs / "prod.log").write_bytes(LINE)
    page = browser.submit(browser.get(settings_of(cluster)), f"{settings_of(cluster)}/check-nodes")
    assert "1 of 1 nodes can be read:" in page.text


def test_where_it_is_reached_is_changed(installation: Installation, browser: Browser, cluster: Cluster) -> None:
    page = browser.submit(browser.get(settings_of(cluster)), f"{settings_of(cluster)}/access", endpoint="10.0.0.5:9200")
    assert "addresses are saved" in page.text
    found = clusters.get_cluster(installation.runtime, cluster.project_id, cluster.id)
    assert (found.endpoint, found.discovery) == ("10.0.0.5:9200", None)


def test_many_nodes_come_by_pages(installation: Installation, browser: Browser, tmp_path: Path) -> None:
    nodes = [NewNode(f"node-{number:03}", f"file://{tmp_path}/{number}") for number in range(1000)]
    cluster = clusters.add_cluster(installation.runtime, installation.project.id, "large", nodes)
    page = browser.get(f"{settings_of(cluster)}?nodes=950")
    assert "951–1000 / 1,000" in page.text
    assert "node-999" in page.text
    assert "node-949" not in page.text
    assert len(page.text) < 150_000


# Tags, and the end


def test_a_tag_is_added_and_removed(installation: Installation, browser: Browser, cluster: Cluster) -> None:
    send(browser, cluster, "add-tag", form="tag", key="team", value="search")
    page = browser.get(settings_of(cluster))
    assert tags.list_tags(installation.runtime, [cluster.id])[cluster.id] == [Tag("team", "search")]
    browser.submit(page, f"{settings_of(cluster)}/remove-tag")
    assert not tags.list_tags(installation.runtime, [cluster.id])[cluster.id]


def test_a_cluster_is_removed_by_who_types_its_name(
    installation: Installation, browser: Browser, cluster: Cluster
) -> None:
    path = f"/console/clusters/{cluster.id}/remove"
    assert "nothing was removed" in browser.submit(browser.get(settings_of(cluster)), path, name="another").text
    page = browser.submit(browser.get(settings_of(cluster)), path, name=cluster.name)
    assert page.url.path == "/console/clusters"
    assert not clusters.list_clusters(installation.runtime, installation.project.id)[0]
    assert operations(installation) == [("RemoveCluster", 200), ("RemoveCluster", 400)]


def test_a_removal_that_the_bucket_does_not_know_of_is_told(
    installation: Installation, browser: Browser, cluster: Cluster, logs: Path
) -> None:
    (logs / "prod.log").write_bytes(LINE)
    installation.back_up(cluster)
    installation.bucket.rename(installation.bucket.with_name("away"))
    installation.bucket.write_text("no folder")
    page = send(browser, cluster, f"/console/clusters/{cluster.id}/remove", name=cluster.name)
    assert page.status_code == 200
    assert "Cluster removed" in page.text
    assert 'class="notice warn"' in page.text


def test_a_cluster_with_a_running_backup_stays(installation: Installation, browser: Browser, cluster: Cluster) -> None:
    backups.start_backup(installation.runtime, cluster)
    page = send(browser, cluster, f"/console/clusters/{cluster.id}/remove", name=cluster.name)
    assert page.status_code == 409
    assert clusters.list_clusters(installation.runtime, installation.project.id)[0]


def test_a_backup_beside_a_running_one_is_refused_with_a_link_to_that(
    installation: Installation, browser: Browser, cluster: Cluster
) -> None:
    running = backups.start_backup(installation.runtime, cluster)
    page = send(browser, cluster, f"/console/clusters/{cluster.id}/backup")
    assert page.status_code == 409
    assert "A log backup of this cluster is running" in page.text
    assert f'href="/console/tasks/{running.job_id}"' in page.text
    assert f'href="/console/clusters/{cluster.id}">To the cluster' in page.text


# Who may


def test_a_reader_sees_values_and_no_forms(
    installation: Installation, stranger: Browser, cluster: Cluster, logs: Path
) -> None:
    stranger.sign_in(installation, Role.READER)
    page = stranger.get(settings_of(cluster))
    assert "css/log" in page.text
    assert f'action="/console/clusters/{cluster.id}' not in page.text
    assert str(logs) not in page.text, "where logs are, is for administrators"
    for form in ("open", "change", "check", "close", "daily", "daily-off", "adaptive", "add-tag", "remove-tag"):
        assert send(stranger, cluster, form, **OPEN).status_code == 403
    assert send(stranger, cluster, f"/console/clusters/{cluster.id}/backup").status_code == 403


def test_an_operator_keeps_logs_but_neither_names_nodes_nor_removes(
    installation: Installation, stranger: Browser, cluster: Cluster, logs: Path
) -> None:
    stranger.sign_in(installation, Role.OPERATOR)
    page = stranger.get(f"{settings_of(cluster)}?node=n1")
    assert f"{settings_of(cluster)}/close" in page.text
    assert str(logs) not in page.text
    for form in ("add-node", "change-node", "remove-node", "access"):
        assert f"{settings_of(cluster)}/{form}" not in page.text
        assert send(stranger, cluster, form, name="n1").status_code == 403
    assert send(stranger, cluster, f"/console/clusters/{cluster.id}/remove", name="prod").status_code == 403


def test_a_cluster_of_another_project_does_not_exist(installation: Installation, cluster: Cluster) -> None:
    theirs, own = cluster, identity.add_project(installation.runtime, "own")
    with open_browser(installation) as browser:
        page = browser.sign_in(replace(installation, project=own))
        assert browser.get(settings_of(theirs)).status_code == 404
        token = page.text.partition('name="token" value="')[2].partition('"')[0]
        for form in ("settings/open", "settings/close", "settings/access", "remove", "backup"):
            answer = browser.post(f"/console/clusters/{theirs.id}/{form}", {"token": token, "name": theirs.name})
            assert answer.status_code == 404
    assert log_settings.get_setting(installation.runtime, theirs) is not None


def test_a_form_loaded_again_leads_back(browser: Browser, cluster: Cluster) -> None:
    for path in ("settings/open", "remove", "backup"):
        assert browser.get(f"/console/clusters/{cluster.id}/{path}").url.path == settings_of(cluster)


# Hostile names


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "a'b\"c&d", "`id` $(id)", "{{7*7}}", "长" * 60])
def test_a_hostile_name_is_text_in_the_page_and_in_each_call(
    installation: Installation, browser: Browser, logs: Path, name: str
) -> None:
    nodes = [NewNode(name, f"file://{logs}")]
    cluster = clusters.add_cluster(installation.runtime, installation.project.id, name, nodes)
    log_settings.open_backup(installation.runtime, cluster, SETTING)
    page = browser.get(settings_of(cluster))
    assert "<img src=x" not in page.text
    assert ">49<" not in page.text
    assert name in unescape(page.text)
    page = browser.get(httpx.URL(settings_of(cluster), params={"node": name}).raw_path.decode())
    page = browser.submit(page, f"{settings_of(cluster)}/change-node", ip="10.0.0.9")
    assert clusters.get_cluster(installation.runtime, cluster.project_id, cluster.id).nodes[0].ip == "10.0.0.9"
    page = browser.submit(page, f"/console/clusters/{cluster.id}/remove", name=name)
    assert page.url.path == "/console/clusters"


def test_a_hostile_path_stays_a_word_of_the_shell(installation: Installation, browser: Browser, new: Cluster) -> None:
    page = send(browser, new, "check", **OPEN | {"base_path": "a/$(id)`b`;&\u202e"}, **DAILY)
    text = unescape(page.text)
    assert "a/$(id)`b`;&\u202e" in text, "in the field, as it was typed"
    [curl] = [one for one in re.findall(r"<pre[^>]*><code>(.*?)</code>", page.text, re.S) if "logs/open" in one][:1]
    assert "'{" in unescape(curl)
    assert "\u202e" not in unescape(curl)


def test_a_cluster_is_removed_with_its_archive_where_it_is_named_twice(
    installation: Installation, browser: Browser, cluster: Cluster, logs: Path
) -> None:
    (logs / "prod.log").write_bytes(LINE)
    installation.back_up(cluster)
    where, typed = f"/console/clusters/{cluster.id}/remove", {"form": "remove", "archive": "delete", "name": "prod"}
    for again in ("", "other"):
        refused = send(browser, cluster, where, **typed, name_again=again)
        assert refused.status_code == 400
        assert "nothing was removed" in refused.text
    page = send(browser, cluster, where, **typed, name_again="prod")
    assert "its archive is being deleted" in page.text
    assert "The archive of <bdi>prod</bdi>, which was removed, is being deleted: 0 objects" in page.text
    assert operations(installation)[0] == ("RemoveCluster", 200)
