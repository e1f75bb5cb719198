"""`search`: finding lines in what is kept."""

from __future__ import annotations

import json
import sys
from shlex import quote
from typing import Annotated, Any

import msgspec
import typer

from logkeep.cli.client import open_client
from logkeep.cli.errors import CommandFailed, NotCarriedOut, UsageError
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import note, print_json, print_line, waiting
from logkeep.cli.removed import tell_removed
from logkeep.cli.selection import (
    FamilyName,
    IgnoreCase,
    Levels,
    NodeName,
    Regex,
    Since,
    Until,
    check_span,
    check_text,
)
from logkeep.cli.texts import count_text, readable, size_text
from logkeep.contract.native.responses import ClusterView, ErrorLine
from logkeep.contract.native.search import (
    BucketLine,
    DamageLine,
    HitLine,
    RemovedLine,
    SearchEndLine,
    SearchProgressLine,
)

_MOST_DAMAGED = 10  # logs that are named


def add_commands(app: typer.Typer) -> None:
    app.command("search", epilog=EVERYWHERE)(search)


def search(
    context: typer.Context,
    clusters: Annotated[list[str], typer.Argument(metavar="CLUSTER...", help="Names or ids of clusters.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What a line must contain.")],
    node: NodeName = "",
    family: FamilyName = "",
    level: Levels = None,
    since: Since = "",
    until: Until = "",
    regex: Regex = False,
    ignore_case: IgnoreCase = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The most lines to print.")] = 1000,
    count: Annotated[bool, typer.Option("--count", help="Only count the lines, all of them.")] = False,
    context_lines: Annotated[
        int, typer.Option("--context", "-C", min=0, max=100, help="Lines to print before and after each.")
    ] = 0,
    newest: Annotated[bool, typer.Option("--newest", help="Newest lines first.")] = False,
    cursor: Annotated[
        str, typer.Option(metavar="CURSOR", help="Go on where the same search ended; it tells the cursor.")
    ] = "",
    max_seconds: Annotated[
        float, typer.Option(min=0, max=86_400, help="End after so long, and tell how to go on.")
    ] = 0,
    max_mib: Annotated[float, typer.Option(min=0, max=1e9, help="End once so many MiB of logs were read.")] = 0,
    no_live: Annotated[
        bool, typer.Option("--no-live", help="Only what is kept, not what nodes have written since.")
    ] = False,
    no_index: Annotated[bool, typer.Option("--no-index", help="Read what the index says holds nothing, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell how much would be read.")] = False,
) -> None:
    """Find the lines of logs that contain a text.

    What backups have kept is searched where it lies, and what nodes have written since; what is outside of the span,
    without the level, or by the index without the text, is not read. Lines come in the order of time. With --json each
    is one line of JSON.
    """
    if not text:
        raise UsageError("TEXT is empty, and every line contains that; `restore` gives all lines")
    check_text(text)
    check_span(since, until)
    if cursor and len(clusters) > 1:
        raise UsageError("--cursor goes on in one cluster; name that alone")
    request: dict[str, Any] = {"text": text, "regex": regex, "ignore_case": ignore_case, "limit": limit, "count": count}
    request |= {"node": node, "family": family, "levels": level or [], "since": since, "until": until}
    request |= {"order": "newest" if newest else "oldest", "cursor": cursor, "context": context_lines}
    request |= {"max_seconds": max_seconds, "max_bytes": min(round(max_mib * 1024 * 1024), 2**53)}
    request |= {"live": not no_live, "use_index": not no_index, "dry_run": dry_run}
    _Searching(context, request).run(clusters)


class _Searching:
    """One search after the other, in one cluster each."""

    def __init__(self, context: typer.Context, request: dict[str, Any]) -> None:
        self._asked = invocation(context)
        self._client = open_client(context)
        self._request = request
        self._silent = request["count"] or request["dry_run"]  # of lines
        self._named = False  # whether what is printed tells the cluster
        self._ends: dict[str, SearchEndLine] = {}
        self._damaged: dict[str, list[DamageLine]] = {}
        self._removed: dict[str, list[RemovedLine]] = {}

    def run(self, names: list[str]) -> None:
        found = {cluster.name: cluster for cluster in map(self._client.find_cluster, names)}
        self._named = len(found) > 1
        for cluster in found.values():
            self._search(cluster)
            if not self._asked.as_json:
                self._print_figure(cluster)
            _tell_damage(self._damaged[cluster.name])
            tell_removed((f"{one.node}/{one.family}", one) for one in self._removed[cluster.name])
            if not self._request["dry_run"]:
                self._tell_end(cluster)
        if self._asked.as_json and self._silent:
            print_json(self._figures())
        self._expect_whole()

    def _expect_whole(self) -> None:
        """Raise `CommandFailed` where not all could be searched, with what helps against it."""
        kept = {name: [one for one in lines if not one.live] for name, lines in self._damaged.items()}
        if damaged := [name for name, lines in kept.items() if lines]:
            raise CommandFailed(
                f"{count_text(sum(map(len, kept.values())), 'part')} of logs could not be searched; "
                f"`{self._asked.command} verify {quote(damaged[0])} --read-data` tells what is damaged"
            )
        if any(self._damaged.values()):
            raise CommandFailed(
                "what some nodes have written since the last backup could not be searched; --no-live leaves it out"
            )

    def _search(self, cluster: ClusterView) -> None:
        shown = not self._asked.as_json and (self._silent or not sys.stdout.isatty())
        damaged = self._damaged[cluster.name] = []
        removed = self._removed[cluster.name] = []
        end: SearchEndLine | None = None
        with self._client.search(cluster, self._request) as lines, waiting("searching", shown=shown) as progress:
            for line in lines:
                match line:
                    case HitLine():
                        self._print_hit(cluster, line)
                    case SearchProgressLine():
                        progress(line.bytes_read, f"{count_text(line.hits, 'line')} found")
                    case DamageLine():
                        damaged.append(line)
                    case RemovedLine():
                        removed.append(line)
                    case SearchEndLine():
                        end = line
                    case BucketLine():
                        pass  # of a histogram, which has a command of its own
                    case ErrorLine():
                        raise NotCarriedOut(f"the search was broken off: {line.error_msg}")
        if end is None:
            raise NotCarriedOut("the search was broken off; start it again")
        self._ends[cluster.name] = end

    def _print_hit(self, cluster: ClusterView, line: HitLine) -> None:
        if self._asked.as_json:
            told = {name: value for name, value in msgspec.to_builtins(line).items() if name != "type"}
            print(json.dumps({"cluster": cluster.name} | told if self._named else told))
        else:
            where = f"{line.node}/{line.family}"
            where = readable(f"{cluster.name}/{where}" if self._named else where)
            if self._request["context"]:
                print("--")  # as grep parts what does not follow each other
            for text in line.before:
                print(f"{where}- {_shown(text)}")
            print(f"{where}: {_shown(line.text)}{' …' if line.cut else ''}")
            for text in line.after:
                print(f"{where}- {_shown(text)}")

    def _print_figure(self, cluster: ClusterView) -> None:
        end = self._ends[cluster.name]
        begin = f"{cluster.name}: " if self._named else ""
        if self._request["dry_run"]:
            print_line(f"{begin}would read {_share(end)}")
        elif self._request["count"]:
            print_line(f"{begin}{end.hits}")

    def _figures(self) -> dict[str, Any]:
        """Return what is printed in place of lines: of one cluster, or of each by its name."""
        of_each = {name: self._figure(end) for name, end in self._ends.items()}
        return {"clusters": of_each} if self._named else next(iter(of_each.values()))

    def _figure(self, end: SearchEndLine) -> dict[str, Any]:
        if self._request["dry_run"]:
            told = msgspec.to_builtins(end)
            return {name: told[name] for name in ("logs", "frames", "framesRead", "bytes", "bytesRead", "notIndexed")}
        return {"count": end.hits, "completed": end.completed}

    def _tell_end(self, cluster: ClusterView) -> None:
        end, command = self._ends[cluster.name], self._asked.command
        if not end.logs:
            note(f"nothing of {cluster.name} is kept yet; `{command} backup {quote(cluster.name)}` keeps what there is")
        elif end.cursor and not self._request["count"]:
            note(f"there may be more than these {count_text(end.hits, 'line')}: it ended at a limit; it goes on with")
            note(f"{f'{cluster.name}: ' if self._named else ''}--cursor {end.cursor}")
        elif end.cursor:
            note(f"it ended at a limit, when {_share(end)} had been read")
        elif not self._silent:
            note(f"{count_text(end.hits, 'line')}; {_share(end)} were read")
            if not self._request["live"]:
                note("What nodes have written since the last backup was not searched")
        if end.not_indexed:
            none = count_text(end.not_indexed, "frame")
            note(f"no index tells of {none}; `{command} index {quote(cluster.name)}` makes it, and less is read")
        if end.partly:
            note(
                f"{count_text(end.partly, 'line')} of more than 1 MiB, which is as much as the regular expression is "
                "held against for certain, may match further on"
            )


def _tell_damage(damaged: list[DamageLine]) -> None:
    """Tell the first problem of each log, and how many there are."""
    of_logs: dict[str, list[str]] = {}
    for line in damaged:
        where = f"{line.node}/{line.family}" if line.family else line.node
        of_logs.setdefault(where, []).append(line.problem)
    for where, problems in list(of_logs.items())[:_MOST_DAMAGED]:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        note(f"{where}: not searched as a whole: {problems[0]}{more}")
    if len(of_logs) > _MOST_DAMAGED:
        note(f"and {len(of_logs) - _MOST_DAMAGED} logs more")


def _share(end: SearchEndLine) -> str:
    """Tell how much of how much."""
    return (
        f"{size_text(end.bytes_read)} of {size_text(end.bytes)}: {end.frames_read:,} of "
        f"{count_text(end.frames, 'frame')} in {count_text(end.logs, 'log file')}"
    )


def _shown(text: str) -> str:
    """With its tabs, but without what steers the terminal."""
    return "\t".join(map(readable, text.split("\t")))
