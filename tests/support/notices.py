"""Installations that tell people of things, looked at and delivered by the test itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from logkeep.clock import FixedClock
from logkeep.domain.notice import Notice
from logkeep.service import notice_delivery, notices
from logkeep.service.runtime import Runtime
from tests.support.installation import Installation, open_installation
from tests.support.receivers import Received

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
MINUTE, HOUR = 60_000, 3_600_000


@contextmanager
def telling(folder: Path, *targets: str, toml: str = "") -> Iterator[Installation]:
    """An installation with these tables `[[notify]]`."""
    tables = "".join(f"[[notify]]\n{target}\n" for target in targets)
    with open_installation(folder, FixedClock(4_000_000_000_000), f"{toml}\n[buckets.logs]\n{tables}") as installation:
        yield installation


def look(installation: Installation, times: int = 1) -> None:
    """Look for changes, ten seconds after the last look."""
    for _ in range(times):
        installation.clock.advance(10_000)
        notices.look(installation.runtime)


def deliver(runtime: Runtime, most: int = 1000) -> int:
    """Send all that is due now, and return how many messages that were."""
    for sent in range(most):
        if not notice_delivery.deliver_next(runtime):
            return sent
    raise AssertionError(f"more than {most} messages")


def tell(installation: Installation) -> None:
    look(installation)
    deliver(installation.runtime)


def told(installation: Installation) -> list[Notice]:
    """All notices of the project, oldest first."""
    found, total = notices.list_notices(installation.runtime, installation.project.id, limit=10_000)
    assert total == len(found)
    return [notice for notice, _ in reversed(found)]


def is_signed(received: Received, secret: str = SECRET) -> bool:
    """By the specification of Standard Webhooks."""
    headers = received.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + received.body
    mac = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256)
    return headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"


def texts(notices: Sequence[Notice]) -> str:
    return "\n".join(f"{one.event} {one.text}" for one in notices)
