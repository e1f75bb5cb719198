"""Notices in the console: what was told and whether it arrived; webhooks, added, tried and removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.console.notices import EVENTS
from logkeep.domain.access import Role
from logkeep.domain.cluster import Cluster
from logkeep.domain.notice import Event
from logkeep.domain.notice_target import NewTarget
from logkeep.service import audit, identity, notice_targets, notices
from tests.support.console import Browser, open_browser
from tests.support.installation import Installation, open_installation
from tests.support.notices import deliver, is_signed
from tests.support.receivers import Receiver, receiving, respond

PAGE, MINUTE = "/console/notices", 60_000
TOML = """\
[buckets.logs]
[notices]
allow = ["127.0.0.0/8"]
[[notify]]
name = "operator"
url = "http://127.0.0.1:9/a-secret-place"
"""


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """One whose tenants may reach this machine, and with a target of its operator."""
    with open_installation(tmp_path / "installation", toml=TOML) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def add(installation: Installation, receiver: Receiver) -> str:
    """Add a webhook named hook; its secret."""
    new = NewTarget(name="hook", url=receiver.url)
    return notice_targets.add_target(installation.runtime, installation.project.id, new)[1]


def answer_with(receiver: Receiver, status: int, body: bytes = b"") -> None:
    receiver.answer = lambda handler: respond(handler, status, body)


@pytest.fixture
def failed(installation: Installation, tmp_path: Path) -> Cluster:
    """A cluster whose backup failed, as its node was away."""
    cluster = installation.add_cluster(node=tmp_path / "away")
    installation.back_up(cluster)
    return cluster


def test_a_webhook_is_added_and_its_secret_is_shown_once(
    installation: Installation, browser: Browser, receiver: Receiver
) -> None:
    page = browser.get(PAGE)
    assert "Nothing was told yet." in page.text
    given = {"name": "hook", "url": receiver.url, "clusters": "prod-*, search", "quiet": "22:00-07:00", "zone": "UTC"}
    made = browser.submit(page, f"{PAGE}/add-target", **given, event="backup_failed")
    assert "The secret is not shown again; keep it now." in made.text
    assert "whsec_" in made.text
    secret = "whsec_" + made.text.partition("<code>whsec_")[2].partition("<")[0]
    again = browser.get(PAGE).text
    assert "whsec_" not in again
    assert "t0ken-in-path" not in again
    assert "prod-*, search" in again
    assert "not 22:00-07:00 UTC" in again
    (target,) = [
        one for one in notice_targets.list_targets(installation.runtime, installation.project.id) if not one.configured
    ]
    assert (target.clusters, target.events) == (("prod-*", "search"), (Event.BACKUP_FAILED,))
    tried = browser.submit(made, f"{PAGE}/test-target")
    assert "<bdi>hook</bdi> has taken a notice." in tried.text
    (received,) = receiver.received
    assert (received.json["type"], is_signed(received, secret)) == ("test", True)
    entries, _ = audit.list_entries(installation.runtime, project_id=installation.project.id)
    assert [(one.operation, one.status) for one in entries[:2]] == [("TestNoticeTarget", 200), ("AddNoticeTarget", 200)]


def test_a_form_that_is_sent_again_adds_no_second_one(browser: Browser, receiver: Receiver) -> None:
    page = browser.get(PAGE)
    browser.submit(page, f"{PAGE}/add-target", name="hook", url=receiver.url)
    again = browser.submit(page, f"{PAGE}/add-target", name="other", url=receiver.url)
    assert again.status_code == 409
    assert "no second target was added" in again.text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "nonsense"}, "URL of the receiver: write it as https://host/path"),
        ({"url": "https://user:secret-word@example.com/"}, "URL of the receiver: leave out user and password"),
        ({"name": "a/b"}, "Name: 1 to 64 letters"),
        ({"name": "operator"}, "operator is a target of logkeep.toml; choose another name"),
        ({"quiet": "at night"}, "Quiet hours: write it as 22:00-07:00"),
        ({"zone": "Nowhere/Land"}, "Zone: is no zone"),
        ({"secret": "a weak secret"}, "Secret: write whsec_"),
        ({"event": "nonsense"}, "Events: are of: backup_failed"),
    ],
)
def test_what_is_refused_is_told_and_what_was_typed_stays(browser: Browser, given: dict[str, str], told: str) -> None:
    form = {"name": "hook", "url": "https://example.com/a-token", "clusters": "prod-*", **given}
    answer = browser.submit(browser.get(PAGE), f"{PAGE}/add-target", **form)
    assert 400 <= answer.status_code < 500
    assert told in answer.text.replace("&#39;", "'")
    assert 'value="prod-*"' in answer.text
    for secret in ("a-token", "secret-word", "a weak secret"):
        assert secret not in answer.text


def test_a_failure_stands_with_its_remedy_and_where_it_was_sent(
    installation: Installation, browser: Browser, receiver: Receiver, failed: Cluster
) -> None:
    secret = add(installation, receiver)
    notices.look(installation.runtime)
    answer_with(receiver, 500, b"<b>no disk</b>")
    deliver(installation.runtime)
    page = browser.get(PAGE).text
    assert "a backup failed" in page
    assert f'href="/console/clusters/{failed.id}"' in page
    assert "Do this:" in page
    assert f'href="/console/clusters/{failed.id}/tasks?state=failed"' in page
    assert "1 attempt:" in page
    assert "500 Internal Server Error" in page
    assert "<b>no disk</b>" not in page
    assert "waiting" in page
    answer_with(receiver, 204)
    installation.clock.advance(MINUTE)
    deliver(installation.runtime)
    assert "delivered" in browser.get(PAGE).text
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert is_signed(second, secret)


def test_the_notices_of_one_cluster_are_a_page_of_their_own(
    installation: Installation, browser: Browser, failed: Cluster
) -> None:
    notices.look(installation.runtime)
    assert "a backup failed" in browser.get(f"{PAGE}?cluster={failed.id}").text
    other = browser.get(f"{PAGE}?cluster=00000000-0000-4000-8000-000000000000").text
    assert "Nothing was told yet." in other
    assert "Show all" in other
    assert f'href="{PAGE}?cluster={failed.id}"' in browser.get(f"/console/clusters/{failed.id}").text


def test_what_cannot_be_delivered_stands_on_top_of_the_clusters(
    installation: Installation, browser: Browser, receiver: Receiver, failed: Cluster
) -> None:
    add(installation, receiver)
    notices.look(installation.runtime)
    answer_with(receiver, 503)
    deliver(installation.runtime)
    told = "Notices to <bdi>hook</bdi> cannot be delivered"
    assert told not in browser.get("/console/clusters").text
    installation.clock.advance(20 * MINUTE)
    page = browser.get("/console/clusters").text
    assert told in page
    assert "503 Service Unavailable" in page
    assert f'<a href="{PAGE}">Notices</a>' in page
    answer_with(receiver, 204)
    deliver(installation.runtime)
    assert told not in browser.get("/console/clusters").text


def test_a_test_shows_what_came_back(installation: Installation, browser: Browser, receiver: Receiver) -> None:
    add(installation, receiver)
    answer_with(receiver, 404)
    tried = browser.submit(browser.get(PAGE), f"{PAGE}/test-target", name="hook")
    assert "The notice to <bdi>hook</bdi> did not arrive." in tried.text
    assert "404 Not Found" in tried.text


def test_a_target_is_removed(installation: Installation, browser: Browser, receiver: Receiver) -> None:
    add(installation, receiver)
    page = browser.submit(browser.get(PAGE), f"{PAGE}/remove-target", name="hook")
    assert "The target is removed" in page.text
    assert "<bdi" in page.text
    assert ">hook<" not in page.text
    gone = browser.submit(page, f"{PAGE}/add-target", name="hook", url=receiver.url)
    assert gone.status_code == 200
    assert browser.post(f"{PAGE}/remove-target", {"name": "hook", "token": "none"}).status_code == 403


def test_targets_of_the_operator_are_shown_by_name_alone(installation: Installation, browser: Browser) -> None:
    page = browser.get(PAGE)
    assert ">operator<" in page.text
    assert "a-secret-place" not in page.text
    assert "127.0.0.1:9" not in page.text
    assert "/test-target" not in page.text
    answer = browser.post(f"{PAGE}/test-target", {"name": "operator", "token": _token(page.text)})
    assert answer.status_code == 400
    assert "There is no target of notices of this name" in answer.text


def _token(page: str) -> str:
    return page.partition(f'action="{PAGE}/add-target"')[2].partition('name="token" value="')[2].partition('"')[0]


def test_nobody_sees_or_changes_what_is_of_another_project(
    installation: Installation, receiver: Receiver, failed: Cluster
) -> None:
    add(installation, receiver)
    notices.look(installation.runtime)
    other = replace(installation, project=identity.add_project(installation.runtime, "theirs"))
    with open_browser(other) as theirs:
        theirs.sign_in(other)
        page = theirs.get(PAGE)
        assert ">hook<" not in page.text
        assert failed.id not in theirs.get(f"{PAGE}?cluster={failed.id}").text.replace(f"cluster={failed.id}", "")
        for form in ("test-target", "remove-target"):
            assert theirs.post(f"{PAGE}/{form}", {"name": "hook", "token": _token(page.text)}).status_code == 400
    assert len(notice_targets.list_targets(installation.runtime, installation.project.id)) == 2
    assert receiver.received == []


@pytest.mark.parametrize("role", [Role.READER, Role.OPERATOR])
def test_only_administrators_change_targets(installation: Installation, receiver: Receiver, role: Role) -> None:
    add(installation, receiver)
    with open_browser(installation) as browser:
        page = browser.sign_in(installation, role)
        shown = browser.get(PAGE).text
        assert ">hook<" in shown
        assert "add-target" not in shown
        token = page.text.partition('name="token" value="')[2].partition('"')[0]
        for form in ("add-target", "test-target", "remove-target"):
            given = {"name": "hook", "url": receiver.url, "token": token}
            assert browser.post(f"{PAGE}/{form}", given).status_code == 403
    assert receiver.received == []


def test_every_event_has_a_text() -> None:
    assert EVENTS.keys() == set(Event)
