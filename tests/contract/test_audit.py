"""Audit and lockout over HTTP; the clock stands still until a test moves it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from logkeep.clock import FixedClock
from logkeep.domain.access import AuditEntry, Role
from logkeep.domain.cluster import Cluster
from logkeep.service import audit, identity, users
from logkeep.service.identity import NewKey
from logkeep.service.lockout import LIMIT, LOCKED_MS, Lockout
from tests.contract.service import SETTING, Reply, Service, running_service
from tests.contract.test_api import assert_error

PASSWORD = "correct horse battery"
MINUTE_MS = 60_000
DAY_MS = 86_400_000


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(time.time_ns() // 1_000_000)


@pytest.fixture
def service(tmp_path: Any, clock: FixedClock) -> Iterator[Service]:
    """One for each test: what is counted in one must not count in another."""
    with running_service(tmp_path, clock=clock) as service:
        yield service


def entries(service: Service, query: str = "", key: NewKey | None = None) -> list[dict[str, Any]]:
    reply = service.call("GET", f"/api/v1/audit{query}", key=key or service.admin)
    assert reply.status == 200
    return reply.json["entries"]


def forge(service: Service, target: str, key: NewKey | None = None, method: str = "GET") -> Reply:
    return service.call(method, target, key=NewKey((key or service.tenant).key, "wrong"))


def sign_in(service: Service, name: str, password: str, forwarded_for: str | None = None) -> Reply:
    user = {"user": {"name": name, "password": password}}
    body = {"auth": {"identity": {"methods": ["password"], "password": user}}}
    headers = {} if forwarded_for is None else {"X-Forwarded-For": forwarded_for}
    return service.send("POST", "/v3/auth/tokens", json.dumps(body).encode(), headers)


# Audit


def test_change_is_told_with_all_that_is_known(service: Service, cluster: Cluster, clock: FixedClock) -> None:
    reply = service.call("POST", service.path(cluster, "/logs/open"), SETTING)
    assert entries(service) == [
        {
            "at": clock.value,
            "who": service.tenant.key.ak,
            "projectId": service.project.id,
            "operation": "StartLogs",
            "clusterId": cluster.id,
            "address": "127.0.0.1",
            "status": 200,
            "code": "",
            "requestId": reply.headers["x-request-id"],
        }
    ]


def test_refusals_are_told_with_their_code(service: Service, cluster: Cluster) -> None:
    reader = identity.add_key(service.runtime, service.project, role=Role.READER)
    service.call("PUT", service.path(cluster, "/logs/close"))
    service.call("PUT", service.path(cluster, "/logs/close"), key=reader)
    service.call("POST", service.path(cluster, "/logs/open"), {})
    forge(service, service.path(cluster, "/logs/collect"), method="POST")
    service.send("POST", service.path(cluster, "/logs/collect"))
    service.send("POST", service.path(cluster, "/logs/collect"), headers={"X-Auth-Token": "hidden"})
    found, _ = audit.list_entries(service.runtime)
    told = [(e.operation, e.who, e.project_id, e.status, e.code) for e in reversed(found)]
    mine, tenant = service.project.id, service.tenant.key.ak
    assert told == [
        ("StopLogs", tenant, mine, 415, "CSS.0004"),
        ("StopLogs", reader.key.ak, mine, 403, "APIGW.0302"),
        ("StartLogs", tenant, mine, 400, "CSS.5130"),
        ("CreateLogBackup", tenant, mine, 401, "APIGW.0301"),
        ("CreateLogBackup", "", "", 401, "APIGW.0301"),
        ("CreateLogBackup", "", "", 401, "APIGW.0301"),
    ]
    assert {e.cluster_id for e in found} == {cluster.id}


def test_what_reads_is_not_told(service: Service, cluster: Cluster) -> None:
    for target in (service.path(cluster, "/logs/records"), "/v3/projects", "/api/v1/clusters", "/nothing"):
        service.call("GET", target)
        service.send("GET", target)
    service.call("POST", f"/api/v1/clusters/{cluster.id}/verify")
    assert entries(service) == []


def test_new_cluster_is_named_and_its_removal_stays_told(service: Service) -> None:
    nodes = [{"name": "n", "source": f"file://{service.logs()}"}]
    made = service.call("POST", "/api/v1/clusters", {"name": "c", "nodes": nodes}, key=service.admin).json
    service.call("DELETE", f"/api/v1/clusters/{made['id']}", key=service.admin)
    assert [(e["operation"], e["clusterId"], e["who"]) for e in entries(service)] == [
        ("RemoveCluster", made["id"], service.admin.key.ak),
        ("AddCluster", made["id"], service.admin.key.ak),
    ]


def test_sign_in_is_told_without_secrets(service: Service) -> None:
    users.add_user(service.runtime, service.project, "alice", PASSWORD, Role.READER)
    token = sign_in(service, "alice", PASSWORD).headers["x-subject-token"]
    sign_in(service, "alice", "wrong password")
    sign_in(service, "mistyped password", "wrong password")
    service.send("POST", "/v3/auth/tokens", b"nonsense")
    found, _ = audit.list_entries(service.runtime)
    assert [(e.who, e.status) for e in reversed(found)] == [("alice", 201), ("alice", 401), ("", 401), ("", 400)]
    for secret in (token, PASSWORD, "wrong", "mistyped"):
        assert secret not in str(found)


def test_audit_is_paged_newest_first(service: Service, cluster: Cluster, clock: FixedClock) -> None:
    begun = clock.value
    for _ in range(5):
        clock.advance(1000)
        service.call("PUT", service.path(cluster, "/logs/close"))
    times = [begun + 1000 * n for n in (5, 4, 3, 2, 1)]
    assert [e["at"] for e in entries(service)] == times
    assert [e["at"] for e in entries(service, "?offset=2&limit=2")] == times[1:3]
    assert [e["at"] for e in entries(service, f"?since={begun + 3000}")] == times[:3]
    assert entries(service, "?offset=6") == []
    assert service.call("GET", "/api/v1/audit?limit=1", key=service.admin).json["totalSize"] == 5
    assert_error(service.call("GET", "/api/v1/audit?since=x", key=service.admin), 400, "CSS.0001", "^since: ")


def test_audit_shows_the_callers_project_only(service: Service, cluster: Cluster) -> None:
    service.call("PUT", service.path(cluster, "/logs/close"))
    assert len(entries(service)) == 1
    assert entries(service, key=service.stranger) == []
    assert_error(service.call("GET", "/api/v1/audit"), 403, "APIGW.0302")


def test_strangers_can_write_only_so_much(service: Service, cluster: Cluster, clock: FixedClock) -> None:
    clock.value -= clock.value % MINUTE_MS
    for _ in range(15):
        service.send("POST", service.path(cluster, "/logs/collect"))
        service.send("POST", "/v3/auth/tokens", b"nonsense")
    assert audit.list_entries(service.runtime)[1] == 20
    service.call("PUT", service.path(cluster, "/logs/close"))
    assert audit.list_entries(service.runtime)[1] == 21
    clock.advance(MINUTE_MS)
    service.send("POST", service.path(cluster, "/logs/collect"))
    assert audit.list_entries(service.runtime)[1] == 22


def test_old_entries_are_removed_in_batches(
    service: Service, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logkeep.database.connection._BATCH", 2)
    for age_days in (500, 450, 401, 399, 0):
        at = clock.value - age_days * DAY_MS
        audit.record(service.runtime, AuditEntry(at, "ak", "p", "StopLogs", "", "127.0.0.1", 200, "", "0" * 32))
    audit.remove_old_entries(service.runtime, 400)
    left, total = audit.list_entries(service.runtime)
    assert ([(clock.value - entry.at) // DAY_MS for entry in left], total) == ([0, 399], 2)


def test_call_is_answered_where_the_audit_cannot_be_written(
    service: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(audit, "record", broken)
    assert service.call("POST", service.path(cluster, "/logs/open"), SETTING).status == 200


# Lockout


def test_a_right_signature_is_never_refused_for_wrong_ones(service: Service, cluster: Cluster) -> None:
    """As of a client with an old secret behind the same proxy."""
    target = service.path(cluster, "/logs/records")
    for _ in range(LIMIT + 1):
        assert_error(forge(service, target), 401, "APIGW.0301", "verify aksk signature fail, canonicalRequest:GET")
        assert service.call("GET", target).status == 200
    for _ in range(LIMIT):
        forge(service, target)
    began = time.monotonic()
    assert_error(forge(service, target), 401, "APIGW.0301", "verify aksk signature fail, canonicalRequest:GET")
    assert time.monotonic() - began >= 1, "the sixth in a row takes its time"


def test_refusals_that_take_their_time_hold_up_nobody(service: Service, cluster: Cluster) -> None:
    target = service.path(cluster, "/logs/records")
    for _ in range(LIMIT):
        forge(service, target)
    with ThreadPoolExecutor(90) as pool:
        began = time.monotonic()
        forged = [pool.submit(forge, service, target) for _ in range(90)]
        time.sleep(0.3)
        slowest = 0.0
        for _ in range(20):
            one = time.monotonic()
            assert service.call("GET", target).status == 200
            slowest = max(slowest, time.monotonic() - one)
        assert {reply.result().status for reply in forged} == {401}
        assert time.monotonic() - began < 30
    assert slowest < 1


def test_wrong_signatures_are_told_without_a_flood(service: Service, cluster: Cluster) -> None:
    for _ in range(8):
        forge(service, service.path(cluster, "/logs/records"))
    told = [(e["operation"], e["who"], e["address"], e["status"]) for e in entries(service)]
    assert told == [("ListLogsJob", service.tenant.key.ak, "127.0.0.1", 401)] * 4  # the 1st, 2nd, 4th and 8th


def test_what_is_no_guess_does_not_count(service: Service, cluster: Cluster) -> None:
    target = service.path(cluster, "/logs/records")
    for _ in range(2 * LIMIT):
        assert service.call("GET", target, skew_ms=-1_000_000).status == 401
        signed = service.signed("GET", target) | {"X-Sdk-Content-Sha256": "0" * 64}
        assert service.send("GET", target, headers=signed).status == 401
    assert service.call("GET", target).status == 200


def test_user_is_locked_whether_there_is_one_or_not(service: Service, clock: FixedClock) -> None:
    users.add_user(service.runtime, service.project, "alice", PASSWORD, Role.READER)
    for name in ("alice", "nobody"):
        for _ in range(LIMIT):
            assert_error(sign_in(service, name, "wrong password"), 401, "APIGW.0301", "is wrong")
        assert_error(sign_in(service, name, PASSWORD), 401, "APIGW.0301", "failed too often")
    clock.advance(LOCKED_MS)
    assert sign_in(service, "alice", PASSWORD).status == 201


def test_nobody_locks_out_somebody_elsewhere() -> None:
    lockout = Lockout()
    for _ in range(LIMIT):
        lockout.failed("LK1", "10.0.0.1", 1000)
    assert lockout.is_locked("LK1", "10.0.0.1", 1000)
    assert not lockout.is_locked("LK1", "10.0.0.2", 1000)
    assert not lockout.is_locked("LK2", "10.0.0.1", 1000)


def test_lockout_forgets_the_oldest_beyond_its_bound() -> None:
    lockout = Lockout(max_known=10)
    for number in range(100):
        for _ in range(LIMIT):
            lockout.failed("LK1", f"10.0.0.{number}", 1000)
    assert [number for number in range(100) if lockout.is_locked("LK1", f"10.0.0.{number}", 1000)] == [*range(90, 100)]


def test_addresses_of_one_ipv6_network_count_together() -> None:
    lockout = Lockout()
    assert [lockout.failed("alice", f"2001:db8::{number}", 1000) for number in range(1, LIMIT + 1)] == [1, 2, 3, 4, 5]
    assert lockout.is_locked("alice", "2001:db8::ffff", 1000)
    assert not lockout.is_locked("alice", "2001:db8:0:1::1", 1000)


# Behind a proxy


def test_clients_behind_a_trusted_proxy_are_told_apart(tmp_path: Any, clock: FixedClock) -> None:
    with running_service(tmp_path, clock=clock, trusted_proxies=("127.0.0.1",)) as service:
        users.add_user(service.runtime, service.project, "alice", PASSWORD, Role.READER)
        for _ in range(LIMIT):
            sign_in(service, "alice", "wrong password", "203.0.113.9, 198.51.100.1")
        assert sign_in(service, "alice", PASSWORD, "203.0.113.9, 198.51.100.1").status == 401
        assert sign_in(service, "alice", PASSWORD, "198.51.100.1, 198.51.100.2").status == 201
        assert entries(service)[0]["address"] == "198.51.100.2"
        assert entries(service)[-1]["address"] == "198.51.100.1"


def test_nobody_else_is_believed(service: Service) -> None:
    users.add_user(service.runtime, service.project, "alice", PASSWORD, Role.READER)
    for number in range(LIMIT):
        sign_in(service, "alice", "wrong password", f"198.51.100.{number}")
    assert sign_in(service, "alice", PASSWORD, "198.51.100.99").status == 401
    assert {e["address"] for e in entries(service)} == {"127.0.0.1"}


@pytest.mark.parametrize(
    "header", ["", ",,,", "unknown", "\xff\xfe", "999.1.1.1", "[::1", "1.2.3.4:5:6", "a" * 4000, "," * 4000]
)
def test_no_header_breaks_a_request(tmp_path: Any, clock: FixedClock, header: str) -> None:
    with running_service(tmp_path, clock=clock, trusted_proxies=("127.0.0.0/8", "::1")) as service:
        assert sign_in(service, "nobody", PASSWORD, header).status == 401
        assert [entry.address for entry in audit.list_entries(service.runtime)[0]] == ["127.0.0.1"]
