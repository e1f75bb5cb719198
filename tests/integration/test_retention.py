"""Rules of retention remove what they let go, in two phases, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from logkeep.domain.backup_job import BackupJob
from logkeep.domain.cluster import Cluster
from logkeep.domain.notice import Event
from logkeep.domain.retention import JudgedObject, Reason, RetentionProgress, RetentionRule
from logkeep.errors import InvalidField, Overloaded, RuleUnconfirmed, StoreDenied, StoreError
from logkeep.service import clusters, notices, protection, retention
from logkeep.service.log_settings import close_backup
from logkeep.stores.layout import decode_removal_entry
from tests.support.installation import Installation

DAY = 24 * 60 * 60 * 1000
DAYS = RetentionRule(keep_days=3)


@dataclass
class Node:
    """A node that writes a line a day, rotates each day and keeps two rotated files."""

    installation: Installation
    cluster: Cluster
    folder: Path
    day: int = 0

    def live(self, days: int) -> list[BackupJob]:
        """A backup at the end of each day."""
        return [self._day() for _ in range(days)]

    def _day(self) -> BackupJob:
        self.day += 1
        self.installation.clock.advance(DAY - 1000)
        log = self.folder / "es.log"
        for older, old in ((3, 2), (2, 1)):
            if (self.folder / f"es.log.{old}").exists():
                (self.folder / f"es.log.{old}").rename(self.folder / f"es.log.{older}")
        if log.exists():
            log.rename(self.folder / "es.log.1")
        (self.folder / "es.log.3").unlink(missing_ok=True)
        log.write_bytes(self.text(self.day))
        return self.installation.back_up(self.cluster)

    def text(self, *days: int) -> bytes:
        lines = (f"[2026-01-{day:02}T06:40:21,123][INFO ][o.e.n.Node] [n1] day {day} of many" for day in days)
        return "".join(f"{line}, {'x' * 300}\n" for line in lines).encode()

    def restored(self) -> bytes:
        return self.installation.restored(self.cluster).get(("n1", "es.log"), b"")

    def reasons(self, *rules: RetentionRule) -> list[Reason]:
        """What is to be said of each day's object, oldest first."""
        return [one.reason for one in self.judged(*rules)]

    def judged(self, *rules: RetentionRule) -> list[JudgedObject]:
        found = retention.judge(self.installation.runtime, self.cluster, list(rules) or None)
        return sorted(found, key=lambda one: one.kept.first_time)

    def days(self) -> list[int]:
        """Days of which the objects are in the bucket."""
        found = retention.judge(self.installation.runtime, self.cluster)
        there = {str(path.relative_to(self.installation.bucket)) for path in self.installation.objects()}
        kept = {one.kept.object: int(one.kept.first_time[8:10]) for one in found}
        assert kept.keys() <= there
        return sorted(kept[name] for name in there & kept.keys())

    def set_rules(self, *rules: RetentionRule) -> None:
        retention.set_rules(self.installation.runtime, self.cluster, rules, "alice")

    def run(self, *, confirm: bool = True) -> RetentionProgress:
        steps = retention.run(self.installation.runtime, self.cluster, confirm=confirm, who="alice")
        return list(steps)[-1]


@pytest.fixture
def node(installation: Installation, cluster: Cluster, logs: Path) -> Node:
    return Node(installation, cluster, logs)


def entries(installation: Installation) -> list[Path]:
    return sorted(installation.bucket.rglob("_retention/*.json"))


def test_without_a_rule_all_is_kept(node: Node) -> None:
    node.live(5)
    assert node.reasons() == [Reason.NO_RULE] * 5


def test_days_let_go_what_is_older(node: Node) -> None:
    node.live(10)
    assert node.reasons(DAYS) == [Reason.OUT] * 7 + [Reason.WITHIN_DAYS] * 3


def test_what_the_node_has_stays(node: Node) -> None:
    node.live(10)
    node.installation.clock.advance(30 * DAY)
    assert node.reasons(DAYS) == [Reason.OUT] * 7 + [Reason.ON_NODE] * 3


def test_of_a_node_that_is_gone_the_newest_stays(node: Node) -> None:
    node.live(10)
    node.installation.clock.advance(30 * DAY)
    close_backup(node.installation.runtime, node.cluster)
    assert node.reasons(DAYS) == [Reason.OUT] * 9 + [Reason.NEWEST]


def test_several_limits_keep_what_any_keeps(node: Node) -> None:
    node.live(10)
    stored = node.judged(DAYS)[-1].kept.stored
    assert node.reasons(RetentionRule(keep_jobs=4)) == [Reason.OUT] * 6 + [Reason.WITHIN_JOBS] * 4
    assert node.reasons(RetentionRule(keep_days=1, keep_jobs=5)).count(Reason.OUT) == 5
    sizes = [one.kept.stored for one in node.judged(DAYS)]
    most = sum(sizes[-4:])
    assert node.reasons(RetentionRule(keep_bytes=most)) == [Reason.OUT] * 6 + [Reason.WITHIN_BYTES] * 4
    assert node.reasons(RetentionRule(keep_bytes=most - 1)).count(Reason.OUT) == 7
    assert node.reasons(RetentionRule(keep_bytes=most + stored // 2, keep_days=6)).count(Reason.OUT) == 4


def test_the_rule_of_a_log_takes_the_place_of_the_clusters(node: Node) -> None:
    node.live(10)
    assert set(node.reasons(DAYS, RetentionRule("es.log"))) == {Reason.NO_RULE}
    assert node.reasons(DAYS, RetentionRule("es.log", keep_days=5)).count(Reason.OUT) == 5
    assert node.reasons(DAYS, RetentionRule("gc.log")).count(Reason.OUT) == 7


def test_a_run_removes_what_goes_and_tells_it(node: Node) -> None:
    node.live(10)
    node.set_rules(DAYS)
    with pytest.raises(RuleUnconfirmed):
        node.run(confirm=False)
    preview = retention.preview(node.installation.runtime, node.cluster)
    done = node.run()
    assert (done.planned, done.objects, done.stored, done.waiting) == (7, 7, preview.goes.stored, 0)
    assert len(node.installation.objects()) == 3
    assert node.days() == [8, 9, 10]
    [entry] = [decode_removal_entry(path.read_bytes()) for path in entries(node.installation)]
    assert [(one.start, one.rule) for one in entry.segments] == [(0, "keep_days=3")] * 7
    [removal] = retention.list_removals(node.installation.runtime, node.cluster)
    assert (removal.objects, removal.lines, removal.first_time[:10], removal.last_time[:10]) == (
        7,
        7,
        "2026-01-01",
        "2026-01-07",
    )
    state = retention.get_state(node.installation.runtime, node.cluster)
    assert (state.removed_objects, state.waiting.objects, state.entries_planned) == (7, 0, 0)
    assert node.run(confirm=False).planned == 0


def test_a_protection_keeps_a_span_or_a_job_until_it_expires(node: Node) -> None:
    jobs = node.live(10)
    runtime, cluster, now = node.installation.runtime, node.cluster, node.installation.clock.now_ms()
    made = protection.protect(
        runtime, cluster, why="audit", who="bob", span_from="2026-01-02", span_until="2026-01-04", expires_at=now + DAY
    )
    protection.protect(runtime, cluster, why="proof", who="bob", job_id=jobs[4].job_id)
    kept = [Reason.PROTECTED, Reason.OUT]
    assert node.reasons(DAYS)[:7] == [Reason.OUT, kept[0], kept[0], Reason.OUT, kept[0], Reason.OUT, Reason.OUT]
    node.set_rules(DAYS)
    node.run()
    assert node.days() == [2, 3, 5, 8, 9, 10]
    node.installation.clock.advance(DAY)
    assert node.reasons(DAYS)[:3] == [Reason.OUT, Reason.OUT, Reason.PROTECTED]
    assert made.is_expired(node.installation.clock.now_ms())
    with pytest.raises(InvalidField, match="why"):
        protection.protect(runtime, cluster, why="", who="bob", job_id=jobs[4].job_id)
    for wrong in ({"job_id": "0" * 32}, {"span_from": "2026-01-02"}, {"job_id": jobs[0].job_id, "log": "es.log"}):
        with pytest.raises(InvalidField):
            protection.protect(runtime, cluster, why="x", who="bob", **wrong)


def test_the_clock_carries_out_confirmed_rules_only(node: Node) -> None:
    node.live(10)
    runtime = node.installation.runtime
    node.set_rules(DAYS)
    assert retention.retain_most_due(runtime, DAY) is None
    node.run()
    node.live(3)
    due = retention.retain_most_due(runtime, DAY)
    assert due
    assert list(due[1])[-1].objects == 3
    assert retention.retain_most_due(runtime, DAY) is None
    node.set_rules(DAYS, RetentionRule("gc.log", keep_days=1))
    node.live(1)
    due = retention.retain_most_due(runtime, DAY)  # the cluster's rule is still confirmed
    assert due
    assert list(due[1])[-1].objects == 1
    node.set_rules(DAYS)  # what gc.log had of its own is now governed by a rule that nobody has seen there
    assert [one.confirmed_at for one in retention.list_rules(runtime, node.cluster)] == [None]


def test_rules_that_were_changed_since_the_preview_are_not_confirmed(node: Node) -> None:
    node.live(4)
    node.set_rules(DAYS)
    node.set_rules(RetentionRule(keep_days=1))
    with pytest.raises(RuleUnconfirmed, match="changed since"):
        retention.run(node.installation.runtime, node.cluster, confirm=True, who="alice", rules=[DAYS])


def test_two_runs_at_a_time_are_refused(node: Node) -> None:
    node.live(10)
    node.set_rules(DAYS)
    runtime = node.installation.runtime
    steps = retention.run(runtime, node.cluster, confirm=True, who="alice")
    with pytest.raises(Overloaded):
        retention.run(runtime, node.cluster, confirm=True, who="bob")
    assert list(steps)[-1].objects == 7


def test_while_the_bucket_is_away_nothing_goes_that_no_entry_tells_of(node: Node) -> None:
    node.live(10)
    node.set_rules(DAYS)
    bucket = node.installation.bucket
    bucket.rename(bucket.with_name("away"))
    with pytest.raises(StoreError):
        node.run()
    bucket.with_name("away").rename(bucket)
    assert retention.get_state(node.installation.runtime, node.cluster).problem
    assert len(node.installation.objects()) == 10
    node.installation.clock.advance(DAY)
    due = retention.retain_most_due(node.installation.runtime, 0)
    assert due is None or list(due[1])
    node.run()
    assert len(node.installation.objects()) == 3


def test_an_object_that_the_bucket_keeps_is_tried_again_and_holds_up_no_other(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.live(10)
    node.set_rules(DAYS)
    locked = node.judged()[0].kept.object
    store = node.installation.runtime.stores["logs"]
    removes = store.remove

    def remove_some(names: Sequence[str]) -> list[StoreError | None]:
        removed = iter(removes([name for name in names if name != locked]))
        return [StoreDenied("it is locked") if name == locked else next(removed) for name in names]

    with monkeypatch.context() as patch:
        patch.setattr(store, "remove", remove_some)
        done = node.run()
        assert (done.objects, done.waiting) == (6, 1)
        runtime, cluster = node.installation.runtime, node.cluster
        waiting = retention.get_state(runtime, cluster).waiting
        assert (waiting.objects, waiting.reason) == (1, "LK-STORE-DENIED: it is locked")
        pauses = list[int]()
        for _ in range(14):
            node.installation.clock.advance(waiting.next_try - node.installation.clock.now_ms())  # type: ignore[operator]
            due = retention.retain_most_due(runtime, 0)
            assert due
            assert list(due[1])[-1].waiting == 1
            assert retention.retain_most_due(runtime, 0) is None
            waiting = retention.get_state(runtime, cluster).waiting
            pauses.append(waiting.next_try - node.installation.clock.now_ms())  # type: ignore[operator]
    [(told, _)], total = notices.list_notices(runtime, cluster.project_id)
    assert (total, told.event, told.code) == (1, Event.RETENTION_REFUSED, "LK-STORE-DENIED")
    assert told.cause == "the bucket keeps an object that rules of retention removed: it is locked"
    assert pauses == [min(DAY, 60_000 * 2**tries) for tries in range(1, 15)]
    node.installation.clock.advance(DAY)
    due = retention.retain_most_due(runtime, 0)
    assert due
    assert list(due[1])[-1].objects == 1
    assert retention.get_state(runtime, cluster).waiting.objects == 0


@pytest.mark.parametrize(
    "rules",
    [
        [RetentionRule()],
        [RetentionRule(keep_days=-1)],
        [RetentionRule(keep_days=1), RetentionRule(keep_days=2)],
        [RetentionRule("x\0", keep_days=1)],
        [RetentionRule("x" * 5000, keep_days=1)],
    ],
)
def test_wrong_rules_are_refused(node: Node, rules: list[RetentionRule]) -> None:
    with pytest.raises(InvalidField):
        node.set_rules(*rules)


def test_of_a_node_that_was_taken_out_only_the_newest_stays(node: Node, tmp_path: Path) -> None:
    node.live(10)
    other = tmp_path / "n2"
    other.mkdir()
    change = clusters.ClusterChange(nodes=(clusters.ChangedNode("n2", source=f"file://{other}"),), remove_nodes=("n1",))
    clusters.update_cluster(node.installation.runtime, node.cluster, change)
    node.installation.clock.advance(30 * DAY)
    assert node.reasons(DAYS) == [Reason.OUT] * 9 + [Reason.NEWEST]
