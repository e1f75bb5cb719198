"""Old files that an operator copies back into the log directory, as a user meets them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.integration.cli.installed import Done
from tests.integration.cli.test_damaged_logs import events, restored

Command = Callable[..., Done]


def test_old_files_are_joined_where_their_times_say_and_one_that_lies_across_is_told(
    tenant: Command, opened: str, node: Path, tmp_path: Path
) -> None:
    (node / "prod-2026-11-23-4.log").write_bytes(events(30, 40))
    (node / "prod.log").write_bytes(events(40, 50))
    tenant("backup", opened, "--wait").ended(0)
    for number in (2, 1, 3):
        (node / f"prod-2026-11-23-{number}.log").write_bytes(events(10 * number - 10, 10 * number))
    assert "warning" not in tenant("backup", opened, "--wait").ended(0).err
    assert restored(tenant, opened, tmp_path / "1") == events(0, 50)
    across = b"[2026-11-23T10:00:35,500][INFO ] of another copy\n" + events(43, 48)
    (node / "prod-2026-11-22-1.log").write_bytes(across)
    told = tenant("backup", opened, "--wait").ended(0).err
    assert "warning: LK-ORDER-UNPROVEN: node n1: 'prod-2026-11-22-1.log' is new" in told
    assert restored(tenant, opened, tmp_path / "2") == events(0, 50) + across
    assert "warning" not in tenant("backup", opened, "--wait").ended(0).err
