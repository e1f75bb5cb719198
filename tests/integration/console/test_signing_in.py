"""Signing in to the console, and what keeps others out of a session."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from logkeep.domain.access import Caller, Role, SignedIn, SignIn
from logkeep.domain.cluster import Cluster
from logkeep.errors import LinkSpent, RequestError, WrongPassword
from logkeep.service import audit, console_sessions, identity, users
from logkeep.service.runtime import Runtime
from tests.support.console import RULES, Browser, open_browser
from tests.support.installation import Installation, open_installation

PASSWORD = "a long password of words"


def test_who_is_not_signed_in_is_asked_to_and_comes_back(installation: Installation, stranger: Browser) -> None:
    users.add_user(installation.runtime, installation.project, "ada", PASSWORD, Role.READER)
    page = stranger.get("/console/clusters?offset=0")
    assert "Sign in" in page.text
    page = stranger.submit(page, "/console/sign-in", user="ada", password=PASSWORD)
    assert page.url.path == "/console/clusters"
    assert "ada" in page.text


def test_a_wrong_password_is_told_and_locks_after_five(installation: Installation, stranger: Browser) -> None:
    users.add_user(installation.runtime, installation.project, "ada", PASSWORD, Role.READER)
    page = stranger.get("/console/sign-in")
    for _ in range(5):
        page = stranger.submit(page, "/console/sign-in", user="ada", password="wrong")
        assert page.status_code == 401
        assert "The username or password is wrong." in page.text
    page = stranger.submit(page, "/console/sign-in", user="ada", password=PASSWORD)
    assert "try again in 5 minutes" in page.text


def test_after_signing_in_no_other_site_is_gone_to(installation: Installation, stranger: Browser) -> None:
    key = identity.add_key(installation.runtime, installation.project)
    for wanted in (
        "https://evil.test/",
        "//evil.test/",
        "/console/%5C%5Cevil.test",
        "/v1.0/x",
        "/console/..//evil.test",
    ):
        page = stranger.get(f"/console/sign-in?with=key&next={wanted}")
        answer = stranger.submit(page, "/console/sign-in", ak=key.key.ak, sk=key.sk)
        assert answer.url.host == "127.0.0.1"
        assert answer.url.path == "/console/clusters"
        stranger.submit(answer, "/console/sign-out")


def test_a_link_signs_in_once_and_only_by_its_button(installation: Installation, stranger: Browser) -> None:
    key = identity.add_key(installation.runtime, installation.project, role=Role.READER)
    link = console_sessions.make_link(installation.runtime, Caller(key.key.ak, installation.project.id, Role.READER))
    path = f"/console/link/{link.secret}"
    for _ in range(3):  # as programs do that show previews
        page = stranger.get(path)
        assert "reader" in page.text
    assert "Clusters" in stranger.submit(page, "/console/link/").text
    assert stranger.get(path).status_code == 401
    assert "was used or has expired" in stranger.get(path).text


def test_no_link_leads_to_a_console_that_is_turned_off(tmp_path: Path) -> None:
    with open_installation(tmp_path, toml="[buckets.logs]\n[console]\nenabled = false\n") as installation:
        key = identity.add_key(installation.runtime, installation.project)
        with pytest.raises(RequestError, match=r"console\.enabled"):
            console_sessions.make_link(installation.runtime, Caller(key.key.ak, installation.project.id, Role.OPERATOR))


def test_a_link_expires_after_five_minutes(installation: Installation) -> None:
    key = identity.add_key(installation.runtime, installation.project)
    link = console_sessions.make_link(installation.runtime, Caller(key.key.ak, installation.project.id, Role.OPERATOR))
    installation.clock.advance(console_sessions.LINK_MS)
    with pytest.raises(LinkSpent):
        console_sessions.spend_link(installation.runtime, link.secret)


def test_a_session_ends_with_its_key(installation: Installation, stranger: Browser) -> None:
    stranger.sign_in(installation)
    for key in identity.list_keys(installation.runtime):
        identity.revoke_key(installation.runtime, key.ak)
    assert stranger.get("/console/clusters").url.path == "/console/sign-in"


def test_a_session_ends_with_a_new_password(installation: Installation, stranger: Browser) -> None:
    users.add_user(installation.runtime, installation.project, "ada", PASSWORD, Role.READER)
    page = stranger.submit(stranger.get("/console/sign-in"), "/console/sign-in", user="ada", password=PASSWORD)
    assert page.url.path == "/console/clusters"
    users.change_password(installation.runtime, "ada", "another long password")
    assert stranger.get("/console/clusters").url.path == "/console/sign-in"


@pytest.mark.parametrize("end", [users.revoke_user, lambda *of: users.change_password(*of, "another long password")])
def test_a_password_that_is_changed_while_it_is_checked_begins_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, end: Callable[..., str]
) -> None:
    runtime, checking = installation.runtime, users.check_password
    for number, sign_in in enumerate((console_sessions.sign_in_user, _get_token)):
        name = users.add_user(runtime, installation.project, f"ada{number}", PASSWORD, Role.READER).name

        def check(*given: str, name: str = name) -> bool:
            end(runtime, name)
            return checking(*given)

        monkeypatch.setattr(users, "check_password", check)
        with pytest.raises(WrongPassword):
            sign_in(runtime, name, PASSWORD, "10.0.0.1")


def _get_token(runtime: Runtime, name: str, password: str, address: str) -> SignedIn:
    return users.sign_in(runtime, SignIn(name, password), address)


def test_a_session_ends_when_nobody_uses_it_whatever_the_script_asks(
    installation: Installation, browser: Browser
) -> None:
    installation.clock.advance(RULES.idle_ms - 1000)
    assert browser.get("/console/clusters").url.path == "/console/clusters"
    installation.clock.advance(RULES.idle_ms + 1000)
    assert browser.get("/console/clusters").url.path == "/console/sign-in"


def test_a_database_that_takes_nothing_keeps_nobody_from_reading(
    installation: Installation, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logkeep.console.app._NOTE_SECONDS", 0.05)
    installation.clock.advance(RULES.idle_ms // 2)
    with closing(sqlite3.connect(installation.folder / "logkeep.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert browser.get("/console/clusters", follow=False).status_code == 200
        other.execute("ROLLBACK")


def test_what_began_by_a_clock_that_was_ahead_is_over_when_it_is_right(
    installation: Installation, stranger: Browser
) -> None:
    stranger.sign_in(installation)
    key = identity.add_key(installation.runtime, installation.project)
    link = console_sessions.make_link(installation.runtime, Caller(key.key.ak, installation.project.id, Role.OPERATOR))
    installation.clock.advance(-365 * 86_400_000)
    assert stranger.get("/console/clusters").url.path == "/console/sign-in"
    with pytest.raises(LinkSpent):
        console_sessions.spend_link(installation.runtime, link.secret)


def test_who_sends_a_form_after_the_session_ended_is_told_and_comes_back_to_it(
    installation: Installation, browser: Browser, cluster: Cluster
) -> None:
    users.add_user(installation.runtime, installation.project, "ada", PASSWORD, Role.ADMIN)
    settings = browser.get(f"/console/clusters/{cluster.id}/settings")
    installation.clock.advance(RULES.idle_ms + 1000)
    page = browser.submit(settings, f"{settings.url.path}/daily", time="01:00", zone="GMT+00:00")
    assert "Your session ended; nothing was saved." in page.text
    page = browser.submit(page, "/console/sign-in", user="ada", password=PASSWORD)
    assert page.url.path == settings.url.path
    installation.clock.advance(2 * RULES.idle_ms)
    answer = browser.post("/console/access/add-key", {"role": "reader"}, follow=False, hx_request="true")
    assert answer.headers["hx-redirect"] == "/console/sign-in?ended=1&next=%2Fconsole%2Faccess"


def test_a_form_that_is_no_longer_valid_leads_back_to_its_page(browser: Browser) -> None:
    answer = browser.post("/console/clusters/new/check", {"token": "x.y", "name": "prod"})
    assert answer.status_code == 403
    assert 'href="/console/clusters/new/check">Back to the form' in answer.text
    assert browser.get("/console/clusters/new/check").url.path == "/console/clusters/new"


def test_no_form_is_taken_without_its_token(installation: Installation, browser: Browser) -> None:
    for token in ("", "x.y", "0" * 16 + "." + "0" * 64):
        answer = browser.post("/console/sign-out", {"token": token})
        assert answer.status_code == 403
    assert browser.get("/console/clusters").url.path == "/console/clusters"


def test_a_token_of_another_session_is_refused(installation: Installation, browser: Browser) -> None:
    with open_browser(installation) as other:
        page = other.sign_in(installation)
        token = page.text.partition('name="token" value="')[2].partition('"')[0]
    assert browser.post("/console/sign-out", {"token": token}).status_code == 403


def test_a_form_from_another_site_is_refused(browser: Browser) -> None:
    page = browser.get("/console/clusters")
    token = page.text.partition('name="token" value="')[2].partition('"')[0]
    answer = browser.post("/console/sign-out", {"token": token}, sec_fetch_site="cross-site")
    assert answer.status_code == 403


def test_a_session_is_new_after_signing_in(installation: Installation, stranger: Browser) -> None:
    name = f"logkeep_{RULES.installation_id[:12]}"
    stranger.http.cookies.set(name, "a" * 64, path="/console")
    stranger.sign_in(installation)
    values = [cookie.value for cookie in stranger.http.cookies.jar if cookie.name == name]
    assert "a" * 64 not in values[-1:]
    assert len(values[-1] or "") == 64


@pytest.mark.parametrize("other", ['a={"x":1}', "a=b c", "Secure", "@x=1", 'a="', "=", "a=" + "b" * 9000])
def test_cookies_of_another_port_end_no_session(browser: Browser, other: str) -> None:
    own = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.http.cookies.jar)
    browser.http.cookies.clear()
    for both in (f"{other}; {own}", f"{own}; {other}"):
        assert browser.get("/console/clusters", follow=False, cookie=both).status_code == 200


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test", "", "a@127.0.0.1"])
def test_a_name_of_somebody_else_is_refused(stranger: Browser, host: str) -> None:
    assert stranger.get("/console/sign-in", host=host).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8475", "[::1]:8475", "10.1.2.3:80"])
def test_an_address_and_localhost_are_known(stranger: Browser, host: str) -> None:
    assert stranger.get("/console/sign-in", host=host).status_code == 200


def test_signing_in_is_in_the_audit(installation: Installation, stranger: Browser) -> None:
    stranger.sign_in(installation)
    entries, _ = audit.list_entries(installation.runtime)
    assert [entry.operation for entry in entries] == ["SignInToConsole"]
    assert entries[0].status == 200


def test_a_wrong_secret_or_password_is_in_the_audit_of_whose_it_is(
    installation: Installation, stranger: Browser, browser: Browser
) -> None:
    users.add_user(installation.runtime, installation.project, "ada", PASSWORD, Role.READER)
    ak = identity.add_key(installation.runtime, installation.project).key.ak
    page = stranger.get("/console/sign-in")
    for given in ({"ak": ak, "sk": "no"}, {"user": "ada", "password": "no"}, {"user": "a secret?", "password": "no"}):
        assert stranger.submit(page, "/console/sign-in", **given).status_code == 401
    found, _ = audit.list_entries(installation.runtime)
    refused = [(one.who, one.project_id) for one in found if (one.operation, one.status) == ("SignInToConsole", 401)]
    assert refused == [("", ""), ("ada", installation.project.id), (ak, installation.project.id)]
    shown = browser.get("/console/audit").text
    assert ak in shown and "401" in shown
