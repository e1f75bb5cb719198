"""A night's backup fails: somebody is told, mends it by what the notice says, and is told that it is in order again."""

from __future__ import annotations

import re
import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.integration.cli.installed import CONFIGURATION, called, init, serving, until
from tests.support.notices import is_signed
from tests.support.receivers import Receiver, receiving

# The service, which looks for changes each second instead of each ten.
QUICK = """
from logkeep.domain import notice_rules
notice_rules.LOOK_MS = 1000
from logkeep.__main__ import main
main()
"""
LINE = "[2026-11-24T00:00:00,000][INFO ][a] [n1] a line\n"


def test_a_failed_backup_is_told_mended_by_its_remedy_and_told_to_be_over(tmp_path: Path) -> None:
    directory, node = tmp_path / "installation", tmp_path / "node"
    console = '[console]\nurl = "https://backup.example.com"\n'
    sources = f'[sources]\nroots = ["{tmp_path}"]\n[notices]\nallow = ["127.0.0.0/8"]\n'
    init(directory, f"{CONFIGURATION}\n{sources}{console}")
    with receiving() as receiver, serving(directory, command=(sys.executable, "-c", QUICK)):
        added = called(directory, "notify", "add", "ops", "--url", receiver.url, "--json").ended(0).json
        called(directory, "notify", "test", "ops").ended(0)
        assert receiver.events == ["test"]
        fail_at_night(directory, node)
        failed = wait_for(receiver, "backup_failed")
        assert failed["code"] == "LK-SOURCE-UNREACHABLE"
        assert failed["url"].startswith("https://backup.example.com/console/clusters/")
        (command,) = re.findall("`(logkeep [^`]+)`", failed["remedy"])
        told = called(directory, *shlex.split(command)[1:]).ended(0).out
        assert str(node) in told  # which directory it is that has to come back
        node.mkdir()
        (node / "prod.log").write_text(LINE * 20)
        called(directory, "backup", "prod", "--wait").ended(0)
        recovered = wait_for(receiver, "backup_recovered")
        assert (recovered["state"], recovered["since"]) == ("failed", failed["since"])
        assert [is_signed(one, added["secret"]) for one in receiver.received] == [True] * 3
        shown = called(directory, "notices", "prod", "--json").ended(0).json["notices"]
        assert [one["event"] for one in shown] == ["backup_recovered", "backup_failed"]
        ids = [one.headers["webhook-id"] for one in receiver.received]
        assert [one["deliveries"][0]["messageId"] for one in shown] == ids[:0:-1]
        assert "1/1" in called(directory, "notices").ended(0).out
        called(directory, "notify", "list").ended(0)


def fail_at_night(directory: Path, node: Path) -> None:
    """Register a cluster with a daily backup, and have a backup fail, as the directory of its node is not there."""
    node.mkdir()
    called(directory, "cluster", "add", "prod", "--node", f"n1={node}").ended(0)
    later = datetime.now(UTC) + timedelta(hours=12)  # so that it does not come in this test
    called(directory, "logs", "open", "prod", "--at", f"{later:%H}:00 GMT+00:00").ended(0)
    node.rmdir()
    called(directory, "backup", "prod", "--wait").ended(1)


def wait_for(receiver: Receiver, event: str) -> dict[str, Any]:
    """The data of the notice of an event."""
    until(lambda: event in receiver.events)
    return next(one.json["data"] for one in receiver.received if one.json["type"] == event)
