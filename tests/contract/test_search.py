"""Searching the log that a node is writing to, as clients ask for it (docs/contract.md, "ShowLogBackup")."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from logkeep.domain.cluster import Cluster
from tests.contract.service import Reply, Service


def logs(cluster: Cluster) -> Path:
    return Path(urlsplit(cluster.nodes[0].source).path)


def search(service: Service, cluster: Cluster, **body: Any) -> Reply:
    return service.call("POST", service.path(cluster, "/logs/search"), body)


@pytest.fixture
def written(service: Service, cluster: Cluster) -> Cluster:
    text = "".join(
        f"[2026-11-24T00:00:{n:02d},000][{'WARN ' if n % 2 else 'INFO '}][x] [n] line {n}\n" for n in range(20)
    )
    (logs(cluster) / "es.log").write_text(text)
    (logs(cluster) / "es_deprecation.log").write_text("[2026-11-24T00:00:00,000][DEPRECATION][x] [n] old\n")
    return cluster


@pytest.mark.parametrize("spelling", [("instance_name", "log_type"), ("instanceName", "logType")])
def test_both_spellings_are_read(service: Service, written: Cluster, spelling: tuple[str, str]) -> None:
    reply = search(service, written, **{spelling[0]: "node-0", spelling[1]: "instance", "level": "WARN", "limit": 2})
    assert reply.status == 200
    assert reply.json == {
        "type": "instance",
        "completed": False,
        "logList": [
            {
                "content": f"[2026-11-24T00:00:{n},000][WARN ][x] [n] line {n}",
                "date": f"2026-11-24T00:00:{n},000",
                "level": "WARN",
            }
            for n in (19, 17)
        ],
    }


def test_limit_may_be_written_with_a_point(service: Service, written: Cluster) -> None:
    assert len(search(service, written, instance_name="node-0", log_type="instance", limit=2.0).json["logList"]) == 2


def test_deprecation_lines_are_of_that_level(service: Service, written: Cluster) -> None:
    found = search(service, written, instance_name="node-0", log_type="deprecation", level="ALL").json
    assert [one["level"] for one in found["logList"]] == ["DEPRECATION"]
    assert found["completed"] is True
    assert search(service, written, instance_name="node-0", log_type="deprecation", level="WARN").code == "CSS.0001"


def test_kind_that_the_node_does_not_write_is_empty(service: Service, written: Cluster) -> None:
    found = search(service, written, instance_name="node-0", log_type="searchSlow").json
    assert found == {"type": "searchSlow", "completed": True, "logList": []}


def test_logstash_answers_with_one_text(service: Service) -> None:
    cluster = service.add_cluster(kind="logstash")
    (logs(cluster) / "logstash-plain.log").write_text(
        "[2026-11-24T00:00:00,000][INFO ][a] one\n[2026-11-24T00:00:01,000][INFO ][a] two\n"
    )
    found = search(service, cluster, instance_name="node-0", log_type="instance").json
    assert found["instanceLog"].splitlines()[1].endswith("two")
    assert (found["type"], "logList" in found) == ("", False)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"log_type": "instance"}, "instance_name"),
        ({"instance_name": "node-0"}, "log_type"),
        ({"instance_name": "node-0", "log_type": "audit"}, "log_type"),
        ({"instance_name": "elsewhere", "log_type": "instance"}, "instance_name"),
        ({"instance_name": "node-0", "log_type": "instance", "level": "LOUD"}, "level"),
        ({"instance_name": "node-0", "log_type": "instance", "level": "ALL|WARN"}, "level"),
        ({"instance_name": "node-0", "log_type": "instance", "limit": 0}, "limit"),
        ({"instance_name": "node-0", "log_type": "instance", "limit": 10_001}, "limit"),
        ({"instance_name": "node-0", "log_type": "instance", "limit": True}, "limit"),
        ({"instance_name": "node-0", "log_type": "instance", "time_index": "yesterday"}, "time_index"),
        ({"instance_name": "node-0", "log_type": "instance", "keyword": "a;b"}, "keyword"),
        ({"instance_name": "node-0", "log_type": "instance", "keyword": "x" * 65}, "keyword"),
    ],
)
def test_wrong_fields_are_named(service: Service, written: Cluster, body: dict[str, object], field: str) -> None:
    reply = search(service, written, **body)
    assert (reply.status, reply.code) == (400, "CSS.0001")
    assert f"{field}: " in reply.message
