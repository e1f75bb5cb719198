"""What the archive takes, as `/api/v1` and `logkeep usage` tell it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logkeep.cli.app import run
from logkeep.database import indexing, store_requests
from logkeep.database.connection import writing
from logkeep.domain.usage import RequestKind, day_of, month_at
from logkeep.service import archive_usage
from tests.contract.service import Service, running_service
from tests.contract.test_api import assert_error
from tests.support.usage import add_segments

USAGE = "/api/v1/usage"
DOCS = Path(__file__).parents[2] / "docs" / "usage.md"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two clusters, of which one grows by ten MiB a day and more; days are recorded."""
    with running_service(tmp_path_factory.mktemp("usage")) as service:
        today = day_of(service.runtime.clock.now_ms())
        for name, sizes in {"prod": [(age, 10 + age) for age in range(40)], "test": [(50, 200)]}.items():
            cluster = service.add_cluster(name=name)
            for age, size in sizes:
                add_segments(service.runtime, cluster.id, today - age, [size * MIB], "node-0")
            if name == "prod":
                with writing(service.runtime.database) as connection:
                    indexing.claim_cluster(connection, cluster.id, 0, 0)
                    indexing.save_index_size(connection, cluster.id, 4, 12 * MIB)
                    sent = {RequestKind.PUT: 3120, RequestKind.GET: 41, RequestKind.HEAD: 3161}
                    counted = {(cluster.id, "logs", kind): number for kind, number in sent.items()}
                    month = month_at(service.runtime.clock.now_ms())
                    store_requests.add_requests(connection, month, counted)
        archive_usage.record_days(service.runtime, 400)
        yield service


@pytest.fixture
def usage(
    used: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Calls `logkeep usage` for that service: exit code, standard output, standard error."""
    key = used.tenant
    variables = {"ENDPOINT": f"http://127.0.0.1:{used.port}", "AK": key.key.ak, "SK": key.sk}
    for name, value in variables.items():
        monkeypatch.setenv(f"LOGKEEP_{name}", value)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return run(["usage", *arguments]), *capsys.readouterr()

    return call


def test_rows_their_sum_growth_and_forecast_are_told(used: Service) -> None:
    told = used.call("GET", USAGE).json
    prod, test = told["rows"]
    assert (prod["clusterName"], test["clusterName"], told["totalSize"]) == ("prod", "test", 2)
    assert test["stored"] == 200 * MIB == test["raw"] // 10
    assert test["growthPerDay"] == 0
    total = told["total"]
    assert total["stored"] == prod["stored"] + test["stored"]
    assert (total["growthPerDay"], total["growthDays"]) == (prod["growthPerDay"], 30)
    assert [one["days"] for one in told["forecast"]] == [30, 365]
    assert told["forecast"][0]["stored"] == pytest.approx(total["stored"] + 30 * total["growthPerDay"], abs=30)
    assert (prod["indexBytes"], prod["requests"]["put"], prod["node"], prod["added"]) == (12 * MIB, 3120, None, None)
    assert (test["indexBytes"], test["requests"]["put"]) == (None, 0)


def test_one_cluster_is_told_by_itself_and_by_its_id_among_all(used: Service) -> None:
    prod = used.call("GET", USAGE).json["rows"][0]
    by_node = used.call("GET", f"/api/v1/clusters/{prod['clusterId']}/usage?by=node").json
    assert [(row["node"], row["stored"]) for row in by_node["rows"]] == [("node-0", prod["stored"])]
    chosen = used.call("GET", f"{USAGE}?cluster={prod['clusterId'].upper()}&by=cluster").json
    assert [row["clusterName"] for row in chosen["rows"]] == ["prod"]
    months = used.call("GET", f"/api/v1/clusters/{prod['clusterId']}/usage?by=month").json["rows"]
    assert months[0]["stored"] == prod["stored"]
    assert months[0]["added"] == months[0]["stored"] - months[1]["stored"]


def test_pages_say_how_many_rows_there_are(used: Service) -> None:
    told = used.call("GET", f"{USAGE}?offset=2&limit=1").json
    assert ([row["clusterName"] for row in told["rows"]], told["totalSize"]) == (["test"], 2)
    assert used.call("GET", f"{USAGE}?offset=9").json["rows"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [("by=day", "by"), ("cluster=prod", "cluster"), ("limit=0", "limit"), ("cluster=%00", "cluster")],
)
def test_what_is_no_query_is_refused_by_its_name(used: Service, query: str, field: str) -> None:
    reply = used.call("GET", f"{USAGE}?{query}")
    assert reply.status == 400
    assert field in reply.body.decode()


def test_clusters_of_another_project_are_as_if_they_were_not(used: Service) -> None:
    prod = used.call("GET", USAGE).json["rows"][0]["clusterId"]
    told = used.call("GET", USAGE, key=used.stranger).json
    assert (told["rows"], told["total"]["stored"]) == ([], 0)
    for path in (f"{USAGE}?cluster={prod}", f"/api/v1/clusters/{prod}/usage"):
        assert_error(used.call("GET", path, key=used.stranger), 403, "CSS.0015")


def test_the_table_is_as_documented(used: Service, usage: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = usage()
    assert code == 0
    shown = re.search(r"^\$ logkeep usage\n(.*?)^```", DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert shown
    assert out == shown[1]


def test_a_cluster_is_named_and_rows_beyond_the_page_are_told(
    usage: Callable[..., tuple[int, str, str]],
) -> None:
    _, out, _ = usage("test", "--by", "node")
    assert [line.split()[:2] for line in out.splitlines()[:3]] == [
        ["CLUSTER", "NODE"],
        ["test", "node-0"],
        ["TOTAL", "2.0"],
    ]
    code, _, err = usage("--limit", "1")
    assert (code, "1 to 1 of 2" in err) == (0, True)
    code, _, err = usage("--by", "day")
    assert (code, "--by day: cluster, node, log, month are allowed" in err) == (2, True)
    code, _, err = usage("none")
    assert (code, "there is no cluster none" in err) == (2, True)


def test_csv_has_every_row(used: Service, usage: Callable[..., tuple[int, str, str]]) -> None:
    _, out, _ = usage("--csv", "--by", "cluster", "--limit", "1")
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert [(row["cluster"], int(row["stored_bytes"])) for row in rows] == [
        (row["clusterName"], row["stored"]) for row in used.call("GET", USAGE).json["rows"]
    ]
    assert usage("--csv", "--json")[0] == 2
