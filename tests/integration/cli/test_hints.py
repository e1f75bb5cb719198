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
from logkeep.contract.native.responses import FindingLine
from tests.integration.cli.installed import COMMAND, Done, Served, environment, init, serving
from tests.support.processes import running

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


def test_a_directory_of_a_client_is_not_told_to_become_an_installation(
    tenant: Command, command: Command, served: Served, tmp_path: Path
) -> None:
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "client.toml").write_bytes((served.directory / "client.toml").read_bytes())
    command("--dir", tmp_path / "client", "cluster", "list").ended(0)
    said = command("--dir", tmp_path / "client", "key", "list").ended(2).err
    assert "run this where the service runs" in said
    assert "init" not in said
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letters.txt").touch()
    assert "init" not in command("--dir", tmp_path / "full", "key", "list").ended(2).err, "it would refuse"


def test_a_role_that_may_not_is_told_of_one_that_may(
    tenant: Command, command: Command, served: Served, tmp_path: Path
) -> None:
    key = tenant("key", "add", "--project", "cn-north-4", "--json").ended(0).json
    given = ("--dir", tmp_path, "--endpoint", served.endpoint, "--ak", key["ak"], "--sk", key["sk"])
    said = command(*given, "cluster", "add", "x", "--node", f"n={tmp_path}").ended(2).err
    assert "AddCluster is not for the role operator" in said
    assert "use an administrator's key (`logkeep key add --project PROJECT --admin`)" in said, "not one of --dir"


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("logs", "open", "{}", "--base-path", "../x"), "--base-path: must not"),
        (("logs", "open", "{}", "--bucket", "nope"), "(--bucket: no bucket 'nope'"),
        (("records", "{}", "--status", "FAILED"), "--status: "),
        (("cluster", "add", "x", "--url", "http://127.0.0.1:1"), "--url: cannot be asked"),
        (("cluster", "add", "x", "--node", "n=logs"), "--node: a source is written"),
        (("job", "show", "0" * 32), "JOB: the project has no such job"),
    ],
)
def test_what_is_wrong_is_told_by_its_option(
    tenant: Command, cluster: str, arguments: tuple[str, ...], option: str
) -> None:
    said = tenant(*(one.format(cluster) for one in arguments)).ended(2).err
    assert option in said, said


def test_a_name_that_is_no_job_is_told_where_jobs_are_listed(tenant: Command) -> None:
    for name in ("nope", "a-b", "F" * 32):
        assert "`logkeep --dir" in tenant("job", "show", name).ended(2).err


def test_a_span_of_which_nothing_is_kept_is_told_how_to_see_what_is(tenant: Command, opened: str) -> None:
    tenant("backup", opened, "--wait").ended(0)
    said = tenant("restore", opened, "--to", "out", "--until", "1999-01-01").ended(2).err
    [pasted] = re.findall(r"`(logkeep .*?)`", said)
    assert "held " in tenant(*shlex.split(pasted)[3:]).ended(0).out


def test_a_finding_of_no_object_ends_with_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    finding = FindingLine(
        node="",
        family="",
        object="",
        problem="the database is behind",
        job_id="",
        generation=None,
        start=None,
        end=None,
        lines=None,
        first_time="",
        last_time="",
        on_node=False,
    )
    _print_findings([finding], 1)
    assert capsys.readouterr().out == "the database is behind\n"


def test_what_is_wrong_with_a_time_is_told_by_its_option(tenant: Command, opened: str, tmp_path: Path) -> None:
    for command in (("logs", "policy", opened), ("logs", "open", opened)):
        said = tenant(*command, "--at", "03:00").ended(2).err
        assert "--at 03:00: its zone is missing; in that of this machine it is " in said
        [offered] = re.findall(r"it is (--at '03:00 GMT[+-]\d\d:\d\d')$", said.strip())
        tenant(*command, *shlex.split(offered)).ended(0)
        assert "--at 3am: write it as 'HH:MM GMT+HH:MM'" in tenant(*command, "--at", "3am").ended(2).err
    times = ("--since", "2026-11-24T02:00", "--until", "2026-11-24T01:00")
    tenant("backup", opened, "--wait").ended(0)
    assert (
        "--since 2026-11-24T02:00 is after --until 2026-11-24T01:00; exchange the two"
        in tenant("restore", opened, "--to", tmp_path / "out", *times).ended(2).err
    )


def test_serve_says_in_one_line_of_json_that_it_works(directory: Path) -> None:
    command = [*COMMAND, "--dir", directory, "serve", "--port", "0", "--json"]
    with running(command, r"^(\{.*\})$", on="stdout", env=environment()) as service:
        told = json.loads(service.found[1])
    assert told["pid"] == service.process.pid


def test_a_list_of_no_records_is_told_in_plain_words(tenant: Command, opened: str) -> None:
    assert tenant("records", opened, "--status", "FAIL").ended(0).out == f"{opened} has no backup that failed yet\n"
    assert tenant("records", opened, "--offset", "3").ended(0).out == f"{opened} has no backup yet\n"
