"""Keys and users of a project in the console: made, changed and revoked by its administrators alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from logkeep.console.access import PAGES
from logkeep.domain.access import Caller, KeyKind, Role
from logkeep.domain.cluster import Project
from logkeep.service import audit, console_sessions, identity, users
from tests.support.console import Browser, open_browser
from tests.support.installation import Installation

PASSWORD = "a long password of words"


@pytest.fixture
def other(installation: Installation) -> Project:
    return identity.add_project(installation.runtime, "theirs")


@pytest.fixture
def ada(installation: Installation, stranger: Browser) -> Iterator[Browser]:
    """An administrator who signed in with a password."""
    users.add_user(installation.runtime, installation.project, "ada", PASSWORD, Role.ADMIN)
    stranger.submit(stranger.get("/console/sign-in"), "/console/sign-in", user="ada", password=PASSWORD)
    yield stranger


def operations(installation: Installation) -> list[tuple[str, int]]:
    found, _ = audit.list_entries(installation.runtime, project_id=installation.project.id)
    return [(one.operation, one.status) for one in found]


def test_a_key_is_made_and_its_secret_is_shown_once(installation: Installation, browser: Browser) -> None:
    answer = browser.submit(browser.get("/console/access"), "/console/access/add-key", role="reader")
    (key,) = [one for one in identity.list_keys(installation.runtime) if one.role is Role.READER]
    found = identity.find_key(installation.runtime, key.ak)
    assert found
    assert found[1] in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert found[1] not in str(answer.url)
    assert key.project_id == installation.project.id
    page = browser.get("/console/access")
    assert key.ak in page.text
    assert found[1] not in page.text
    assert operations(installation)[0] == ("AddKey", 200)


def test_a_new_key_that_is_loaded_again_is_not_made_again(installation: Installation, browser: Browser) -> None:
    page = browser.get("/console/access")
    made = browser.submit(page, "/console/access/add-key", role="reader")
    again = browser.submit(page, "/console/access/add-key", role="reader")
    assert "A new key" in made.text
    assert again.status_code == 409
    assert "This form was sent already; no second key was made." in again.text
    assert "Keys and users" in again.text
    assert [one.role for one in identity.list_keys(installation.runtime)].count(Role.READER) == 1
    assert operations(installation)[:2] == [("AddKey", 409), ("AddKey", 200)]
    assert "A new key" in browser.submit(again, "/console/access/add-key", role="reader").text


def test_a_form_for_a_key_that_was_refused_can_be_sent_again(browser: Browser) -> None:
    page = browser.get("/console/access")
    assert browser.submit(page, "/console/access/add-key", role="root").status_code == 400
    assert "A new key" in browser.submit(page, "/console/access/add-key", role="reader").text


def test_a_key_signs_in_until_it_is_revoked(installation: Installation, browser: Browser) -> None:
    key = identity.add_key(installation.runtime, installation.project, role=Role.READER)
    with open_browser(installation) as theirs:
        theirs.submit(theirs.get("/console/sign-in?with=key"), "/console/sign-in", ak=key.key.ak, sk=key.sk)
        assert theirs.get("/console/clusters").url.path == "/console/clusters"
        page = browser.submit(browser.get("/console/access"), "/console/access/revoke-key", ak=key.key.ak)
        assert "The key is revoked" in page.text
        assert theirs.get("/console/clusters").url.path == "/console/sign-in"
    assert key.key.ak not in page.text
    assert key.key.ak in browser.get("/console/access?keys=ended").text
    assert operations(installation)[0] == ("RevokeKey", 200)


def test_who_revokes_the_own_key_is_told_so_and_signed_out(installation: Installation, browser: Browser) -> None:
    page = browser.get("/console/access")
    assert "This is the key that you signed in with." in page.text
    (own,) = identity.list_keys(installation.runtime)
    answer = browser.submit(page, "/console/access/revoke-key", ak=own.ak)
    assert answer.url.path == "/console/sign-in"
    assert browser.get("/console/access").url.path == "/console/sign-in"


def test_a_user_is_added_and_can_sign_in(installation: Installation, browser: Browser) -> None:
    given = {"name": "grace", "password": PASSWORD, "role": "operator"}
    page = browser.submit(browser.get("/console/access"), "/console/access/add-user", **given)
    assert "The user is added" in page.text
    assert "grace" in page.text
    with open_browser(installation) as theirs:
        page = theirs.submit(theirs.get("/console/sign-in"), "/console/sign-in", user="grace", password=PASSWORD)
        assert "grace" in page.text
    assert ("AddUser", 200) in operations(installation)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "grace", "password": "short", "role": "reader"}, "Password: 8 to 256"),
        ({"name": "a/b", "password": PASSWORD, "role": "reader"}, "Name: 1 to 64"),
        ({"name": "ada", "password": PASSWORD, "role": "reader"}, "choose another name"),
        ({"name": "grace", "password": PASSWORD, "role": "root"}, "Role: choose one of"),
    ],
)
def test_what_is_refused_is_told_and_what_was_typed_stays(ada: Browser, given: dict[str, str], told: str) -> None:
    answer = ada.submit(ada.get("/console/access"), "/console/access/add-user", **given)
    assert 400 <= answer.status_code < 500
    assert told in answer.text.replace("&#39;", "'")
    assert f'value="{given["name"]}"' in answer.text
    assert given["password"] not in answer.text


def test_a_new_password_counts_at_once(installation: Installation, browser: Browser) -> None:
    users.add_user(installation.runtime, installation.project, "grace", PASSWORD, Role.READER)
    page = browser.get("/console/access")
    page = browser.submit(page, "/console/access/change-password", name="grace", password="another long password")
    assert "The password is changed." in page.text
    with open_browser(installation) as theirs:
        asked = theirs.get("/console/sign-in")
        assert theirs.submit(asked, "/console/sign-in", user="grace", password=PASSWORD).status_code == 401
        answer = theirs.submit(asked, "/console/sign-in", user="grace", password="another long password")
        assert answer.url.path == "/console/clusters"


def test_who_changes_or_revokes_oneself_is_signed_out(installation: Installation, ada: Browser) -> None:
    page = ada.get("/console/access")
    answer = ada.submit(page, "/console/access/change-password", name="ada", password="another long password")
    assert answer.url.path == "/console/sign-in"
    ada.submit(answer, "/console/sign-in", user="ada", password="another long password")
    answer = ada.submit(ada.get("/console/access"), "/console/access/revoke-user", name="ada")
    assert answer.url.path == "/console/sign-in"
    assert ("RevokeUser", 200) in operations(installation)


def test_keys_and_users_of_another_project_are_never_shown(
    installation: Installation, browser: Browser, other: Project
) -> None:
    key = identity.add_key(installation.runtime, other, role=Role.ADMIN)
    brief = identity.add_key(installation.runtime, other, valid_ms=60_000, issuer=key.key.ak)
    users.add_user(installation.runtime, other, "theirs-too", PASSWORD, Role.ADMIN)
    for kind in KeyKind:
        for ended in ("", "ended"):
            page = browser.get(f"/console/access?keys={kind}&users={ended}").text
            assert key.key.ak not in page
            assert brief.key.ak not in page
            assert "theirs-too" not in page


def test_a_forged_form_reaches_nothing_of_another_project(
    installation: Installation, browser: Browser, other: Project
) -> None:
    key = identity.add_key(installation.runtime, other, role=Role.ADMIN)
    brief = identity.add_key(installation.runtime, other, valid_ms=60_000, issuer=key.key.ak)
    users.add_user(installation.runtime, other, "linus", PASSWORD, Role.ADMIN)
    page = browser.get("/console/access")
    token = re.search(r'name="token" value="([^"]+)"', page.text)
    assert token
    forged = {"token": token[1], "ak": key.key.ak, "name": "linus", "password": "mine from now on", "role": "admin"}
    forged |= {"project": other.id, "project_id": other.id}
    for path in ("revoke-key", "change-password", "revoke-user"):
        assert browser.post(f"/console/access/{path}", forged).status_code == 400
    for path in ("add-key", "add-user"):
        browser.post(f"/console/access/{path}", forged)
    found = identity.list_keys(installation.runtime)
    assert {one.ak for one in found if one.project_id == other.id} == {key.key.ak, brief.key.ak}
    assert not [one for one in found if one.project_id == other.id and one.revoked_at is not None]
    assert [one.revoked_at for one in users.list_users(installation.runtime) if one.project_id == other.id] == [None]
    with open_browser(installation) as theirs:
        answer = theirs.submit(theirs.get("/console/sign-in"), "/console/sign-in", user="linus", password=PASSWORD)
        assert answer.url.path == "/console/clusters"


@pytest.mark.parametrize("role", [Role.READER, Role.OPERATOR])
def test_nobody_but_an_administrator_sees_or_changes_them(
    installation: Installation, stranger: Browser, role: Role
) -> None:
    secret = identity.add_key(installation.runtime, installation.project, role=Role.ADMIN)
    users.add_user(installation.runtime, installation.project, "grace", PASSWORD, Role.ADMIN)
    first = stranger.sign_in(installation, role)
    assert "/console/access" not in first.text
    token = first.text.partition('name="token" value="')[2].partition('"')[0]
    given = {"token": token, "role": "admin", "name": "eve", "password": PASSWORD}
    for page in PAGES:
        path = f"/console{page.path}"
        answer = stranger.get(path) if page.method == "GET" else stranger.post(path, given)
        assert answer.status_code == 403
        assert secret.key.ak not in answer.text
        assert "grace" not in answer.text
    assert len(identity.list_keys(installation.runtime)) == 2
    assert [one.name for one in users.list_users(installation.runtime)] == ["grace"]


def test_a_temporary_key_makes_nothing_that_outlives_it(installation: Installation, stranger: Browser) -> None:
    brief = identity.add_key(installation.runtime, installation.project, role=Role.ADMIN, valid_ms=60_000).key
    caller = Caller(brief.ak, installation.project.id, Role.ADMIN)
    link = console_sessions.make_link(installation.runtime, caller)
    stranger.submit(stranger.get(f"/console/link/{link.secret}"), "/console/link/")
    page = stranger.get("/console/access")
    assert stranger.submit(page, "/console/access/add-key", role="admin").status_code == 403
    given = {"name": "eve", "password": PASSWORD, "role": "admin"}
    answer = stranger.submit(page, "/console/access/add-user", **given)
    assert answer.status_code == 403
    assert "A temporary key makes no other keys" in answer.text
    assert len(identity.list_keys(installation.runtime)) == 1


def test_many_keys_are_shown_page_by_page(installation: Installation, browser: Browser) -> None:
    for _ in range(60):
        installation.clock.advance(1)
        identity.add_key(installation.runtime, installation.project, role=Role.READER)
    first = browser.get("/console/access")
    assert "1 to 50 of 61" in first.text
    second = browser.get("/console/access?from-key=50")
    assert "51 to 61 of 61" in second.text
    seen = set(re.findall(r"<code>(LK\w+)</code>", first.text + second.text))
    assert seen == {one.ak for one in identity.list_keys(installation.runtime)}


def test_a_temporary_key_is_listed_with_who_got_it(installation: Installation, browser: Browser) -> None:
    ada = users.add_user(installation.runtime, installation.project, "ada", PASSWORD, Role.READER)
    brief = identity.add_key(installation.runtime, installation.project, valid_ms=60_000, issuer=ada.id)
    assert brief.key.ak not in browser.get("/console/access").text
    page = browser.get("/console/access?keys=temporary")
    assert brief.key.ak in page.text
    assert ada.id not in page.text
    installation.clock.advance(60_001)
    assert brief.key.ak not in browser.get("/console/access?keys=temporary").text
    assert brief.key.ak in browser.get("/console/access?keys=ended").text
