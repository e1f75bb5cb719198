"""Who changed what in the project, and who was refused."""

from __future__ import annotations

from logkeep.console.answers import Answer, make_csv
from logkeep.console.rendering import show
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.domain.access import AuditPosition, Right
from logkeep.domain.audit_table import csv_lines
from logkeep.domain.instant import instant
from logkeep.domain.span import read_moment
from logkeep.errors import InvalidField
from logkeep.service import audit

_EACH_PAGE = 50


def show_audit(visit: Visit) -> Answer:
    page = audit.list_page(
        visit.runtime, visit.project_id, since_ms=_since_ms(visit), after=_position(visit), limit=_EACH_PAGE
    )
    return show(visit, "audit.html", page=page)


def show_refused(visit: Visit) -> Answer:
    return show(visit, "audit.html", page=None)


def export_audit(visit: Visit) -> Answer:
    entries = audit.iterate_entries(visit.runtime, visit.project_id, since_ms=_since_ms(visit))
    return make_csv("audit.csv", csv_lines(entries))


def _since_ms(visit: Visit) -> int:
    """Return the moment (Unix ms) from which entries are wanted; a time without a zone is one of UTC."""
    text = visit.query["since"]
    if not text:
        return 0
    try:
        moment = read_moment(text)
    except ValueError as error:
        raise InvalidField("since", str(error)) from None
    seconds = moment.instant.timestamp() if moment.instant else instant(moment.written)
    return max(0, round(seconds * 1000))


def _position(visit: Visit) -> AuditPosition | None:
    """Return where the page begins that the address names; without such a name, at the newest."""
    at, _, number = visit.query["after"].partition(".")
    parts = [int(one) for one in (at, number) if one.isascii() and one.isdigit() and len(one) < 16]
    return AuditPosition(*parts) if len(parts) == 2 else None


PAGES = (
    Page(path="/audit", handler=show_audit, right=Right.ADMINISTER, again=show_refused),
    Page(path="/audit/export", handler=export_audit, right=Right.ADMINISTER, again=show_refused, streams=True),
)
