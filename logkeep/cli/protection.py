"""`protect` and `unprotect`: what no rule of retention removes."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from shlex import quote
from typing import Annotated

import typer

from logkeep.cli.client import ServiceClient, decode, open_client
from logkeep.cli.clusters import CLUSTERS, ClusterName
from logkeep.cli.errors import UsageError
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import note, print_document, print_fields, print_json, print_line, print_paragraph
from logkeep.cli.selection import NodeName, check_span, check_text, read_time
from logkeep.cli.texts import moment_text
from logkeep.contract.native.requests import JOB_ID
from logkeep.contract.native.responses import ClusterView
from logkeep.contract.native.retention import ProtectionList, ProtectionView

_FOR = re.compile(r"(\d{1,6})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}
_HOUR_MS = 3_600_000


def add_commands(app: typer.Typer) -> None:
    app.command("protect", epilog=EVERYWHERE)(protect)
    app.command("unprotect", epilog=EVERYWHERE)(unprotect)


def protect(
    context: typer.Context,
    cluster: ClusterName,
    why: Annotated[str, typer.Option(metavar="TEXT", help="For whoever reads it later: 'ticket 4711'.")],
    job: Annotated[str, typer.Option(metavar="JOB", help="Keep what this backup stored: JOB of `records`.")] = "",
    since: Annotated[str, typer.Option(metavar="TIME", help="Keep records from then on: 2026-11-24T06:40.")] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="And before: 2026-11-25.")] = "",
    node: NodeName = "",
    log: Annotated[str, typer.Option(metavar="FAMILY", help="Only this log: gc.log.")] = "",
    for_: Annotated[str, typer.Option("--for", metavar="TIME", help="It ends after that: 90d, 36h, 8w.")] = "",
    expires: Annotated[str, typer.Option(metavar="TIME", help="It ends then: 2027-01-01; UTC by default.")] = "",
) -> None:
    """Keep what a backup stored, or a span of time, from every rule.

    Without --for and --expires it holds until somebody ends it.
    """
    _check_options(job, since, until, node or log)
    check_text(why, "--why")
    if for_ and expires:
        raise UsageError("--for and --expires both say when it ends; give one of them")
    body: dict[str, object] = {"why": why}
    body |= {"job": job} if job else {"since": since, "until": until, "node": node, "log": log}
    if for_ or expires:
        body["expires_at"] = _read_for(for_) if for_ else read_time("--expires", expires)
    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    document = client.send("POST", f"{CLUSTERS}/{found.id}/protections", body)
    if asked.as_json:
        print_document(document)
        return
    made = decode(document, ProtectionView)
    if log or node:
        tell_unknown(client, found, log, node)
    print_paragraph(f"{_what_text(made)}, {_until_text(made)}", "protected: ")
    print_line(f"end it:  {asked.command} unprotect {quote(found.name)} {made.id}")


def tell_unknown(client: ServiceClient, cluster: ClusterView, log: str, node: str = "") -> None:
    """Tell where nothing is kept of a log or a node that was named, as it may be a slip."""
    if not any(held.generations for held in client.coverage(cluster, node=node, family=log)):
        what = " of ".join(filter(None, (f"a log {log}" if log else "", f"node {node}" if node else "")))
        note(f"nothing is kept of {what} yet; `logkeep coverage {quote(cluster.name)}` names what there is")


def unprotect(
    context: typer.Context,
    cluster: ClusterName,
    protection: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `logkeep retention show` lists it.")],
) -> None:
    """End a protection, so that the rules hold again."""
    asked = invocation(context)
    client = open_client(context)
    found = client.find_cluster(cluster)
    if all(one.id != protection.lower() for one in list_protections(client, found)):
        raise UsageError(
            f"{found.name} has no protection {protection}; `logkeep retention show {quote(found.name)}` lists them"
        )
    client.send("DELETE", f"{CLUSTERS}/{found.id}/protections/{protection.lower()}")
    if asked.as_json:
        print_json({"id": protection.lower(), "ended": True})
    else:
        print_line(f"protection {protection.lower()} of {found.name} is ended")


def list_protections(client: ServiceClient, cluster: ClusterView) -> list[ProtectionView]:
    """Return the protections of a cluster, those that expired too."""
    return decode(client.get(f"{CLUSTERS}/{cluster.id}/protections"), ProtectionList).protections


def print_protections(protections: Sequence[ProtectionView]) -> None:
    """Print one block for each: an id and a span are too wide for a table."""
    for one in protections:
        print_line()
        print_fields(
            [
                ("protection", one.id),
                ("keeps", _what_text(one)),
                ("why", one.why),
                ("made", f"{moment_text(one.created_at)} by {one.who}"),
                ("holds", "no more, it expired" if one.expired else _until_text(one)),
            ]
        )


def _check_options(job: str, since: str, until: str, part: str) -> None:
    """Raise `UsageError` unless a job is named, or both ends of a span."""
    if job and (since or until or part):
        raise UsageError("give either --job, or a span: --since and --until, where wanted with --node and --log")
    if job and not JOB_ID.fullmatch(job.lower()):
        raise UsageError(f"--job {job}: write the 32 hex digits that `logkeep records` shows")
    if not job and not (since and until):
        raise UsageError("say what is to be kept: --job JOB, or --since TIME and --until TIME")
    check_span(since, until)


def _read_for(text: str) -> int:
    """Read `90d`, and return the moment at which it is over, in Unix ms. Raises `UsageError`."""
    found = _FOR.fullmatch(text)
    if not found:
        raise UsageError(f"--for {text}: write it as 90d; h, d and w are allowed")
    return round(time.time() * 1000) + int(found[1]) * _HOURS[found[2]] * _HOUR_MS


def _what_text(one: ProtectionView) -> str:
    """`what job … stored`, or `gc.log of n1, 2026-11-24 to 2026-11-26`."""
    if one.job_id:
        return f"what job {one.job_id} stored"
    log, node = one.log or "all logs", f" of {one.node}" if one.node else ""
    return f"{log}{node}, {one.since} to {one.until}"


def _until_text(one: ProtectionView) -> str:
    return f"until {moment_text(one.expires_at)}" if one.expires_at is not None else "until somebody ends it"
