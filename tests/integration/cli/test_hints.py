"""What an operator is told beforehand, and with what it is mended."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from logkeep.cli.identity import MOST_NAMED
from logkeep.cli.verification import _print_findings
from tests.integration.cli.installed import COMMAND, Done, Served, environment, init, serving
from tests.processes import running

Command = Callable[..., Done]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    init(tmp_path / "installation")
    return tmp_path / "installation"


def test_a_second_project_names_every_cluster_that_it_keeps_from_being_read(
    command: Command, directory: Path, tmp_path: Path
) -> None:
    names = [f"c-{number:02}" for number in range(MOST_NAMED + 2)]
    with serving(directory):
        for name in names:
            (tmp_path / name).mkdir()
            command("--dir", directory, "cluster", "add", name, "--node", f"n1={tmp_path / name}").ended(0)
    said = command("--dir", directory, "project", "add", "second").ended(0).err
    assert [name for name in names if f"{name}: node n1" in said] == names[:MOST_NAMED]
    assert "and 2 more" in said
    [block] = [text for text in said.split("\n\n") if text.startswith("[sources")]
    assert tomllib.loads(block) == {
        "sources": {"projects": {"cn-north-4": {"roots": [str(tmp_path / name) for name in names]}}}
    }
    with (directory / "logkeep.toml").open("a") as settings:
        settings.write(block)
    assert "fail from now on" not in command("--dir", directory, "project", "add", "third").ended(0).err


@pytest.mark.parametrize(("content", "said"), [(None, "is missing"), ("", "is empty"), ("[sftp]\n", "names no bucket")])
def test_settings_without_a_bucket_are_told_at_the_start(
    command: Command, directory: Path, content: str | None, said: str
) -> None:
    (directory / "logkeep.toml").unlink()
    if content is not None:
        (directory / "logkeep.toml").write_text(content)
    with serving(directory) as served:
        expected = f"warning: {directory / 'logkeep.toml'} {said}: "
        assert len([line for line in served.log if expected in line]) == 1
    assert expected in command("--dir", directory, "store", "list").ended(0).err


def test_directories_that_are_not_there_are_told_at_the_start(
    command: Command, directory: Path, tmp_path: Path
) -> None:
    with (directory / "logkeep.toml").open("a") as settings:
        settings.write(f'[buckets.far]\nurl = "file://{tmp_path}/far"\n[sources]\nroots = ["{tmp_path}", "/nowhere"]\n')
    with serving(directory) as served:
        told = [line for line in served.log if "warning: " in line]
    assert [line.partition("warning: ")[2].partition(";")[0] for line in told] == [
        f"buckets.far: {tmp_path}/far is not there",
        "sources.roots: /nowhere is not there",
    ]


def test_a_client_toml_that_cannot_be_read_says_what_to_do_instead(
    tenant: Command, command: Command, directory: Path, served: Served
) -> None:
    key = tenant("key", "add", "--project", "cn-north-4", "--json").ended(0).json
    (directory / "client.toml").unlink()
    (directory / "client.toml").mkdir()
    said = command("--dir", directory, "cluster", "list").ended(2).err
    assert "be the user that it belongs to, or give --endpoint, --ak and --sk" in said
    given = ("--endpoint", served.endpoint, "--ak", key["ak"], "--sk", key["sk"])
    command("--dir", directory, *given, "cluster", "list").ended(0)


def test_what_a_message_tells_to_run_can_be_pasted(tenant: Command, command: Command, node: Path) -> None:
    name = "a cluster"
    tenant("cluster", "add", name, "--node", f"n1={node}").ended(0)
    refused = tenant("backup", name).ended(1)
    for said in (refused.err, tenant("restore", name, "--to", "out").ended(1).err):
        [pasted] = re.findall(r"`(logkeep .*?)`", said)
        command(*shlex.split(pasted)[1:]).ended(0)
    tenant("cluster", "remove", name, "--yes").ended(0)


def test_a_finding_of_no_object_ends_with_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    where = {"node": "", "family": "", "job_id": "", "object": ""}
    _print_findings([{**where, "problem": "the database is behind"}], 1)
    assert capsys.readouterr().out == "the database is behind\n"


def test_what_is_wrong_with_a_time_is_told_by_its_option(tenant: Command, opened: str, tmp_path: Path) -> None:
    for command in (("logs", "policy", opened), ("logs", "open", opened)):
        said = tenant(*command, "--at", "03:00").ended(2).err
        assert "--at 03:00: write it as 'HH:MM GMT+HH:MM'" in said
        assert re.search(r"this machine has GMT[+-]\d\d:\d\d$", said.strip())
    times = ("--since", "2026-11-24T02:00", "--until", "2026-11-24T01:00")
    tenant("backup", opened, "--wait").ended(0)
    assert "since: is after until" in tenant("restore", opened, "--to", tmp_path / "out", *times).ended(2).err


def test_serve_says_in_one_line_of_json_that_it_works(directory: Path) -> None:
    command = [*COMMAND, "--dir", directory, "serve", "--port", "0", "--json"]
    with running(command, r"^(\{.*\})$", on="stdout", env=environment()) as service:
        told = json.loads(service.found[1])
    assert told["pid"] == service.process.pid


def test_a_list_of_no_records_is_told_in_plain_words(tenant: Command, opened: str) -> None:
    assert tenant("records", opened, "--status", "FAIL").ended(0).out == f"{opened} has no record of that kind\n"
    assert tenant("records", opened, "--offset", "3").ended(0).out == f"{opened} has no record\n"
