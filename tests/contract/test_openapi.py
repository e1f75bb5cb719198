"""/openapi.json is valid, says what the contract says, and the service answers as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from openapi_schema_validator import OAS30Validator, OAS31Validator

from logkeep.domain.access import Role
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.cluster import Cluster
from logkeep.service import users
from tests.contract.service import SETTING, Reply, Service

CONTRACT = yaml.safe_load((Path(__file__).parent.parent / "data" / "openapi.yaml").read_text("utf-8"))
METHODS = {"get", "put", "post", "patch", "delete"}

# Operations of the contract that are not offered here, and why.
NOT_OFFERED = {
    "StartTargetClusterConnectivityTest": "belongs to real-time collection, which is not offered",
}
SWITCHES_BACKUP_ONLY = {"StartLogs", "StopLogs", "UpdateLogSetting"}  # of the two actions
REAL_TIME_MEMBERS = {"index_prefix", "keep_days", "target_cluster_id"}
# What the gateway answers to any call (docs/contract.md, "Gateway codes"); the contract's document leaves it out.
OF_THE_GATEWAY = {"400", "403", "404", "413", "431", "500", "503"}
# Members of answers that are not offered, by what their path begins with, and why.
_CLOUD_ONLY = "only the cloud knows them; every client does without"  # docs/contract.md, "ShowClusterDetail"
NOT_OFFERED_MEMBERS = {
    "ListClustersDetails": ("clusters[].", _CLOUD_ONLY),
    "ShowClusterDetail": ("", _CLOUD_ONLY),
    "ShowGetLogSetting": ("realTimeLogCollectRecord.", "collection always reads as off"),
    "KeystoneListProjects": ("projects[].links.", "a project has no next one"),
    "KeystoneListAuthDomains": ("domains[].links.", "an account has no next one"),
}
# Members of answers that the contract's document leaves open.
OPEN_MEMBERS = {"KeystoneCreateToken": ("token.catalog[].", "token.roles[].", "token.domain")}


def by_id(document: dict[str, Any]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Method, path and the operation itself, with the parameters of its path."""
    return {
        operation["operationId"]: (
            method,
            path,
            operation | {"parameters": item.get("parameters", []) + operation.get("parameters", [])},
        )
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def resolved(document: dict[str, Any], value: Any) -> Any:
    while isinstance(value, dict) and "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def parameters(document: dict[str, Any], operation: dict[str, Any], place: str) -> dict[str, dict[str, Any]]:
    found = [resolved(document, parameter) for parameter in operation["parameters"]]
    return {parameter["name"]: parameter["schema"] for parameter in found if parameter["in"] == place}


def answer_schema(document: dict[str, Any], operation: dict[str, Any], status: str) -> Any:
    response = resolved(document, operation["responses"][status])
    return response.get("content", {}).get("application/json", {}).get("schema")


def members(document: dict[str, Any], schema: Any, path: str = "") -> dict[str, set[str]]:
    """`clusterLogRecord[].createAt` -> {'integer', 'string'}: the types of every member, however deep."""
    schema = resolved(document, schema) or {}
    found: dict[str, set[str]] = {}
    kinds = schema.get("type", [])
    types = {kinds} if isinstance(kinds, str) else set(kinds)
    types |= {"null"} if schema.get("nullable") else set()
    types |= {"string"} if "enum" in schema and not types else set()
    for choice in (*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])):
        inner = members(document, choice, path)
        types |= inner.pop(path, set())
        found |= inner
    found[path] = types
    for name, member in schema.get("properties", {}).items():
        found |= members(document, member, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        found |= members(document, schema["items"], path + "[]")
    return found


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    reply = service.send("GET", "/openapi.json")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    return reply.json


# Calls of clients that the page of the log API does not list (docs/contract.md, "Identity" and "Clusters").
BESIDE = {
    "KeystoneValidateToken",
    "KeystoneListVersions",
    "KeystoneShowVersion",
    "KeystoneShowCatalog",
    "KeystoneListAuthProjects",
    "KeystoneListRegions",
    "CreateTemporaryAccessKeyByToken",
    "ShowClusterVolumeUsage",
    "ListSnapshots",
    "ListClustersTags",
    "ShowClusterTag",
    "CreateClustersTags",
    "DeleteClustersTags",
    "UpdateBatchClustersTags",
}
WANTED = {id_: found for id_, found in by_id(CONTRACT).items() if id_ not in NOT_OFFERED}


# It is valid OpenAPI 3.1


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()  # against the schema that the specification publishes
    for schema in all_schemas(document):
        OAS31Validator.check_schema(schema)
    ids = [
        operation["operationId"] for item in document["paths"].values() for m, operation in item.items() if m in METHODS
    ]
    assert len(ids) == len(set(ids))
    for name in references(document):
        assert resolved(document, {"$ref": name}) is not None


def test_schemas_use_nothing_that_generators_of_clients_refuse(document: dict[str, Any]) -> None:
    """openapi-python-client takes no boolean for a schema, and no list for a constant."""
    text = json.dumps(document)
    assert '"items": false' not in text
    assert '"const": [' not in text


def test_links_lead_to_operations_and_name_their_parameters(document: dict[str, Any]) -> None:
    operations = by_id(document)
    for _, _, operation in operations.values():
        for response in operation["responses"].values():
            for link in resolved(document, response).get("links", {}).values():
                _, _, target = operations[link["operationId"]]
                assert set(link["parameters"]) <= set(parameters(document, target, "path"))


def all_schemas(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("schema"), dict):
            yield value["schema"]
        yield from value.get("schemas", {}).values()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from all_schemas(inner)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and isinstance(value.get("$ref"), str):
        yield value["$ref"]
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(inner)


# It says what the contract says


def test_operations_are_those_of_the_contract(document: dict[str, Any]) -> None:
    ours = {id_: found[:2] for id_, found in by_id(document).items() if found[1].startswith(("/v1.0/", "/v3/"))}
    assert {id_: found for id_, found in ours.items() if id_ not in BESIDE} == {
        id_: found[:2] for id_, found in WANTED.items()
    }
    assert set(NOT_OFFERED) < set(by_id(CONTRACT))


@pytest.mark.parametrize("id_", WANTED)
def test_parameters_and_ranges_are_those_of_the_contract(document: dict[str, Any], id_: str) -> None:
    operation, wanted = by_id(document)[id_][2], WANTED[id_][2]
    assert set(parameters(document, operation, "path")) == set(parameters(CONTRACT, wanted, "path"))
    expected = parameters(CONTRACT, wanted, "query")
    found = parameters(document, operation, "query")
    assert set(found) == set(expected)
    for name, schema in expected.items():
        choices = {"enum": schema["enum"][:1]} if id_ in SWITCHES_BACKUP_ONLY else {}
        highest = {"maximum": 2**63 - 1} if schema["type"] == "integer" else {}
        found[name].pop("pattern", None)  # no NUL, which no client sends
        if "default" not in schema:
            found[name].pop("default", None)  # ours tells more
        assert found[name] == highest | schema | choices, name


@pytest.mark.parametrize("id_", WANTED)
def test_statuses_are_those_of_the_contract(document: dict[str, Any], id_: str) -> None:
    ours, wanted = set(by_id(document)[id_][2]["responses"]), set(WANTED[id_][2]["responses"])
    assert ours <= wanted | OF_THE_GATEWAY
    assert {status for status in ours if status < "300"} == {status for status in wanted if status < "300"}
    assert "202" not in ours  # which clients take for success


def test_every_status_of_the_contract_is_used(document: dict[str, Any]) -> None:
    used = {status for id_ in WANTED for status in by_id(document)[id_][2]["responses"]}
    assert {status for found in WANTED.values() for status in found[2]["responses"]} <= used


@pytest.mark.parametrize("id_", WANTED)
def test_members_of_answers_are_those_of_the_contract(document: dict[str, Any], id_: str) -> None:
    status = min(WANTED[id_][2]["responses"])
    ours = members(document, answer_schema(document, by_id(document)[id_][2], status))
    wanted = members(CONTRACT, answer_schema(CONTRACT, WANTED[id_][2], status))
    for name, types in ours.items():
        assert name == "" or name.startswith(OPEN_MEMBERS.get(id_, "/")) or types <= wanted[name], name
    missing = set(wanted) - set(ours)
    prefix, _reason = NOT_OFFERED_MEMBERS.get(id_, ("none", ""))
    assert all(name.startswith(prefix) for name in missing), missing


@pytest.mark.parametrize("name", ["StartLogsReq", "UpdateLogSettingReq", "AutoBackupPolicyReq", "GetLogBackupReq"])
def test_members_of_bodies_are_those_of_the_contract_in_both_spellings(document: dict[str, Any], name: str) -> None:
    wanted = set(CONTRACT["components"]["schemas"][name]["properties"]) - REAL_TIME_MEMBERS
    schema = document["components"]["schemas"][name]
    choices = schema.get("anyOf", [schema])
    camel = {re.sub("_(.)", lambda found: found[1].upper(), member) for member in wanted}
    assert all(set(choice["properties"]) == wanted | camel for choice in choices)
    assert len(choices) == (1 if wanted == camel else 2)
    assert "dropping '_'" in schema["description"]


@pytest.mark.parametrize("name", ["CssError", "GatewayError"])
def test_error_body_holds_both_pairs(document: dict[str, Any], name: str) -> None:
    wanted = CONTRACT["components"]["schemas"][name]
    ours = document["components"]["schemas"]["FaultBody"]
    assert set(wanted["properties"]) <= set(ours["properties"]) == set(ours["required"])


def test_examples_of_the_contract_are_valid_here(document: dict[str, Any]) -> None:
    _, _, operation = WANTED["StartLogs"]
    examples = resolved(CONTRACT, operation["requestBody"])["content"]["application/json"]["examples"]
    for name in ("backup", "terraform"):
        validator(document, {"$ref": "#/components/schemas/StartLogsReq"}).validate(examples[name]["value"])
    for id_ in ("ListLogsJob", "ShowGetLogSetting"):
        example = WANTED[id_][2]["responses"]["200"]["content"]["application/json"]["example"]
        validator(document, answer_schema(document, by_id(document)[id_][2], "200")).validate(example)


# The service answers as it says


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    return OAS31Validator(schema | {"components": document["components"]})


@cache
def contract_validator(id_: str, status: str) -> Any:
    schema = answer_schema(CONTRACT, WANTED[id_][2], status) or {}
    if status >= "400":
        schema = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("CssError", "GatewayError")]}
    return OAS30Validator(schema | {"components": CONTRACT["components"]})


def assert_documented(document: dict[str, Any], id_: str, reply: Reply) -> None:
    """The answer's status, headers, type and body are those of the document, and of the contract."""
    response = resolved(document, by_id(document)[id_][2]["responses"][str(reply.status)])
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])
    if reply.status == 204:
        assert (reply.body, "content-type" in reply.headers, "content" in response) == (b"", False, False)
        return
    media = response["content"][reply.headers["content-type"]]
    if reply.headers["content-type"] == "application/json":
        validator(document, media["schema"]).validate(reply.json)
        if id_ in WANTED and str(reply.status) in WANTED[id_][2]["responses"]:
            contract_validator(id_, str(reply.status)).validate(reply.json)
    elif reply.headers["content-type"] == "application/x-ndjson":
        names = re.findall(r"[A-Z]\w+Line|ArchivedGeneration", response["description"])
        line = validator(document, {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]})
        for text in reply.body.splitlines():
            line.validate(Reply(200, {}, text).json)


def target(service: Service, document: dict[str, Any], id_: str, **values: Any) -> tuple[str, str]:
    method, path, _ = by_id(document)[id_]
    return method.upper(), path.format(project_id=service.project.id, **values)


BODIES: dict[str, Any] = {
    "StartLogs": SETTING,
    "UpdateLogSetting": SETTING | {"period": "00:00 GMT+08:00"},
    "StartLogAutoBackupPolicy": {"period": "13:00 GMT-05:00"},
    "UpdatePolicy": {"adaptive": True},
    "CheckSetting": SETTING | {"period": "00:00 GMT+08:00"},
    "Search": {"text": "one"},
    "Verify": {"read_data": True},
    "SetRetention": {"rules": [{"keep_days": 90}]},
    "PreviewRetention": {"rules": [{"keep_jobs": 1}], "objects": True},
    "RunRetention": {"confirm": True},
    "AddProtection": {"since": "2026-01-01", "until": "2026-01-02", "why": "a test"},
    "CreateTemporaryAccessKeyByToken": {"auth": {"identity": {"methods": ["token"]}}},
    "ShowLogBackup": {"instance_name": "node-0", "log_type": "instance"},
    "CreateClustersTags": {"tag": {"key": "k", "value": "v"}},
    "UpdateBatchClustersTags": {"action": "create", "tags": [{"key": "l", "value": ""}]},
    "AddNoticeTarget": {"name": "k", "url": "https://127.0.0.1:9/hook", "clusters": ["prod-*"], "quiet": "22:00-07:00"},
}
UNUSUAL = {  # statuses
    "KeystoneCreateToken": 201,
    "CreateTemporaryAccessKeyByToken": 201,
    "KeystoneListVersions": 300,
    "CreateClustersTags": 204,
    "UpdateBatchClustersTags": 204,
    "DeleteClustersTags": 204,
    "ShowClusterVolumeUsage": 400,  # nobody knows where the API of this cluster answers
    "ListSnapshots": 400,
    "RetryJob": 409,  # the job succeeded
}
# In an order in which each works.
CALLS = [
    *("CreateClustersTags", "UpdateBatchClustersTags", "ListClustersTags", "ShowClusterTag", "DeleteClustersTags"),
    *("ShowClusterVolumeUsage", "ListSnapshots"),
    *("StartLogs", "ShowGetLogSetting", "UpdateLogSetting", "StartLogAutoBackupPolicy", "ShowGetLogSetting"),
    *(
        "StopLogAutoBackupPolicy",
        "CreateLogBackup",
        "StartBackup",
        "ShowLogBackup",
        "ListLogsJob",
        "ShowJob",
        "FindJob",
        "CancelJob",
        "RetryJob",
        "ListClustersDetails",
    ),
    *(
        "ShowClusterDetail",
        "KeystoneListProjects",
        "KeystoneListAuthDomains",
        "KeystoneCreateToken",
        *sorted(BESIDE),
        "AddCluster",
        "ListClusters",
        "ListStatus",
        "ListUsage",
        "ShowClusterUsage",
        "ListRecords",
        "ListTasks",
        "ExportTasks",
        "ShowCluster",
        "UpdateCluster",
        "CheckNewCluster",
        "CheckCluster",
        "UpdatePolicy",
        "ShowPolicy",
        "CheckSetting",
        "ListCoverage",
        "ListKept",
        "ReadKept",
    ),
    *(
        "Search",
        "MakeIndex",
        "Verify",
        "ShowVerification",
        "SetRetention",
        "ShowRetention",
        "PreviewRetention",
        "AddProtection",
        "ListProtections",
        "RunRetention",
        "ListRemovals",
        "ListArchiveDeletions",
        "RemoveProtection",
        "StopLogs",
        "ShowGetLogSetting",
        "ListAudit",
        "AddNoticeTarget",
        "TestNoticeTarget",
        "ListNoticeTargets",
        "RemoveNoticeTarget",
        "ListNotices",
        "MakeConsoleLink",
        "Health",
        "Ready",
        "OpenApi",
        "RemoveCluster",
        "AdoptCluster",
    ),
]


def test_every_operation_answers_as_documented(service: Service, document: dict[str, Any], tmp_path: Path) -> None:
    cluster = service.add_cluster()
    folder = Path(cluster.nodes[0].source.removeprefix("file://"))
    (folder / "c.log").write_text("[2026-01-01T00:00:00,000][INFO ][a] [node-0] one\n")
    service.call("POST", service.path(cluster, "/logs/open"), SETTING)
    job = service.back_up(cluster)
    service.add_records(cluster, JobStatus.FAIL)
    users.add_user(service.runtime, service.project, "documented", "a password", Role.READER)
    new = {"name": f"c-{tmp_path.name}", "nodes": [{"name": "n1", "source": f"file://{tmp_path}"}]}
    extra = service.add_cluster()
    service.call("POST", service.path(extra, "/logs/open"), SETTING)
    (Path(extra.nodes[0].source.removeprefix("file://")) / "c.log").write_text("one\n")
    service.back_up(extra)
    idle = service.add_cluster()
    service.call("POST", service.path(idle, "/logs/open"), SETTING)
    others = {"RemoveCluster": extra.id, "AdoptCluster": extra.id, "StartBackup": idle.id}
    assert set(CALLS) == set(by_id(document))
    headers: dict[str, str] = {}
    protection_id = ""
    for id_ in CALLS:
        cluster_id = others.get(id_, cluster.id)
        method, path = target(
            service,
            document,
            id_,
            cluster_id=cluster_id,
            job_id=job.job_id,
            node="node-0",
            generation=1,
            key="k",
            name="k",
            protection_id=protection_id,
        )
        body = new if id_ in {"AddCluster", "UpdateCluster", "CheckNewCluster"} else BODIES.get(id_)
        if id_ == "AdoptCluster":
            body = {"name": f"again-{tmp_path.name}", "buckets": ["logs"]}
        if id_ == "KeystoneCreateToken":
            user = {"name": "documented", "password": "a password", "domain": {"name": "example"}}
            body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
        if id_ in {"Health", "Ready", "OpenApi"}:
            reply = service.send(method, path)
        else:
            reply = service.call(method, path, body, key=service.admin, headers=headers)
        if id_ == "KeystoneCreateToken":
            headers = {"X-Subject-Token": reply.headers["x-subject-token"]}
        if id_ == "AddProtection":
            protection_id = reply.json["id"]
        assert reply.status == UNUSUAL.get(id_, 200), (id_, reply.body)
        assert_documented(document, id_, reply)


@pytest.mark.parametrize("agent", ["huaweicloud-usdk-go/3.0", "huaweicloud-usdk-java/3.0", "other"])
def test_records_for_every_agent_are_as_documented(service: Service, document: dict[str, Any], agent: str) -> None:
    cluster = service.add_cluster()
    service.add_records(cluster, JobStatus.SUCCESS, JobStatus.FAIL, JobStatus.RUNNING)
    reply = service.call("GET", service.path(cluster, "/logs/records"), headers={"User-Agent": agent})
    assert isinstance(reply.json["clusterLogRecord"][0]["createAt"], int if agent == "other" else str)
    assert_documented(document, "ListLogsJob", reply)


UNSIGNED = {"Health", "Ready", "OpenApi", "KeystoneListVersions", "KeystoneShowVersion"}
SIGNED = [id_ for id_ in dict.fromkeys(CALLS) if id_ not in UNSIGNED]


@pytest.mark.parametrize("id_", SIGNED)
def test_refusals_of_every_operation_are_as_documented(
    service: Service, document: dict[str, Any], cluster: Cluster, id_: str
) -> None:
    nowhere = "00000000-0000-4000-8000-000000000000"
    given = {
        "job_id": "0" * 32,
        "node": "none",
        "generation": 7,
        "key": "none",
        "name": "none",
        "protection_id": nowhere,
    }
    found: set[int] = set()
    for cluster_id in (nowhere, cluster.id):
        method, path = target(service, document, id_, cluster_id=cluster_id, **given)
        replies = [
            service.send(method, path),
            service.send(method, path, headers={"X-Auth-Token": "none"}),
            service.call(method, path, b"{", key=service.stranger),
            service.call(
                method, path + "?limit=0&action=x&name=%00&node=%00&text=%00", b"nonsense", key=service.tenant
            ),
        ]
        for reply in replies:
            assert_documented(document, id_, reply)
            found.add(reply.status)
    assert 401 in found or id_ == "KeystoneCreateToken"  # which nobody signs
    takes_nothing = id_.startswith("Keystone") or id_ in {"MakeConsoleLink", "ListNoticeTargets"}
    assert found & {400, 403, 415} or takes_nothing


@pytest.mark.parametrize("id_", SIGNED)
def test_every_documented_number_is_held_to_its_range(
    service: Service, document: dict[str, Any], cluster: Cluster, id_: str
) -> None:
    [job] = service.add_records(cluster, JobStatus.SUCCESS)
    method, path = target(
        service,
        document,
        id_,
        cluster_id=cluster.id,
        job_id=job.job_id,
        node="n",
        generation=1,
        key="k",
        name="k",
        protection_id=job.job_id,
    )
    for name, schema in parameters(document, by_id(document)[id_][2], "query").items():
        if schema["type"] == "integer":
            for value in (schema["minimum"], schema["maximum"]):
                reply = service.call(method, f"{path}?{name}={value}", key=service.admin)
                assert reply.status == 200 or reply.message.startswith("generation: "), "there is no such log here"
            for value in (schema["minimum"] - 1, schema["maximum"] + 1, "1.5", "", "-1"):
                reply = service.call(method, f"{path}?{name}={value}", key=service.admin)
                assert (reply.status, reply.code, reply.message.split(":")[0]) == (400, "CSS.0001", name)


def test_not_being_ready_is_as_documented(service: Service, document: dict[str, Any]) -> None:
    service.problems.append("the queue does not run")
    try:
        reply = service.send("GET", "/readyz")
    finally:
        service.problems.clear()
    assert reply.status == 503
    assert_documented(document, "Ready", reply)
