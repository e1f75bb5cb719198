"""What the clock of the service removes by itself."""

from __future__ import annotations

from logkeep.database.connection import reading
from logkeep.database.users import fetch_token
from logkeep.domain.access import AuditEntry, Role, SignIn
from logkeep.service import audit, users
from logkeep.service.users import VALID_MS
from logkeep.work.policies import Maintenance
from tests.integration.cli.installed import until
from tests.support.installation import Installation

DAY_MS = 86_400_000


def test_old_entries_of_the_audit_and_expired_tokens_go_by_themselves(installation: Installation) -> None:
    runtime, now = installation.runtime, installation.clock.now_ms()
    users.add_user(runtime, installation.project, "alice", "a password", Role.READER)
    old = users.sign_in(runtime, SignIn("alice", "a password"), "127.0.0.1")
    for age_days in (31, 29):
        entry = AuditEntry(now - age_days * DAY_MS, "ak", "p", "StopLogs", "", "127.0.0.1", 200, "", "0" * 32)
        audit.record(runtime, entry)
    installation.clock.advance(2 * VALID_MS)
    ticker = Maintenance(runtime, lambda: None, lambda: None, audit_keep_days=32, usage_keep_days=400)
    ticker.start()
    try:
        until(lambda: audit.list_entries(runtime)[1] == 1, seconds=10)
    finally:
        ticker.stop()
    with reading(runtime.database) as connection:
        assert fetch_token(connection, old.token.sha256) is None
