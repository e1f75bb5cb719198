"""What notices say: the sentences of `status`, as cause and remedy."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from shlex import quote

from logkeep.domain.cluster_status import ClusterDetails, ClusterFacts, ClusterState, Told, age_text, tell, tell_warning
from logkeep.domain.notice import NAMED, Event, Notice, name_some
from logkeep.domain.notice_rules import Place, Step, ToldState
from logkeep.domain.warning import WarningCode

_CODE = re.compile(r"\bLK-[A-Z-]+[A-Z]\b")
_STORE_CODE = re.compile(r"(LK-STORE-[A-Z]+): (.*)", re.DOTALL)
_LONGEST = 1000  # characters of a cause
# What is over, by the state.
_OVER = {
    ClusterState.STALE: "its last success counts as young enough again",
    ClusterState.UNOPENED: "its log backup is set up",
    ClusterState.UNPLANNED: "its backups are planned, or one has succeeded",
    ClusterState.FAILED: "the failure of its backup does not count any more",
    ClusterState.STUCK: "no backup of it waits for too long or runs for too long any more",
    ClusterState.OVERDUE: "its daily backup has started",
    ClusterState.DAMAGED: "the last verification found no problem",
    ClusterState.GAPS: "the last backup met no gap",
    ClusterState.NODES: "the last backup left no node out",
    ClusterState.UNVERIFIED: "it was verified again",
    ClusterState.LOGS: "the last backup left no log out",
}


def new_id() -> str:
    return secrets.token_hex(16)


def find_code(text: str) -> str:
    """Return the first code that a text names, '' for none."""
    found = _CODE.search(text)
    return found[0] if found else ""


def tell_step(
    project_id: str, project: str, facts: ClusterFacts, step: Step, details: ClusterDetails, now: int
) -> Notice:
    """Return the notice on a change of one cluster, which has an event."""
    assert step.event
    told = _tell_opened(step.state, facts, details, now) if step.after else _tell_over(step, facts, now)
    cause = f"cluster {facts.name}: {told.cause}"[:_LONGEST]
    return Notice(
        id=new_id(),
        event=step.event,
        at=now,
        since=step.since,
        project_id=project_id,
        project=project,
        cluster_id=facts.id,
        cluster=facts.name,
        state=str(step.state),
        code=find_code(told.cause),
        cause=cause,
        remedy=told.remedy,
    )


def _tell_opened(state: str, facts: ClusterFacts, details: ClusterDetails, now: int) -> Told:
    if state == ToldState.NODE_NEW:
        return tell_warning(frozenset({WarningCode.NODE_NEW}), facts, details)
    if state == ToldState.MISSED:
        missed = facts.runs.missed_at if facts.runs and facts.runs.missed_at is not None else now
        cause = f"the daily backup should have started {age_text(now - missed)} ago, and started late"
        return Told(cause, f"see `logkeep records {quote(facts.name)}`, `logkeep workers` and the service's log")
    return tell(ClusterState(state), facts, details, now)


def _tell_over(step: Step, facts: ClusterFacts, now: int) -> Told:
    lasted = f"after {age_text(now - step.since)}"
    if not facts.opened:
        return Told(f"log backup was closed; it was {step.state} before, for {age_text(now - step.since)}")
    if step.event is Event.BACKUP_RECOVERED:
        return Told(f"a backup has succeeded again, {lasted}")
    return Told(f"{_OVER[ClusterState(step.state)]}, {lasted}")


def tell_place(place: Place, project: str, since: int, failure: str, now: int) -> Notice:
    """Return the notice on a bucket that is away; where there is no failure, that it is back."""
    agency = f" (agency {place.agency})" if place.agency else ""
    bucket = f"bucket {place.bucket}{agency}"
    found = _STORE_CODE.match(failure)
    if failure:
        said = failure.partition("; LK-")[0].replace("\n", " ").rstrip(".")
        cause = f"{bucket} cannot be used: {said}"[:_LONGEST]
        remedy = (
            f"`logkeep store check {quote(place.bucket)}` tries it; backups and verifications go on by themselves when "
            "it is back, and nothing more is told of each cluster until then"
        )
    else:
        cause, remedy = f"{bucket} can be used again, after {age_text(now - since)}", ""
    return Notice(
        id=new_id(),
        event=Event.BUCKET_AWAY if failure else Event.BUCKET_BACK,
        at=now,
        since=since,
        project_id=place.project_id,
        project=project,
        code=found[1] if found else "",
        cause=cause,
        remedy=remedy,
    )


def put_together(message_id: str, notices: Sequence[Notice]) -> Notice:
    """Return one notice for several of the same event and state, which names the first clusters."""
    first = notices[0]
    if len(notices) == 1:
        return replace(first, id=message_id)
    names = list(dict.fromkeys(one.cluster or one.project for one in notices))
    projects, codes = {one.project_id for one in notices}, {one.code for one in notices}
    what = first.event.replace("_", " ") + (f" ({first.state})" if first.event is Event.RECOVERED else "")
    about = f"{len(names):,} clusters" if first.cluster else f"{len(notices):,} notices"
    said = name_some(names, len(names))
    example = f"; the first: {first.cause}"
    return replace(
        first,
        id=message_id,
        at=max(one.at for one in notices),
        since=min(one.since for one in notices),
        project_id=first.project_id if len(projects) == 1 else "",
        project=first.project if len(projects) == 1 else "",
        cluster_id="",
        cluster="",
        code=first.code if len(codes) == 1 else "",
        cause=f"{about}: {what}: {said}{example}"[: 2 * _LONGEST],
        remedy="`logkeep status` tells of each what to do",
        clusters=tuple(names[:NAMED]),
        number=len(names),
    )


def link(notice: Notice, console_url: str) -> Notice:
    """Return the notice with the page of the console that tells more."""
    if not console_url or not notice.project_id:
        return notice
    page = f"/clusters/{notice.cluster_id}" if notice.cluster_id else "/clusters"
    return replace(notice, url=f"{console_url.rstrip('/')}/console{page}")
