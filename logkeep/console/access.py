"""Keys and users of the project: who may ask the service for what."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

from logkeep.console.answers import Answer, Redirect
from logkeep.console.rendering import N_, show
from logkeep.console.routes import Page, make_form
from logkeep.console.sent_forms import SentAlready, SentForms
from logkeep.console.visit import Visit
from logkeep.domain.access import KeyKind, Right, Role
from logkeep.errors import InvalidField
from logkeep.service import identity, users

_EACH_PAGE = 50
_PATH = "/console/access"
_FARTHEST = 1_000_000  # row that can be asked for
_sent = SentForms()


def show_access(visit: Visit) -> Answer:
    query = visit.query
    kind = next((one for one in KeyKind if one == query["keys"]), KeyKind.LASTING)
    ended = query["users"] == "ended"
    key_offset, user_offset = (query.number(name, 0, 0, _FARTHEST) for name in ("from-key", "from-user"))
    keys = identity.list_project_keys(visit.runtime, visit.project_id, kind, offset=key_offset, limit=_EACH_PAGE)
    found, total = users.list_project_users(
        visit.runtime, visit.project_id, ended=ended, offset=user_offset, limit=_EACH_PAGE
    )
    return show(
        visit,
        "access.html",
        keys=keys,
        kind=kind,
        users=found,
        users_total=total,
        ended=ended,
        key_offset=key_offset,
        user_offset=user_offset,
        each_page=_EACH_PAGE,
        roles=list(Role),
        done=query["done"],
    )


def add_key(visit: Visit) -> Answer:
    """Make a key, and show its secret on the page that answers: no address leads to it."""
    _expect_lasting(visit)
    assert visit.project
    try:
        with _sent.once(visit.form["token"], visit.runtime.clock.now_ms()):
            new = identity.add_key(visit.runtime, visit.project, role=_role(visit))
    except SentAlready:
        raise SentAlready(N_("This form was sent already; no second key was made.")) from None
    return show(visit, "new_key.html", new=new)


def revoke_key(visit: Visit) -> Answer:
    _expect_lasting(visit)
    ak = visit.form["ak"]
    identity.revoke_key(visit.runtime, ak, visit.project_id)
    return _after(visit, ak, "key-revoked")


def add_user(visit: Visit) -> Answer:
    _expect_lasting(visit)
    assert visit.project
    users.add_user(visit.runtime, visit.project, visit.form["name"], visit.form.raw("password"), _role(visit))
    return Redirect(f"{_PATH}?done=user-added")


def change_password(visit: Visit) -> Answer:
    _expect_lasting(visit)
    name = visit.form["name"]
    users.change_password(visit.runtime, name, visit.form.raw("password"), visit.project_id)
    return _after(visit, name, "password-changed")


def revoke_user(visit: Visit) -> Answer:
    _expect_lasting(visit)
    name = visit.form["name"]
    users.revoke_user(visit.runtime, name, visit.project_id)
    return _after(visit, name, "user-revoked")


def _after(visit: Visit, name: str, done: str) -> Redirect:
    """Return to the page, or to signing in where this was the reader's own key, user or password."""
    if visit.caller and visit.caller.name == name:
        return Redirect("/console/sign-in", session="")
    return Redirect(f"{_PATH}?{urlencode({'done': done})}")


def _expect_lasting(visit: Visit) -> None:
    assert visit.caller
    identity.expect_lasting(visit.runtime, visit.caller)


def _role(visit: Visit) -> Role:
    """Return the role that the form names. Raises `InvalidField`: nothing is taken for another role."""
    role = next((one for one in Role if one == visit.form["role"]), None)
    if role is None:
        raise InvalidField("role", f"choose one of {', '.join(Role)}")
    return role


_form = partial(make_form, below="/access", again=show_access)

PAGES = (
    Page(path="/access", handler=show_access, right=Right.ADMINISTER),
    _form("add-key", add_key, "AddKey"),
    _form("revoke-key", revoke_key, "RevokeKey"),
    _form("add-user", add_user, "AddUser"),
    _form("change-password", change_password, "ChangePassword"),
    _form("revoke-user", revoke_user, "RevokeUser"),
)
