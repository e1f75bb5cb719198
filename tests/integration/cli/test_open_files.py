"""A service without a file descriptor left says so; its port itself drops connections without a word."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

from tests.integration.cli.installed import init, serving, until


def test_exhausted_descriptors_are_told_once_and_their_end_too(tmp_path: Path) -> None:
    init(tmp_path / "installation")
    with serving(tmp_path / "installation") as served:
        pid = served.process.pid
        limit = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 3
        subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={limit}:"], check=True)
        host, _, port = served.endpoint.removeprefix("http://").rpartition(":")
        held = [socket.create_connection((host, int(port))) for _ in range(20)]
        until(lambda: "too many files are open" in "".join(served.log))
        subprocess.run(["prlimit", "--pid", str(pid), "--nofile=1000:"], check=True)
        until(lambda: "files can be opened again" in "".join(served.log))
        for one in held:
            one.close()
        lines = [json.loads(line) for line in served.log if line.startswith("{")]
    told = [one for one in lines if "file" in one["event"]]  # a thread may have needed the database just then
    assert [one["event"] for one in told] == ["too many files are open", "files can be opened again"]
    assert told[0]["code"] == "LK-OPEN-FILES"
    assert "LimitNOFILE=" in told[0]["error"]
