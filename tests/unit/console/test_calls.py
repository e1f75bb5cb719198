"""The calls that the console shows: what each language reads is what was meant, whatever a value holds."""

from __future__ import annotations

import ast
import json
import re
import shlex
from typing import Any

import huaweicloudsdkcss.v1 as sdk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.console import calls
from logkeep.console.calls import ApiCall, write_calls
from logkeep.contract.css import operations

BASE, PROJECT, CLUSTER = (
    "http://127.0.0.1:8475",
    "6204a5bd270343b5885144cf9c8c158d",
    "5c77b71c-5b35-4f50-8984-76387e42451a",
)
PLACE = f"/v1.0/{PROJECT}/clusters/{CLUSTER}"
HOSTILE = st.text(
    alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("'\"\\$`{}%u\n\r\u202e"))
)


def open_call(**body: Any) -> ApiCall:
    return ApiCall(operation="StartLogs", method="POST", path=f"{PLACE}/logs/open", body=body)


def read_python(code: str, name: str) -> dict[str, Any]:
    """The keywords of the one call of this class."""
    made = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call) and ast.unparse(node.func) == name]
    return {one.arg or "": ast.literal_eval(one.value) for one in made[0].keywords if one.arg != "body"}


def read_curl(code: str) -> list[str]:
    return shlex.split(code[code.index("curl -sS -X") :])


@pytest.mark.parametrize(
    "operation", [one for one in operations.OPERATIONS if one.id in calls.BODIES], ids=lambda one: one.id
)
def test_the_python_sdk_has_each_name(operation: Any) -> None:
    body = calls.BODIES[operation.id]
    values = dict.fromkeys(getattr(sdk, body).openapi_types, "x") if body else None
    path = operation.path.format(project_id=PROJECT, cluster_id=CLUSTER)
    code = write_calls(ApiCall(operation=operation.id, method=operation.method, path=path, body=values), BASE, PROJECT)
    module: dict[str, Any] = {}
    exec(code["Python"].partition("\nak, sk =")[0], module)
    request = code["Python"].partition("request = ")[2].partition("\nprint(")[0]
    assert type(eval(request, module)).__name__ == f"{operation.id}Request"
    method = re.search(r"client\.(\w+)\(request", code["Python"])
    assert method
    assert hasattr(sdk.CssClient, method[1])


@given(path=HOSTILE, bucket=HOSTILE)
def test_python_and_curl_read_what_was_meant(path: str, bucket: str) -> None:
    body = {"agency": "a", "log_base_path": path, "log_bucket": bucket, "auto_enable": True}
    code = write_calls(open_call(**body), BASE, PROJECT)
    assert read_python(code["Python"], "StartLogsReq") == body
    words = read_curl(code["curl"])
    assert json.loads(words[words.index("--data-raw") + 1]) == body
    assert words[4] == f"{BASE}{PLACE}/logs/open"


@given(text=HOSTILE)
def test_no_literal_ends_early_or_begins_an_escape_of_its_own(text: str) -> None:
    for literal in (calls.java_literal(text), calls.go_literal(text), calls.hcl_literal(text)):
        assert re.fullmatch(r'"([^"\\]|\\([\\"]|[0-7]{3}|u[0-9a-f]{4}|U[0-9a-f]{8}))*"', literal)
        assert literal.isprintable()
    assert not re.search(r"[$%]\{", re.sub(r"([$%])\1\{", "", calls.hcl_literal(text)))
    assert json.loads(calls.json_text(text)) == text


@given(text=HOSTILE)
def test_a_go_literal_reads_back(text: str) -> None:
    assert ast.literal_eval(calls.go_literal(text)) == text  # escapes that Python has too


def test_names_in_camel_case_are_those_of_the_sdk() -> None:
    code = write_calls(open_call(agency="a", logBasePath="css/log", logBucket="logs"), BASE, PROJECT)
    assert "log_base_path='css/log'" in code["Python"]
    assert '.withLogBasePath("css/log")' in code["Java"]
    assert 'LogBasePath: pointer("css/log")' in code["Go"]
    assert 'base_path  = "css/log"' in code["Terraform"]


def test_a_period_is_a_call_of_its_own_where_versions_differ() -> None:
    body = {"agency": "a", "log_base_path": "p", "log_bucket": "b", "auto_enable": True, "period": "00:00 GMT+08:00"}
    code = write_calls(open_call(**body), BASE, PROJECT)
    assert "period='00:00 GMT+08:00'" in code["Python"]
    assert "startLogAutoBackupPolicy" in code["Java"]
    assert 'Period: "00:00 GMT+08:00"' in code["Go"]
    assert 'period     = "00:00 GMT+08:00"' in code["Terraform"]


def test_what_css_lacks_is_a_call_by_curl_only() -> None:
    call = ApiCall(operation="CancelJob", method="POST", path="/api/v1/p/jobs/j/cancel", css=False)
    assert list(write_calls(call, BASE, PROJECT)) == ["curl"]
    asks_more = ApiCall(operation="ListLogsJob", method="GET", path=f"{PLACE}/logs/records?status=FAIL")
    assert list(write_calls(asks_more, BASE, PROJECT)) == ["curl"]


def test_no_secret_is_written() -> None:
    for code in write_calls(open_call(agency="a", log_base_path="p", log_bucket="b"), BASE, PROJECT).values():
        assert re.search(r"CLOUD_SDK_SK|HW_SECRET_KEY|LOGKEEP_PASSWORD", code)
