"""`serve`: starting, listening, ending."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import tomllib
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.cli.installed import (
    COMMAND,
    CONFIGURATION,
    Done,
    Served,
    called,
    environment,
    init,
    logkeep,
    serving,
    until,
)
from tests.support.processes import started


def test_client_toml_follows_the_port_that_was_free(served: Served) -> None:
    saved = tomllib.loads((served.directory / "client.toml").read_text())
    assert saved["endpoint"] == served.endpoint
    assert not served.endpoint.endswith(":0")
    assert (served.directory / "client.toml").stat().st_mode & 0o777 == 0o600


def test_client_toml_names_the_port_before_any_probe_is_answered(tmp_path: Path) -> None:
    directory = tmp_path / "installation"
    init(directory)
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"

    def answers() -> bool:
        try:
            return urllib.request.urlopen(f"{endpoint}/healthz", timeout=10).status == 200
        except OSError:
            return False

    serve = [*COMMAND, "--dir", str(directory), "serve", "--port", endpoint.rpartition(":")[2]]
    with started(serve, env=environment(), stderr=subprocess.PIPE):
        until(answers)
        assert tomllib.loads((directory / "client.toml").read_text())["endpoint"] == endpoint


def test_the_answer_tells_nothing_of_the_server_software(served: Served) -> None:
    with urllib.request.urlopen(f"{served.endpoint}/healthz", timeout=10) as answer:
        assert "server" not in {name.lower() for name in answer.headers}


def test_a_second_service_of_the_same_directory_is_refused(served: Served) -> None:
    done = logkeep("--dir", served.directory, "serve", "--port", "0").ended(2)
    assert "served by another process" in done.err
    assert urllib.request.urlopen(f"{served.endpoint}/readyz", timeout=10).status == 200


def test_a_port_that_is_taken_is_named(served: Served) -> None:
    port = served.endpoint.rpartition(":")[2]
    assert f"127.0.0.1:{port}" in logkeep("--dir", served.directory, "serve", "--port", port).ended(2).err


def test_a_key_that_does_not_fit_the_database_ends_the_start(tmp_path: Path) -> None:
    init(tmp_path)
    (tmp_path / "seal.key").write_bytes(b"something else")
    assert "seal.key" in logkeep("--dir", tmp_path, "serve", "--port", "0").ended(2).err


def test_settings_of_a_project_that_there_is_not_are_told_at_the_start(tmp_path: Path) -> None:
    init(tmp_path / "one", f'{CONFIGURATION}\n[sources.projects.cn-nort-4]\nroots = ["/srv"]\n')
    with serving(tmp_path / "one") as served:
        until(lambda: any("cn-nort-4" in line for line in served.log))
        [told] = [line for line in served.log if "cn-nort-4" in line]
        assert "sources.projects.cn-nort-4: there is no project of this name" in told
        assert '"projects": ["cn-north-4"]' in told


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[sftp]\njump = "@:x"', "sftp.jump: '@:x'"),
        ('[sources.projects.a]\nhosts = ["node:22"]', "sources.projects.a.hosts: 'node:22'"),
    ],
)
def test_hosts_that_are_written_wrongly_are_refused_by_their_key(tmp_path: Path, text: str, key: str) -> None:
    init(tmp_path / "one")
    (tmp_path / "one" / "logkeep.toml").write_text(f"{CONFIGURATION}\n{text}\n")
    assert key in called(tmp_path / "one", "project", "list").ended(2).err


def test_probes_are_answered_before_the_service_is_put_together(tmp_path: Path) -> None:
    init(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [*COMMAND, "--json", "--dir", tmp_path, "serve", "--port", port]
    with started(command, on="stdout", env=environment(), stderr=subprocess.DEVNULL) as (process, said):
        with closing(sqlite3.connect(tmp_path / "logkeep.db")) as held:
            held.execute("BEGIN IMMEDIATE")  # so that the start waits, however quick the machine is
            until(lambda: _status(port, "/healthz") == 200)
            assert _status(port, "/readyz") == 503
        said.wait_for(r"^\{.*\}$")
        served = json.loads("".join(said.lines))
        assert served == {"endpoint": f"http://127.0.0.1:{port}", "dir": str(tmp_path), "pid": process.pid}
        until(lambda: _status(port, "/readyz") == 200)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def _status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except urllib.error.URLError:
        return 0


def test_it_ends_at_once_with_a_backup_under_way_which_goes_on_at_the_next_start(
    tmp_path: Path, node: Path, command: Callable[..., Done]
) -> None:
    directory = tmp_path / "slow"
    init(directory, CONFIGURATION.replace("running_visible_seconds = 0", "running_visible_seconds = 10"))
    with serving(directory) as served:
        command("--dir", directory, "cluster", "add", "prod", "--node", f"n1={node}").ended(0)
        command("--dir", directory, "logs", "open", "prod").ended(0)
        record = command("--dir", directory, "backup", "prod", "--json").ended(0).json
        assert record["status"] == "RUNNING"
        assert served.end() == 0
    (directory / "logkeep.toml").write_text(CONFIGURATION)
    with serving(directory):
        until(lambda: _last_status(command, directory) == "SUCCESS")


def _last_status(command: Callable[..., Done], directory: Path) -> str:
    return command("--dir", directory, "records", "prod", "--json").ended(0).json["clusterLogRecord"][0]["status"]


@pytest.mark.parametrize("port", ["=-1", "=65536", "=http"])
def test_a_port_is_a_number(command: Callable[..., Done], port: str) -> None:
    assert "--port" in command("serve", f"--port{port}").ended(2).err


def test_a_copy_of_the_database_of_a_service_that_has_ended_holds_all(tmp_path: Path) -> None:
    init(tmp_path)
    with serving(tmp_path) as served:
        added = logkeep(
            "--dir", tmp_path, "cluster", "add", "prod", "--node", f"n1={tmp_path.parent}/{tmp_path.name}.n"
        )
        added.ended(0)
        served.end()
    copy = tmp_path / "copy.db"
    copy.write_bytes((tmp_path / "logkeep.db").read_bytes())
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT name FROM clusters").fetchall() == [("prod",)]
    log = tmp_path / "logkeep.db-wal"
    assert not log.exists() or log.stat().st_size == 0  # nothing that would be played back over another copy
