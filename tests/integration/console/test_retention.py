"""The page about retention: rules, what they would remove, removing it, protections, and what was removed."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import httpx
import pytest

from logkeep.clock import FixedClock
from logkeep.domain.access import Role
from logkeep.domain.cluster import Cluster
from logkeep.domain.retention import DAY_MS, RetentionRule
from logkeep.service import audit, protection, retention
from tests.support.console import Browser
from tests.support.installation import Installation

LINE = "[2026-11-{day:02d}T00:00:00,000][INFO ] a line of day {day}\n"


def page_of(cluster: Cluster) -> str:
    return f"/console/clusters/{cluster.id}/retention"


def text_of(page: httpx.Response) -> str:
    """The words of a page, with single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


def send(browser: Browser, cluster: Cluster, where: str, **values: str) -> httpx.Response:
    """Send a form to the page, with a token of it."""
    token = browser.get(page_of(cluster)).text.partition('name="token" value="')[2].partition('"')[0]
    return browser.post(f"{page_of(cluster)}/{where}", {"token": token} | values)


def back_up_days(installation: Installation, cluster: Cluster, logs: Path, days: int) -> list[str]:
    """Back up a file of its own each day, which is gone from the node the day after; return the ids of the jobs."""
    assert isinstance(installation.clock, FixedClock)
    jobs = list[str]()
    for day in range(1, days + 1):
        for old in logs.iterdir():
            old.unlink()
        (logs / "prod.log").write_text(LINE.format(day=day) * (10 + day))
        jobs.append(installation.back_up(cluster).job_id)
        installation.clock.advance(DAY_MS)
    return jobs


@pytest.fixture
def kept(installation: Installation, browser: Browser, cluster: Cluster, logs: Path) -> list[str]:
    """Backups of five days, by the ids of their jobs."""
    jobs = back_up_days(installation, cluster, logs, 5)
    browser.sign_in(installation)  # the session ended in these days
    return jobs


def operations(installation: Installation) -> list[tuple[str, int]]:
    entries, _ = audit.list_entries(installation.runtime)
    return [(one.operation, one.status) for one in entries if one.operation != "SignInToConsole"]


def test_without_a_rule_the_page_says_that_all_is_kept(browser: Browser, cluster: Cluster) -> None:
    told = text_of(browser.get(page_of(cluster)))
    assert "There is no rule: all is kept." in told
    assert "Nothing was removed." in told
    assert "nothing: there is no rule" in text_of(browser.get(f"/console/clusters/{cluster.id}"))


def test_a_rule_is_typed_previewed_saved_and_carried_out(
    installation: Installation, browser: Browser, cluster: Cluster, kept: list[str]
) -> None:
    before = len(installation.objects())
    preview = browser.get(f"{page_of(cluster)}/preview?rule=1&log=&days=3&size=&unit=GiB&jobs=")
    told = text_of(preview)
    assert "not saved" in told
    assert "out of every limit of the rule" in told
    assert "stored within the days of the rule" in told
    assert retention.list_rules(installation.runtime, cluster) == []
    assert f'action="{page_of(cluster)}/run"' not in preview.text  # what is not saved cannot be carried out

    saved = browser.submit(preview, f"{page_of(cluster)}/set")
    assert "The rule is saved. It removes nothing before you confirm it below." in text_of(saved)
    (state,) = retention.list_rules(installation.runtime, cluster)
    assert (state.rule, state.confirmed_at) == (RetentionRule(keep_days=3), None)
    assert len(installation.objects()) == before
    assert "1 rule waits to be confirmed" in text_of(browser.get(f"/console/clusters/{cluster.id}"))

    done = browser.submit(saved, f"{page_of(cluster)}/run")
    assert "It is removed." in text_of(done)
    assert "keep_days=3" in done.text
    assert len(installation.objects()) < before
    (state,) = retention.list_rules(installation.runtime, cluster)
    assert state.confirmed_at is not None
    assert "by 1 rule" in text_of(browser.get(f"/console/clusters/{cluster.id}"))
    assert operations(installation) == [("RunRetention", 200), ("SetRetention", 200)]


def test_a_run_of_rules_that_were_changed_since_the_preview_is_refused(
    installation: Installation, browser: Browser, cluster: Cluster, kept: list[str]
) -> None:
    retention.set_rules(installation.runtime, cluster, [RetentionRule(keep_days=30)], "me")
    preview = browser.get(f"{page_of(cluster)}/preview")
    retention.set_rules(installation.runtime, cluster, [RetentionRule(keep_days=1)], "somebody")
    before = installation.objects()
    refused = browser.submit(preview, f"{page_of(cluster)}/run")
    assert refused.status_code == 409
    assert "The rules were changed since this page was loaded" in text_of(refused)
    assert installation.objects() == before


def test_a_rule_that_cannot_be_is_refused_and_stays_typed(browser: Browser, cluster: Cluster) -> None:
    for typed, told in (
        ("days=x", "Days: a whole number is allowed"),
        ("size=-1&unit=GiB", "Size in the bucket: a number is allowed"),
        ("size=nan&unit=GiB", "Size in the bucket: a number is allowed"),
        ("size=1&unit=PB", "Size in the bucket: a number is allowed"),
        ("days=", "Rule: give at least one limit"),
        ("days=1&forever=on", "Rule: a log that is kept for ever has no limits"),
        ("forever=on", "Rule: a rule of the cluster has at least one limit"),
        ("days=9999999", "Days: from 0 to 36500 is allowed"),
    ):
        page = browser.get(f"{page_of(cluster)}/preview?rule=1&log=&{typed}")
        assert page.status_code == 400
        assert told in text_of(page)
        name, _, value = typed.partition("&")[0].partition("=")
        assert name == "forever" or re.search(rf'name="{name}"[^>]*value="{value}"', page.text)


def test_one_log_is_kept_for_ever_and_its_rule_taken_away(
    installation: Installation, browser: Browser, cluster: Cluster
) -> None:
    retention.set_rules(installation.runtime, cluster, [RetentionRule(keep_days=3)], "me")
    preview = browser.get(f"{page_of(cluster)}/preview?rule=1&log=gc.log&forever=on")
    browser.submit(preview, f"{page_of(cluster)}/set")
    rules = [one.rule for one in retention.list_rules(installation.runtime, cluster)]
    assert rules == [RetentionRule(keep_days=3), RetentionRule("gc.log")]
    page = send(browser, cluster, "remove-rule", log="gc.log")
    assert "The rule is taken away." in text_of(page)
    assert [one.rule for one in retention.list_rules(installation.runtime, cluster)] == [RetentionRule(keep_days=3)]


def test_objects_are_paged_and_told_with_their_reasons(
    installation: Installation, browser: Browser, cluster: Cluster, kept: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logkeep.console.retention._EACH_PAGE", 2)
    tried = f"{page_of(cluster)}/preview?rule=1&log=&days=1&size=&unit=GiB&jobs="
    first, second = browser.get(tried), browser.get(f"{tried}&from=2")
    named = re.compile(r"<code class=\"anywhere\">([^<]+\.zst)</code>")
    assert len(named.findall(first.text)) == 2
    assert not set(named.findall(first.text)) & set(named.findall(second.text))
    left = browser.get(f"{tried}&show=left")
    assert "the newest of its log" in text_of(left) or "the node still has the file" in text_of(left)


def test_a_task_is_protected_from_its_own_page_and_the_preview_says_so(
    installation: Installation, browser: Browser, cluster: Cluster, kept: list[str]
) -> None:
    task = browser.get(f"/console/tasks/{kept[0]}")
    link = re.search(r'href="([^"]+#protect)"', task.text)
    assert link
    page = browser.get(link[1].partition("#")[0])
    done = browser.submit(page, f"{page_of(cluster)}/protect", why="ticket <4711>", expires="2100-01-01")
    assert "The protection is made." in text_of(done)
    assert "ticket <4711>" in text_of(done)
    (one,) = protection.list_protections(installation.runtime, cluster)
    assert (one.job_id, one.expires_at) == (kept[0], 4_102_444_800_000)
    preview = browser.get(f"{page_of(cluster)}/preview?rule=1&log=&days=1&show=left")
    assert "protected" in text_of(preview)
    ended = browser.submit(done, f"{page_of(cluster)}/unprotect")
    assert "The protection is ended." in text_of(ended)
    assert operations(installation) == [("RemoveProtection", 200), ("AddProtection", 200)]


def test_a_protection_that_cannot_be_is_refused(browser: Browser, cluster: Cluster) -> None:
    span = {"since": "2026-11-24", "until": "2026-11-25"}
    for values, told in (
        ({}, "Since: is missing; give a job, or both ends"),
        (span | {"until": "2026-11-23"}, "Until: lies before the begin"),
        ({"job": "0" * 32}, "Task: the cluster has no such job"),
        (span | {"why": ""}, "Why: 1 to 1000 characters"),
        (span | {"expires": "soon"}, "It ends: write it as"),
        (span | {"expires": "1999-01-01"}, "It ends: lies in the past"),
    ):
        page = send(browser, cluster, "protect", **({"form": "protect", "why": "x"} | values))
        assert page.status_code == 400
        assert told in text_of(page)


def test_a_reader_sees_and_an_operator_protects_and_neither_removes(
    installation: Installation, browser: Browser, cluster: Cluster, kept: list[str]
) -> None:
    retention.set_rules(installation.runtime, cluster, [RetentionRule(keep_days=1)], "me")
    before = installation.objects()
    for role in (Role.READER, Role.OPERATOR):
        other = browser.open_another()
        other.sign_in(installation, role)
        page = other.get(page_of(cluster))
        assert ("/retention/protect" in page.text) is (role is Role.OPERATOR)
        for form in ("/retention/remove-rule", "/retention/run", 'id="rule"'):
            assert form not in page.text + other.get(f"{page_of(cluster)}/preview").text
        for where in ("run", "set", "remove-rule", "unprotect"):
            token = other.get("/console/tasks").text.partition('name="token" value="')[2].partition('"')[0]
            assert other.post(f"{page_of(cluster)}/{where}", {"token": token}).status_code == 403
        other.close()
    assert installation.objects() == before


def test_the_page_speaks_chinese(browser: Browser, cluster: Cluster) -> None:
    page = browser.get(page_of(cluster), accept_language="zh")
    assert "没有规则：全部保留。" in text_of(page)
