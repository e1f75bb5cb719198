"""`store add`: buckets that are named while the service runs."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cli.installed import Done, Served

Command = Callable[..., Done]


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    folder = tmp_path / "more"
    folder.mkdir()
    return folder


def test_a_bucket_is_named_used_and_forgotten_while_the_service_runs(
    tenant: Command, cluster: str, bucket: Path
) -> None:
    assert tenant("logs", "open", cluster, "--bucket", "more").code == 2
    tenant("store", "add", "more", "--url", f"file://{bucket}").ended(0)
    assert f"file://{bucket}" in tenant("store", "list").ended(0).out
    tenant("store", "check", "more").ended(0)
    tenant("logs", "open", cluster, "--bucket", "more").ended(0)
    assert tenant("backup", cluster, "--wait", "--json").ended(0).json["status"] == "SUCCESS"
    tenant("verify", cluster, "--read-data").ended(0)
    assert [path.suffix for path in bucket.rglob("*.zst")]
    [more] = [one for one in tenant("store", "list", "--json").json["stores"] if one["name"] == "more"]
    assert (more["url"], more["clusters"], more["agencies"]) == (f"file://{bucket}", 1, [])
    refused = tenant("store", "remove", "more")
    assert refused.code == 2
    assert cluster in refused.err
    tenant("cluster", "remove", cluster, "--yes").ended(0)
    tenant("store", "remove", "more").ended(0)
    assert "more" not in tenant("store", "list", "--json").ended(0).out
    assert tenant("store", "remove", "more").code == 2


def test_what_cannot_be_used_is_not_named(tenant: Command, bucket: Path, tmp_path: Path) -> None:
    add = ("store", "add", "x", "--url")
    assert "there is no bucket x" in tenant(*add, f"file://{bucket}/none").ended(1).err
    assert "every process" in tenant(*add, "file:more").ended(2).err
    assert "every process" in tenant(*add, "memory:").ended(2).err
    assert "letters, digits" in tenant("store", "add", "a/b", "--url", f"file://{bucket}").ended(2).err
    assert "logkeep.toml has" in tenant("store", "add", "logs", "--url", f"file://{bucket}").ended(2).err
    wrong = tmp_path / "credentials"
    wrong.write_text("access_key_id\n")
    s3 = "s3://b?endpoint=http://127.0.0.1:1&timeout=0.2"
    assert "NAME=VALUE" in tenant(*add, s3, "--credentials", str(wrong)).ended(2).err
    wrong.write_text("access_key_id=a\nsecret_access_key=hunter2hunter2\n")
    down = tenant(*add, s3, "--credentials", str(wrong)).ended(1)
    assert "LK-STORE-UNREACHABLE" in down.err
    assert "hunter2" not in down.err


def test_secrets_are_sealed_and_the_audit_tells(tenant: Command, served: Served, bucket: Path) -> None:
    tenant("store", "add", "sealed", "--url", f"file://{bucket}").ended(0)
    database = sqlite3.connect(os.path.join(served.directory, "logkeep.db"))
    rows = database.execute("SELECT sealed FROM named_buckets WHERE name = 'sealed'").fetchall()
    told = database.execute("SELECT operation, address FROM audit WHERE operation = 'AddBucket'").fetchall()
    database.close()
    assert str(bucket).encode() not in rows[0][0]
    assert ("AddBucket", "local") in told
    assert json.loads(tenant("store", "remove", "sealed", "--json").ended(0).out) == {
        "bucket": "sealed",
        "removed": True,
    }
