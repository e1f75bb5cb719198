"""The same call by curl, Python, Java, Go and Terraform: real values, quoted for each, and never a secret."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One call of an API."""

    operation: str  # its id, as the SDKs name it: "StartLogs"
    method: str
    path: str  # with real values: /v1.0/{project_id}/clusters/{cluster_id}/logs/open, and a query where there is one
    body: Mapping[str, object] | None = None
    css: bool = True  # whether it is one of CSS, which SDKs and Terraform know


# Of those that are offered: the SDKs' name of the body, '' for none.
BODIES = {
    "StartLogs": "StartLogsReq",
    "StopLogs": "",
    "ListLogsJob": "",
    "ShowGetLogSetting": "",
    "UpdateLogSetting": "UpdateLogSettingReq",
    "StartLogAutoBackupPolicy": "StartLogAutoBackupPolicyReq",
    "StopLogAutoBackupPolicy": "",
    "CreateLogBackup": "",
    "ShowClusterDetail": "",
}
_PLACE = ("agency", "log_base_path", "log_bucket")  # what every version of the SDKs has of a setting
_BY_VALUE = {"StartLogAutoBackupPolicyReq"}  # whose members are no pointers in Go
_RESOURCES = {
    "StartLogs": ("resource", "huaweicloud_css_log_setting"),
    "UpdateLogSetting": ("resource", "huaweicloud_css_log_setting"),
    "CreateLogBackup": ("resource", "huaweicloud_css_manual_log_backup"),
    "ListLogsJob": ("data", "huaweicloud_css_log_backup_records"),
}
_SETTING = {"agency": "agency", "log_base_path": "base_path", "log_bucket": "bucket", "period": "period"}


def write_calls(call: ApiCall, base_url: str, project_id: str) -> dict[str, str]:
    """Return the call in each language that has it; credentials come from variables of the environment."""
    site = _Site(base_url.rstrip("/"), project_id)
    found = {"curl": _curl(call, site)}
    cluster_id, values = _cluster_of(call), _named(call.body or {})
    if not (call.css and call.operation in BODIES and cluster_id and _is_plain(call, values)):
        return found
    steps = _split(call, values)
    found["Python"] = _python(_Step(call.operation, values, _limit(call)), site, cluster_id)
    found["Java"] = _java(steps, site, cluster_id)
    found["Go"] = _go(steps, site, cluster_id)
    if terraform := _terraform(call, values, site, cluster_id):
        found["Terraform"] = terraform
    return found


@dataclass(frozen=True, slots=True)
class _Site:
    url: str  # without a slash at its end
    project_id: str


@dataclass(frozen=True, slots=True)
class _Step:
    """One call of an SDK."""

    operation: str
    values: Mapping[str, object]  # of the body, by their names in snake_case
    limit: int | None = None

    @property
    def body(self) -> str:
        return BODIES[self.operation] if self.values else ""

    @property
    def method(self) -> str:
        return self.operation[0].lower() + self.operation[1:]


def _cluster_of(call: ApiCall) -> str:
    found = re.search(r"/clusters/([^/?]+)", call.path)
    return unquote(found[1]) if found else ""


def _named(body: Mapping[str, object]) -> dict[str, object]:
    """Return what a body holds by names in snake_case, as SDKs have them; null is as good as missing."""
    return {_snake(name): value for name, value in body.items() if value is not None}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _query_of(call: ApiCall) -> dict[str, str]:
    return dict(parse_qsl(call.path.partition("?")[2], keep_blank_values=True))


def _limit(call: ApiCall) -> int | None:
    limit = _query_of(call).get("limit", "")
    return int(limit) if limit else None


def _is_plain(call: ApiCall, values: Mapping[str, object]) -> bool:
    """Return whether the SDKs can say it: of a query `limit` only, of a body texts, numbers, true and false."""
    query = _query_of(call)
    plain = all(name.isidentifier() and isinstance(value, str | bool | int) for name, value in values.items())
    return plain and set(query) <= {"limit"} and query.get("limit", "1").isdigit()


def _split(call: ApiCall, values: Mapping[str, object]) -> list[_Step]:
    """Return a setting's place and its period as calls of their own: some versions of SDKs know them only apart."""
    if call.operation not in {"StartLogs", "UpdateLogSetting"}:
        return [_Step(call.operation, values, _limit(call))]
    steps = [_Step(call.operation, {name: values[name] for name in _PLACE if name in values})]
    if values.get("auto_enable") is False:
        steps.append(_Step("StopLogAutoBackupPolicy", {}))
    elif period := values.get("period"):
        steps.append(_Step("StartLogAutoBackupPolicy", {"period": period}))
    return steps


# Literals. Characters that are not seen, or turn the text around, are written as escapes.


def json_text(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else _utf16(one) for one in text)


def _utf16(one: str) -> str:
    units = one.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def java_literal(value: object) -> str:
    """Return it for Java, which reads \\u000a as the end of a line, and so takes octals for controls."""
    return _quoted(value, lambda one: f"\\{ord(one):03o}" if ord(one) < 256 else _utf16(one))


def go_literal(value: object) -> str:
    return _quoted(value, lambda one: f"\\u{ord(one):04x}" if ord(one) < 0x10000 else f"\\U{ord(one):08x}")


def hcl_literal(value: object) -> str:
    text = go_literal(value)
    return re.sub(r"([$%])(?=\{)", r"\1\1", text) if isinstance(value, str) else text


def _quoted(value: object, escape: Callable[[str], str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"' + "".join(_escaped(one, escape) for one in str(value)) + '"'


def _escaped(one: str, escape: Callable[[str], str]) -> str:
    if one in {'"', "\\"}:
        return f"\\{one}"
    return one if one.isprintable() else escape(one)


# The languages.


def _curl(call: ApiCall, site: _Site) -> str:
    scope = json_text({"project": {"id": site.project_id}})
    login = (
        '{auth: {identity: {methods: ["password"], password: {user: {name: env.LOGKEEP_USER, '
        f'password: env.LOGKEEP_PASSWORD, domain: {{name: "default"}}}}}}}}, scope: {scope}}}}}'
    )
    lines = [
        "# The token of a user, whom `logkeep user add NAME --project PROJECT` makes; the name and the password are in",
        "# LOGKEEP_USER and LOGKEEP_PASSWORD.",
        f"TOKEN=$(jq -n {shlex.quote(login)} |",
        "  curl -sS -o /dev/null -D - -H 'Content-Type: application/json' --data-binary @- "
        f"{shlex.quote(f'{site.url}/v3/auth/tokens')} |",
        "  tr -d '\\r' | sed -n 's/^[Xx]-[Ss]ubject-[Tt]oken: //p')",
        "",
        f"curl -sS -X {shlex.quote(call.method)} {_shell(site.url + call.path)} \\",
        '  -H "X-Auth-Token: $TOKEN"',
    ]
    if call.body is not None:
        lines[-1] += " \\"
        lines += ["  -H 'Content-Type: application/json' \\", f"  --data-raw {shlex.quote(json_text(call.body))}"]
    return "\n".join(lines) + "\n"


def _shell(text: str) -> str:
    """Return a word of a shell; always in quotes, as an address has signs that some shells take for patterns."""
    quoted = shlex.quote(text)
    return quoted if quoted[:1] == "'" else f"'{quoted}'"


def _python(step: _Step, site: _Site, cluster_id: str) -> str:
    names = ["CssClient", f"{step.operation}Request", *([step.body] if step.body else [])]
    given = [f"    cluster_id={cluster_id!r},"]
    if step.limit is not None:
        given.append(f"    limit={step.limit},")
    if step.body:
        values = (f"        {name}={value!r}," for name, value in step.values.items())
        given += [f"    body={step.body}(", *values, "    ),"]
    return "\n".join(
        [
            "import os",
            "",
            "from huaweicloudsdkcore.auth.credentials import BasicCredentials",
            f"from huaweicloudsdkcss.v1 import {', '.join(names)}",
            "",
            "ak, sk = os.environ['CLOUD_SDK_AK'], os.environ['CLOUD_SDK_SK']",
            f"credentials = BasicCredentials(ak, sk, {site.project_id!r})",
            f"client = CssClient.new_builder().with_credentials(credentials).with_endpoint({site.url!r}).build()",
            f"request = {step.operation}Request(",
            *given,
            ")",
            f"print(client.{_snake(step.method)}(request))",
            "",
        ]
    )


def _java(steps: list[_Step], site: _Site, cluster_id: str) -> str:
    lines = [
        "import com.huaweicloud.sdk.core.auth.BasicCredentials;",
        "import com.huaweicloud.sdk.css.v1.CssClient;",
        "import com.huaweicloud.sdk.css.v1.model.*;",
        "",
        "public class Call {",
        "    public static void main(String[] args) {",
        "        CssClient client = CssClient.newBuilder()",
        "                .withCredential(new BasicCredentials()",
        '                        .withAk(System.getenv("CLOUD_SDK_AK"))',
        '                        .withSk(System.getenv("CLOUD_SDK_SK"))',
        f"                        .withProjectId({java_literal(site.project_id)}))",
        f"                .withEndpoint({java_literal(site.url)})",
        "                .build();",
    ]
    for step in steps:
        given = [f"                .withClusterId({java_literal(cluster_id)})"]
        if step.limit is not None:
            given.append(f"                .withLimit({step.limit})")
        if step.body:
            values = (
                f"                        .with{_camel(name)}({java_literal(value)})"
                for name, value in step.values.items()
            )
            given += [f"                .withBody(new {step.body}()", *values]
            given[-1] += ")"
        made = [f"        System.out.println(client.{step.method}(new {step.operation}Request()", *given]
        made[-1] += "));"
        lines += made
    return "\n".join([*lines, "    }", "}", ""])


def _go(steps: list[_Step], site: _Site, cluster_id: str) -> str:
    lines = [
        "package main",
        "",
        "import (",
        '\t"fmt"',
        '\t"os"',
        "",
        '\t"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"',
        '\tcss "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/css/v1"',
        '\t"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/css/v1/model"',
        ")",
        "",
        "func main() {",
        "\tcredentials := basic.NewCredentialsBuilder().",
        '\t\tWithAk(os.Getenv("CLOUD_SDK_AK")).',
        '\t\tWithSk(os.Getenv("CLOUD_SDK_SK")).',
        f"\t\tWithProjectId({go_literal(site.project_id)}).",
        "\t\tBuild()",
        "\tclient := css.NewCssClient(css.CssClientBuilder().",
        f"\t\tWithEndpoints([]string{{{go_literal(site.url)}}}).",
        "\t\tWithCredential(credentials).",
        "\t\tBuild())",
    ]
    for number, step in enumerate(steps, 1):
        lines += _go_step(step, number, cluster_id)
    pointer = (
        [] if not any("pointer(" in line for line in lines) else ["", "func pointer[T any](value T) *T {", *_POINTER]
    )
    return "\n".join([*lines, "}", *pointer, ""])


_POINTER = ("\treturn &value", "}")


def _go_step(step: _Step, number: int, cluster_id: str) -> list[str]:
    request = f"request{number}" if number > 1 else "request"
    lines = [
        f"\t{request} := &model.{step.operation}Request{{",
        f"\t\tClusterId: {go_literal(cluster_id)},",
    ]
    if step.limit is not None:
        lines.append(f"\t\tLimit: pointer(int32({step.limit})),")
    if step.body:
        form = "{}" if step.body in _BY_VALUE else "pointer({})"
        values = (f"\t\t\t{_camel(name)}: {form.format(go_literal(value))}," for name, value in step.values.items())
        lines += [f"\t\tBody: &model.{step.body}{{", *values, "\t\t},"]
    return [
        *lines,
        "\t}",
        f"\tif answer, err := client.{step.operation}({request}); err != nil {{",
        "\t\tpanic(err)",
        "\t} else {",
        "\t\tfmt.Println(answer)",
        "\t}",
    ]


def _terraform(call: ApiCall, values: Mapping[str, object], site: _Site, cluster_id: str) -> str:
    """Return the resource that makes this call; '' where none does, or one would need more than the call tells."""
    kind, name = _RESOURCES.get(call.operation, ("", ""))
    needs_place = name == "huaweicloud_css_log_setting"
    if not kind or (needs_place and not all(values.get(one) for one in _PLACE)):
        return ""
    told = {"cluster_id": cluster_id}
    if needs_place:
        kept = values if values.get("auto_enable") is not False else {**values, "period": ""}
        told |= {theirs: str(kept[ours]) for ours, theirs in _SETTING.items() if kept.get(ours)}
    width = max(map(len, told))
    return "\n".join(
        [
            "# The keys are in HW_ACCESS_KEY and HW_SECRET_KEY; set SKIP_CHECK_WEBSITE_TYPE=true besides.",
            "terraform {",
            "  required_providers {",
            '    huaweicloud = { source = "huaweicloud/huaweicloud" }',
            "  }",
            "}",
            "",
            'provider "huaweicloud" {',
            '  region     = "cn-north-4"',
            f"  project_id = {hcl_literal(site.project_id)}",
            f"  auth_url   = {hcl_literal(site.url + '/v3')}",
            "  endpoints = {",
            f"    css = {hcl_literal(site.url + '/')}",
            f"    iam = {hcl_literal(site.url + '/')}",
            "  }",
            "}",
            "",
            f'{kind} "{name}" "logs" {{',
            *(f"  {one.ljust(width)} = {hcl_literal(value)}" for one, value in told.items()),
            "}",
            "",
        ]
    )
