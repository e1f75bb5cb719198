"""`histogram`: counts of what is kept over time."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Annotated, Any

import typer

from logkeep.cli.client import open_client
from logkeep.cli.clusters import ClusterName
from logkeep.cli.errors import CommandFailed, NotCarriedOut
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
from logkeep.cli.texts import count_text, size_text
from logkeep.contract.native.responses import ClusterView, ErrorLine
from logkeep.contract.native.search import BucketLine, DamageLine, RemovedLine, SearchEndLine, SearchProgressLine
from logkeep.domain.histogram import Interval

_COLUMNS = 80
_LONGEST_BAR, _SHORTEST_BAR = 40, 8
_GRAVEST = ("FATAL", "ERROR", "CRITICAL", "WARN", "DEPRECATION", "INFO", "DEBUG", "TRACE")
_MOST_DAMAGED = 10  # parts that are named
_NO_TIME, _NO_LEVEL = "no time", "no level"


def add_commands(app: typer.Typer) -> None:
    app.command("histogram", epilog=EVERYWHERE)(histogram)


def histogram(
    context: typer.Context,
    cluster: ClusterName,
    by: Annotated[Interval, typer.Option("--by", help="The interval that a count is of.")] = Interval.HOUR,
    text: Annotated[
        str, typer.Option("--text", metavar="TEXT", help="Count the lines that contain it, in place of records.")
    ] = "",
    node: NodeName = "",
    family: FamilyName = "",
    level: Levels = None,
    since: Since = "",
    until: Until = "",
    regex: Regex = False,
    ignore_case: IgnoreCase = False,
    no_index: Annotated[bool, typer.Option("--no-index", help="Read all, whatever the index tells.")] = False,
) -> None:
    """Count kept records, or lines with a text, over time.

    Without a text the index tells the counts, and only what it does not tell or the span cuts is read.
    """
    check_span(since, until)
    check_text(text)
    request: dict[str, Any] = {"histogram": by.value, "text": text, "regex": regex, "ignore_case": ignore_case}
    request |= {"node": node, "family": family, "levels": level or [], "since": since, "until": until}
    request["use_index"] = not no_index
    _Counting(context, request).run(cluster)


class _Counting:
    """A histogram of one cluster."""

    def __init__(self, context: typer.Context, request: dict[str, Any]) -> None:
        self._asked = invocation(context)
        self._client = open_client(context)
        self._request = request
        self._buckets: list[BucketLine] = []
        self._damaged: list[DamageLine] = []
        self._removed: list[RemovedLine] = []

    def run(self, name: str) -> None:
        cluster = self._client.find_cluster(name)
        end = self._count(cluster)
        if self._asked.as_json:
            told = [{"time": one.time, "levels": one.levels} for one in self._buckets]
            print_json({"buckets": told, "completed": end.completed})
        else:
            for line in _draw(self._buckets):
                print_line(line)
        self._tell_end(cluster, end)

    def _count(self, cluster: ClusterView) -> SearchEndLine:
        end: SearchEndLine | None = None
        shown = not self._asked.as_json
        with self._client.search(cluster, self._request) as lines, waiting("counting", shown=shown) as progress:
            for line in lines:
                match line:
                    case BucketLine():
                        self._buckets.append(line)
                    case SearchProgressLine():
                        progress(line.bytes_read, f"{line.hits:,} counted")
                    case DamageLine():
                        self._damaged.append(line)
                    case RemovedLine():
                        self._removed.append(line)
                    case SearchEndLine():
                        end = line
                    case ErrorLine():
                        raise NotCarriedOut(f"the counting was broken off: {line.error_msg}")
                    case _:
                        pass
        if end is None:
            raise NotCarriedOut("the counting was broken off; start it again")
        return end

    def _tell_end(self, cluster: ClusterView, end: SearchEndLine) -> None:
        command, what = self._asked.command, "line" if self._request["text"] else "record"
        if not end.logs:
            note(f"nothing of {cluster.name} is kept yet; `{command} backup {quote(cluster.name)}` keeps what there is")
        elif not self._asked.as_json:
            note(
                f"{count_text(end.hits, what)}; {size_text(end.bytes_read)} of {size_text(end.bytes)} were read, in "
                f"{end.frames_read:,} of {count_text(end.frames, 'frame')}"
            )
        if end.not_indexed:
            none = count_text(end.not_indexed, "frame")
            note(f"no index tells of {none}; `{command} index {quote(cluster.name)}` makes it, and less is read")
        if end.partly:
            note(f"{count_text(end.partly, 'line')} of more than 1 MiB may match further on")
        tell_removed((f"{one.node}/{one.family}", one) for one in self._removed)
        for line in self._damaged[:_MOST_DAMAGED]:
            note(f"{line.node}/{line.family}: not counted as a whole: {line.problem}")
        if self._damaged:
            raise CommandFailed(
                f"{count_text(len(self._damaged), 'part')} of logs could not be counted; "
                f"`{command} verify {quote(cluster.name)} --read-data` tells what is damaged"
            )


def _draw(buckets: Sequence[BucketLine]) -> list[str]:
    """Return a line for each: time, total, bar and levels, in 80 columns."""
    totals = [sum(one.levels.values()) for one in buckets]
    times = [one.time or _NO_TIME for one in buckets]
    levels = [_list_levels(one.levels) for one in buckets]
    most = max(totals, default=0)
    begins = [
        f"{time:<{max(map(len, times))}}  {total:>{len(f'{most:,}')},}"
        for time, total in zip(times, totals, strict=True)
    ]
    begin, longest = (max(map(len, column), default=0) for column in (begins, levels))
    bar = min(_LONGEST_BAR, max(_SHORTEST_BAR, _COLUMNS - begin - longest - 4))
    room = _COLUMNS - begin - bar - 4
    lines = list[str]()
    for first, total, text in zip(begins, totals, levels, strict=True):
        drawn = "#" * max(1, round(total / most * bar))
        shown = text if len(text) <= room else text[: room - 1] + "…"
        lines.append(f"{first}  {drawn:<{bar}}  {shown}")
    return lines


def _list_levels(levels: dict[str, int]) -> str:
    """Tell the levels, gravest first."""
    places = {level: at for at, level in enumerate(_GRAVEST)}
    ordered = sorted(levels, key=lambda level: (places.get(level, len(places)), level))
    return ", ".join(f"{level or _NO_LEVEL} {levels[level]:,}" for level in ordered)
