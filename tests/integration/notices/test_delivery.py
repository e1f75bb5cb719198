"""How notices are delivered: receivers that are down, slow, hostile or choosy, and processes that die."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path

import pytest

from logkeep.database import tables
from logkeep.database.connection import reading, writing
from logkeep.domain.notice import DeliveryState, Event, Notice
from logkeep.domain.notice_target import NewTarget
from logkeep.errors import InvalidField, NameTaken, TargetNotFound, TooManyTargets
from logkeep.notify.webhook import Webhooks
from logkeep.service import notice_delivery, notice_targets, notices
from tests.integration.test_racing import at_once
from tests.support.installation import Installation
from tests.support.notices import HOUR, MINUTE, SECRET, deliver, is_signed, look, telling, told
from tests.support.receivers import Receiver, receiving, respond

Answering = Callable[[BaseHTTPRequestHandler], None]
DAY = 24 * HOUR


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def installation(tmp_path: Path, receiver: Receiver) -> Iterator[Installation]:
    with telling(tmp_path / "installation", f'name = "ops"\nurl = "{receiver.url}"\nsecret = "{SECRET}"') as opened:
        opened.runtime = replace(opened.runtime, notices=replace(opened.runtime.notices, send=quick(opened)))
        yield opened


def quick(installation: Installation) -> Callable[..., object]:
    """The sender of the settings, which waits for one second instead of ten."""
    return Webhooks("0", [], seconds=1.0).send


def note(installation: Installation, cause: str = "it happened", event: Event = Event.RETENTION_REFUSED) -> str:
    with writing(installation.runtime.database) as connection:
        return notices.note_event(
            installation.runtime, connection, event, project_id=installation.project.id, cause=cause
        )


def only(installation: Installation) -> tuple[DeliveryState, int, str]:
    """State, attempts and error of the only delivery."""
    with reading(installation.runtime.database) as connection:
        row = connection.execute(tables.notice_deliveries.select()).one()
    return DeliveryState(row.state), row.attempts, row.error


def note_together(installation: Installation, number: int) -> list[str]:
    """Ids of so many notices of one look."""
    now, project = installation.clock.now_ms(), installation.project
    event = Event.RETENTION_REFUSED
    told = [
        Notice(id=f"{at:032x}", event=event, at=now, since=now, project_id=project.id, cause=f"thing {at}")
        for at in range(now, now + number)
    ]
    with writing(installation.runtime.database) as connection:
        notices.record(installation.runtime, connection, told)
    return [one.id for one in told]


def error_shown(installation: Installation) -> str:
    found, _ = notices.list_notices(installation.runtime, installation.project.id)
    return found[0][1][0].error


def answers(status: int, body: bytes = b"", **headers: str) -> Answering:
    return lambda handler: respond(handler, status, body, **headers)


def test_what_fails_is_sent_again_with_the_same_id(installation: Installation, receiver: Receiver) -> None:
    receiver.answer = answers(500, b"no\nt0ken-in-path s3cret-in-query " + SECRET.encode() + b" \x00 of ours")
    id_ = note(installation)
    deliver(installation.runtime)
    state, attempts, error = only(installation)
    assert (state, attempts) == (DeliveryState.WAITING, 1)
    assert error == "500 Internal Server Error: no *** *** *** of ours"
    assert deliver(installation.runtime) == 0, "it is paused"
    installation.clock.advance(13_000)
    receiver.answer = answers(204)
    deliver(installation.runtime)
    assert only(installation) == (DeliveryState.DELIVERED, 2, "")
    assert [one.headers["webhook-id"] for one in receiver.received] == [id_, id_]
    assert receiver.received[0].body == receiver.received[1].body
    assert all(map(is_signed, receiver.received))


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 500 ")
    for _ in range(60):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(500)
    handler.end_headers()
    for _ in range(4096):
        handler.wfile.write(b"x" * 65536)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (drip, "no whole answer within 1 s"),
        (endless, "500 Internal Server Error: xxxx"),
        (answers(302, Location="http://169.254.169.254/"), "302: it leads elsewhere, which is not followed"),
        (answers(401), "401 Unauthorized"),
        (lambda handler: handler.connection.close(), "cannot be reached: "),
    ],
)
def test_receivers_that_do_not_take_it(
    installation: Installation, receiver: Receiver, answer: Answering, error: str
) -> None:
    receiver.answer = answer
    note(installation)
    began = time.monotonic()
    deliver(installation.runtime)
    assert time.monotonic() - began < 5
    state, attempts, said = only(installation)
    assert (state, attempts) == (DeliveryState.WAITING, 1)
    assert said.startswith(error)
    assert len(said) <= 200
    assert len(receiver.received) == 1


def test_pauses_double_up_to_an_hour_and_it_is_given_up(installation: Installation, receiver: Receiver) -> None:
    options = replace(installation.runtime.notices, give_up_ms=6 * HOUR)
    installation.runtime = replace(installation.runtime, notices=options)
    receiver.answer = answers(503)
    note(installation)
    began, attempts = installation.clock.now_ms(), []
    while only(installation)[0] is DeliveryState.WAITING:
        if deliver(installation.runtime):
            attempts.append(installation.clock.now_ms() - began)
        installation.clock.advance(1000 if len(attempts) < 3 else 5 * MINUTE)
    pauses = [(after - before) / 1000 for before, after in pairwise(attempts)]
    assert 8 <= pauses[0] <= 13
    assert 16 <= pauses[1] <= 25
    assert max(pauses) <= 1.2 * 3600 + 300
    assert 6 * HOUR <= attempts[-1] <= 8 * HOUR
    assert len(attempts) < 20
    assert only(installation)[0] is DeliveryState.GIVEN_UP


def test_a_receiver_says_when_to_come_again(installation: Installation, receiver: Receiver) -> None:
    receiver.answer = answers(429, Retry_After="1200")
    note(installation)
    deliver(installation.runtime)
    installation.clock.advance(1_190_000)
    assert deliver(installation.runtime) == 0
    installation.clock.advance(11_000)
    assert deliver(installation.runtime) == 1


def test_a_receiver_that_is_gone_gets_it_no_more(installation: Installation, receiver: Receiver) -> None:
    receiver.answer = answers(410)
    note(installation)
    deliver(installation.runtime)
    assert only(installation) == (DeliveryState.GIVEN_UP, 1, "410 Gone")


def test_one_that_is_refused_holds_up_no_other(installation: Installation, receiver: Receiver) -> None:
    receiver.answer = lambda handler: respond(handler, 422 if b"bad" in receiver.received[-1].body else 200)
    note(installation, "a bad one")
    installation.clock.advance(1000)
    note(installation, "a good one")
    assert deliver(installation.runtime) == 2
    (target,) = notice_targets.list_all_targets(installation.runtime)
    assert target.waiting == 1
    assert target.failing_since is not None, "one still waits"


def test_a_dead_receiver_is_told_to_the_others_and_shown(tmp_path: Path, receiver: Receiver) -> None:
    dead = 'name = "dead"\nurl = "http://127.0.0.1:1/x"'
    with telling(tmp_path / "i", dead, f'name = "live"\nurl = "{receiver.url}"') as installation:
        note(installation)
        deliver(installation.runtime)
        assert receiver.events == ["retention_refused"], "the dead one delays no other"
        assert notices.find_undelivered(installation.runtime, installation.project.id) == []
        installation.clock.advance(16 * MINUTE)
        for _ in range(3):
            look(installation)
            deliver(installation.runtime)
        assert receiver.events == ["retention_refused", "delivery_failed"]
        assert "notices cannot be delivered to dead: cannot be reached" in receiver.received[1].json["data"]["cause"]
        (failing,) = notices.find_undelivered(installation.runtime, installation.project.id)
        assert (failing.name, failing.address, failing.last_error) == ("dead", "", "")
        full = {one.name: one for one in notice_targets.list_all_targets(installation.runtime)}
        assert full["dead"].address == "http://127.0.0.1"
        assert full["dead"].last_error


def test_many_that_wait_become_one_message_which_stays_the_same(installation: Installation, receiver: Receiver) -> None:
    ids = note_together(installation, 7)
    receiver.answer = answers(500)
    deliver(installation.runtime)
    assert error_shown(installation) == "", "the operator's network is no tenant's business"
    installation.clock.advance(1)
    ids += note_together(installation, 7)
    receiver.answer = answers(200)
    sent = []
    for seconds in (13, 600):  # more of an event that was told often lately are gathered
        installation.clock.advance(seconds * 1000)
        sent.append(deliver(installation.runtime))
    assert sent in ([1, 1], [2, 0]), sent  # where ten minutes end just then
    first, again, later = receiver.received
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body
    assert first.headers["webhook-id"] not in ids
    assert later.headers["webhook-id"] != first.headers["webhook-id"]
    found, _ = notices.list_notices(installation.runtime, installation.project.id)
    assert {one.message_id for _, (one,) in found} == {first.headers["webhook-id"], later.headers["webhook-id"]}


def test_quiet_hours_hold_them_back(tmp_path: Path, receiver: Receiver) -> None:
    target = f'name = "ops"\nurl = "{receiver.url}"\nquiet = "22:00-07:00"\nzone = "Europe/Berlin"'
    with telling(tmp_path / "i", target) as installation:
        midnight = 4_000_000_000_000 // DAY * DAY
        installation.clock.advance(midnight + 22 * HOUR - installation.clock.now_ms())  # 23:00 or 24:00 there
        note(installation)
        assert deliver(installation.runtime) == 0
        installation.clock.advance(6 * HOUR + 30 * MINUTE)
        assert deliver(installation.runtime) == 0
        installation.clock.advance(2 * HOUR)
        assert deliver(installation.runtime) == 1


def test_filters_choose_by_cluster_project_and_event(tmp_path: Path, receiver: Receiver) -> None:
    base = f'url = "{receiver.url}"'
    targets = [
        f'name = "a"\n{base}\nprojects = ["cn-*"]\nevents = ["retention_refused"]',
        f'name = "b"\n{base}\nprojects = ["other"]',
        f'name = "c"\n{base}\nevents = ["backup_failed", "lines_lost"]',
    ]
    with telling(tmp_path / "i", *targets) as installation:
        note(installation)
        found, _ = notices.list_notices(installation.runtime, installation.project.id)
        assert [one.target for one in found[0][1]] == ["a"]


def test_processes_that_race_send_each_once(installation: Installation, receiver: Receiver) -> None:
    note_together(installation, 12)
    note(installation, event=Event.LINES_LOST)
    runtimes = [replace(installation.runtime) for _ in range(6)]
    at_once(*[lambda runtime=runtime: deliver(runtime) for runtime in runtimes])  # type: ignore[misc]
    deliver(installation.runtime)
    assert len({one.headers["webhook-id"] for one in receiver.received}) == len(receiver.received) == 2


def test_a_process_that_dies_behind_its_claim_loses_nothing(installation: Installation, receiver: Receiver) -> None:
    id_ = note(installation)
    assert notice_delivery.claim(installation.runtime, "/ops")
    assert deliver(installation.runtime) == 0, "it is claimed"
    installation.clock.advance(61_000)
    assert deliver(installation.runtime) == 1
    assert receiver.received[0].headers["webhook-id"] == id_


def test_a_process_that_dies_behind_sending_sends_the_same_again(
    installation: Installation, receiver: Receiver
) -> None:
    note_together(installation, 7)
    errand = notice_delivery.claim(installation.runtime, "/ops")
    assert errand
    notice_delivery.send(installation.runtime, errand)
    installation.clock.advance(61_000)
    assert deliver(installation.runtime) == 1
    first, again = receiver.received
    assert (first.headers["webhook-id"], first.body) == (again.headers["webhook-id"], again.body)


def test_old_notices_go_and_what_no_process_can_send_is_given_up(
    installation: Installation, receiver: Receiver
) -> None:
    note(installation)
    runtime = replace(installation.runtime, notices=replace(installation.runtime.notices, targets=()))
    assert deliver(runtime) == 0
    installation.clock.advance(4 * DAY + 1000)
    notices.remove_old(runtime)
    state, _, error = only(installation)
    assert (state, error) == (DeliveryState.GIVEN_UP, "nobody sent it: no process knows its target any more")
    installation.clock.advance(90 * DAY)
    notices.remove_old(runtime)
    assert told(installation) == []


def test_targets_of_tenants_are_checked_and_bounded(installation: Installation) -> None:
    runtime, project = installation.runtime, installation.project.id
    new = NewTarget(name="hook", url="https://hooks.example.com/t0ken", clusters=("prod-*",), events=("lines_lost",))
    made, secret = notice_targets.add_target(runtime, project, new)
    assert (made.address, made.events, made.configured) == ("https://hooks.example.com", (Event.LINES_LOST,), False)
    assert secret.startswith("whsec_")
    assert "t0ken" not in repr(new) + repr(made) + repr(notice_delivery.find_destination(runtime, f"{project}/hook"))
    for wrong, field in [
        ({"url": "http://hooks.example.com/"}, "url"),
        ({"url": "https://user:password@hooks.example.com/"}, "url"),
        ({"url": "ftp://hooks.example.com/"}, "url"),
        ({"url": "mailto://u:p@example.com"}, "url"),
        ({"url": "https://hooks.example.com/\r\nX-Y: z"}, "url"),
        ({"secret": "short"}, "secret"),
        ({"events": ("nothing",)}, "events"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"quiet": "22-7"}, "quiet"),
        ({"clusters": ("",)}, "clusters"),
        ({"name": "a/b"}, "name"),
    ]:
        with pytest.raises(InvalidField) as raised:
            notice_targets.add_target(runtime, project, NewTarget(**{"name": "x", "url": new.url, **wrong}))  # type: ignore[arg-type]
        assert raised.value.message.startswith(field)
        assert "password" not in raised.value.message.replace("leave out user and password", "")
    for taken in ("hook", "ops"):
        with pytest.raises(NameTaken):
            notice_targets.add_target(runtime, project, NewTarget(name=taken, url=new.url))
    for at in range(19):
        notice_targets.add_target(runtime, project, NewTarget(name=f"t{at}", url=new.url))
    with pytest.raises(TooManyTargets):
        notice_targets.add_target(runtime, project, NewTarget(name="more", url=new.url))
    note(installation, event=Event.LINES_LOST)
    assert {one.name: one.waiting for one in notice_targets.list_targets(runtime, project)}["hook"] == 1
    notice_targets.remove_target(runtime, project, "hook")
    with pytest.raises(TargetNotFound):
        notice_targets.remove_target(runtime, project, "hook")
    with pytest.raises(TargetNotFound):
        notice_targets.test_target(runtime, project, "hook")


def test_a_target_is_tried_by_hand(installation: Installation, receiver: Receiver) -> None:
    done = notice_targets.test_target(installation.runtime, "", "ops")
    assert done.state is DeliveryState.DELIVERED
    assert receiver.events == ["test"]
    receiver.answer = answers(418, b"a teapot")
    done = notice_targets.test_target(installation.runtime, "", "ops")
    assert (done.state, done.error) == (DeliveryState.GIVEN_UP, "418 I'm a Teapot: a teapot")
    assert told(installation) == []


def test_a_ping_goes_out_while_all_is_well(tmp_path: Path, receiver: Receiver) -> None:
    each, hourly = (f'name = "{name}"\nping = "{receiver.url}"' for name in ("each", "hourly"))
    with telling(tmp_path / "i", each, f"{hourly}\nevery_hours = 1") as installation:
        logs = tmp_path / "n1"
        logs.mkdir()
        (logs / "es.log").write_bytes(b"a line\n")
        cluster = installation.add_cluster(n1=logs)

        def pings() -> int:
            before = len(receiver.received)
            look(installation)
            deliver(installation.runtime)
            return len(receiver.received) - before

        assert pings() == 0, "nothing has succeeded yet"
        installation.back_up(cluster)
        assert pings() == 2
        assert receiver.received[0].method == "GET"
        assert pings() == 0
        installation.back_up(cluster)
        assert pings() == 1
        installation.clock.advance(HOUR)
        assert pings() == 1
        os.rename(logs, tmp_path / "away")
        installation.back_up(cluster)
        installation.clock.advance(HOUR)
        assert pings() == 0, "a backup has failed"
