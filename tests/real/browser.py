"""A real browser on a real service: what a page must hold whatever it shows, and an installation with something to see.

Chromium is Debian's, without a sandbox as the tests may run as root. All that a page asks for is watched: `Tab.faults`
has what a browser complained about, what went to another origin, and what the service failed at.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request, Response
from sqlalchemy import update

from logkeep.bootstrap.runtime import open_runtime
from logkeep.database import tables
from logkeep.database.connection import writing
from logkeep.domain.access import Role
from logkeep.domain.notice_target import NewTarget
from logkeep.service import clusters, identity, log_settings, notice_targets, users
from logkeep.service.runtime import Runtime
from logkeep.settings import load_settings
from tests.integration.cli.installed import CONFIGURATION, called, init, serving
from tests.real.servers import chromium
from tests.support import corpus
from tests.support.installation import SETTING

AXE = Path(__file__).parents[1] / "data" / "axe.min.js"
PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
PASSWORD = "a long password of words"
DAY_MS = 86_400_000
# Markup, what ends an attribute, an entity, a template, and no place to break a line.
HOSTILE = "<b id=hostile><img src=x onerror=alert(1)>\"'&lt;{{7*7}}" + "w" * 120
HOSTILE_NAME = HOSTILE[:64]  # no longer one is allowed
# In a line of a log besides: what ends a script, escapes, a change of direction, and 20 kB without a space.
HOSTILE_LINE = f"[2026-11-23T00:00:00,000][WARN ][o.e.n.Node] [n] </script>{HOSTILE} \x1b[31m\u202e {'x' * 20_000}\n"


@dataclass(frozen=True)
class Look:
    """How a reader sees a page."""

    width: int = 1280
    dark: bool = False
    language: str = "en"

    def __str__(self) -> str:
        return f"{self.width}-{'dark' if self.dark else 'light'}-{self.language}"


# Each width, light and dark, and each language, in each pair of two; all eight where the variable asks for them.
LOOKS = tuple(
    Look(width, dark, language)
    for width in (1280, 390)
    for dark in (False, True)
    for language in ("en", "zh")
    if os.environ.get("LOGKEEP_ALL_LOOKS") or (width == 390) ^ dark ^ (language == "zh")
)


@dataclass(frozen=True)
class Site:
    """A service with clusters: what `names` has stands in the addresses of pages."""

    directory: Path
    endpoint: str
    names: Mapping[str, str]
    key: tuple[str, str]  # of an administrator: AK and SK

    def url(self, path: str) -> str:
        return self.endpoint + path.format_map(self.names)

    def link(self) -> str:
        """A link that signs in once, as an administrator."""
        return called(self.directory, "console", "--json").ended(0).json["url"]


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """An installation with a cluster of each kind of fate, and its service."""
    directory = folder / "data"
    init(directory, CONFIGURATION)
    runtime = open_runtime(load_settings(directory, {}))
    project = identity.list_projects(runtime)[0]
    key = identity.add_key(runtime, project)
    for role in Role:
        users.add_user(runtime, project, role.value, PASSWORD, role)
    names = _add_clusters(runtime, project.id, folder)
    for name in ("ops", "n" * 64):
        webhook = NewTarget(name=name, url="https://127.0.0.1:9/hook")
        notice_targets.add_target(runtime, project.id, webhook)  # which no tenant may reach
    runtime.database.dispose()
    with serving(directory) as service:
        names |= _back_up(directory)
        yield Site(directory, service.endpoint, names, (key.key.ak, key.sk))


def _add_clusters(runtime: Runtime, project_id: str, folder: Path) -> dict[str, str]:
    corpus.unpack("os1", folder / "os1")
    corpus.unpack("es7a", folder / "es7a")
    hostile = folder / "hostile"
    hostile.mkdir()
    (hostile / "es.log").write_text(HOSTILE_LINE * 5)
    (hostile / "<b id=hostile>'\"&amp;.log").write_text(HOSTILE_LINE)
    (hostile / f"{'long-' * 40}.log").write_text(HOSTILE_LINE)
    found = {
        "kept": {"node-1": folder / "os1", "node-2": folder / "es7a"},
        "failed": {"node-1": folder / "os1", "gone": folder / "gone"},
        "missed": {"node-1": folder / "os1"},
        HOSTILE_NAME: {HOSTILE[:128]: hostile},
        "unopened": {"node-1": folder / "os1"},
    }
    ids: dict[str, str] = {}
    for name, nodes in found.items():
        new = [clusters.NewNode(node, path.absolute().as_uri()) for node, path in nodes.items()]
        cluster = clusters.add_cluster(runtime, project_id, name, new)
        ids["hostile" if name == HOSTILE_NAME else name] = cluster.id
        if name != "unopened":
            log_settings.open_backup(runtime, cluster, SETTING)
        if name in {"kept", "missed"}:
            log_settings.start_policy(runtime, cluster, "00:00 GMT+00:00")
    with writing(runtime.database) as connection:  # as if no process had run for days
        due = {"policy_since": _midnight() - 20 * DAY_MS, "due_at": _midnight() - 5 * DAY_MS}
        settings = tables.log_settings
        connection.execute(update(settings).where(settings.c.cluster_id == ids["missed"]).values(**due))
    return ids


def _midnight() -> int:
    return time.time_ns() // 1_000_000 // DAY_MS * DAY_MS


def _back_up(directory: Path) -> dict[str, str]:
    """The ids of jobs that have ended: one that kept all, and one that failed."""
    called(directory, "backup", "kept", "--wait").ended(0)
    assert called(directory, "backup", "failed", "--wait").code != 0
    called(directory, "backup", HOSTILE_NAME, "--wait").ended(0)
    called(directory, "verify", "kept").ended(0)
    records = {
        name: called(directory, "records", name, "--json").ended(0).json for name in ("kept", "failed", HOSTILE_NAME)
    }
    jobs = {name: found["clusterLogRecord"][0]["jobId"] for name, found in records.items()}
    return {"kept_job": jobs["kept"], "failed_job": jobs["failed"], "hostile_job": jobs[HOSTILE_NAME]}


def start_browser(playwright: Playwright) -> Browser:
    """Chromium, installed where it is missing. Raises `RuntimeError` where it cannot be."""
    return playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"])


@dataclass
class Tab:
    """One page of the browser, and what went wrong in it."""

    page: Page
    endpoint: str
    faults: list[str] = field(default_factory=list)
    _pending: set[Request] = field(default_factory=set)

    def watch(self) -> None:
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.faults.append(f"error in a script: {error}"))
        self.page.on("request", self._note_request)
        self.page.on("response", self._note_response)
        self.page.on("requestfinished", self._note_end)
        self.page.on("requestfailed", self._note_end)

    def open(self, url: str, status: int = 200) -> None:
        """Go to a page that answers so, and wait for all of it."""
        self.faults.clear()
        self._pending.clear()
        answer = self.page.goto(url)
        assert answer
        assert answer.status == status, f"{url} answers {answer.status}"
        self.settle()

    def visit(self, url: str, status: int = 200) -> None:
        """Open a page, and look at it."""
        self.open(url, status)
        self.check()

    def settle(self) -> None:
        """Until what the page asks for later is there."""
        self.page.wait_for_load_state()
        end = time.monotonic() + 20
        while self._pending:
            assert time.monotonic() < end, "a page never stops asking"
            self.page.wait_for_timeout(20)
        self.page.evaluate("document.fonts.ready.then(() => true)")

    def check(self) -> None:
        """What holds for every page: nothing failed, nothing went elsewhere, nothing overflows or is cut off."""
        assert not self.faults, self.faults
        wrong = self.page.evaluate(_LAYOUT)
        assert not wrong, f"{self.page.url}: " + "\n".join(wrong)
        assert self.page.locator("#hostile").count() == 0, "a text has become markup"

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def _note_message(self, message: ConsoleMessage) -> None:
        known = "Failed to load resource" in message.text and message.location.get("url") == self.page.url
        if message.type in {"error", "warning"} and not known:  # an error page is one on purpose
            self.faults.append(f"console: {message.text}")

    def _note_request(self, request: Request) -> None:
        self._pending.add(request)
        if not request.url.startswith((self.endpoint, "data:")):
            self.faults.append(f"another origin is asked: {request.url}")

    def _note_end(self, request: Request) -> None:
        self._pending.discard(request)

    def _note_response(self, response: Response) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status} for {response.url}")


@contextmanager
def open_tab(
    browser: Browser, site: Site, look: Look | None = None, *, cookies: Any = (), script: bool = True
) -> Iterator[Tab]:
    """A new profile with one page."""
    look = look or Look()
    context: BrowserContext = browser.new_context(
        viewport={"width": look.width, "height": 900},
        color_scheme="dark" if look.dark else "light",
        locale="zh-CN" if look.language == "zh" else "en-GB",
        timezone_id="Asia/Shanghai",
        java_script_enabled=script,
        reduced_motion="reduce",
    )
    context.set_default_timeout(10_000)
    try:
        context.add_cookies(list(cookies))
        tab = Tab(context.new_page(), site.endpoint)
        tab.watch()
        yield tab
    finally:
        context.close()


def sign_in(tab: Tab, site: Site) -> list[Any]:
    """Sign in by a link; return the cookies, by which other profiles are signed in too."""
    tab.page.goto(site.link())
    tab.page.locator("main form button").click()
    tab.page.wait_for_url("**/console/clusters")
    return tab.page.context.cookies()


def find_faults_for_all(tab: Tab) -> list[str]:
    """What axe-core finds in the page: what keeps people from reading or using it."""
    tab.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = tab.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{tab.page.url}: {one['id']}, {one['help']}: {node['html'][:300]} {node['any'][:1]}"
        for one in found["violations"]
        for node in one["nodes"][:5]
    ]


def take_picture(tab: Tab, name: str, look: Look) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    tab.page.screenshot(path=PICTURES / f"{name}-{look}.png", full_page=True)


_LAYOUT = r"""() => {
  const found = [], root = document.documentElement;
  if (root.scrollWidth > root.clientWidth)
    found.push(`the page is ${root.scrollWidth} wide and the window ${root.clientWidth}`);
  const tell = (one) => {
    const id = one.id ? "#" + one.id : "", name = one.getAttribute("class") || "";
    return `<${one.localName}${id} class="${name}"> ${(one.textContent || "").trim().slice(0, 80)}`;
  };
  const shown = (one) => one.checkVisibility({visibilityProperty: true, opacityProperty: true});
  const scrolls = (one) => {
    for (let up = one.parentElement; up && up !== root; up = up.parentElement)
      if (/auto|scroll/.test(getComputedStyle(up).overflowX)) return true;
    return false;
  };
  const floats = (one) => {  // what opens over a page lies over something on purpose
    for (let up = one; up && up !== root; up = up.parentElement)
      if (/absolute|fixed/.test(getComputedStyle(up).position)) return true;
    return false;
  };
  const away = (box) => box.right < 0 || box.bottom < 0;
  for (const one of document.body.querySelectorAll("*")) {
    if (one.closest("svg") && one.localName !== "svg") continue;
    if (!shown(one)) continue;
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    if (away(box) || !box.width || !box.height) continue;
    const text = (one.innerText || "").trim();
    if (text && /hidden|clip/.test(style.overflowX) && one.scrollWidth > one.clientWidth + 1)
      found.push(`cut off at its side: ${tell(one)}`);
    if (text && /hidden|clip/.test(style.overflowY) && one.scrollHeight > one.clientHeight + 1)
      found.push(`cut off below: ${tell(one)}`);
    if (!scrolls(one) && (box.right > root.clientWidth + 1 || box.left < -1))
      found.push(`outside of the window: ${tell(one)}`);
  }
  const controls = [...document.body.querySelectorAll("a[href], button, input, select, textarea, summary")]
    .filter((one) => shown(one) && one.type !== "hidden" && !scrolls(one) && !floats(one));
  const boxes = controls.flatMap((one) => [...one.getClientRects()].map((box) => [one, box]))
    .filter(([, box]) => box.width && box.height && !away(box)).sort((a, b) => a[1].top - b[1].top);
  for (let i = 0; i < boxes.length; i++)
    for (let j = i + 1; j < boxes.length && boxes[j][1].top < boxes[i][1].bottom - 2; j++) {
      const [one, a] = boxes[i], [other, b] = boxes[j];
      if (one === other || one.contains(other) || other.contains(one)) continue;
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - b.top > 2)
        found.push(`one lies over the other: ${tell(one)} and ${tell(other)}`);
    }
  return found.slice(0, 20);
}"""
