"""schemathesis on the service's own OpenAPI document: all its checks, signed, each case against a real server."""

from __future__ import annotations

import copy
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemathesis
from msgspec import structs
from requests import PreparedRequest
from requests.auth import AuthBase
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events

from logkeep.database.connection import writing
from logkeep.database.jobs import fetch_running_job, finish_job
from logkeep.domain.access import Role
from logkeep.domain.backup_job import JobStatus
from logkeep.domain.log_setting import LogSettingChange
from logkeep.domain.notice_target import NewTarget
from logkeep.errors import ClusterNotFound
from logkeep.service import backups, clusters, log_settings, notice_targets, users
from logkeep.signing.sdk_hmac import sign
from logkeep.sources.base import FoundCluster, FoundNode
from tests.contract.service import SETTING, Service, running_service

NOWHERE = "00000000-0000-4000-8000-000000000000"
ACCEPTED = ["2xx", "300", "401", "403", "404", "409", "415"]  # what is valid may still meet a log backup that is closed
# Of a member in its two spellings, of a list, of two members together, of a URL.
BEYOND_SCHEMAS = (
    b"is after until; exchange the two",
    b"nothing is kept of a ",
    b"give the text to look for",
    b"a histogram is given as a whole",
    b"cursor: it is ",
    b"text: the regular expression ",
    b"came in two spellings",
    b"each node needs a name of its own",
    b"the deprecation log takes ALL only",
    b"the calendar has no",
    b"are those of a url; give it too",
    b"write it as http://host",
    b"no user and no password may stand in it",
    b"have the same directory",
    b"the cluster has no node",
    b"would be left",
    b"each key may come once",
    b"tags; it would have",
    b"at different times",
    b"base64 of 24 to 64 bytes",
    b"patterns of 1 to 64 characters",
    b"goes with a span of time",
    b"is missing; give a job, or both ends of a span",
    b"lies before the begin of the span",
    b"lies in the past",
    b"the cluster has no such job",
    b"has two rules",
    b"a rule of the cluster has at least one limit",
)
REFUSED = ["400", "401", "403", "404", "409", "413", "415"]


@dataclass
class Outcome:
    """What was sent, and what was wrong with the answers."""

    cases: int = 0
    seconds: float = 0.0
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)  # by operation
    phases: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)  # one for each check and operation

    def answered(self, status: int) -> set[str]:
        """Operations that have answered so."""
        return {operation for operation, found in self.statuses if found == status}


class Sender(AuthBase):
    """Signs each request as it will be sent; before three of four, log backup of its cluster is open and none runs."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._changes = 0

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        url, method = request.url or "", request.method or ""
        found = re.search("/clusters/([^/]+)/(logs/|backups)", url)
        if found and method != "GET":
            self._changes += 1
            if self._changes % 4:
                self._make_ready(found[1])
        key, body = self._service.admin, request.body or b""
        headers = sign(
            key.key.ak,
            key.sk,
            method,
            url,
            now_ms=time.time_ns() // 1_000_000,
            headers={"X-Project-Id": key.key.project_id},
            body=body.encode() if isinstance(body, str) else body,
        )
        request.headers.update(headers)
        return request

    def _make_ready(self, cluster_id: str) -> None:
        runtime = self._service.runtime
        with suppress(ClusterNotFound):
            cluster = clusters.get_cluster(runtime, self._service.project.id, cluster_id)
            with writing(runtime.database) as connection:
                if running := fetch_running_job(connection, cluster.id):
                    ended = structs.replace(running, status=JobStatus.SUCCESS, finished_at=running.created_at + 1)
                    finish_job(connection, ended)
            log_settings.open_backup(runtime, cluster, LogSettingChange("css_obs_agency", "logs", "css/log"))


@contextmanager
def fuzzed_service(folder: Path) -> Iterator[tuple[Service, dict[str, Any]]]:
    """A service with something in it, and its document, in which parameters name what there is."""
    logs = folder.with_name(f"{folder.name}-found")
    logs.mkdir()
    found = FoundNode("node-0", str(logs), "127.0.0.1", "ess")
    described = FoundCluster("opensearch", "2.19.0", "127.0.0.1:9200", (found,))
    with running_service(folder, describe_cluster=lambda *_: described) as service:
        cluster = service.add_cluster()
        (Path(cluster.nodes[0].source.removeprefix("file://")) / "prod.log").write_text(
            "[2026-11-24T00:00:00,000][INFO ][o.o.n.Node] [node-0] started\n"
        )
        assert service.call("POST", service.path(cluster, "/logs/open"), SETTING).status == 200
        job = service.back_up(cluster)
        service.add_records(cluster, JobStatus.SUCCESS, JobStatus.FAIL)
        kept = json.loads(service.call("GET", f"/api/v1/clusters/{cluster.id}/archive").body.splitlines()[0])
        there = {
            "project_id": [service.project.id],
            "cluster_id": [cluster.id],
            "job_id": [job.job_id],
            "key": ["team"],
            "node": [kept["node"]],
            "generation": [kept["generation"]],
            "name": ["hook"],
            "protection_id": [NOWHERE],
        }
        hook = NewTarget(name="hook", url="https://127.0.0.1:9/hook")  # which no notice may reach
        notice_targets.add_target(service.runtime, service.project.id, hook)
        archived = service.add_cluster()
        assert service.call("POST", service.path(archived, "/logs/open"), SETTING).status == 200
        service.back_up(archived)
        clusters.remove_cluster(service.runtime, archived)
        failing = service.add_cluster()
        assert service.call("POST", service.path(failing, "/logs/open"), SETTING).status == 200
        failed = backups.start_backup(service.runtime, failing)
        backups.cancel_job(service.runtime, service.project.id, failed.job_id)
        users.add_user(service.runtime, service.project, "fuzzer", "a password", Role.READER)
        document = narrowed(service.send("GET", "/openapi.json").json, there, f"file://{logs}")
        document["paths"]["/api/v1/clusters/{cluster_id}/adopt"]["parameters"][0]["schema"] = {"enum": [archived.id]}
        document["paths"]["/api/v1/jobs/{job_id}/retry"]["parameters"][0]["schema"] = {"enum": [failed.job_id]}
        for choice in (document["components"]["schemas"][name] for name in ("AdoptClusterReq", "AdoptDiscoveredReq")):
            choice["required"].append("buckets")  # without it, one that does not answer is looked into
        yield service, document


def narrowed(document: dict[str, Any], there: dict[str, list[Any]], directory: str) -> dict[str, Any]:
    """The document with what exists here in place of what no schema can say: ids, a bucket, a directory."""
    document = copy.deepcopy(document)
    for asks_the_cluster in ("index_snapshots", "volume"):  # its own API is not here; tests/real has one
        del document["paths"][f"/v1.0/{{project_id}}/clusters/{{cluster_id}}/{asks_the_cluster}"]
    for item in document["paths"].values():
        for parameter in item.get("parameters", []):
            parameter["schema"] = {"enum": there[parameter["name"]]}
        if "delete" in item:  # so that only what a case before has added is removed
            item["delete"]["parameters"] = [{**item["parameters"][0], "schema": {"enum": [NOWHERE]}}]
    schemas = document["components"]["schemas"]
    bodies = ["Tag", *(name for name in schemas if name.endswith("Req") and name != "CreateTemporaryAccessKeyReq")]
    changed = schemas["ChangedNodeReq"]  # of a new node the source is needed
    changed["required"], changed["properties"]["source"] = ["name", "source"], {"type": "string"}
    for choice in schemas["SearchReq"].get("anyOf", [schemas["SearchReq"]]):  # needed where no histogram is asked for
        choice["required"] = [*choice.get("required", ()), "text"]
        choice["properties"]["text"] |= {"type": "string", "minLength": 1}
    for choice in schemas["ProtectionReq"].get("anyOf", [schemas["ProtectionReq"]]):  # of a job, or of a span
        choice["properties"] |= {name: {"enum": ["", None]} for name in ("since", "until", "node", "log")}
    user = {"name": "fuzzer", "password": "a password"}
    words = "^[a-zA-Z0-9äß日-]{1,20}$"
    replaced = {
        "log_bucket": {"enum": ["logs"]},
        "log_base_path": {"pattern": "^[a-zA-Zäß日0-9-]{1,20}(//?[a-z._0-9]{1,9}[a-z]){0,3}$"},
        "source": {"enum": [directory]},
        "buckets": {"type": "array", "items": {"enum": ["logs"]}, "minItems": 1},
        "instance_name": {"enum": ["node-0"]},
        "name": {"pattern": words},
        "endpoint": {"enum": ["127.0.0.1:9200", "", None]},
        "cursor": {"enum": ["", None]},
        "node": {"enum": ["node-0", "", None]},
        "family": {"enum": ["prod.log", "", None]},
        "job": {"enum": there["job_id"]},
        "ip": {"enum": ["127.0.0.1", "", None]},
        "key": {"pattern": words},
        "log": {"pattern": "^[a-zA-Z0-9äß日-]{0,20}$"},  # no schema says which characters are printable
        "value": {"pattern": "^[a-zA-Z0-9äß日-]{0,20}$"},
        "auth": {"enum": [{"identity": {"methods": ["password"], "password": {"user": user}}}]},
    }
    for name in bodies:
        _replace(schemas[name], {_plain(member): rule for member, rule in replaced.items()})
    hook = schemas["NoticeTargetReq"]["properties"]
    # None is a number: in a path it would be the name of a target, and count as a value of another type.
    hook["name"] = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9._-]{0,63}$"}
    hook["url"], hook["zone"] = {"enum": ["https://example.com/hook"]}, {"enum": ["Europe/Berlin", "UTC", "", None]}
    return document


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _replace(schema: dict[str, Any], replaced: dict[str, dict[str, Any]]) -> None:
    for choice in schema.get("anyOf", []):
        _replace(choice, replaced)
    for name, member in schema.get("properties", {}).items():
        if rule := replaced.get(_plain(name)):
            member.pop("maxLength", None)
            member.pop("minLength", None)
            if "enum" in rule:
                member.pop("pattern", None)
            member.update(rule)
        _replace(member.get("items", {}), replaced)


def fuzz(service: Service, document: dict[str, Any], *, examples: int, seed: int, coverage: bool = True) -> Outcome:
    """Send cases of every phase: edge cases, `examples` random ones for each operation, and chains along the links."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "base-url": f"http://127.0.0.1:{service.port}",
            "workers": 1,
            "continue-on-failure": True,
            "suppress-health-check": ["all"],
            "generation": {
                "max-examples": examples,
                "no-shrink": True,
                "database": "none",
                "with-security-parameters": False,
            },
            "checks": {
                "positive_data_acceptance": {"expected-statuses": ACCEPTED},
                "negative_data_rejection": {"expected-statuses": REFUSED},
            },
            "phases": {"coverage": {"enabled": coverage}, "stateful": {"max-steps": 5}},
        }
    )
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema.auth.set_from_requests(Sender(service))
    outcome, begun = Outcome(), time.monotonic()
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _collect(outcome, event)
        elif isinstance(event, events.NonFatalError):
            outcome.failures[f"error: {event.label}"] = repr(event.value)
    outcome.seconds = time.monotonic() - begun
    return outcome


def _collect(outcome: Outcome, event: events.ScenarioFinished) -> None:
    recorder = event.recorder
    for case_id, interaction in recorder.interactions.items():
        outcome.cases += 1
        outcome.phases[event.phase.value] += 1
        status = interaction.response.status_code if interaction.response else 0
        case = recorder.cases.get(case_id)
        outcome.statuses[case.value.operation.label if case else "?", status] += 1
    for case_id, checks in recorder.checks.items():
        for check in checks:
            met = recorder.interactions[case_id]
            if check.failure_info is None or _is_right(check, met.request, met.response):
                continue
            failure, label = check.failure_info.failure, recorder.cases[case_id].value.operation.label
            outcome.failures.setdefault(
                f"{check.name}: {label}",
                f"{event.phase.value}: {failure.title}: {failure.message}\n{check.failure_info.code_sample}",
            )


def _is_right(check: Any, request: Any, response: Any) -> bool:
    """What no schema can say: `BEYOND_SCHEMAS`, an unknown method is 404 as at the gateway, white space is no body."""
    if check.name == "unsupported_method":
        return response.status_code == 404
    if check.name == "negative_data_rejection" and request.body and not request.body.strip(b" \t\r\n"):
        return response.status_code < 400
    return response.status_code == 400 and any(message in response.content for message in BEYOND_SCHEMAS)
