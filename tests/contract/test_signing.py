"""Ways to sign that differ from what is sent, over HTTP."""

from __future__ import annotations

import json
import re
import time

import pytest

from logkeep.api import css, native
from logkeep.contract.operation import Operation
from logkeep.domain.cluster import Cluster
from logkeep.signing.sdk_hmac import sign
from tests.contract.service import SETTING, Reply, Service
from tests.contract.test_api import assert_error

WITH_PARAMETERS = [operation for operation, _ in (*css.HANDLERS, *native.HANDLERS) if "{" in operation.path]


# What each operation with a body is content with.
BODY = SETTING | {
    "period": "00:00 GMT+08:00",
    "adaptive": True,
    "instanceName": "node-0",
    "logType": "instance",
    "level": "ALL",
}


def send(service: Service, method: str, target: str, body: bytes = b"", *, signed_as: str) -> Reply:
    url, now_ms = f"http://127.0.0.1:{service.port}{signed_as}", time.time_ns() // 1_000_000
    key = service.admin
    headers = sign(
        key.key.ak, key.sk, method, url, now_ms=now_ms, headers={"Content-Type": "application/json"}, body=body
    )
    return service.send(method, target, body, headers)


def test_an_endpoint_with_a_slash_at_its_end_works_for_each_client(service: Service, opened: Cluster) -> None:
    target = service.path(opened, "/logs/records")
    for sent, signed in ((target, f"/{target}"), (f"/{target}", target), (f"/{target}", f"/{target}")):
        assert send(service, "GET", f"{sent}?limit=1", signed_as=f"{signed}?limit=1").status == 200


def test_names_of_parameters_may_be_signed_in_small_letters(service: Service, opened: Cluster) -> None:
    target = f"/v1.0/{service.project.id}/clusters"
    for sent in ("datastoreType", "datastoretype"):
        reply = send(service, "GET", f"{target}?{sent}=logstash", signed_as=f"{target}?datastoretype=logstash")
        assert reply.status == 200
        assert {one["datastore"]["type"] for one in reply.json["clusters"]} <= {"logstash"}
    twice = f"{target}?datastoreType=logstash&datastoretype=opensearch"
    assert_error(send(service, "GET", twice, signed_as=twice), 400, "CSS.0001", "datastoreType: came twice")


@pytest.mark.parametrize("operation", WITH_PARAMETERS, ids=lambda operation: operation.id)
def test_a_name_with_a_slash_names_nothing_in_any_operation(
    service: Service, opened: Cluster, operation: Operation
) -> None:
    """On this rests that a path may be signed as if its `%2F` were a '/'."""
    known = {
        "project_id": service.project.id,
        "cluster_id": opened.id,
        "job_id": "0" * 32,
        "node": "n1",
        "generation": "1",
        "key": "k",
        "protection_id": "p",
    }
    for name in re.findall(r"{(\w+)}", operation.path):
        path = operation.path.format(**{**known, name: "a%2Fb"})
        body = b"" if operation.method in {"GET", "DELETE"} else json.dumps(BODY).encode()
        reply = send(service, operation.method, path, body, signed_as=path.replace("%2F", "/"))
        assert reply.status in {400, 403, 404}, (path, reply.body)
        assert reply.code in {"CSS.0001", "CSS.0015"}


def test_what_is_not_offered_is_named_with_what_is(service: Service, cluster: Cluster) -> None:
    headers = {"Authorization": "SDK-HMAC-SM3 Access=a, SignedHeaders=x-sdk-date, Signature=0"}
    reply = service.send("GET", service.path(cluster), headers=headers)
    assert_error(reply, 401, "APIGW.0301", "'SDK-HMAC-SM3' is not offered, SDK-HMAC-SHA256 and V11-HMAC-SHA256 are")
