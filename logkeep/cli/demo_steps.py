"""Steps of the demonstration, each shown as the command that does the same."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from logkeep.cli import restore
from logkeep.cli.backups import print_records, start_backup, wait_for_job
from logkeep.cli.client import ServiceClient, decode
from logkeep.cli.console import make_link
from logkeep.cli.demo_node import DemoNode, Digest, Written, copy_logs, digest_file
from logkeep.cli.download import Download
from logkeep.cli.output import print_heading, print_line
from logkeep.cli.texts import count_text, duration_text, size_text
from logkeep.contract.css.responses import ClusterLogRecord, ListLogsJobResponse
from logkeep.contract.native.responses import ClusterView
from logkeep.sources.names import name_text

CLUSTER, NODE = "demo", "node-1"
BUCKET, BASE_PATH, AGENCY = "logs", "css/log", "css_obs_agency"
_TREE_LINES = 60


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup, in numbers."""

    record: ClusterLogRecord
    seconds: float
    new: int  # plain bytes that it kept
    kept: int  # plain bytes kept in all
    objects: int  # that it made
    stored: int  # bytes in them


class Demonstration:
    """Runs the steps and remembers what to tell; `problems` is empty where all went well."""

    def __init__(self, directory: Path, *, quiet: bool, once: bool) -> None:
        """Tell no endpoint with `once`, as nobody listens there when the demonstration has ended."""
        self._directory = directory
        self._once = once
        self._quiet = quiet
        self._node = DemoNode(directory / NODE)
        self._bucket = directory / "data" / "buckets" / BUCKET
        self._command = f"logkeep --dir {shlex.quote(str(directory / 'data'))}"
        self._backups: list[Backup] = []
        self._records: Any = None
        self._equal = {"files": 0, "families": 0}
        self.problems: list[str] = []

    def prepare_node(self, source: Path) -> None:
        """Copy the logs, so that the node can go on writing and the directory they come from is not touched."""
        self._begin(f"1. A node with real logs: a copy of {source}")
        copied = copy_logs(source, self._node.directory, lambda name, why: self._say(f"   left out: {name} {why}"))
        self._say(f"   {count_text(copied.files, 'file')}, {size_text(copied.size)}, in {self._node.directory}")

    def run(self, client: ServiceClient) -> None:
        self._client = client
        self._register()
        self._back_up("3. The first backup keeps all of it")
        written = self._node.write_and_rotate(datetime.now(UTC))
        self._show_written(written)
        self._back_up("5. The second backup stores only what is new")
        self._check_new(written)
        self._show_records()
        self._show_bucket()
        self._check_archive()
        self._show_access()

    # The steps ---------------------------------------------------------------------------------------------------

    def _register(self) -> None:
        source = self._node.directory.absolute().as_uri()
        where = "" if self._once else f" at {self._client.access.endpoint}"
        self._begin(f"2. The service runs{where}; its cluster, and where its logs are kept")
        self._say(f"   $ {self._command} cluster add {CLUSTER} --node {NODE}={source}")
        body = {"name": CLUSTER, "nodes": [{"name": NODE, "source": source}]}
        self._cluster = decode(self._client.send("POST", "/api/v1/clusters", body), ClusterView)
        self._say(f"   $ {self._command} logs open {CLUSTER} --bucket {BUCKET} --base-path {BASE_PATH}")
        opening = {"agency": AGENCY, "log_bucket": BUCKET, "log_base_path": BASE_PATH}
        self._client.send("POST", self._client.css(self._cluster, "logs/open"), opening)

    def _back_up(self, title: str) -> None:
        self._begin(title)
        self._say(f"   $ {self._command} backup {CLUSTER} --wait")
        objects, stored = self._stored()
        kept = self._backups[-1].kept if self._backups else 0
        started = time.monotonic()
        job_id = start_backup(self._client, self._cluster)
        record = decode(wait_for_job(self._client, job_id), ClusterLogRecord)
        seconds = time.monotonic() - started
        objects_now, stored_now = self._stored()
        kept_now = sum(log.size for log in self._client.list_kept(self._cluster))
        backup = Backup(
            record=record,
            seconds=seconds,
            new=kept_now - kept,
            kept=kept_now,
            objects=objects_now - objects,
            stored=stored_now - stored,
        )
        self._backups.append(backup)
        self._say(
            f"   {record.status} in {duration_text(seconds)}: {size_text(backup.new)} of logs are new, "
            f"of {size_text(kept_now)} in all; stored as {count_text(backup.objects, 'object')} of "
            f"{size_text(backup.stored)} together"
        )
        if record.status != "SUCCESS":
            self.problems.append(f"a backup is {record.status}: {record.failed_msg}")

    def _show_written(self, written: Written) -> None:
        self._begin("4. The node goes on writing, and rotates as log4j2 does")
        lines, logs = count_text(written.lines, "new line"), count_text(written.logs, "log")
        self._say(f"   {lines}, {size_text(written.size)}, in {logs}")
        for name, compressed in written.rotated:
            self._say(f"   {name} was renamed, begun anew, and compressed to {compressed}")
        if not written.rotated:
            self._say("   no log here is one that log4j2 would rotate, so none was")

    def _check_new(self, written: Written) -> None:
        new = self._backups[-1].new
        if new == written.size:
            self._say(f"   exactly the {written.size:,} bytes that were written; nothing is kept twice")
        else:
            self.problems.append(f"the second backup kept {new} bytes, and {written.size} were written")

    def _show_records(self) -> None:
        path = self._client.css(self._cluster, "logs/records")
        self._records = json.loads(self._client.get(path))
        self._begin("6. The record list, as the API returns it")
        self._say(f"   GET {path}")
        self._say(json.dumps(self._records, indent=2, ensure_ascii=False))
        self._say("")
        if not self._quiet:
            records = decode(json.dumps(self._records).encode(), ListLogsJobResponse).cluster_log_record
            print_records(records, [CLUSTER] * len(records))

    def _show_bucket(self) -> None:
        objects, stored = self._stored()
        self._say(
            f"\n7. What lies in the bucket: {count_text(objects, 'object')}, {size_text(stored)}, in {self._bucket}"
        )
        lines = _tree(self._bucket)
        for line in lines[:_TREE_LINES]:
            self._say(f"   {line}")
        if len(lines) > _TREE_LINES:
            self._say(f"   … and {len(lines) - _TREE_LINES} lines more")
        self._say("   each .zst is plain zstd: `zstd -dc OBJECT` gives the log's own bytes, without Logkeep")

    def _check_archive(self) -> None:
        self._begin("8. The archive against the files of the node, byte for byte")
        self._say(f"   $ {self._command} restore {CLUSTER} --to {self._directory / 'files'}")
        files = self._restore("files", restore.plan_files)
        self._equal["files"] = self._compare("file", self._node.files(), files)
        self._say(f"   $ {self._command} restore {CLUSTER} --to {self._directory / 'joined'} --join")
        joined = self._restore("joined", restore.plan_joined)
        self._equal["families"] = self._compare("log with its rotations", self._node.families(), joined)
        if not self.problems:
            self._say(
                f"   equal: {count_text(self._equal['files'], 'file')}, and "
                f"{count_text(self._equal['families'], 'log')} each joined with its rotations"
            )

    def _restore(self, folder: str, plan: Callable[[list[Any]], list[restore.RestoredFile]]) -> Path:
        files = plan(self._client.list_kept(self._cluster))
        to = self._directory / folder
        writer = restore.Restore(Download(self._client, self._cluster), to, force=False)
        outcome = writer.write(files, lambda _done, _text: None, there={})
        self.problems += [f"{label}: {reason}" for label, reason in outcome.failed.items()]
        return to / NODE

    def _compare(self, what: str, expected: dict[str, Digest], restored: Path) -> int:
        equal = sum(digest_file(restored / name) == digest for name, digest in expected.items())
        there = {str(path.relative_to(restored)) for path in restored.rglob("*") if path.is_file()}
        different = [name for name, digest in expected.items() if digest_file(restored / name) != digest]
        self.problems += [f"{what} {name_text(name)} is not restored equal" for name in different]
        self.problems += [f"{what} {name_text(name)} is restored but not on the node" for name in there - set(expected)]
        return equal

    def _show_access(self) -> None:
        if self._once:
            self._begin(f"9. The service ends now; `{self._command} serve` starts it again")
            return
        access = self._client.access
        self._begin("9. Ask it with an SDK")
        self._say(f"   endpoint  {access.endpoint}, region cn-north-4")
        self._say(f"   project   {access.project_id}\n   cluster   {self._cluster.id}")
        self._say("   With these variables the sample of the API's own page runs unchanged:\n")
        self._say(f"export HUAWEICLOUD_SDK_REGION_CSS_CN_NORTH_4={access.endpoint}")
        self._say(f"export CLOUD_SDK_AK={access.ak}")
        self._say(f"export CLOUD_SDK_SK={access.sk}\n")
        self._begin("10. Look at it in a browser: this link signs in once, within five minutes")
        self._say(f"   {make_link(self._client)}")
        self._say(f"   `{self._command} console` prints another one\n")

    def _begin(self, title: str) -> None:
        if not self._quiet:
            print_heading(title if title.startswith("1.") else f"\n{title}")

    def _say(self, text: str) -> None:
        if not self._quiet:
            print_line(text)

    # What they need ----------------------------------------------------------------------------------------------

    def _stored(self) -> tuple[int, int]:
        """Number and bytes of the objects in the bucket."""
        sizes = [path.stat().st_size for path in self._bucket.rglob("*") if path.is_file()]
        return len(sizes), sum(sizes)

    def document(self) -> dict[str, Any]:
        access = self._client.access
        return {
            "ok": not self.problems,
            "problems": self.problems,
            "dir": str((self._directory / "data").absolute()),
            "endpoint": None if self._once else access.endpoint,
            "project_id": access.project_id,
            "ak": access.ak,
            "sk": access.sk,
            "cluster_id": self._cluster.id,
            "environment": {} if self._once else {"HUAWEICLOUD_SDK_REGION_CSS_CN_NORTH_4": access.endpoint},
            "backups": [
                {
                    "status": backup.record.status,
                    "job_id": backup.record.job_id,
                    "seconds": round(backup.seconds, 3),
                    "new_bytes": backup.new,
                    "kept_bytes": backup.kept,
                    "objects": backup.objects,
                    "stored_bytes": backup.stored,
                }
                for backup in self._backups
            ],
            "equal": self._equal,
            "records": self._records,
        }


def _tree(folder: Path, indent: str = "") -> list[str]:
    lines: list[str] = []
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        if path.is_dir():
            lines += [f"{indent}{path.name}/", *_tree(path, indent + "  ")]
        else:
            lines.append(f"{indent}{path.name}  {size_text(path.stat().st_size)}")
    return lines
