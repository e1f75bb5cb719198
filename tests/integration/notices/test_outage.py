"""What is told while the database is away, which nobody can decide there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from logkeep.errors import CatalogueError
from logkeep.service.notice_outage import OutageTeller
from logkeep.service.outage import DatabaseOutage
from tests.support.installation import Installation
from tests.support.notices import deliver, telling
from tests.support.receivers import Receiver, receiving, respond


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def outage_of(installation: Installation) -> DatabaseOutage:
    return DatabaseOutage(lambda: installation.clock.now_ms() / 1000)


def test_all_processes_tell_the_same_and_its_end_is_told_once(tmp_path: Path, receiver: Receiver) -> None:
    with telling(tmp_path / "i", f'name = "ops"\nurl = "{receiver.url}"') as installation:
        installation.clock.advance(-(installation.clock.now_ms() % 60_000))
        runtimes = [replace(installation.runtime, outage=outage_of(installation)) for _ in range(2)]
        tellers = [OutageTeller(runtime) for runtime in runtimes]

        def look(seconds: int) -> None:
            installation.clock.advance(seconds * 1000)
            for teller in tellers:
                teller.look()

        for runtime in runtimes:
            runtime.outage.failed(CatalogueError("database: its server does not answer: refused"), "heartbeat")
        look(30)
        assert receiver.received == []
        receiver.answer = lambda handler: respond(handler, 500)
        look(31)
        look(5)
        assert len(receiver.received) == 2
        receiver.answer = lambda handler: respond(handler, 200)
        look(10)
        look(60)
        assert len(receiver.received) == 4
        (id_,) = {one.headers["webhook-id"] for one in receiver.received}
        data = receiver.received[-1].json["data"]
        assert (data["event"], data["may_repeat"], data["code"]) == ("database_away", True, "LK-CATALOGUE")
        assert data["cause"] == "the database has failed for 1 min: database: its server does not answer: refused"
        for runtime in runtimes:
            runtime.outage.worked("heartbeat")
        look(5)
        look(5)
        deliver(installation.runtime)
        assert receiver.events[4:] == ["database_back"]
        assert receiver.received[-1].headers["webhook-id"] != id_
