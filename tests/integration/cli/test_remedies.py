"""Each cause in the table of causes by its real cause: the sentence names it, and its remedy is for it alone."""

from __future__ import annotations

import codecs
import os
import re
import resource
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from sqlalchemy import event, text

from logkeep.cli import client
from logkeep.cli.errors import UsageError
from logkeep.cli.lock import only_process
from logkeep.cli.serve import _listen
from logkeep.database import connection
from logkeep.database.connection import connect, reading, try_connection, writing
from logkeep.domain.causes import Cause
from logkeep.errors import CatalogueError, SettingError
from logkeep.keyfiles.agent import create_certificate, create_token
from tests.integration.cli.installed import Served, called, environment, init, logkeep
from tests.suites.source_suite import folder_for_all, not_root
from tests.support.processes import started

NOBODY = 65534
for _late in ("agent.server", "sources.sftp", "sources.agent"):  # another user may not be able to read the libraries
    import_module(f"logkeep.{_late}")
for _codec in ("ascii", "latin-1", "idna"):
    codecs.lookup(_codec)


def says(cause: Cause, text: str) -> bool:
    text = re.sub(r"`logkeep --dir \S+ ", "`logkeep ", text)  # as it is to be pasted
    return f"({cause.code})" in text and cause.value[2] in text


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    init(tmp_path / "installation")
    return tmp_path / "installation"


@contextmanager
def owned_by_nobody() -> Iterator[Path]:
    """An installation of the user that `not_root` becomes."""
    with folder_for_all() as folder:
        init(folder / "installation")
        if not os.geteuid():
            for path in (folder, *folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        yield folder / "installation"


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("seal.key", Cause.KEY_DENIED),
        ("sign.key", Cause.KEY_DENIED),
        ("sign.pub", Cause.KEY_DENIED),
        ("logkeep.toml", Cause.SETTINGS_DENIED),
    ],
)
def test_a_file_that_may_not_be_read(name: str, cause: Cause) -> None:
    with owned_by_nobody() as directory:
        (directory / name).chmod(0)
        with not_root():
            done = called(directory, "project", "list").ended(2)
    assert says(cause, done.err), done.err
    assert name in done.err


OF_RSA = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEA4Kl5hHJ8Ee1YdR1EqF1gkjTkbH7lqRbTLL3z7ZmXc3c=\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [("something else", ""), ("", "it is empty"), (OF_RSA, ""), (None, "Is a directory")],
)
@pytest.mark.parametrize("name", ["seal.key", "sign.key", "sign.pub"])
def test_a_key_that_is_damaged(directory: Path, name: str, content: str | None, said: str) -> None:
    (directory / name).unlink()
    if content is None:
        (directory / name).mkdir()
    else:
        (directory / name).write_text(content)
    done = called(directory, "project", "list").ended(2)
    assert says(Cause.TRUST_DAMAGED if name == "sign.pub" else Cause.KEY_DAMAGED, done.err), done.err
    assert said in done.err
    assert str(directory / name) in done.err


@pytest.mark.parametrize("command", [("project", "list"), ("init",), ("serve", "--port", "0")])
def test_a_sealing_key_that_is_missing_is_asked_for_and_no_other_is_made(
    directory: Path, command: tuple[str, ...]
) -> None:
    (directory / "seal.key").unlink()
    done = called(directory, *command).ended(2)
    assert says(Cause.KEY_DAMAGED, done.err), done.err
    assert "it is missing" in done.err
    assert not (directory / "seal.key").exists()


def test_keys_that_are_trusted_do_not_go_without_a_word(directory: Path) -> None:
    kept = (directory / "sign.pub").read_bytes()
    (directory / "sign.pub").unlink()
    done = called(directory, "project", "list").ended(2)
    assert says(Cause.TRUST_DAMAGED, done.err), done.err
    assert "it is missing" in done.err
    (directory / "sign.pub").write_bytes(kept)
    called(directory, "project", "list").ended(0)


@pytest.mark.parametrize("name", ["agent.token", "agent.crt", "agent.key"])
def test_a_file_of_an_agent_that_may_not_be_read(name: str) -> None:
    with folder_for_all() as folder:
        own = folder / "agent"
        for path in (own, folder / "read"):
            path.mkdir()
        create_certificate(own / "agent.crt", own / "agent.key", "localhost")
        create_token(own / "agent.token")
        if not os.geteuid():
            for path in (own, *own.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        (own / name).chmod(0)
        with not_root():
            done = called(own, "agent", "--logs", folder / "read", "--listen", "127.0.0.1:0").ended(2)
    assert says(Cause.KEY_DENIED, done.err), done.err
    assert str(own / name) in done.err


@pytest.mark.parametrize("setting", ["sftp", "agents"])
def test_a_key_that_a_setting_names_and_that_may_not_be_read(setting: str) -> None:
    with owned_by_nobody() as directory:
        (directory / "named").touch(0)
        with (directory / "logkeep.toml").open("a") as file:
            file.write(
                '[sftp]\nhosts = ["a"]\nkeys = ["named"]\n'
                if setting == "sftp"
                else '[agents.n1]\nurl = "https://n1"\ntoken = "t"\nca = "named"\n'
            )
        with not_root():
            done = called(directory, "project", "list").ended(2)
        assert says(Cause.KEY_DENIED, done.err), done.err
        assert setting in done.err
        (directory / "named").chmod(0o644)
        with not_root():
            done = called(directory, "project", "list").ended(2)
        assert "holds no certificate" in done.err or "cannot be used as a private key" in done.err


def test_a_directory_that_may_not_be_written() -> None:
    with owned_by_nobody() as directory:
        directory.chmod(0o500)
        with not_root(), pytest.raises(SettingError) as caught, only_process(directory):
            pass
        directory.chmod(0o700)
    assert says(Cause.DIRECTORY_DENIED, str(caught.value))


@pytest.mark.parametrize("command", [("key", "list"), ("records",), ("init",), ("serve", "--port", "0")])
def test_a_directory_of_another_user(command: tuple[str, ...]) -> None:
    with folder_for_all() as folder:
        init(folder / "installation")
        for path in (folder / "installation", folder / "installation" / "deeper"):
            with not_root():
                done = called(path, *command).ended(2)
            assert says(Cause.DIRECTORY_CLOSED, done.err)
        assert "it belongs to root, and this runs as nobody" in called_by_nobody(folder / "installation", "key", "list")
        client = ("--endpoint", "http://127.0.0.1:1", "--ak", "a", "--sk", "s", "records")
        assert "nobody listens there" in called_by_nobody(folder / "installation", *client)


def called_by_nobody(directory: Path, *arguments: str) -> str:
    with not_root():
        return called(directory, *arguments).err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be warned")
def test_root_is_warned_where_the_service_is_another_user() -> None:
    with owned_by_nobody() as directory:
        done = called(directory, "init").ended(2)
        assert "belongs to nobody, and this runs as root" in done.err and "`runuser -u nobody --` before it" in done.err
        with not_root():
            assert "warning" not in called(directory, "init").ended(2).err


def test_a_directory_that_another_process_serves(served: Served) -> None:
    done = logkeep("--dir", served.directory, "serve", "--port", "0").ended(2)
    assert says(Cause.DIRECTORY_SERVED, done.err)


# The database


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("project", "list")], ids=" ".join)
def test_a_database_that_is_damaged(directory: Path, command: tuple[str, ...]) -> None:
    database = directory / "logkeep.db"
    for path in directory.glob("logkeep.db-*"):
        path.unlink()
    database.write_bytes(b"x" * 8192)
    done = logkeep("--dir", directory, *command)
    assert done.code in {1, 2}
    assert says(Cause.DATABASE_DAMAGED, done.err), done.err
    assert "host and port" not in done.err


def test_a_page_that_is_damaged(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "logkeep.db")) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [root] = opened.execute("SELECT rootpage FROM sqlite_master WHERE name = 'projects'").fetchone()
        [size] = opened.execute("PRAGMA page_size").fetchone()
    with (directory / "logkeep.db").open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    done = called(directory, "project", "list")
    assert says(Cause.DATABASE_DAMAGED, done.err), done.err


def failing_write(url: str, prepare: Callable[[sqlite3.Connection], object] = lambda _: None) -> str:
    engine = connect(url)
    event.listen(engine, "connect", lambda opened, _: prepare(opened))
    try:
        with pytest.raises(CatalogueError) as caught, writing(engine) as opened:
            opened.execute(text("CREATE TABLE more (a)"))
            opened.execute(text("INSERT INTO more VALUES (zeroblob(10000000))"))
        return caught.value.message
    finally:
        engine.dispose()


def test_a_disk_without_space(directory: Path) -> None:
    said = failing_write(f"sqlite:///{directory}/logkeep.db", lambda one: one.execute("PRAGMA max_page_count=1"))
    assert says(Cause.DATABASE_FULL, said), said


def test_a_disk_that_fails(tmp_path: Path) -> None:
    """By a limit to the size of files, which fails the write as a broken disk does."""
    code = (
        "import sqlite3, resource, sys; from logkeep.domain.causes import explain_database\n"
        "opened = sqlite3.connect(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try: opened.execute('CREATE TABLE t (a)'); opened.execute('INSERT INTO t VALUES (zeroblob(9999999))')\n"
        "except sqlite3.Error as error: print(explain_database(str(error)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x.db"],
        env=environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert says(Cause.DATABASE_DISK, done.stdout) or says(Cause.DATABASE_FULL, done.stdout), done


def test_a_database_that_is_read_only() -> None:
    with owned_by_nobody() as directory:
        for path in directory.glob("logkeep.db*"):
            path.chmod(0o400)
        directory.chmod(0o500)
        with not_root():
            said = failing_write(f"sqlite:///{directory}/logkeep.db")
        directory.chmod(0o700)
    assert says(Cause.DATABASE_READ_ONLY, said) or says(Cause.DATABASE_FILE, said), said


def test_a_database_that_another_program_holds(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(directory / "logkeep.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        said = failing_write(f"sqlite:///{directory}/logkeep.db")
    assert says(Cause.DATABASE_LOCKED, said), said


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("sqlite:////not/there/logkeep.db", Cause.DATABASE_FILE),
        ("postgresql://logkeep@127.0.0.1:1/x", Cause.DATABASE_UNREACHABLE),
        ("postgresql://logkeep@nowhere.invalid/x", Cause.DATABASE_HOST),
    ],
)
def test_a_database_that_is_not_there(url: str, cause: Cause) -> None:
    engine = connect(url)
    with pytest.raises(SettingError) as caught:
        try_connection(engine)
    engine.dispose()
    assert says(cause, caught.value.message), caught.value


def test_too_many_open_files_are_not_told_as_a_missing_file(directory: Path) -> None:
    engine = connect(f"sqlite:///{directory}/logkeep.db")
    with reading(engine) as opened:
        opened.execute(text("SELECT 1"))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    engine.dispose()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        with pytest.raises(SettingError) as caught:
            try_connection(engine)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert says(Cause.OPEN_FILES, caught.value.message), caught.value


# Where it listens


def test_a_port_that_is_taken(served: Served) -> None:
    port = served.endpoint.rpartition(":")[2]
    done = logkeep("--dir", served.directory, "serve", "--port", port).ended(2)
    assert says(Cause.PORT_TAKEN, done.err), done.err


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_that_this_machine_does_not_have(host: str) -> None:
    with pytest.raises(UsageError) as caught:
        _listen(host, 0)
    assert says(Cause.PORT_ADDRESS, str(caught.value)), caught.value


def test_a_port_that_is_for_root() -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 1:
        pytest.skip("any user may listen on any port here")
    with not_root(), pytest.raises(UsageError) as caught:
        _listen("127.0.0.1", 1)
    assert says(Cause.PORT_DENIED, str(caught.value)), caught.value


# The service


@contextmanager
def answering(answer: bytes, context: ssl.SSLContext | None = None, *, hold: bool = False) -> Iterator[int]:
    """Something that listens and answers so to all that is asked; the port."""
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
                with context.wrap_socket(accepted, server_side=True) if context else accepted as one:
                    one.recv(65536)
                    one.sendall(answer)
                    if hold:
                        ended.wait(20)
            except ssl.SSLError:
                continue
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener], daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def ask(directory: Path, endpoint: str) -> str:
    return called(directory, "cluster", "list", "--endpoint", endpoint).ended(1).err


def test_nobody_listens(directory: Path) -> None:
    assert says(Cause.SERVICE_REFUSED, ask(directory, "http://127.0.0.1:1"))


def test_a_host_that_is_unknown(directory: Path) -> None:
    said = ask(directory, "http://nowhere.invalid:8475")
    assert says(Cause.SERVICE_HOST, said), said
    assert "logkeep serve" not in said


def test_a_host_that_cannot_be_reached(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_CONNECT_SECONDS", 1)
    said = ask(directory, "http://255.255.255.255:8475")
    assert says(Cause.SERVICE_UNREACHABLE, said), said


def test_https_where_nobody_speaks_tls(served: Served) -> None:
    said = ask(served.directory, served.endpoint.replace("http:", "https:"))
    assert says(Cause.SERVICE_NO_TLS, said), said


def test_a_certificate_that_is_not_trusted(directory: Path, tmp_path: Path) -> None:
    create_certificate(tmp_path / "crt", tmp_path / "key", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    with answering(b"", context) as port:
        said = ask(directory, f"https://localhost:{port}")
        plain = ask(directory, f"http://localhost:{port}")
    assert says(Cause.SERVICE_CERTIFICATE, said), said
    assert says(Cause.SERVICE_BROKEN, plain), plain


@pytest.mark.parametrize("status", [b"200 OK", b"502 Bad Gateway", b"301 Moved"])
def test_a_page_of_a_proxy(directory: Path, status: bytes) -> None:
    page = b"<html>gateway</html>"
    head = b"HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % (status, len(page))
    with answering(head + page) as port:
        said = ask(directory, f"http://127.0.0.1:{port}")
    assert says(Cause.SERVICE_OTHER, said), said
    assert f"status {status[:3].decode()}, text/html" in said


def test_an_answer_that_does_not_come(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_ANSWER_SECONDS", 0.3)
    with answering(b"", hold=True) as port:
        said = ask(directory, f"http://127.0.0.1:{port}")
    assert says(Cause.SERVICE_SILENT, said), said


def test_an_answer_that_breaks_off(directory: Path) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx") as port:
        said = ask(directory, f"http://127.0.0.1:{port}")
    assert says(Cause.SERVICE_BROKEN, said), said


# An unexpected error at the start

_FAILING = """
import sys
from logkeep.work import policies

class Panic(BaseException): pass

def fail(self): raise {"RuntimeError": RuntimeError, "SystemExit": SystemExit, "Panic": Panic}[sys.argv[1]]("unheard of")

policies.Maintenance.start = fail
from logkeep.cli.app import run
sys.exit(run(sys.argv[2:]))
"""


@pytest.mark.parametrize("kind", ["RuntimeError", "SystemExit", "Panic"])
def test_an_unexpected_error_at_the_start_ends_the_process_with_a_sentence(directory: Path, kind: str) -> None:
    command = [sys.executable, "-c", _FAILING, kind, "--dir", directory, "serve", "--port", "0"]
    with started(command, env=environment()) as (process, said):
        assert re.fullmatch(f"logkeep: unexpected {kind}: unheard of; .*please report it\n", said.all(60))
        assert process.wait(30) == 1


def test_every_cause_is_reached() -> None:
    """Those of a PostgreSQL server that is there are reached in tests/real/test_workers.py."""
    source = Path(__file__).read_text()
    elsewhere = {Cause.DATABASE_PASSWORD, Cause.DATABASE_UNKNOWN}
    assert {cause for cause in Cause if f"Cause.{cause.name}" not in source} <= elsewhere
