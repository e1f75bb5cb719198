"""`notices`: what was told of changes. `notify`: the targets that it is sent to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Annotated
from urllib.parse import quote as quote_url

import typer

from logkeep.cli.client import decode, open_client
from logkeep.cli.errors import CommandFailed
from logkeep.cli.installation import open_installation, record_change
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, invocation
from logkeep.cli.output import (
    note,
    print_document,
    print_fields,
    print_heading,
    print_line,
    print_paragraph,
    print_table,
)
from logkeep.cli.texts import count_text, moment_text, one_line, time_text, zone_text
from logkeep.cli.users import read_first_line
from logkeep.contract.native.notices import (
    AddedNoticeTarget,
    DeliveryView,
    NoticeList,
    NoticeTargetList,
    NoticeTargetView,
    NoticeView,
    render_delivery,
    render_targets,
)
from logkeep.domain.notice import DeliveryState
from logkeep.service import notice_targets

_NOTICES, _NOTIFY = "/api/v1/notices", "/api/v1/notify"
_CONFIGURED = "Of logkeep.toml, where the service runs."


def add_commands(app: typer.Typer) -> None:
    app.command("notices", epilog=EVERYWHERE)(list_notices)
    notify = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Targets that notices are sent to.")
    notify.command("list", epilog=EVERYWHERE)(list_targets)
    notify.command("add", epilog=EVERYWHERE)(add_target)
    notify.command("remove", epilog=EVERYWHERE)(remove_target)
    notify.command("test", epilog=EVERYWHERE)(test_target)
    app.add_typer(notify, name="notify")


def list_notices(
    context: typer.Context,
    cluster: Annotated[str, typer.Argument(metavar="[CLUSTER]", help="Its name or id; all without it.")] = "",
    offset: Annotated[int, typer.Option(min=1, help="Number of the first one, from 1 for the newest.")] = 1,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
) -> None:
    """List what was told of changes, and whether it arrived."""
    asked = invocation(context)
    client = open_client(context)
    query = {"cluster": client.find_cluster(cluster).id} if cluster else {}
    document = client.get(_NOTICES, offset=offset, limit=limit, **query)
    if asked.as_json:
        print_document(document)
        return
    page = decode(document, NoticeList)
    if not page.notices:
        print_line("nothing was told yet" if not page.total_size else f"there are {page.total_size:,} notices")
        return
    _print_notices(asked, page.notices)
    last = offset + len(page.notices) - 1
    if last < page.total_size:
        further = f"`{asked.command} notices --offset {last + 1}`"
        if cluster:
            further = f"`{asked.command} notices {quote(cluster)} --offset {last + 1}`"
        note(f"{offset} to {last} of {page.total_size:,}; the next: {further}")


def _print_notices(asked: CommonOptions, notices: Sequence[NoticeView]) -> None:
    print_table(
        (f"TIME ({zone_text()})", "CLUSTER", "EVENT", "DELIVERED"),
        [(time_text(one.at), one.cluster or "-", one.event, _sum(one.deliveries)) for one in notices],
        cut=(1,),
        drop=(3,),
    )
    for one in notices:
        print_line()
        print_heading(f"{time_text(one.at)}  {one_line(one.cluster)}".rstrip())
        for text in filter(None, (one.cause, one.remedy)):
            print_paragraph(text.replace("`logkeep ", f"`{asked.command} "), "  ")
        for delivery in one.deliveries:
            if delivery.error and delivery.state is not DeliveryState.DELIVERED:
                print_paragraph(f"{delivery.target}: {_told(delivery)}", "  ")


def _sum(deliveries: list[DeliveryView]) -> str:
    """`2/2`, or `1/3, 1 waiting, 1 given up`; `-` where no target wanted it."""
    states = [one.state for one in deliveries]
    others = [(states.count(state), state) for state in (DeliveryState.WAITING, DeliveryState.GIVEN_UP)]
    told = "".join(f", {number} {state.replace('_', ' ')}" for number, state in others if number)
    return f"{states.count(DeliveryState.DELIVERED)}/{len(states)}{told}" if states else "-"


def _told(delivery: DeliveryView) -> str:
    """Return how an attempt ended, and when the next one is."""
    if delivery.state is DeliveryState.GIVEN_UP:
        return f"given up after {count_text(delivery.attempts, 'attempt')}: {delivery.error}"
    when = f"; the next attempt is at {moment_text(delivery.next_try)}" if delivery.next_try else ""
    return f"{count_text(delivery.attempts, 'attempt')}: {delivery.error}{when}"


def list_targets(
    context: typer.Context,
    configured: Annotated[bool, typer.Option("--configured", help=_CONFIGURED)] = False,
) -> None:
    """List the targets, and whether what is sent to them arrives.

    Exit code 1 where something cannot be delivered.
    """
    asked = invocation(context)
    if configured:
        with open_installation(asked.directory) as runtime:
            document = render_targets(notice_targets.list_all_targets(runtime))
    else:
        document = open_client(context).get(_NOTIFY)
    targets = decode(document, NoticeTargetList).targets
    if asked.as_json:
        print_document(document)
    elif targets:
        _print_targets(targets)
    else:
        print_line("no target is named yet; add one:")
        print_line(f"  `{asked.command} notify add NAME --url https://example.com/hook`")
    if any(one.failing_since for one in targets):
        raise typer.Exit(1)


def _print_targets(targets: Sequence[NoticeTargetView]) -> None:
    print_table(
        ("NAME", "KIND", "WHERE", f"LAST DELIVERED ({zone_text()})", "WAITING"),
        [
            (one.name, one.kind, one.address or "logkeep.toml", time_text(one.last_delivered_at), f"{one.waiting:,}")
            for one in targets
        ],
        right=(4,),
        cut=(2,),
    )
    for one in targets:
        for text in (_filter_text(one), _failure_text(one)):
            if text:
                print_line()
                print_heading(one.name)
                print_paragraph(text, "  ")


def _filter_text(target: NoticeTargetView) -> str:
    """Return what a target is sent, '' for all at once."""
    told = [f"clusters {', '.join(target.clusters)}"] if target.clusters else []
    told += [f"events {', '.join(target.events)}"] if target.events else []
    told += [f"waits from {target.quiet.replace('-', ' to ', 1)} {target.zone}"] if target.quiet else []
    return "; ".join(told)


def _failure_text(target: NoticeTargetView) -> str:
    if target.failing_since is None:
        return ""
    why = f": {target.last_error}" if target.last_error else ""
    return f"could not be delivered since {moment_text(target.failing_since)}{why}"


def add_target(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_', '-'.")],
    url: Annotated[str, typer.Option(metavar="URL", help="Where notices are sent by POST.")],
    clusters: Annotated[
        list[str] | None,
        typer.Option("--cluster", metavar="PATTERN", help="Only on clusters of such names, as 'prod-*'; repeatable."),
    ] = None,
    events: Annotated[
        list[str] | None, typer.Option("--event", metavar="EVENT", help="Only of this event; repeatable.")
    ] = None,
    quiet: Annotated[str, typer.Option(metavar="HH:MM-HH:MM", help="Notices wait from and until these times.")] = "",
    zone: Annotated[str, typer.Option(metavar="NAME", help="Of those times, as Europe/Berlin.")] = "UTC",
    secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The secret is its first line; else one is made and shown once.")
    ] = None,
) -> None:
    """Send notices to a webhook from now on. Its secret is shown once: now."""
    asked = invocation(context)
    body = {"name": name, "url": url, "clusters": clusters, "events": events, "quiet": quiet, "zone": zone}
    secret = {"secret": read_first_line(secret_file)} if secret_file else {}
    document = open_client(context).send("POST", _NOTIFY, body | secret)
    if asked.as_json:
        print_document(document)
        return
    added = decode(document, AddedNoticeTarget)
    print_fields([("target", added.name), ("where", added.address), ("secret", added.secret)])
    note("The secret is not shown again; keep it now. By it the receiver knows that a notice is from here.")
    note(f"Try it: `{asked.command} notify test {added.name}`")


def remove_target(
    context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="The target.")]
) -> None:
    """Send no more notices to a target."""
    asked = invocation(context)
    document = open_client(context).send("DELETE", _path(name))
    if asked.as_json:
        print_document(document)
    else:
        print_line(f"target {name} is removed; nothing is sent there any more")


def test_target(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The target.")],
    configured: Annotated[bool, typer.Option("--configured", help=_CONFIGURED)] = False,
) -> None:
    """Send a notice to a target now, and show what came back.

    Exit code 1 where it did not arrive.
    """
    asked = invocation(context)
    if configured:
        with open_installation(asked.directory) as runtime:
            document = render_delivery(notice_targets.test_target(runtime, "", name))
            record_change(runtime, "TestNoticeTarget", "")
    else:
        document = open_client(context).send("POST", f"{_path(name)}/test")
    delivery = decode(document, DeliveryView)
    if asked.as_json:
        print_document(document)
    if delivery.state is not DeliveryState.DELIVERED:
        raise CommandFailed(f"{name}: the notice did not arrive: {delivery.error}")
    if not asked.as_json:
        print_line(f"ok: {name} has taken a notice")


def _path(name: str) -> str:
    return f"{_NOTIFY}/{quote_url(name, safe='')}"
