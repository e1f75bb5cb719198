"""`/api/v1`: rules of retention, what they would remove, runs, protections, and what was removed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from logkeep.domain.cluster import Cluster
from logkeep.service import audit
from tests.contract.service import Reply, Service

RULES = {"rules": [{"keep_jobs": 1}, {"log": "gc.log"}]}
GONE = "[2026-01-0{n}T00:00:00,000][INFO ][a] [node-0] line of file {n}\n"


@pytest.fixture
def kept(service: Service, opened: Cluster) -> Cluster:
    """Three backups, each of a file that is gone from the node since."""
    logs = Path(opened.nodes[0].source.removeprefix("file://"))
    for n in range(1, 4):
        for old in logs.iterdir():
            old.unlink()
        (logs / "c.log").write_text(GONE.format(n=n) * 20 * n)
        service.back_up(opened)
    return opened


def ask(service: Service, cluster: Cluster, method: str, what: str, body: Any = None) -> Reply:
    return service.call(method, f"/api/v1/clusters/{cluster.id}/{what}", body, key=service.admin)


def lines(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.body
    return [json.loads(line) for line in reply.body.splitlines()]


def objects(service: Service, cluster: Cluster) -> list[Path]:
    return sorted((service.folder / "buckets" / "logs").rglob(f"{cluster.name}/**/*.zst"))


def test_a_rule_waits_until_it_is_confirmed_and_then_removes(service: Service, kept: Cluster) -> None:
    state = ask(service, kept, "PUT", "retention", RULES).json
    assert [(one["log"], one["keepJobs"], one["confirmedAt"]) for one in state["rules"]] == [
        ("", 1, None),
        ("gc.log", 0, None),
    ]
    assert state["rules"][0]["changedBy"] == service.admin.key.ak
    before = objects(service, kept)
    refused = ask(service, kept, "POST", "retention/run")
    assert (refused.status, refused.code) == (409, "CSS.0001")
    others = ask(service, kept, "POST", "retention/run", {"confirm": True, "rules": [{"keep_days": 1}]})
    assert (others.status, objects(service, kept)) == (409, before)

    *_, end = lines(ask(service, kept, "POST", "retention/run", RULES | {"confirm": True}))
    assert end["type"] == "end"
    assert end["objects"] == len(before) - len(objects(service, kept)) > 0
    state = ask(service, kept, "GET", "retention").json
    assert state["rules"][0]["confirmedAt"] <= state["ranAt"]
    assert (state["removedObjects"], state["waiting"]["objects"]) == (end["objects"], 0)
    removals = ask(service, kept, "GET", "removals").json["removals"]
    assert {(one["node"], one["log"], one["rule"]) for one in removals} == {("node-0", "c.log", "keep_jobs=1")}
    assert removals[0]["firstTime"].startswith("2026-01-01")
    assert ask(service, kept, "GET", "removals?node=other").json == {"removals": []}


def test_a_preview_tells_each_object_and_its_reason_and_changes_nothing(service: Service, kept: Cluster) -> None:
    before = objects(service, kept)
    told = lines(ask(service, kept, "POST", "retention/preview", {"rules": [{"keep_jobs": 1}], "objects": True}))
    each = [one for one in told if one["type"] == "object"]
    [log] = [one for one in told if one["type"] == "log"]
    end = told[-1]
    assert len(each) == len(before) == end["goes"]["objects"] + end["left"]["objects"]
    assert {one["object"] for one in each if one["goes"]} < {one["object"] for one in each}
    assert all((one["reason"] == "out") is one["goes"] for one in each)
    assert (log["log"], log["rule"], log["goes"], log["left"]) == ("c.log", "keep_jobs=1", end["goes"], end["left"])
    assert sum(one["objects"] for one in log["reasons"].values()) == len(before)
    assert end["rules"] == [{"log": "", "keepDays": 0, "keepBytes": 0, "keepJobs": 1}]
    assert objects(service, kept) == before
    without = lines(ask(service, kept, "POST", "retention/preview"))  # of the rules that are set: none
    assert [one["type"] for one in without] == ["log", "end"]
    assert without[-1]["goes"]["objects"] == 0


def test_a_protection_keeps_and_is_told_until_it_is_ended(service: Service, kept: Cluster) -> None:
    span = {"since": "2026-01-01", "until": "2026-01-02", "log": "c.log", "why": "audit", "expires_at": 2**50}
    made = ask(service, kept, "POST", "protections", span).json
    assert (made["who"], made["expired"], made["expiresAt"]) == (service.admin.key.ak, False, 2**50)
    body = {"rules": [{"keep_jobs": 1}], "objects": True}
    told = lines(ask(service, kept, "POST", "retention/preview", body))
    protected = [one for one in told if one.get("reason") == "protected"]
    assert protected
    assert all(one["protection"]["why"] == "audit" for one in protected)
    assert ask(service, kept, "GET", "protections").json["protections"] == [made]
    assert ask(service, kept, "DELETE", f"protections/{made['id']}").json == {}
    assert ask(service, kept, "GET", "protections").json == {"protections": []}
    again = ask(service, kept, "DELETE", f"protections/{made['id']}")
    assert (again.status, again.code) == (400, "CSS.0001")


@pytest.mark.parametrize(
    ("method", "what", "body", "told"),
    [
        ("PUT", "retention", {}, "rules: is missing; give a list of rules"),
        ("PUT", "retention", {"rules": "x"}, "rules: "),
        ("PUT", "retention", {"rules": [{"keep_days": -1}]}, "keep_days: -1 came; a whole number from 0"),
        ("PUT", "retention", {"rules": [{"keep_days": 1}, {"keep_days": 2}]}, "rules.log: the cluster has two rules"),
        ("PUT", "retention", {"rules": [{}]}, "rules: a rule of the cluster has at least one limit"),
        ("POST", "retention/preview", {"rules": [{"log": 7}]}, "log: 7 came"),
        ("POST", "protections", {"job": "0" * 32}, "why: is missing"),
        ("POST", "protections", {"why": "x", "job": "x"}, 'job: "x" came; write 32 hex digits'),
        ("POST", "protections", {"why": "x", "job": "0" * 32}, "job: the cluster has no such job"),
        ("POST", "protections", {"why": "x", "since": "2026-01-01"}, "until: is missing; give a job"),
        ("POST", "protections", {"why": "x", "since": "1 May", "until": "2026-01-01"}, 'since: "1 May" came'),
        ("GET", "removals?limit=0", None, "limit: "),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(
    service: Service, cluster: Cluster, method: str, what: str, body: Any, told: str
) -> None:
    reply = ask(service, cluster, method, what, body)
    assert (reply.status, reply.code) == (400, "CSS.0001")
    assert reply.message.startswith(told)


def test_an_archive_is_deleted_with_its_cluster_where_the_name_is_given_again(service: Service, kept: Cluster) -> None:
    path = f"/api/v1/clusters/{kept.id}"
    for query in ("?delete_archive=true", "?delete_archive=true&name=other"):
        refused = service.call("DELETE", path + query, key=service.admin)
        assert (refused.status, refused.code) == (400, "CSS.0001")
    made = ask(service, kept, "POST", "protections", {"why": "x", "since": "2026-01-01", "until": "2026-01-02"}).json
    named = f"{path}?delete_archive=true&name={kept.name}"
    protected = service.call("DELETE", named, key=service.admin)
    assert (protected.status, protected.code) == (409, "CSS.0001")
    assert ask(service, kept, "DELETE", f"protections/{made['id']}").status == 200
    assert service.call("DELETE", named, key=service.admin).json == {"archive": "deleting"}
    assert ask(service, kept, "GET", "retention").status == 403
    listed = service.call("GET", "/api/v1/archive-deletions", key=service.tenant).json["deletions"]
    [one] = [one for one in listed if one["clusterId"] == kept.id]
    assert (one["clusterName"], one["askedBy"], one["finishedAt"]) == (kept.name, service.admin.key.ak, None)
    others = service.call("GET", "/api/v1/archive-deletions", key=service.stranger).json["deletions"]
    assert kept.id not in {one["clusterId"] for one in others}


def test_others_see_nothing_of_it(service: Service, cluster: Cluster) -> None:
    for method, what in (
        ("GET", "retention"), ("PUT", "retention"), ("POST", "retention/preview"), ("POST", "retention/run"),
        ("GET", "protections"), ("POST", "protections"), ("GET", "removals"),
    ):  # fmt: skip
        path = f"/api/v1/clusters/{cluster.id}/{what}"
        body = RULES | {"why": "x"} if method != "GET" else None
        reply = service.call(method, path, body, key=service.stranger)
        assert (reply.status, reply.code) == (403, "CSS.0015"), (method, what)


def test_what_changes_is_in_the_audit_and_what_looks_is_not(service: Service, kept: Cluster) -> None:
    made = ask(service, kept, "POST", "protections", {"why": "x", "since": "2026-01-01", "until": "2026-01-02"}).json
    ask(service, kept, "PUT", "retention", RULES)
    ask(service, kept, "POST", "retention/preview")
    ask(service, kept, "POST", "retention/run")
    ask(service, kept, "POST", "retention/run", {"confirm": True})
    ask(service, kept, "DELETE", f"protections/{made['id']}")
    entries, _ = audit.list_entries(service.runtime, project_id=service.project.id, limit=20)
    told = [(one.operation, one.status) for one in reversed(entries) if one.cluster_id == kept.id]
    assert [one for one in told if re.search("Retention|Protection", one[0])] == [
        ("AddProtection", 200),
        ("SetRetention", 200),
        ("RunRetention", 409),
        ("RunRetention", 200),
        ("RemoveProtection", 200),
    ]
