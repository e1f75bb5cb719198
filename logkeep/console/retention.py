"""Retention of one cluster: its rules, what they would remove, protections, and what was removed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from shlex import quote
from typing import Any

from logkeep.console.answers import Answer, Redirect
from logkeep.console.calls import ApiCall, write_calls
from logkeep.console.pools import WaitsFor
from logkeep.console.rendering import N_, show
from logkeep.console.routes import Page, make_form
from logkeep.console.visit import Values, Visit
from logkeep.domain.access import Right
from logkeep.domain.cluster import Cluster
from logkeep.domain.instant import instant
from logkeep.domain.retention import JudgedObject, Preview, Reason, RetentionRule, check_rules
from logkeep.domain.span import read_moment
from logkeep.errors import InvalidField, RuleUnconfirmed
from logkeep.service import coverage, protection, retention

_EACH_PAGE = 50  # objects
_MOST_REMOVALS = 100
_MOST_LOGS = 200
_MOST_OFFSET = 100_000_000
_RUN_SECONDS = 30.0  # that a page waits for a run; the rest goes on without it
UNITS = {"MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}

REASONS = {
    Reason.OUT: N_("out of every limit of the rule"),
    Reason.NO_RULE: N_("no rule lets it go"),
    Reason.UNCONFIRMED: N_("the rule is not confirmed"),
    Reason.UNKNOWN_AGE: N_("it is not known when it was stored"),
    Reason.WITHIN_DAYS: N_("stored within the days of the rule"),
    Reason.WITHIN_BYTES: N_("within the bytes of the rule"),
    Reason.WITHIN_JOBS: N_("stored by one of the backups that the rule keeps"),
    Reason.NOT_IN_CHAIN: N_("no proven manifest names it"),
    Reason.REPAIR: N_("the next backup is to keep it again"),
    Reason.PROTECTED: N_("protected"),
    Reason.ON_NODE: N_("the node still has the file"),
    Reason.NEWEST: N_("the newest of its log"),
    Reason.EARLIER_KEPT: N_("what comes before it in the same file is kept"),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What a run would do, and one page of the objects that were asked for."""

    preview: Preview
    objects: list[JudgedObject]
    total: int  # of those


def show_retention(visit: Visit) -> Answer:
    cluster, query = visit.cluster(), visit.query
    state = retention.get_state(visit.runtime, cluster)
    log = query["log"]
    removals = retention.list_removals(visit.runtime, cluster, query["of-node"], query["of-log"], _MOST_REMOVALS + 1)
    chosen = next((one.rule for one in state.rules if query["change"] and one.rule.log == log), None)
    size, unit = _write_size(chosen.keep_bytes) if chosen and chosen.keep_bytes else ("", "GiB")
    typed = query if query["rule"] else visit.form
    return show(
        visit,
        "retention.html",
        cluster=cluster,
        tab="/retention",
        state=state,
        chosen=chosen,
        units=UNITS,
        size=size,
        unit=unit,
        typed=typed if typed["rule"] else None,
        families=_list_families(visit, cluster),
        protections=protection.list_protections(visit.runtime, cluster),
        removals=removals[:_MOST_REMOVALS],
        more_removals=len(removals) > _MOST_REMOVALS,
        calls=_write_calls(visit, cluster, [one.rule for one in state.rules]),
        command=f"logkeep retention show {quote(cluster.name)}",
    )


def show_preview(visit: Visit) -> Answer:
    """Show what the rules that are set would remove, or what they would with one of them as it was typed."""
    cluster = visit.cluster()
    states = retention.list_rules(visit.runtime, cluster)
    saved = [one.rule for one in states]
    tried = _read_rule(visit.query) if visit.query["rule"] else None
    rules = [*(one for one in saved if one.log != tried.log), tried] if tried else saved
    check_rules(rules)
    offset = visit.query.number("from", 0, 0, _MOST_OFFSET)
    judged = _judge(retention.judge(visit.runtime, cluster, rules), visit.query["show"], visit.query["of"], offset)
    return show(
        visit,
        "retention_preview.html",
        cluster=cluster,
        tab="/retention",
        judged=judged,
        logs=sorted(judged.preview.by_log.values(), key=lambda one: one.log)[:_MOST_LOGS],
        most_logs=_MOST_LOGS,
        reasons=REASONS,
        rules=sorted(rules, key=lambda one: one.log),
        tried=tried if tried and tried not in saved else None,
        confirmed=all(one.confirmed_at is not None for one in states),
        version=_version_of(saved),
        offset=offset,
        each=_EACH_PAGE,
        calls=_write_calls(visit, cluster, rules),
        command=f"logkeep retention run {quote(cluster.name)} --objects",
    )


def set_rule(visit: Visit) -> Answer:
    cluster, rule = visit.cluster(), _read_rule(visit.form)
    rules = [one.rule for one in retention.list_rules(visit.runtime, cluster) if one.rule.log != rule.log]
    retention.set_rules(visit.runtime, cluster, [*rules, rule], _who(visit))
    return Redirect(f"/console/clusters/{cluster.id}/retention/preview?done=saved")


def remove_rule(visit: Visit) -> Answer:
    cluster, log = visit.cluster(), visit.form.raw("log")
    rules = [one.rule for one in retention.list_rules(visit.runtime, cluster)]
    retention.set_rules(visit.runtime, cluster, [one for one in rules if one.log != log], _who(visit))
    return _done(cluster, "rule-removed")


def run_retention(visit: Visit) -> Answer:
    """Remove what was previewed, and confirm the rules; what takes longer than a page waits goes on by itself."""
    cluster = visit.cluster()
    rules = [one.rule for one in retention.list_rules(visit.runtime, cluster)]
    if visit.form["rules"] != _version_of(rules):
        raise RuleUnconfirmed(N_("The rules were changed since this page was loaded; look at what they remove now."))
    done, until = False, time.monotonic() + _RUN_SECONDS
    with closing(retention.run(visit.runtime, cluster, confirm=True, who=_who(visit), rules=rules)) as steps:
        for step in steps:
            done = step.done
            if time.monotonic() > until:
                break
    return _done(cluster, "removed" if done else "removing")


def protect(visit: Visit) -> Answer:
    cluster, form = visit.cluster(), visit.form
    protection.protect(
        visit.runtime,
        cluster,
        why=form["why"],
        who=_who(visit),
        job_id=form["job"].lower(),
        span_from=form["since"],
        span_until=form["until"],
        node=form["node"],
        log=form["log"],
        expires_at=_read_end(form["expires"]),
    )
    return _done(cluster, "protected")


def unprotect(visit: Visit) -> Answer:
    cluster = visit.cluster()
    protection.unprotect(visit.runtime, cluster, visit.form["id"], _who(visit))
    return _done(cluster, "unprotected")


def go_back(visit: Visit) -> Answer:
    """Lead to the page from the address of a form that was sent, as where the page is loaded again."""
    return Redirect(f"/console/clusters/{visit.parameters['cluster_id']}/retention")


def _done(cluster: Cluster, what: str) -> Redirect:
    return Redirect(f"/console/clusters/{cluster.id}/retention?done={what}")


def _who(visit: Visit) -> str:
    assert visit.caller
    return visit.caller.name


def _judge(objects: Iterable[JudgedObject], wanted: str, log: str, offset: int) -> Judged:
    """Sum all up, and pick those that are wanted: `goes`, `left`, or those of a reason; of one log or of all."""
    judged, preview, total = list[JudgedObject](), Preview(), 0
    wanted = wanted or "goes"
    for one in objects:
        preview.add(one)
        told = "goes" if one.goes else "left"
        if wanted in {told, one.reason.value} and log in {"", one.kept.log}:
            if offset <= total < offset + _EACH_PAGE:
                judged.append(one)
            total += 1
    return Judged(preview, judged, total)


def _list_families(visit: Visit, cluster: Cluster) -> list[str]:
    page = coverage.list_page(visit.runtime, cluster, limit=_MOST_LOGS)
    return sorted({one.family for one in page.logs if one.family})


def _read_rule(values: Values) -> RetentionRule:
    """Read the form of one rule. Raises `InvalidField`."""
    days, jobs = _read_number(values, "days", "keep_days"), _read_number(values, "jobs", "keep_jobs")
    rule = RetentionRule(values.raw("log"), days, _read_bytes(values), jobs)
    if values["forever"] and rule.is_limited:
        raise InvalidField("rules", N_("a log that is kept for ever has no limits; leave them empty"))
    if not values["forever"] and not rule.is_limited:
        raise InvalidField("rules", N_("give at least one limit"))
    return rule


def _read_number(values: Values, name: str, field: str) -> int:
    text = values[name]
    if text and not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidField(f"rules.{field}", N_("a whole number is allowed; empty is no limit"))
    return int(text or 0)


def _read_bytes(values: Values) -> int:
    text, unit = values["size"], UNITS.get(values["unit"], 0)
    try:
        size = round(float(text) * unit) if text else 0
    except (ValueError, OverflowError):
        size = -1
    if size < 0 or (text and not size):
        raise InvalidField("rules.keep_bytes", N_("a number is allowed; empty is no limit"))
    return size


def _write_size(size: int) -> tuple[str, str]:
    """Return a number and the largest unit in which it is short."""
    unit = next((one for one in reversed(UNITS) if size % UNITS[one] == 0), "MiB")
    return f"{size / UNITS[unit]:.15g}", unit


def _read_end(text: str) -> int | None:
    """Return the moment (Unix ms) at which a protection ends; a time without a zone is one of UTC."""
    if not text:
        return None
    try:
        moment = read_moment(text)
    except ValueError as error:
        raise InvalidField("expires_at", str(error)) from None
    seconds = moment.instant.timestamp() if moment.instant else instant(moment.written)
    return round(seconds * 1000)


def _version_of(rules: Iterable[RetentionRule]) -> str:
    """Return by what a form says which rules it was made of."""
    return sha256("\n".join(sorted(one.text for one in rules)).encode(errors="replace")).hexdigest()[:32]


def _write_calls(visit: Visit, cluster: Cluster, rules: Sequence[RetentionRule]) -> dict[str, dict[str, str]]:
    """Return the call that each form makes, with what stands in it, by the form's name."""
    path = f"/api/v1/clusters/{cluster.id}"
    told = [
        {"log": one.log, "keep_days": one.keep_days, "keep_bytes": one.keep_bytes, "keep_jobs": one.keep_jobs}
        for one in rules
    ]
    span = {"since": "2026-11-24", "until": "2026-11-26", "log": "gc.log", "why": "ticket 4711"}
    rows: dict[str, tuple[str, str, str, dict[str, object]]] = {
        "set": ("SetRetention", "PUT", f"{path}/retention", {"rules": told}),
        "preview": ("PreviewRetention", "POST", f"{path}/retention/preview", {"rules": told, "objects": True}),
        "run": ("RunRetention", "POST", f"{path}/retention/run", {"confirm": True, "rules": told}),
        "protect": ("AddProtection", "POST", f"{path}/protections", {**span}),
    }

    def write(operation: str, method: str, path: str, body: dict[str, Any]) -> dict[str, str]:
        call = ApiCall(operation=operation, method=method, path=path, body=body, css=False)
        return write_calls(call, visit.base_url, visit.project_id)

    return {name: write(*row) for name, row in rows.items()}


_form = partial(make_form, below="/clusters/{cluster_id}/retention", again=show_retention)

PAGES = (
    Page(path="/clusters/{cluster_id}/retention", handler=show_retention),
    Page(
        path="/clusters/{cluster_id}/retention/preview",
        handler=show_preview,
        waits_for=WaitsFor.BUCKETS,  # it reads all that is known of the archive, which may take half a minute
        again=show_retention,
    ),
    _form("set", set_rule, "SetRetention"),
    _form("remove-rule", remove_rule, "SetRetention"),
    _form("run", run_retention, "RunRetention", WaitsFor.BUCKETS),
    _form("protect", protect, "AddProtection", right=Right.OPERATE),
    _form("unprotect", unprotect, "RemoveProtection"),
    Page(path="/clusters/{cluster_id}/retention/{form}", handler=go_back),
)
