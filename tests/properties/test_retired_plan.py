"""The rule that retires generations, held against the plan alone: any checkpoints, and any listing after them."""

from __future__ import annotations

import os
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.backup import retirement
from logkeep.backup.observation import Changed, ContentState, FileObservation
from logkeep.backup.pending import Rounds
from logkeep.backup.plan import Plan, make_plan
from logkeep.backup.retirement import find_retired
from logkeep.domain.manifest import EMPTY, Checkpoint, Fingerprint, Flaw, PendingFile, PendingKind
from logkeep.logformat.names import parse_name
from logkeep.sources.base import LogFile

START = datetime(2026, 11, 23, tzinfo=UTC)
NAMES = {
    "prod.log": lambda n: f"prod-2026-11-{1 + n // 5:02}-{n % 5 + 1}.log",  # a counter, or hours
    "app.log": lambda n: f"app.log.{n}",
    "es.json": lambda n: f"es-2026-11-23-{n + 20}.json",
    "old.log": lambda n: f"old/any{n}",
}


def hour(number: float) -> str:
    return (START + timedelta(hours=number)).strftime("%Y-%m-%dT%H:%M:%S,000")


@st.composite
def logs(draw: st.DrawFn, family: str, first: int) -> list[Checkpoint]:
    """The generations of one log, most of them gone."""
    found: list[Checkpoint] = []
    for number in range(draw(st.integers(0, 12))):
        kept, present = draw(st.sampled_from([300, 300, 300, 40])), draw(st.integers(0, 3)) == 0
        timed = draw(st.integers(0, 4)) > 0
        active = present and draw(st.integers(0, 3)) == 0
        lead = f"lead {family} {draw(st.integers(0, 6))}" if kept > 256 else ""
        settled = draw(st.booleans())
        found.append(
            Checkpoint(
                first + number,
                family,
                float(number + 1),
                family if active else NAMES[family](number),
                kept,
                Fingerprint(kept, f"head {first + number}"),
                Fingerprint(kept, f"tail {first + number}"),
                hour(number) if timed else "",
                hour(number + 0.5) if timed else "",
                present,
                kept if settled else -1,
                number,
                number,
                f"1:{first + number}" if draw(st.booleans()) else "",
                draw(st.integers(0, 9)) > 0,
                lead,
                start=draw(st.sampled_from([0, 0, 0, 20])),
                flaw=draw(st.sampled_from([Flaw.NONE] * 9 + [Flaw.DAMAGED])),
            )
        )
    return found


@st.composite
def notes(draw: st.DrawFn, known: list[Checkpoint]) -> list[PendingFile]:
    found: list[PendingFile] = []
    for _ in range(draw(st.integers(0, 2)) if known else 0):
        c = draw(st.sampled_from(known))
        kind = draw(st.sampled_from([PendingKind.PLANNED, PendingKind.BLOCKED, PendingKind.GROWN, PendingKind.LISTED]))
        position = c.position + draw(st.sampled_from([0.0, 0.5]))
        head = Fingerprint(20, "noted") if kind is PendingKind.PLANNED else EMPTY
        name = draw(st.sampled_from([c.name, NAMES[c.family](30)]))
        found.append(PendingFile(kind, c.family, position, c.generation, name, c.inode, c.kept + 50, 1, head))
    return found


@st.composite
def observations(draw: st.DrawFn, known: list[Checkpoint], noted: list[PendingFile]) -> list[FileObservation]:
    """Some of what was there still is, some of what was gone is back, and some is new."""
    families = {c.family for c in known}
    found: dict[str, FileObservation] = {}
    for c in known:
        there = draw(st.integers(0, 3)) > 0 if c.present else draw(st.integers(0, 15)) == 0
        if there:
            name = c.name if draw(st.integers(0, 3)) else NAMES[c.family](40 + c.generation)
            file = LogFile(name, c.kept + draw(st.sampled_from([0, 9])), c.mtime_ns, c.ctime_ns, c.inode)
            changed = c.start + 10 if draw(st.integers(0, 9)) == 0 else 0
            found[name] = FileObservation(
                file,
                parse_name(name, families, families),
                frozenset() if changed else frozenset([c.generation]),
                draw(st.sampled_from([ContentState.READABLE] * 3 + [ContentState.UNCHANGED] + [ContentState.BLOCKED])),
                c.first_time,
                c.last_time,
                c.lead,
                file.size,
                c.head,
                changed=Changed(c.generation, changed) if changed else None,
            )
    for _ in range(draw(st.integers(0, 3)) if families else 0):
        family = draw(st.sampled_from(sorted(families)))
        number = draw(st.integers(0, 20))
        name = draw(st.sampled_from([family, NAMES[family](number)]))
        look = draw(st.sampled_from([ContentState.READABLE] * 4 + [ContentState.VANISHED]))
        begun = hour(draw(st.sampled_from([number + 0.6, number, 3, 30]))) if draw(st.booleans()) else ""
        matches_pending = frozenset(draw(st.sampled_from([noted[:1], []])))
        size = draw(st.sampled_from([0, 100, 400]))
        file = LogFile(name, size, 99, 99, f"2:{number}")
        found.setdefault(
            name,
            FileObservation(
                file,
                parse_name(name, families, families),
                state=look,
                first_time=begun,
                last_time=begun,
                size=size,
                head=Fingerprint(min(100, size), "new") if size else EMPTY,
                matches_pending=matches_pending if look is ContentState.READABLE and size else frozenset(),
            ),
        )
    return [found[name] for name in sorted(found)]


@st.composite
def listings(draw: st.DrawFn) -> tuple[list[Checkpoint], list[PendingFile], list[FileObservation], set[str]]:
    known: list[Checkpoint] = []
    for family in draw(st.lists(st.sampled_from(sorted(NAMES)), min_size=1, max_size=2, unique=True)):
        known += draw(logs(family, len(known) + 1))
    noted = draw(notes(known))
    unclear = {one.family for one in noted} if draw(st.booleans()) else set[str]()
    return known, noted, draw(observations(known, noted)), unclear


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retirement, "_LAST", 1)
    monkeypatch.setattr(retirement, "_OF_PRESENT", 0)


@settings(
    derandomize="LOGKEEP_TEST_HISTORIES" not in os.environ,
    max_examples=int(os.environ.get("LOGKEEP_TEST_HISTORIES", "250")),
    deadline=None,
)
@given(listings())
def test_plan_without_the_retired_generations_is_the_plan(
    given: tuple[list[Checkpoint], list[PendingFile], list[FileObservation], set[str]],
) -> None:
    known, noted, listing, unclear = given
    earlier = {c.generation for c in known if c.family not in unclear}
    retired = find_retired(known, noted)
    # What comes back is looked up by its first bytes, before the plan is made.
    found = {number for observed in listing for number in observed.continues}
    found |= {observed.changed.generation for observed in listing if observed.changed}
    whole = make_plan("n", known, listing, (), noted, Rounds(), earlier)
    loaded = [c for c in known if c.generation not in retired or c.generation in found or c.family in whole.wants]
    plan = make_plan("n", loaded, listing, (), noted, Rounds(), earlier)
    assert plan.wants == whole.wants
    for field in fields(Plan):
        ours, theirs = getattr(plan, field.name), getattr(whole, field.name)
        assert sorted(ours, key=repr) == sorted(theirs, key=repr), field.name
