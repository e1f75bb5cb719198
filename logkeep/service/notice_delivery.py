"""Delivery of notices: at least once, in order for each target, tried again until it is given up."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from sqlalchemy import Connection

from logkeep.database import notice_targets, notices
from logkeep.database.connection import reading, writing
from logkeep.database.notices import Sending
from logkeep.domain.notice import DeliveryState
from logkeep.domain.notice_target import Answer, Destination, TargetKind
from logkeep.service import notice_texts
from logkeep.service.runtime import Runtime

_CLAIM_MS = 60_000  # longer than an attempt takes
LEAST_TOGETHER = 5  # more of the same event and state are sent as one message
_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 10_000, 3_600_000


@dataclass(frozen=True, slots=True)
class Errand:
    """Something to be sent to a target that this process has claimed."""

    target: str  # key
    destination: Destination
    sending: Sending | None  # None: a ping
    ping_due: int = 0  # Unix ms


def deliver_next(runtime: Runtime, *, configured: bool = False) -> bool:
    """Send what is due to one target, and return whether anything was; only to one of logkeep.toml if asked."""
    with reading(runtime.database) as connection:
        due = notices.find_due(connection, runtime.clock.now_ms(), configured=configured)
    for target in due:
        errand = claim(runtime, target)
        if errand:
            finish(runtime, errand, send(runtime, errand))
            return True
    return False


def claim(runtime: Runtime, target: str) -> Errand | None:
    """Take a target for this process, with what is due; None if another process has it, or nothing is due any more."""
    destination = find_destination(runtime, target)
    if destination is None:
        return None
    now = runtime.clock.now_ms()
    with writing(runtime.database) as connection:
        if not notices.claim_target(connection, target, now, now + _CLAIM_MS):
            return None
        errand = _take(connection, target, destination, now)
        if errand is None:
            notices.release_target(connection, target)
        return errand


def _take(connection: Connection, target: str, destination: Destination, now: int) -> Errand | None:
    if destination.kind is TargetKind.PING:
        due = notice_targets.fetch_ping_due(connection, target)
        return None if due is None else Errand(target, destination, None, due)
    sending = notices.take_message(connection, target, now, LEAST_TOGETHER, notice_texts.new_id())
    return sending and Errand(target, destination, sending)


def find_destination(runtime: Runtime, target: str) -> Destination | None:
    """Return where a target is reached; None if this process does not know it."""
    project_id, _, name = target.partition("/")
    if not project_id:
        return next((one.destination for one in runtime.notices.targets if one.subscription.key == target), None)
    with reading(runtime.database) as connection:
        sealed = notice_targets.fetch_sealed(connection, project_id, name)
    if sealed is None:
        return None
    opened = json.loads(runtime.seal.decrypt(sealed))
    return Destination(kind=TargetKind.WEBHOOK, url=opened["url"], secret=opened["secret"], guarded=True)


def send(runtime: Runtime, errand: Errand) -> Answer:
    """Send it once; what fails is an answer as well."""
    if errand.sending is None:
        return runtime.notices.send(errand.destination, None)
    together = notice_texts.put_together(errand.sending.message_id, errand.sending.notices)
    return runtime.notices.send(errand.destination, notice_texts.link(together, runtime.notices.console_url))


def finish(runtime: Runtime, errand: Errand, answer: Answer) -> None:
    """Note what came of it, and release the target."""
    now = runtime.clock.now_ms()
    with writing(runtime.database) as connection:
        if not answer.error and errand.sending:
            notices.end_delivery(connection, errand.target, errand.sending.message_id, now)
        elif not answer.error:
            notices.end_ping(connection, errand.target, errand.ping_due, now)
        else:
            outcome = _note_failure(runtime, connection, errand, answer, now)
            runtime.meter.count_delivery(outcome)
            return
    runtime.meter.count_delivery("delivered")


def _note_failure(runtime: Runtime, connection: Connection, errand: Errand, answer: Answer, now: int) -> str:
    """Note a failure, and return its outcome.

    The target is paused, but not for a notice that it refused while it may take others: that one waits alone.
    """
    sending, outcome = errand.sending, "failed"
    pause = _pause_ms(notices.fetch_failures(connection, errand.target), answer.retry_after)
    if sending:
        given_up = answer.is_gone or now - sending.created_at >= runtime.notices.give_up_ms
        alone = answer.is_refused and not given_up
        notices.fail_delivery(
            connection,
            errand.target,
            sending.message_id,
            answer.error,
            state=DeliveryState.GIVEN_UP if given_up else DeliveryState.WAITING,
            due_at=now + _pause_ms(sending.attempts, 0) if alone else None,
        )
        outcome = "given_up" if given_up else outcome
        pause = 0 if alone or answer.is_gone else pause
    notices.fail_target(connection, errand.target, answer.error, now, now + pause)
    return outcome


def _pause_ms(failures: int, retry_after: float) -> int:
    """Return how long to wait after so many failures before: 10 s, doubled up to an hour, with some chance."""
    pause = min(_FIRST_PAUSE_MS << min(failures, 16), _LONGEST_PAUSE_MS)
    asked = min(round(retry_after * 1000), _LONGEST_PAUSE_MS)
    return max(round(pause * random.uniform(0.8, 1.2)), asked)  # noqa: S311  so that many do not come at once
