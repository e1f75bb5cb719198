"""`search`: finding lines in what is kept."""

from __future__ import annotations

import json
import sys
from shlex import quote
from typing import Annotated, Any

import msgspec
import typer

from logkeep.cli.client import open_client
from logkeep.cli.clusters import ClusterName
from logkeep.cli.errors import CommandFailed, NotCarriedOut, UsageError
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, invocation
from logkeep.cli.output import note, print_json, print_line, waiting
from logkeep.cli.selection import FamilyName, NodeName, Since, Until, check_span
from logkeep.cli.texts import count_text, readable, size_text
from logkeep.contract.native.responses import ClusterView, ErrorLine
from logkeep.contract.native.search import DamageLine, HitLine, SearchEndLine, SearchProgressLine


def add_commands(app: typer.Typer) -> None:
    app.command("search", epilog=EVERYWHERE)(search)


def search(
    context: typer.Context,
    cluster: ClusterName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What a line must contain, as it is.")],
    node: NodeName = "",
    family: FamilyName = "",
    level: Annotated[
        list[str] | None, typer.Option(metavar="LEVEL", help="Only records of this level; may be given several times.")
    ] = None,
    since: Since = "",
    until: Until = "",
    ignore_case: Annotated[
        bool, typer.Option("--ignore-case", "-i", help="Take ASCII letters of both cases for alike.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The most lines to print.")] = 1000,
    count: Annotated[bool, typer.Option("--count", help="Only count the lines, all of them.")] = False,
) -> None:
    """Find the lines of kept logs that contain a text.

    What backups have kept is searched where it lies; frames outside of the span, and without the level, are not read.
    Lines come log by log, each in the order of writing. With --json each is one line of JSON.
    """
    asked = invocation(context)
    if not text:
        raise UsageError("TEXT is empty, and every line contains that; `restore` gives all lines")
    if text != text.encode("utf-8", "replace").decode():
        raise UsageError("TEXT must be UTF-8; of a log in another encoding, look for a part of the line in ASCII")
    check_span(since, until)
    request: dict[str, Any] = {"text": text, "ignore_case": ignore_case, "limit": limit, "count": count}
    request |= {"node": node, "family": family, "levels": level or [], "since": since, "until": until}
    client = open_client(context)
    found = client.find_cluster(cluster)
    shown = not asked.as_json and (count or not sys.stdout.isatty())
    damaged: list[DamageLine] = []
    end: SearchEndLine | None = None
    with client.search(found, request) as lines, waiting("searching", shown=shown) as progress:
        for line in lines:
            match line:
                case HitLine():
                    _print_hit(line, as_json=asked.as_json)
                case SearchProgressLine():
                    progress(line.bytes_read, f"{count_text(line.hits, 'line')} found")
                case DamageLine():
                    damaged.append(line)
                case SearchEndLine():
                    end = line
                case ErrorLine():
                    raise NotCarriedOut(f"the search was broken off: {line.error_msg}")
    if end is None:
        raise NotCarriedOut("the search was broken off; start it again")
    if count:
        if asked.as_json:
            print_json({"count": end.hits, "completed": end.completed})
        else:
            print_line(str(end.hits))
    _tell_end(asked, found, end, damaged, counted=count)


def _print_hit(line: HitLine, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({name: value for name, value in msgspec.to_builtins(line).items() if name != "type"}))
    else:
        print(f"{readable(f'{line.node}/{line.family}')}: {_shown(line.text)}{' …' if line.cut else ''}")


def _shown(text: str) -> str:
    """With its tabs, but without what steers the terminal."""
    return "\t".join(map(readable, text.split("\t")))


def _tell_end(
    asked: CommonOptions, cluster: ClusterView, end: SearchEndLine, damaged: list[DamageLine], *, counted: bool
) -> None:
    for line in damaged:
        note(f"{line.node}/{line.family}: not searched to its end: {line.problem}")
    read = (
        f"{end.frames_read:,} of {count_text(end.frames, 'frame')} in {count_text(end.logs, 'log file')} were read, "
        f"{size_text(end.bytes_read)}"
    )
    if not end.logs:
        note(
            f"nothing of {cluster.name} is kept yet; `{asked.command} backup {quote(cluster.name)}` keeps what there is"
        )
    elif not end.completed and not damaged:
        note(f"these are the first {count_text(end.hits, 'line')}; --limit gives more, --count all. {read}")
    elif not counted:
        note(f"{count_text(end.hits, 'line')}; {read}. What nodes have written since the last backup is not searched")
    if damaged:
        raise CommandFailed(
            f"{count_text(len(damaged), 'log file')} could not be searched to the end; "
            f"`{asked.command} verify {quote(cluster.name)} --read-data` tells what is damaged"
        )
