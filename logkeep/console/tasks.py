"""The tasks of the project or of one cluster: its backups and the daily runs that it missed, and their history."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

from logkeep.console.answers import Answer, make_csv, make_download
from logkeep.console.news import find_version
from logkeep.console.rendering import render, show, show_news
from logkeep.console.routes import Page
from logkeep.console.visit import Visit
from logkeep.contract.native.tasks import task_lines
from logkeep.domain.backup_job import JobType
from logkeep.domain.cluster import Cluster, is_cluster_id
from logkeep.domain.day_strip import DAY_MS, MOST_CLUSTERS, Day, add_days
from logkeep.domain.task import Task, TaskFilter, TaskPosition, TaskState
from logkeep.domain.task_table import csv_lines
from logkeep.errors import ClusterNotFound, InvalidField
from logkeep.service import clusters, day_strips, log_settings, tasks

_EACH_PAGE = 50
_WEEKS = 12
_DRAWN = 500  # the newest tasks, in plots
_TOLD = 100  # of them, in the table beside
_MARK = "\ufeff"  # by which spreadsheets know that a CSV is UTF-8
_STATES = {
    "running": TaskState.RUNNING,
    "failed": TaskState.FAIL,
    "missed": TaskState.MISSED,
    "success": TaskState.SUCCESS,
}
_KINDS = {"manual": JobType.MANUAL, "auto": JobType.AUTO}


def show_tasks(visit: Visit) -> Answer:
    return show(visit, "tasks.html", **_list_tasks(visit), **_whole(visit))


def show_rows(visit: Visit) -> Answer:
    """Show the list alone, for the script that looks for news; nothing in it grows old by itself."""
    cluster_id, query = visit.parameters.get("cluster_id", ""), visit.query.with_changes()
    parts = find_version(visit, cluster_id), cluster_id, query
    return show_news(visit, parts, lambda: render(visit, "task_rows.html", **_list_tasks(visit)))


def export_tasks(visit: Visit) -> Answer:
    """Stream all tasks that the filter finds, whichever page is shown."""
    wanted = _read_filter(visit, _find_cluster(visit))
    found = tasks.iterate_tasks(visit.runtime, visit.project_id, wanted)
    if visit.query["format"] == "csv":
        return make_csv("tasks.csv", chain((_MARK,), csv_lines(found)))
    return make_download("application/json", "tasks.json", _json_list(found))


def show_history(visit: Visit) -> Answer:
    cluster = _find_cluster(visit)
    ids, total = _cluster_ids(visit, cluster)
    strips = day_strips.list_days(visit.runtime, ids, days=_days_shown(visit.runtime.clock.now_ms()))
    page = tasks.list_tasks(visit.runtime, visit.project_id, _of_cluster(cluster), limit=_DRAWN)
    ended = [task for task in page.tasks if task.job and task.job.finished_at is not None]
    return show(
        visit,
        "task_history.html",
        cluster=cluster,
        tab="/tasks",
        base=_base(cluster),
        clusters_total=total,
        most_clusters=MOST_CLUSTERS,
        weeks=_weeks(add_days(strips.values())) if ids else [],
        ended=ended[:_TOLD],
        drawn=len(ended),
        more=page.more is not None,
        plots=_plots(ended),
    )


def _whole(visit: Visit) -> dict[str, Any]:
    """Return what the page shows around the list."""
    found, _ = _few_clusters(visit)
    return {"cluster_names": [(one.id, one.name) for one in sorted(found, key=lambda one: one.name)]}


def _list_tasks(visit: Visit) -> dict[str, Any]:
    cluster = _find_cluster(visit)
    wanted, after = _read_filter(visit, cluster), _read_position(visit.query["after"])
    page = tasks.list_tasks(visit.runtime, visit.project_id, wanted, after=after, limit=_EACH_PAGE)
    own = "cluster_id" in visit.parameters
    setting = log_settings.get_setting(visit.runtime, cluster) if cluster else None
    narrowed = replace(wanted, state=TaskState.ALL) != (_of_cluster(cluster) if own else TaskFilter())
    return {
        "cluster": cluster if own else None,
        "subject": cluster,
        "tab": "/tasks",
        "base": _base(cluster if own else None),
        "page": page,
        "after": after,
        "next": _write_position(page.more) if page.more else "",
        "state": wanted.state,
        "most_counted": tasks.MOST_COUNTED,
        "narrowed": narrowed,
        "is_open": setting is not None and setting.enabled,
    }


def _base(cluster: Cluster | None) -> str:
    return f"/console/clusters/{cluster.id}/tasks" if cluster else "/console/tasks"


def _find_cluster(visit: Visit) -> Cluster | None:
    """Return the cluster that the path or the query names; None for all."""
    if "cluster_id" in visit.parameters:
        return visit.cluster()
    asked = visit.query["cluster"].lower()
    if not asked:
        return None
    if not is_cluster_id(asked):
        raise ClusterNotFound()
    return clusters.get_cluster(visit.runtime, visit.project_id, asked)


def _of_cluster(cluster: Cluster | None) -> TaskFilter:
    return TaskFilter(cluster_id=cluster.id if cluster else "")


def _read_filter(visit: Visit, cluster: Cluster | None) -> TaskFilter:
    query = visit.query
    until = _read_day("until", query["until"])
    return TaskFilter(
        cluster_id=cluster.id if cluster else "",
        state=_STATES.get(query["state"], TaskState.ALL),
        type=_KINDS.get(query["kind"]),
        since=_read_day("since", query["since"]),
        until=None if until is None else until + DAY_MS,
        text=query["text"],
    )


def _read_day(name: str, text: str) -> int | None:
    """Return when a day of UTC begins (Unix ms); None for ''. Raises `InvalidField`."""
    if not text:
        return None
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError as error:
        raise InvalidField(name, "write the day as 2026-11-24") from error


def _read_position(text: str) -> TaskPosition | None:
    if not text:
        return None
    at, _, id_ = text.partition(".")
    if not (re.fullmatch(r"[0-9]{1,15}", at) and is_cluster_id(id_)):
        raise InvalidField("after", "this address is no longer complete; go back to the newest tasks")
    return TaskPosition(int(at), id_.lower())


def _write_position(position: TaskPosition) -> str:
    return f"{position.at}.{position.id}"


def _json_list(found: Iterable[Task]) -> Iterator[bytes]:
    """Yield the lines of the API as one list of JSON."""
    lead = b"[\n"
    for chunk in task_lines(found):
        yield lead + chunk.rstrip(b"\n").replace(b"\n", b",\n")
        lead = b",\n"
    yield b"[]\n" if lead == b"[\n" else b"\n]\n"


def _cluster_ids(visit: Visit, cluster: Cluster | None) -> tuple[list[str], int]:
    """Return whose days the calendar adds up, and of how many clusters; none where they are too many to read."""
    if cluster:
        return [cluster.id], 1
    found, total = _few_clusters(visit)
    return [one.id for one in found], total


def _few_clusters(visit: Visit) -> tuple[list[Cluster], int]:
    """Return the clusters of the project, none where they are many, and their number."""
    some, total = clusters.list_clusters(visit.runtime, visit.project_id, limit=1)
    if 1 < total <= MOST_CLUSTERS:
        some, total = clusters.list_clusters(visit.runtime, visit.project_id, limit=MOST_CLUSTERS)
    return (some if total <= MOST_CLUSTERS else []), total


def _days_shown(now: int) -> int:
    """Return so many days that the first is a Monday."""
    return (_WEEKS - 1) * 7 + datetime.fromtimestamp(now / 1000, UTC).isoweekday()


def _weeks(days: Iterable[Day]) -> list[list[Day]]:
    rest = iter(days)
    return list(iter(lambda: list(islice(rest, 7)), []))


def _plots(ended: list[Task]) -> dict[str, list[float]]:
    """Return what is drawn, oldest first: seconds since 1970, bytes, and seconds that each took."""
    drawn = [(task, task.job, task.job.finished_at) for task in reversed(ended) if task.job]
    return {
        "at": [task.at / 1000 for task, _, _ in drawn],
        "raw": [task.raw for task, _, _ in drawn],
        "stored": [task.stored for task, _, _ in drawn],
        "took": [max(0, (end or task.at) - task.at) / 1000 for task, _, end in drawn],
        "failed": [int(task.state is TaskState.FAIL) for task, _, _ in drawn],
    }


PAGES = (
    Page(path="/tasks", handler=show_tasks),
    Page(path="/tasks/rows", handler=show_rows, polled=True),
    Page(path="/tasks/export", handler=export_tasks, streams=True),
    Page(path="/tasks/history", handler=show_history),
    Page(path="/clusters/{cluster_id}/tasks", handler=show_tasks),
    Page(path="/clusters/{cluster_id}/tasks/rows", handler=show_rows, polled=True),
    Page(path="/clusters/{cluster_id}/tasks/export", handler=export_tasks, streams=True),
    Page(path="/clusters/{cluster_id}/tasks/history", handler=show_history),
)
