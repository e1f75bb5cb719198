"""What `notices` and `notify list` show at 80 columns."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from logkeep.cli.invocation import CommonOptions
from logkeep.cli.notices import _print_notices, _print_targets  # pyright: ignore[reportPrivateUsage]
from logkeep.cli.status import _undelivered_text  # pyright: ignore[reportPrivateUsage]
from logkeep.contract.native.notices import NoticeTargetView, NoticeView
from logkeep.contract.native.status_responses import UndeliveredView
from tests.unit.cli.test_screens import screen

AT = 1_764_000_000_000  # 2025-11-24 16:00:00 UTC


def notice(**more: Any) -> NoticeView:
    told = {
        "id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "event": "backup_failed",
        "at": AT,
        "since": AT,
        "clusterId": "00000000-0000-4000-8000-000000000000",
        "cluster": "prod-with-a-name-of-some-length",
        "state": "failed",
        "code": "LK-SOURCE-UNREACHABLE",
        "cause": "the backup, 5 min ago, failed: LK-SOURCE-UNREACHABLE: node n1: /var/log/opensearch cannot be listed",
        "remedy": "see `logkeep records prod-with-a-name-of-some-length --status FAIL`",
        "url": "",
        "deliveries": [],
    }
    return msgspec.convert(told | more, NoticeView)


def delivery(state: str, **more: Any) -> dict[str, Any]:
    nothing = {"attempts": 1, "nextTry": None, "deliveredAt": None, "error": "", "messageId": ""}
    return {"target": "ops", "state": state, **nothing, **more}


def target(**more: Any) -> NoticeTargetView:
    told = {
        "name": "ops",
        "kind": "webhook",
        "address": "https://hooks.an-example-of-some-length.example.com",
        "configured": False,
        "clusters": [],
        "events": [],
        "quiet": "",
        "zone": "UTC",
        "everyHours": 0,
        "createdAt": AT,
        "failingSince": None,
        "lastError": "",
        "lastDeliveredAt": AT,
        "waiting": 0,
    }
    return msgspec.convert(told | more, NoticeTargetView)


def test_notices_are_a_table_and_each_in_full_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = delivery("waiting", attempts=3, nextTry=AT + 60_000, error="it answered 500")
    shown = screen(
        monkeypatch,
        80,
        lambda: _print_notices(
            CommonOptions(),
            [notice(deliveries=[delivery("delivered", deliveredAt=AT), waits]), notice(cluster="")],
        ),
    )
    assert shown[0].split() == ["TIME", "(UTC)", "CLUSTER", "EVENT", "DELIVERED"]
    assert shown[2].endswith("backup_failed  1/2, 1 waiting")
    assert shown[3].split()[2:] == ["-", "backup_failed", "-"]
    told = "ops: 3 attempts: it answered 500; the next attempt is at 2025-11-24 16:01:00 UTC"
    assert told in " ".join(" ".join(shown).split())
    command = "`logkeep records prod-with-a-name-of-some-length --status FAIL`"
    assert any(command in line for line in shown)  # never folded
    assert all(len(line) <= 80 for line in shown if command not in line)


def test_a_notice_that_was_given_up_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = delivery("given_up", attempts=1, error="it answered 410")
    shown = screen(monkeypatch, 80, lambda: _print_notices(CommonOptions(), [notice(deliveries=[given_up])]))
    assert shown[-1] == "  ops: given up after 1 attempt: it answered 410"


def test_a_target_shows_its_filters_and_why_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    filtered = target(
        clusters=["prod-*"], events=["backup_failed", "recovered"], quiet="22:00-07:00", zone="Europe/Berlin"
    )
    failing = target(name="chat", failingSince=AT, lastError="it answered 500", waiting=4)
    shown = screen(monkeypatch, 80, lambda: _print_targets([filtered, failing]))
    told = " ".join(" ".join(shown).split())
    assert "clusters prod-*; events backup_failed, recovered; waits from 22:00 to 07:00 Europe/Berlin" in told
    assert "could not be delivered since 2025-11-24 16:00:00 UTC: it answered 500" in told
    assert max(map(len, shown)) <= 80


@pytest.mark.parametrize(("error", "why"), [("it answered 500", ": it answered 500"), ("", "")])
def test_status_says_what_cannot_be_delivered_and_where_more_stands(error: str, why: str) -> None:
    told = _undelivered_text(CommonOptions(), UndeliveredView("ops", AT, error), AT + 20 * 60_000)
    assert told == f"notices to ops cannot be delivered for 20 min now{why}; see `logkeep notify list`"
