"""A few hundred random bodies, queries, paths and headers: none is ever the server's fault."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_from_bytes

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.domain.cluster import Cluster
from tests.contract.service import Service

many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
texts = st.text(st.characters(), max_size=20)
numbers = st.integers() | st.sampled_from([-(2**63), 2**63 - 1, 2**63, 2**64, 10**400]) | st.floats()
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
known = st.sampled_from(
    [
        "agency",
        "log_base_path",
        "logBasePath",
        "log_bucket",
        "log_Bucket",
        "auto_enable",
        "period",
        "name",
        "nodes",
        "kind",
        "version",
        "url",
        "source",
        "user",
        "password",
        "read_data",
    ]
)
plausible = st.sampled_from(["logs", "css/log", "css_obs_agency", "00:00 GMT+08:00", "x" * 600, "\x00", "\ud800"])
objects = st.dictionaries(known | texts, values | plausible, max_size=6)
deep = st.integers(1, 3000).map(lambda depth: b'{"agency":' + b"[" * depth + b"]" * depth + b"}")
twice = st.tuples(known, values, values).map(lambda t: f'{{"{t[0]}":{json.dumps(t[1])},"{t[0]}":{json.dumps(t[2])}}}')
bodies = objects.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50) | deep | twice.map(str.encode)
POSTS = ["/logs/open", "/logs/settings", "/logs/policy/update", "/logs/collect"]


def check(status: int, body: bytes) -> None:
    assert status < 500, body
    if status not in {200, 300}:  # of the versions, at "/"
        assert set(json.loads(body)) == {"errCode", "externalMessage", "error_code", "error_msg", "request_id"}
        assert len(body) < 8000


@many
@given(body=bodies, path=st.sampled_from(POSTS), read_data=st.booleans())
def test_any_body_is_taken_or_refused(
    service: Service, opened: Cluster, body: bytes, path: str, read_data: bool
) -> None:
    target = service.path(opened, path)
    if read_data:
        target = f"/api/v1/clusters/{opened.id}/verify"
    reply = service.call("POST", target, body)
    check(reply.status, reply.body.splitlines()[-1])


@many
@given(body=bodies)
def test_any_new_cluster_is_taken_or_refused(service: Service, body: bytes) -> None:
    reply = service.call("POST", "/api/v1/clusters", body, key=service.admin)
    check(reply.status, reply.body)


names = st.sampled_from(
    ["offset", "start", "limit", "status", "action", "datastoreType", "name", "node", "family", "job", "since", "until"]
)
raw_values = (
    st.binary(max_size=20).map(quote_from_bytes)
    | numbers.map(lambda number: quote(str(number)))
    | st.sampled_from(["", "%", "%zz", "+", "%00", "%ff", "%ED%A0%80", "=", "FAIL", "1"])
    | st.sampled_from(
        ["2026-11-24", "2026-11-24T06:40Z", "2026-02-30", "0001-01-01T00:00%2B14:00", "9999-12-31T23:59-12:00"]
    )
)
queries = st.lists(st.tuples(names | st.binary(max_size=5).map(quote_from_bytes), raw_values), max_size=4)
GETS = ["/logs/records", "/logs/settings", "", None, "/api/v1/clusters", "/v3/projects", "archive", "archive/node-0/1"]


@many
@given(query=queries, path=st.sampled_from(GETS))
def test_any_query_is_taken_or_refused(
    service: Service, opened: Cluster, query: list[tuple[str, str]], path: str | None
) -> None:
    target = service.path(opened, path or "")
    if path is None:
        target = f"/v1.0/{service.project.id}/clusters"
    elif path.startswith("archive"):
        target = f"/api/v1/clusters/{opened.id}/{path}"
    elif path.startswith(("/api", "/v3")):
        target = path
    reply = service.call("GET", target + "?" + "&".join(f"{key}={value}" for key, value in query))
    check(reply.status, reply.body or b"{}")


segments = st.binary(max_size=12).map(lambda raw: quote_from_bytes(raw, safe=""))


@many
@given(
    parts=st.lists(
        segments | st.sampled_from(["v1.0", "v3", "api", "v1", "clusters", "logs", "records", "archive", "jobs"]),
        max_size=7,
    ),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]),
)
def test_any_path_is_served_or_refused(service: Service, parts: list[str], method: str) -> None:
    reply = service.call(method, "/" + "/".join(parts))
    check(reply.status, reply.body or b'{"errCode":0,"externalMessage":0,"error_code":0,"error_msg":0,"request_id":0}')


@many
@given(cluster_id=segments, job_id=segments, node=segments, generation=segments | numbers.map(str))
def test_any_parameter_in_a_path_is_taken_or_refused(
    service: Service, opened: Cluster, cluster_id: str, job_id: str, node: str, generation: str
) -> None:
    for target in (
        f"/api/v1/clusters/{opened.id}/jobs/{job_id}",
        f"/api/v1/jobs/{job_id}",
        f"/api/v1/clusters/{opened.id}/archive/{node}/{quote(generation, safe='%')}",
        f"/v1.0/{service.project.id}/clusters/{cluster_id}/logs/records",
    ):
        reply = service.call("GET", target)
        check(reply.status, reply.body or b"{}")


header_names = st.sampled_from(
    [
        "Authorization",
        "X-Sdk-Date",
        "X-Sdk-Content-Sha256",
        "X-Project-Id",
        "X-Auth-Token",
        "Host",
        "User-Agent",
        "Content-Type",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Expect",
        "Cookie",
        "Accept",
    ]
)
header_values = (
    st.binary(max_size=40)
    | st.sampled_from([b"chunked", b"5", b"0", b"100-continue", b"close", b"UNSIGNED-PAYLOAD", b"20250822T030405Z"])
    | st.tuples(st.binary(max_size=20), st.binary(max_size=20)).map(
        lambda t: b"SDK-HMAC-SHA256 Access=%s, SignedHeaders=%s, Signature=%s" % (*t, b"0" * 64)
    )
)


@many
@given(headers=st.lists(st.tuples(header_names, header_values), max_size=6), method=st.sampled_from(["GET", "POST"]))
def test_any_headers_are_served_or_refused(
    service: Service, opened: Cluster, headers: list[tuple[str, bytes]], method: str
) -> None:
    lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers)
    target = service.path(opened, "/logs/records").encode()
    last = b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    request = method.encode() + b" " + target + b" HTTP/1.1\r\n" + lines + b"\r\n0\r\n\r\n"
    answer = service.raw(request + last, silence=0.2)
    assert not answer or answer.split(b" ")[1][:1] in {b"1", b"2", b"4"}, answer


def test_signed_headers_may_hold_any_text(service: Service, cluster: Cluster) -> None:
    headers = {"User-Agent": "agent \t ~!@#$%^&*()", "X-Project-Id": "not-ours"}
    reply = service.call("GET", service.path(cluster), headers=headers)
    assert reply.status == 200
