"""`retention`: the rules by which objects are removed, what they would remove, and removing it."""

from __future__ import annotations

import re
from shlex import quote
from typing import Annotated, Any
from urllib.parse import quote as quote_url
from urllib.parse import urlencode

import typer
from msgspec import to_builtins

from logkeep.cli.client import ServiceClient, decode, open_client
from logkeep.cli.clusters import CLUSTERS, ClusterName
from logkeep.cli.errors import NotCarriedOut, UsageError
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, invocation
from logkeep.cli.output import (
    note,
    print_document,
    print_fields,
    print_heading,
    print_json,
    print_line,
    print_paragraph,
    print_table,
    waiting,
)
from logkeep.cli.protection import list_protections, print_protections, tell_unknown
from logkeep.cli.selection import NodeName
from logkeep.cli.texts import count_text, moment_text, size_text, time_text, zone_text
from logkeep.contract.native.responses import ClusterView, ErrorLine
from logkeep.contract.native.retention import (
    AmountView,
    ArchiveDeletionList,
    ArchiveDeletionView,
    RemovalList,
    RemovalView,
    RetainedLogLine,
    RetainedObjectLine,
    RetentionEndLine,
    RetentionPreviewEndLine,
    RetentionProgressLine,
    RetentionView,
    RuleStateView,
    RuleView,
)
from logkeep.domain.retention import Reason

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB|PiB)?", re.IGNORECASE)
_UNITS = ("b", "kib", "mib", "gib", "tib", "pib")

# Of an object or of several: why they go, or are kept.
_REASONS = {
    Reason.OUT: "out of every limit of the rule",
    Reason.NO_RULE: "no rule lets them go",
    Reason.UNCONFIRMED: "the rule is not confirmed",
    Reason.UNKNOWN_AGE: "it is not known when they were stored",
    Reason.WITHIN_DAYS: "stored within the days of the rule",
    Reason.WITHIN_BYTES: "within the bytes of the rule",
    Reason.WITHIN_JOBS: "stored by one of the jobs of the rule",
    Reason.NOT_IN_CHAIN: "no proven manifest names them",
    Reason.REPAIR: "the next backup is to keep them again",
    Reason.PROTECTED: "protected",
    Reason.ON_NODE: "the node still has the file",
    Reason.NEWEST: "the newest of a log",
    Reason.EARLIER_KEPT: "what comes before in the same file is kept",
}


def add_commands(app: typer.Typer) -> None:
    retention = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Rules by which kept logs are removed.")
    retention.command("show", epilog=EVERYWHERE)(show_retention)
    retention.command("set", epilog=EVERYWHERE)(set_rule)
    retention.command("run", epilog=EVERYWHERE)(run_retention)
    retention.command("removals", epilog=EVERYWHERE)(list_removals)
    retention.command("deletions", epilog=EVERYWHERE)(list_deletions)
    app.add_typer(retention, name="retention")


def show_retention(context: typer.Context, cluster: ClusterName) -> None:
    """Show the rules and protections of a cluster.

    It also tells what was removed in all, and what the bucket does not remove yet.
    """
    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    state, protections = _fetch_state(client, found), list_protections(client, found)
    if asked.as_json:
        print_json(to_builtins(state) | {"protections": to_builtins(protections)})
        return
    _print_rules(asked, found, state)
    print_line()
    print_fields(_state_fields(state))
    print_protections(protections)


def set_rule(
    context: typer.Context,
    cluster: ClusterName,
    log: Annotated[
        str, typer.Option(metavar="FAMILY", help="The rule of this log, in place of that of the cluster: gc.log.")
    ] = "",
    keep_days: Annotated[
        int, typer.Option(metavar="DAYS", min=0, help="Keep what was stored within so many days.")
    ] = 0,
    keep_bytes: Annotated[
        str, typer.Option(metavar="SIZE", help="Keep the newest, up to so many bytes in the bucket: 500GiB.")
    ] = "",
    keep_jobs: Annotated[
        int, typer.Option(metavar="JOBS", min=0, help="Keep what the newest so many successful backups stored.")
    ] = 0,
    forever: Annotated[bool, typer.Option("--forever", help="With --log: keep all of this log.")] = False,
    none: Annotated[bool, typer.Option("--none", help="Take the rule away.")] = False,
) -> None:
    """Set the rule of a cluster, or of one of its logs.

    What any of its limits keeps is kept. It removes nothing yet: `retention run` shows what it would remove, and
    carries it out with --yes.
    """
    limits = {"keep_days": keep_days, "keep_bytes": _read_size(keep_bytes), "keep_jobs": keep_jobs}
    if sum((any(limits.values()), forever, none)) != 1:
        raise UsageError("give limits (--keep-days, --keep-bytes, --keep-jobs), or --forever, or --none")
    if forever and not log:
        raise UsageError(
            "--forever is for one log; name it with --log. Of the cluster all is kept without a rule: --none"
        )
    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    rules = [_rule_body(one) for one in _fetch_state(client, found).rules if one.log != log]
    document = client.send(
        "PUT", f"{CLUSTERS}/{found.id}/retention", {"rules": rules if none else [*rules, {"log": log, **limits}]}
    )
    if asked.as_json:
        print_document(document)
        return
    if log:
        tell_unknown(client, found, log)
    _print_rules(asked, found, decode(document, RetentionView))


def run_retention(
    context: typer.Context,
    cluster: ClusterName,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it, and confirm the rules for the clock.")] = False,
    objects: Annotated[bool, typer.Option("--objects", help="Without --yes: tell of each object by itself.")] = False,
) -> None:
    """Show what the rules would remove now; with --yes, remove it.

    A rule that is new or was changed removes nothing before it was carried out once with --yes. From then on the clock
    carries it out.
    """
    if yes and objects:
        raise UsageError("--objects tells of each object before anything goes; leave --yes out")
    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    if yes:
        _run(asked, client, found)
    else:
        _preview(asked, client, found, objects=objects)


def list_removals(
    context: typer.Context,
    cluster: ClusterName,
    node: NodeName = "",
    log: Annotated[str, typer.Option(metavar="FAMILY", help="Only this log: gc.log.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 50,
) -> None:
    """List what rules removed of a cluster, newest first."""
    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    query = {name: value for name, value in (("node", node), ("log", log)) if value} | {"limit": str(limit)}
    document = client.get(f"{CLUSTERS}/{found.id}/removals?{urlencode(query, quote_via=quote_url)}")
    if asked.as_json:
        print_document(document)
        return
    removals = decode(document, RemovalList).removals
    if not removals:
        print_line(f"nothing of {'that' if node or log else found.name} was removed by a rule")
        return
    heads = (f"REMOVED ({zone_text()})", "NODE", "LOG", "FROM", "UNTIL", "OBJECTS", "STORED", "RULE")
    print_table(heads, [_removal_row(one) for one in removals], right=(5, 6), cut=(2,), drop=(5, 6, 7, 4))
    if len(removals) == limit:
        note(f"the newest {limit}; more: --limit")


def list_deletions(context: typer.Context) -> None:
    """List archives of removed clusters that are being deleted."""
    asked = invocation(context)
    document = open_client(context).get("/api/v1/archive-deletions")
    if asked.as_json:
        print_document(document)
        return
    deletions = decode(document, ArchiveDeletionList).deletions
    if not deletions:
        print_line("no archive is being deleted, nor was one")
        return
    heads = ("CLUSTER", f"ASKED ({zone_text()})", "BY", "DELETED", "WAITING", "STATE")
    print_table(heads, [_deletion_row(one) for one in deletions], right=(3, 4), drop=(2, 1))
    for one in deletions:
        if one.finished_at is None and one.reason:
            note(f"{one.cluster_name}: {one.reason}; next try {moment_text(one.next_try)}")


def _deletion_row(one: ArchiveDeletionView) -> tuple[str, ...]:
    state = "going on" if one.finished_at is None else f"done {time_text(one.finished_at)}"
    deleted = f"{count_text(one.objects, 'object')}, {size_text(one.stored)}"
    return (one.cluster_name, time_text(one.asked_at), one.asked_by, deleted, f"{one.waiting:,}", state)


def _fetch_state(client: ServiceClient, cluster: ClusterView) -> RetentionView:
    return decode(client.get(f"{CLUSTERS}/{cluster.id}/retention"), RetentionView)


def _read_size(text: str) -> int:
    """Read `500GiB`, `1.5TiB` or a number of bytes; '' is 0. Raises `UsageError`."""
    if not text:
        return 0
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"--keep-bytes {text}: write it as 500GiB; KiB, MiB, GiB and TiB are allowed")
    return round(float(found[1]) * 1024 ** _UNITS.index((found[2] or "B").lower()))


def _rule_body(rule: RuleView) -> dict[str, object]:
    return {
        "log": rule.log,
        "keep_days": rule.keep_days,
        "keep_bytes": rule.keep_bytes,
        "keep_jobs": rule.keep_jobs,
    }


def _print_rules(asked: CommonOptions, cluster: ClusterView, state: RetentionView) -> None:
    if not state.rules:
        print_line(f"{cluster.name} has no rule: nothing is ever removed")
        return
    heads = ("LOG", "KEEPS", f"CHANGED ({zone_text()})", "BY", "CONFIRMED")
    print_table(heads, [_rule_row(one) for one in state.rules], cut=(0,), drop=(3, 2))
    if any(one.confirmed_at is None for one in state.rules):
        name = quote(cluster.name)
        note(
            f"what is not confirmed removes nothing: `{asked.command} retention run {name}` shows what it would, "
            f"`{asked.command} retention run {name} --yes` confirms it"
        )


def _rule_row(rule: RuleStateView) -> tuple[str, ...]:
    confirmed = time_text(rule.confirmed_at) if rule.confirmed_at is not None else "no"
    return (rule.log or "(all others)", _rule_text(rule), time_text(rule.changed_at), rule.changed_by, confirmed)


def _rule_text(rule: RuleView) -> str:
    """`90 days, 10 jobs`, or `all, for ever`."""
    told = [count_text(rule.keep_days, "day")] if rule.keep_days else []
    told += [size_text(rule.keep_bytes)] if rule.keep_bytes else []
    told += [count_text(rule.keep_jobs, "job")] if rule.keep_jobs else []
    return ", ".join(told) or "all, for ever"


def _state_fields(state: RetentionView) -> list[tuple[str, str]]:
    left = state.waiting
    fields = [
        ("last run", moment_text(state.ran_at) if state.ran_at is not None else "never"),
        ("removed", _amount_text(AmountView(state.removed_objects, state.removed_stored, state.removed_raw))),
    ]
    if state.problem:
        fields.append(("broken off", state.problem))
    if state.entries_planned:
        fields.append(
            ("begun", f"{count_text(state.entries_planned, 'entry')} not in the bucket yet; nothing of it went")
        )
    if left.objects:
        when = f", next try {moment_text(left.next_try)}" if left.next_try else ""
        why = f": {left.reason}" if left.reason else ""
        fields.append(("waiting", f"{count_text(left.objects, 'object')}, {size_text(left.stored)}{when}{why}"))
    return fields


def _amount_text(amount: AmountView) -> str:
    return f"{count_text(amount.objects, 'object')}, {size_text(amount.stored)}, {size_text(amount.raw)} of logs"


def _preview(asked: CommonOptions, client: ServiceClient, cluster: ClusterView, *, objects: bool) -> None:
    """Tell of each object as it comes, then of each log, then what goes and what is left."""
    told: list[RetainedObjectLine] = []
    logs: list[RetainedLogLine] = []
    end: RetentionPreviewEndLine | None = None
    shown = not asked.as_json and not objects
    with client.preview_retention(cluster, {"objects": objects}) as lines, waiting("judging", shown=shown):
        for line in lines:
            match line:
                case RetainedObjectLine():
                    _tell_object(line) if not asked.as_json else told.append(line)
                case RetainedLogLine():
                    logs.append(line)
                case RetentionPreviewEndLine():
                    end = line
                case ErrorLine():
                    raise NotCarriedOut(f"the preview was broken off: {line.error_msg}")
    if end is None:
        raise NotCarriedOut("the preview was broken off; start it again")
    if asked.as_json:
        print_json(
            {"dry_run": True, **_plain(end), "logs": [_plain(log) for log in logs]}
            | ({"objects": [_plain(one) for one in told]} if objects else {})
        )
    else:
        _print_preview(asked, cluster, end, logs)


def _plain(line: RetainedObjectLine | RetainedLogLine | RetentionPreviewEndLine | RetentionEndLine) -> dict[str, Any]:
    """Return a line as it is printed, without the word that tells its kind."""
    return {name: value for name, value in to_builtins(line).items() if name != "type"}


def _tell_object(line: RetainedObjectLine) -> None:
    """Two lines for each: names of objects are longer than a terminal is wide."""
    when = f"stored {time_text(line.created_at)}" if line.created_at is not None else "stored at an unknown time"
    print_line(f"{'goes' if line.goes else 'kept'}: {line.object}")
    print_line(f"  {size_text(line.stored)}, {when}: {_object_reason(line)}")


def _object_reason(line: RetainedObjectLine) -> str:
    covering = line.protection
    if covering:
        until = f"until {time_text(covering.expires_at)}" if covering.expires_at is not None else "for ever"
        return f"protected by {covering.who} {until}: {covering.why}"
    return _REASONS[line.reason] + (f" ({line.rule})" if line.rule else "")


def _print_preview(
    asked: CommonOptions, cluster: ClusterView, end: RetentionPreviewEndLine, logs: list[RetainedLogLine]
) -> None:
    for log in logs:
        _print_log(log)
    if not end.rules:
        print_line(_tell_no_rule(asked, cluster))
        return
    print_line(f"would go:  {_amount_text(end.goes)}")
    print_line(f"left:      {_amount_text(end.left)}")
    if end.goes.objects:
        note(
            f"nothing was removed; `{asked.command} retention run {quote(cluster.name)} --yes` removes it, and from "
            "then on the clock does"
        )


def _tell_no_rule(asked: CommonOptions, cluster: ClusterView) -> str:
    set_one = f"`{asked.command} retention set {quote(cluster.name)} --keep-days 90` sets one"
    return f"{cluster.name} has no rule: nothing is ever removed; {set_one}"


def _print_log(log: RetainedLogLine) -> None:
    print_heading(log.log)
    print_paragraph(log.rule or "no rule", "  rule  ")
    for reason, amount in sorted(log.reasons.items(), key=lambda pair: (pair[0] is not Reason.OUT, -pair[1].stored)):
        label = "  goes  " if reason is Reason.OUT else "  kept  "
        print_paragraph(
            f"{count_text(amount.objects, 'object')}, {size_text(amount.stored)}: {_REASONS[reason]}", label
        )
    if log.oldest_left is not None:
        print_line(f"  left  from {moment_text(log.oldest_left)} on")
    print_line()


def _run(asked: CommonOptions, client: ServiceClient, cluster: ClusterView) -> None:
    rules = [_rule_body(one) for one in _fetch_state(client, cluster).rules]
    if not rules:
        raise UsageError(_tell_no_rule(asked, cluster))
    end: RetentionEndLine | None = None
    body = {"confirm": True, "rules": rules}
    with client.run_retention(cluster, body) as lines, waiting("removing", shown=not asked.as_json) as progress:
        for line in lines:
            match line:
                case RetentionEndLine():
                    end = line
                case RetentionProgressLine():
                    progress(line.stored, f"{line.objects:,} of {count_text(line.planned, 'object')}")
                case ErrorLine():
                    raise NotCarriedOut(f"the run was broken off: {line.error_msg}; the next one goes on from there")
    if end is None:
        raise NotCarriedOut("the run was broken off; start it again: it goes on from there")
    if asked.as_json:
        print_json({"dry_run": False, "removed": _plain(end)})
        return
    print_line(f"removed {count_text(end.objects, 'object')}, {size_text(end.stored)} in the bucket")
    if end.waiting:
        note(
            f"{count_text(end.waiting, 'object')} wait, as the bucket keeps them for now; "
            f"`{asked.command} retention show {quote(cluster.name)}` tells why, and until when"
        )


def _removal_row(one: RemovalView) -> tuple[str, ...]:
    begin, end = one.first_time[:16] or "unknown", one.last_time[:16] or "unknown"  # to the minute: 80 columns are few
    return (
        time_text(one.removed_at)[:16],
        one.node,
        one.log,
        begin,
        end,
        f"{one.objects:,}",
        size_text(one.stored),
        one.rule,
    )
