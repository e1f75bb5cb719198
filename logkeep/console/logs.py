"""Logs of a cluster: lines that are found in what is kept and what is live, what is around them, how many and when."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from math import inf
from typing import Any
from zlib import crc32

from logkeep.console.answers import Answer, Html, make_download
from logkeep.console.pools import WaitsFor
from logkeep.console.rendering import render, show, show_news
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.domain.archive_search import ArchiveQuery, Hit, SearchDamage, SearchEnd, SearchEvent, SearchProgress
from logkeep.domain.cluster import Cluster
from logkeep.domain.histogram import Bucket, Interval
from logkeep.domain.instant import instant
from logkeep.domain.log_place import HeldSummary
from logkeep.domain.record_filter import RecordFilter
from logkeep.domain.removed_span import RemovedSpan
from logkeep.domain.search_request import check_text, read_cursor, read_levels, read_span, write_cursor
from logkeep.domain.span import Span, read_moment
from logkeep.errors import InvalidField
from logkeep.service import archive, archive_search, log_places, search_steps
from logkeep.service.marks import Parts, make_marker
from logkeep.service.search_steps import SearchStep

LEVELS = ("FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE")
_EACH = 100  # lines that are shown before somebody asks for more
_PLAN_SECONDS, _STEP_SECONDS, _PLAIN_SECONDS, _NEW_SECONDS, _COUNT_SECONDS = 2.0, 2.0, 5.0, 2.0, 4.0
_AGAIN_SECONDS = 1.0  # a count that was quicker is made again where shorter intervals tell more
_AT_ONCE = 64 * 1024 * 1024  # bytes; of less it is not told first that it will be read
_LONGEST_STEP = 16  # seconds: steps that find nothing grow, as each reads again what overlaps in time
_FEW_NODES = 8  # of which the newest lines are shown without being asked for
_FOLDED, _BEFORE_MATCH = 1200, 200  # characters of a line that are shown at first, and of it before the first match
_CONTEXTS = (5, 20, 100)  # lines around one
_MOST_BUCKETS = 400
_MOST_NAMES = 300  # that are offered to choose from
_MOST_DAMAGE = 20  # that are told
_CHUNK = 64 * 1024
_NARROWING = ("q", "node", "family", "level", "since", "until")
_ANY_LINE = "."  # a regular expression
_SINCE_EVER = read_moment("0001-01-01")
_HOUR, _DAY = 3600, 86_400
_SECONDS = {Interval.MINUTE: 60, Interval.HOUR: _HOUR, Interval.DAY: _DAY}
_OWN = (
    "cursor",
    "left",
    "read",
    "plan",
    "told",
    "shown",
    "seconds",
    "newest",
    "format",
    "counts",
)  # besides the search


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as the address of a page holds it."""

    cluster: Cluster
    query: ArchiveQuery
    mark: Callable[[str], Parts]
    path: str  # of the page
    visit: Visit

    def link(self, path: str = "", /, **changes: object) -> str:
        """Return the address of the same search, or of something of it, with these changes."""
        values = dict.fromkeys(_OWN, "") | {name: str(value) for name, value in changes.items()}
        return f"{self.path}{path}{self.visit.query.with_changes(**values)}"

    def link_to_line(self, path: str, hit: Hit, /, **changes: object) -> str:
        place = {"at_node": hit.node, "generation": hit.generation, "start": hit.start}
        return self.link(path, **place, **changes)


def _read(visit: Visit, *, limit: int = _EACH, seconds: float = 0) -> Asked:
    """Read what is searched. Raises `InvalidField`."""
    values, cluster = visit.query, visit.cluster()
    text, family = values.raw("q"), values["family"]
    check_text(text)
    span = _read_span(visit)
    if not (text or family or span.since):
        span = Span(_SINCE_EVER, span.until)  # else lines without a time would hide the newest
    levels = read_levels([level for level in values.all("level") if level])
    query = ArchiveQuery(
        text=text or _first_lines(levels),
        regex=not text or bool(values["regex"]),
        ignore_case=bool(values["fold"]),
        node=values["node"],
        family=family,
        wanted=RecordFilter(span, levels),
        limit=limit,
        count=False,
        newest_first=values["order"] != "oldest",
        live=not values["kept"],
        max_seconds=seconds,
    )
    marked = make_marker(query)
    path = f"/console/clusters/{cluster.id}/logs"
    return Asked(cluster, query, marked if text else lambda line: [(line, False)], path, visit)


def _read_span(visit: Visit) -> Span:
    """Read the bounds. Raises `InvalidField`, also where nothing can be between them."""
    values = visit.query
    span = read_span(values["since"], values["until"])
    if span.since and span.since == span.until:
        told = visit.texts("lines are found that were written before this moment; write %(next)s for all of %(day)s")
        day = datetime.fromisoformat(span.since.written).date()
        following = day + timedelta(days=1) if day < date.max else day
        raise InvalidField("until", told % {"next": following, "day": day})
    return span


def _first_lines(levels: frozenset[str]) -> str:
    """Return a regular expression of any line; with levels, of the first lines of records, which are found faster."""
    if not levels:
        return _ANY_LINE
    some = "|".join(sorted(levels))
    return rf'\[ *(?:{some}) *\]|level" *: *"(?:{some})"'


@dataclass(frozen=True, slots=True)
class ShownHit:
    """A line as a page shows it."""

    hit: Hit
    parts: Parts
    folded: bool  # whether not all of it is shown
    beyond: bool  # whether what is looked for stands further on than is known of it
    place: str  # in the order of the search, as a cursor


def _show_hits(asked: Asked, hits: list[Hit]) -> list[ShownHit]:
    query, shown = asked.query, list[ShownHit]()
    for hit in hits:
        parts, folded = _fold(asked.mark(hit.text), hit.cut)
        beyond = hit.cut and bool(asked.visit.query.raw("q")) and not any(found for _, found in parts)
        shown.append(ShownHit(hit, parts, folded, beyond, write_cursor(query, search_steps.place_of(hit, query))))
    return shown


def _fold(parts: Parts, cut: bool) -> tuple[Parts, bool]:
    """Return as much of a line as is shown at first, with its first match."""
    if sum(len(text) for text, _ in parts) <= _FOLDED:
        return parts, cut
    first = next((at for at, (_, found) in enumerate(parts) if found), 0)
    shown, room = Parts(), _FOLDED
    if first and sum(len(text) for text, _ in parts[:first]) > _BEFORE_MATCH:
        shown, parts = [("… " + parts[first - 1][0][-_BEFORE_MATCH:], False)], parts[first:]
    for text, found in parts:
        if room <= 0:
            break
        shown.append((text[:room], found))
        room -= len(text)
    return [*shown, (" …", False)], True


# The page, and the lines


def show_logs(visit: Visit) -> Answer:
    """Show the box and what is held; without script also the first lines, as the form asks for then."""
    asked = _read(visit, seconds=_PLAIN_SECONDS)
    found = _take(asked) if visit.query["plain"] else {"asked": asked}
    return _show_page(visit, found | (_count(asked) if visit.query["counts"] else {}))


def show_logs_again(visit: Visit) -> Html:
    """Show the form whose search was refused."""
    return _show_page(visit, {"asked": None})


def _show_page(visit: Visit, found: dict[str, Any]) -> Html:
    cluster = visit.cluster()
    held = log_places.summarise_held(visit.runtime, cluster)
    narrowed = any(visit.query.raw(name) for name in _NARROWING)
    values = {
        "cluster": cluster,
        "tab": "/logs",
        "held": held,
        "narrowed": narrowed,
        "is_open": narrowed or bool(visit.query["plain"]) or len(held.nodes) <= _FEW_NODES,
        "levels": LEVELS,
        "chosen_levels": {level.upper() for level in visit.query.all("level")},
        "most_names": _MOST_NAMES,
        "spans": _last_spans(visit),
        "page_path": f"/console/clusters/{cluster.id}/logs",
        "each": _EACH,
    }
    return show(visit, "logs.html", **values, **found)


def _last_spans(visit: Visit) -> list[tuple[str, str, bool]]:
    """Return text and address of the searches of the last hour, day and week, and whether each is chosen."""
    now = visit.runtime.clock.now_ms() // 1000
    texts, spans = visit.texts, list[tuple[str, str, bool]]()
    for text, seconds in ((texts("Last hour"), _HOUR), (texts("Last day"), _DAY), (texts("Last 7 days"), 7 * _DAY)):
        since = datetime.fromtimestamp(now - seconds, UTC).strftime("%Y-%m-%dT%H:%MZ")
        changes = dict.fromkeys((*_OWN, "until"), "") | {"since": since}
        spans.append((text, visit.query.with_changes(**changes), False))
    changes = dict.fromkeys((*_OWN, "since", "until"), "")
    any_time = not (visit.query["since"] or visit.query["until"])
    spans.append((texts("Any time"), visit.query.with_changes(**changes), any_time))
    return spans


def show_hits(visit: Visit) -> Answer:
    """Show the next lines, at the end of those that are there already; the first time what will be read."""
    asked = _read(visit, seconds=_STEP_SECONDS)
    if visit.query["q"] and not visit.query["cursor"] and not visit.query["plan"]:
        plan = search_steps.plan_search(visit.runtime, asked.cluster, replace(asked.query, max_seconds=_PLAN_SECONDS))
        if plan.progress.bytes_read > _AT_ONCE:
            return show(visit, "log_hits.html", **_before(asked, plan))
    return show(visit, "log_hits.html", **_take(asked))


def show_hits_again(visit: Visit) -> Html:
    """Tell in place of the lines why there are none."""
    return show(visit, "log_hits.html", asked=None, hits=[], step=None)


def _before(asked: Asked, plan: SearchStep) -> dict[str, Any]:
    total = plan.progress
    following = asked.link("/hits", plan=total.bytes_read)
    stopped = asked.link(plain=1)
    return {
        "asked": asked,
        "hits": [],
        "step": None,
        "plan": plan,
        "planned": total.bytes_read,
        "read": 0,
        "following": following,
        "stopped": stopped,
    }


def _take(asked: Asked) -> dict[str, Any]:
    """Go one step, and return what a page tells of it."""
    values = asked.visit.query
    left = values.number("left", _EACH, 1, _EACH)
    read, planned = values.number("read", 0, 0, 2**53), values.number("plan", 0, 0, 2**53)
    seconds = values.number("seconds", 0, 0, _LONGEST_STEP) or asked.query.max_seconds
    query = replace(asked.query, limit=left, max_seconds=seconds, after=read_cursor(values["cursor"], asked.query))
    step = search_steps.take_step(asked.visit.runtime, asked.cluster, query)
    told = [one for one in values["told"].split(".") if one.isalnum()][:_MOST_DAMAGE]
    damage = {_name_damage(one): one for one in step.damage}
    new = {name: one for name, one in damage.items() if name not in told}
    told = list(dict.fromkeys([*told, *damage]))[:_MOST_DAMAGE]
    read += step.progress.bytes_read
    rest = left - len(step.hits)
    cursor = write_cursor(query, step.after) if step.after else ""
    shown = values.number("shown", 0, 0, 2**31) + len(step.hits)
    goes_on: dict[str, object] = {"cursor": cursor, "told": ".".join(told), "shown": shown}
    more = bool(cursor) and (rest <= 0 or step.given_up)
    if not more:
        goes_on |= {"left": rest, "read": read, "plan": planned}
        if not step.hits:
            goes_on["seconds"] = min(_LONGEST_STEP, max(1, round(2 * seconds)))
    following = asked.link("/hits", plain="", **goes_on) if cursor else ""
    return {
        "asked": asked,
        "hits": _show_hits(asked, step.hits),
        "step": step,
        "damage": list(new.values())[:_MOST_DAMAGE],
        "damage_left": max(0, len(new) - _MOST_DAMAGE),
        "is_first": not values["cursor"],
        "shown": shown,
        "incomplete": bool(told),
        "read": read,
        "planned": planned,
        "more": more,
        "following": following,
        "stopped": asked.link(plain=1, **goes_on) if cursor else "",
    }


def _name_damage(damage: SearchDamage) -> str:
    return f"{crc32(repr((damage.node, damage.family, damage.generation, damage.live)).encode(errors='replace')):08x}"


def show_new(visit: Visit) -> Answer:
    """Tell how many lines were written since the newest that is shown."""
    asked = _read(visit, seconds=_NEW_SECONDS)
    query = replace(asked.query, newest_first=True)
    place = visit.query["newest"]
    than = read_cursor(place, asked.query) if place else None
    step = search_steps.count_newer(visit.runtime, asked.cluster, query, than)
    number, most = len(step.hits), step.after is not None
    parts = "new", visit.path, visit.query.with_changes(), number, most, step.given_up
    values = {"asked": asked, "number": number, "most": most, "given_up": step.given_up, "newest": place}
    return show_news(visit, parts, lambda: render(visit, "log_new.html", **values))


# One line


def _read_line(visit: Visit, asked: Asked, count: int) -> dict[str, Any]:
    values = visit.query
    generation, start = values.number("generation", 0, 0, 2**31 - 1), values.number("start", 0, 0, 2**53)
    line = log_places.read_around(visit.runtime, asked.cluster, values["at_node"], generation, start, count)
    place = {"at_node": line.node, "generation": generation, "start": start}
    wider = next((one for one in _CONTEXTS if one > count), 0)
    plain = Parts([(line.text, False)])
    return {
        "asked": asked,
        "line": line,
        "parts": asked.mark(line.text) if values["q"] else plain,
        "link": asked.link("/line", **place, context=max(count, 20)),
        "wider": asked.link("/line", **place, context=wider) if wider else "",
        "wider_part": asked.link("/around", **place, context=wider) if wider else "",
        "back": asked.link(at_node="", generation="", start="", context=""),
        "time": values["time"] or line.time,
    }


def show_around(visit: Visit) -> Answer:
    """Show the lines around one, in its place among those that were found."""
    count = visit.query.number("context", _CONTEXTS[0], 0, _CONTEXTS[-1])
    return show(visit, "log_around.html", **_read_line(visit, _read(visit), count))


def show_around_again(visit: Visit) -> Html:
    return show(visit, "log_around.html", line=None)


def show_line(visit: Visit) -> Answer:
    """Show one line with what is around it."""
    count = visit.query.number("context", _CONTEXTS[1], 0, _CONTEXTS[-1])
    asked = _read(visit)
    return show(visit, "log_line.html", cluster=asked.cluster, tab="/logs", **_read_line(visit, asked, count))


# How many, and when


def show_plot(visit: Visit) -> Answer:
    """Show how many lines, or without a text records, there are over time."""
    return show(visit, "log_plot.html", **_count(_read(visit)))


def _count(asked: Asked) -> dict[str, Any]:
    visit, text = asked.visit, asked.query.text if asked.visit.query["q"] else ""
    interval = _choose_interval(visit, log_places.summarise_held(visit.runtime, asked.cluster))
    query = replace(asked.query, text=text, regex=bool(text) and asked.query.regex, live=False, newest_first=True)
    query = replace(query, max_seconds=_COUNT_SECONDS)
    begun = time.monotonic()
    counted = search_steps.count_in_time(visit.runtime, asked.cluster, query, interval)
    # What is found may lie closer together than what is kept: of a day among months, then its hours, then its minutes.
    while counted.completed and time.monotonic() - begun < _AGAIN_SECONDS:
        finer = _fit_interval(_seconds_between(counted.buckets, interval))
        if finer.length <= interval.length:
            break
        interval = finer
        counted = search_steps.count_in_time(visit.runtime, asked.cluster, query, interval)
    timed = [bucket for bucket in counted.buckets if bucket.time]
    timed.sort(key=lambda one: instant(interval.begin(one.time)))
    return {
        "asked": asked,
        "counted": counted,
        "of_lines": bool(text),
        "buckets": [(_write_time(bucket.time, interval), *_by_gravity(bucket)) for bucket in timed[-_MOST_BUCKETS:]],
        "left_out": max(0, len(timed) - _MOST_BUCKETS),
        "untimed": sum(sum(bucket.levels.values()) for bucket in counted.buckets if not bucket.time),
        "data": _draw(timed, interval, asked, visit),
    }


def _write_time(time: str, interval: Interval) -> str:
    zone = time[interval.length :]
    return time[:10] + zone if interval is Interval.DAY else f"{time[:10]} {time[11:13]}:{time[14:16] or '00'}{zone}"


def show_plot_again(visit: Visit) -> Html:
    return show(visit, "log_plot.html", counted=None)


def _choose_interval(visit: Visit, held: HeldSummary) -> Interval:
    """Return an interval of which a few hundred make up the span."""
    now = visit.runtime.clock.now_ms() / 1000
    span = read_span(visit.query["since"], visit.query["until"])
    first = instant(held.first_time) if held.first_time else now
    last = instant(held.last_time) if held.last_time else now
    if span.since:
        first = max(first, (span.since.instant or _as_utc(span.since.written)).timestamp())
    if span.until:
        last = min(last, (span.until.instant or _as_utc(span.until.written)).timestamp())
    return _fit_interval(last - first)


def _fit_interval(seconds: float) -> Interval:
    if seconds <= 6 * _HOUR:
        return Interval.MINUTE
    return Interval.HOUR if seconds <= 14 * _DAY else Interval.DAY


def _seconds_between(buckets: list[Bucket], interval: Interval) -> float:
    """Return how long the span is in which something was found, at most."""
    begins = [instant(interval.begin(bucket.time)) for bucket in buckets if bucket.time]
    return max(begins) - min(begins) + _SECONDS[interval] if begins else inf


def _as_utc(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


def _by_gravity(bucket: Bucket) -> tuple[int, int, int]:
    """Return how many there are of errors, warnings and all else."""
    bad = sum(bucket.levels.get(level, 0) for level in ("FATAL", "ERROR"))
    warn = bucket.levels.get("WARN", 0)
    return bad, warn, sum(bucket.levels.values()) - bad - warn


def _draw(buckets: list[Bucket], interval: Interval, asked: Asked, visit: Visit) -> dict[str, Any]:
    """Return what the script draws, summed up by moment: logs in several zones may name one differently."""
    sums: dict[int, list[int]] = {}
    for bucket in buckets:
        of_moment = sums.setdefault(int(instant(interval.begin(bucket.time))), [0, 0, 0])
        for at, number in enumerate(_by_gravity(bucket)):
            of_moment[at] += number
    times = sorted(sums)
    texts = visit.texts
    return {
        "times": times,
        "counts": [[sums[moment][at] for moment in times] for at in range(3)],
        "names": [texts("Errors"), texts("Warnings"), texts("Other")],
        "seconds": _SECONDS[interval],
        "link": asked.link(since="", until=""),
    }


# Downloads


def download_hits(visit: Visit) -> Answer:
    """Send all lines that are found, as they are or as JSON of one line each."""
    asked = _read(visit, limit=10**9)
    as_json = visit.query["format"] == "ndjson"
    events = archive_search.search_archive(visit.runtime, asked.cluster, asked.query)
    chunks = _write_events(events, _write_json if as_json else _write_text)
    kind = "application/x-ndjson" if as_json else "text/plain; charset=utf-8"
    return make_download(kind, f"{asked.cluster.name}-lines-{_today(visit)}.{'ndjson' if as_json else 'log'}", chunks)


def _write_events(events: Iterator[SearchEvent], write: Callable[[SearchEvent], bytes]) -> Iterator[bytes]:
    """Yield what was found in large pieces; an empty one now and then tells that the search goes on."""
    held, since = bytearray(), time.monotonic()
    for event in events:
        held += write(event)
        if len(held) > _CHUNK or time.monotonic() - since > 1:
            yield bytes(held)
            held, since = bytearray(), time.monotonic()
    yield bytes(held)


def _write_text(event: SearchEvent) -> bytes:
    if isinstance(event, Hit):
        return event.text.encode("utf-8", "replace") + b"\n"
    if isinstance(event, SearchDamage):
        where = f"{event.node}/{event.family}" if event.family else event.node
        return f"# not complete: {where} was not searched as a whole: {event.problem}\n".encode("utf-8", "replace")
    if isinstance(event, RemovedSpan):
        where = f"{event.node}/{event.family}"
        spanned = f"{event.first_time} to {event.last_time}"
        return f"# removed by the rule {event.rule}: {where}, {spanned}\n".encode("utf-8", "replace")
    return b""


def _write_json(event: SearchEvent) -> bytes:
    kinds: Mapping[type, str] = {Hit: "hit", SearchDamage: "damage", RemovedSpan: "removed", SearchEnd: "end"}
    kind = kinds.get(type(event))
    if not kind or isinstance(event, SearchProgress):
        return b""
    told = {"completed": event.completed} if isinstance(event, SearchEnd) else asdict(event)
    return json.dumps({"type": kind} | told).encode() + b"\n"


def download_period(visit: Visit) -> Answer:
    """Send all that is kept of one log of one node in a span of time, as it was written."""
    values, cluster = visit.query, visit.cluster()
    node, family = values["node"], values["family"]
    if not (node and family):
        raise InvalidField("family", "choose a node and a log; one file holds the lines of one log")
    span = _read_span(visit)
    logs = archive.list_kept(visit.runtime, cluster, node=node, family=family, span=span)
    pieces = (archive.read_kept(visit.runtime, cluster, node, log.generation, span=span) for log in logs)
    return make_download(
        "application/octet-stream", _name_period(cluster, node, family, span, visit), chain.from_iterable(pieces)
    )


def _name_period(cluster: Cluster, node: str, family: str, span: Span, visit: Visit) -> str:
    """Return a name with the days that a download is of, which ends as the log's does."""
    since = span.since.written[:10] if span.since else ""
    until = span.until.written[:10] if span.until else _today(visit)
    return "-".join(one for one in (cluster.name, node, f"{since}_{until}" if since else until, family) if one)


def _today(visit: Visit) -> str:
    return datetime.fromtimestamp(visit.runtime.clock.now_ms() / 1000, UTC).date().isoformat()


_PATH = "/clusters/{cluster_id}/logs"

PAGES = (
    Page(path=_PATH, handler=show_logs, waits_for=WaitsFor.BUCKETS, again=show_logs_again),
    Page(path=f"{_PATH}/hits", handler=show_hits, waits_for=WaitsFor.BUCKETS, again=show_hits_again),
    Page(path=f"{_PATH}/new", handler=show_new, waits_for=WaitsFor.BUCKETS, polled=True),
    Page(path=f"{_PATH}/around", handler=show_around, waits_for=WaitsFor.BUCKETS, again=show_around_again),
    Page(path=f"{_PATH}/line", handler=show_line, waits_for=WaitsFor.BUCKETS),
    Page(path=f"{_PATH}/plot", handler=show_plot, waits_for=WaitsFor.BUCKETS, again=show_plot_again),
    Page(path=f"{_PATH}/download", handler=download_hits, waits_for=WaitsFor.BUCKETS, streams=True),
    Page(path=f"{_PATH}/period", handler=download_period, waits_for=WaitsFor.BUCKETS, streams=True),
)
