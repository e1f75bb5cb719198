"""A bucket that was written by an earlier version is rebuilt, verified, checked without Logkeep, and restored."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import GOLDEN
from tests.golden.make_bucket import FOLDER
from tests.integration.cli.installed import Done, called, init, serving

KEPT: dict[str, Any] = json.loads((FOLDER / "kept.json").read_text("utf-8"))
TRUSTED = FOLDER / "sign.pub"
VERIFY_CHAIN = GOLDEN.parents[2] / "docs" / "verify_chain.py"
Call = Callable[..., Done]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """Calls `logkeep` on a new installation that was rebuilt from the bucket, and is served."""
    directory = tmp_path_factory.mktemp("golden") / "installation"
    init(directory)
    shutil.copytree(FOLDER / "objects", directory / "buckets" / "logs", dirs_exist_ok=True)

    def call(*arguments: str | Path) -> Done:
        return called(directory, *arguments, "--json")

    told = call("rebuild", "--from", "logs", "--trust", TRUSTED).ended(0).json
    states = {one["name"]: (one["state"], one["problems"]) for one in told["clusters"]}
    assert states == {"prod": ("rebuilt", []), "tést ünit": ("rebuilt", []), "old": ("removed", [])}
    with serving(directory):
        yield call


def test_chain_is_checked_without_logkeep() -> None:
    heads = [word for head in KEPT["heads"].values() for word in ("--head", head)]
    command = [sys.executable, VERIFY_CHAIN, TRUSTED, FOLDER / "objects", *heads]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "0 findings"), done.stdout + done.stderr
    unnamed = [line for line in done.stdout.splitlines() if "named by no manifest" in line]
    assert all("/_removed/" in line for line in unnamed), "no object is left over but the entries of removals"


@pytest.mark.parametrize("cluster", KEPT["logs"])
def test_rebuilt_cluster_is_whole(call: Call, cluster: str) -> None:
    for asked in ("--read-data", "--chain"):
        report = call("verify", cluster, asked, "--head", KEPT["heads"][cluster]).ended(0).json
        assert (report["findings"], report["error"]) == ([], None)


@pytest.mark.parametrize("cluster", KEPT["logs"])
def test_restored_logs_are_those_that_were_kept(call: Call, cluster: str, tmp_path: Path) -> None:
    call("restore", cluster, "--to", tmp_path, "--join").ended(0)
    files = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = {name: {"bytes": len(data), "sha256": sha256(data).hexdigest()} for name, data in files.items()}
    assert found == KEPT["logs"][cluster]


def test_records_are_all_there(call: Call) -> None:
    records = call("records", "prod").ended(0).json["clusterLogRecord"]
    assert [record["status"] for record in records] == [
        *("SUCCESS", "SUCCESS", "SUCCESS"),
        *("FAIL", "FAIL"),  # of which the first left no manifest
        *("SUCCESS", "SUCCESS", "SUCCESS"),
    ]
    gaps = [gap["reason"] for gap in call("job", "show", records[1]["jobId"]).ended(0).json["gaps"]]
    assert gaps == [
        "the names jump from prod-2026-11-23-1.log to prod-2026-11-23-5.log: 2 files came and went between two backups"
    ]


def test_bucket_has_one_of_each_kind() -> None:
    """So that one that is made anew proves as much."""
    told = [json.loads(path.read_bytes()) for path in FOLDER.rglob("_manifests/*.json")]
    segments = [segment for manifest in told for segment in manifest["segments"]]
    assert {segment["flaw"] for segment in segments} == {"", "cut"}
    starts: dict[tuple[str, ...], int] = {}
    for one in segments:
        generation = (one["object"].rpartition("/")[0], str(one["generation"]))
        starts[generation] = min(one["start"], starts.get(generation, one["start"]))
    assert len([start for start in starts.values() if start]) == 2, "bytes that changed, and a chain that moved"
    for table in ("sightings", "gaps", "notes", "earlier", "warnings"):
        assert any(manifest[table] for manifest in told), table
    assert {path.suffix for path in FOLDER.rglob("*.*") if path.is_file()} >= {".zst", ".json", ".sig", ".next"}
    assert list(FOLDER.rglob("_removed/*.json"))
