"""Signing in, by a password, an access key or a link that works once; signing out; choosing a language."""

from __future__ import annotations

from logkeep.console.answers import Answer, Redirect
from logkeep.console.pools import WaitsFor
from logkeep.console.rendering import show
from logkeep.console.routes import Page
from logkeep.console.texts import LANGUAGES
from logkeep.console.visit import Visit
from logkeep.errors import WrongPassword
from logkeep.service import console_sessions, identity

_FIRST = "/console/clusters"


def show_first(_visit: Visit) -> Answer:
    return Redirect(_FIRST)


def show_sign_in(visit: Visit) -> Answer:
    if visit.caller and not visit.error:
        return Redirect(_own_path(visit.query["next"]))
    return show(visit, "sign_in.html", by_key="key" in visit.query["with"] or bool(visit.form["ak"]))


def sign_in(visit: Visit) -> Answer:
    try:
        new = _begin_session(visit)
    except WrongPassword as error:  # the audit of the project whose key or user was meant tells of it
        visit.trail.who, visit.trail.project_id = error.who, error.project_id
        raise
    _note(visit, new)
    return Redirect(_own_path(visit.query["next"]), session=new.secret)


def _begin_session(visit: Visit) -> console_sessions.NewSession:
    form, address = visit.form, visit.trail.address
    if form["ak"]:
        return console_sessions.sign_in_key(visit.runtime, form["ak"], form["sk"], address)
    return console_sessions.sign_in_user(visit.runtime, form["user"], form.raw("password"), address)


def show_link(visit: Visit) -> Answer:
    """Show what a link is for; only the button spends it, as programs that show previews ask for links."""
    caller = console_sessions.find_link(visit.runtime, visit.parameters["secret"])
    return show(visit, "link.html", caller=caller, project=identity.get_project(visit.runtime, caller.project_id))


def spend_link(visit: Visit) -> Answer:
    new = console_sessions.spend_link(visit.runtime, visit.parameters["secret"])
    _note(visit, new)
    return Redirect(_FIRST, session=new.secret)


def sign_out(visit: Visit) -> Answer:
    if visit.caller:
        console_sessions.end_session(visit.runtime, visit.secret)
    return Redirect("/console/sign-in", session="")


def choose_language(visit: Visit) -> Answer:
    language = visit.form["language"]
    return Redirect(_own_path(visit.form["next"]), language=language if language in LANGUAGES else "")


def _note(visit: Visit, new: console_sessions.NewSession) -> None:
    visit.trail.who, visit.trail.project_id, visit.trail.proven = new.caller.name, new.caller.project_id, True


def _own_path(wanted: str) -> str:
    """Return the path if it is one of the console, else the first page: a link from elsewhere leads nowhere else."""
    safe = wanted.startswith("/console/") and wanted.isprintable() and "\\" not in wanted and "//" not in wanted
    return wanted if safe else _FIRST


PAGES = (
    Page(path="", handler=show_first, right=None),
    Page(path="/", handler=show_first, right=None),
    Page(path="/sign-in", handler=show_sign_in, right=None),
    Page(
        path="/sign-in",
        method="POST",
        handler=sign_in,
        right=None,
        waits_for=WaitsFor.SIGN_IN,
        operation="SignInToConsole",
        again=show_sign_in,
    ),
    Page(path="/link/{secret}", handler=show_link, right=None),
    Page(
        path="/link/{secret}",
        method="POST",
        handler=spend_link,
        right=None,
        waits_for=WaitsFor.SIGN_IN,
        operation="SignInToConsole",
    ),
    Page(path="/sign-out", method="POST", handler=sign_out, right=None, waits_for=WaitsFor.WRITES),
    Page(path="/language", method="POST", handler=choose_language, right=None),
)
