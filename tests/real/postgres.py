"""A PostgreSQL of its own for the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psycopg

from tests.real.servers import NOBODY, Server, free_port, need_command


def _program(name: str) -> str:
    """PostgreSQL's own programs are not in PATH on Debian."""
    need_command("pg_ctlcluster", "postgresql")
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(versions[-1]) if versions else need_command(name, "postgresql")


class PostgresServer(Server):
    """Listens on a port of 127.0.0.1. Not as root, which it refuses; without `durable` quicker, and lost in a crash."""

    def __init__(self, *, durable: bool = True) -> None:
        super().__init__("postgres")
        self._fsync = "on" if durable else "off"
        self.port = free_port()
        self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        if self._user:
            os.chown(self.folder, NOBODY, NOBODY)
        initdb = [_program("initdb"), "-D", f"{self.folder}/data", "-U", "logkeep", "--auth=trust", "-E", "UTF8"]
        done = subprocess.run([*initdb, "--locale=C.UTF-8"], capture_output=True, text=True, check=False, **self._user)
        if done.returncode:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise RuntimeError(f"initdb failed:\n{done.stderr}")

    def start(self) -> None:
        options = ["-D", f"{self.folder}/data", "-p", str(self.port), "-k", str(self.folder)]
        bounds = ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", f"fsync={self._fsync}"]
        self._spawn([_program("postgres"), *options, *bounds], self._listens, 30, **self._user)

    def url(self) -> str:
        """Of the database that every server has; who needs one of his own makes it."""
        return f"postgresql://logkeep@127.0.0.1:{self.port}/postgres"

    def processes(self) -> list[int]:
        """Its own process and those that serve connections."""
        assert self.process
        main = self.process.pid
        return [main, *map(int, Path(f"/proc/{main}/task/{main}/children").read_text("ascii").split())]

    def _listens(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
