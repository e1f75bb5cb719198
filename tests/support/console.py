"""A browser without script: it keeps cookies, follows redirections, and sends the forms of pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

import httpx

from logkeep.console.app import Console, ConsoleRules
from logkeep.domain.access import Role
from logkeep.service import identity
from tests.support.installation import Installation

ADDRESS = "http://127.0.0.1:8475"
RULES = ConsoleRules("0123456789abcdef" * 2)


class _Forms(HTMLParser):
    """The forms of a page: action, and the values of their fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("action", ""), {}))
            self._open = True
        elif tag == "input" and self._open and given.get("name") and self._is_sent(given):
            self.found[-1][1][given["name"]] = given.get("value", "")

    def _is_sent(self, given: dict[str, str]) -> bool:
        return given.get("type") not in {"checkbox", "radio"} or "checked" in given

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False


class Browser:
    """One browser; it asks for pages of a console in this process."""

    def __init__(self, console: Any, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.console = console
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(console), base_url=ADDRESS)

    def open_another(self, on_the_way: Callable[[Any], Any] = lambda scope: scope) -> Browser:
        """Another browser at the same console, signed in nowhere; a server may add to the scope `on_the_way`."""

        async def console(scope: Any, receive: Any, send: Any) -> None:
            await self.console(on_the_way(scope), receive, send)

        return Browser(console, self._runner)

    def wait(self, answer: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
        """The answer to a request that no other method sends."""
        return self._runner.run(answer)

    def ask_raw(
        self, method: str, path: str, query: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes = b""
    ) -> int:
        """The status of the answer to any bytes, as a server hands them over."""
        sent: list[Any] = []
        scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": headers}

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        self._runner.run(self.console({**scope, "scheme": "http", "client": ("127.0.0.1", 1)}, receive, send))
        return sent[0]["status"]

    def get(self, path: str, *, follow: bool = True, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._runner.run(self.http.get(path, headers=named, follow_redirects=follow))

    def post(self, path: str, values: dict[str, str], *, follow: bool = True, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._runner.run(self.http.post(path, data=values, headers=named, follow_redirects=follow))

    def submit(self, page: httpx.Response, action: str, **values: str) -> httpx.Response:
        """Send the form of a page whose action begins so, with these values besides those that it has."""
        forms = [(where, fields) for where, fields in _Forms(page.text).found if where.startswith(action)]
        assert forms, f"there is no form to {action}"
        where, fields = forms[0]
        return self.post(where, fields | values)

    def sign_in(self, installation: Installation, role: Role = Role.ADMIN) -> httpx.Response:
        """Sign in with a new key of this role; return the first page."""
        key = identity.add_key(installation.runtime, installation.project, role=role)
        return self.submit(self.get("/console/sign-in?with=key"), "/console/sign-in", ak=key.key.ak, sk=key.sk)

    def close(self) -> None:
        self._runner.run(self.http.aclose())


@contextmanager
def open_browser(installation: Installation, rules: ConsoleRules = RULES) -> Iterator[Browser]:
    """A browser that is signed in nowhere yet."""
    console = Console(installation.runtime, rules)
    with asyncio.Runner() as runner:
        browser = Browser(console, runner)
        yield browser
        browser.close()
        console.close()
