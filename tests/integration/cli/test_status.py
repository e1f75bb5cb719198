"""All clusters in one view, and the newest backups of all, as a user sees them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.integration.cli.installed import Done, Served
from tests.integration.cli.test_terminal import on_terminal


def test_what_needs_a_hand_comes_first_and_says_the_command(
    served: Served, tenant: Callable[..., Done], opened: str, node: Path, command: Callable[..., Done]
) -> None:
    tenant("backup", opened, "--wait").ended(0)
    shutil.rmtree(node)
    tenant("backup", opened, "--wait").ended(1)
    done = tenant("status", "--limit", "1000").ended(1)
    assert done.out.splitlines()[0].split("  ")[0] == "CLUSTER"
    block = done.out.partition(f"\n\n{opened}\n")[2].partition("\n\n")[0]
    assert block.startswith("  the backup, 0 min ago, failed: LK-SOURCE-UNREACHABLE: node n1: ")
    assert f"see `logkeep --dir {served.directory} records {opened} --status FAIL`" in block
    assert "need" in done.out.splitlines()[-1]
    found = tenant("status", "--limit", "1000", "--json").ended(1).json
    one = next(one for one in found["clusters"] if one["name"] == opened)
    assert (one["state"], one["needsHand"], one["lastJobStatus"]) == ("failed", True, "FAIL")
    assert one["lastSuccessAt"] + one["lastSuccessAge"] == found["at"]
    page = tenant("status", "--limit", "1", "--json").json
    assert page["clusters"][0]["id"] == found["clusters"][0]["id"]
    assert page["needHand"] == found["needHand"]


def test_the_last_days_are_a_strip_under_each_cluster(tenant: Callable[..., Done], opened: str, node: Path) -> None:
    tenant("backup", opened, "--wait").ended(0)
    shown = tenant("status", "--limit", "100", "--days", "30").out
    strip, dates = shown.partition(f"\n\n{opened}\n")[2].partition("\n\n")[0].splitlines()[-2:]
    assert strip == "  " + "·" * 29 + "█"
    assert re.fullmatch(r"  \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d", dates)
    assert "today: █ kept, x failed, ! missed, > running, · none" in shown
    assert max(len(line) for line in shown.splitlines() if "█" in line) <= 80
    shutil.rmtree(node)
    tenant("backup", opened, "--wait").ended(1)
    found = tenant("status", "--limit", "100", "--days", "2", "--json").json["clusters"]
    [days] = [one["days"] for one in found if one["name"] == opened]
    assert [(day["state"], day["jobs"], day["failed"]) for day in days] == [("none", 0, 0), ("failed", 2, 1)]
    assert "--offset 2 --days 2`" in tenant("status", "--limit", "1", "--days", "2").err


def test_records_of_all_clusters(tenant: Callable[..., Done], opened: str, served: Served) -> None:
    tenant("backup", opened, "--wait").ended(0)
    shown = tenant("records").ended(0).out.splitlines()
    assert shown[0].split()[:1] == ["CLUSTER"]
    assert shown[1].split()[0] == opened
    newest = json.loads(tenant("records", "--limit", "1", "--json").out)["records"][0]
    assert newest["clusterName"] == opened
    assert tenant("records", opened, "--json").json["clusterLogRecord"][0]["jobId"] == newest["jobId"]
    code, sent = on_terminal(served, "records", "--limit", "1", columns=80)
    assert code == 0
    assert newest["jobId"] in sent
    assert max(map(len, re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", sent).splitlines())) <= 80


def test_lists_that_end_say_so(tenant: Callable[..., Done], opened: str) -> None:
    assert tenant("records", opened).ended(0).out == f"{opened} has no backup yet\n"
    tenant("backup", opened, "--wait").ended(0)
    assert tenant("records", opened, "--status", "FAIL").out == f"{opened} has no backup that failed yet\n"
    assert tenant("records", opened, "--offset", "5").out == f"{opened} has only 1 backup; the oldest: --offset 1\n"
