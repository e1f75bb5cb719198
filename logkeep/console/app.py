"""The console as an ASGI application: sessions, tokens of forms, rights, and where errors become pages."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from urllib.parse import quote

import structlog
from starlette.types import Receive, Scope, Send

from logkeep.console.answers import Html, Redirect, Unchanged
from logkeep.console.pages import PAGES
from logkeep.console.pools import Pools, WaitsFor
from logkeep.console.refusals import make_refusal
from logkeep.console.rendering import N_, render
from logkeep.console.requests import ConsoleRequest
from logkeep.console.routes import Page, find_page
from logkeep.console.sending import Header, find_file, keep_others_out, send_answer, send_file
from logkeep.console.sent_forms import SentAlready
from logkeep.console.texts import choose_language, texts_of
from logkeep.console.visit import Values, Visit
from logkeep.domain.access import AuditTrail, Caller
from logkeep.domain.cluster import Project
from logkeep.errors import (
    ArchiveProtected,
    BackupClosed,
    BackupRunning,
    BucketNotWritable,
    CatalogueError,
    ClusterNotFound,
    LogkeepError,
    NotAuthenticated,
    NotAuthorized,
    NothingToRetry,
    Overloaded,
    RequestError,
    RuleUnconfirmed,
    SessionEnded,
    SettingError,
    SourceError,
    StoreError,
)
from logkeep.http.addresses import ClientAddresses
from logkeep.http.bodies import SMALL, Budget, Reader
from logkeep.http.protocol import CONNECTION
from logkeep.http.streams import StartedStream, Stream, StreamSlots, discard, send_stream
from logkeep.service import console_sessions, identity
from logkeep.service.auditing import Auditor
from logkeep.service.console_sessions import FoundSession
from logkeep.service.runtime import Runtime

_BODIES = 1024 * 1024  # bytes of forms that are read at a time
_STREAMS, _STREAMS_EACH = 16, 8  # downloads at a time, and of one project
_NOTE_SECONDS = 1.0  # that a page waits until it is noted that its session is in use
_LANGUAGE_COOKIE, _LANGUAGE_SECONDS = "logkeep_language", 365 * 86_400
_logger = structlog.get_logger("logkeep.console")


@dataclass(frozen=True, slots=True)
class ConsoleRules:
    """Settings of the console."""

    installation_id: str  # its first digits are in the names of cookies, which ports do not tell apart
    idle_ms: int = 3_600_000  # of a session
    hosts: tuple[str, ...] = ()  # names by which browsers may reach it, besides addresses and localhost


class StaleForm(LogkeepError):
    """This form is no longer valid. Go back, load the page again, and try once more."""


class UnknownHost(LogkeepError):
    """The console is not served under this name."""


class NoSuchPage(LogkeepError):
    """There is no such page."""


_STATUS: dict[type[LogkeepError], int] = {
    SettingError: 400,
    RequestError: 400,
    StaleForm: 403,
    NotAuthenticated: 401,
    NotAuthorized: 403,
    NoSuchPage: 404,
    ClusterNotFound: 404,
    BackupClosed: 409,
    BackupRunning: 409,
    NothingToRetry: 409,
    RuleUnconfirmed: 409,
    ArchiveProtected: 409,
    SentAlready: 409,
    BucketNotWritable: 412,
    UnknownHost: 421,
    StoreError: 503,
    SourceError: 503,
    CatalogueError: 503,
    Overloaded: 503,
}
# After these no form is shown again: it is not for who sent it, or does not know what became of it.
_NEVER_AGAIN = (StaleForm, UnknownHost, NoSuchPage, NotAuthorized, Overloaded)


class Console:
    """All below `/console`."""

    def __init__(self, runtime: Runtime, rules: ConsoleRules) -> None:
        self._runtime = runtime
        self._rules = rules
        self._cookie = f"logkeep_{rules.installation_id[:12]}"
        self._addresses = ClientAddresses(runtime.trusted_proxies)
        self._auditor = Auditor(runtime)
        self._bodies = Budget(_BODIES, SMALL)
        self._pools: Pools | None = None
        self._streams = StreamSlots(_STREAMS, _STREAMS_EACH, N_("Too many downloads are running just now."))

    def close(self) -> None:
        if self._pools:
            self._pools.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._pools is None:
            self._pools = Pools()
        request = ConsoleRequest(scope, os.urandom(16).hex())
        if file := find_file(request.path):
            await send_file(send, request, file)
            return
        page, parameters = find_page(PAGES, request.method, request.path)
        visit = self._begin(request, parameters)
        answer = await self._respond(page, visit, request, receive, self._pools)
        if isinstance(answer, StartedStream):
            if request.method == "HEAD":  # else all of it would be made, and the connection wait for nothing
                answer = answer._replace(first=None)
            try:
                await send_stream(receive, send, request.id, answer, lambda error: _log_fault(error, request))
            finally:
                self._streams.end(answer.owner)
        elif answer:
            await send_answer(send, request, answer, self._cookies(answer, visit, request))

    async def _respond(
        self, page: Page | None, visit: Visit, request: ConsoleRequest, receive: Receive, pools: Pools
    ) -> Html | Redirect | Unchanged | StartedStream | None:
        """Answer one request; None if the client has disconnected before it was complete."""
        try:
            if not request.is_for(self._rules.hosts):
                raise UnknownHost()
            if page is None:
                raise NoSuchPage()
            visit = await self._identify(visit, page, request, pools)
            if page.right and visit.caller is None:
                return _to_sign_in(request)
            if not _may_see(visit, page):
                await self._note_refused(page, visit, request, pools)
                raise NotAuthorized(N_("Your role does not allow this; ask an administrator of the project."))
            form = await self._read_form(visit, request, receive)
            if form is None:
                return None
            visit = replace(visit, query=Values.parse(request.query), form=form)
            if request.method == "POST" and not (request.is_same_site and visit.owns(form["token"])):
                raise StaleForm()
            return await self._handle(page, visit, request, pools)
        except Exception as error:
            return await self._refuse(error, page, visit, request, pools)

    async def _note_refused(self, page: Page, visit: Visit, request: ConsoleRequest, pools: Pools) -> None:
        """Record in the audit that somebody asked for a change that the role does not allow."""
        if page.operation:
            record = self._auditor.record
            await pools[WaitsFor.WRITES].run(visit.project_id, record, visit.trail, page.operation, 403, "", request.id)

    def _begin(self, request: ConsoleRequest, parameters: Mapping[str, str]) -> Visit:
        """Return the visit of a stranger, which every visit is at first."""
        chosen, accepted = request.cookies.get(_LANGUAGE_COOKIE, ""), request.header(b"accept-language")
        return Visit(
            runtime=self._runtime,
            caller=None,
            project=None,
            secret=request.cookies.get(f"{self._cookie}_form") or secrets.token_hex(16),
            trail=AuditTrail(self._addresses.find(request.scope)),
            path=request.path,
            parameters=parameters,
            query=Values({}),
            form=Values({}),
            texts=texts_of(choose_language(chosen, accepted)),
            base_url=f"{self._addresses.find_scheme(request.scope)}://{request.host}",
            etag=request.header(b"if-none-match"),
            is_part=request.is_part,
        )

    async def _identify(self, visit: Visit, page: Page, request: ConsoleRequest, pools: Pools) -> Visit:
        """Find whose session it is; without one, the visit stays a stranger's."""
        secret = request.cookies.get(self._cookie)
        if not secret:
            return visit
        connection = request.scope.get(CONNECTION)
        known = connection.owner if connection else ""
        pool = pools[WaitsFor.CALLERS if known else WaitsFor.STRANGERS]
        try:
            found, project = await pool.run(known or visit.trail.address, self._find, secret)
        except SessionEnded:
            return visit
        caller = found.caller
        trail = visit.trail
        trail.who, trail.project_id, trail.proven = caller.name, caller.project_id, True
        if connection:
            connection.know(caller.project_id)
        if found.due and not page.polled:
            await self._note_use(secret, caller, request, pools)
        return replace(visit, caller=caller, project=project, secret=secret)

    def _find(self, secret: str) -> tuple[FoundSession, Project]:
        found = console_sessions.find_session(self._runtime, secret, self._rules.idle_ms)
        return found, identity.get_project(self._runtime, found.caller.project_id)

    async def _note_use(self, secret: str, caller: Caller, request: ConsoleRequest, pools: Pools) -> None:
        """Note that a session is in use; a database that is full or locked keeps nobody from reading pages."""
        note = pools[WaitsFor.WRITES].run(caller.project_id, console_sessions.note_use, self._runtime, secret)
        note.add_done_callback(lambda done: _tell_unnoted(done, request))
        await asyncio.wait({note}, timeout=_NOTE_SECONDS)

    async def _read_form(self, visit: Visit, request: ConsoleRequest, receive: Receive) -> Values | None:
        if request.method != "POST":
            return Values({})
        with closing(Reader(self._bodies, visit.trail.who or visit.trail.address, SMALL)) as reader:
            body = await reader.read(request.headers, receive)
        return None if body is None else Values.parse(body)

    async def _handle(
        self, page: Page, visit: Visit, request: ConsoleRequest, pools: Pools
    ) -> Html | Redirect | Unchanged | StartedStream:
        pool, owner = pools[page.waits_for], visit.trail.project_id or visit.trail.address
        if not page.streams:
            answer = await pool.run(owner, self._call, page, visit, request, discard=discard)
            assert not isinstance(answer, StartedStream)
            return answer
        return await self._streams.begin(pool, owner, self._call, page, visit, request)

    def _call(self, page: Page, visit: Visit, request: ConsoleRequest) -> Html | Redirect | Unchanged | StartedStream:
        """Call the page's handler, in a thread, and record in the audit what was to be changed."""
        status = 500
        try:
            answer = page.handler(visit)
            status = 200
        except Exception as error:
            status = _status_of(error)
            raise
        finally:
            if page.operation:
                self._auditor.record(visit.trail, page.operation, status, "", request.id)
        if isinstance(answer, Stream):
            return StartedStream(keep_others_out(answer), next(answer.chunks, None))
        return answer

    async def _refuse(
        self, error: Exception, page: Page | None, visit: Visit, request: ConsoleRequest, pools: Pools
    ) -> Html:
        """Show the form again that was refused, or a page that tells why nothing can be shown."""
        again = page.again if page and _may_see(visit, page) else None
        if page and again and isinstance(error, LogkeepError) and not isinstance(error, _NEVER_AGAIN):
            # It reads the database alone; behind others that wait for nodes or buckets it would come minutes late.
            pool, owner = pools[WaitsFor.READS], visit.trail.project_id or visit.trail.address
            try:
                told = make_refusal(error, visit)
                shown = await pool.run(owner, again, replace(visit, error=told.message, wrong=told.wrong))
                assert isinstance(shown, Html)
                return replace(shown, status=_status_of(error))
            except Exception as second:
                error = second
        return self._error_page(error, visit, request)

    def _error_page(self, error: Exception, visit: Visit, request: ConsoleRequest) -> Html:
        status = _status_of(error)
        if isinstance(error, CatalogueError):
            self._runtime.outage.failed(error)
        elif status >= 500 and not isinstance(error, Overloaded):
            _log_fault(error, request)
        retry: tuple[Header, ...] = ((b"retry-after", b"5"),) if status == 503 else ()
        if request.is_part:  # a part that cannot be had leaves what is there
            return Html("", status, headers=((b"hx-reswap", b"none"), *retry))
        message = make_refusal(error, visit).message if isinstance(error, LogkeepError) else ""
        host = request.host if isinstance(error, UnknownHost) else ""
        back = quote(_page_of_form(request.path)) if isinstance(error, StaleForm) else ""
        body = render(visit, "error.html", status=status, message=message, host=host, request_id=request.id, back=back)
        return Html(body, status, headers=retry)

    def _cookies(self, answer: Html | Redirect | Unchanged, visit: Visit, request: ConsoleRequest) -> list[Header]:
        secure = "; Secure" if visit.base_url.startswith("https:") else ""
        attributes = f"; Path=/console; HttpOnly; SameSite=Lax{secure}"
        cookies: list[str] = []
        if isinstance(answer, Redirect):
            if answer.session is not None:
                ends = "" if answer.session else "; Max-Age=0"
                cookies.append(f"{self._cookie}={answer.session}{attributes}{ends}")
            if answer.language:
                cookies.append(f"{_LANGUAGE_COOKIE}={answer.language}{attributes}; Max-Age={_LANGUAGE_SECONDS}")
        elif not request.cookies.get(f"{self._cookie}_form") and isinstance(answer, Html) and not request.is_part:
            cookies.append(f"{self._cookie}_form={visit.secret}{attributes}")
        return [(b"set-cookie", cookie.encode()) for cookie in cookies]


def _to_sign_in(request: ConsoleRequest) -> Html | Redirect:
    if request.method == "POST":
        ended = f"/console/sign-in?ended=1&next={quote(_page_of_form(request.path), safe='')}"
        return Html("", 401, headers=((b"hx-redirect", ended.encode()),)) if request.is_part else Redirect(ended)
    if request.is_part:
        return Html("", 401, headers=((b"hx-redirect", b"/console/sign-in"),))
    if request.method != "GET":
        return Redirect("/console/sign-in")
    wanted = request.path + (f"?{request.query.decode('latin-1')}" if request.query else "")
    return Redirect(f"/console/sign-in?next={quote(wanted, safe='')}")


def _page_of_form(path: str) -> str:
    """Return the page on which the form of an address stands: what that leads to by GET, else the page above it."""
    return path if find_page(PAGES, "GET", path)[0] else path.rpartition("/")[0]


def _may_see(visit: Visit, page: Page) -> bool:
    return page.right is None or (visit.caller is not None and visit.caller.may(page.right))


def _status_of(error: Exception) -> int:
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def _tell_unnoted(note: asyncio.Future[None], request: ConsoleRequest) -> None:
    if not note.cancelled() and (error := note.exception()):
        _logger.warning("the use of a session was not noted", request_id=request.id, problem=str(error))


def _log_fault(error: Exception, request: ConsoleRequest) -> None:
    known = isinstance(error, SourceError | StoreError)  # whose sentence tells all
    told = {"problem": str(error)} if known else {"exc_info": error}
    _logger.error("a page of the console failed", request_id=request.id, method=request.method, **told)
