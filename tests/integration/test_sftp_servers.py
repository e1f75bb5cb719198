"""SFTP servers that do less than OpenSSH's: what is left out is asked for, or told."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from logkeep.errors import SourceUnreachable
from logkeep.sources.base import LogSource
from logkeep.sources.sftp import SftpSources
from logkeep.sources.ssh import Access, Connections

FIELDS = {"kind": ("permissions",), "size": ("size",), "time": ("mtime", "atime")}


def server(listed: tuple[str, ...], asked: tuple[str, ...], seconds_a_kib: float = 0) -> type[asyncssh.SFTPServer]:
    """A server that leaves these attributes out of its listings, and those when it is asked for one file."""

    def strip(attributes: Any, left_out: tuple[str, ...]) -> Any:
        plain = asyncssh.SFTPAttrs.from_local(attributes) if isinstance(attributes, os.stat_result) else attributes
        for what in left_out:
            for field in FIELDS[what]:
                setattr(plain, field, None)
        return plain

    class Omitting(asyncssh.SFTPServer):
        async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
            async for entry in super().scandir(path):
                entry.attrs = strip(entry.attrs, listed)
                yield entry

        def lstat(self, path: bytes) -> Any:
            return strip(super().lstat(path), asked)

        def fstat(self, file_obj: object) -> Any:
            return strip(super().fstat(file_obj), asked)

        async def read(self, file_obj: object, offset: int, size: int) -> bytes:
            await asyncio.sleep(seconds_a_kib * size / 1024)
            return super().read(file_obj, offset, size)  # type: ignore[return-value]

    return Omitting


@contextmanager
def serving(folder: Path, factory: type[asyncssh.SFTPServer], timeout: float = 10) -> Iterator[LogSource]:
    key, login = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    login.write_private_key(str(folder / "login"))
    login.write_public_key(str(folder / "authorized"))
    listening: Future[tuple[int, Callable[[], object]]] = Future()

    async def listen() -> None:
        keys = str(folder / "authorized")
        ended = asyncio.Event()
        async with asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[key], authorized_client_keys=keys, sftp_factory=factory
        ) as acceptor:
            loop = asyncio.get_running_loop()
            listening.set_result((acceptor.get_port(), lambda: loop.call_soon_threadsafe(ended.set)))
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    port, end = listening.result(20)
    (folder / "known").write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode()}")
    access = Access(folder / "known", (folder / "login",), timeout_seconds=timeout)
    try:
        with closing(SftpSources(("*",), Connections(access))) as sources:
            yield sources.open(f"sftp://logs@127.0.0.1:{port}{folder / 'logs'}")
    finally:
        end()
        thread.join(20)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "logs" / "inner").mkdir(parents=True)
    (tmp_path / "logs" / "inner" / "es.log").write_bytes(b"a line\n" * 1000)
    return tmp_path / "logs"


@pytest.mark.parametrize("what", FIELDS)
def test_what_a_listing_leaves_out_is_asked_for(logs: Path, tmp_path: Path, what: str) -> None:
    with serving(tmp_path, server((what,), ())) as source:
        [file] = source.list()
        seen = (logs / "inner" / "es.log").stat()
        assert (file.name, file.size, file.mtime_ns) == ("inner/es.log", 7000, int(seen.st_mtime) * 1_000_000_000)
        with closing(source.open(file.name)) as log:
            assert log.read_at(0, 7) == b"a line\n"


@pytest.mark.parametrize("what", FIELDS)
@pytest.mark.usefixtures("logs")
def test_a_server_that_does_not_tell_it_at_all_fails_with_a_sentence(tmp_path: Path, what: str) -> None:
    with (
        serving(tmp_path, server((what,), (what,))) as source,
        pytest.raises(SourceUnreachable, match=f"does not tell the {what} of inner"),
    ):
        source.list()


@pytest.mark.usefixtures("logs")
def test_a_slow_link_is_asked_for_less_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "logs" / "es.log").write_bytes(os.urandom(300_000))
    with serving(tmp_path, server((), (), seconds_a_kib=1 / 64), timeout=1) as source:  # 64 KiB/s and a second
        found = b""
        with closing(source.open("es.log")) as log:
            while piece := log.read_at(len(found), 1024 * 1024):
                found += piece
        assert found == (tmp_path / "logs" / "es.log").read_bytes()
