"""`/api/v1`: clusters, one record, the archive and its verification."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from logkeep.domain.archive_search import Hit, HitSource, SearchEvent, SearchProgress
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.domain.verification import Progress
from logkeep.errors import StoreCorrupt, StoreUnreachable
from logkeep.http import protocol
from logkeep.service import archive, archive_search, verification
from logkeep.stores.frames import decode
from tests.contract.service import SETTING, Reply, Service
from tests.contract.test_api import assert_error

CLUSTERS, JOBS = "/api/v1/clusters", "/api/v1/jobs"


def post(service: Service, body: object) -> Reply:
    return service.call("POST", CLUSTERS, body, key=service.admin)


def lines(reply: Reply) -> list[dict[str, object]]:
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-ndjson")
    assert reply.body.endswith(b"\n") or not reply.body
    return [json.loads(line) for line in reply.body.splitlines()]


@pytest.fixture
def kept(service: Service, opened: Cluster) -> Cluster:
    """A cluster with two logs in the archive."""
    folder = Path(opened.nodes[0].source.removeprefix("file://"))
    (folder / "c.log").write_bytes(b"[2026-01-01T00:00:00,000][INFO ][a] [node-0] one\n" * 1000)
    (folder / "c_server.json").write_bytes(b'{"type": "server", "timestamp": "2026-01-01T00:00:00,000Z"}\n' * 10)
    service.back_up(opened)
    return opened


def test_cluster_is_registered_listed_shown_and_removed(service: Service, tmp_path: Path) -> None:
    nodes = [{"name": "n1", "source": f"file://{tmp_path}"}, {"name": "节点", "source": f"file://{tmp_path}/2"}]
    added = post(service, {"name": "日志 cluster", "nodes": nodes, "kind": "elasticsearch", "version": "8.7.1"}).json
    assert [(node["name"], node["source"]) for node in added["nodes"]] == [(n["name"], n["source"]) for n in nodes]
    assert len(added.pop("warnings")) == 2  # nothing is there yet
    assert (added["name"], added["kind"], added["version"]) == ("日志 cluster", "elasticsearch", "8.7.1")
    shown = service.call("GET", f"{CLUSTERS}/{added['id']}", key=service.admin)
    assert shown.json == added
    found = service.call("GET", f"{CLUSTERS}?name={quote('日志 cluster')}&limit=5", key=service.admin).json
    assert found == {"clusters": [added], "totalSize": 1}
    assert service.call("GET", f"{CLUSTERS}?name=none").json == {"clusters": [], "totalSize": 0}
    assert service.call("DELETE", f"{CLUSTERS}/{added['id']}", key=service.admin).body == b'{"archive":"kept"}'
    assert_error(service.call("GET", f"{CLUSTERS}/{added['id']}"), 403, "CSS.0015")


def test_sources_of_nodes_are_shown_to_admin_keys_only(service: Service, cluster: Cluster) -> None:
    for path in (f"{CLUSTERS}/{cluster.id}", f"{CLUSTERS}?name={cluster.name}"):
        assert b"file://" in service.call("GET", path, key=service.admin).body
        reply = service.call("GET", path)
        assert reply.status == 200
        assert b"source" not in reply.body


def test_only_admin_keys_register_and_remove(service: Service, cluster: Cluster) -> None:
    assert_error(service.call("POST", CLUSTERS, {}), 403, "APIGW.0302")
    assert_error(service.call("DELETE", f"{CLUSTERS}/{cluster.id}"), 403, "APIGW.0302")
    assert_error(service.call("DELETE", f"{CLUSTERS}/{cluster.id}", key=service.stranger), 403, "CSS.0015")
    assert service.call("GET", f"{CLUSTERS}/{cluster.id}").status == 200


def test_name_that_is_taken_is_409(service: Service, cluster: Cluster, tmp_path: Path) -> None:
    nodes = [{"name": "n1", "source": f"file://{tmp_path}"}]
    assert_error(post(service, {"name": cluster.name, "nodes": nodes}), 409, "CSS.0031", cluster.name)


NODE = {"name": "n", "source": "file:///tmp"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": 5}, "name"),
        ({"name": "c"}, "nodes"),
        ({"name": "c", "nodes": [NODE], "url": "http://h", "source": "file:///"}, "nodes"),
        ({"name": "c", "nodes": []}, "nodes"),
        ({"name": "c", "nodes": {}}, "nodes"),
        ({"name": "c", "nodes": ["n"]}, "nodes"),
        ({"name": "c", "nodes": [{"name": "n"}]}, "source"),
        ({"name": "c", "nodes": [{"source": "file:///tmp"}]}, "name"),
        ({"name": "c", "nodes": [NODE, NODE]}, "nodes"),
        ({"name": "c", "nodes": [{"name": "n", "source": "ftp://h/"}]}, "nodes.source"),
        ({"name": "c", "nodes": [{"name": "n", "source": 5}]}, "source"),
        ({"name": "c", "nodes": [{"name": "..", "source": "file:///tmp"}]}, "nodes.name"),
        ({"name": "c", "nodes": [{"name": "a/b", "source": "file:///tmp"}]}, "nodes.name"),
        ({"name": "c", "nodes": [{"name": "n" * 129, "source": "file:///tmp"}]}, "nodes.name"),
        ({"name": "c", "nodes": [{"name": "a\x00", "source": "file:///tmp"}]}, "name"),
        ({"name": "c", "nodes": [NODE], "kind": "mysql"}, "kind"),
        ({"name": "c", "nodes": [NODE], "version": 7}, "version"),
        ({"name": ".c", "nodes": [NODE]}, "name"),
        ({"name": "a/b", "nodes": [NODE]}, "name"),
        ({"name": "a\\b", "nodes": [NODE]}, "name"),
        ({"name": "a\nb", "nodes": [NODE]}, "name"),
        ({"name": "c" * 65, "nodes": [NODE]}, "name"),
        ({"name": "c", "url": "http://h"}, "source"),
        ({"name": "c", "url": "http://127.0.0.1:1", "source": "file://{path.logs}"}, "url"),
        ({"name": "c", "url": "no url", "source": "file://{path.logs}", "password": "hidden"}, "url"),
    ],
)
def test_cluster_that_cannot_be_registered_is_refused_by_its_field(
    service: Service, body: dict[str, object], field: str
) -> None:
    reply = post(service, body)
    assert_error(reply, 400, "CSS.0001", f"^{field}: ")
    assert "hidden" not in reply.message


def test_cluster_is_not_removed_while_a_backup_runs(service: Service, opened: Cluster) -> None:
    service.call("POST", service.path(opened, "/logs/collect"))
    assert_error(service.call("DELETE", f"{CLUSTERS}/{opened.id}", key=service.admin), 409, "CSS.3004")


def test_backup_that_is_started_is_answered_with_its_job(service: Service, opened: Cluster) -> None:
    started = service.call("POST", f"{CLUSTERS}/{opened.id}/backups")
    assert (started.status, started.json["status"], started.json["jobTypes"]) == (200, "RUNNING", "Manual")
    assert service.call("GET", f"{JOBS}/{started.json['jobId']}").json == started.json
    again, collect = f"{CLUSTERS}/{opened.id}/backups", service.path(opened, "/logs/collect")
    refused, alike = service.call("POST", again), service.call("POST", collect)
    assert (refused.status, refused.code, refused.message) == (alike.status, alike.code, alike.message)
    assert refused.status == 409


def test_a_backup_that_is_cancelled_is_fail_at_once_and_its_cluster_can_be_removed(
    service: Service, opened: Cluster
) -> None:
    service.call("POST", service.path(opened, "/logs/collect"))
    [record] = service.call("GET", service.path(opened, "/logs/records")).json["clusterLogRecord"]
    for _ in range(2):
        reply = service.call("POST", f"{JOBS}/{record['jobId']}/cancel")
        assert (reply.status, reply.json["status"]) == (200, "FAIL")
        assert reply.json["failedMsg"].startswith("LK-JOB-CANCELLED: ")
    assert_error(service.call("POST", f"{JOBS}/{'0' * 32}/cancel"), 400, "CSS.0001", "^job_id: ")
    assert service.call("DELETE", f"{CLUSTERS}/{opened.id}", key=service.admin).status == 200


def test_a_node_that_cannot_be_read_is_registered_with_a_warning_and_a_dry_run_says_so_before(
    service: Service, tmp_path: Path
) -> None:
    new = {"name": f"c-{tmp_path.name}", "nodes": [{"name": "n", "source": f"file://{tmp_path}/none"}]}
    looked = service.call("POST", f"{CLUSTERS}/check", new, key=service.admin).json["nodes"]
    assert [(one["reachable"], one["problem"][:21]) for one in looked] == [(False, "LK-SOURCE-UNREACHABLE")]
    assert service.call("GET", f"{CLUSTERS}?name={new['name']}").json["clusters"] == []
    added = service.call("POST", CLUSTERS, new, key=service.admin)
    [warning] = added.json["warnings"]
    assert (added.status, warning[:29]) == (200, "node n: LK-SOURCE-UNREACHABLE")
    assert service.call("POST", f"{CLUSTERS}/{added.json['id']}/check").json["nodes"] == looked


def test_one_record_is_shown_as_the_list_shows_it(service: Service, cluster: Cluster) -> None:
    job, _ = service.add_records(cluster, JobStatus.FAIL, JobStatus.SUCCESS)
    listed = service.call("GET", service.path(cluster, "/logs/records?status=FAIL")).json["clusterLogRecord"]
    shown = service.call("GET", f"{CLUSTERS}/{cluster.id}/jobs/{job.job_id}").json
    assert shown == service.call("GET", f"{JOBS}/{job.job_id}").json
    assert shown.pop("gaps") == []
    assert {name: shown[name] for name in listed[0]} == listed[0]
    for job_id in ("0" * 32, "no-id", "%00", "x" * 3000):
        assert_error(service.call("GET", f"{CLUSTERS}/{cluster.id}/jobs/{job_id}"), 400, "CSS.0001", "^job_id: ")
        assert_error(service.call("GET", f"{JOBS}/{job_id}"), 400, "CSS.0001", "^job_id: ")


def test_a_job_tells_nodes_files_and_what_it_met(service: Service, kept: Cluster) -> None:
    listed = service.call("GET", service.path(kept, "/logs/records")).json["clusterLogRecord"]
    job = service.call("GET", f"{JOBS}/{listed[0]['jobId']}").json
    (node,) = job["nodes"]
    assert (job["attempts"], job["failures"], job["filesTotal"]) == (1, [], 2)
    assert (node["node"], node["files"], node["raw"], node["lines"]) == ("node-0", 2, 49_600, 1_010)
    assert node["planned"] == node["done"] == 49_600
    assert node["startedAt"] <= node["finishedAt"]
    file = job["files"][0]
    assert (file["name"], file["start"], file["end"], file["lines"]) == ("c.log", 0, 49_000, 1000)
    assert file["firstTime"] == file["lastTime"] == "2026-01-01T00:00:00,000"
    assert file["stored"] == (service.folder / "buckets/logs" / file["object"]).stat().st_size
    second = service.call("GET", f"{JOBS}/{job['jobId']}?offset=2&limit=1").json
    assert [one["name"] for one in second["files"]] == ["c_server.json"]
    assert service.call("GET", f"{JOBS}/{job['jobId']}?offset=3").json["files"] == []
    assert_error(service.call("GET", f"{JOBS}/{job['jobId']}?limit=1001"), 400, "CSS.0001", "^limit: ")


def test_a_job_of_another_project_is_not_told(service: Service, kept: Cluster) -> None:
    listed = service.call("GET", service.path(kept, "/logs/records")).json["clusterLogRecord"]
    reply = service.call("GET", f"{JOBS}/{listed[0]['jobId']}", key=service.stranger)
    assert_error(reply, 400, "CSS.0001", "^job_id: the project has no such job")
    other = service.add_cluster()
    reply = service.call("GET", f"{CLUSTERS}/{other.id}/jobs/{listed[0]['jobId']}")
    assert_error(reply, 400, "CSS.0001", "^job_id: the cluster has no such job")


def test_the_policy_adds_runs_and_is_shown(service: Service, opened: Cluster) -> None:
    path = f"{CLUSTERS}/{opened.id}/policy"
    off: dict[str, object] = {"period": None, "nextRun": None, "nextRuns": [], "state": "off"}
    off |= {"since": None, "missed": None, "lastSuccessAt": None}
    assert service.call("GET", path).json == off | {"adaptive": False}
    assert service.call("PUT", path, {"adaptive": True}).json == off | {"adaptive": True}
    service.call("POST", service.path(opened, "/logs/policy/update"), {"period": "00:00 GMT+08:00"})
    shown = service.call("GET", path).json
    assert (shown["adaptive"], shown["period"]) == (True, "00:00 GMT+08:00")
    assert shown["nextRun"] > shown["since"] >= opened.created_at
    assert shown["nextRuns"] == [shown["nextRun"] + day * 86_400_000 for day in range(5)]
    assert (shown["state"], shown["missed"], shown["lastSuccessAt"]) == ("never_ran", None, None)
    assert_error(service.call("PUT", path, {}), 400, "CSS.0001", "^adaptive: ")
    assert_error(service.call("PUT", path, {"adaptive": "yes"}), 400, "CSS.0001", "^adaptive: ")
    assert_error(service.call("PUT", path, {"adaptive": True}, key=service.stranger), 403, "CSS.0015")
    service.call("PUT", service.path(opened, "/logs/close"))
    assert_error(service.call("PUT", path, {"adaptive": True}), 415, "CSS.0004")


def test_a_setting_is_checked_and_not_saved(service: Service, cluster: Cluster) -> None:
    path = f"{CLUSTERS}/{cluster.id}/logs/check"
    checked = service.call("POST", path, SETTING | {"period": "00:00 GMT+08:00"})
    found = checked.json
    assert (found["bucket"], found["folder"]) == ("logs", f"css/log/{cluster.name}")
    assert (found["archive"], len(found["nextRuns"])) == ("", 5)
    assert set(found) == {"bucket", "folder", "archive", "nextRuns"}, "where the bucket lies is not for tenants"
    assert service.call("GET", service.path(cluster, "/logs/settings")).json["logConfiguration"] is None
    assert_error(service.call("POST", path, SETTING | {"log_bucket": "other"}), 400, "CSS.0048")
    assert_error(service.call("POST", path, SETTING | {"period": "25:00 GMT+08:00"}), 400, "CSS.5020")
    assert_error(service.call("POST", path, SETTING, key=service.stranger), 403, "CSS.0015")


def test_the_days_of_a_cluster_are_told_where_they_are_asked_for(service: Service, opened: Cluster) -> None:
    service.back_up(opened)
    plain = service.call("GET", "/api/v1/status?limit=1000")
    assert b'"days"' not in plain.body
    told = service.call("GET", "/api/v1/status?limit=100&days=30").json["clusters"]
    days = next(one["days"] for one in told if one["id"] == opened.id)
    assert [day["state"] for day in days] == ["none"] * 29 + ["kept"]
    assert days[-1] | {"date": ""} == {"date": "", "state": "kept", "jobs": 1, "failed": 0}
    assert_error(service.call("GET", "/api/v1/status?days=91"), 400, "CSS.0001", "^days: ")


def test_a_page_with_days_is_a_short_one(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.add_cluster(), service.add_cluster()
    monkeypatch.setattr("logkeep.contract.native.requests.MOST_CLUSTERS", 1)
    assert len(service.call("GET", "/api/v1/status?days=1&limit=2").json["clusters"]) == 1
    assert len(service.call("GET", "/api/v1/status?days=0&limit=2").json["clusters"]) == 2


def test_coverage_tells_each_log(service: Service, kept: Cluster) -> None:
    record = service.call("GET", service.path(kept, "/logs/records")).json["clusterLogRecord"][0]
    first, second = lines(service.call("GET", f"{CLUSTERS}/{kept.id}/coverage"))
    assert (first["node"], first["family"], first["lines"], first["raw"]) == ("node-0", "c.log", 1000, 49_000)
    assert (first["from"], first["until"]) == ("2026-01-01T00:00:00,000", "2026-01-01T00:00:00,000")
    assert (first["lastSuccessJob"], first["lastSuccessAt"]) == (record["jobId"], record["finishedAt"])
    assert (first["gaps"], first["safeUntil"], second["family"]) == ([], None, "c_server.json")
    assert lines(service.call("GET", f"{CLUSTERS}/{kept.id}/coverage?node=node-0&family=c_server.json")) == [second]
    assert_error(service.call("GET", f"{CLUSTERS}/{kept.id}/coverage", key=service.stranger), 403, "CSS.0015")


def test_archive_is_listed_and_read_back(service: Service, kept: Cluster) -> None:
    archive_path = f"{CLUSTERS}/{kept.id}/archive"
    found = lines(service.call("GET", archive_path))
    assert [(log["family"], log["size"]) for log in found] == [("c.log", 49_000), ("c_server.json", 600)]
    assert found[0] == {
        "node": "node-0", "family": "c.log", "generation": found[0]["generation"], "name": "c.log", "size": 49_000,
        "start": 0, "end": 49_000, "expected": 49_000, "timed": True,
    }  # fmt: skip
    reply = service.call("GET", f"{archive_path}/node-0/{found[0]['generation']}")
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.body == b"[2026-01-01T00:00:00,000][INFO ][a] [node-0] one\n" * 1000
    (log,) = lines(service.call("GET", archive_path + "?family=c_server.json&node=node-0"))
    assert log["family"] == "c_server.json"
    assert lines(service.call("GET", archive_path + "?node=other")) == []


LINE = b"[2026-01-01T00:0%d:00,000][INFO ][a] [node-0] line\n"


@pytest.fixture
def grown(service: Service, kept: Cluster) -> Cluster:
    """The same after a second backup, of one log that has grown."""
    folder = Path(kept.nodes[0].source.removeprefix("file://"))
    with (folder / "c.log").open("ab") as log:
        log.writelines(LINE % minute + b"\tat a.b(C.java)\n" for minute in range(1, 6))
    service.back_up(kept)
    return kept


def test_what_one_job_stored_is_listed_and_read(service: Service, grown: Cluster) -> None:
    newest, oldest = service.call("GET", service.path(grown, "/logs/records")).json["clusterLogRecord"]
    path = f"{CLUSTERS}/{grown.id}/archive"
    (log,) = lines(service.call("GET", f"{path}?job={newest['jobId']}"))
    assert (log["start"], log["end"], log["size"]) == (49_000, 49_000 + 5 * 66, 5 * 66)
    read = service.call("GET", f"{path}/node-0/{log['generation']}?start={log['start']}&end={log['end']}")
    assert read.body == b"".join(LINE % minute + b"\tat a.b(C.java)\n" for minute in range(1, 6))
    first = lines(service.call("GET", f"{path}?job={oldest['jobId'].upper()}"))
    assert [(log["start"], log["end"]) for log in first] == [(0, 49_000), (0, 600)]
    assert lines(service.call("GET", f"{path}?job={'0' * 32}")) == []
    assert_error(service.call("GET", f"{path}?job=7"), 400, "CSS.0001", "^job: ")


def test_any_bytes_of_a_log_are_read(service: Service, grown: Cluster) -> None:
    path = f"{CLUSTERS}/{grown.id}/archive/node-0/" + str(
        lines(service.call("GET", f"{CLUSTERS}/{grown.id}/archive?family=c.log"))[0]["generation"]
    )
    whole = service.call("GET", path).body
    for start, end in ((0, 1), (48_990, 49_010), (49_330, 10**18), (5, 5), (9, 3), (10**18, 10**18)):
        assert service.call("GET", f"{path}?start={start}&end={end}").body == whole[start:end]
    assert_error(service.call("GET", f"{path}?start=-1"), 400, "CSS.0001", "^start: ")


def test_log_is_sent_in_its_frames_to_who_decodes_them(service: Service, grown: Cluster) -> None:
    path = f"{CLUSTERS}/{grown.id}/archive/node-0/" + str(
        lines(service.call("GET", f"{CLUSTERS}/{grown.id}/archive?family=c.log"))[0]["generation"]
    )
    whole = service.call("GET", path).body
    for accepted in ("zstd", "gzip, ZSTD;q=0.5", "br;q=1.0, zstd ; q=1"):
        for start, end in ((0, 10**9), (48_990, 49_010), (49_000, 10**9), (5, 5), (9, 3), (10**18, 10**18)):
            reply = service.call("GET", f"{path}?start={start}&end={end}", headers={"Accept-Encoding": accepted})
            assert reply.headers["content-encoding"] == "zstd" and reply.headers["vary"] == "accept-encoding"
            assert reply.body and b"".join(decode([reply.body])) == whole[start:end]
    for accepted in ("", "identity", "gzip", "zstd;q=0", "zstd;q=0.00", "xzstd", "*"):
        reply = service.call("GET", path, headers={"Accept-Encoding": accepted})
        assert (reply.headers.get("content-encoding"), reply.body) == (None, whole)
    reply = service.call("GET", f"{path}?since=2026-01-01T00:02", headers={"Accept-Encoding": "zstd"})
    assert reply.headers.get("content-encoding") is None and reply.body in whole


def test_records_of_a_span_are_listed_and_read(service: Service, grown: Cluster) -> None:
    path = f"{CLUSTERS}/{grown.id}/archive"
    span = "since=2026-01-01T00:02&until=2026-01-01T00:04"
    (log,) = lines(service.call("GET", f"{path}?{span}"))
    assert (log["family"], log["end"], log["expected"], log["timed"]) == ("c.log", 49_330, 330, True)
    read = service.call("GET", f"{path}/node-0/{log['generation']}?{span}")
    assert read.body == b"".join(LINE % minute + b"\tat a.b(C.java)\n" for minute in (2, 3))
    assert lines(service.call("GET", f"{path}?since=2026-01-02")) == []
    both = lines(service.call("GET", f"{path}?until={quote('2026-01-01T08:00:00,001+08:00')}"))
    assert [log["expected"] for log in both] == [49_330, 600], "instants count where the log has a zone too"
    early = lines(service.call("GET", f"{path}?until={quote('2026-01-01T08:00:00,000+08:00')}"))
    assert [log["family"] for log in early] == ["c.log"]
    for name in ("since", "until"):
        for wrong in ("yesterday", "2026-02-30", "2026-01-01T25:00", "%00"):
            reply = service.call("GET", f"{path}/node-0/{log['generation']}?{name}={wrong}")
            assert_error(reply, 400, "CSS.0001", f"^{name}: ")
            assert_error(service.call("GET", f"{path}?{name}={wrong}"), 400, "CSS.0001", f"^{name}: ")


def test_generation_that_is_not_kept_is_refused(service: Service, kept: Cluster) -> None:
    path = f"{CLUSTERS}/{kept.id}/archive"
    for rest in ("node-0/999", "node-0/-1", "node-0/1.5", "node-0/99999999999", "node-0/x", "other/1"):
        assert_error(service.call("GET", f"{path}/{rest}"), 400, "CSS.0001", "^generation: ")
    assert_error(service.call("GET", f"{path}/%00/1"), 400, "CSS.0001", "^node: ")
    assert_error(service.call("GET", f"{path}/%FF/1"), 400, "APIGW.0201")


def test_node_in_the_path_may_hold_any_character(
    service: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        archive, "read_kept", lambda _context, _cluster, node, number, **_: iter([f"{node} {number}".encode()])
    )
    name = "a/b%2F c+日?#;&="
    reply = service.call("GET", f"{CLUSTERS}/{cluster.id}/archive/{quote(name, safe='')}/7")
    assert reply.body.decode() == f"{name} 7"


def search_lines(reply: Reply) -> list[dict[str, object]]:
    """Without progress, which comes with time."""
    return [line for line in lines(reply) if line["type"] != "progress"]


def test_lines_of_the_archive_are_found(service: Service, grown: Cluster) -> None:
    path = f"{CLUSTERS}/{grown.id}/search"
    asked = {"text": "a.b(C", "levels": ["info"], "since": "2026-01-01T00:02", "until": "2026-01-01T00:04"}
    *hits, end = search_lines(service.call("POST", path, asked))
    assert [hit["time"] for hit in hits] == ["2026-01-01T00:02:00,000", "2026-01-01T00:03:00,000"]
    where, parsed = {"type", "node", "family", "generation", "name", "start", "source"}, {"component", "message"}
    assert set(hits[0]) == {*where, *parsed, "time", "level", "text", "cut", "before", "after"}
    assert (hits[0]["node"], hits[0]["family"], hits[0]["text"]) == ("node-0", "c.log", "\tat a.b(C.java)")
    assert (end["type"], end["completed"], end["hits"], end["logs"]) == ("end", True, 2, 2)
    read = service.call("GET", f"{CLUSTERS}/{grown.id}/archive/node-0/{hits[0]['generation']}?start={hits[0]['start']}")
    assert read.body.startswith(b"\tat a.b(C.java)\n")
    *hits, end = search_lines(service.call("POST", path, {"text": "A.B", "ignoreCase": True, "limit": 2}))
    assert (len(hits), end["completed"]) == (2, False)
    [end] = search_lines(service.call("POST", path, {"text": "a.b", "count": True, "limit": 2}))
    assert (end["hits"], end["completed"]) == (5, True)
    [end] = search_lines(service.call("POST", path, {"text": r"(?i)A\.b\(.*java\)$", "regex": True, "count": True}))
    assert (end["hits"], end["completed"], end["partly"]) == (5, True, 0)
    [end] = search_lines(service.call("POST", path, {"text": "日志", "node": "node-0", "family": "c.log"}))
    assert (end["hits"], end["logs"]) == (0, 1)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": "a\nb"}, "text"),
        ({"text": "x" * 1025}, "text"),
        ({"text": 7}, "text"),
        ({"text": "x", "regex": "yes"}, "regex"),
        *(
            ({"text": text, "regex": True}, "text")
            for text in ("(a", "a*", r"a\nb", "(x{1000}){1000}", r"\C", "(" * 1024)
        ),
        ({"text": "x", "limit": 0}, "limit"),
        ({"text": "x", "limit": 100_001}, "limit"),
        ({"text": "x", "levels": "ERROR"}, "levels"),
        ({"text": "x", "levels": ["E R"]}, "levels"),
        ({"text": "x", "since": "noon"}, "since"),
        ({"text": "x", "since": "2026-01-02", "until": "2026-01-01"}, "since"),
        ({"text": "x", "node": "node-9" * 500}, "node"),
        ({"text": "x", "node": "node-0", "family": "d.log"}, "family"),
    ],
)
def test_search_tells_what_is_wrong(service: Service, grown: Cluster, asked: dict[str, object], name: str) -> None:
    reply = service.call("POST", f"{CLUSTERS}/{grown.id}/search", asked)
    assert_error(reply, 400, "CSS.0001", f"^{name}: ")
    assert len(reply.body) < 1000


def test_text_that_is_no_unicode_is_an_answer(service: Service, grown: Cluster) -> None:
    for text in (b'"\\ud800"', b'"\\udce9"', b'"\xff"'):
        for member in (b"text", b"node"):
            body = b'{"text": "x", "%b": %b}' % (member, text)
            for kind in (b"{", b'{"regex": true, '):
                reply = service.call("POST", f"{CLUSTERS}/{grown.id}/search", body.replace(b"{", kind))
                assert reply.status in {200, 400}, reply.body


def test_bucket_that_fails_in_a_search_is_its_last_line(
    service: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(*_: object) -> Iterator[SearchEvent]:
        yield SearchProgress(0, 1, 2, 1, 200, 100, 0)
        yield Hit("n1", "a.log", 1, "a.log", 0, "", "", "found before", False, HitSource(file="a.log", offset=0))
        raise StoreUnreachable("the bucket does not answer")

    monkeypatch.setattr(archive_search, "search_archive", search)
    *_, hit, last = lines(service.call("POST", f"{CLUSTERS}/{cluster.id}/search", {"text": "x"}))
    assert hit["text"] == "found before"
    assert last["type"] == "error" and "the bucket does not answer" in str(last["errorMsg"])


def test_archive_is_verified_line_by_line(service: Service, kept: Cluster) -> None:
    for body in (None, {}, {"read_data": False}, {"readData": True}):
        found = lines(service.call("POST", f"{CLUSTERS}/{kept.id}/verify", body))
        assert found[-1] == {"type": "end", "ok": True}
        assert [line["type"] for line in found[:-1]] == ["progress", "progress", "orphans"]
        assert found[-3]["objects"] == found[-3]["objectsTotal"] == 2
    found = lines(service.call("POST", f"{CLUSTERS}/{kept.id}/verify", {"sample": 50}))
    assert found[-3]["objectsRead"] == 1
    for wrong in ("0", "-1", "100.5", '"5"', "true", "1e400"):
        reply = service.call("POST", f"{CLUSTERS}/{kept.id}/verify", f'{{"sample": {wrong}}}'.encode())
        assert_error(reply, 400, "CSS.0001", "^sample: ")
    reply = service.call("POST", f"{CLUSTERS}/{kept.id}/verify", {"read_data": "yes"})
    assert_error(reply, 400, "CSS.0001", "^read_data: ")


def test_damage_is_a_finding(service: Service, kept: Cluster) -> None:
    objects = [file for file in service.folder.glob(f"buckets/logs/css/log/{kept.name}/node-0/**/*") if file.is_file()]
    objects[0].write_bytes(b"damaged")
    found = lines(service.call("POST", f"{CLUSTERS}/{kept.id}/verify", {"read_data": True}))
    assert found[-1] == {"type": "end", "ok": False}
    (finding,) = (line for line in found if line["type"] == "finding")
    assert set(finding) == {"type", "node", "family", "object", "problem", "jobId", "generation", "start", "end",
                            "lines", "firstTime", "lastTime", "onNode"}  # fmt: skip
    assert finding["node"] == "node-0"


def test_error_in_the_middle_of_a_verification_is_its_last_line(
    service: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verify(*_: object, **__: object) -> Iterator[Progress]:
        yield Progress(1, 2, 10, 20)
        raise StoreCorrupt("object a is damaged")

    monkeypatch.setattr(verification, "verify", verify)
    found = lines(service.call("POST", f"{CLUSTERS}/{cluster.id}/verify"))
    assert [line["type"] for line in found] == ["progress", "error"]
    assert found[-1]["errorCode"] == "CSS.9999"
    assert "object a is damaged" in str(found[-1]["errorMsg"])


def test_error_before_the_first_byte_has_its_status(
    service: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Iterator[bytes]:
        raise StoreCorrupt("object a is damaged")
        yield b""

    monkeypatch.setattr(archive, "read_kept", broken)
    monkeypatch.setattr(verification, "verify", broken)
    assert_error(service.call("GET", f"{CLUSTERS}/{cluster.id}/archive/n/1"), 500, "CSS.9999", "object a is damaged")
    assert_error(service.call("POST", f"{CLUSTERS}/{cluster.id}/verify"), 500, "CSS.9999")


def test_error_in_the_middle_of_a_log_breaks_the_connection_off(
    service: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Iterator[bytes]:
        yield b"the first piece"
        raise StoreCorrupt("object a is damaged")

    monkeypatch.setattr(archive, "read_kept", broken)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        service.call("GET", f"{CLUSTERS}/{cluster.id}/archive/n/1")


@pytest.fixture
def endless(service: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endless]:
    """A log without end that a client has asked for and does not take."""
    log = Endless()
    monkeypatch.setattr(archive, "read_kept", lambda *_, **__: log.chunks())
    target = f"{CLUSTERS}/{cluster.id}/archive/n/1"
    head = "".join(f"{name}: {value}\r\n" for name, value in service.signed("GET", target).items())
    with socket.create_connection(("127.0.0.1", service.port)) as log.client:
        log.client.sendall(f"GET {target} HTTP/1.1\r\n{head}\r\n".encode())
        yield log


class Endless:
    def __init__(self) -> None:
        self.made = 0
        self.ended = threading.Event()
        self.client: socket.socket

    def chunks(self) -> Iterator[bytes]:
        try:
            while True:
                self.made += 1
                yield b"x" * 1_000_000
        finally:
            self.ended.set()


def test_log_that_nobody_takes_is_not_read_ahead(service: Service, cluster: Cluster, endless: Endless) -> None:
    before = -1
    while endless.made != before:
        before = endless.made
        time.sleep(0.5)
    assert 1 <= before < 50
    assert service.call("GET", service.path(cluster)).status == 200


def test_log_is_let_go_when_its_client_leaves(endless: Endless) -> None:
    endless.client.recv(1000)
    endless.client.close()
    assert endless.ended.wait(10)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALLED_SECONDS", 0.3)


@pytest.mark.usefixtures("impatient")
def test_log_is_let_go_when_its_client_stalls(endless: Endless) -> None:
    endless.client.recv(1000)
    assert endless.ended.wait(10)


def test_other_projects_see_nothing(service: Service, kept: Cluster) -> None:
    for method, rest in (("GET", ""), ("GET", "/archive"), ("GET", "/archive/node-0/1"), ("POST", "/verify")):
        reply = service.call(method, f"{CLUSTERS}/{kept.id}{rest}", key=service.stranger)
        assert_error(reply, 403, "CSS.0015")


def test_setting_of_a_cluster_is_reached_under_both_roots(service: Service, tmp_path: Path) -> None:
    added = post(service, {"name": "both-roots", "nodes": [{"name": "n", "source": f"file://{tmp_path}"}]}).json
    assert service.call("POST", service.path(added["id"], "/logs/open"), SETTING).status == 200
