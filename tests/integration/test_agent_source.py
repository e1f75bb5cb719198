"""Agents as sources: over real HTTPS, within this process or as the command."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from logkeep.agent.app import Agent
from logkeep.agent.handles import IDLE_SECONDS, MOST, Handles
from logkeep.agent.pace import Pace
from logkeep.agent.server import LIMITS, Certificate, make_server
from logkeep.errors import SettingError, SourceUnreachable, SourceVanished
from logkeep.http import protocol
from logkeep.http.connections import Limits
from logkeep.http.server import listen
from logkeep.keyfiles.agent import create_certificate
from logkeep.sources import agent
from logkeep.sources.agent import AgentAccess, AgentSources
from logkeep.sources.base import LogSource
from logkeep.sources.local import LocalSource
from logkeep.sources.watched import WatchedSource, watch_sources
from logkeep.watchdog import Watched
from tests.integration.cli.installed import COMMAND, environment, logkeep, until
from tests.integration.test_watchdog import Dead
from tests.suites.source_suite import EXCLUDED, SourceSuite, folder_for_all, not_root
from tests.support.processes import running

TOKEN = "t" * 43


@contextmanager
def serving_agent(
    folder: Path, logs: Path, limits: Limits = LIMITS, source: LogSource | None = None
) -> Iterator[AgentAccess]:
    """An agent within this process."""
    certificate, key = folder / "agent.crt", folder / "agent.key"
    create_certificate(certificate, key, "n1")
    source = source or LocalSource(logs, EXCLUDED)
    server = make_server(Agent(source, TOKEN), Certificate(certificate, key), limits)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}"
            yield AgentAccess(url, TOKEN, fingerprint_of(certificate))
        finally:
            server.should_exit = True
            thread.join()


def fingerprint_of(certificate: Path) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()


@contextmanager
def asking(access: AgentAccess) -> Iterator[LogSource]:
    with closing(AgentSources({"n1": access})) as sources:
        yield sources.open("agent:n1", EXCLUDED)


class TestAgentSource(SourceSuite):
    @pytest.fixture
    def logs(self) -> Iterator[Path]:
        with folder_for_all() as folder:
            yield folder

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Callable[..., LogSource]]:
        with ExitStack() as stack:
            yield lambda logs: stack.enter_context(asking(stack.enter_context(serving_agent(tmp_path, logs))))

    def denied(self) -> AbstractContextManager[object]:
        return not_root()


def logs_of(folder: Path) -> Path:
    (folder / "logs").mkdir(exist_ok=True)
    return folder / "logs"


@contextmanager
def running_agent(folder: Path, logs: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The command, and what it told with --json."""
    command = [*COMMAND, "--dir", str(folder), "--json", "agent", "--logs", str(logs), "--listen", "127.0.0.1:0"]
    with running([*command, *options], r"^\{.*\}$", on="stdout", env=environment(), stderr=subprocess.DEVNULL) as agent:
        yield agent.process, json.loads("".join(agent.said.lines))
        agent.process.terminate()
        assert agent.process.wait(20) in {0, -signal.SIGKILL}


def access_of(told: dict[str, Any]) -> AgentAccess:
    return AgentAccess(told["url"], Path(told["token_file"]).read_text().strip(), told["fingerprint"])


def test_the_command_makes_its_secrets_once_and_keeps_them_private(tmp_path: Path) -> None:
    folder, logs = tmp_path / "agent", tmp_path / "logs"
    logs.mkdir()
    (logs / "es.log").write_text("one\n")
    found: list[AgentAccess] = []
    for _ in range(2):
        began = time.monotonic()
        with running_agent(folder, logs) as (process, told):
            assert time.monotonic() - began < 10
            found.append(access_of(told))
            with asking(found[-1]) as source:
                assert [file.name for file in source.list()] == ["es.log"]
            [resident] = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
            assert int(resident) < 100 * 1024
    assert found[0].token == found[1].token
    assert found[0].fingerprint == found[1].fingerprint
    assert len(found[0].token) == 43  # 256 bits
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "agent.token": 0o600,
        "agent.key": 0o600,
        "agent.crt": 0o644,
    }


def test_who_has_another_token_gets_nothing(tmp_path: Path) -> None:
    (tmp_path / "es.log").write_text("secret")
    with serving_agent(tmp_path, tmp_path) as access:
        with asking(replace(access, token="t" * 42)) as source:
            with pytest.raises(SourceUnreachable, match=r"the agent n1 at https://\S+: refuses the token; copy"):
                source.list()
            with pytest.raises(SourceUnreachable, match="refuses the token"):
                source.open("es.log")
        context = ssl.create_default_context(cafile=str(tmp_path / "agent.crt"))
        context.check_hostname = False
        with httpx.Client(verify=context, base_url=access.url) as client:
            for headers in ({}, {"authorization": TOKEN}, {"authorization": "Bearer x"}):
                for path in ("/agent/v1/files", "/agent/v1/open/" + "0" * 32, "/etc/passwd"):
                    assert client.get(path, headers=headers).status_code == 401


def test_another_certificate_is_refused_before_the_token_is_sent(tmp_path: Path) -> None:
    with (
        serving_agent(tmp_path, tmp_path) as access,
        asking(replace(access, fingerprint="0" * 64)) as source,
        pytest.raises(
            SourceUnreachable, match=rf"fingerprint {access.fingerprint}, not {'0' * 64} of agents.n1.finger"
        ),
    ):
        source.list()


def make_certificate(folder: Path, ends: datetime) -> tuple[Path, Path]:
    """A certificate that ends then, and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "n1")])
    builder = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = builder.add_extension(address, critical=False)
    made = builder.not_valid_before(ends - timedelta(days=30)).not_valid_after(ends).sign(private, hashes.SHA256())
    certificate, key = folder / "agent.crt", folder / "agent.key"
    plain = serialization.NoEncryption()
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return certificate, key


@pytest.mark.parametrize("pinned", [True, False])
def test_a_certificate_that_expired_is_told_with_when_and_what_to_do(tmp_path: Path, pinned: bool) -> None:
    certificate, _ = make_certificate(tmp_path, datetime(2020, 2, 3, 4, 5, tzinfo=UTC))
    with serving_agent(tmp_path, tmp_path) as access:
        expired = access if pinned else replace(access, fingerprint="", ca=certificate)
        with asking(expired) as source:
            for _ in range(2):
                with pytest.raises(SourceUnreachable, match="expired at 2020-02-03 04:05 UTC; renew it on the node"):
                    source.list()


def test_a_certificate_that_was_made_anew_is_told_at_the_first_failure(tmp_path: Path) -> None:
    logs = logs_of(tmp_path)
    with (
        running_agent(tmp_path / "a", logs) as (process, told),
        closing(AgentSources({"n1": access_of(told)})) as sources,
    ):
        source = sources.open("agent:n1", EXCLUDED)
        source.list()
        process.terminate()
        process.wait(20)
        port = told["url"].rpartition(":")[2]
        with running_agent(tmp_path / "b", logs, "--listen", f"127.0.0.1:{port}") as (_, anew):
            both = rf"fingerprint {anew['fingerprint']}, not {told['fingerprint']} of agents.n1.fingerprint; either"
            with pytest.raises(SourceUnreachable, match=both):
                source.list()


def until_fingerprint(url: str, fingerprint: str) -> None:
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    end = time.monotonic() + 20
    while hashlib.sha256(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(address))).hexdigest() != fingerprint:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("hang_up", [True, False])
def test_a_renewed_certificate_is_shown_and_a_new_token_asked_for_without_a_restart(
    tmp_path: Path, hang_up: bool
) -> None:
    folder = tmp_path / "agent"
    with running_agent(folder, logs_of(tmp_path)) as (process, told):
        (folder / "agent.key").write_text("half a renewal")
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        until_fingerprint(told["url"], told["fingerprint"])  # it serves on
        certificate, _ = make_certificate(folder, datetime.now(UTC) + timedelta(days=20))
        (folder / "agent.token").write_text("n" * 43)
        if hang_up:
            process.send_signal(signal.SIGHUP)
        until_fingerprint(told["url"], fingerprint_of(certificate))
        with asking(AgentAccess(told["url"], "n" * 43, fingerprint_of(certificate))) as source:
            source.list()
        assert process.poll() is None


def test_no_handshake_fails_while_certificates_are_renewed(tmp_path: Path) -> None:
    certificate, key = tmp_path / "agent.crt", tmp_path / "agent.key"
    create_certificate(certificate, key, "n1")
    shown = Certificate(certificate, key)
    server = make_server(Agent(LocalSource(tmp_path, EXCLUDED), TOKEN), shown, LIMITS)
    with listen("127.0.0.1", 0) as listener, running_thread(lambda: server.run(sockets=[listener])):
        ended = threading.Event()

        def renew() -> None:
            while not ended.is_set():
                make_certificate(tmp_path, datetime.now(UTC) + timedelta(days=20))
                assert shown.take_up()

        with running_thread(renew):
            seen = {ssl.get_server_certificate(listener.getsockname()) for _ in range(200)}
            ended.set()
        server.should_exit = True
    assert len(seen) > 1


@contextmanager
def running_thread(action: Callable[[], object]) -> Iterator[None]:
    """Run it beside; wait for its end."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive()


def test_without_a_fingerprint_the_certificate_must_be_trusted_and_name_the_host(tmp_path: Path) -> None:
    with serving_agent(tmp_path, tmp_path) as access:
        for ca in (None, tmp_path / "agent.crt"):  # the second is trusted, but names another host
            strict = replace(access, fingerprint="", ca=ca)
            with asking(strict) as source, pytest.raises(SourceUnreachable, match="is not trusted: "):
                source.list()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_agent_that_ends_in_mid_read_is_unreachable_and_comes_back(tmp_path: Path, how: signal.Signals) -> None:
    (logs_of(tmp_path) / "es.log").write_bytes(b"x" * 100)
    with (
        running_agent(tmp_path / "agent", logs_of(tmp_path)) as (process, told),
        closing(AgentSources({"n1": access_of(told)})) as sources,
    ):
        source = sources.open("agent:n1", EXCLUDED)
        log = source.open("es.log")
        assert log.read_at(0, 10) == b"x" * 10
        process.send_signal(how)
        process.wait(20)
        for _ in range(2):
            with pytest.raises(
                SourceUnreachable, match=r"the agent n1 at https://127\.0\.0\.1:\d+: cannot be asked: .*"
            ):
                log.read_at(10, 10)
        log.close()
        port = told["url"].rpartition(":")[2]
        with running_agent(tmp_path / "agent", logs_of(tmp_path), "--listen", f"127.0.0.1:{port}"):
            assert "es.log" in [file.name for file in source.list()]
            with pytest.raises(SourceVanished):
                log.read_at(10, 10)


def test_a_handle_that_is_not_open_any_more_has_vanished(tmp_path: Path) -> None:
    (tmp_path / "es.log").write_bytes(b"x")
    with serving_agent(tmp_path, tmp_path) as access, asking(access) as source:
        log = source.open("es.log")
        log.close()
        with pytest.raises(SourceVanished):
            log.read_at(0, 1)


def test_open_files_are_bounded_and_closed_when_nobody_reads_them(tmp_path: Path) -> None:
    (tmp_path / "es.log").write_bytes(b"x")
    now = [0.0]
    handles = Handles(lambda: now[0])
    source = LocalSource(tmp_path)
    first, *others = [handles.add(source.open("es.log")) for _ in range(MOST)]
    refused = source.open("es.log")
    assert handles.add(refused) is None
    assert first
    now[0] = IDLE_SECONDS - 1
    with handles.use(first) as log:
        assert log.read_at(0, 1) == b"x"
    now[0] = IDLE_SECONDS + 1
    last = handles.add(refused)
    assert last, "the others were closed"
    with handles.use(first):
        pass
    for number in others:
        assert number
        with pytest.raises(KeyError), handles.use(number):
            pass
    handles.close(first)
    handles.close(last)
    handles.close(last)


@pytest.mark.parametrize(
    ("access", "problem"),
    [
        (AgentAccess("http://n1:8476", TOKEN), "agents.n1.url: is written as https://host:8476"),
        (AgentAccess("n1:8476", TOKEN), "agents.n1.url"),
        (AgentAccess("https://n1:8476", ""), "agents.n1.token"),
        (AgentAccess("https://n1:8476", TOKEN, "abc"), "agents.n1.fingerprint: has 64 hex digits"),
        (AgentAccess("https://n1:8476", TOKEN, "", Path("/none")), "agents.n1.ca: /none cannot be read: No such file"),
    ],
)
def test_wrong_settings_are_refused_by_their_key(access: AgentAccess, problem: str) -> None:
    with pytest.raises(SettingError, match=re.escape(problem)):
        AgentSources({"n1": access})


def test_an_agent_that_is_not_configured_is_refused() -> None:
    with pytest.raises(SettingError, match=r"source agent:n2: there is no \[agents.n2\]; add it to logkeep.toml"):
        AgentSources({}).open("agent:n2")


def test_the_command_refuses_what_it_cannot_serve(tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("no certificate")
    (tmp_path / "logs").mkdir()
    none, logs = str(tmp_path / "none.pem"), str(tmp_path / "logs")
    for options, problem in (
        (["--logs", str(tmp_path / "none")], "is no directory"),
        (["--logs", logs, "--listen", "8476"], "is written as HOST:PORT"),
        (
            ["--logs", logs, "--listen", "192.0.2.1:8476"],
            "cannot be listened on: Cannot assign requested address",
        ),
        (["--logs", str(tmp_path)], "/agent, which is the agent's own"),
        (["--logs", logs, "--cert", none], "belong together"),
        (["--logs", logs, "--cert", none, "--key", none], "are no certificate and its key in PEM"),
    ):
        done = logkeep("--dir", tmp_path / "agent", "agent", *options).ended(2)
        assert problem in done.err
    (tmp_path / "agent" / "agent.token").chmod(0o644)
    done = logkeep("--dir", tmp_path / "agent", "agent", "--logs", logs).ended(2)
    assert "can be read by others; make it private with `chmod 600" in done.err


# Who has no token holds up nobody


def test_strangers_who_keep_connections_open_do_not_cut_the_node_off(tmp_path: Path) -> None:
    (tmp_path / "es.log").write_bytes(b"x")
    context = ssl._create_unverified_context()
    with serving_agent(tmp_path, tmp_path) as access, ExitStack() as stack:
        port = int(access.url.rpartition(":")[2])
        for number in range(150):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            if number % 3 == 0:  # the others stall: one before the handshake, one in it
                with suppress(OSError):
                    stack.enter_context(context.wrap_socket(connection))
            elif number % 3 == 1:
                connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        began = time.monotonic()
        with asking(access) as source:
            assert "es.log" in [file.name for file in source.list()]
            log = source.open("es.log")
            assert log.read_at(0, 1) == b"x"
            log.close()
        assert time.monotonic() - began < 3


def test_connections_of_strangers_end_and_handshakes_that_stall(tmp_path: Path) -> None:
    context = ssl._create_unverified_context()
    limits = Limits(connections=8, stranger_seconds=0.5)
    with serving_agent(tmp_path, tmp_path, limits) as access:
        port = int(access.url.rpartition(":")[2])
        for shakes in (False, True):
            with ExitStack() as stack:
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
                if shakes:
                    connection = stack.enter_context(context.wrap_socket(connection))
                began = time.monotonic()
                with suppress(OSError):
                    assert connection.recv(1) == b""
                assert 0.3 < time.monotonic() - began < 3
        with asking(access) as source:  # who is known keeps it
            source.list()
            time.sleep(1)
            assert isinstance(source.list(), list)


@pytest.mark.parametrize("hangs_in", ["list", "open", "read", "stat"])
def test_a_directory_of_a_node_that_hangs_is_told_in_time_and_read_again_when_it_answers(
    tmp_path: Path, hangs_in: str
) -> None:
    logs = logs_of(tmp_path)
    (logs / "es.log").write_bytes(b"line\n")
    dead = Dead(logs, hangs_in)
    source = WatchedSource(dead, Watched(logs), watch_sources(0.4, ""))
    with serving_agent(tmp_path, logs, source=source) as access, asking(access) as asked:

        def read() -> bytes:
            asked.list()
            with closing(asked.open("es.log")) as log:
                log.stat()
                return log.read_at(0, 10)

        began = time.monotonic()
        with pytest.raises(SourceUnreachable, match=r"hangs: it gave no sign of progress for 0\.4 s; see that"):
            read()
        for _ in range(20):  # none of which takes another thread, nor waits
            with pytest.raises(SourceUnreachable, match="hangs"):
                read()
        assert time.monotonic() - began < 5
        assert dead.asked == 1
        dead.back.set()
        until(lambda: succeeds(read))
        assert read() == b"line\n"


def succeeds(action: Callable[[], object]) -> bool:
    with suppress(SourceUnreachable):
        action()
        return True
    return False


def test_what_is_no_http_is_refused_in_the_words_of_the_agent(tmp_path: Path) -> None:
    context = ssl._create_unverified_context()
    with serving_agent(tmp_path, tmp_path) as access:
        address = ("127.0.0.1", int(access.url.rpartition(":")[2]))
        for sent, status in ((b"hello\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\n" + b"X:y\r\n" * 200, b"431")):
            with socket.create_connection(address, 10) as plain, context.wrap_socket(plain) as connection:
                connection.sendall(sent)
                answer = connection.recv(4096)
                assert answer.split(b" ")[1] == status
                assert b'{"error":"path"' in answer


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    "head", [b"GET /agent/v1/files HTTP/1.1\r\n", b"", b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n"]
)
def test_a_head_that_drips_has_a_time_for_the_whole_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bytes, *, known: bool
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 1.0)
    context = ssl._create_unverified_context()
    with serving_agent(tmp_path, tmp_path, Limits(connections=8, stranger_seconds=1.0)) as access:
        address = ("127.0.0.1", int(access.url.rpartition(":")[2]))
        with socket.create_connection(address, 10) as plain, context.wrap_socket(plain) as connection:
            if known:
                connection.sendall(f"GET /agent/v1/files HTTP/1.1\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode())
                assert b" 200 " in connection.recv(65536)
            began = time.monotonic()
            connection.sendall(head)
            with pytest.raises(OSError):
                while time.monotonic() - began < 10:
                    connection.sendall(b"x" if not head else b"x: y\r\n")
                    time.sleep(0.1)
            assert time.monotonic() - began < 5


def test_an_agent_that_drips_its_head_is_unreachable_in_the_time_of_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "_ANSWER_SECONDS", 1.0)
    create_certificate(tmp_path / "crt", tmp_path / "key", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    ended = threading.Event()

    def drip(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(accepted, server_side=True) as one:
                    one.sendall(b"HTTP/1.1 200 OK\r\n")
                    while not ended.wait(0.1):
                        one.sendall(b"x: y\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=[listener], daemon=True)
        thread.start()
        url = f"https://localhost:{listener.getsockname()[1]}"
        began = time.monotonic()
        asked = asking(AgentAccess(url, TOKEN, fingerprint_of(tmp_path / "crt")))
        with asked as source, pytest.raises(SourceUnreachable, match="does not answer"):
            source.list()
        assert time.monotonic() - began < 8
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_requests_and_bytes_a_second_are_bounded_after_the_token_too() -> None:
    async def ask(pace: Pace, size: int, times: int) -> float:
        began = time.monotonic()
        for _ in range(times):
            await pace.wait(size)
        return time.monotonic() - began

    assert asyncio.run(ask(Pace(1000, 1e9), 0, 900)) < 0.9, "a burst goes through"
    assert 0.15 < asyncio.run(ask(Pace(1000, 1e9), 0, 1200)) < 1
    assert 0.15 < asyncio.run(ask(Pace(1e9, 1000), 300, 4)) < 1
