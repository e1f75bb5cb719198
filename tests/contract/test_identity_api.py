"""Users, tokens, temporary keys and roles over HTTP; the clock stands still until a test moves it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select

from logkeep.api import native
from logkeep.clock import FixedClock
from logkeep.contract.css.operations import OPERATIONS as CSS_OPERATIONS
from logkeep.contract.iam.operations import OPERATIONS as IAM_OPERATIONS
from logkeep.contract.operation import Operation
from logkeep.database.connection import reading
from logkeep.database.tables import tokens
from logkeep.domain.access import AccessKey, Right, Role
from logkeep.domain.cluster import Cluster
from logkeep.service import identity, temporary_keys, users
from tests.contract.service import SETTING, Reply, Service, running_service
from tests.contract.test_api import assert_error

HOUR_MS = 3_600_000
PASSWORD = "correct horse battery"
TOKENS = "/v3/auth/tokens"
ALL = [*CSS_OPERATIONS, *IAM_OPERATIONS, *(operation for operation, _ in native.HANDLERS)]
_numbers = count()


@pytest.fixture(scope="module")
def clock() -> FixedClock:
    return FixedClock(time.time_ns() // 1_000_000)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, clock: FixedClock) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("identity"), clock=clock) as service:
        yield service


@pytest.fixture(autouse=True)
def time_as_it_is(clock: FixedClock) -> Iterator[None]:
    """Each test begins now, so that what it signs is signed now."""
    clock.value = time.time_ns() // 1_000_000
    yield
    clock.value = time.time_ns() // 1_000_000


@pytest.fixture
def user(service: Service) -> str:
    return add_user(service)


def add_user(service: Service, role: Role = Role.OPERATOR) -> str:
    name = f"user-{next(_numbers)}"
    users.add_user(service.runtime, service.project, name, PASSWORD, role)
    return name


def sign_in(service: Service, name: str, password: str = PASSWORD, scope: object = None, **user: object) -> Reply:
    given = {"name": name, "password": password, "domain": {"name": "any"}} | user
    auth: dict[str, object] = {"identity": {"methods": ["password"], "password": {"user": given}}}
    return service.send("POST", TOKENS, as_json({"auth": auth | ({"scope": scope} if scope is not None else {})}))


def exchange(service: Service, token: str, scope: object = None) -> Reply:
    identity_ = {"methods": ["token"], "token": {"id": token}}
    return service.send("POST", TOKENS, as_json({"auth": {"identity": identity_, "scope": scope}}))


def as_json(document: object) -> bytes:
    return json.dumps(document).encode()


def token_of(reply: Reply) -> str:
    assert reply.status == 201, reply.body
    return reply.headers["x-subject-token"]


def ask(service: Service, token: str, method: str, target: str, body: object = None) -> Reply:
    return service.send(method, target, as_json(body) if body is not None else b"", {"X-Auth-Token": token})


# Projects and the account


def test_projects_are_filtered_and_paged(service: Service) -> None:
    def found(query: str) -> list[str]:
        return [project["id"] for project in service.call("GET", "/v3/projects?" + query).json["projects"]]

    mine = [service.project.id]
    for query in ("", "name=cn-north-4", "domain_id=default", "parent_id=default&enabled=true", "page=1&per_page=1"):
        assert found(query) == mine, query
    for query in ("name=cn", "name=cn-south-1", "domain_id=x", "parent_id=x", "enabled=false", "page=2"):
        assert found(query) == [], query
    for query in ("page=0", "per_page=5001", "per_page=0", "enabled=maybe"):
        assert_error(service.call("GET", f"/v3/projects?{query}"), 400, "CSS.0001", f"^{query.partition('=')[0]}: ")


def test_regions_name_finds_the_project_of_the_key_alone(service: Service) -> None:
    project = identity.add_project(service.runtime, "team", region="cn-north-4")
    key = identity.add_key(service.runtime, project)
    for name in ("cn-north-4", "team"):
        (found,) = service.call("GET", f"/v3/projects?name={name}", key=key).json["projects"]
        assert (found["id"], found["name"]) == (project.id, name)
    assert service.call("GET", "/v3/projects?name=other", key=key).json["projects"] == []
    assert service.call("GET", "/v3/projects", key=key).json["projects"][0]["name"] == "team"


def test_there_is_one_account(service: Service) -> None:
    reply = service.call("GET", "/v3/auth/domains")
    (account,) = reply.json["domains"]
    assert (account["id"], account["name"], account["enabled"]) == ("default", "default", True)
    assert reply.json["links"] == {
        "self": f"http://127.0.0.1:{service.port}/v3/auth/domains",
        "next": None,
        "previous": None,
    }
    assert_error(service.send("GET", "/v3/auth/domains"), 401, "APIGW.0301")


# Tokens


def test_token_is_what_clients_read(service: Service, user: str) -> None:
    reply = sign_in(service, user, scope={"project": {"name": "cn-north-4", "domain": {"name": "any"}}})
    assert len(token_of(reply)) >= 43
    token = reply.json["token"]
    assert token["methods"] == ["password"]
    assert token["project"] == {
        "id": service.project.id, "name": "cn-north-4", "domain": {"id": "default", "name": "default"},
    }  # fmt: skip
    assert (token["user"]["name"], token["roles"][0]["name"]) == (user, "operator")
    for name in ("issued_at", "expires_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", token[name])
    (css,) = [entry for entry in token["catalog"] if entry["type"] == "css"]
    assert css["endpoints"][0]["url"] == f"http://127.0.0.1:{service.port}/v1.0/{service.project.id}"


@pytest.mark.parametrize("scope", ["id", "name", None, {}])
def test_token_for_the_project_does_what_its_role_may(
    service: Service, user: str, cluster: Cluster, scope: object
) -> None:
    scopes = {"id": {"project": {"id": service.project.id}}, "name": {"project": {"name": "cn-north-4"}}}
    token = token_of(sign_in(service, user, scope=scopes[scope] if isinstance(scope, str) else scope))
    assert ask(service, token, "POST", service.path(cluster, "/logs/open"), SETTING).status == 200
    assert ask(service, token, "GET", service.path(cluster, "/logs/records")).json["totalSize"] == 0
    assert ask(service, token, "GET", "/v3/projects").json["projects"][0]["id"] == service.project.id
    assert ask(service, token, "GET", f"/api/v1/clusters/{cluster.id}").status == 200
    foreign = service.path(cluster, "/logs/records", key=service.stranger)
    assert_error(ask(service, token, "GET", foreign), 403, "CSS.0015")
    assert_error(ask(service, token, "GET", "/api/v1/audit"), 403, "APIGW.0302")


def test_token_for_the_account_identifies_and_nothing_else(service: Service, user: str, cluster: Cluster) -> None:
    reply = sign_in(service, user, scope={"domain": {"name": "any"}})
    assert reply.json["token"]["domain"] == {"id": "default", "name": "default"}
    assert "project" not in reply.json["token"]
    assert ask(service, token_of(reply), "GET", "/v3/projects").json["projects"][0]["id"] == service.project.id
    assert ask(service, token_of(reply), "GET", "/v3/auth/domains").status == 200
    assert_error(ask(service, token_of(reply), "GET", service.path(cluster, "/logs/records")), 403, "APIGW.0302")
    assert_error(ask(service, token_of(reply), "GET", "/api/v1/clusters"), 403, "APIGW.0302")


def test_user_is_named_by_id_too(service: Service, user: str) -> None:
    (found,) = [found for found in users.list_users(service.runtime) if found.name == user]
    assert sign_in(service, "", id=found.id).status == 201


def test_token_got_for_a_token_ends_with_it(service: Service, user: str, clock: FixedClock) -> None:
    first = sign_in(service, user, scope={"domain": {"id": "default"}})
    clock.advance(23 * HOUR_MS)
    second = exchange(service, token_of(first), {"project": {"name": "cn-north-4"}})
    assert second.json["token"]["methods"] == ["token"]
    assert second.json["token"]["expires_at"] == first.json["token"]["expires_at"]
    assert ask(service, token_of(second), "GET", "/api/v1/clusters").status == 200
    clock.advance(HOUR_MS)
    assert_error(exchange(service, token_of(second)), 401, "APIGW.0301", "token expires")


def test_token_ends_after_24_hours_and_says_so(service: Service, user: str, clock: FixedClock) -> None:
    reply = sign_in(service, user)
    clock.advance(24 * HOUR_MS - 1)
    assert ask(service, token_of(reply), "GET", "/v3/projects").status == 200
    clock.advance(1)
    text = f"token expires, expires_at: {reply.json['token']['expires_at']}$"
    assert_error(ask(service, token_of(reply), "GET", "/v3/projects"), 401, "APIGW.0301", text)


def test_unknown_token_is_401(service: Service) -> None:
    for token in ("x", "x" * 5000, ""):
        assert_error(ask(service, token, "GET", "/v3/projects"), 401, "APIGW.0301", "decrypt token fail$")
    assert_error(exchange(service, "x"), 401, "APIGW.0301", "decrypt token fail$")


def test_revoked_user_and_tokens_are_refused(service: Service, user: str) -> None:
    token = token_of(sign_in(service, user))
    users.revoke_user(service.runtime, user)
    assert_error(ask(service, token, "GET", "/v3/projects"), 401, "APIGW.0301", "decrypt token fail$")
    assert_error(sign_in(service, user), 401, "APIGW.0301", "username or password is wrong")


def test_wrong_password_tells_nothing_of_the_user(service: Service, user: str) -> None:
    replies = [sign_in(service, user, "wrong password"), sign_in(service, "nobody", "wrong password")]
    for reply in replies:
        assert_error(reply, 401, "APIGW.0301", "The username or password is wrong.$")
        assert reply.json["error"] == {"code": 401, "message": reply.message, "title": "Unauthorized"}
        assert "x-subject-token" not in reply.headers
    first, second = ({**reply.json, "request_id": ""} for reply in replies)
    assert first == second


def test_unknown_user_takes_as_long_as_a_wrong_password(service: Service) -> None:
    def seconds(name: str) -> float:
        begun = time.perf_counter()
        sign_in(service, name, "wrong password")
        return time.perf_counter() - begun

    known = [add_user(service) for _ in range(5)]
    times = [(seconds(name), seconds(f"nobody-{name}")) for name in known]
    assert min(unknown for _, unknown in times) > 0.5 * min(known for known, _ in times)


def test_project_of_somebody_else_is_no_scope(service: Service, user: str) -> None:
    for scope in ({"project": {"name": "cn-south-1"}}, {"project": {"id": "0" * 32}}):
        assert_error(sign_in(service, user, scope=scope), 401, "APIGW.0301", "no role in this project")


@pytest.mark.parametrize(
    ("auth", "field"),
    [
        (None, "auth"),
        ([], "auth"),
        ({}, "auth.identity"),
        ({"identity": {}}, "auth.identity.methods"),
        ({"identity": {"methods": ["totp"]}}, "auth.identity.methods"),
        ({"identity": {"methods": ["password"]}}, "auth.identity.password"),
        ({"identity": {"methods": ["password"], "password": {"user": "hidden"}}}, "auth.identity.password.user"),
        ({"identity": {"methods": ["password"], "password": {"user": {"name": "a"}}}}, "password"),
        ({"identity": {"methods": ["password"], "password": {"user": {"password": "hidden"}}}}, "name"),
        ({"identity": {"methods": ["password"], "password": {"user": {"name": 7, "password": "hidden"}}}}, "name"),
        ({"identity": {"methods": ["token"], "token": {"id": ["hidden"]}}}, "id"),
        ({"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": "unscoped"}, "auth.scope"),
        ({"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {}}}, "name"),
    ],
)
def test_wrong_body_is_refused_by_its_member_without_its_secrets(service: Service, auth: object, field: str) -> None:
    reply = service.send("POST", TOKENS, as_json({"auth": auth}))
    assert_error(reply, 400, "CSS.0001", f"^{re.escape(field)}: ")
    assert b"hidden" not in reply.body


def test_body_of_a_stranger_is_bounded(service: Service) -> None:
    assert_error(service.send("POST", TOKENS, b" " * 70_000), 413, "APIGW.0201", "16 kB")


def test_tokens_are_kept_as_hashes(service: Service, user: str) -> None:
    secret = token_of(sign_in(service, user))
    with reading(service.runtime.database) as connection:
        rows = connection.execute(select(tokens)).all()
    assert users.hash_token(secret.encode()) in {row.sha256 for row in rows}
    assert secret not in str(rows)
    with closing(service.runtime.database.raw_connection()) as connection:
        dump = "\n".join(connection.driver_connection.iterdump())  # type: ignore[union-attr]
    assert secret not in dump
    assert PASSWORD not in dump
    assert "$argon2id$" in dump


def test_expired_tokens_are_removed_in_batches(
    service: Service, user: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logkeep.database.connection._BATCH", 2)
    for _ in range(3):
        sign_in(service, user)
    clock.advance(25 * HOUR_MS - 1)
    new = token_of(sign_in(service, user))
    clock.advance(2)
    users.remove_expired_tokens(service.runtime)
    with reading(service.runtime.database) as connection:
        left = {row.sha256 for row in connection.execute(select(tokens))}
    assert left == {users.hash_token(new.encode())}


# Signature and token


def test_signature_decides_where_a_token_comes_too(service: Service, user: str, cluster: Cluster) -> None:
    token, target = token_of(sign_in(service, user)), service.path(cluster)
    assert service.call("GET", target, headers={"X-Auth-Token": "nonsense"}).status == 200
    forged = identity.NewKey(service.tenant.key, "wrong")
    reply = service.call("GET", target, key=forged, headers={"X-Auth-Token": token})
    assert_error(reply, 401, "APIGW.0301", "verify aksk signature fail")
    assert token.encode() not in reply.body


@pytest.mark.parametrize("signed", [True, False])
def test_temporary_key_needs_its_security_token(service: Service, cluster: Cluster, signed: bool) -> None:
    key, target = identity.add_key(service.runtime, service.project, valid_ms=HOUR_MS), service.path(cluster)

    def status(token: str | None) -> Reply:
        more = {"X-Security-Token": token} if token is not None else {}
        headers = service.signed("GET", target, key=key, headers=more if signed else {})
        return service.send("GET", target, headers=headers | more)

    assert status(key.security_token).status == 200
    for wrong in (None, "", "wrong", key.sk):
        assert_error(status(wrong), 401, "APIGW.0301", "x-security-token")
    assert status(key.security_token).status == 200


def test_temporary_key_ends(service: Service, cluster: Cluster, clock: FixedClock) -> None:
    key = identity.add_key(service.runtime, service.project, valid_ms=10_000)
    headers = {"X-Security-Token": key.security_token}
    clock.advance(9_999)
    assert service.call("GET", service.path(cluster), key=key, headers=headers).status == 200
    clock.advance(1)
    reply = service.call("GET", service.path(cluster), key=key, headers=headers)
    assert_error(reply, 401, "APIGW.0301", "has expired, expires_at: ")


def test_lasting_key_does_with_any_security_token(service: Service, cluster: Cluster) -> None:
    assert service.call("GET", service.path(cluster), headers={"X-Security-Token": "x"}).status == 200


# Roles


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.id)
@pytest.mark.parametrize("role", Role)
def test_role_may_what_the_operation_says(service: Service, cluster: Cluster, operation: Operation, role: Role) -> None:
    if not operation.signed:
        return
    key = identity.add_key(service.runtime, service.project, role=role)
    target = operation.path.format(
        project_id=service.project.id,
        cluster_id=cluster.id,
        job_id="0" * 32,
        node="n",
        generation=1,
        key="k",
        protection_id="p",
        name="k",
    )
    reply = service.call(operation.method, target, b"nonsense" if operation.body else None, key=key)
    allowed = {"reader": {"identify", "read"}, "operator": {"identify", "read", "operate"}, "admin": set(Right)}[role]
    if operation.right in allowed:
        assert reply.status != 401
        assert reply.code != "APIGW.0302" if reply.status >= 400 else reply.status == 200
    else:
        assert_error(reply, 403, "APIGW.0302", f"not authorized to access the API.*{operation.id} is not for the role")


def test_every_operation_that_reads_is_for_readers_and_no_other() -> None:
    reads = {operation.id for operation in ALL if operation.right is Right.READ}
    assert {operation.id for operation in ALL if operation.method == "GET"} - reads == {
        "KeystoneListProjects", "KeystoneListAuthDomains", "KeystoneValidateToken", "KeystoneListVersions",
        "KeystoneShowVersion", "KeystoneShowCatalog", "KeystoneListAuthProjects", "KeystoneListRegions", "ListAudit",
    }  # fmt: skip
    assert {operation.id for operation in ALL if operation.method != "GET"} & reads <= {
        "Verify",
        "Search",
        "ShowLogBackup",
        "PreviewRetention",
    }
    assert {operation.id for operation in ALL if operation.right is Right.ADMINISTER} == {
        "AddCluster", "AdoptCluster", "CheckNewCluster", "UpdateCluster", "RemoveCluster", "ListAudit",
        "AddNoticeTarget", "RemoveNoticeTarget", "TestNoticeTarget",
        "SetRetention", "RunRetention", "RemoveProtection",
    }  # fmt: skip


def test_users_role_counts_as_that_of_a_key(service: Service, cluster: Cluster) -> None:
    reader = token_of(sign_in(service, add_user(service, Role.READER)))
    assert ask(service, reader, "GET", service.path(cluster, "/logs/records")).status == 200
    assert_error(ask(service, reader, "POST", service.path(cluster, "/logs/open"), SETTING), 403, "APIGW.0302")
    leader = token_of(sign_in(service, add_user(service, Role.ADMIN)))
    assert ask(service, leader, "GET", "/api/v1/audit").status == 200
    shown: Any = ask(service, leader, "GET", f"/api/v1/clusters/{cluster.id}").json
    assert shown["nodes"][0]["source"].startswith("file://")


# Tokens that are asked about


def validate(service: Service, token: str, subject: str, query: str = "") -> Reply:
    return service.send("GET", TOKENS + query, b"", {"X-Auth-Token": token, "X-Subject-Token": subject})


@pytest.mark.parametrize("role", Role)
def test_token_validates_itself(service: Service, role: Role) -> None:
    name = add_user(service, role)
    token = token_of(sign_in(service, name))
    reply = validate(service, token, token)
    assert (reply.status, reply.headers["x-subject-token"]) == (200, token)
    assert reply.json["token"]["user"]["name"] == name
    assert "catalog" in reply.json["token"]
    assert "catalog" not in validate(service, token, token, "?nocatalog").json["token"]


def test_token_of_somebody_else_is_shown_to_administrators_of_its_project_alone(service: Service, user: str) -> None:
    token = token_of(sign_in(service, user))
    admin = token_of(sign_in(service, add_user(service, Role.ADMIN)))
    other = identity.add_project(service.runtime, "elsewhere")
    users.add_user(service.runtime, other, "elsewhere-admin", PASSWORD, Role.ADMIN)
    stranger = token_of(sign_in(service, "elsewhere-admin"))
    assert validate(service, admin, token).json["token"]["user"]["name"] == user
    for unknown, who in ((token, stranger), ("0" * 64, stranger), ("0" * 64, admin)):
        reply = validate(service, who, unknown)
        assert (reply.status, reply.json["error"]["title"]) == (404, "Not Found")
    for subject in (admin, "0" * 64):  # which of them there is, is not told
        assert_error(validate(service, token, subject), 403, "APIGW.0302")
    assert_error(ask(service, admin, "GET", TOKENS), 400, "CSS.0001", "^X-Subject-Token: ")


def test_expired_token_is_not_found(service: Service, user: str, clock: FixedClock) -> None:
    token = token_of(sign_in(service, user))
    clock.value += 24 * HOUR_MS
    admin = token_of(sign_in(service, add_user(service, Role.ADMIN)))
    assert validate(service, admin, token).status == 404


# Temporary keys that are got by a call

TEMPORARY_KEYS = "/v3.0/OS-CREDENTIAL/securitytokens"


def temporary(seconds: object = None, **more: object) -> dict[str, object]:
    return {"auth": {"identity": {"methods": ["token"], "token": {"duration_seconds": seconds}, **more}}}


def key_of(reply: Reply) -> identity.NewKey:
    assert reply.status == 201, reply.body
    credential = reply.json["credential"]
    key = AccessKey(ak=credential["access"], project_id="", role=Role.READER, created_at=0)
    return identity.NewKey(key, credential["secret"], credential["securitytoken"])


def clusters_with(service: Service, new: identity.NewKey, skew_ms: int = 0) -> Reply:
    target = f"/v1.0/{service.project.id}/clusters"
    return service.call("GET", target, key=new, headers={"X-Security-Token": new.security_token}, skew_ms=skew_ms)


@pytest.mark.parametrize("role", Role)
def test_key_for_a_token_has_its_rights_and_no_more(service: Service, cluster: Cluster, role: Role) -> None:
    token = token_of(sign_in(service, add_user(service, role)))
    new = key_of(ask(service, token, "POST", TEMPORARY_KEYS, temporary()))
    assert clusters_with(service, new).status == 200
    opened = service.call(
        "POST", service.path(cluster, "/logs/open"), SETTING, key=new, headers={"X-Security-Token": new.security_token}
    )
    assert (opened.status == 403) == (role is Role.READER)


def test_key_for_a_token_ends_with_it(service: Service, user: str, clock: FixedClock) -> None:
    token = token_of(sign_in(service, user))
    clock.value += 23 * HOUR_MS
    new = key_of(ask(service, token, "POST", TEMPORARY_KEYS, temporary("86400")))
    clock.value += HOUR_MS - 1
    assert clusters_with(service, new, 24 * HOUR_MS).status == 200
    clock.value += 1
    assert_error(clusters_with(service, new, 24 * HOUR_MS), 401, "APIGW.0301", "expired")


def test_key_is_revoked_with_its_user_or_key(service: Service, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logkeep.api.auth._KEPT_SECONDS", 0.0)
    of_token = key_of(ask(service, token_of(sign_in(service, user)), "POST", TEMPORARY_KEYS, temporary()))
    lasting = identity.add_key(service.runtime, service.project)
    of_key = key_of(service.call("POST", TEMPORARY_KEYS, as_json(temporary()), key=lasting))
    assert [clusters_with(service, new).status for new in (of_token, of_key)] == [200, 200]
    users.revoke_user(service.runtime, user)
    identity.revoke_key(service.runtime, lasting.key.ak)
    assert [clusters_with(service, new).status for new in (of_token, of_key)] == [401, 401]


def test_changed_password_ends_tokens_and_keys(service: Service, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logkeep.api.auth._KEPT_SECONDS", 0.0)
    token = token_of(sign_in(service, user))
    new = key_of(ask(service, token, "POST", TEMPORARY_KEYS, temporary()))
    users.change_password(service.runtime, user, "another good password")
    assert [clusters_with(service, new).status, validate(service, token, token).status] == [401, 401]
    assert sign_in(service, user).status == 401
    assert sign_in(service, user, "another good password").status == 201


def test_neither_a_temporary_key_nor_a_token_without_a_project_gets_a_key(service: Service, user: str) -> None:
    account = token_of(sign_in(service, user, scope={"domain": {"name": "any"}}))
    assert_error(ask(service, account, "POST", TEMPORARY_KEYS, temporary()), 403, "APIGW.0302")
    new = key_of(service.call("POST", TEMPORARY_KEYS, as_json(temporary())))
    headers = {"X-Security-Token": new.security_token}
    again = service.call("POST", TEMPORARY_KEYS, as_json(temporary()), key=new, headers=headers)
    assert_error(again, 403, "APIGW.0302", "temporary key")


@pytest.mark.parametrize("seconds", [899, 86_401, -1, True, 900.5, "9e2", "٩٠٠", {}, "9" * 50])
def test_wrong_duration_is_refused(service: Service, seconds: object) -> None:
    reply = service.call("POST", TEMPORARY_KEYS, as_json(temporary(seconds)))
    assert_error(reply, 400, "CSS.0001", "^auth.identity.token.duration_seconds: ")


def test_policy_that_could_not_be_kept_is_refused(service: Service) -> None:
    reply = service.call("POST", TEMPORARY_KEYS, as_json(temporary(policy={"Version": "1.1", "Statement": []})))
    assert_error(reply, 400, "CSS.0001", "^auth.identity.policy: ")


def test_keys_of_one_caller_are_bounded_and_expired_ones_removed(
    service: Service, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporary_keys, "_MAX_VALID", 2)
    lasting = identity.add_key(service.runtime, service.project)
    asked = as_json(temporary())
    replies = [service.call("POST", TEMPORARY_KEYS, asked, key=lasting) for _ in range(3)]
    assert [reply.status for reply in replies] == [201, 201, 503]
    clock.value += 2 * HOUR_MS
    temporary_keys.remove_expired(service.runtime)
    assert not [one for one in identity.list_keys(service.runtime) if one.issuer == lasting.key.ak]
    assert service.call("POST", TEMPORARY_KEYS, asked, key=lasting, skew_ms=2 * HOUR_MS).status == 201
