"""What sessions may not do, what every answer of the console says to the browser, and what strangers can use up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from logkeep.api.app import create_app
from logkeep.bootstrap.console import add_console
from logkeep.console.answers import Html, make_download
from logkeep.console.pools import WaitsFor
from logkeep.console.rendering import static_name
from logkeep.console.routes import Page
from logkeep.domain.access import Right, Role
from logkeep.errors import InvalidField
from logkeep.http import bodies
from logkeep.http.protocol import CONNECTION
from logkeep.http.streams import StreamSlots
from logkeep.service import identity, users
from logkeep.service.console_sessions import FoundSession, find_session
from logkeep.service.runtime import Runtime
from logkeep.settings import load_settings
from logkeep.signing.sdk_hmac import sign
from tests.integration.console.conftest import Signed
from tests.support.console import ADDRESS, RULES, Browser
from tests.support.console_pages import GETS, WRITES, path_of
from tests.support.installation import Installation

PASSWORD = "a long password of words"
SAFE = {
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
}
ONLY_SHOWS = {"/clusters/new/rows"}  # it returns the form with more rows
by_path = {"ids": lambda page: page.path}


@contextmanager
def whole_service(installation: Installation) -> Iterator[Browser]:
    """API and console as they are served, for a browser that is signed in."""
    app = add_console(create_app(installation.runtime), installation.runtime, load_settings(installation.folder, {}))
    with asyncio.Runner() as runner:
        browser = Browser(app, runner)
        browser.sign_in(installation)
        yield browser
        browser.close()
        runner.run(end(app))


async def end(app: Any) -> None:
    """Tell an application that its server ends, so that its threads do."""
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(messages)

    async def send(_: Any) -> None: ...

    await app({"type": "lifespan"}, receive, send)


def token_of(page: httpx.Response) -> str:
    return page.text.partition('name="token" value="')[2].partition('"')[0]


# Credentials


def test_a_session_is_no_credential_of_the_api(installation: Installation) -> None:
    with whole_service(installation) as browser:
        assert browser.get("/console/clusters").status_code == 200
        secrets = {cookie.name: cookie.value or "" for cookie in browser.http.cookies.jar}
        cookie = "; ".join(f"{name}={value}" for name, value in secrets.items())
        for path in (f"/v1.0/{installation.project.id}/clusters", "/v3/projects", "/api/v1/clusters", "/api/v1/me"):
            without = httpx.Response(401)
            for secret in ("", *secrets.values()):
                headers = {"cookie": cookie, "authorization": f"Bearer {secret}"} if secret else {}
                more = {"x-auth-token": secret} if secret else {}
                answer = browser.get(path, **headers, **more)
                without = without if secret else answer
                assert answer.status_code == without.status_code in {401, 404}, path


def test_a_token_and_a_signature_of_the_api_open_no_page(installation: Installation, stranger: Browser) -> None:
    key = identity.add_key(installation.runtime, installation.project)
    url = f"{ADDRESS}/console/clusters"
    signed = sign(key.key.ak, key.sk, "GET", url, now_ms=installation.clock.now_ms(), headers={"Host": "127.0.0.1"})
    for headers in (signed, {"X-Auth-Token": "t" * 64}, {"Authorization": f"Bearer {key.sk}"}):
        assert stranger.get("/console/clusters", follow=False, **headers).status_code == 303


# Rights


@pytest.mark.parametrize("page", WRITES, **by_path)
def test_what_changes_something_needs_more_than_reading(page: Page) -> None:
    assert page.right in {Right.OPERATE, Right.ADMINISTER}
    assert page.operation or page.path in ONLY_SHOWS, "the audit is to tell of it"


@pytest.mark.parametrize("page", WRITES, **by_path)
def test_the_session_of_a_reader_cannot_write(signed: Signed, page: Page) -> None:
    token = token_of(signed.reader.get("/console/clusters"))
    answer = signed.reader.post(path_of(page), {"token": token}, follow=False)
    assert answer.status_code == 403
    assert "<h1>Not allowed</h1>" in answer.text, "who may not send a form may not see it again either"


@pytest.mark.parametrize("page", WRITES, **by_path)
def test_no_form_is_taken_without_its_token(signed: Signed, page: Page) -> None:
    for token in ("", "0" * 16 + "." + "0" * 64):
        assert signed.admin.post(path_of(page), {"token": token}, follow=False).status_code == 403


@pytest.mark.parametrize("page", [page for page in (*GETS, *WRITES) if page.right], **by_path)
def test_who_is_not_signed_in_sees_no_page(signed: Signed, page: Page) -> None:
    answer = signed.stranger.wait(signed.stranger.http.request(page.method, path_of(page)))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in")


@pytest.mark.parametrize("page", [page for page in (*GETS, *WRITES) if page.again], **by_path)
def test_under_another_name_nothing_is_shown_again(signed: Signed, page: Page) -> None:
    answer = signed.admin.wait(signed.admin.http.request(page.method, path_of(page), headers={"host": "evil.test"}))
    assert answer.status_code == 421
    assert "<form" not in answer.text.partition("<main")[2]


@pytest.mark.parametrize("page", [page for page in GETS if page.right is Right.ADMINISTER], **by_path)
def test_a_reader_sees_nothing_of_administrators(signed: Signed, page: Page) -> None:
    answer = signed.reader.get(path_of(page))
    assert answer.status_code == 403
    assert "<h1>Not allowed</h1>" in answer.text


# What every answer says


@pytest.mark.parametrize("page", GETS, **by_path)
def test_every_page_keeps_others_out(signed: Signed, page: Page) -> None:
    answer = signed.admin.get(path_of(page), follow=False)
    assert set(answer.headers) >= SAFE
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] in {"no-store", "no-cache, private"}


def test_errors_redirections_and_files_keep_others_out(installation: Installation, stranger: Browser) -> None:
    answers = {
        200: stranger.get(static_name("console.css")),
        303: stranger.get("/console/clusters", follow=False),
        404: stranger.get("/console/nothing"),
        421: stranger.get("/console/sign-in", host="evil.test"),
        403: stranger.post("/console/sign-in", {}),
        401: stranger.submit(stranger.get("/console/sign-in"), "/console/sign-in", user="a", password="b"),
        400: stranger.get("/console/sign-in?" + "a=1&" * 600),
        405: stranger.wait(stranger.http.request("DELETE", "/console/clusters")),
    }
    for status, answer in answers.items():
        assert set(answer.headers) >= SAFE, status
        assert answer.status_code == (status if status != 405 else 404)


def test_a_download_keeps_others_out(
    browser: Browser, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(path="/d", handler=lambda _: make_download("text/csv", 'a"\r\n.csv', iter([b"1"])), streams=True)
    monkeypatch.setattr("logkeep.console.app.PAGES", (page,))
    answer = browser.get("/console/d")
    assert answer.content == b"1"
    assert set(answer.headers) >= SAFE
    assert answer.headers["content-disposition"] == 'attachment; filename="a___.csv"'
    assert answer.headers["cache-control"] == "no-store"


def test_a_download_keeps_letters_of_other_scripts_in_its_name() -> None:
    headers = dict(make_download("text/csv", '生产/"\ud800.csv', iter([b"1"])).headers)
    named = b"attachment; filename=\"_____.csv\"; filename*=UTF-8''%E7%94%9F%E4%BA%A7___.csv"
    assert headers[b"content-disposition"] == named


@pytest.mark.parametrize("page", [page for page in GETS if not page.streams], **by_path)
def test_a_head_is_answered_as_a_get(signed: Signed, page: Page) -> None:
    got = signed.admin.get(path_of(page), follow=False)
    head = signed.admin.wait(signed.admin.http.head(path_of(page)))
    assert (head.status_code, set(head.headers)) == (got.status_code, set(got.headers))


# What strangers can use up


@pytest.mark.parametrize("announced", [True, False])
def test_a_form_over_16_kilobytes_is_refused(stranger: Browser, announced: bool) -> None:
    body = b"user=" + b"a" * 17_000
    content: Any = body if announced else _pieces(body)
    answer = stranger.wait(stranger.http.post("/console/sign-in", content=content))
    assert answer.status_code in {400, 413}
    assert "larger than 16 kB" in answer.text


async def _pieces(body: bytes) -> Any:
    for at in range(0, len(body), 1000):
        yield body[at : at + 1000]


@pytest.mark.parametrize("length", ["-1", "x", "9" * 400, "1e3", ""])
def test_a_length_that_is_none_is_refused(stranger: Browser, length: str) -> None:
    answer = stranger.wait(stranger.http.post("/console/sign-in", content=b"a=b", headers={"content-length": length}))
    assert answer.status_code in {400, 413}


def test_a_form_that_never_comes_is_given_up(stranger: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_SECONDS", 0.05)

    async def never() -> Any:
        yield b"user="
        await asyncio.Event().wait()

    answer = stranger.wait(stranger.http.post("/console/sign-in", content=never()))
    assert answer.status_code == 400
    assert "did not come within" in answer.text


def test_many_downloads_leave_room_for_pages(
    browser: Browser, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(path="/d", handler=lambda _: make_download("text/csv", "a", iter([b"1"])), streams=True)
    monkeypatch.setattr("logkeep.console.app.PAGES", (page,))
    for _ in range(40):  # each is counted out again
        assert browser.get("/console/d").status_code == 200
    monkeypatch.setattr(browser.console, "_streams", StreamSlots(0, 8, "full"))
    assert browser.get("/console/d").status_code == 503


def test_downloads_of_one_project_leave_room_for_another(
    browser: Browser, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, taken = threading.Event(), threading.Event()

    def begin(_: Any) -> Any:
        begun.set()
        return make_download("text/csv", "a", (b"1" for _ in range(3) if taken.wait(10)))

    slow = Page(path="/slow", handler=begin, streams=True)
    quick = Page(path="/quick", handler=lambda _: make_download("text/csv", "a", iter([b"1"])), streams=True)
    another = browser.open_another()
    installation.project = identity.add_project(installation.runtime, "theirs")
    another.sign_in(installation)
    monkeypatch.setattr("logkeep.console.app.PAGES", (slow, quick))
    monkeypatch.setattr(browser.console, "_streams", StreamSlots(16, 1, "full"))

    async def run() -> list[int]:
        first = asyncio.ensure_future(browser.http.get("/console/slow"))
        await asyncio.to_thread(begun.wait, 10)
        answers = [(await one.http.get("/console/quick")).status_code for one in (browser, another)]
        taken.set()
        return [*answers, (await first).status_code, (await browser.http.get("/console/quick")).status_code]

    assert browser.wait(run()) == [503, 200, 200, 200]


def test_asking_for_the_head_of_a_download_makes_none_of_it(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[int]()
    chunks = (made.append(number) or b"1" for number in range(100))
    page = Page(path="/d", handler=lambda _: make_download("text/csv", "a", chunks), streams=True)
    monkeypatch.setattr("logkeep.console.app.PAGES", (page,))
    head = browser.wait(browser.http.head("/console/d"))
    assert (head.status_code, head.content) == (200, b"")
    assert len(made) <= 1, "only so much that an error would be told"


def test_a_console_that_could_not_be_opened_is_opened_for_the_next(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(installation.folder, {})
    opening = iter([OSError("too many open files"), None])

    def read_id(_: Any) -> str:
        if error := next(opening):
            raise error
        return "0" * 32

    monkeypatch.setattr("logkeep.bootstrap.console.read_own_id", read_id)
    app = add_console(create_app(installation.runtime), installation.runtime, settings)
    with asyncio.Runner() as runner:
        browser = Browser(app, runner)
        with pytest.raises(OSError, match="too many"):
            browser.get("/console/sign-in")
        assert browser.get("/console/sign-in").status_code == 200
        browser.close()
        runner.run(end(app))


def test_a_refused_form_is_shown_again_while_others_wait_for_nodes(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, freed = threading.Event(), threading.Event()

    def wait(_: Any) -> Html:
        begun.set()
        return Html(str(freed.wait(10)))

    def refuse(_: Any) -> Html:
        raise InvalidField("url", "does not answer")

    nodes = WaitsFor.NODES
    slow = Page(path="/slow", handler=wait, waits_for=nodes)
    form = Page(path="/form", handler=refuse, waits_for=nodes, again=lambda _: Html("again"))
    monkeypatch.setattr("logkeep.console.app.PAGES", (slow, form))

    async def ask() -> str:
        first = asyncio.ensure_future(browser.http.get("/console/slow"))
        await asyncio.to_thread(begun.wait, 10)
        refused = asyncio.ensure_future(browser.http.get("/console/form"))
        second = asyncio.ensure_future(browser.http.get("/console/slow"))
        third = asyncio.ensure_future(browser.http.get("/console/slow"))
        shown = await asyncio.wait_for(refused, 5)
        freed.set()
        await asyncio.gather(first, second, third)
        return shown.text

    assert browser.wait(ask()) == "again"


class _Connection:
    owner = ""

    def know(self, owner: str) -> None:
        self.owner = owner


def test_strangers_at_the_same_address_do_not_hold_up_who_is_known(
    installation: Installation, stranger: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, freed, connection, finding = threading.Event(), threading.Event(), _Connection(), find_session

    def find(runtime: Runtime, secret: str, idle_ms: int) -> FoundSession:
        if secret == "made-up":
            begun.set()
            freed.wait(10)
        return finding(runtime, secret, idle_ms)

    async def ask() -> int:
        cookie = f"logkeep_{RULES.installation_id[:12]}=made-up"
        asked = [
            asyncio.ensure_future(stranger.http.get("/console/about", headers={"cookie": cookie})) for _ in range(80)
        ]
        await asyncio.to_thread(begun.wait, 10)
        answer = await browser.http.get("/console/about")
        freed.set()
        await asyncio.gather(*asked)
        return answer.status_code

    browser = stranger.open_another(lambda scope: {**scope, CONNECTION: connection})
    browser.sign_in(installation)
    monkeypatch.setattr("logkeep.service.console_sessions.find_session", find)
    assert browser.wait(ask()) == 200
    browser.close()


def test_strangers_who_sign_in_do_not_hold_up_the_api(installation: Installation) -> None:
    users.add_user(installation.runtime, installation.project, "ada", PASSWORD, Role.READER)
    key = identity.add_key(installation.runtime, installation.project)
    app = add_console(create_app(installation.runtime), installation.runtime, load_settings(installation.folder, {}))
    path = f"/v1.0/{installation.project.id}/clusters"
    now_ms = installation.clock.now_ms()
    signed = sign(key.key.ak, key.sk, "GET", f"{ADDRESS}{path}", now_ms=now_ms, headers={"Host": "127.0.0.1:8475"})

    async def run() -> tuple[int, int, list[int]]:
        strangers = [_client(app, f"10.0.{number}.1") for number in range(200)]
        form = await strangers[0].get("/console/sign-in")
        cookie = form.headers["set-cookie"].partition(";")[0]
        values = {"token": token_of(form), "user": "ada", "password": "wrong"}
        asked = [
            asyncio.ensure_future(one.post("/console/sign-in", data=values, headers={"cookie": cookie}))
            for one in strangers
        ]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        answers = [(await strangers[0].get(path, headers=signed)).status_code for _ in range(5)]
        waiting = sum(not one.done() for one in asked)
        ended = [(await one).status_code for one in asked]
        for one in strangers:
            await one.aclose()
        await end(app)
        return max(answers), waiting, ended

    status, waiting, ended = asyncio.run(run())
    assert status == 200
    assert waiting > 10, "the API answered only after the strangers"
    assert set(ended) == {401, 503}  # some were told to come again


def _client(app: Any, address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url=ADDRESS, timeout=60)
