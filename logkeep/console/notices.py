"""What was told of changes, and whether it arrived; and the targets that it is sent to."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

from logkeep.console.answers import Answer, Redirect
from logkeep.console.pools import WaitsFor
from logkeep.console.rendering import N_, show
from logkeep.console.routes import Page, make_form
from logkeep.console.sent_forms import SentAlready, SentForms
from logkeep.console.visit import Visit
from logkeep.domain.notice import Delivery, Event
from logkeep.domain.notice_target import NewTarget
from logkeep.errors import InvalidField
from logkeep.service import notice_targets, notices

_EACH_PAGE = 50
_PATH = "/console/notices"
_sent = SentForms()

EVENTS = {
    Event.BACKUP_FAILED: N_("a backup failed"),
    Event.BACKUP_STALE: N_("no backup has succeeded for too long"),
    Event.BACKUP_MISSED: N_("a daily backup did not start in time"),
    Event.BACKUP_RECOVERED: N_("backups succeed again"),
    Event.BACKUP_UNPLANNED: N_("there is no daily backup"),
    Event.BACKUP_UNOPENED: N_("log backup was never opened"),
    Event.JOB_STUCK: N_("a backup waits or runs for too long"),
    Event.LINES_LOST: N_("lines were deleted before they were kept"),
    Event.NODE_LEFT_OUT: N_("a node is not backed up"),
    Event.NODE_NEW: N_("a node is new"),
    Event.LOGS_LEFT_OUT: N_("logs are left out"),
    Event.ARCHIVE_DAMAGED: N_("a verification found something"),
    Event.ARCHIVE_UNVERIFIED: N_("a verification cannot be carried out"),
    Event.RECOVERED: N_("in order again"),
    Event.BUCKET_AWAY: N_("a bucket is away"),
    Event.BUCKET_BACK: N_("a bucket is back"),
    Event.DATABASE_AWAY: N_("the database is away"),
    Event.DATABASE_BACK: N_("the database is back"),
    Event.DELIVERY_FAILED: N_("notices cannot be delivered"),
    Event.RETENTION_REFUSED: N_("objects could not be removed"),
    Event.TEST: N_("a test"),
}
_CHOICES = [event for event in Event if event is not Event.TEST]  # that a target may be for


def show_notices(visit: Visit) -> Answer:
    return _show(visit)


def add_target(visit: Visit) -> Answer:
    """Add a webhook, and show its secret on the page that answers: no address leads to it."""
    form = visit.form
    new = NewTarget(
        name=form["name"],
        url=form["url"],
        secret=form["secret"],
        clusters=tuple(part.strip() for part in form["clusters"].split(",") if part.strip()),
        events=tuple(form.all("event")),
        quiet=form["quiet"],
        zone=form["zone"] or "UTC",
    )
    try:
        with _sent.once(form["token"], visit.runtime.clock.now_ms()):
            target, secret = notice_targets.add_target(visit.runtime, visit.project_id, new)
    except SentAlready:
        raise SentAlready(N_("This form was sent already; no second target was added.")) from None
    except InvalidField as error:
        raise _in_the_form(error) from error
    return show(visit, "new_target.html", target=target, secret=secret)


def _in_the_form(error: InvalidField) -> InvalidField:
    """Return the error under a name that is no other form's: a cluster has a URL too."""
    if error.field != "url":
        return error
    return InvalidField("webhook", error.message.partition(": ")[2])


def remove_target(visit: Visit) -> Answer:
    notice_targets.remove_target(visit.runtime, visit.project_id, visit.form["name"])
    return Redirect(f"{_PATH}?{urlencode({'done': 'removed'})}")


def test_target(visit: Visit) -> Answer:
    """Send a notice, and tell on the page that answers what came back: it is true of this moment only."""
    tested = notice_targets.test_target(visit.runtime, visit.project_id, visit.form["name"])
    return _show(visit, tested=tested)


def _show(visit: Visit, *, tested: Delivery | None = None) -> Answer:
    offset = visit.query.number("offset", 0, 0, 1_000_000)
    cluster_id = visit.query["cluster"].lower()
    found, total = notices.list_notices(
        visit.runtime, visit.project_id, offset=offset, limit=_EACH_PAGE, cluster_id=cluster_id
    )
    return show(
        visit,
        "notices.html",
        notices=found,
        total=total,
        offset=offset,
        each=_EACH_PAGE,
        cluster_id=cluster_id,
        targets=notice_targets.list_targets(visit.runtime, visit.project_id),
        tested=tested,
        events=EVENTS,
        choices=_CHOICES,
        done=visit.query["done"],
    )


_form = partial(make_form, below="/notices", again=show_notices)

PAGES = (
    Page(path="/notices", handler=show_notices),
    _form("add-target", add_target, "AddNoticeTarget", WaitsFor.WRITES),
    _form("remove-target", remove_target, "RemoveNoticeTarget", WaitsFor.WRITES),
    _form("test-target", test_target, "TestNoticeTarget", WaitsFor.NODES),
)
