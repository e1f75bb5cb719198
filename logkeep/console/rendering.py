"""Pages from templates. Whatever a value holds is shown as text: escaped, and what would steer it made visible."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from logkeep import __version__
from logkeep.console.answers import Html, Unchanged
from logkeep.console.texts import LANGUAGES, texts_of
from logkeep.console.visit import Visit

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
# Controls, and what turns the direction of a line or joins what does not belong together.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)


class Item(NamedTuple):
    """A link of the navigation."""

    path: str
    text: str
    for_admin: bool = False


def N_(text: str) -> str:
    """Mark a text for translation where it is only named."""
    return text


NAVIGATION = (
    Item("/console/clusters", N_("Clusters")),
    Item("/console/tasks", N_("Tasks")),
    Item("/console/notices", N_("Notices")),
    Item("/console/usage", N_("Usage")),
    Item("/console/stores", N_("Stores")),
    Item("/console/access", N_("Keys and users"), for_admin=True),
    Item("/console/audit", N_("Audit"), for_admin=True),
    Item("/console/workers", N_("Workers")),
    Item("/console/about", N_("About")),
)
TABS = (
    Item("", N_("Overview")),
    Item("/tasks", N_("Tasks")),
    Item("/logs", N_("Logs")),
    Item("/coverage", N_("Coverage")),
    Item("/usage", N_("Usage")),
    Item("/retention", N_("Retention")),
    Item("/settings", N_("Settings")),
)

# Of commands that messages advise: where the same is seen or done. `{job}` and `{cluster}` are filled in.
_COMMANDS = (
    (re.compile(r"logkeep job show (?P<job>[0-9a-f]{32})"), Item("/console/tasks/{job}", N_("Task"))),
    (re.compile(r"logkeep coverage .+"), Item("/console/clusters/{cluster}/coverage", N_("Coverage"))),
    (re.compile(r"logkeep retention .+"), Item("/console/clusters/{cluster}/retention", N_("Retention"))),
    (re.compile(r"logkeep logs (open|policy) .+"), Item("/console/clusters/{cluster}/settings", N_("Settings"))),
    (
        re.compile(r"logkeep records .+ --status FAIL"),
        Item("/console/clusters/{cluster}/tasks?state=failed", N_("Failed tasks")),
    ),
    (re.compile(r"logkeep workers"), Item("/console/workers", N_("Workers"))),
)

# Of clusters, tasks, days and deliveries. They are translated one by one as they are shown: a page has thousands.
STATES = {
    "stale": N_("stale"),
    "unopened": N_("not opened"),
    "unplanned": N_("no daily backup"),
    "failed": N_("failed"),
    "stuck": N_("stuck"),
    "overdue": N_("overdue"),
    "damaged": N_("damaged"),
    "gaps": N_("gaps"),
    "nodes": N_("nodes left out"),
    "unverified": N_("not verified"),
    "logs": N_("logs left out"),
    "running": N_("running"),
    "missed": N_("missed"),
    "never_ran": N_("never ran"),
    "ok": N_("kept"),
    "closed": N_("closed"),
    "success": N_("success"),
    "fail": N_("failed"),
    "kept": N_("kept"),
    "none": N_("none"),
    "off": N_("off"),
    "delivered": N_("delivered"),
    "waiting": N_("waiting"),
    "given_up": N_("given up"),
}


def find_page_for(command: str, cluster_id: str) -> Item | None:
    """Return the page that shows or does what a command would; None where none does, or of which cluster is unknown."""
    for pattern, page in _COMMANDS:
        if found := pattern.fullmatch(command):
            known = {**found.groupdict(), **({"cluster": cluster_id} if cluster_id else {})}
            try:
                return page._replace(path=page.path.format(**known))
            except KeyError:
                return None
    return None


def show_plainly(value: object) -> object:
    """Return a text with its control and direction characters written as escapes; other values as they are."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if value.isascii() and value.isprintable():
        return value
    return _STEERING.sub(lambda found: _escape(found[0]), value)


def _filled_plainly(translate: Callable[..., str]) -> Callable[..., str]:
    """Return the function with the values of its text shown plainly: `finalize` sees the whole, which is markup."""

    @pass_context
    def filled(context: Context, *texts: Any, **values: Any) -> str:
        return translate(context, *texts, **{name: show_plainly(value) for name, value in values.items()})

    return filled


def _escape(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


@cache
def static_name(name: str) -> str:
    """Return the address of a static file, which changes with what it holds."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/console/static/{digest}/{name}"


@cache
def _environment(language: str) -> Environment:
    texts = texts_of(language)
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        finalize=show_plainly,
    )
    environment.install_gettext_translations(texts.translations, newstyle=True)  # type: ignore[attr-defined]  # pyright: ignore
    filters: dict[str, Any] = {
        "size": texts.size,
        "time": texts.time,
        "duration": texts.duration,
        "number": texts.number,
        "age": texts.age,
        "roughly": texts.roughly,
    }
    environment.filters.update(filters)
    values: dict[str, Any] = {
        "static": static_name,
        "version": __version__,
        "languages": LANGUAGES,
        "language": language,
        "navigation": NAVIGATION,
        "tabs": TABS,
        "states": STATES,
        "find_page_for": find_page_for,
    }
    environment.globals.update(values)
    known: dict[str, Any] = environment.globals
    known.update({name: _filled_plainly(known[name]) for name in ("gettext", "ngettext")})
    return environment


def render(visit: Visit, template: str, **values: Any) -> str:
    """Return a template filled in; it knows the visit as `visit` and the time as `now` (Unix ms)."""
    page = _environment(visit.texts.language).get_template(template)
    return page.render(visit=visit, now=visit.runtime.clock.now_ms(), **values)


def show(visit: Visit, template: str, *, status: int = 200, **values: Any) -> Html:
    """Return a page."""
    return Html(render(visit, template, **values), status)


def _etag_of(visit: Visit, parts: Sequence[object]) -> str:
    """Return an ETag of what a part of a page depends on, for this reader."""
    caller = visit.caller
    whole = (__version__, visit.texts.language, caller and (caller.project_id, caller.role), *parts)
    return f'"{sha256(repr(whole).encode(errors="replace")).hexdigest()[:32]}"'


class _Shared:
    """The parts of pages that were made last, by their ETags; one is made at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._bodies: dict[str, str] = {}  # the oldest first

    def find(self, etag: str, make: Callable[[], str]) -> str:
        with self._lock:  # others wait for it rather than make the same
            if etag not in self._bodies:
                self._bodies[etag] = make()
                while len(self._bodies) > self._most:
                    del self._bodies[next(iter(self._bodies))]
            return self._bodies[etag]


_shared = _Shared(32)


def show_shared(visit: Visit, parts: Sequence[object], make: Callable[[], str]) -> Html | Unchanged:
    """Show a part that is the same for all readers of whom its ETag is, made once: many look for news at a time.

    It must hold no token of a form, as that belongs to one session.
    """
    etag = _etag_of(visit, parts)
    return _show_unless_known(visit, etag, lambda: _shared.find(etag, make))


def show_news(visit: Visit, parts: Sequence[object], make: Callable[[], str]) -> Html | Unchanged:
    """Show a part that depends on these values; it is made only where the browser has not got it already."""
    return _show_unless_known(visit, _etag_of(visit, parts), make)


def _show_unless_known(visit: Visit, etag: str, make: Callable[[], str]) -> Html | Unchanged:
    return Unchanged(etag) if visit.etag == etag else Html(make(), etag=etag)
