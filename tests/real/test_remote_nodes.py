"""Whole backups of nodes that are read over SFTP and through agents."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.cli.installed import logkeep, until
from tests.integration.test_agent_source import access_of, running_agent
from tests.real.deployment import NODES, Site
from tests.real.servers import SshServer
from tests.support import corpus
from tests.support.rotation import SimulatedNode

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

MIB = 1024 * 1024
_SETTINGS = """
[sftp]
hosts = ["127.0.0.1:/tmp"]
keys = ["{key}"]
known_hosts = "{known_hosts}"
timeout_seconds = {seconds}
"""


class SshSite(Site):
    """Each node is a host of its own."""

    def __init__(self, folder: Path, hosts: dict[str, SshServer], mib: float = 0, seconds: float = 10) -> None:
        self.hosts = hosts
        self.key = _made(folder / "ssh") / "key"
        first = next(iter(hosts.values()))
        shutil.copyfile(first.key, self.key)
        for host in hosts.values():
            shutil.copyfile(f"{first.key}.pub", host.folder / "authorized_keys")
        known_hosts = folder / "ssh" / "known_hosts"
        known_hosts.write_text("".join(host.known_hosts() for host in hosts.values()))
        settings = _SETTINGS.format(key=self.key, known_hosts=known_hosts, seconds=seconds)
        super().__init__(folder, f"file://{_made(folder / 'bucket')}", mib=mib, more=settings)

    def logs(self, node: str) -> Path:
        return self.hosts[node].logs

    def source(self, node: str) -> str:
        return self.hosts[node].url()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
def hosts() -> Iterator[dict[str, SshServer]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(SshServer()) for name in NODES}


def test_what_nodes_write_and_rotate_meanwhile_is_kept_byte_for_byte(
    hosts: dict[str, SshServer], tmp_path: Path
) -> None:
    site = SshSite(tmp_path, hosts)
    shutil.rmtree(site.logs("n1"))
    site.logs("n1").mkdir()
    node = SimulatedNode(site.logs("n1"), seed=3)
    families = {"logs_server.json": "dated", "logs_index_search_slowlog.json": "index", "app.log": "logrotate"}

    def work() -> None:
        for _ in range(2):  # of four files that stay, so that nothing goes before it is kept
            for family, manner in families.items():
                node.write(family, 40)
                for _ in node.rotate_steps(family, manner):
                    time.sleep(0.02)

    with site.serving():
        for _ in range(3):
            worker = threading.Thread(target=work)
            worker.start()
            ended = site.back_up()
            worker.join()
            assert ended.status == "SUCCESS", ended.message
        for family in families:
            node.write(family, 1)
        assert site.back_up().status == "SUCCESS"
        restored = site.restored()
        for family in families:
            assert restored["n1", family] == node.written(family)
        assert restored["n2", "es.log"] == corpus.families(site.logs("n2"))["es.log"]
        assert site.ask("verify", "prod", "--read-data").ended(0)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_node_that_goes_away_in_mid_read_fails_and_the_others_are_kept(
    hosts: dict[str, SshServer], tmp_path: Path, how: signal.Signals
) -> None:
    site = SshSite(tmp_path, hosts, mib=1.5, seconds=2)
    site.write("n1", "es.log", 8 * MIB // 128)
    host = hosts["n1"]
    with site.serving():
        began = time.monotonic()
        job = site.start()
        until(host.sessions)
        time.sleep(0.5)  # in the middle of 8 MiB at 1.5 MiB a second
        assert host.process
        host.process.send_signal(signal.SIGSTOP)  # while it is there, its sessions can be found, and no new one begins
        host.stop_sessions(how)
        host.process.send_signal(how)
        ended = site.wait_for(job, began)
        assert ended.status == "FAIL"
        assert ended.message.startswith(f"LK-SOURCE-UNREACHABLE: node n1: {host.user}@127.0.0.1:{host.port} ")
        assert "node n2" not in ended.message
        assert ended.seconds < 15
        restored = site.restored()
        assert restored["n2", "es.log"] == site.written()["n2", "es.log"]
        host.stop_sessions(signal.SIGKILL)
        host.kill()
        still_down = site.back_up()
        assert (still_down.status, "cannot be reached" in still_down.message) == ("FAIL", True)
        host.start()
        assert site.back_up().status == "SUCCESS"
        site.expect_whole()


def test_nodes_found_by_their_cluster_are_read_by_a_pattern(hosts: dict[str, SshServer], tmp_path: Path) -> None:
    site = SshSite(tmp_path, hosts)
    host = hosts["n1"]
    with site.serving(), search_cluster(host.logs) as url:
        pattern = f"sftp://{host.user}@{{ip}}:{host.port}{{path.logs}}"
        site.ask("cluster", "add", "found", "--url", url, "--source", pattern).ended(0)
        site.ask("logs", "open", "found").ended(0)
        record = site.ask("backup", "found", "--wait").ended(0).json
        assert record["status"] == "SUCCESS"
        site.ask("restore", "found", "--to", str(tmp_path / "restored"), "--join").ended(0)
        assert (tmp_path / "restored" / "node-1" / "es.log").read_bytes() == site.written()["n1", "es.log"]
        for source, problem in (
            (f"sftp://{host.user}@node-9/var/log", "is not allowed by sftp.hosts; add 'node-9'"),
            ("agent:node-1", "no agent is known yet; logkeep.toml needs a table [agents.NAME]"),
            (f"sftp://{host.user}:secret@127.0.0.1/var/log", "no password may stand in a source"),
        ):
            refused = site.ask("cluster", "add", "other", "--node", f"n1={source}").ended(2)
            assert problem in refused.err
            assert "secret" not in refused.err


@contextmanager
def search_cluster(logs: Path) -> Iterator[str]:
    """The two answers of a cluster's API that are asked for."""
    node = {"name": "node-1", "ip": "127.0.0.1", "roles": ["data"], "settings": {"path": {"logs": str(logs)}}}
    answers = {
        "/": {"cluster_name": "logs", "version": {"distribution": "opensearch", "number": "2.19.6"}},
        "/_nodes/settings": {"nodes": {"id": node}},
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers[self.path.partition("?")[0]]).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_service_does_not_start_with_a_key_that_is_not_there(hosts: dict[str, SshServer], tmp_path: Path) -> None:
    site = SshSite(tmp_path, hosts)
    site.key.unlink()
    done = logkeep("--dir", site.directory, "serve", "--port", "0").ended(2)
    assert f"sftp.keys: {site.key} cannot be used as a private key: No such file" in done.err


class AgentSite(Site):
    """One node by an agent, the other one local."""

    def source(self, node: str) -> str:
        return "agent:n1" if node == "n1" else super().source(node)


def test_a_node_with_an_agent_is_kept_and_caught_up_with_when_it_comes_back(tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    with ExitStack() as stack:
        process, told = stack.enter_context(running_agent(tmp_path / "agent", tmp_path / "n1"))
        access = access_of(told)
        more = f'\n[agents.n1]\nurl = "{access.url}"\ntoken = "{access.token}"\nfingerprint = "{access.fingerprint}"\n'
        site = AgentSite(tmp_path, f"file://{_made(tmp_path / 'bucket')}", more=more)
        with site.serving() as served:
            assert site.back_up().status == "SUCCESS"
            site.expect_whole()
            process.kill()
            process.wait(30)
            os.rename(site.logs("n1") / "es.log", site.logs("n1") / "es-2026-11-24-2.log")
            site.grow()
            failed = site.back_up()
            assert failed.message.startswith(f"LK-SOURCE-UNREACHABLE: node n1: the agent n1 at {access.url}: cannot be")
            assert access.token not in failed.message + "".join(served.log)
            port = access.url.rpartition(":")[2]
            stack.enter_context(running_agent(tmp_path / "agent", tmp_path / "n1", "--listen", f"127.0.0.1:{port}"))
            assert site.back_up().status == "SUCCESS"
            site.expect_whole()
