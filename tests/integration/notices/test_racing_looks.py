"""Processes that look at the same time, and that die in between: each change is told once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from logkeep.domain.cluster import Cluster
from logkeep.service import notices
from tests.integration.test_racing import at_once
from tests.support.installation import Installation
from tests.support.notices import deliver, look, telling, told
from tests.support.receivers import Receiver, receiving

_ROUNDS = 6


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def installation(tmp_path: Path, receiver: Receiver) -> Iterator[Installation]:
    with telling(tmp_path / "installation", f'name = "ops"\nurl = "{receiver.url}"') as opened:
        yield opened


@pytest.fixture
def cluster(installation: Installation, tmp_path: Path) -> Cluster:
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1" / "es.log").write_bytes(b"a line\n")
    return installation.add_cluster(n1=tmp_path / "n1")


def test_each_change_is_told_once_whoever_looks(
    installation: Installation, cluster: Cluster, receiver: Receiver, tmp_path: Path
) -> None:
    runtimes = [replace(installation.runtime) for _ in range(4)]
    installation.back_up(cluster)
    look(installation)
    for _ in range(_ROUNDS):
        for there in (False, True):
            here, away = tmp_path / "n1", tmp_path / "away"
            (away.rename(here) if there else here.rename(away))
            installation.back_up(cluster)
            installation.clock.advance(600_000)  # so that none is gathered
            at_once(*[lambda runtime=runtime: notices.look(runtime) for runtime in runtimes])  # type: ignore[misc]
            at_once(*[lambda runtime=runtime: deliver(runtime) for runtime in runtimes])  # type: ignore[misc]
            deliver(installation.runtime)
    counted = Counter(one.event.value for one in told(installation))
    assert counted == {"backup_failed": _ROUNDS, "backup_recovered": _ROUNDS}
    assert Counter(receiver.events) == counted
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 2 * _ROUNDS


def test_a_process_that_dies_at_any_statement_leaves_all_or_nothing(
    installation: Installation, cluster: Cluster, receiver: Receiver, tmp_path: Path
) -> None:
    installation.back_up(cluster)
    look(installation)
    (tmp_path / "n1").rename(tmp_path / "away")
    installation.back_up(cluster)
    installation.clock.advance(10_000)
    for nth in range(1, 100):
        left = nth

        def die(*_: object) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise KeyboardInterrupt

        event.listen(installation.runtime.database, "before_cursor_execute", die)
        try:
            notices.look(installation.runtime)
        except KeyboardInterrupt:
            assert told(installation) == [] or deliver(installation.runtime), "told, then to be delivered too"
            continue
        finally:
            event.remove(installation.runtime.database, "before_cursor_execute", die)
        break
    assert nth > 8, "it died at some statements"
    deliver(installation.runtime)
    assert receiver.events == ["backup_failed"]
