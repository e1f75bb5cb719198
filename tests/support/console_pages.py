"""All rows of the console, so that what must hold for each is tried on each, those of tomorrow included."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import logkeep.console
from logkeep.console.pages import PAGES
from logkeep.console.routes import Page

GETS = [page for page in PAGES if page.method == "GET"]
_ANYBODY = {"/sign-in", "/link/{secret}", "/sign-out", "/language"}  # which forms a reader may send, and a stranger
WRITES = [page for page in PAGES if page.method == "POST" and page.path not in _ANYBODY]
_KNOWN = {"https://www.apache.org/licenses/LICENSE-2.0", "/openapi.json"}  # links that lead out of the console
NOBODY = "00000000-0000-4000-8000-000000000000"

_ASKED = re.compile(r"""(?:query|form)(?:\[|\.(?:number|raw|all)\()['"](\w+)['"]""")


def path_of(page: Page, names: Mapping[str, str] | None = None) -> str:
    """The path of a page with these parameters, and made-up ones where there is none of a name."""
    return "/console" + re.sub(r"\{(\w+)\}", lambda found: (names or {}).get(found[1], NOBODY), page.path)


def parameter_names() -> list[str]:
    """What pages read of queries and forms, found in their sources."""
    root = Path(logkeep.console.__file__).parent
    sources = [path.read_text(encoding="utf-8") for path in (*root.rglob("*.py"), *root.rglob("*.html"))]
    return sorted({name for source in sources for name in _ASKED.findall(source)})


class _Markup(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if (
                name.startswith("on")
                or name == "style"
                or (name, value) == ("id", "hostile")
                or (name in {"href", "src", "action", "hx-get", "data-from"} and not _is_own(value or "", tag))
            ):
                self.found.append(f"<{tag} {name}={value!r}>")
        if tag == "script" and not any(name in {"src", "type"} for name, _ in attrs):
            self.found.append("<script> of its own")


def _is_own(address: str, tag: str) -> bool:
    return address.startswith(("/console", "#", "?")) or address == "" or (tag == "a" and address in _KNOWN)


def injected(page: str) -> list[str]:
    """What in a page is no markup of ours: handlers, styles, marked elements, and addresses elsewhere."""
    return _Markup(page).found
