"""Stores, the audit, workers and what runs here, as people of each role see them."""

from __future__ import annotations

import csv
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.domain.access import AuditEntry, Role
from logkeep.domain.worker import DEAD_AFTER_MS, Worker
from logkeep.service import audit, identity, workers
from tests.support.console import Browser, open_browser
from tests.support.installation import Installation

MINUTE_MS = 60_000
HOSTILE = '=cmd|"/c calc"!A1<img src=x>\u202e'


def entry(installation: Installation, **changes: object) -> AuditEntry:
    made = AuditEntry(
        at=installation.clock.now_ms(),
        who="ada",
        project_id=installation.project.id,
        operation="StartLogs",
        cluster_id="",
        address="10.1.2.3",
        status=200,
        code="",
        request_id="f" * 32,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def record(installation: Installation, **changes: object) -> None:
    audit.record(installation.runtime, entry(installation, **changes))


@contextmanager
def signed_in(installation: Installation, role: Role) -> Generator[Browser]:
    with open_browser(installation) as one:
        one.sign_in(installation, role)
        yield one


@pytest.mark.parametrize("role", list(Role))
def test_everybody_sees_the_names_of_buckets_and_administrators_where_they_lie(
    installation: Installation, role: Role
) -> None:
    with signed_in(installation, role) as browser:
        page = browser.get("/console/stores").text
        assert "logs" in page
        assert (str(installation.bucket) in page) == (role is Role.ADMIN)
        assert ("/console/stores/check" in page) == (role is Role.ADMIN)


def test_a_bucket_is_checked_and_what_is_wrong_is_told(installation: Installation, browser: Browser) -> None:
    page = browser.get("/console/stores")
    assert "can be used" in browser.submit(page, "/console/stores/check").text
    installation.bucket.rename(installation.bucket.with_name("away"))
    answer = browser.submit(page, "/console/stores/check")
    assert "cannot be used now" in answer.text
    answer = browser.submit(page, "/console/stores/check", name="<b>nobody's</b>")
    assert "there is no bucket" in answer.text
    assert "<b>nobody" not in answer.text
    entries, _ = audit.list_entries(installation.runtime)
    assert entries[0].operation == "CheckBucket"


def test_clusters_of_other_projects_are_not_counted(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    installation.add_cluster(n1=tmp_path / "n1")
    with signed_in(installation, Role.ADMIN) as browser:
        assert 'data-label="Clusters of this project">1<' in browser.get("/console/stores").text
    installation.project = identity.add_project(installation.runtime, "theirs")
    with signed_in(installation, Role.ADMIN) as browser:
        assert 'data-label="Clusters of this project">0<' in browser.get("/console/stores").text


@pytest.mark.parametrize("role", [Role.READER, Role.OPERATOR])
def test_nobody_but_an_administrator_checks_buckets_or_reads_the_audit(
    installation: Installation, stranger: Browser, role: Role
) -> None:
    first = stranger.sign_in(installation, role)
    token = first.text.partition('name="token" value="')[2].partition('"')[0]
    for path in ("/console/audit", "/console/audit/export"):
        assert stranger.get(path).status_code == 403
    answer = stranger.post("/console/stores/check", {"token": token, "name": "logs"})
    assert answer.status_code == 403


def test_the_audit_tells_what_was_changed_newest_first(installation: Installation, browser: Browser) -> None:
    for operation in ("AddCluster", "StartLogs"):
        installation.clock.advance(1000)
        record(installation, operation=operation)
    record(installation, operation="StopLogs", status=403, code="CSS.0015", who=HOSTILE)
    page = browser.get("/console/audit").text
    assert page.index("StopLogs") < page.index("StartLogs") < page.index("AddCluster")
    assert "403 CSS.0015" in page
    assert "<img src=x>" not in page
    assert "\u202e" not in page


def test_the_audit_of_another_project_is_never_shown(installation: Installation, browser: Browser) -> None:
    other = identity.add_project(installation.runtime, "theirs")
    record(installation, project_id=other.id, operation="TheirSecretDeed")
    record(installation, project_id="", operation="NobodysDeed")
    for path in ("/console/audit", f"/console/audit?project={other.id}&project_id={other.id}", "/console/audit/export"):
        page = browser.get(path).text
        assert "SignInToConsole" in page
        assert "TheirSecretDeed" not in page
        assert "NobodysDeed" not in page


def test_the_audit_is_read_page_by_page_while_new_entries_come(installation: Installation, browser: Browser) -> None:
    for number in range(120):
        record(installation, operation=f"Deed{number:03}")  # all of one moment
    page = browser.get("/console/audit")
    seen: list[str] = []
    for _ in range(3):
        seen += [part[:7] for part in page.text.split('<th scope="row" data-label="What">')[1:] if part[:4] == "Deed"]
        record(installation, operation="Newer")
        link = page.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        page = browser.get(link or "/console/audit")
    assert seen == [f"Deed{number:03}" for number in reversed(range(120))]


def test_the_audit_since_a_time(installation: Installation, browser: Browser) -> None:
    record(installation, operation="Earlier")
    installation.clock.advance(MINUTE_MS)
    record(installation, operation="Later")  # at 2096-10-02T07:07:40Z
    page = browser.get("/console/audit?since=2096-10-02T07:07").text
    assert "Later" in page
    assert "Earlier" not in page
    assert "Earlier" in browser.get("/console/audit?since=2096-10-02T07:07%2B08:00").text
    refused = browser.get("/console/audit?since=yesterday")
    assert refused.status_code == 400
    assert "write it as 2026-11-24" in refused.text
    assert 'value="yesterday"' in refused.text


def test_the_audit_as_csv_computes_nothing(installation: Installation, browser: Browser) -> None:
    for _ in range(1200):
        record(installation)
    record(installation, who=HOSTILE, operation="Last")
    answer = browser.get("/console/audit/export")
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="audit.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert len(rows) == 1202
    assert (rows[0]["operation"], rows[0]["who"]) == ("Last", f"'{HOSTILE}")


def beat(installation: Installation, name: str, **changes: object) -> None:
    made = Worker(name, f"host-of-{name}", 4711, "1.2.3", "2", "0018", jobs_at_once=4, started_at=0)
    workers.beat(installation.runtime, replace(made, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("role", list(Role))
def test_workers_are_told_and_their_hosts_to_administrators(installation: Installation, role: Role) -> None:
    beat(installation, "w1")
    beat(installation, "w2", jobs_at_once=0)
    with signed_in(installation, role) as browser:
        page = browser.get("/console/workers").text
        assert "All are alive." in page
        assert "none: it only answers" in page
        assert ("host-of-w1" in page) == (role is Role.ADMIN)
        assert ("4711" in page) == (role is Role.ADMIN)


def test_a_worker_that_is_silent_is_told(
    installation: Installation, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(installation, "w1")
    assert DEAD_AFTER_MS > 0
    monkeypatch.setattr("logkeep.domain.worker.DEAD_AFTER_MS", -1)
    page = browser.get("/console/workers").text
    assert "1 of 1 do not answer" in page


def test_a_poll_without_news_is_answered_without_a_page(installation: Installation, browser: Browser) -> None:
    beat(installation, "w1")
    first = browser.get("/console/workers/rows")
    assert first.status_code == 200
    assert browser.get("/console/workers/rows", if_none_match=first.headers["etag"]).status_code == 304
    beat(installation, "w2")
    assert browser.get("/console/workers/rows", if_none_match=first.headers["etag"]).status_code == 200


def test_what_runs_here_and_under_which_licences(installation: Installation) -> None:
    with signed_in(installation, Role.READER) as browser:
        page = browser.get("/console/about").text
        assert "/openapi.json" in page
        assert "Apache-2.0" in page
        assert "htmx 4.0.1" in page
        assert "uPlot" in page
        assert "metrics" not in page
