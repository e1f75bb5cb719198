"""The dashboard: read by Grafana's own types, and each panel asked of a Prometheus that scrapes a real service."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.integration.cli.installed import CONFIGURATION, called, init, serving
from tests.real.servers import CACHE, Server, free_port, need_command, wait_until

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "docs" / "grafana.json"
STRICT = Path(__file__).with_name("grafana")  # a program in Go, as Grafana publishes its types
JOBS = "label/job/values?match[]=logkeep_build_info"  # how Grafana asks for the values of the variable
VARIABLES = {"$job": ".+", "$__rate_interval": "5m"}
# Nothing of this happened to a service that is well: there is no series before the first.
MAY_BE_EMPTY = {
    "Answers of the kind 5xx, by operation",
    "Notices in a day, by event",
    "Attempts to deliver notices in an hour",
    "Requests to stores in an hour, by kind",
    "What the archive takes",  # summed once a minute
    "Objects kept",
}
PARTS = ("_bucket", "_count", "_sum")  # of a histogram


def panels() -> list[dict[str, Any]]:
    found = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """The title of a panel, and a query of it as Grafana sends it."""
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


def test_grafana_reads_every_field_of_it(tmp_path: Path) -> None:
    kinds = {one["type"] for one in [*panels(), *(panel["datasource"] for panel in panels())]}
    assert kinds == set(re.findall(r"(\w+)\.VariantConfig", (STRICT / "main.go").read_text()))
    program = tmp_path / "read"
    go = [need_command("go", "golang-go"), "build", "-o", str(program), "."]
    subprocess.run(go, cwd=STRICT, env=os.environ | {"CGO_ENABLED": "0"}, check=True, timeout=290)
    assert subprocess.run([program, DASHBOARD], capture_output=True, text=True, check=False).stderr == ""
    for written, misspelt in (('"graphMode"', '"graphmode"'), ('"expr"', '"expression"'), ('"gridPos"', '"grid"')):
        broken = tmp_path / "broken.json"
        broken.write_text(DASHBOARD.read_text("utf-8").replace(written, misspelt))
        done = subprocess.run([program, broken], capture_output=True, text=True, check=False)
        assert (done.returncode, misspelt.strip('"') in done.stderr) == (1, True)


def test_panels_do_not_lie_upon_each_other_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert all(panel["description"] for panel in panels())
    assert len({panel["id"] for panel in panels()}) == len(panels())
    assert len({panel["title"] for panel in panels()}) == len(panels())
    sources = [one["datasource"]["uid"] for panel in panels() for one in (panel, *panel["targets"])]
    assert set(sources) == {"${datasource}"}


def test_it_shows_every_documented_metric_and_no_other() -> None:
    rows = re.findall(r"^\| `(logkeep_\w+)` \|", (ROOT / "docs" / "metrics.md").read_text("utf-8"), re.MULTILINE)
    documented = set(rows)
    used = {name for _, expression in expressions() for name in re.findall(r"logkeep_\w+", expression)}
    assert {re.sub(f"({'|'.join(PARTS)})$", "", name) for name in used} == documented


@dataclass
class Prometheus(Server):
    """A Prometheus that scrapes one service each second."""

    scraped: str

    def __post_init__(self) -> None:
        super().__init__("prometheus")
        self.endpoint = f"http://127.0.0.1:{free_port()}"

    def start(self) -> None:
        (self.folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: logkeep, static_configs: [{{targets: ['{self.scraped}']}}]}}]\n"
        )
        self._spawn(
            [
                need_command("prometheus", "prometheus"),
                f"--config.file={self.folder}/prometheus.yml",
                f"--storage.tsdb.path={self.folder}/data",
                f"--web.listen-address={self.endpoint.removeprefix('http://')}",
            ],
            self._ready,
            60,
        )

    def ask(self, path: str) -> Any:
        answer = httpx.get(f"{self.endpoint}/api/v1/{path}", trust_env=False, timeout=30).json()
        assert answer["status"] == "success", (path, answer)
        return answer["data"]

    def series(self, expression: str) -> list[Any]:
        return self.ask(f"query?query={quote(expression, safe='')}")["result"]

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.endpoint}/-/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


def test_every_panel_has_an_answer(tmp_path: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    directory, node, scraped = tmp_path / "installation", tmp_path / "node", f"127.0.0.1:{free_port()}"
    node.mkdir()
    init(directory, f'{CONFIGURATION}\n[metrics]\nlisten = "{scraped}"\n[sources]\nroots = ["{tmp_path}"]\n')
    with serving(directory), Prometheus(scraped) as prometheus:
        wait_until(lambda: prometheus.ask(JOBS) == ["logkeep"], 60, "the service is scraped")
        live(directory, node)
        text = httpx.get(f"http://{scraped}/metrics", trust_env=False).text
        there = set(re.findall(r"^([a-z]\w+)[{ ]", text, re.MULTILINE))
        for title, expression in expressions():
            if title not in MAY_BE_EMPTY:
                assert set(re.findall(r"\b(?:logkeep|process)_\w+", expression)) <= there, title
        for title, expression in expressions():
            found = prometheus.series(expression)  # an expression that is wrong is refused
            if not found and title not in MAY_BE_EMPTY:
                wait_until(lambda asked=expression: bool(prometheus.series(asked)), 60, f"{title}: {expression}")


def live(directory: Path, node: Path) -> None:
    """A backup that succeeds, a gap, a verification and a backup that fails."""
    log = node / "es.log"
    log.write_bytes(b"[2026-11-24T00:00:00,000][INFO ] a line\n" * 1000)
    called(directory, "cluster", "add", "prod", "--node", f"n1={node}").ended(0)
    called(directory, "logs", "open", "prod").ended(0)
    called(directory, "logs", "policy", "prod", "--at", "00:00 GMT+08:00").ended(0)
    called(directory, "backup", "prod", "--wait").ended(0)
    log.write_bytes(b"another\n")
    called(directory, "backup", "prod", "--wait").ended(0)
    called(directory, "verify", "prod").ended(0)
    log.unlink()
    node.rmdir()
    called(directory, "backup", "prod", "--wait").ended(1)
