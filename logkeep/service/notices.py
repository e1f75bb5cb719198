"""Notices: what is told to people, decided once in the database whatever processes look at the same time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from logkeep.database import cluster_facts, keys, notice_states, notice_targets, notices
from logkeep.database.connection import reading, writing
from logkeep.database.notice_targets import TargetHealth
from logkeep.domain.cluster_status import ClusterDetails, ClusterFacts, ClusterState, find_troubles
from logkeep.domain.notice import Delivery, Event, Notice
from logkeep.domain.notice_rules import (
    LOOK_MS,
    MARKED,
    OpenPlace,
    OpenState,
    Place,
    Seen,
    Step,
    asks_for,
    decide,
    find_states,
    is_by_bucket,
    stays_by_bucket,
    was_by_bucket,
)
from logkeep.domain.notice_target import ConfiguredTarget, NoticeTarget, TargetKind, quiet_until
from logkeep.service import notice_delivery, notice_texts
from logkeep.service.notice_targets import list_targets
from logkeep.service.runtime import Runtime

_log = structlog.get_logger("logkeep.notices")
FAILING_MS = 15 * 60_000  # after which it is told that a target cannot be reached
_GATHER_MS = 10 * 60_000  # in which more than a few of one event are gathered
_HOUR_MS = 3_600_000
_LONGEST_ERROR = 300


def look(runtime: Runtime) -> None:
    """Compare how all clusters and buckets stand with what was told, and record notices on what changed."""
    now = runtime.clock.now_ms()
    pings = [_Ping(target) for target in runtime.notices.targets if target.destination.kind is TargetKind.PING]
    with reading(runtime.database) as connection:
        projects = {project.id: project.name for project in keys.fetch_projects(connection)}
        away = notice_states.find_failures(connection)
        known = notice_states.fetch_places(connection)
        _look_at_places(runtime, projects, away, known, now)
        for page in cluster_facts.fetch_all_facts(connection, now):
            _look_at_clusters(runtime, connection, projects, page, away.keys() | known.keys(), now)
            for ping in pings:
                ping.look(runtime, projects, page, now)
    _order_pings(runtime, pings, now)
    _tell_failing_targets(runtime, now)


def _look_at_places(
    runtime: Runtime,
    projects: Mapping[str, str],
    away: Mapping[Place, tuple[int, str]],
    known: Mapping[Place, OpenPlace],
    now: int,
) -> None:
    for place, (since, failure) in away.items():
        if place not in known:
            notice = notice_texts.tell_place(place, projects.get(place.project_id, ""), since, failure, now)
            with writing(runtime.database) as connection:
                if notice_states.begin_place(connection, place, since):
                    record(runtime, connection, [notice])
        elif known[place].over_since is not None:
            with writing(runtime.database) as connection:
                notice_states.set_place_over(connection, place, None)
    for place in known.keys() - away.keys():
        _look_at_returned(runtime, place, known[place], projects.get(place.project_id, ""), now)


def _look_at_returned(runtime: Runtime, place: Place, known: OpenPlace, project: str, now: int) -> None:
    with writing(runtime.database) as connection:
        if known.over_since is None:
            notice_states.set_place_over(connection, place, now)
        elif now - known.over_since >= LOOK_MS and notice_states.end_place(connection, place, known.since):
            record(runtime, connection, [notice_texts.tell_place(place, project, known.since, "", now)])


def _look_at_clusters(
    runtime: Runtime,
    connection: Connection,
    projects: Mapping[str, str],
    page: Sequence[tuple[str, ClusterFacts]],
    away: Collection[Place],
    now: int,
) -> None:
    told = notice_states.fetch_states(connection, [facts.id for _, facts in page])
    found = {facts.id: find_states(facts, now, runtime.policy, runtime.verify_every_ms) for _, facts in page}
    touched = [(project_id, facts) for project_id, facts in page if found[facts.id] or facts.id in told]
    details: dict[str, ClusterDetails] = {}  # as far as they were read
    seen = _read_more(connection, [facts for _, facts in touched], found, told, away, details)
    steps = {
        facts.id: decide(facts, found[facts.id], told.get(facts.id, {}), seen.get(facts.id, Seen()), now)
        for _, facts in touched
    }
    changed = [(project_id, facts) for project_id, facts in touched if steps[facts.id]]
    if not changed:
        return
    telling = [facts for _, facts in changed if any(step.event and step.after for step in steps[facts.id])]
    details |= cluster_facts.fetch_details(connection, [facts for facts in telling if facts.id not in details])
    _carry_out(runtime, projects, changed, steps, details, now)


def _read_more(
    connection: Connection,
    touched: Sequence[ClusterFacts],
    found: Mapping[str, list[str]],
    told: Mapping[str, Mapping[str, OpenState]],
    away: Collection[Place],
    details: dict[str, ClusterDetails],
) -> dict[str, Seen]:
    """Return what must be known besides the facts, by cluster; of few clusters, as it is of those that changed."""
    none: Mapping[str, OpenState] = {}
    asked = {one.id: asks_for(one, found[one.id], told.get(one.id, none)) for one in touched}
    failing = [one for one in touched if asked[one.id] & {ClusterState.FAILED, ClusterState.UNVERIFIED}]
    details |= cluster_facts.fetch_details(connection, failing)
    places = notice_states.fetch_cluster_places(connection, [one.id for one in failing]) if away else {}
    by_bucket = _find_by_bucket(failing, asked, told, {id_ for id_, place in places.items() if place in away}, details)
    wanted: dict[str, frozenset[str]] = {
        one.ended.job_id: frozenset[str]().union(*(MARKED[state] for state in asked[one.id] if state in MARKED))
        for one in touched
        if one.ended and asked[one.id] & MARKED.keys()
    }
    marks = notice_states.fetch_marks(connection, wanted)
    return {
        one.id: Seen(
            by_bucket.get(one.id, frozenset()) | stays_by_bucket(one, found[one.id], told.get(one.id, none)),
            {
                state: marks.get(one.ended.job_id if one.ended else "", frozenset())
                for state in asked[one.id] & MARKED.keys()
            },
        )
        for one in touched
    }


def _find_by_bucket(
    failing: Sequence[ClusterFacts],
    asked: Mapping[str, frozenset[str]],
    told: Mapping[str, Mapping[str, OpenState]],
    away: Collection[str],
    details: Mapping[str, ClusterDetails],
) -> dict[str, frozenset[str]]:
    """Return the states that are failures of a bucket that is told of as a whole; `away` are clusters that use one."""
    found: dict[str, frozenset[str]] = {}
    for one in failing:
        failures = {
            ClusterState.FAILED: details[one.id].failed_msg,
            ClusterState.UNVERIFIED: details[one.id].failure if one.verification.failed_at is not None else "",
        }
        found[one.id] = frozenset(
            state
            for state, failure in failures.items()
            if state in asked[one.id]
            and is_by_bucket(failure)
            and (one.id in away or was_by_bucket(state, told.get(one.id, {})))
        )
    return found


def _carry_out(
    runtime: Runtime,
    projects: Mapping[str, str],
    changed: Sequence[tuple[str, ClusterFacts]],
    steps: Mapping[str, Sequence[Step]],
    details: Mapping[str, ClusterDetails],
    now: int,
) -> None:
    """Make the changes and record their notices, in one transaction."""
    of = {facts.id: (project_id, facts) for project_id, facts in changed}
    with writing(runtime.database) as connection:
        won = notice_states.carry_out(connection, [(id_, step) for id_ in of for step in steps[id_]])
        told: list[Notice] = []
        for cluster_id, step in won:
            if step.event:
                project_id, facts = of[cluster_id]
                detail = details.get(cluster_id, ClusterDetails())
                told.append(notice_texts.tell_step(project_id, projects.get(project_id, ""), facts, step, detail, now))
        record(runtime, connection, told)


def record(runtime: Runtime, connection: Connection, told: Sequence[Notice], *, but: str = "") -> None:
    """Record notices in the caller's transaction, for every target that wants them, but not for that of this key.

    A notice whose id is known is left as it is.
    """
    if not told:
        return
    made = notices.insert_notices(connection, told)
    subscriptions = [target.subscription for target in runtime.notices.targets if _is_told(target)]
    concerned = {one.project_id for one in told if one.project_id}
    subscriptions += notice_targets.fetch_subscriptions(connection, concerned)
    now = runtime.clock.now_ms()
    recent = notices.count_recent(connection, now - _GATHER_MS)
    due = {
        (one.id, target.key): quiet_until(target.quiet, target.zone, _paced(recent[target.key, one.event], now))
        for target in subscriptions
        if target.key != but
        for one in told
        if one.id in made and target.wants(one)
    }
    notices.insert_deliveries(connection, due, now)
    for one in told:
        if one.id in made:
            runtime.meter.count_notice(one.event)


def _paced(recent: int, now: int) -> int:
    """Return when a notice is sent behind so many of its event: those that follow each other wait and go together."""
    return now if recent < notice_delivery.LEAST_TOGETHER else (now // _GATHER_MS + 1) * _GATHER_MS


def _is_told(target: ConfiguredTarget) -> bool:
    return target.destination.kind is not TargetKind.PING


def note_event(
    runtime: Runtime,
    connection: Connection,
    event: Event,
    *,
    project_id: str,
    cause: str,
    remedy: str = "",
    code: str = "",
    cluster_id: str = "",
    cluster: str = "",
) -> str:
    """Record a notice in the caller's transaction, and return its id. The caller sees to it that it is told once."""
    now = runtime.clock.now_ms()
    names = {one.id: one.name for one in keys.fetch_projects(connection, project_id=project_id)} if project_id else {}
    notice = Notice(
        id=notice_texts.new_id(),
        event=event,
        at=now,
        since=now,
        project_id=project_id,
        project=names.get(project_id, ""),
        cluster_id=cluster_id,
        cluster=cluster,
        code=code,
        cause=cause,
        remedy=remedy,
    )
    record(runtime, connection, [notice])
    return notice.id


@dataclass(slots=True)
class _Ping:
    """Whether a dead man's switch is to be asked."""

    target: ConfiguredTarget
    wrong: bool = False  # a cluster that it watches needs a hand
    newest: int = 0  # success of these clusters, Unix ms

    def look(
        self, runtime: Runtime, projects: Mapping[str, str], page: Iterable[tuple[str, ClusterFacts]], now: int
    ) -> None:
        for project_id, facts in page:
            if self.target.subscription.watches(projects.get(project_id, ""), facts.name):
                self.newest = max(self.newest, facts.last_success or 0)
                self.wrong = self.wrong or bool(find_troubles(facts, now, runtime.policy, runtime.verify_every_ms))


def _order_pings(runtime: Runtime, pings: Sequence[_Ping], now: int) -> None:
    """Let the pings be sent that are due; where something is wrong, none."""
    if not pings:
        return
    with reading(runtime.database) as connection:
        known = notice_targets.fetch_pings(connection, [ping.target.subscription.key for ping in pings])
    stopped: list[str] = []
    for ping in pings:
        key, every = ping.target.subscription.key, round(ping.target.every_hours * _HOUR_MS)
        mark, due = known.get(key, (0, None))
        if ping.wrong or not ping.newest:
            stopped += [key] if due is not None else []
        elif (every and now - mark >= every) or (not every and ping.newest > mark):
            with writing(runtime.database) as connection:
                notice_targets.order_ping(connection, key, now if every else ping.newest, now)
    if stopped:
        with writing(runtime.database) as connection:
            notice_targets.cancel_pings(connection, stopped)


def _tell_failing_targets(runtime: Runtime, now: int) -> None:
    """Tell the others of a target that has not been reached for long."""
    with reading(runtime.database) as connection:
        failing = notice_targets.fetch_failing(connection, now - FAILING_MS)
    for key, health in failing:
        project_id, _, name = key.partition("/")
        since = health.failing_since or now
        with writing(runtime.database) as connection:
            if notice_targets.note_told(connection, key, since, now):
                names = {one.id: one.name for one in keys.fetch_projects(connection, project_id=project_id)}
                notice = _failing_notice(project_id, names.get(project_id, ""), name, since, health, now)
                record(runtime, connection, [notice], but=key)
                _log.warning("notices cannot be delivered", target=name, project_id=project_id, since=since)


def _failing_notice(project_id: str, project: str, name: str, since: int, health: TargetHealth, now: int) -> Notice:
    return Notice(
        id=notice_texts.new_id(),
        event=Event.DELIVERY_FAILED,
        at=now,
        since=since,
        project_id=project_id,
        project=project,
        cause=f"notices cannot be delivered to {name}: {health.error[:_LONGEST_ERROR]}",
        remedy=f"see `logkeep notify list`; try it with `logkeep notify test {name}`",
    )


def list_notices(
    runtime: Runtime, project_id: str, *, offset: int = 0, limit: int = 50, cluster_id: str = ""
) -> tuple[list[tuple[Notice, list[Delivery]]], int]:
    """Return a page of the notices of a project, newest first, each with its deliveries, and the number of all."""
    with reading(runtime.database) as connection:
        found, total = notices.fetch_notices(connection, project_id, cluster_id, offset, limit)
        deliveries = notices.fetch_deliveries(connection, [one.id for one in found])
    url = runtime.notices.console_url
    return [(notice_texts.link(one, url), deliveries.get(one.id, [])) for one in found], total


def find_undelivered(runtime: Runtime, project_id: str) -> list[NoticeTarget]:
    """Return the targets of a project, and those of logkeep.toml, that have not been reached for 15 minutes."""
    before = runtime.clock.now_ms() - FAILING_MS
    return [
        target
        for target in list_targets(runtime, project_id)
        if target.failing_since is not None and target.failing_since <= before
    ]


def remove_old(runtime: Runtime) -> None:
    """Delete old notices, and give up what nobody could deliver."""
    now, options = runtime.clock.now_ms(), runtime.notices
    notices.delete_notices(runtime.database, now - options.keep_ms)
    notices.give_up_old(runtime.database, now - options.give_up_ms - 24 * _HOUR_MS)
