"""SFTP sources on a real sshd."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from logkeep.errors import SettingError, SourceUnreachable
from logkeep.sources import ssh
from logkeep.sources.base import LogSource
from logkeep.sources.hosts import Address
from logkeep.sources.sftp import SftpSources
from logkeep.sources.ssh import Access, Connections
from tests.real.servers import SshServer, wait_until
from tests.suites.source_suite import EXCLUDED, MIB, SourceSuite

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]  # the first one may have to install the server


@pytest.fixture(scope="module")
def node() -> Iterator[SshServer]:
    with SshServer() as server:
        yield server


@pytest.fixture
def known_hosts(tmp_path: Path, node: SshServer) -> Path:
    path = tmp_path / "known_hosts"
    path.write_text(node.known_hosts())
    return path


@pytest.fixture
def sources(node: SshServer, known_hosts: Path) -> Iterator[SftpSources]:
    with closing(SftpSources(("*",), Connections(Access(known_hosts, (node.key,), timeout_seconds=10)))) as opened:
        yield opened


def empty(node: SshServer) -> None:
    shutil.rmtree(node.logs)
    node.logs.mkdir()
    (node.folder / "moved.log").unlink(missing_ok=True)


class TestSftpSource(SourceSuite):
    whole_seconds = True
    tells_inodes = False

    @pytest.fixture
    def logs(self, node: SshServer) -> Iterator[Path]:
        """Of the user of sshd, but written by this process, which may be another one."""
        yield node.logs
        empty(node)

    @pytest.fixture
    def opened(self, node: SshServer, sources: SftpSources) -> Callable[..., LogSource]:
        return lambda directory: sources.open(node.url(directory), EXCLUDED)


def access(known_hosts: Path, node: SshServer, **options: Any) -> Access:
    return Access(known_hosts, **{"keys": (node.key,), "timeout_seconds": 10, **options})


@contextmanager
def asking(node: SshServer, access: Access, hosts: tuple[str, ...] = ("*",)) -> Iterator[LogSource]:
    with closing(SftpSources(hosts, Connections(access))) as sources:
        yield sources.open(node.url(), EXCLUDED)


@pytest.fixture
def other() -> Iterator[SshServer]:
    """One of its own, to be killed."""
    with SshServer() as server:
        (server.logs / "es.log").write_bytes(b"x" * 3 * MIB)
        yield server


def known(tmp_path: Path, *servers: SshServer) -> Path:
    path = tmp_path / "known"
    path.write_text("".join(server.known_hosts() for server in servers))
    return path


# Whom to believe


def test_an_unknown_host_is_refused_until_the_command_of_the_message_has_added_it(
    node: SshServer, tmp_path: Path
) -> None:
    known_hosts = tmp_path / "known hosts"  # not there yet
    with asking(node, access(known_hosts, node)) as source:
        with pytest.raises(SourceUnreachable) as refused:
            source.list()
        assert f"127.0.0.1 is not in '{known_hosts}' (sftp.known_hosts)" in str(refused.value)
        assert f"its host key is {node.fingerprint()};" in str(refused.value)
        [command] = re.findall(r"`(ssh-keyscan .*?)`", str(refused.value))
        subprocess.run(command, shell=True, check=True, capture_output=True)
        source.list()  # without a restart


def test_a_host_with_another_key_is_refused_until_the_old_one_is_removed(
    node: SshServer, other: SshServer, tmp_path: Path
) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(other.known_hosts().replace(str(other.port), str(node.port)))
    with asking(node, access(known_hosts, node)) as source:
        with pytest.raises(SourceUnreachable, match=r"another host key than .*: SHA256:.*somebody stands") as no:
            source.list()
        assert node.fingerprint() in str(no.value)
        [command] = re.findall(r"`(ssh-keygen .*?)`", str(no.value))
        subprocess.run(command, shell=True, check=True, capture_output=True)
        with pytest.raises(SourceUnreachable, match="is not in"):
            source.list()


def test_a_key_that_the_node_does_not_know_is_refused(node: SshServer, other: SshServer, known_hosts: Path) -> None:
    with (
        asking(node, access(known_hosts, other)) as source,
        pytest.raises(SourceUnreachable, match=rf"{node.user}@127.0.0.1:{node.port} refuses the login with the ke"),
    ):
        source.list()


def test_keys_that_cannot_be_used_are_told_at_the_start(node: SshServer, known_hosts: Path, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", sealed], check=True)
    for path, problem in (
        (sealed, "has a passphrase; put it into an agent"),
        (tmp_path / "none", "cannot be used as a private key: No such file"),
        (known_hosts, "cannot be used as a private key: "),
    ):
        with pytest.raises(SettingError, match=f"sftp.keys: {path} {problem}"):
            Connections(access(known_hosts, node, keys=(path,)))


def test_the_keys_of_an_ssh_agent_are_used(
    node: SshServer, known_hosts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with asking(node, access(known_hosts, node, keys=())) as source:
        with pytest.raises(SourceUnreachable, match=r"no key, as sftp\.keys is empty and SSH_AUTH_SOCK names no agent"):
            source.list()
        socket = tmp_path / "agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
        try:
            wait_until(socket.exists, 10, "the agent listens")
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            mine = tmp_path / "key"  # ssh-add refuses keys of others
            shutil.copyfile(node.key, mine)
            mine.chmod(0o600)
            subprocess.run(["ssh-add", "-q", mine], check=True)
            source.list()
        finally:
            agent.terminate()
            agent.wait(30)


# Where it may lead


def test_a_directory_may_not_lead_outside_of_what_is_allowed(
    node: SshServer, known_hosts: Path, tmp_path: Path
) -> None:
    inside, way_out = node.logs / "inside", node.logs / "out"
    inside.mkdir()
    way_out.symlink_to(node.folder)
    with closing(SftpSources((f"127.0.0.1:{node.logs}",), Connections(access(known_hosts, node)))) as sources:
        assert sources.open(node.url(inside)).list() == []
        for call in (lambda source: source.list(), lambda source: source.open("host")):
            with pytest.raises(SourceUnreachable, match=r"leads outside sftp\.hosts to .*; add that one there"):
                call(sources.open(node.url(way_out)))
        with pytest.raises(SettingError, match=r"is not allowed by sftp\.hosts"):
            sources.open(node.url(node.folder))
    empty(node)


def test_nodes_are_reached_through_a_jump_host(node: SshServer, tmp_path: Path) -> None:
    with SshServer(jumps=True) as jump:
        shutil.copy(f"{node.key}.pub", jump.folder / "authorized_keys")
        through = Address(jump.user, "127.0.0.1", jump.port)
        with asking(node, access(known(tmp_path, node, jump), node, jump=through)) as source:
            assert source.list() == []
            assert len(jump.sessions()) == 1
            jump.stop_sessions(signal.SIGKILL)
            assert source.list() == []
        with (
            asking(node, access(known(tmp_path, node), node, jump=through)) as source,
            pytest.raises(SourceUnreachable, match=r"127\.0\.0\.1 is not in"),
        ):
            source.list()


# When a node goes away


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_node_that_goes_away_in_mid_read_is_unreachable_and_comes_back(
    other: SshServer, tmp_path: Path, how: signal.Signals
) -> None:
    with asking(other, access(known(tmp_path, other), other, timeout_seconds=2)) as source:
        log = source.open("es.log")
        assert log.read_at(0, MIB)
        other.stop_sessions(how)
        began = time.monotonic()
        for _ in range(2):
            with pytest.raises(
                SourceUnreachable, match=rf"LK-SOURCE-UNREACHABLE: {other.user}@127\.0\.0\.1:\d+ (do|br)"
            ):
                log.read_at(MIB, MIB)
        log.close()
        assert [file.name for file in source.list()] == ["es.log"]
        assert time.monotonic() - began < 6


def test_a_connection_that_broke_while_nobody_used_it_is_made_anew(
    node: SshServer, sources: SftpSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    (node.logs / "es.log").write_bytes(b"x")
    source = sources.open(node.url())
    for known in (True, False):  # also where nothing has told yet that it is dead
        assert len(source.list()) == 1
        monkeypatch.setattr(asyncssh.SSHClientConnection, "is_closed", lambda _self, known=known: known)
        node.stop_sessions(signal.SIGKILL)
        time.sleep(0.3)
        assert len(source.list()) == 1
        monkeypatch.undo()
    empty(node)


def test_a_node_that_is_down_or_silent_is_unreachable_in_time(other: SshServer, tmp_path: Path) -> None:
    with asking(other, access(known(tmp_path, other), other, timeout_seconds=2)) as source:
        assert other.process
        other.process.send_signal(signal.SIGSTOP)  # it accepts, and says nothing
        began = time.monotonic()
        with pytest.raises(SourceUnreachable, match=r"does not answer within 2 s \(sftp\.timeout_seconds\)"):
            source.list()
        assert time.monotonic() - began < 5
        other.process.send_signal(signal.SIGCONT)
        other.kill()
        with pytest.raises(
            SourceUnreachable, match=r"cannot be reached: Connect.* refused; check that sshd runs there"
        ):
            source.list()
        other.start()
        assert len(source.list()) == 1


def test_a_shell_that_prints_text_before_sftp_begins_is_told_as_that(tmp_path: Path) -> None:
    """Of the user that sshd runs as: its shell is nologin, which says one sentence, or one that carries this out."""
    with (
        SshServer(jumps=True, subsystem="/bin/echo This is printed") as server,
        asking(server, access(known(tmp_path, server), server)) as source,
        pytest.raises(SourceUnreachable, match=r"prints 'This .*' where SFTP should begin, which breaks it; let"),
    ):
        source.list()


def test_a_host_without_sftp_says_what_it_needs(tmp_path: Path) -> None:
    with (
        SshServer(subsystem="") as server,
        asking(server, access(known(tmp_path, server), server)) as source,
        pytest.raises(SourceUnreachable, match=r"offers no SFTP: .*Subsystem sftp internal-sftp"),
    ):
        source.list()


# How many connections


def test_one_connection_is_shared_and_closed_when_nobody_uses_it(
    other: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "_IDLE_SECONDS", 0.2)
    with closing(SftpSources(("*",), Connections(access(known(tmp_path, other), other)))) as sources:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda _: sources.open(other.url()).list(), range(40)))
        assert len(other.sessions()) == 1
        log = sources.open(other.url()).open("es.log")
        time.sleep(0.5)
        assert len(log.read_at(0, 10)) == 10, "an open file holds its connection"
        log.close()
        wait_until(lambda: not other.sessions(), 5, "the connection is closed")
        assert len(sources.open(other.url()).list()) == 1


def test_no_more_connections_are_made_than_allowed(node: SshServer, other: SshServer, tmp_path: Path) -> None:
    shutil.copy(f"{node.key}.pub", other.folder / "authorized_keys")
    limited = access(known(tmp_path, node, other), node, connections=1, timeout_seconds=1)
    with closing(SftpSources(("*",), Connections(limited))) as sources:
        log = sources.open(other.url()).open("es.log")
        with pytest.raises(SourceUnreachable, match=r"all 1 connections of sftp\.connections are in use; raise it"):
            sources.open(node.url()).list()
        log.close()
        assert sources.open(node.url()).list() == []
        assert len(sources.open(other.url()).list()) == 1


def test_the_rights_that_the_documentation_gives_are_understood_by_sshd(node: SshServer) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sources.md").read_text("utf-8")
    [block] = re.findall(r"^```\n(Match User logs\n.*?)^```", text, re.MULTILINE | re.DOTALL)
    (node.folder / "documented").write_text(f"HostKey {node.host_key}\nSubsystem sftp internal-sftp\n{block}")
    for user, command in (("logs", "internal-sftp -R"), ("other", "none")):
        told = node.explain(node.folder / "documented", user)
        assert f"forcecommand {command}\n" in told
        assert ("chrootdirectory /var/log\n" in told) == (user == "logs")
