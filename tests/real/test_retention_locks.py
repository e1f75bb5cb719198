"""Retention on a real server that keeps versions of objects, and locks some of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from logkeep.service import retention
from logkeep.stores.opendal import open_store
from tests.integration.test_retention import DAY, DAYS, Node
from tests.real.servers import S3Server, wait_until
from tests.support.installation import open_installation

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]


@pytest.fixture
def server() -> Iterator[S3Server]:
    with S3Server(versions=True) as server:
        yield server


def test_what_a_lock_keeps_waits_and_goes_with_all_its_versions(server: S3Server, tmp_path: Path) -> None:
    bucket, witness = f"logs-{uuid4().hex[:12]}", server.client()
    witness.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    url = f"s3://{bucket}/prefix?endpoint={server.endpoint}"
    (tmp_path / "n1").mkdir()
    with open_installation(tmp_path / "installation") as opened:
        store = open_store(url, server.credentials(), base=tmp_path)
        runtime = replace(opened.runtime, stores={"logs": store})
        installation = replace(opened, runtime=runtime)
        cluster = installation.add_cluster(n1=tmp_path / "n1")
        node = Node(installation, cluster, tmp_path / "n1")
        node.live(6)
        node.set_rules(DAYS)
        locked = node.judged()[0].kept.object
        witness.put_object_retention(
            Bucket=bucket,
            Key=f"prefix/{locked}",
            Retention={"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(seconds=5)},
        )
        done = node.run()
        assert (done.planned, done.objects, done.waiting) == (3, 2, 1)
        waiting = retention.get_state(runtime, cluster).waiting
        assert waiting.reason.startswith(f"LK-STORE-LOCKED: cannot delete {locked!r}")
        assert [one.problem for one in installation.findings(cluster, chain=True)] == []

        def goes() -> bool:
            installation.clock.advance(DAY)
            due = retention.retain_most_due(runtime, 0)
            return bool(due) and list(due[1])[-1].objects == 1

        wait_until(goes, 30, "the end of the lock")
        assert retention.get_state(runtime, cluster).waiting.objects == 0
        assert [one.problem for one in installation.findings(cluster, chain=True)] == []
    found = witness.list_object_versions(Bucket=bucket)
    there = [one["Key"] for one in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]]
    assert sum(name.endswith(".zst") for name in there) == 3
