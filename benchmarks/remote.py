"""Many small files of a node that is 20 ms away, against a plain read of the same files over the same link."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import asyncssh

from benchmarks.installation import Installation
from benchmarks.result import Result, judge, not_measured, seconds
from benchmarks.surroundings import scratch
from logkeep.backup.read_ahead import IN_FLIGHT
from tests.integration.test_agent_source import running_agent
from tests.real.servers import SshServer, Toxiproxy

_FILES = int(os.environ.get("BENCH_REMOTE_FILES", "1000"))
_ROUND_TRIP_MS = 20
_NAMES = ("SFTP", "an agent")
_GOAL = "<= 2"


def remote_files() -> list[Result]:
    """A first backup over SFTP and over an agent; the plain read has as many files in flight."""
    name = f"{_FILES:,} small files over {{}}, {_ROUND_TRIP_MS} ms away"
    try:
        with scratch() as folder, ExitStack() as held:
            node = held.enter_context(SshServer())
            _write(node.logs)
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


def _write(logs: Path) -> None:
    """Rotated files of four KiB or so, each a minute older: of files of one second SFTP cannot tell which is which."""
    for number in range(_FILES):
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
