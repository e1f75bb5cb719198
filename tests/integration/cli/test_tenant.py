"""`cluster`, `logs`, `backup`, `records` against a running service."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from logkeep.cli import backups
from logkeep.domain.causes import Cause
from tests.integration.cli.installed import COMMAND, Done, Served, environment, logkeep, until
from tests.support.processes import running, started

Command = Callable[..., Done]


# cluster


def test_a_cluster_is_registered_by_its_nodes(tenant: Command, node: Path) -> None:
    made = tenant(
        "cluster", "add", "by-hand", "--node", f"n1=file://{node}", "--node", f"n2={node}/n2", "--kind", "elasticsearch",
        "--json",
    ).ended(0).json  # fmt: skip
    shown = tenant("cluster", "show", made["id"], "--json").ended(0).json
    assert [(n["name"], n["source"]) for n in shown["nodes"]] == [("n1", f"file://{node}"), ("n2", f"file://{node}/n2")]
    assert shown["kind"] == "elasticsearch"
    assert shown == tenant("cluster", "show", "by-hand", "--json").ended(0).json


def test_where_a_cluster_and_its_nodes_are_reached_is_told_and_changed(tenant: Command, node: Path) -> None:
    add = ("cluster", "add", "reached", "--node", f"n1={node}", "--cluster-endpoint", "h:9200")
    assert "there is no such --node" in tenant(*add, "--ip", "n2=10.0.0.5").ended(2).err
    tenant(*add, "--ip", "n1=10.0.0.5").ended(0)
    shown = tenant("cluster", "show", "reached").ended(0).out
    assert re.search(r"^endpoint +h:9200$", shown, re.MULTILINE)
    assert re.search(r"^n1 +ess +10\.0\.0\.5 ", shown, re.MULTILINE)
    tenant("cluster", "update", "reached", "--ip", "n1=::1", "--cluster-endpoint", "h:9201").ended(0)
    changed = tenant("cluster", "show", "reached", "--json").ended(0).json
    assert (changed["endpoint"], changed["nodes"][0]["ip"]) == ("h:9201", "::1")
    assert changed["nodes"][0]["source"] == f"file://{node}"


def test_a_person_sees_clusters_and_nodes(tenant: Command, cluster: str, node: Path) -> None:
    listed = tenant("cluster", "list").ended(0).out.splitlines()
    assert listed[0].split() == ["NAME", "KIND", "VERSION", "NODES", "POLICY", "ID"]
    assert any(line.startswith(cluster) and " off " in line for line in listed)
    shown = tenant("cluster", "show", cluster).ended(0).out
    assert f"file://{node}" in shown
    assert re.search(r"^policy +off$", shown, re.MULTILINE)
    assert re.search(r"^last success +never$", shown, re.MULTILINE)


def test_how_well_a_policy_is_kept_is_shown(tenant: Command, opened: str) -> None:
    shown = tenant("logs", "policy", opened, "--at", "00:00 GMT+00:00").ended(0).out
    assert re.search(r"^state +never_ran$", shown, re.MULTILINE)
    record = tenant("backup", opened, "--wait", "--json").ended(0).json
    cluster = tenant("cluster", "show", opened, "--json").ended(0).json
    assert (cluster["policyState"], cluster["lastSuccessAt"]) == ("ok", record["finishedAt"])
    policy = tenant("logs", "settings", opened, "--json").ended(0).json["policy"]
    assert (policy["state"], policy["lastSuccessAt"], policy["missed"]) == ("ok", record["finishedAt"], None)


def test_a_source_is_given_once_and_rightly(tenant: Command) -> None:
    assert "--node" in tenant("cluster", "add", "x").ended(2).err
    assert "NAME=file:" in tenant("cluster", "add", "x", "--node", "n1").ended(2).err
    assert "file:///directory" in tenant("cluster", "add", "x", "--node", "n1=logs").ended(2).err
    assert "cannot be asked" in tenant("cluster", "add", "x", "--url", "http://127.0.0.1:1").ended(2).err


def test_a_name_is_taken_once(tenant: Command, cluster: str, node: Path) -> None:
    assert cluster in tenant("cluster", "add", cluster, "--node", f"n1={node}").ended(2).err


def test_only_an_administrator_registers(tenant: Command, node: Path) -> None:
    key = tenant("key", "add", "--project", "cn-north-4", "--json").ended(0).json
    add = ("cluster", "add", "x", "--node", f"n1={node}")
    assert "administrator" in tenant("--ak", key["ak"], "--sk", key["sk"], *add).ended(2).err


def test_a_removed_cluster_is_gone(tenant: Command, cluster: str) -> None:
    assert tenant("cluster", "remove", cluster, "--yes", "--json").ended(0).json["removed"] is True
    assert "cluster list" in tenant("cluster", "show", cluster).ended(2).err


def test_a_removed_cluster_with_an_archive_is_taken_up_again(tenant: Command, cluster: str) -> None:
    tenant("logs", "open", cluster, "--bucket", "logs", "--base-path", "css/adopted", "--agency", "a").ended(0)
    assert tenant("backup", cluster, "--wait", "--json").ended(0).json["status"] == "SUCCESS"
    found = tenant("cluster", "show", cluster, "--json").ended(0).json
    tenant("cluster", "remove", cluster, "--yes").ended(0)
    node = f"{found['nodes'][0]['name']}={found['nodes'][0]['source']}"
    again = tenant("cluster", "add", found["name"], "--node", node, "--json").ended(0).json
    refused = tenant("logs", "open", again["id"], "--bucket", "logs", "--base-path", "css/adopted", "--agency", "a")
    assert f" cluster add {found['name']} --adopt {found['id']}`" in refused.ended(2).err
    tenant("cluster", "remove", again["id"], "--yes").ended(0)
    done = tenant("cluster", "add", found["name"], "--adopt", found["id"], "--from", "logs").ended(0)
    assert "1 record and " in done.out
    assert tenant("records", found["id"], "--json").ended(0).json["totalSize"] == 1
    tenant("cluster", "remove", found["id"], "--yes").ended(0)


def test_what_adopt_does_not_understand_is_told(tenant: Command) -> None:
    assert "give the id of the cluster" in tenant("cluster", "add", "x", "--adopt", "y").ended(2).err
    assert "--adopt looks" in tenant("cluster", "add", "x", "--node", "n=/tmp", "--from", "logs").ended(2).err
    nowhere = "00000000-0000-4000-8000-000000000000"
    assert f"no archive of cluster {nowhere}" in tenant("cluster", "add", "x", "--adopt", nowhere).ended(2).err


# logs


def test_log_backup_opens_changes_and_closes(tenant: Command, cluster: str) -> None:
    def setting(*arguments: str) -> dict[str, object]:
        return tenant("logs", *arguments, "--json").ended(0).json["logConfiguration"]

    assert setting("settings", cluster) is None
    opened = setting("open", cluster, "--bucket", "logs", "--base-path", "css/log", "--agency", "css_obs_agency")
    assert (opened["logSwitch"], opened["obsBucket"], opened["basePath"]) == (True, "logs", "css/log")
    assert setting("policy", cluster, "--at", "00:00 GMT+08:00")["period"] == "00:00 GMT+08:00"
    changed = setting("settings", cluster, "--base-path", "other")
    assert (changed["basePath"], changed["agency"], changed["period"]) == ("other", "css_obs_agency", "00:00 GMT+08:00")
    assert setting("policy", cluster, "--off")["autoEnable"] is False
    assert setting("close", cluster)["logSwitch"] is False


def test_a_person_sees_the_setting(tenant: Command, cluster: str) -> None:
    assert "never opened" in tenant("logs", "settings", cluster).ended(0).out
    shown = tenant("logs", "open", cluster, "--at", "03:00 GMT+00:00").ended(0).out
    assert "daily at 03:00 GMT+00:00" in shown
    assert f"logs/css/log/{cluster}" in shown


def test_wrong_settings_are_refused_with_their_code(tenant: Command, cluster: str) -> None:
    assert "CSS.0048" in tenant("logs", "open", cluster, "--bucket", "nope").ended(2).err
    assert "--at 00:00 Mars: the zone" in tenant("logs", "open", cluster, "--at", "00:00 Mars").ended(2).err
    assert "CSS.5130" in tenant("logs", "open", cluster, "--agency", "a b").ended(2).err
    assert "not both" in tenant("logs", "policy", cluster, "--at", "00:00 GMT+00:00", "--off").ended(2).err


def test_what_is_closed_cannot_be_used(tenant: Command, cluster: str) -> None:
    for command in (("backup", cluster), ("logs", "close", cluster), ("logs", "policy", cluster, "--off")):
        assert " logs open " in tenant(*command).ended(1).err


# backup and records


def test_a_setting_is_tried_before_log_backup_is_opened(tenant: Command, cluster: str) -> None:
    at = ("--base-path", "tried", "--at", "05:30 GMT+05:30")
    shown = tenant("logs", "open", cluster, *at, "--dry-run").ended(0).out
    assert re.search(rf"^kept in    logs/tried/{cluster}\nthere now  no archive$", shown, re.MULTILINE)
    assert re.search(r"^next runs  \d{4}-\d\d-\d\d 00:0\d UTC, \d{4}-\d\d-\d\d 05:3\d GMT\+05:30$", shown, re.MULTILINE)
    assert shown.count("GMT+05:30") == 5
    assert "nothing was changed" in shown
    assert "was never opened" in tenant("logs", "settings", cluster).ended(0).out
    tried = tenant("logs", "open", cluster, *at, "--dry-run", "--json").ended(0).json
    tenant("logs", "open", cluster, *at).ended(0)
    shown = tenant("logs", "policy", cluster).ended(0).out
    assert "daily at 05:30 GMT+05:30" in shown and shown.count("UTC, ") == 5
    policy = tenant("logs", "policy", cluster, "--json").ended(0).json["policy"]
    assert policy["nextRuns"] == tried["nextRuns"]
    assert "no bucket 'x'" in tenant("logs", "open", cluster, "--bucket", "x", "--dry-run").ended(2).err


def test_a_backup_is_waited_for(tenant: Command, opened: str) -> None:
    record = tenant("backup", opened, "--wait", "--json").ended(0).json
    assert record["status"] == "SUCCESS"
    assert record["finishedAt"] >= record["createAt"]
    listed = tenant("records", opened, "--json").ended(0).json
    assert listed == {"clusterLogRecord": [record], "totalSize": 1}


def test_a_failed_backup_is_told_and_exits_with_1(tenant: Command, tmp_path: Path, cluster: str) -> None:
    tenant("cluster", "add", f"{cluster}-gone", "--node", f"n1={tmp_path}/gone").ended(0)
    tenant("logs", "open", f"{cluster}-gone").ended(0)
    done = tenant("backup", f"{cluster}-gone", "--wait").ended(1)
    assert "LK-SOURCE-UNREACHABLE: node n1" in done.err
    record = tenant("backup", f"{cluster}-gone", "--wait", "--json").ended(1).json
    assert record["status"] == "FAIL"
    assert "LK-SOURCE-UNREACHABLE" in tenant("records", f"{cluster}-gone", "--status", "FAIL").ended(0).out
    assert tenant("records", f"{cluster}-gone", "--status", "NOT_FAIL", "--json").ended(0).json["totalSize"] == 0


def test_records_are_paged(tenant: Command, opened: str) -> None:
    jobs = [tenant("backup", opened, "--wait", "--json").ended(0).json["jobId"] for _ in range(3)]
    page = tenant("records", opened, "--offset", "2", "--limit", "1", "--json").ended(0).json
    assert [record["jobId"] for record in page["clusterLogRecord"]] == [jobs[1]]
    shown = tenant("records", opened, "--limit", "2").ended(0)
    assert [line.split()[-1] for line in shown.out.splitlines()[1:]] == [jobs[2], jobs[1]]
    assert "1 to 2 of 3; the next: --offset 3" in shown.err
    assert "has only 3 backups; the oldest: --offset 3" in tenant("records", opened, "--offset", "9").ended(0).out


def test_records_refuse_what_the_api_refuses(tenant: Command, opened: str) -> None:
    assert "status" in tenant("records", opened, "--status", "GOOD").ended(2).err
    assert "--limit" in tenant("records", opened, "--limit", "1001").ended(2).err


# What goes wrong


def test_an_unknown_cluster_is_wrong_use(tenant: Command) -> None:
    for command in ("backup", "records", "verify"):
        assert "no cluster nobody" in tenant(command, "nobody").ended(2).err
    assert "no cluster" in tenant("records", "00000000-0000-4000-8000-000000000000").ended(2).err


def test_a_service_that_does_not_run_is_said_to(command: Command) -> None:
    done = command("records", "x", "--endpoint", "http://127.0.0.1:1", "--ak", "a", "--sk", "s").ended(1)
    assert done.err == f"logkeep: {Cause.SERVICE_REFUSED.tell(where='http://127.0.0.1:1')}\n"


def test_something_else_that_listens_there_is_told_apart(command: Command) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        thread = Thread(target=other.handle_request)
        thread.start()
        endpoint = f"http://127.0.0.1:{other.server_port}"
        done = command("records", "x", "--endpoint", endpoint, "--ak", "a", "--sk", "s").ended(1)
        thread.join()
    assert "is not Logkeep: status" in done.err


@pytest.mark.parametrize("endpoint", ["localhost", "ftp://x", "http://", "http://x:port", "http://x/path"])
def test_an_endpoint_is_a_url(command: Command, endpoint: str) -> None:
    assert "is no endpoint" in command("records", "x", "--endpoint", endpoint, "--ak", "a", "--sk", "s").ended(2).err


def test_who_has_no_key_is_told_where_to_put_one(command: Command) -> None:
    assert "LOGKEEP_ENDPOINT" in command("records", "x").ended(2).err
    assert "both" in command("records", "x", "--ak", "a").ended(2).err


def test_a_wrong_secret_is_said_to_be_wrong(tenant: Command, opened: str) -> None:
    ak = tenant("key", "list", "--json").ended(0).json["keys"][0]["ak"]
    assert "its secret is not the one given" in tenant("--ak", ak, "--sk", "wrong", "records", opened).ended(2).err
    refused = tenant("--ak", "LKX", "--sk", "wrong", "records", opened).ended(2).err
    assert re.search(r"the service at http://127.0.0.1:\d+ refuses the key LKX: there is no such key", refused)


def test_the_project_need_not_be_said(tenant: Command, command: Command, served: Served, opened: str) -> None:
    key = tenant("key", "add", "--project", "cn-north-4", "--json").ended(0).json
    access = ("--endpoint", served.endpoint, "--ak", key["ak"], "--sk", key["sk"])
    assert command(*access, "records", opened, "--json").ended(0).json["totalSize"] == 0


def test_variables_take_the_place_of_options(served: Served, tenant: Command, opened: str) -> None:
    key = tenant("key", "add", "--project", "cn-north-4", "--json").ended(0).json
    done = logkeep(
        "records", opened, "--json",
        LOGKEEP_ENDPOINT=served.endpoint, LOGKEEP_AK=key["ak"], LOGKEEP_SK=key["sk"],
        LOGKEEP_PROJECT_ID=key["project_id"],
    )  # fmt: skip
    assert done.ended(0).json["totalSize"] == 0


def test_wrong_use_points_to_the_help(command: Command) -> None:
    assert "see `logkeep coverage --help`" in command("coverage").ended(2).err
    assert "no such option: --nope" in command("records", "x", "--nope").ended(2).err
    assert "Usage: logkeep cluster" in command("cluster").ended(2).err


def test_a_reader_that_goes_away_leaves_no_traceback(served: Served, opened: str) -> None:
    command = [*COMMAND, "--dir", served.directory, "records", opened, "--json"]
    with started(command, env=environment(), stdout=subprocess.PIPE) as (process, said):
        assert process.stdout
        process.stdout.close()
        assert said.all() == ""
        assert process.wait(60) == 1


def test_ctrl_c_leaves_no_traceback_and_the_backup_goes_on(
    served: Served, tenant: Command, opened: str, node: Path
) -> None:
    command = [sys.executable, "-c", _WAIT_FOR_EVER, "--dir", served.directory, "backup", opened, "--wait"]
    with running(command, "^waiting$", env=environment()) as command_line:
        command_line.process.send_signal(signal.SIGINT)
        assert command_line.said.all().startswith(f"waiting\nthe backup of {opened} goes on")
        assert command_line.process.wait(60) == 130
    until(lambda: tenant("records", opened, "--json").json["clusterLogRecord"][0]["status"] == "SUCCESS")


_WAIT_FOR_EVER = """
import signal, sys, time
from logkeep.cli import app, backups

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that started the tests in the background ignores it

def wait(*_):
    print("waiting", file=sys.stderr, flush=True)
    for _ in range(1200):  # a signal that comes just before a sleep does not end it
        time.sleep(0.05)

backups.wait_for_job = wait
sys.exit(app.run(sys.argv[1:]))
"""


def test_a_service_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from logkeep.cli.client import NotAnswering

    id_ = b"0" * 32
    record = (
        b'{"id":"00000000-0000-4000-8000-000000000000","createAt":1,"logPath":"","status":"SUCCESS",'
        b'"jobTypes":"Manual","jobId":"%b","finishedAt":2,"clusterId":"c","failedMsg":null,"attempts":1,"nodes":[],'
        b'"files":[],"filesTotal":0,"gaps":[],"failures":[],"warnings":[],"forecasts":[],'
        b'"removed":{"objects":0,"raw":0,"stored":0,"lines":0}}' % id_
    )

    answers: list[object] = [NotAnswering("gone"), NotAnswering("gone"), record]

    class Client:
        def get(self, _path: str) -> bytes:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            assert isinstance(answer, bytes)
            return answer

    assert backups.wait_for_job(Client(), "job") == record  # type: ignore[arg-type]


def test_a_backup_tells_what_was_gone_before_it_could_be_kept(
    tenant: Callable[..., Done], opened: str, node: Path
) -> None:
    tenant("backup", opened, "--wait").ended(0)
    (node / "prod.log").write_bytes(b"[2026-11-24T09:00:00,000][INFO ] another generation\n")
    done = tenant("backup", opened, "--wait").ended(0)
    assert "gap: not all of prod.log of n1 was kept: truncated; " in done.err
    record = tenant("records", opened, "--json").ended(0).json["clusterLogRecord"][0]
    assert record["status"] == "SUCCESS"


# job


def test_a_job_is_shown_with_its_nodes_and_files(tenant: Command, opened: str, node: Path) -> None:
    job_id = tenant("backup", opened, "--wait", "--json").ended(0).json["jobId"]
    shown = tenant("job", "show", job_id).ended(0).out
    assert f"cluster   {opened}\n" in shown
    assert "attempts  1\n" in shown
    assert re.search(r"^n1 .* 2 +100 +", shown, re.MULTILINE)  # files and lines
    assert re.search(r"^n1 +prod\.log +0 +2,000 +50 ", shown, re.MULTILINE)
    told = tenant("job", "show", job_id, "--json").ended(0).json
    assert [file["name"] for file in told["files"]] == ["prod.log", "prod_server.json"]
    assert told["nodes"][0]["planned"] == told["nodes"][0]["done"] == sum(file["raw"] for file in told["files"])


def test_more_files_than_one_page_are_shown_when_asked_for(tenant: Command, opened: str, node: Path) -> None:
    for number in range(1, 1031):
        (node / f"prod-2026-11-24-{number}.log").write_bytes(b"line %d\n" % number)
    job_id = tenant("backup", opened, "--wait", "--json").ended(0).json["jobId"]
    done = tenant("job", "show", job_id).ended(0)
    assert done.out.count("prod-2026-11-24-") == 20
    assert "20 of 1,032 files; all: `logkeep --dir" in done.err
    assert tenant("job", "show", job_id, "--files").ended(0).out.count("prod-2026-11-24-") == 1030
    assert len(tenant("job", "show", job_id, "--json").ended(0).json["files"]) == 1000
    assert len({file["object"] for file in tenant("job", "show", job_id, "--files", "--json").json["files"]}) == 1032


def test_a_job_that_is_not_there_is_wrong_use(tenant: Command) -> None:
    assert "no such job" in tenant("job", "show", "0" * 32).ended(2).err
    assert " records` lists them" in tenant("job", "show", "../clusters").ended(2).err


def test_a_failed_job_and_a_gap_are_told(tenant: Command, opened: str, node: Path) -> None:
    tenant("backup", opened, "--wait").ended(0)
    (node / "prod.log").write_bytes(b"[2026-11-24T09:00:00,000][INFO ] another generation\n")
    gap = tenant("backup", opened, "--wait", "--json").ended(0).json["jobId"]
    assert "gap: not all of prod.log of n1 was kept: truncated; " in tenant("job", "show", gap).ended(0).out
    node.rename(node.with_name("away"))
    tenant("backup", opened, "--wait").ended(1)
    job_id = tenant("records", opened, "--json").json["clusterLogRecord"][0]["jobId"]
    shown = tenant("job", "show", job_id).ended(0).out
    assert "status    FAIL" in shown
    assert re.search(r"^  LK-SOURCE-UNREACHABLE: node n1: ", shown, re.MULTILINE)


# coverage


def test_coverage_tells_spans_and_gaps_and_exits_with_0(tenant: Command, opened: str, node: Path) -> None:
    assert "nothing is held" in tenant("coverage", opened).ended(0).out
    job_id = tenant("backup", opened, "--wait", "--json").ended(0).json["jobId"]
    whole = tenant("coverage", opened).ended(0).out
    assert "the last backup that succeeded ended 20" in whole
    assert job_id in whole
    assert "\nn1  prod.log\n  held     2026-11-24T00:00:00,000 to 2026-11-24T00:00:00,000\n" in whole
    assert re.search(r"^  size     1 generation, 50 lines, 2\.\d KiB, ", whole, re.MULTILINE)
    assert whole.endswith(": no gap is known\n")
    (node / "prod.log").write_bytes(b"[2026-11-24T09:00:00,000][INFO ] another generation\n")
    tenant("backup", opened, "--wait").ended(0)
    missing = tenant("coverage", opened, "--node", "n1", "--family", "prod.log").ended(0).out
    assert "1 log: 1 gap" in missing
    told = r"^  gap      after 2026-11-24T00:00:00,000 until 2026-11-24T09:00:00,000, .*: truncated$"
    assert re.search(told, missing, re.MULTILINE)
    logs = tenant("coverage", opened, "--family", "prod.log", "--json").ended(0).json["logs"]
    assert [(log["generations"], log["lines"], len(log["gaps"])) for log in logs] == [(2, 51, 1)]
    assert "nothing of that is held" in tenant("coverage", opened, "--node", "other").ended(0).out


def test_runs_are_added_and_forecasts_shown(tenant: Command, opened: str, node: Path) -> None:
    for number in range(5):
        name = "prod_index_search_slowlog" + (f"-{number + 1}" if number < 4 else "")
        line = b'{"type": "s", "timestamp": "2026-11-24T0%d:00:00,000Z"}\n' % number
        (node / f"{name}.json").write_bytes(line)
    done = tenant("backup", opened, "--wait").ended(0)
    assert "forecast: at the pace seen so far, n1 may delete lines of prod_index_search_slowlog.json" in done.err
    job_id = tenant("records", opened, "--json").json["clusterLogRecord"][0]["jobId"]
    assert "no backup is planned" in tenant("job", "show", job_id).ended(0).out
    shown = tenant("logs", "policy", opened, "--adaptive").ended(0).out
    assert "not daily, but before a node deletes what is not kept" in shown
    policy = tenant("logs", "policy", opened, "--at", "00:00 GMT+00:00", "--adaptive", "--json").ended(0).json["policy"]
    assert policy["adaptive"]
    off = tenant("logs", "policy", opened, "--off").ended(0).err
    assert f"logs policy {opened} --no-adaptive` ends them" in off
    log = tenant("coverage", opened, "--family", "prod_index_search_slowlog.json", "--json").json["logs"][0]
    assert policy["nextRun"] < log["safeUntil"]
    assert tenant("logs", "policy", opened, "--no-adaptive", "--json").ended(0).json["policy"]["adaptive"] is False


def test_a_node_that_is_not_there_is_warned_of_checked_and_moved(tenant: Command, node: Path) -> None:
    done = tenant("cluster", "add", "checked", "--node", f"n1={node}/none").ended(0)
    assert "warning: node n1: LK-SOURCE-UNREACHABLE: " in done.err
    assert "n1    no" in tenant("cluster", "check", "checked").ended(1).out
    (node / "es.log").write_bytes(b"line\n")
    assert "has 1 node now" in tenant("cluster", "update", "checked", "--node", f"n1={node}").ended(0).out
    assert "n1    yes" in tenant("cluster", "check", "checked").ended(0).out
    assert "has 2 nodes now" in tenant("cluster", "update", "checked", "--node", f"n2={node.parent}/two").ended(0).out
    removed = tenant("cluster", "update", "checked", "--remove-node", "n2").ended(0).out
    assert "has 1 node now" in removed and "n2" not in removed
    unknown = tenant("cluster", "update", "checked", "--remove-node", "n9").ended(2).err
    assert "remove_nodes: the cluster has no node 'n9'" in unknown
    hint = tenant("cluster", "update", "checked").ended(2).err
    assert hint.startswith("logkeep: say what is to change: ")
    own = hint.removesuffix("\n").rpartition("change: ")[2].split(", ")
    options = tenant("cluster", "update", "--help").ended(0).out.partition("Every command")[0]
    assert {*own, "--help"} == set(re.findall("^  (--[a-z-]+)", options, re.MULTILINE))


def test_a_backup_shows_its_warnings_and_one_that_runs_is_cancelled(tenant: Command, opened: str, node: Path) -> None:
    for path in node.iterdir():
        path.unlink()
    done = tenant("backup", opened, "--wait").ended(0)
    assert "warning: LK-NODE-EMPTY: node n1: no file at all is in the log directory" in done.err
    [record] = tenant("records", opened, "--json").ended(0).json["clusterLogRecord"]
    assert "warning: LK-NODE-EMPTY: " in tenant("job", "show", record["jobId"]).ended(0).out
    assert "had ended before: SUCCESS" in tenant("job", "cancel", record["jobId"]).ended(0).out
