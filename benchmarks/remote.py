"""Many small files where each request takes 20 ms: of a node that is far, or into a bucket that is."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import asyncssh

from benchmarks.installation import Installation, configure_bucket
from benchmarks.result import Result, judge, not_measured, seconds
from benchmarks.surroundings import find_program, scratch
from logkeep.backup.read_ahead import IN_FLIGHT
from logkeep.stores.opendal import PUTS
from tests.integration.test_agent_source import running_agent
from tests.real.servers import S3Server, SshServer, Toxiproxy

_FILES = int(os.environ.get("BENCH_REMOTE_FILES", "1000"))
_BUCKET_FILES = int(os.environ.get("BENCH_BUCKET_FILES", "3000"))
_ROUND_TRIP_MS = 20
_NAMES = ("SFTP", "an agent")
_GOAL = "<= 2"


def remote_files() -> list[Result]:
    """A first backup over SFTP and over an agent; the plain read has as many files in flight."""
    name = f"{_FILES:,} small files over {{}}, {_ROUND_TRIP_MS} ms away"
    try:
        with scratch() as folder, ExitStack() as held:
            node = held.enter_context(SshServer())
            _write(node.logs, _FILES)
            _, told = held.enter_context(running_agent(folder / "agent", node.logs))
            sftp, agent = (_far(held, port) for port in (node.port, urlsplit(told["url"]).port or 0))
            plain = seconds(lambda: asyncio.run(_read_plainly(node, sftp.port)), 2)
            known = folder / "known_hosts"
            known.write_text(node.known_hosts().replace(str(node.port), str(sftp.port)))
            url = node.url().replace(str(node.port), str(sftp.port))
            settings = f'[buckets.logs]\n[sftp]\nhosts = ["*"]\nkeys = ["{node.key}"]\nknown_hosts = "{known}"\n'
            settings += f'[agents.far]\nurl = "https://127.0.0.1:{agent.port}"\nfingerprint = "{told["fingerprint"]}"\n'
            settings += f'token = "{Path(told["token_file"]).read_text("utf-8").strip()}"\n'
            took = [
                seconds(Installation(folder / str(number), {"node": source}, configuration=settings).back_up, 1)
                for number, source in enumerate((url, "agent:far"))
            ]
    except RuntimeError as error:
        return [not_measured(name.format(one), f"{error}".partition("\n")[0], _GOAL) for one in _NAMES]
    against = f"plain read over SFTP, {IN_FLIGHT} files in flight: {plain:.2f} s"
    return [
        judge(name.format(one), ours, "s", _GOAL, against=against, ratio=ours / plain)
        for one, ours in zip(_NAMES, took, strict=True)
    ]


def remote_bucket() -> list[Result]:
    """A first backup into a bucket, against rclone copying the same files with as many transfers."""
    name = f"{_BUCKET_FILES:,} small files to S3, {_ROUND_TRIP_MS} ms away"
    rclone = find_program("rclone")
    if not rclone:
        return [not_measured(name, "not installed: apt-get install rclone", "<= 1.5")]
    try:
        server = S3Server()
    except RuntimeError as error:
        return [not_measured(name, f"{error}".partition("\n")[0], "<= 1.5")]
    with scratch() as folder, server, ExitStack() as held:
        (folder / "logs").mkdir()
        _write(folder / "logs", _BUCKET_FILES)
        server.client().create_bucket(Bucket="bench")
        endpoint = f"http://127.0.0.1:{_far(held, urlsplit(server.endpoint).port or 0).port}"
        keys = server.credentials()
        remote = {"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": endpoint, "REGION": "us-east-1"}
        remote |= {"ACCESS_KEY_ID": keys["access_key_id"], "SECRET_ACCESS_KEY": keys["secret_access_key"]}
        command = [rclone, "--config", "", "copy", "--transfers", str(PUTS), "--checkers", str(PUTS)]
        command += ["--s3-no-check-bucket", str(folder / "logs"), "far:bench/plain"]
        known = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        known |= {f"RCLONE_CONFIG_FAR_{option}": value for option, value in remote.items()}
        theirs = seconds(lambda: subprocess.run(command, env=known, check=True), 1)
        settings = configure_bucket(f"s3://bench?endpoint={endpoint}&region=us-east-1", keys)
        ours = seconds(Installation(folder / "one", {"node": folder / "logs"}, configuration=settings).back_up, 1)
    against = f"rclone copy, {PUTS} transfers: {theirs:.2f} s"
    return [judge(name, ours, "s", "<= 1.5", against=against, ratio=ours / theirs)]


def _write(logs: Path, files: int) -> None:
    """Rotated files of four KiB or so, each a minute older: of files of one second SFTP cannot tell which is which."""
    for number in range(files):
        path = logs / f"app{number % 50:02}-2026-11-{number // 50 % 28 + 1:02}-{number // 1400}.log"
        line = f"[2026-11-24T00:00:00,000][INFO ][app{number}] {os.urandom(40).hex()}\n".encode()
        path.write_bytes(line * 35)
        old = path.stat().st_mtime - 7200 - 60 * number
        os.utime(path, (old, old))


def _far(held: ExitStack, port: int) -> Toxiproxy:
    """A way to the port on which each direction takes half of the round trip."""
    proxy = held.enter_context(Toxiproxy(port))
    for stream in ("upstream", "downstream"):
        proxy.add("latency", stream, latency=_ROUND_TRIP_MS // 2)
    return proxy


async def _read_plainly(node: SshServer, port: int) -> None:
    async with (
        asyncssh.connect("127.0.0.1", port, username=node.user, client_keys=[str(node.key)], known_hosts=None) as ssh,
        ssh.start_sftp_client() as sftp,
    ):
        names: Sequence[str] = [str(name) for name in await sftp.listdir(str(node.logs)) if str(name).endswith(".log")]
        waiting = iter(names)

        async def read_some() -> None:
            for name in waiting:
                async with sftp.open(str(node.logs / name), "rb") as file:
                    await file.read()

        await asyncio.gather(*(read_some() for _ in range(IN_FLIGHT)))
