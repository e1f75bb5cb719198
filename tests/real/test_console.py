"""The console in a real browser: what a person sees and does, by mouse, by keyboard and without script.

Each page is a line of `SHOWN`; what must hold for all is tried on all. Pictures lie in build/screenshots.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from logkeep.console.pages import PAGES
from logkeep.console.routes import find_page
from tests.real.browser import (
    LOOKS,
    PASSWORD,
    Look,
    Site,
    Tab,
    find_faults_for_all,
    open_site,
    open_tab,
    sign_in,
    start_browser,
    take_picture,
)

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Shown:
    """A page that is tried; names in braces are those of `Site.names`."""

    name: str
    path: str
    status: int = 200
    signed_in: bool = True

    @property
    def is_there(self) -> bool:
        return self.status == 404 or find_page(PAGES, "GET", self.path.partition("?")[0])[0] is not None


_ALL = (
    Shown("sign-in", "/console/sign-in", signed_in=False),
    Shown("sign-in-by-key", "/console/sign-in?with=key", signed_in=False),
    Shown("link-spent", "/console/link/x", status=401, signed_in=False),
    Shown("not-found", "/console/nothing", status=404),
    Shown("clusters", "/console/clusters"),
    Shown("cluster-new", "/console/clusters/new"),
    Shown("cluster", "/console/clusters/{kept}"),
    Shown("cluster-failed", "/console/clusters/{failed}"),
    Shown("cluster-missed", "/console/clusters/{missed}"),
    Shown("cluster-unopened", "/console/clusters/{unopened}"),
    Shown("cluster-hostile", "/console/clusters/{hostile}"),
    Shown("cluster-nodes", "/console/clusters/{kept}/nodes"),
    Shown("cluster-tasks", "/console/clusters/{kept}/tasks"),
    Shown("cluster-logs", "/console/clusters/{kept}/logs"),
    Shown("cluster-logs-found", "/console/clusters/{kept}/logs?q=cluster"),
    Shown("cluster-logs-hostile", "/console/clusters/{hostile}/logs"),
    Shown("cluster-coverage", "/console/clusters/{kept}/coverage"),
    Shown("cluster-coverage-hostile", "/console/clusters/{hostile}/coverage"),
    Shown("cluster-retention", "/console/clusters/{kept}/retention"),
    Shown("cluster-retention-preview", "/console/clusters/{kept}/retention/preview"),
    Shown("cluster-retention-hostile", "/console/clusters/{hostile}/retention/preview?rule=1&jobs=1&show=left"),
    Shown("cluster-settings", "/console/clusters/{kept}/settings"),
    Shown("cluster-settings-unopened", "/console/clusters/{unopened}/settings"),
    Shown("cluster-settings-hostile", "/console/clusters/{hostile}/settings"),
    Shown("tasks", "/console/tasks"),
    Shown("tasks-missed", "/console/tasks?state=missed"),
    Shown("tasks-history", "/console/tasks/history"),
    Shown("cluster-tasks-history", "/console/clusters/{kept}/tasks/history"),
    Shown("tasks-history", "/console/tasks/history"),
    Shown("tasks-none-match", "/console/tasks?text=nothing-has-this"),
    Shown("task", "/console/tasks/{kept_job}"),
    Shown("task-failed", "/console/tasks/{failed_job}"),
    Shown("task-hostile", "/console/tasks/{hostile_job}"),
    Shown("usage", "/console/usage"),
    Shown("usage-by-month", "/console/usage?by=month"),
    Shown("cluster-usage", "/console/clusters/{kept}/usage"),
    Shown("cluster-usage-hostile", "/console/clusters/{hostile}/usage"),
    Shown("notices", "/console/notices"),
    Shown("notices-hostile", "/console/notices?cluster={hostile}"),
    Shown("stores", "/console/stores"),
    Shown("access", "/console/access"),
    Shown("audit", "/console/audit"),
    Shown("workers", "/console/workers"),
    Shown("about", "/console/about"),
)
SHOWN = [one for one in _ALL if one.is_there]
each_page = pytest.mark.parametrize("shown", SHOWN, ids=[one.name for one in SHOWN])
each_look = pytest.mark.parametrize("look", LOOKS, ids=[str(one) for one in LOOKS])


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("console")) as site:
        yield site


@pytest.fixture(scope="module")  # not longer: while it lives, no test of this thread can run a loop of its own
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = start_browser(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def cookies(browser: Browser, site: Site) -> list[Any]:
    """Of a session of an administrator."""
    with open_tab(browser, site) as tab:
        return sign_in(tab, site)


@pytest.fixture
def tab(browser: Browser, site: Site, cookies: list[Any]) -> Iterator[Tab]:
    """Signed in as an administrator."""
    with open_tab(browser, site, cookies=cookies) as tab:
        yield tab


@pytest.fixture
def stranger(browser: Browser, site: Site) -> Iterator[Tab]:
    with open_tab(browser, site) as tab:
        yield tab


# Each page


@pytest.fixture(scope="module")
def readers(browser: Browser, site: Site, cookies: list[Any]) -> Iterator[Callable[[Look, bool], Tab]]:
    """Tabs by look, of an administrator or of a stranger, each opened once."""
    with ExitStack() as opened:

        @cache
        def find(look: Look, signed_in: bool) -> Tab:
            return opened.enter_context(open_tab(browser, site, look, cookies=cookies if signed_in else ()))

        yield find


_WRONG = """<!doctype html><html lang=en><title>wrong</title><main><h1>wrong</h1>
<p style="width: 3000px">wide</p><p style="overflow: hidden; width: 3em; white-space: nowrap">cut off at its side</p>
<button>one</button><button style="margin-left: -2em">other</button><input><img src=data:,></main></html>"""


def test_what_is_wrong_with_a_page_is_seen(stranger: Tab, site: Site) -> None:
    stranger.page.set_content(_WRONG)
    with pytest.raises(AssertionError) as seen:
        stranger.check()
    for fault in ("3008 wide", "cut off at its side: <p", "outside of the window: <p", "one lies over the other"):
        assert fault in str(seen.value)
    found = " ".join(find_faults_for_all(stranger))
    assert "image-alt" in found
    assert "label" in found


@each_look
@each_page
def test_a_page_fits_asks_nobody_else_and_keeps_nobody_out(
    readers: Callable[[Look, bool], Tab], site: Site, shown: Shown, look: Look
) -> None:
    tab = readers(look, shown.signed_in)
    tab.open(site.url(shown.path), shown.status)
    take_picture(tab, shown.name, look)  # before it is judged, so that what is wrong can be seen
    tab.check()
    assert tab.page.locator("h1").count() == 1
    assert tab.page.locator("html").get_attribute("lang") == ("zh-CN" if look.language == "zh" else "en")
    tab.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    tab.check()
    faults = find_faults_for_all(tab) if look.language == "en" else []
    assert not faults, "\n".join(faults)


@each_page
def test_a_page_can_be_read_without_script(browser: Browser, site: Site, cookies: list[Any], shown: Shown) -> None:
    with open_tab(browser, site, cookies=cookies if shown.signed_in else (), script=False) as tab:
        tab.visit(site.url(shown.path), shown.status)
        assert tab.page.locator("h1").inner_text()
        for late in tab.page.locator("[hx-trigger~=load]").all():
            told = late.locator("a").count() or "needs script" in late.inner_text()
            assert told, f"what comes later has no link to it: {late.inner_html()}"
        assert tab.page.locator("main button.copy:visible").count() == 0, "a button that does nothing"


@each_page
def test_the_keyboard_reaches_all_of_a_page(browser: Browser, site: Site, cookies: list[Any], shown: Shown) -> None:
    with open_tab(browser, site, cookies=cookies if shown.signed_in else ()) as tab:
        tab.visit(site.url(shown.path), shown.status)
        wanted = tab.page.evaluate(_MARK_CONTROLS)
        reached: set[str] = set()
        ends = 0
        for _ in range(2 * wanted + 60):
            tab.press("Tab")
            found = tab.page.evaluate(_FOCUSED)
            if found is None:  # the end of the page; a field that has the focus at first lies in its middle
                ends += 1
                if ends == 2:
                    break
                continue
            assert found["seen"], f"no mark shows where the keyboard is: {found['html']}"
            reached.add(found["number"])
        missing = tab.page.evaluate(_MISSING, sorted(reached))
        assert missing == []


_MARK_CONTROLS = """() => {
  const wanted = [...document.querySelectorAll(
    "a[href], button, input, select, textarea, summary, [tabindex='0']")]
    .filter((one) => one.checkVisibility({visibilityProperty: true}) && !one.disabled && one.type !== "hidden"
      && !(one.type === "radio" && !one.checked));
  wanted.forEach((one, i) => one.dataset.tried = i);
  return wanted.length;
}"""
_FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one);
  return {
    number: one.dataset.tried ?? "", html: one.outerHTML.slice(0, 200),
    seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none",
  };
}"""
_MISSING = """(reached) => [...document.querySelectorAll("[data-tried]")]
  .filter((one) => !reached.includes(one.dataset.tried)).map((one) => one.outerHTML.slice(0, 200))"""


# Signing in


def test_a_user_signs_in_by_keyboard_only(stranger: Tab, site: Site) -> None:
    stranger.visit(site.url("/console/sign-in"))
    stranger.page.keyboard.type("reader")  # the first field has the focus
    stranger.press("Tab")
    stranger.page.keyboard.type(PASSWORD)
    stranger.press("Enter")
    stranger.page.wait_for_url("**/console/clusters")
    assert "reader" in stranger.page.locator("header").inner_text()
    stranger.check()


def test_a_wrong_password_is_told_and_the_name_stays(stranger: Tab, site: Site) -> None:
    stranger.visit(site.url("/console/sign-in"))
    stranger.page.get_by_label("User").fill("nobody")
    stranger.page.get_by_label("Password").fill("wrong")
    stranger.press("Enter")
    stranger.page.get_by_role("alert").wait_for()
    assert "wrong" in stranger.page.get_by_role("alert").inner_text()
    assert stranger.page.get_by_label("User").input_value() == "nobody"
    assert stranger.page.get_by_label("Password").input_value() == ""


def test_an_access_key_signs_in_and_leads_where_one_was_going(stranger: Tab, site: Site) -> None:
    stranger.visit(site.url("/console/clusters?offset=0"))
    stranger.page.get_by_role("link", name="With an access key").click()
    stranger.page.get_by_label("Access key (AK)").fill(site.key[0])
    stranger.page.get_by_label("Secret key (SK)").fill(site.key[1])
    stranger.page.get_by_role("button", name="Sign in").click()
    stranger.page.wait_for_url("**/console/clusters?offset=0")
    stranger.check()


def test_a_link_signs_in_once(stranger: Tab, site: Site, browser: Browser) -> None:
    link = site.link()
    stranger.visit(link)
    assert "signs in once" in stranger.page.locator("main").inner_text()
    stranger.page.locator("main").get_by_role("button", name="Sign in").click()
    stranger.page.wait_for_url("**/console/clusters")
    with open_tab(browser, site) as other:
        other.visit(link, status=401)


def test_after_signing_out_going_back_shows_nothing(stranger: Tab, site: Site) -> None:
    sign_in(stranger, site)
    stranger.page.get_by_role("button", name="Sign out").click()
    stranger.page.wait_for_url("**/console/sign-in")
    stranger.page.go_back()
    stranger.page.wait_for_url("**/console/sign-in**")
    assert stranger.page.get_by_label("Password").is_visible()


def test_who_signs_in_without_script_sees_the_clusters(browser: Browser, site: Site) -> None:
    with open_tab(browser, site, script=False) as tab:
        tab.visit(site.url("/console/sign-in"))
        tab.page.get_by_label("User").fill("operator")
        tab.page.get_by_label("Password").fill(PASSWORD)
        tab.page.get_by_role("button", name="Sign in").click()
        tab.page.wait_for_url("**/console/clusters")
        tab.check()


# What is on every page


def test_the_first_key_skips_to_the_content(tab: Tab, site: Site) -> None:
    tab.visit(site.url("/console/clusters"))
    tab.press("Tab")
    assert tab.page.evaluate("document.activeElement.className") == "skip"
    tab.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "main"


def test_the_language_is_chosen_by_a_button_and_stays(stranger: Tab, site: Site) -> None:
    sign_in(stranger, site)
    stranger.page.get_by_role("button", name="中文").click()
    stranger.page.wait_for_load_state()
    assert stranger.page.locator("html").get_attribute("lang") == "zh-CN"
    stranger.visit(site.url("/console/sign-in?with=key"))
    assert stranger.page.locator("html").get_attribute("lang") == "zh-CN"
    stranger.page.get_by_role("button", name="English").click()
    stranger.page.wait_for_load_state()
    assert stranger.page.locator("html").get_attribute("lang") == "en"


def test_every_link_of_the_pages_leads_to_a_page(tab: Tab, site: Site) -> None:
    asked: set[str] = set()
    for shown in SHOWN:
        if shown.signed_in and shown.status == 200:
            tab.visit(site.url(shown.path))
            found = tab.page.eval_on_selector_all("a[href]:not([download])", "all => all.map((one) => one.href)")
            asked |= {one.partition("#")[0] for one in found}
    answers = {one: tab.page.request.get(one).status for one in sorted(asked) if one.startswith(site.endpoint)}
    assert {one: status for one, status in answers.items() if status != 200} == {}


# Other origins


_EVIL = """<!doctype html><title>evil</title>
<form id=f method=post action="{0}/console/sign-out"><input name=token value=x></form>
<form id=g method=get action="{0}/console/clusters"></form>"""


@pytest.fixture
def other_origin(site: Site) -> Iterator[str]:
    """A page of somebody else at another port of this machine, to which the browser sends the same cookies."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = _EVIL.format(site.endpoint).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_another_origin_sends_no_form_of_ours(tab: Tab, site: Site, other_origin: str) -> None:
    tab.page.goto(other_origin)
    with tab.page.expect_navigation() as navigation:
        tab.page.evaluate("document.getElementById('f').submit()")
    assert navigation.value.status == 403
    tab.page.goto(site.url("/console/clusters"))
    assert tab.page.url.endswith("/console/clusters"), "the session has ended"


def test_another_origin_reads_and_frames_nothing(tab: Tab, site: Site, other_origin: str) -> None:
    tab.page.goto(other_origin)
    read = """async (url) => { try { return await (await fetch(url, {credentials: "include"})).text() } catch { return "" } }"""
    assert tab.page.evaluate(read, site.url("/console/clusters")) == ""
    frame = """async (url) => { const one = document.createElement("iframe"); one.src = url; document.body.append(one);
      await new Promise((done) => { one.onload = done; setTimeout(done, 3000) }); }"""
    tab.page.evaluate(frame, site.url("/console/clusters"))
    framed = [one for one in tab.page.frames if one is not tab.page.main_frame]
    assert [one.url for one in framed] == ["chrome-error://chromewebdata/"]


def test_no_script_reads_the_cookie_of_the_session(tab: Tab, site: Site) -> None:
    tab.visit(site.url("/console/clusters"))
    assert tab.page.evaluate("document.cookie") == ""
    assert all(one["httpOnly"] and one["sameSite"] == "Lax" for one in tab.page.context.cookies())
