"""Random histories of a cluster: the notices tell exactly what changes in `status`, and each change once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, update

from logkeep.database import tables
from logkeep.database.connection import upsert, writing
from logkeep.domain.cluster_status import ClusterState
from logkeep.domain.notice import OPENING, Event, Notice
from logkeep.service import notices
from logkeep.service.status import list_status
from tests.support.installation import Installation
from tests.support.notices import HOUR, look, telling

_STATES = {event: state for state, event in OPENING.items()}
_SOURCE, _STORE = "LK-SOURCE-UNREACHABLE: node n1: silent", "LK-STORE-DENIED: bucket logs: the key is refused"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with telling(tmp_path_factory.mktemp("histories") / "i") as opened:
        yield opened


@dataclass
class History:
    """A cluster whose jobs end as a test says, written as the service writes them."""

    installation: Installation
    id: str = field(default_factory=lambda: str(uuid4()))
    running: str = ""
    failure: str = ""  # of the newest job that ended

    def __post_init__(self) -> None:
        now = self.installation.clock.now_ms()
        times = {"created_at": now - 10 * HOUR, "updated_at": now}
        of = {"project_id": self.installation.project.id, "kind": "opensearch", "version": "", "endpoint": ""}
        setting = {"enabled": True, "agency": "", "bucket": "logs", "base_path": self.id, "period": "00:00 GMT+00:00"}
        runs = {"policy_since": now, "due_at": now + 24 * HOUR, "updated_at": now}
        with writing(self.installation.runtime.database) as connection:
            connection.execute(insert(tables.clusters).values(id=self.id, name=f"c-{self.id[:8]}", **of, **times))
            connection.execute(insert(tables.log_settings).values(id=self.id, cluster_id=self.id, **setting, **runs))

    def remove(self) -> None:
        with writing(self.installation.runtime.database) as connection:
            connection.execute(tables.clusters.delete())
            connection.execute(tables.notice_buckets.delete())

    def start(self) -> None:
        if not self.running:
            self.running = uuid4().hex
            now = self.installation.clock.now_ms()
            job = {"type": "Auto", "status": "RUNNING", "bucket": "logs", "base_path": "p", "created_at": now}
            with writing(self.installation.runtime.database) as connection:
                connection.execute(
                    insert(tables.jobs).values(id=str(uuid4()), job_id=self.running, cluster_id=self.id, **job)
                )
                mine = tables.log_settings.c.cluster_id == self.id
                connection.execute(update(tables.log_settings).where(mine).values(due_at=now + 24 * HOUR))

    def end(self, failure: str = "", gaps: int = 0, nodes: tuple[str, ...] = (), logs: tuple[str, ...] = ()) -> None:
        self.installation.clock.advance(1000)
        self.start()
        job_id, self.running, self.failure = self.running, "", failure
        now, status = self.installation.clock.now_ms(), "FAIL" if failure else "SUCCESS"
        ended = {"status": status, "finished_at": now, "failed_msg": failure or None}
        with writing(self.installation.runtime.database) as connection:
            connection.execute(update(tables.jobs).where(tables.jobs.c.job_id == job_id).values(**ended))
            for _ in range(gaps):
                gap = {"node": "n1", "kind": "gap", "body": b"", "cluster_id": self.id}
                connection.execute(insert(tables.findings).values(job_id=job_id, **gap))
            self._warn(connection, job_id, "LK-NODE-EMPTY", nodes)
            self._warn(connection, job_id, "LK-LOG-LARGE", logs)
            count = upsert(connection.dialect)(tables.job_counts)
            count = count.values(cluster_id=self.id, status=status, jobs=1, last_at=now)
            key = [tables.job_counts.c.cluster_id, tables.job_counts.c.status]
            connection.execute(count.on_conflict_do_update(index_elements=key, set_={"last_at": now}))

    def _warn(self, connection: Connection, job_id: str, code: str, nodes: tuple[str, ...]) -> None:
        for node in nodes:
            row = {"cluster_id": self.id, "job_id": job_id, "family": "", "file": "", "message": "see"}
            connection.execute(insert(tables.job_warnings).values(**row, node=node, key=code + node, code=code))

    def open(self, opened: bool) -> None:
        mine = tables.log_settings.c.cluster_id == self.id
        with writing(self.installation.runtime.database) as connection:
            connection.execute(update(tables.log_settings).where(mine).values(enabled=opened))

    def told(self) -> list[Notice]:
        found, _ = notices.list_notices(
            self.installation.runtime, self.installation.project.id, limit=10_000, cluster_id=self.id
        )
        return [notice for notice, _ in sorted(found, key=lambda each: each[0].at)]

    def troubles(self) -> set[ClusterState]:
        page = list_status(self.installation.runtime, self.installation.project.id)
        return {trouble.state for trouble in page.clusters[0].troubles}


def is_open_by(told: list[Notice]) -> set[ClusterState]:
    """Which states somebody takes for open who has read these notices alone."""
    found: set[ClusterState] = set()
    for notice in told:
        if notice.event in _STATES and notice.state != ClusterState.MISSED:
            state = _STATES[notice.event]
            found -= {ClusterState.FAILED, ClusterState.STALE} if state in {"failed", "stale"} else set()
            found.add(state)
        elif notice.event is Event.BACKUP_RECOVERED:
            assert found & {ClusterState.FAILED, ClusterState.STALE}, "what was not told cannot be over"
            found -= {ClusterState.FAILED, ClusterState.STALE}
        elif notice.event is Event.RECOVERED:
            assert notice.state in found
            found.remove(ClusterState(notice.state))
    return found


_names = st.sets(st.sampled_from(["n1", "n2", "n3"]), max_size=3).map(lambda names: tuple(sorted(names)))
_steps = st.one_of(
    st.builds(
        lambda failure, gaps, nodes, logs: ("end", failure, gaps, nodes, logs),
        st.sampled_from(["", "", _SOURCE, _STORE]),
        st.integers(0, 1),
        _names,
        _names,
    ),
    st.tuples(st.just("advance"), st.sampled_from([60_000, 16 * 60_000, 5 * HOUR, 27 * HOUR])),
    st.just(("start",)),
    st.tuples(st.just("open"), st.booleans()),
)


@settings(max_examples=8)
@given(steps=st.lists(_steps, min_size=1, max_size=8))
def test_notices_tell_exactly_what_changes(installation: Installation, steps: list[tuple[object, ...]]) -> None:
    history = History(installation)
    try:
        for kind, *what in steps:
            if kind == "advance":
                installation.clock.advance(what[0])
            else:
                getattr(history, str(kind))(*what)
            look(installation)
            before = len(history.told())
            look(installation, 2)
            settled = history.told()
            opened, troubles = is_open_by(settled), history.troubles()
            by_bucket = {ClusterState.FAILED} if history.failure == _STORE else set()
            stands = troubles | ({ClusterState.UNPLANNED} if history.running else set())
            assert troubles - by_bucket <= opened <= stands
            assert all(one.event in {Event.RECOVERED, Event.BACKUP_RECOVERED} for one in settled[before:]), (
                "what begins is told at the first look, and what lasts only once"
            )
            look(installation, 2)
            assert len(history.told()) == len(settled), "nothing changed"
            assert len({one.id for one in settled}) == len(settled)
    finally:
        history.remove()
