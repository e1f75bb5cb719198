"""The keys and types of what each command says with --json: scripts go by them."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.conftest import Golden
from tests.golden.test_command_line import commands
from tests.integration.cli.installed import COMMAND, CONFIGURATION, called, environment, logkeep, until
from tests.support.processes import started

NOT_HERE = {("worker",)}  # it needs PostgreSQL
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def shape(value: Any, path: str = "") -> dict[str, set[str]]:
    """`logs[].gaps[].node` -> {'string'}: the types of all that is there, however deep; 'absent' where it may be missing."""
    if isinstance(value, dict):
        found = {path: {"object"}} if path else {}
        for name, inner in value.items():
            found |= shape(inner, f"{path}.{name}".lstrip("."))
        return found
    if isinstance(value, list):
        return {path: {"array"}} | merged([shape(inner, f"{path}[]") for inner in value])
    return {path: {TYPES[type(value)]}}


def merged(shapes: list[dict[str, set[str]]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in shapes:
        for path, types in one.items():
            found.setdefault(path, set()).update(types)
    for path, types in found.items():
        if path.endswith("[]"):
            continue  # of a list that is empty
        parent = path.rpartition(".")[0]
        if any(path not in one and (not parent or "object" in one.get(parent, ())) for one in shapes):
            types.add("absent")
    return found


class Recorder:
    """Calls commands with --json, and remembers the shape of what each says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.shapes: dict[tuple[str, ...], list[dict[str, set[str]]]] = {}

    def __call__(self, command: str, *arguments: str | Path, code: int = 0) -> Any:
        words = tuple(command.split())
        document = called(self.directory, *words, *arguments, "--json").ended(code).json
        self.shapes.setdefault(words, []).append(shape(document))
        return document

    @contextmanager
    def running(self, command: str, *arguments: str | Path) -> Iterator[None]:
        """One that runs on after its document."""
        line = [*COMMAND, "--dir", self.directory, "--json", command, *arguments]
        with started(line, on="stdout", env=environment()) as (_, said):
            said.wait_for(r"^\{.*\}$")
            self.shapes.setdefault((command,), []).append(shape(json.loads("".join(said.lines))))
            yield

    def text(self) -> str:
        lines: list[str] = []
        for words, shapes in sorted(self.shapes.items()):
            lines.append(f"logkeep {' '.join(words)} --json")
            lines += [f"  {path}: {' or '.join(sorted(types))}" for path, types in sorted(merged(shapes).items())]
        return "\n".join(lines) + "\n"


def test_json_of_every_command_has_this_shape(golden: Golden, tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.mkdir()
    write_log(node, 1, 20)
    said = Recorder(tmp_path / "installation")
    install(said)
    with said.running("agent", "--logs", node, "--listen", "127.0.0.1:0"):
        pass
    with said.running("serve", "--port", "0"):
        register(said, node)
        name_targets(said)
        back_up(said, node)
        read_back(said, tmp_path / "restored")
        manage(said)
        for record in said("records", "prod")["clusterLogRecord"]:
            said("job cancel", record["jobId"])  # all of them have ended
        retain(said)
        said("cluster remove", "prod", "--yes")
    said("rebuild", "--from", "logs")
    said("migrate")
    show(said, tmp_path)
    with_subcommands = {path[:-1] for path in commands() if path}
    assert set(said.shapes) | NOT_HERE == set(commands()) - with_subcommands
    golden("json.txt", said.text())


def write_log(node: Path, first: int, last: int) -> None:
    lines = (f"[2026-11-24T00:00:{n:02d},000][INFO ][a] [n1] event {n}\n" for n in range(first, last))
    (node / "prod.log").write_text("".join(lines))


def show(said: Recorder, folder: Path) -> None:
    logs = folder / "logs"
    logs.mkdir()
    write_log(logs, 1, 50)
    done = logkeep("--dir", folder / "demonstration", "demo", "--logs", logs, "--once", "--json").ended(0)
    said.shapes["demo",] = [shape(done.json)]  # a process of its own, as it sets signals


def install(said: Recorder) -> None:
    said.directory.mkdir()
    (said.directory / "logkeep.toml").write_text(f'{CONFIGURATION}\n[sources]\nroots = ["{said.directory.parent}"]\n')
    said("init")
    said("init")  # as it is there
    said("project add", "team", "--region", "cn-north-4")
    said("project list")
    key = said("key add", "--project", "team", "--role", "reader")
    said("key add", "--project", "team", "--temporary", "1")
    said("key revoke", key["ak"])
    said("key list")
    said("user add", "somebody", "--project", "team", "--role", "reader", "--generate")
    said("user password", "somebody", "--generate")
    said("user revoke", "somebody")
    said("user list")
    said("store list")
    said("store check", "logs")
    said("store accept", "logs")
    more = said.directory / "more"
    more.mkdir()
    said("store add", "more", "--url", more.as_uri())
    said("store remove", "more")
    said("workers")
    said("completion", "bash")


def register(said: Recorder, node: Path) -> None:
    said("cluster add", "gone", "--node", f"n1={node}")
    said("cluster remove", "gone", "--delete-archive", "--yes-delete", "gone")
    said("cluster add", "prod", "--node", f"n1={node}")
    said("cluster check", "prod")
    said("cluster list")
    said("cluster show", "prod")
    said("cluster update", "prod", "--node", f"n1={node}")
    said("logs open", "prod")


def name_targets(said: Recorder) -> None:
    for name in ("hook", "gone"):
        said("notify add", name, "--url", "https://127.0.0.1:9/hook", "--cluster", "prod*")
    said("notify remove", "gone")
    said("notify test", "hook", code=1)  # it may not be reached


def back_up(said: Recorder, node: Path) -> None:
    cut = node / "prod-2026-11-23-1.log.gz"
    cut.write_bytes(gzip.compress(b"[2026-11-23T00:00:00,000][INFO ][a] [n1] before\n" * 20)[:-8])
    os.utime(cut, (1_700_000_000, 1_700_000_000))  # long enough ago that it is not being written
    said("backup", "prod", "--wait")
    write_log(node, 40, 50)  # what was read is gone: a gap
    said("backup", "prod", "--wait")
    node.rename(node.with_name("away"))
    said("backup", "prod", "--wait", code=1)
    node.with_name("away").rename(node)
    for record in said("records", "prod")["clusterLogRecord"]:
        said("job show", record["jobId"])
    said("coverage", "prod")
    said("status", code=1)
    said("status", "--days", "2", code=1)
    failed = said("tasks", "--state", "fail")["tasks"][0]["jobId"]
    said("usage")
    for by in ("node", "log", "month"):
        said("usage", "prod", "--by", by)
    said("tasks", "prod", "--limit", "1")
    said("job retry", failed, "--wait")
    said("tasks", "prod")
    said("cluster show", "prod")
    said("cluster list")
    said("workers")


def read_back(said: Recorder, to: Path) -> None:
    said("restore", "prod", "--to", to)
    said("search", "prod", "event 19")
    said("search", "prod", "event", "--count")
    said("index", "prod")
    said("histogram", "prod")
    said("verify", "prod", "--read-data")
    said("verify", "prod", "--chain")
    (objects := sorted((said.directory / "buckets").rglob("*.zst")))[0].unlink()
    assert len(objects) > 1
    said("verify", "prod", code=1)
    said("cluster show", "prod")


def retain(said: Recorder) -> None:
    said("retention set", "prod", "--keep-jobs", "1")
    job_id = said("records", "prod")["clusterLogRecord"][-1]["jobId"]
    made = said("protect", "prod", "--job", job_id, "--why", "a ticket", "--for", "1d")
    said("protect", "prod", "--since", "2026-11-24", "--until", "2026-11-25", "--why", "a ticket")
    said("retention run", "prod")
    said("retention run", "prod", "--objects")
    said("retention show", "prod")
    for one in said("retention show", "prod")["protections"]:
        said("unprotect", "prod", one["id"])
    assert made["jobId"] == job_id
    said("retention run", "prod", "--yes")
    said("retention show", "prod")
    said("retention removals", "prod")
    # It was asked for at the beginning, and is carried out by the clock.
    until(lambda: called(said.directory, "retention", "deletions", "--json").json["deletions"][0]["finishedAt"])
    said("retention deletions")


def manage(said: Recorder) -> None:
    in_half_a_day = datetime.now(UTC) + timedelta(hours=12)  # so that it does not come in this test
    said("logs policy", "prod", "--at", f"{in_half_a_day:%H:%M} GMT+00:00")
    said("logs settings", "prod")
    said("logs policy", "prod", "--off")
    said("logs close", "prod")
    said("logs settings", "prod")
    said("logs open", "prod")
    known = next((said.directory / "buckets").rglob("*.zst"))
    known.with_name(f"00000009-000000000000000-{'0' * 32}.1-1.zst").touch()  # named by no manifest
    said("sweep", "prod", "--dry-run", "--grace", "0")
    until(lambda: called(said.directory, "notify", "list").code)  # a notice could not be delivered
    said("notices")
    said("notices", "prod")
    said("notify list", code=1)
    said("console")
    said("audit")
